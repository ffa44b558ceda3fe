"""The end of a run: what stands in the folder is what Hugging Face loads and what was scored."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import oneloop
from oneloop.finish import reload_check
from oneloop.measure.evaluate import evaluate_rows
from oneloop.recipe import Recipe
from tests.trained_runs import classified, read_json, read_lines, tagged


@pytest.mark.parametrize(("run", "head"), [(classified, "AutoModelForSequenceClassification"), (tagged, "AutoModelForTokenClassification")])
def test_transformers_loads_the_model_and_gives_the_same_logits(run: Any, head: str) -> None:
    import torch
    import transformers

    folder = str(run() / "model")
    model = getattr(transformers, head).from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = oneloop.load(run())
    row: dict[str, Any] = {"text": "the soup was great", "tokens": ["Anna", "met", "Bert", "in", "Paris"]}
    feature = ours.task.encode([row | {"id": "1", "row": 1}], ours.engine.tokenizer)[0]
    given = tokenizer(row["text"]) if "Sequence" in head else tokenizer(row["tokens"], is_split_into_words=True)
    assert given["input_ids"] == list(feature["input_ids"])
    with torch.no_grad():
        logits = model(**{name: torch.tensor([ids]) for name, ids in given.items()}).logits
        mine = ours.task.forward(ours.engine.model, ours.task.collate([feature], ours.engine.tokenizer))["logits"]
    assert torch.allclose(logits.reshape(-1), mine.reshape(-1), atol=1e-5)
    assert model.config.id2label == dict(enumerate(ours.task.facts["labels"]))


def test_pipelines_read_the_label_names() -> None:
    from transformers import pipeline

    said = pipeline("text-classification", model=str(classified() / "model"), device="cpu")("the soup was great")[0]
    assert said["label"] in {"good", "bad"}
    assert said["label"] == oneloop.load(classified()).predict("the soup was great")[0]["label"]


def test_the_score_follows_from_the_predictions_that_were_written() -> None:
    metrics, lines = read_json(classified() / "metrics.json"), read_lines(classified() / "predictions.jsonl")
    right = [line["prediction"]["label"] == line["reference"] for line in lines]
    assert metrics["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(right), abs=1e-12)
    assert metrics["metrics"]["loss"]["value"] == pytest.approx(np.mean([line["loss"] for line in lines]), abs=1e-9)
    assert [line["scores"]["accuracy"] for line in lines] == [float(one) for one in right]


def test_the_reload_check_tells_a_model_that_changed() -> None:
    import torch

    loaded = oneloop.load(classified())
    rows = [{"id": str(i), "row": i, "file": "", "text": text, "label": "good"} for i, text in enumerate(["lovely soup", "cold bed"], 1)]
    found = evaluate_rows(loaded.task, loaded.engine, rows)
    notes: list[str] = []

    class Stage:
        folder, task, note = classified(), loaded.task, staticmethod(notes.append)

        class parts:
            device, precision = "cpu", "fp32"

    assert reload_check(Stage, found) == "identical"  # type: ignore[arg-type]
    with torch.no_grad():
        loaded.engine.model.classifier.bias += torch.tensor([9.0, -9.0])
    changed = evaluate_rows(loaded.task, loaded.engine, rows)
    assert reload_check(Stage, changed).startswith("DIFFERENT")  # type: ignore[arg-type]
    assert "does not give the same score" in notes[0]


def test_the_signature_changes_with_what_the_score_depends_on() -> None:
    from oneloop.measure.signature import differences, parse

    one, two = (read_json(run() / "metrics.json")["signature"] for run in (classified, tagged))
    assert {"task", "model", "data", "split", "seed", "settings", "scorer"} <= set(parse(one))
    assert {"task", "data", "scorer"} <= {name for name, _, _ in differences(one, two)}


# ---- best weights that are damaged ----------------------------------------------------------------------
SCORES = {2: 0.9, 4: 0.5, 6: 0.8, 8: 0.7, 10: 0.6}  # of a run of ten steps, whose best are those of step 2


def ended(folder: Path, kept: list[int], scores: dict[int, float]) -> Any:
    """A run of ten steps at its end, with checkpoints whose one weight is their step, and the best ones of step 2 damaged."""
    import torch

    from oneloop import checkpoint
    from oneloop.run import Run
    from oneloop.runlog import DURING, RunLog

    log = RunLog(folder / "log.jsonl")
    for step, value in scores.items():
        log.write({"kind": "evaluation", "when": DURING, "step": step, "split": "validation", "metrics": {"macro_f1": value}})
    log.write({"kind": "evaluation", "when": "before training", "step": 4, "split": "validation", "metrics": {"macro_f1": 0.99}})
    log.close()
    model = torch.nn.Linear(1, 1, bias=False)
    for kind, steps in ((checkpoint.STEP, kept), (checkpoint.BEST, [2])):
        for step in steps:
            torch.nn.init.constant_(model.weight, float(step))
            path = checkpoint.save(folder / "checkpoints", kind, checkpoint.State(step=step), model, None, {"run": "r"})
    (path / "model.safetensors").write_bytes(b"damaged")

    class Ended(Run):
        def __init__(self) -> None:
            self.folder, self.id, self.notes = folder, "r", []
            self.state = checkpoint.State(step=10, best_step=2, best_value=0.9)
            self.on_event = lambda event: None
            self.task, self.recipe = loaded().task, Recipe()
            self.parts = SimpleNamespace(model=model)  # type: ignore[assignment]

    torch.nn.init.constant_(model.weight, 10.0)
    return Ended()


def loaded() -> Any:
    return SimpleNamespace(task=SimpleNamespace(metric="macro_f1", greater_is_better=True))


@pytest.mark.parametrize(
    ("kept", "scores", "used"),
    [
        ([6, 8, 10], SCORES, 6),
        ([4, 8, 10], SCORES, 8),
        ([4, 10], SCORES, 10),  # the last ones scored more than all that is left
        ([10], SCORES, 10),
        ([5, 10], SCORES, 10),  # not evaluated: nothing says that they are better
        ([6, 8, 10], {2: 0.9, 6: float("nan"), 8: 0.7, 10: 0.6}, 8),
    ],
)
def test_T4_where_the_best_weights_are_damaged_the_best_of_the_others_are_used(
    tmp_path: Path, kept: list[int], scores: dict[int, float], used: int
) -> None:
    from oneloop.finish import restore_best

    (tmp_path / "checkpoints").mkdir()
    run = ended(tmp_path, kept, scores)
    restore_best(run)
    assert run.parts.model.weight.item() == used
    assert any("model.safetensors" in note for note in run.notes)
    left = f"of those left, step {used} scored best" if used != 10 else "the last ones are used"
    assert any(note.startswith("the weights of step 2, the best on validation, are gone; ") and note.endswith(left) for note in run.notes)


def test_T4_of_the_others_those_that_are_damaged_are_passed_over(tmp_path: Path) -> None:
    from oneloop.finish import restore_best

    (tmp_path / "checkpoints").mkdir()
    run = ended(tmp_path, [6, 8, 10], SCORES)
    for path in (tmp_path / "checkpoints").glob("step-00000006-*"):
        (path / "model.safetensors").write_bytes(b"damaged")
    restore_best(run)
    assert run.parts.model.weight.item() == 8
