"""What separates the labels of a cell is a matter of the whole column, and of the training rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oneloop.prepare import prepare
from oneloop.read import read
from oneloop.read.cells import labels
from oneloop.read.roles import separators, to_rows
from oneloop.read.separators import separator
from oneloop.recipe import load_recipe
from oneloop.tasks import task_class

TASK = task_class("sequence-classification")
SEVERAL = {"text": "text", "labels": "labels"}


@pytest.mark.parametrize(
    ("cells", "sign"),
    [
        (["a; b", "b", "c;a"], ";"),
        (["a|b", "", "b"], "|"),
        (["a, b", "b"], ","),
        (["food, drinks; rooms", "food, drinks", "rooms"], ";"),
        (['["a", "b, c"]', "[]", '["a"]'], ""),
        (["a", "b", "a"], ""),
        (["n/a", "angry", "calm", "calm"], ""),
        (["red/blue", "red", "blue/green", "green", "red/green/blue"] * 3, "/"),
        (["a;b"] * 40 + ["x|y"], ";"),
    ],
)
def test_C038_the_sign_a_column_uses(cells: list[str], sign: str) -> None:
    assert separator(cells) == sign


def test_C038_a_cell_is_split_by_that_sign_alone() -> None:
    assert labels("food, drinks; rooms", ";") == ["food, drinks", "rooms"] and labels("food, drinks", ";") == ["food, drinks"]
    assert labels("a/b", "/") == ["a", "b"] and labels("a/b", "") == ["a/b"] and labels('["a, b"]', ";") == ["a, b"]


def write(path: Path, cells: list[str]) -> Path:
    lines = [f'this is sentence number {i},"{cell}"' for i, cell in enumerate(cells)]
    path.write_text("text,labels\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "cells", [["a; b", "b", "c;a", "c"], ["a|b", "b", "c|a", "c"], ['[""a"", ""b""]', '[""b""]', '[""c"",""a""]', "c"]]
)
def test_C038_lists_from_csv(tmp_path: Path, cells: list[str]) -> None:
    table = read(write(tmp_path / "d.csv", cells * 5))
    rows, problems = to_rows(table, TASK, SEVERAL, training=True)
    assert not problems and [row["labels"] for row in rows[:4]] == [["a", "b"], ["b"], ["c", "a"], ["c"]]


def test_C038_an_empty_cell_is_no_label_and_is_said_once(tmp_path: Path) -> None:
    notes: list[str] = []
    found = prepare(load_recipe(train=str(write(tmp_path / "d.csv", ["a; b", "", "b", " "] * 10)), columns=SEVERAL), notes.append)
    rows = [row for split in found.rows.values() for row in split]
    assert len(rows) == 40 and sum(row["labels"] == [] for row in rows) == 20 and found.task.facts["labels"] == ["a", "b"]
    said = [note for note in notes if "none of the labels applies" in note]
    assert len(said) == 1 and said[0].startswith("20 rows have no label") and found.dropped == {"train": 0}


def test_C038_other_splits_are_read_as_the_training_rows(tmp_path: Path) -> None:
    train, test = (
        write(tmp_path / "train.csv", ["food, drinks; rooms", "rooms"] * 10),
        write(tmp_path / "test.csv", ["food, drinks", "rooms"]),
    )
    recipe: Any = load_recipe(train=str(train), test=str(test), columns=SEVERAL, task="sequence-classification")
    found = prepare(recipe, lambda text: None)
    assert [row["labels"] for row in found.rows["test"]] == [["food, drinks"], ["rooms"]]
    assert separators(read(train), TASK, SEVERAL) == {"labels": ";"} and separators(read(test), TASK, SEVERAL) == {"labels": ","}
