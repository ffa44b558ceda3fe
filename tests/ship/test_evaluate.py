"""Evaluating any model on labelled rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import oneloop
from oneloop.errors import DataError
from tests.trained_runs import classified, read_json, read_lines, samples, tagged


def test_the_same_rows_give_the_same_metrics_as_the_run(tmp_path: Path) -> None:
    lines, first = read_lines(classified() / "predictions.jsonl"), read_json(classified() / "metrics.json")
    with (tmp_path / "test.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([["text", "label"], *([line["input"]["text"], line["reference"]] for line in lines)])
    found = oneloop.evaluate(classified(), str(tmp_path / "test.csv"), train=str(samples() / "texts.csv"))
    for name, entry in first["metrics"].items():
        assert found["metrics"][name]["value"] == pytest.approx(entry["value"], abs=1e-9)
        assert found["metrics"][name]["ci95"] == pytest.approx(entry["ci95"], abs=1e-9)
    assert set(first) <= set(found) | {"chosen_on_these_rows"} and found["baseline"]["name"] == first["baseline"]["name"]
    assert found["rows"] == first["rows"] and found["data"]["tokens"] == first["data"]["tokens"]


def test_labels_that_the_model_does_not_know_are_named_with_their_rows(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text,label\nlovely,good\nlate,awful\nwarm,goood\n")
    with pytest.raises(DataError, match="labels that the model does not know") as found:
        oneloop.evaluate(classified(), str(tmp_path / "new.csv"))
    assert [problem.row for problem in found.value.problems] == [2, 3] and "one of bad, good" in str(found.value)


def test_rows_without_answers_are_counted_or_refused(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("text,label\nlovely,good\nlate,\nwarm,good\ncold,bad\n")
    found = oneloop.evaluate(classified(), str(tmp_path / "some.csv"))
    assert found["rows"] == 3 and found["data"]["dropped"] == 1 and any("1 row without an answer" in note for note in found["notes"])
    (tmp_path / "none.csv").write_text("text,other\nlovely soup,3\nlate again,4\n")
    with pytest.raises(DataError):
        oneloop.evaluate(classified(), str(tmp_path / "none.csv"))


def test_bad_rows_are_all_named_and_max_bad_sets_them_aside(tmp_path: Path) -> None:
    rows = [{"tokens": ["Anna", "met"], "tags": ["B-PER", "O"]}] * 4 + [{"tokens": ["Anna"], "tags": ["O", "O"]}] * 2
    path = tmp_path / "words.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError) as found:
        oneloop.evaluate(tagged(), str(path))
    assert [problem.row for problem in found.value.problems] == [5, 6]
    assert oneloop.evaluate(tagged(), str(path), max_bad=2)["rows"] == 4


def test_a_folder_gives_its_test_split(tmp_path: Path) -> None:
    for name, rows in (("train", 8), ("test", 4)):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "lovely soup,good\nlate again,bad\n" * (rows // 2))
    found = oneloop.evaluate(classified(), str(tmp_path))
    assert found["split"] == "test" and found["rows"] == 4


def test_a_loaded_model_and_a_result_can_be_scored() -> None:
    data = str(samples() / "texts.csv")
    one, two = oneloop.evaluate(oneloop.load(classified()), data), oneloop.evaluate(classified() / "model", data)
    assert one["metrics"] == two["metrics"] and one["signature"] == two["signature"]
    assert one["before"] is None and one["reload_check"] is None
