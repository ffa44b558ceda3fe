"""A list column as rows: one for each item, as `pandas.DataFrame.explode` does it.

In:  {"title": "Crash", "comments": ["Same here", "Fixed"]}, "comments"
Out: {"title": "Crash", "comments": "Same here"}, {"title": "Crash", "comments": "Fixed"}

In a recipe it is a cleaner, `clean: [explode:comments]`, done before the columns are named; a table's new rows are numbered anew
and hold the number of the row they came from in `source_row`, so that they stay in one split. An empty list gives one row with an
empty cell. An item that is an object becomes columns: `comments.body`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from oneloop.errors import DataError, did_you_mean
from oneloop.read.cells import unwritten
from oneloop.read.packed import PackedRows
from oneloop.read.table import Table

PREFIX = "explode:"
SOURCE_ROW = "source_row"
Row = dict[str, Any]


def explodes(name: str) -> bool:
    """Whether a cleaner is `explode:COLUMN`."""
    return name.strip().lower().startswith(PREFIX)


def column_of(name: str) -> str:
    """The column of `explode:COLUMN`."""
    return name.strip()[len(PREFIX) :].strip()


def explode_row(row: Row, column: str) -> list[Row]:
    """A row for each item of the list in `column`; the row itself where that is no list."""
    items = unwritten(row.get(column))
    if not isinstance(items, list | tuple):
        return [row]
    found = []
    for item in items or [""]:
        opened = {f"{column}.{key}": value for key, value in item.items()} if isinstance(item, dict) else {column: item}
        found.append({name: value for key, cell in row.items() for name, value in (opened if key == column else {key: cell}).items()})
    return found


def exploded(table: Table, column: str) -> Table:
    """The table with a row for each item in the lists of `column`. DataError where there is no such column, or no list in it."""
    if column not in table.columns:
        what = f"there is no column '{column}' to explode{did_you_mean(column, table.columns)}"
        raise DataError(what, where=table.file, expected="one of " + ", ".join(table.columns))
    if len(table) and not any(isinstance(unwritten(cell), list | tuple) for cell in table.column(column)):
        raise DataError(f"the column '{column}' holds no lists", where=table.file, expected="a column of lists", fix="name that column")
    rows, numbers, lines, files = PackedRows(), array("q"), array("q"), []
    counts: Counter[str] = Counter()
    for i, row in enumerate(table):
        at = table.origin(i)
        for one in explode_row(row, column):
            counts[at.file] += 1
            rows.append({SOURCE_ROW: at.row} | one)
            numbers.append(counts[at.file])
            lines.append(at.line or 0)
            files.append(at.file)
    columns = list(dict.fromkeys(name for row in rows for name in row if name != SOURCE_ROW))
    found = Table(rows, [*columns, SOURCE_ROW], file=table.file, format=table.format, numbers=numbers, lines=lines)
    found.set_files(files)
    found.notes = [*table.notes, f"{PREFIX}{column}: {len(table)} rows in, {len(rows)} out"]
    found.problems, found.names, found.related = list(table.problems), table.names, table.related
    found.sampled, found.aliases = table.sampled, dict(table.aliases)
    return found


def explode_all(table: Table, clean: Iterable[str], note: Callable[[str], None], split: str) -> Table:
    """The table after every `explode:COLUMN` among the names of cleaners; `note` is told how many rows each made of how many."""
    for name in filter(explodes, clean):
        table = exploded(table, column_of(name))
        note(f"{table.notes[-1]} ({split})")
    return table
