"""Rows as bytes: the same rows and types come back, and a row takes little more than what its cells hold."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneloop.encode.blocks import encode_packed
from oneloop.prepare import prepare
from oneloop.read import read
from oneloop.read.packed import PackedRows, kept
from oneloop.recipe import Recipe
from oneloop.tasks import task_class
from oneloop.testing.tiny import tiny_tokenizer

ODD = [
    {"text": 'She said "no",\nthen left', "label": "a"},
    {"text": "naïve 東京 👩\u200d👩 \ud83d", "label": ""},
    {"text": "a zero \0 inside, one more\0", "label": "\0", "n": -0.0},
    {"text": None, "n": 1, "x": 1.5, "yes": True, "big": 2**70},
    {"label": "a", "text": "the other way round"},
    {"text": {"deep": [{"a": None}, [], "é"]}, "label": ["x", "y"], "nan": float("inf")},
    {},
]


def test_rows_come_back_equal_in_order_and_type() -> None:
    rows = PackedRows(ODD)
    assert len(rows) == len(ODD) and rows == ODD and list(rows) == ODD
    assert [list(row) for row in rows] == [list(row) for row in ODD]
    assert [[type(cell) for cell in row.values()] for row in rows] == [[type(cell) for cell in row.values()] for row in ODD]
    assert rows[-1] == {} and rows[1:3] == ODD[1:3] and rows[::-2] == ODD[::-2] and rows != ODD[1:]
    for index in (len(ODD), -len(ODD) - 1):
        with pytest.raises(IndexError, match="row"):
            rows[index]


def test_what_is_given_out_is_a_copy_and_the_sequence_can_be_sent() -> None:
    rows = PackedRows(ODD)
    rows[5]["text"]["deep"].clear()
    rows[0]["text"] = "changed"
    assert rows == ODD and pickle.loads(pickle.dumps(rows)) == ODD


def test_what_cannot_be_written_exactly_is_kept_as_it_is() -> None:
    offsets = np.arange(6, dtype=np.int32).reshape(3, 2)
    found = PackedRows([{"offsets": offsets, "own": (0, 3), "score": np.float64(0.5), "names": {1: "a"}}])[0]
    assert found["offsets"] is offsets and found["own"] == (0, 3)
    assert type(found["score"]) is np.float64 and found["names"] == {1: "a"}


@pytest.mark.parametrize("numbers", [[0, 127, -128], [128, -129], [1 << 15], [-(1 << 31), 1], [1 << 31], [2**63 - 1, -(2**63)], [2**63]])
def test_whole_numbers_of_every_width_come_back(numbers: list[int]) -> None:
    rows = PackedRows([{"input_ids": numbers, "row": sum(numbers)}, {"input_ids": [True, 1], "row": True}])
    assert rows[0] == {"input_ids": numbers, "row": sum(numbers)}
    assert [type(item) for item in (*rows[1]["input_ids"], rows[1]["row"])] == [bool, int, bool]


def test_a_text_that_repeats_is_kept_twice_at_most_and_survives_taking() -> None:
    passage = "A passage that many questions are about. " * 20
    given = [{"context": passage, "question": f"q{i}", "file": "a/long/name/of/a/file.csv"} for i in range(100)]
    given += [{"context": passage[::-1], "question": passage, "file": "another/long/name.csv"}] * 3 + given[:2]
    rows = PackedRows(given)
    assert rows == given and len(pickle.dumps(rows)) < 9 * len(passage) + 60 * len(rows)
    chosen = [104, 3, 3, 101, 0]
    taken = rows.take(chosen)
    assert taken == [given[i] for i in chosen] == kept(given, chosen)
    taken.append(given[50])
    taken.append({"new": passage})
    assert taken[5:] == [given[50], {"new": passage}] and rows == given


# ---- files ----------------------------------------------------------------------------------------------
def test_delimited_cells_come_back_as_they_stand(write: Callable[..., Path]) -> None:
    table = read(write("a.csv", 'id,text,label\n7,"a ""quoted"", word",x\n8,"two\nlines",\n9,naïve 東京,"y, z"\n'))
    assert list(table) == [
        {"id": "7", "text": 'a "quoted", word', "label": "x"},
        {"id": "8", "text": "two\nlines", "label": ""},
        {"id": "9", "text": "naïve 東京", "label": "y, z"},
    ]
    assert [(table.origin(i).row, table.origin(i).line) for i in range(3)] == [(1, 2), (2, 3), (3, 5)]
    assert table.column("text") == [row["text"] for row in table]


def test_json_cells_keep_their_types_and_missing_ones_stay_missing(write: Callable[..., Path]) -> None:
    rows = [{"text": "é", "n": 1, "x": 0.5}, {"text": None, "on": True, "deep": {"a": [1, {"b": None}]}}, {"n": 10**30}]
    table = read(write("a.jsonl", "\n".join(map(json.dumps, rows))))
    assert list(table) == rows and table.columns == ["text", "n", "x", "on", "deep"] and table.column("n") == [1, None, 10**30]


# ---- memory ---------------------------------------------------------------------------------------------
COUNT = 20_000
WORDS = ["refund", "invoice", "calm", "angry", "parcel", "never", "again", "please", "thank", "money", "account", "log", "bad", "screen"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same rows of 60 to 70 characters as csv, jsonl and txt."""
    folder = tmp_path_factory.mktemp("large")
    rows = [{"text": " ".join(WORDS[(i * k + k) % 14] for k in range(1, 10)) + f" {i}", "label": WORDS[i % 3]} for i in range(COUNT)]
    texts = {
        "csv": "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows),
        "jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "txt": "".join(row["text"] + "\n" for row in rows),
    }
    for ending, text in texts.items():
        (folder / f"a.{ending}").write_text(text, encoding="utf-8")
    return {ending: folder / f"a.{ending}" for ending in texts}


def taken_by(make: Callable[[], Any]) -> tuple[Any, float]:
    """What `make` gives, and the bytes it still holds for each row."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        found = make()
        return found, (tracemalloc.get_traced_memory()[0] - before) / COUNT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_a_table_takes_the_bytes_of_its_cells_and_sixty_four_more_a_row(files: dict[str, Path], ending: str) -> None:
    table, bytes_a_row = taken_by(lambda: read(files[ending]))
    cells = sum(len(cell) for row in table for cell in row.values()) / COUNT
    assert len(table) == COUNT and cells < bytes_a_row < cells + 64


def test_rows_and_features_of_a_training_take_a_few_hundred_bytes_each(files: dict[str, Path]) -> None:
    recipe = Recipe(train=str(files["csv"]), task="sequence-classification", columns={"text": "text", "label": "label"})
    prepared, bytes_a_row = taken_by(lambda: prepare(recipe, lambda text: None))
    assert sum(map(len, prepared.rows.values())) == COUNT and bytes_a_row < 200
    row = prepared.rows["train"][5]
    assert row["file"] == str(files["csv"]) and read(files["csv"])[row["row"] - 1]["text"] == row["text"]

    tokenizer = tiny_tokenizer(" ".join([*WORDS, *"0123456789"] * 3))
    features, bytes_a_row = taken_by(lambda: encode_packed(prepared.task, prepared.rows["train"], tokenizer))
    tokens = sum(len(feature["input_ids"]) for feature in features) / len(features)
    assert bytes_a_row < 6 * tokens + 60


def test_encoding_in_blocks_gives_the_features_of_all_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_class("sequence-classification")({"max_length": 12, "stride": 2}, {"kind": "single", "labels": ["a", "b"]})
    rows = [{"id": str(i), "row": i, "file": "a.csv", "text": " ".join(WORDS[: i % 14] * 2), "label": "ab"[i % 2]} for i in range(50)]
    tokenizer = tiny_tokenizer(" ".join(WORDS * 3))
    monkeypatch.setattr("oneloop.encode.blocks.ROWS_AT_ONCE", 7)
    features = encode_packed(task, PackedRows(rows), tokenizer)
    assert features == task.encode(rows, tokenizer) and len(features) > len(rows)
