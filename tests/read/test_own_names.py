"""A file's own column names work, also where its rows are laid flat: spans of any spelling, pairs of languages."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from oneloop.diagnose import from_table
from oneloop.diagnose.check import check
from oneloop.errors import DataError
from oneloop.read import read
from oneloop.read.roles import to_rows
from oneloop.tasks import task_class

TEXT = "Anna {} met Bert in Paris today"
KEYS = [("from", "to", "type"), ("start_offset", "end_offset", "label"), ("start", "end", "labels")]
PAIRS = [{"en": f"good day number {i}", "de": f"guten Tag Nummer {i}"} for i in range(20)]


def marked(i: int, keys: tuple[str, str, str]) -> tuple[str, list[dict[str, Any]]]:
    text = TEXT.format(i)
    places = [(text.index(word), text.index(word) + len(word), label) for word, label in (("Anna", "PER"), ("Paris", "LOC"))]
    return text, [dict(zip(keys, (start, end, [label] if keys[2] == "labels" else label))) for start, end, label in places]


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("names", [("content", "entities"), ("sentence", "marks"), ("text", "annotations")])
@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_C008_spans_under_their_own_names(tmp_path: Path, keys: tuple[str, str, str], names: tuple[str, str], ending: str) -> None:
    path, rows = tmp_path / f"d.{ending}", [marked(i, keys) for i in range(12)]
    if ending == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row))) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([names, *((text, json.dumps(spans)) for text, spans in rows)])
    columns = dict(zip(("text", "spans"), names))
    found, problems = to_rows(read(path), task_class("token-classification"), columns, training=True)
    assert not problems and len(found) == 12 and found[0]["text"] == TEXT.format(0)
    assert [span["label"] for span in found[0]["spans"]] == ["PER", "LOC"]
    assert not check(str(path), "ner", columns=columns).of("columns-renamed") + check(str(path), "ner", columns=columns).of(
        "missing-column"
    )


def test_a_name_that_no_file_has_is_still_an_error(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(dict(zip(("text", "entities"), marked(i, KEYS[0])))) + "\n" for i in range(9)))
    _, problems = to_rows(read(path), task_class("token-classification"), {"text": "text", "spans": "entitys"})
    assert len(problems) == 1 and "there is no column 'entitys'" in problems[0].reason


def pairs_in(path: Path) -> Path:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"id": list(range(20)), "translation": PAIRS}), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as stream:  # as json and as pandas write it
            csv.writer(stream).writerows([("id", "translation"), *((i, str(p) if i % 2 else json.dumps(p)) for i, p in enumerate(PAIRS))])
    else:
        path.write_text("".join(json.dumps({"id": i, "translation": pair}) + "\n" for i, pair in enumerate(PAIRS)))
    return path


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_C071_translation_objects_from_every_format(tmp_path: Path, ending: str) -> None:
    table = read(pairs_in(tmp_path / f"d.{ending}"))
    assert table.columns == ["id", "source", "target"] and len(table) == 20
    assert (table[3]["source"], table[3]["target"]) == ("good day number 3", "guten Tag Nummer 3") and table.origin(3).row == 4
    assert from_table(table).task == "translation" and from_table(table).columns == {"source": "source", "target": "target"}
    for columns in ({"source": "translation.de", "target": "translation.en"}, {"source": "de", "target": "en"}):
        rows, problems = to_rows(table, task_class("translation"), columns, training=True)
        assert not problems and (rows[3]["source"], rows[3]["target"]) == ("guten Tag Nummer 3", "good day number 3")


def test_C071_a_row_without_both_languages_is_named(tmp_path: Path) -> None:
    path = pairs_in(tmp_path / "d.csv")
    path.write_text(path.read_text() + '20,"{""en"": ""alone""}"\n21,just text\n')
    with pytest.raises(DataError) as found:
        read(path)
    assert [problem.row for problem in found.value.problems] == [21, 22]


def test_a_column_called_translation_that_holds_text_stays(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,translation\ngood day,guten Tag\n{x},y\n")
    assert read(tmp_path / "d.csv").columns == ["text", "translation"]
