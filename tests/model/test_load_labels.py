"""Training on from a model with a head: what was learned for a label stays with that label's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import oneloop
from oneloop.errors import ModelError
from oneloop.model.head import output_layer, places
from oneloop.model.load import load_model
from oneloop.tasks import task_class
from tests.engines import samples
from tests.small_tokenizers import wordpiece

SMALL = {"vocab_size": 200, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
KINDS = {
    "bert": transformers.BertConfig(**SMALL),
    "roberta": transformers.RobertaConfig(**SMALL),
    "distilbert": transformers.DistilBertConfig(vocab_size=200, dim=16, n_layers=1, n_heads=2, hidden_dim=16),
    "modernbert": transformers.ModernBertConfig(**SMALL, pad_token_id=0),
    "gpt2": transformers.GPT2Config(vocab_size=200, n_embd=16, n_layer=1, n_head=2, pad_token_id=0),
}
TASKS = ("sequence-classification", "token-classification")


def write(folder: Path, kind: str, task: str, labels: list[str], **more: Any) -> Path:
    """A saved model with a head for these labels, its output weights told apart by their row."""
    torch.manual_seed(0)
    config = type(KINDS[kind])(**{**KINDS[kind].to_dict(), "id2label": dict(enumerate(labels)), **more})
    config.label2id = {name: i for i, name in enumerate(labels)}
    model = getattr(transformers, task_class(task).head).from_config(config)
    layer = model.get_submodule(output_layer(model))
    with torch.no_grad():
        for row in range(len(labels)):
            layer.weight[row] = row + 1
            if layer.bias is not None:
                layer.bias[row] = row + 1
    model.save_pretrained(folder)
    wordpiece().save_pretrained(folder)
    return folder


def onward(folder: Path, task: str, labels: list[str], trained: bool = False) -> tuple[Any, Any, tuple[str, ...]]:
    """The model loaded for other labels, its output layer, and what was said."""
    facts = {"labels": labels, "kind": "single" if task.startswith("seq") else "entities"}
    notes: list[str] = []
    loaded = load_model(task_class(task)({}, facts), str(folder), trained=trained, note=notes.append)
    return loaded, loaded.model.get_submodule(output_layer(loaded.model)), tuple(notes)


def marks(layer: Any) -> list[int]:
    """The old row of each row, counted from 1, by weight and bias alike; 0 for a fresh one."""
    found = [int(row[0]) if (row == row[0]).all() and row[0] >= 1 else 0 for row in layer.weight.detach()]
    if layer.bias is not None:
        assert [int(value) for value in layer.bias.detach()] == found
    return found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_follow_their_names(kind: str, task: str, tmp_path: Path) -> None:
    folder = write(tmp_path, kind, task, ["calm", "angry", "sad"])
    for wanted, rows in (
        (["calm", "angry", "sad"], [1, 2, 3]),
        (["angry", "calm", "sad"], [2, 1, 3]),
        (["glad", "sad", "calm"], [0, 3, 1]),
        (["sad", "angry"], [3, 2]),
        (["angry", "bored", "calm", "glad", "sad"], [2, 0, 1, 0, 3]),
        (["x", "y", "z"], [0, 0, 0]),
        (["x", "y"], [0, 0]),
        (["SAD", "Calm", "angry"], [3, 1, 2]),
    ):
        loaded, layer, notes = onward(folder, task, wanted)
        assert marks(layer) == rows, wanted
        config = loaded.model.config
        assert [config.id2label[i] for i in range(config.num_labels)] == wanted
        assert config.label2id == {name: i for i, name in enumerate(wanted)}
        assert loaded.model.num_labels == layer.out_features == len(wanted)
        assert bool(loaded.new) == (0 in rows) and all(name.startswith(output_layer(loaded.model)) for name in loaded.new)
        assert len(notes) == (wanted != ["calm", "angry", "sad"])


def test_the_note_says_what_was_kept_and_what_is_fresh(tmp_path: Path) -> None:
    folder = write(tmp_path, "bert", TASKS[0], ["calm", "angry", "sad"])
    assert "another order (calm, angry, sad)" in onward(folder, TASKS[0], ["angry", "calm", "sad"])[2][0]
    assert onward(folder, TASKS[0], ["calm", "glad", "sad"])[2] == (
        "the model's head was trained for other labels: rows of calm, sad kept by label name, glad fresh, angry dropped",
    )
    assert onward(folder, TASKS[0], ["a", "b"])[2] == (
        "the model's head was trained for other labels (calm, angry, sad): the head starts fresh",
    )


def test_fresh_rows_are_those_of_an_initialiser_and_the_same_for_a_seed(tmp_path: Path) -> None:
    folder = write(tmp_path, "bert", TASKS[0], ["a", "b"])
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(onward(folder, TASKS[0], ["a", "new", "newer"])[1].weight.detach())
    assert torch.equal(*found) and 0.005 < float(found[0][1:].std()) < 0.05


def test_names_that_differ_only_in_capitals_match_only_where_that_is_clear() -> None:
    assert places(["NEGATIVE", "POSITIVE"], ["positive", "negative"]) == [1, 0]
    assert places(["a", "A"], ["A", "a"]) == [1, 0]
    assert places(["x", "A"], ["A", "a"]) == [1, None]


def test_a_body_without_a_head_gets_a_fresh_one_without_a_note(tmp_path: Path) -> None:
    transformers.BertModel(KINDS["bert"]).save_pretrained(tmp_path)
    loaded, _, notes = onward(tmp_path, TASKS[0], ["a", "b"])
    assert notes == () and set(loaded.new) == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_a_head_of_another_task_starts_fresh_and_is_no_trained_one(kind: str, tmp_path: Path) -> None:
    """BERT's and ModernBERT's heads have the same names and shapes for texts and for tokens."""
    folder = write(tmp_path, kind, TASKS[0], ["a", "b"])
    _, layer, notes = onward(folder, TASKS[1], ["a", "b"])
    assert marks(layer) == [0, 0] and "ForSequenceClassification" in notes[0]
    with pytest.raises(ModelError, match=r"no trained token-classification head: it was trained as .*ForSequenceClassification"):
        onward(folder, TASKS[1], ["a", "b"], trained=True)
    three = write(tmp_path / "three", kind, TASKS[0], ["a", "b", "c"])
    answers = load_model(task_class("question-answering")(), str(three))
    assert answers.model.get_submodule(output_layer(answers.model)).out_features == 2 and answers.new


def test_a_number_goes_on_from_a_number(tmp_path: Path) -> None:
    folder = write(tmp_path, "bert", TASKS[0], ["LABEL_0"], problem_type="regression")
    task = task_class(TASKS[0])({}, {"labels": ["score"], "kind": "regression"})
    notes: list[str] = []
    loaded = load_model(task, str(folder), note=notes.append)
    assert marks(loaded.model.classifier) == [1] and not loaded.new and not notes


@pytest.mark.parametrize("lora", [False, 4])
def test_a_run_goes_on_from_a_run_whose_labels_sort_otherwise(tmp_path: Path, lora: Any) -> None:
    """Renamed data: what was `good` is called `a good one`, so that the labels change places; `bad` keeps its row."""
    world = samples.write(tmp_path)
    first = oneloop.train(**samples.settings(world, "single", output=str(tmp_path / "first"), lora=lora, epochs=1))
    for split in samples.ROWS:
        text = (world / f"{split}.single.jsonl").read_text()
        (world / f"{split}.renamed.jsonl").write_text(text.replace('"label": "good"', '"label": "a good one"'))
    files = {split: str(world / f"{split}.renamed.jsonl") for split in samples.ROWS}
    settings = samples.settings(world, "single", output=str(tmp_path / "second"), max_steps=1, learning_rate=1e-9)
    second = oneloop.train(**{**settings, **files, "model": str(first.path)})
    assert second.metrics["before"] is None and second.metrics["reload_check"] == "identical"
    assert any("rows of bad kept by label name, a good one fresh, good dropped" in note for note in second.notes)
    one, two = (oneloop.load(run.path).engine.model for run in (first, second))
    rows = [dict(model.named_parameters()) for model in (one, two)]
    old = next(value for name, value in rows[0].items() if "classifier" in name and name.endswith("weight") and "original" not in name)
    assert torch.allclose(old[0], rows[1]["classifier.weight"][1], atol=1e-6)
