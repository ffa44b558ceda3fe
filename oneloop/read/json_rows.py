"""JSON and JSON lines: one object a line, a list of objects, columns, or one list somewhere inside.

In:  a Part with JSON text
Out: a Table whose cells keep their JSON types; broken lines are problems with their line
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from oneloop.errors import DataError, Problem
from oneloop.read.decoding import Found, text_stream
from oneloop.read.json_text import SPACE, close_early, faults, line_at, parse, parse_at, plain_reason, skip_at
from oneloop.read.sources import Part
from oneloop.read.table import Cells, Table

ROW_KEYS = ("data", "rows", "examples", "records", "items", "instances", "documents", "annotations", "entries", "samples")
SPLIT_KEYS = ("train", "training", "validation", "valid", "val", "dev", "test")
REMEDY = "correct this line"


class Collector:
    """Gathers rows of one kind (objects, lists or plain values) with their places, and the problems of the others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[Cells] = []
        self.numbers, self.lines = array("q"), array("q")
        self.problems: list[Problem] = []
        self.columns: dict[str, None] = {}
        self.kind: type | None = None
        self.row = 0

    def add(self, value: Any, line: int = 0) -> None:
        """One more row; `line` is 0 where lines mean nothing."""
        self.row += 1
        kind = type(value) if isinstance(value, dict | list) else str
        self.kind = self.kind or kind
        if kind is not self.kind:
            words: dict[type, str] = {dict: "an object {…}", list: "a list […]", str: "a plain value"}
            return self._refuse(f"is {words[kind]}, the rows before are {words[self.kind]}", line)
        row: Cells = value if kind is dict else {str(i): cell for i, cell in enumerate(value)} if kind is list else {"0": value}
        self.columns.update(dict.fromkeys(row))
        self.rows.append(row)
        self.numbers.append(self.row)
        self.lines.append(line)

    def bad(self, reason: str, line: int = 0) -> None:
        """A row that cannot be used."""
        self.row += 1
        self._refuse(reason, line)

    def _refuse(self, reason: str, line: int) -> None:
        self.problems.append(Problem(reason, REMEDY, file=self.name, row=self.row, line=line or None))

    def table(self, format: str) -> Table:
        """What was gathered."""
        table = Table(self.rows, list(self.columns), file=self.name, format=format, numbers=self.numbers, lines=self.lines)
        table.problems = self.problems
        return table


def read_jsonl(part: Part, found: Found, *, max_rows: int | None = None) -> Table:
    """One JSON value per line; blank lines are skipped."""
    rows = Collector(part.name)
    collect_lines(enumerate(text_stream(part.open(), found), 1), rows, max_rows)
    table = rows.table("jsonl")
    table.notes = list(found.notes)
    return table


def collect_lines(lines: Iterable[tuple[int, str]], rows: Collector, max_rows: int | None = None) -> None:
    """Add the value of each (line number, text) to `rows`."""
    for number, line in lines:
        if max_rows is not None and len(rows.rows) >= max_rows:
            return
        if not line.strip():
            continue
        try:
            rows.add(parse(line.strip("\ufeff \t\r\n")), number)
        except ValueError as error:
            rows.bad(plain_reason(error), number)


def read_json(part: Part, found: Found, *, max_rows: int | None = None, whole: bool = True) -> tuple[Table, Any]:
    """The rows of a JSON document, and the document itself where it is an object (exports need what surrounds the rows).

    whole: False for the beginning of a long document, which is then closed after its last complete value.
    """
    text = text_stream(part.open(), found).read()
    if not whole:
        text = close_early(text)
    rows = Collector(part.name)
    document: Any = None
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        _collect_list(text, start + 1, rows, max_rows)
    else:
        values = list(_values(text, part.name))
        document = values[0] if len(values) == 1 else None
        splits = splits_in(document)
        for value in next(iter(splits.values())) if splits else values if document is None else find_rows(document, part.name):
            rows.add(value)
    table = rows.table("json")
    table.notes = list(found.notes)
    if document is not None:
        table.related = {split: _table(members, part.name) for split, members in splits.items()}
    return table, document


def _table(values: list[Any], name: str) -> Table:
    rows = Collector(name)
    for value in values:
        rows.add(value)
    return rows.table("json")


def _skip(text: str, position: int) -> int:
    match = SPACE.match(text, position)
    return match.end() if match else position


def _collect_list(text: str, position: int, rows: Collector, max_rows: int | None) -> None:
    """The items of a list, one by one, so that each has its line and a bad one does not hide the others."""
    line, counted = 1, 0
    position = _skip(text, position)
    while text[position : position + 1] != "]":
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, end = parse_at(text, position)
            rows.add(value, line)
        except json.JSONDecodeError as error:
            rows.bad(plain_reason(error) + "; the rest of the file cannot be read", error.lineno)
            return
        except ValueError as error:
            rows.bad(plain_reason(error), line)
            end = skip_at(text, position)
            if end < 0:
                return
        if max_rows is not None and len(rows.rows) >= max_rows:
            return
        position = _skip(text, end)
        mark = text[position : position + 1]
        if mark not in (",", "]"):
            rows.bad("the JSON text ends too early" if not mark else f"expected a comma or ], found {mark}", line_at(text, position))
            return
        position = _skip(text, position + 1) if mark == "," else position
    after = _skip(text, position + 1)
    if after < len(text):
        rows.bad("text follows the end of the list", line_at(text, after))


def _values(text: str, name: str) -> Iterator[Any]:
    """The values that follow each other in a text (one for a proper JSON document)."""
    position = _skip(text.removeprefix("\ufeff"), 0)
    while position < len(text):
        try:
            value, end = parse_at(text, position)
        except json.JSONDecodeError as error:
            raise DataError("not valid JSON", [Problem(plain_reason(error), REMEDY, file=name, line=error.lineno)], where=name) from error
        except ValueError as error:
            found = faults(text) or [(line_at(text, position), plain_reason(error))]
            raise DataError("not valid JSON", [Problem(why, REMEDY, file=name, line=at) for at, why in found], where=name) from error
        yield value
        position = _skip(text, end)


def find_rows(document: Any, name: str) -> list[Any]:
    """The rows inside a JSON object: under `data` and the like, as columns, as a table with `columns`, by key, or the one
    list of objects in it. DataError if it holds several lists and none is named as usual."""
    if not isinstance(document, dict):
        return [document]
    for tabular in (_split_orient, _column_lists, _column_objects):
        if (rows := tabular(document)) is not None:
            return rows
    named = [document[key] for key in ROW_KEYS if _is_rows(document.get(key))]
    if named:
        return list(named[0])
    found = list(_row_lists(document, ""))
    if len(found) > 1:
        paths = ", ".join(path for path, _ in found)
        raise DataError(
            f"holds several lists of rows: {paths}", where=name, expected="one list", fix="save the one you mean as its own file"
        )
    if found:
        return list(found[0][1])
    if len(document) > 1 and all(isinstance(value, dict) for value in document.values()):
        return [{"id": key} | value for key, value in document.items()]
    if len(document) > 20 and all(not isinstance(value, dict | list) for value in document.values()):
        return [{"id": key, "value": value} for key, value in document.items()]
    return [document] if document else []


def splits_in(document: Any) -> dict[str, list[Any]]:
    """{"train": [...], "test": [...]} where a document is made of splits, else {}."""
    if isinstance(document, dict) and document and all(key in SPLIT_KEYS and _is_rows(value) for key, value in document.items()):
        return document
    return {}


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict | list)


def _row_lists(value: Any, path: str) -> Iterator[tuple[str, list[Any]]]:
    """(path, list) of the outermost lists of objects in a document."""
    for key, inner in value.items():
        here = f"{path}.{key}".strip(".")
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield here, inner
        elif isinstance(inner, dict):
            yield from _row_lists(inner, here)


def _split_orient(document: Cells) -> list[Any] | None:
    """{"columns": [names], "data": [[cells], …]}, or {"columns": {name: [cells]}}."""
    columns, data = document.get("columns"), document.get("data", document.get("rows"))
    if isinstance(columns, dict):
        return _column_lists(columns) or _column_objects(columns)
    if not isinstance(columns, list) or not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        return None
    names = [column.get("name", str(i)) if isinstance(column, dict) else str(column) for i, column in enumerate(columns)]
    return [dict(zip(names, row)) if len(row) == len(names) else row for row in data]


def _column_lists(document: Cells) -> list[Any] | None:
    """{"text": [cells], "label": [cells]}: every value a list of the same length (two columns at least)."""
    values = list(document.values())
    if len(values) < 2 or not all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        return None
    if all(_is_rows(value) and isinstance(value[0], dict) for value in values):
        return None
    return [dict(zip(document, cells)) for cells in zip(*values)]


def _column_objects(document: Cells) -> list[Any] | None:
    """{"text": {"0": cell, "1": cell}, "label": {…}}: every value an object with the same row numbers as keys."""
    values = list(document.values())
    if not values or not all(isinstance(value, dict) and value for value in values):
        return None
    keys = list(values[0])
    if not all(key.isdigit() for key in keys) or not all(list(value) == keys for value in values):
        return None
    return [{name: cells[key] for name, cells in document.items()} for key in keys]
