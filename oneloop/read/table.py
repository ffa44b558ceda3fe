"""Rows as they were found: cells untouched, each row knowing its file, its number there and its line.

In:  what a reader parsed, row by row
Out: a `Table`, a sequence of {column: cell} dicts with `columns`, `format`, `notes`, `problems` and `origin(i)`
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from oneloop.errors import DataError, Problem
from oneloop.read.packed import PackedRows

Cells = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """Where a row stands: its `file`, the 1-based number of the data row in it, and its first `line` where lines exist."""

    file: str
    row: int
    line: int | None = None


class ColumnRows(Sequence[Cells]):
    """Rows kept as one list per column; a row's dict is made when it is asked for. Half the memory of a list of dicts."""

    def __init__(self, columns: Sequence[str], cells: Sequence[Sequence[Any]]) -> None:
        self.columns, self.cells = list(columns), list(cells)

    def __len__(self) -> int:
        return len(self.cells[0]) if self.cells else 0

    @overload
    def __getitem__(self, index: int) -> Cells: ...
    @overload
    def __getitem__(self, index: slice) -> list[Cells]: ...
    def __getitem__(self, index: int | slice) -> Cells | list[Cells]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return {name: cells[index] for name, cells in zip(self.columns, self.cells)}

    def __iter__(self) -> Iterator[Cells]:
        for values in zip(*self.cells):
            yield dict(zip(self.columns, values))


class Table(Sequence[Cells]):
    """A sequence of rows from one or several files.

    rows: dicts column -> cell. columns: names in the order found. format: "csv", "jsonl", "conll", … notes: sentences for
    the user (encoding and delimiter found, rows skipped). problems: rows that could not be used; they are not among `rows`.
    names: for columns of class numbers whose names the file holds, the names. related: further tables of a folder that
    belong to this one (BEIR: corpus, queries). aliases: what the file calls columns that were laid flat or renamed -> their
    name here. sampled: whether only a part of the source was read.
    """

    def __init__(
        self,
        rows: Sequence[Cells],
        columns: Sequence[str],
        *,
        file: str = "",
        format: str = "",
        numbers: Sequence[int] | None = None,
        lines: Sequence[int] | None = None,
    ) -> None:
        self.rows = rows
        self.columns = list(columns)
        self.format = format
        self.notes: list[str] = []
        self.problems: list[Problem] = []
        self.names: dict[str, list[str]] = {}
        self.related: dict[str, Table] = {}
        self.aliases: dict[str, str] = {}
        self.sampled = False
        self._numbers = numbers
        self._lines = lines
        self._starts, self._files = [0], [file]

    @property
    def file(self) -> str:
        """The name of the (first) file."""
        return self._files[0]

    @property
    def files(self) -> list[str]:
        """The names of all files, in the order of their rows."""
        return list(dict.fromkeys(self._files))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Cells: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Cells]: ...
    def __getitem__(self, index: int | slice) -> Cells | Sequence[Cells]:
        return self.rows[index]

    def __iter__(self) -> Iterator[Cells]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"Table({self.file!r}, {self.format}, {len(self)} rows, columns {self.columns})"

    def column(self, name: str) -> list[Any]:
        """All cells of one column, None where a row lacks it; DataError if no row has it."""
        if name not in self.columns:
            raise DataError(f"there is no column '{name}'", where=self.file, expected="one of " + ", ".join(self.columns))
        if isinstance(self.rows, ColumnRows):
            return list(self.rows.cells[self.rows.columns.index(name)])
        return [row.get(name) for row in self.rows]

    def to_list(self) -> list[Cells]:
        """The rows as a list of dicts, each with every column: what `pandas.DataFrame` and `Dataset.from_list` take."""
        return [{name: row.get(name) for name in self.columns} for row in self.rows]

    def origin(self, index: int) -> Origin:
        """File, row number and line of row `index`."""
        if index < 0:
            index += len(self)
        piece = bisect_right(self._starts, index) - 1
        number = self._numbers[index] if self._numbers is not None else index - self._starts[piece] + 1
        line = self._lines[index] if self._lines is not None else 0
        return Origin(self._files[piece], number, line or None)

    def set_files(self, names: Sequence[str]) -> None:
        """Say for every row which file it is from."""
        starts = [i for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
        if starts:
            self._starts, self._files = starts, [names[i] for i in starts]

    def problem(self, index: int, reason: str, remedy: str = "", column: str = "") -> Problem:
        """A Problem that names row `index` of this table."""
        at = self.origin(index)
        return Problem(reason, remedy, file=at.file, row=at.row, line=at.line, column=column)

    def raise_problems(self, allowed: int | None = 0) -> None:
        """Raise DataError with every problem if there are more than `allowed` (None: never), or if no row is left."""
        if allowed is None or not self.problems or (len(self.problems) <= allowed and len(self)):
            return
        count = len(self.problems)
        what = f"{count} {'problem' if count == 1 else 'problems'} in the data, {len(self)} rows are usable"
        raise DataError(what, self.problems, where=", ".join(self.files[:3]), fix=fix_for(self))


def fix_for(table: Table) -> str:
    """The remedy that fits the whole table: repair, or allow that many bad rows."""
    if len(table):
        return f"correct these rows, or allow up to {len(table.problems)} bad rows with max_bad"
    return "correct the file"


def joined(tables: Sequence[Table], format: str = "") -> Table:
    """One table from several, rows in order; every row keeps its own file and number. Columns are united."""
    if len(tables) == 1:
        return tables[0]
    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    rows: Sequence[Cells]
    if all(isinstance(table.rows, ColumnRows) and table.columns == columns for table in tables):
        rows = ColumnRows(columns, [[cell for table in tables for cell in table.column(name)] for name in columns])
    else:
        rows = PackedRows(row for table in tables for row in table)
    origins = [table.origin(i) for table in tables for i in range(len(table))]
    result = Table(
        rows,
        columns,
        format=format or tables[0].format,
        numbers=array("q", [at.row for at in origins]),
        lines=array("q", [at.line or 0 for at in origins]),
    )
    result._starts, result._files = _pieces(tables)
    for table in tables:
        result.notes += [note for note in table.notes if note not in result.notes]
        result.problems += table.problems
        result.names |= table.names
        result.aliases |= table.aliases
        result.sampled = result.sampled or table.sampled
    result.notes += _column_differences(tables)
    return result


def _pieces(tables: Iterable[Table]) -> tuple[list[int], list[str]]:
    starts, files, position = [], [], 0
    for table in tables:
        for start, name in zip(table._starts, table._files):
            starts.append(position + start)
            files.append(name)
        position += len(table)
    return starts, files


def _column_differences(tables: Sequence[Table]) -> list[str]:
    first = set(tables[0].columns)
    odd = [table for table in tables[1:] if set(table.columns) != first]
    if not odd:
        return []
    return [f"the columns differ: {tables[0].file} has {', '.join(tables[0].columns)}; {odd[0].file} has {', '.join(odd[0].columns)}"]
