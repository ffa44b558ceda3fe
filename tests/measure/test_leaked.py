"""The score with and without rows that stand in the training data too."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import oneloop
from oneloop.measure.leaked import without_leaked
from oneloop.measure.statistics import Statistics
from oneloop.read.leaks import exact
from oneloop.tasks import task_class
from tests.trained_runs import read_json, read_lines, samples

COLUMNS = task_class("sequence-classification").columns
TRAIN = [
    {"text": "Refund me now!", "label": "a"},
    {"text": "caf\u00e9 \uff11", "label": "b"},
    {"text": "one", "text_pair": "two", "label": "a"},
]


def test_D22_copies_differ_by_case_space_and_width_alone() -> None:
    texts = ["refund  ME now!\n", "Refund me now", "CAFE\u0301 1", "Refund me now! Please", "one"]
    rows = [{"text": text, "label": "b"} for text in texts] + [{"text": "One", "text_pair": "TWO", "label": "b"}]
    assert exact(rows, TRAIN, COLUMNS) == [0, 2, 5]
    words = task_class("token-classification").columns
    assert exact([{"tokens": ["Ann", "ran"]}, {"tokens": ["Ann"]}], [{"tokens": ["ann", "RAN"], "tags": ["O", "O"]}], words) == [0]


def test_D22_metrics_of_the_rows_that_are_left() -> None:
    statistics = Statistics(np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]), lambda sums: {"accuracy": sums[:, 0] / sums[:, 1]})
    found = without_leaked(statistics, [0])
    assert found and (found["rows"], found["leaked"], found["metrics"]["accuracy"]["value"]) == (2, 1, 0.5)
    assert without_leaked(statistics, []) is None
    assert without_leaked(statistics, [0, 1, 2]) == {"rows": 0, "leaked": 3, "metrics": {}}


def test_D22_a_run_gives_its_score_with_and_without_the_leak(tmp_path: Path) -> None:
    lines = (samples() / "texts.csv").read_text().splitlines()
    header, train, test = lines[0], lines[1:41], lines[41:61]
    (tmp_path / "train.csv").write_text("\n".join([header, *train]) + "\n")
    (tmp_path / "test.csv").write_text(
        "\n".join([header, *test, *(line.upper().replace("BAD", "bad").replace("GOOD", "good") for line in train[:5])]) + "\n"
    )
    plain = exact([{"text": line.rsplit(",", 1)[0]} for line in test], [{"text": line.rsplit(",", 1)[0]} for line in train], COLUMNS)
    settings = {"model": str(samples() / "model"), "epochs": 1, "task": "sequence-classification"}
    run = oneloop.train(train=str(tmp_path / "train.csv"), validation=str(tmp_path / "test.csv"), test=str(tmp_path / "test.csv"),
                        output=str(tmp_path / "run"), **settings).path  # fmt: skip
    metrics, predicted = read_json(run / "metrics.json"), read_lines(run / "predictions.jsonl")
    left = metrics["without_leaked"]
    assert (left["rows"], left["leaked"]) == (20 - len(plain), 5 + len(plain)) and metrics["rows"] == 25
    kept = [line for i, line in enumerate(predicted) if i < 20 and i not in plain]
    right = [line["prediction"]["label"] == line["reference"] for line in kept]
    assert abs(left["metrics"]["accuracy"]["value"] - np.mean(right)) < 1e-12 and len(left["metrics"]["accuracy"]["ci95"]) == 2
    assert any("stand in the training data too" in note for note in metrics["notes"])
    page = re.sub(r"\s+", " ", (run / "report.html").read_text())
    assert f"{5 + len(plain)} scored rows also found in the training data: " in page and " with them and " in page
    again = oneloop.evaluate(run, str(tmp_path / "test.csv"), train=str(tmp_path / "train.csv"))
    assert again["without_leaked"]["metrics"]["accuracy"] == left["metrics"]["accuracy"]
    assert "without_leaked" not in oneloop.evaluate(run, str(tmp_path / "test.csv"))
