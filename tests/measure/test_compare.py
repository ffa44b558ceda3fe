"""Two run folders: aligned, scored again, compared; differing rows and rules refused by name."""

import json
import random
from pathlib import Path

import pytest

from oneloop.errors import RunError
from oneloop.measure.compare import compare

LABELS = ["angry", "calm", "sad"]


def write_run(folder: Path, task: str, primary: str, lines: list[dict], facts: dict, settings: dict | None = None) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "model/oneloop.json").write_text(json.dumps({"task": task, "facts": facts, "settings": settings or {}}))
    (folder / "metrics.json").write_text(json.dumps({"task": task, "primary": primary, "signature": f"task:{task}|run:{folder.name}"}))
    (folder / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def label_lines(share_right: float, seed: int, count: int = 300) -> list[dict]:
    gold = random.Random(0)
    said = random.Random(seed)
    lines = []
    for i in range(1, count + 1):
        true = gold.choice(LABELS)
        label = true if said.random() < share_right else said.choice(LABELS)
        line = {"id": f"m{i}", "row": i, "file": "test.csv", "input": {"text": f"Text {i}\u2028end"}}
        lines.append(line | {"prediction": {"label": label, "scores": {}}, "reference": true, "loss": 0.1})
    return lines


def label_run(folder: Path, lines: list[dict], labels: list[str] | None = None) -> Path:
    return write_run(folder, "sequence-classification", "macro_f1", lines, {"kind": "single", "labels": labels or LABELS})


def test_the_better_run_is_called_better(tmp_path: Path):
    worse = label_run(tmp_path / "a", label_lines(0.6, 1))
    better = label_run(tmp_path / "b", label_lines(0.9, 2))
    found = compare(worse, better)
    assert found.rows == 300 and found.primary == "macro_f1" and found.verdict.startswith("B is better than A in macro_f1")
    one = found.metrics["accuracy"]
    assert one["difference"] == pytest.approx(one["second"] - one["first"]) and one["ci95"][0] > 0 and one["p"] < 0.01
    assert compare(better, worse).verdict.startswith("B is worse")
    assert found.signatures == ("task:sequence-classification|run:a", "task:sequence-classification|run:b")
    assert json.loads(json.dumps(found.as_dict()))["metrics"]["accuracy"] == one
    assert "accuracy" in found.render() and str(better) in found.render()


def test_equal_runs_differ_by_nothing(tmp_path: Path):
    one, two = (label_run(tmp_path / name, label_lines(0.8, 3)) for name in "ab")
    found = compare(one, two)
    assert found.verdict.startswith("No difference")
    assert all(metric["difference"] == 0 and metric["p"] == 1 for metric in found.metrics.values())


def test_the_order_of_the_lines_does_not_matter(tmp_path: Path):
    lines = label_lines(0.8, 4)
    one = label_run(tmp_path / "a", label_lines(0.7, 5))
    assert compare(one, label_run(tmp_path / "b", lines)).metrics == compare(one, label_run(tmp_path / "c", lines[::-1])).metrics


def test_differing_rows_are_refused_with_number_and_names(tmp_path: Path):
    lines = label_lines(0.8, 6)
    one = label_run(tmp_path / "a", lines)
    changed = [dict(line) for line in lines[2:]]
    changed[0]["reference"] = "sad" if changed[0]["reference"] != "sad" else "calm"
    changed[1]["input"] = {"text": "another text"}
    with pytest.raises(RunError) as caught:
        compare(one, label_run(tmp_path / "b", changed))
    message = str(caught.value)
    assert "4 rows differ" in message
    for part in ("row 1 (id m1) only in A", "row 3 (id m3) has another reference", "row 4 (id m4) has another input"):
        assert part in message


def test_a_row_that_stands_twice_is_refused(tmp_path: Path):
    lines = label_lines(0.8, 7)
    with pytest.raises(RunError, match=r"row 9 .*twice"):
        compare(label_run(tmp_path / "a", lines), label_run(tmp_path / "b", [*lines, lines[8]]))


def test_E6_runs_with_other_class_lists_are_scored_over_both(tmp_path: Path):
    lines = label_lines(0.8, 8)
    one, two = label_run(tmp_path / "a", lines), label_run(tmp_path / "b", lines, [*LABELS, "glad"])
    found = compare(one, two)
    assert found.metrics["macro_f1"]["difference"] == 0 and "different labels" in found.notes[0]


def test_E2_scores_by_different_rules_are_not_compared(tmp_path: Path):
    from oneloop.measure import compare as module
    from oneloop.measure.generation import bleu

    one, two = (label_run(tmp_path / name, label_lines(0.8, 9, 5)) for name in "ab")
    made = iter([bleu(["x"] * 5, ["x"] * 5), bleu(["x"] * 5, ["x"] * 5, tokenize="intl")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module._Scored, "statistics", lambda *_: next(made))
        with pytest.raises(RunError, match=r"tok:13a(.|\n)*tok:intl"):
            compare(one, two)


def test_several_labels_numbers_tags_and_answers(tmp_path: Path):
    rng = random.Random(1)
    sets = [{"prediction": {"labels": ["angry"]}, "reference": rng.sample(LABELS, rng.randint(0, 2))} for _ in range(30)]
    numbers = [{"prediction": {"value": i + 0.5}, "reference": float(i)} for i in range(30)]
    tags = [{"input": {"tokens": ["Ann", "ran"]}, "prediction": {"tags": ["B-PER", "O"]}, "reference": ["B-PER", "O"]} for _ in range(9)]
    answers = [
        {"input": {"question": "Who?", "context": "Ann ran."}, "prediction": {"answer": "Ann"}, "reference": [{"text": "Ann", "start": 0}]},
        {"input": {"question": "When?", "context": "Ann ran."}, "prediction": {"answer": ""}, "reference": []},
    ]
    cases = {
        "multi": ("sequence-classification", "macro_f1", sets, {"kind": "multi", "labels": LABELS}),
        "number": ("sequence-classification", "rmse", numbers, {"kind": "regression", "labels": ["score"]}),
        "tags": ("token-classification", "f1", tags, {"kind": "entities", "labels": ["O", "B-PER", "I-PER"], "scheme": "IOB2"}),
        "answers": ("question-answering", "f1", answers, {}),
    }
    for name, (task, primary, lines, facts) in cases.items():
        lines = [{"id": str(i), "row": i, "input": {"text": "x"}, **line} for i, line in enumerate(lines, 1)]
        found = compare(*(write_run(tmp_path / name / run, task, primary, lines, facts) for run in "ab"))
        assert found.metrics[primary]["difference"] == 0, name
        if name == "number":
            assert found.metrics["rmse"]["first"] == pytest.approx(0.5)
        if name in ("tags", "answers"):
            assert found.metrics["f1"]["first"] == 1.0


def test_other_tasks_and_broken_folders_are_named(tmp_path: Path):
    one = label_run(tmp_path / "a", label_lines(0.8, 1, 3))
    with pytest.raises(RunError, match="run B is question-answering"):
        compare(one, write_run(tmp_path / "b", "question-answering", "f1", [], {}))
    with pytest.raises(RunError, match="no run folder"):
        compare(one, tmp_path / "nowhere")
    (tmp_path / "a/predictions.jsonl").write_text('{"prediction": {}, "reference": 1}\n{"pred')
    with pytest.raises(RunError, match="line 2 is not JSON"):
        compare(one, one)
    (tmp_path / "a/predictions.jsonl").write_text("[1]\n")
    with pytest.raises(RunError, match="line 1 lacks"):
        compare(one, one)
    (tmp_path / "a/predictions.jsonl").unlink()
    with pytest.raises(RunError, match=r"predictions\.jsonl cannot be read"):
        compare(one, one)
