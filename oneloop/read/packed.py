"""Rows as bytes: a file of millions of rows stays in memory as what its cells hold, not as Python objects.

In:  dicts, one after the other: cells of a file, role rows, features
Out: a sequence that gives each of them back, equal and of the same types, when it is asked for

A row is its values, pickled, in one buffer, and 8 bytes that say where it ends. The names of its fields are kept once. A text
that repeats the one in the same field of the row before (a file's name, a passage with several questions) is kept at most
twice. What is given out is a copy: changing it changes nothing here.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

Item = dict[str, Any]
SHARED_FROM = 16  # characters from which a repeated text is kept once; a reference takes up to 5 bytes


class PackedRows(Sequence[Item]):
    """A sequence of dicts that grows at its end."""

    def __init__(self, rows: Iterable[Item] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])
        self._shapes: list[tuple[tuple[str, ...], tuple[int, ...]]] = []  # names of the fields, and which of them are references
        self._numbers: dict[tuple[tuple[str, ...], tuple[int, ...]], int] = {}
        self._texts: list[str] = []  # what references point to
        self._last: dict[str, tuple[str, int]] = {}  # field -> its last long text and the number of that in `_texts`, -1 for none
        for row in rows:
            self.append(row)

    def append(self, row: Item) -> None:
        """Add one row."""
        self.add(tuple(row), list(row.values()))

    def add(self, names: tuple[str, ...], values: list[Any]) -> None:
        """Add one row as its field names and its values; `values` is used up."""
        references: tuple[int, ...] = ()
        for place, value in enumerate(values):
            if type(value) is str and len(value) >= SHARED_FROM:
                text, number = self._last.get(names[place], ("", -1))
                if text != value:
                    self._last[names[place]] = value, -1
                    continue
                if number < 0:
                    number = len(self._texts)
                    self._texts.append(value)
                    self._last[names[place]] = value, number
                values[place] = number
                references += (place,)
        shape = names, references
        kind = self._numbers.get(shape)
        if kind is None:
            kind = self._numbers[shape] = len(self._shapes)
            self._shapes.append(shape)
        values.append(kind)
        self._bytes += pickle.dumps(values, pickle.HIGHEST_PROTOCOL)
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self._row(i) for i in range(*index.indices(len(self)))]
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"row {index} of {count}")
        return self._row(index % count)

    def __iter__(self) -> Iterator[Item]:
        position = 0
        while position < len(self):  # like a list, it may grow while it is read
            yield self._row(position)
            position += 1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PackedRows({len(self)} rows, {self.size()} bytes)"

    def _row(self, position: int) -> Item:
        with memoryview(self._bytes)[self._ends[position] : self._ends[position + 1]] as piece:
            values = pickle.loads(piece)
        names, references = self._shapes[values.pop()]
        for place in references:
            values[place] = self._texts[values[place]]
        return dict(zip(names, values))

    def take(self, positions: Iterable[int]) -> PackedRows:
        """A new sequence of the rows at `positions`, in that order; nothing is unpacked."""
        found = PackedRows()
        found._shapes, found._numbers, found._texts = list(self._shapes), dict(self._numbers), list(self._texts)
        view = memoryview(self._bytes)
        for position in positions:
            found._bytes += view[self._ends[position] : self._ends[position + 1]]
            found._ends.append(len(found._bytes))
        return found

    def column(self, name: str) -> list[Any]:
        """The value of one field in every row, None where a row lacks it."""
        return [row.get(name) for row in self]

    def lists(self) -> list[list[Any]]:
        """The values of every row, without the names of their fields."""
        return [list(row.values()) for row in self]

    def size(self) -> int:
        """Bytes that the rows take here, repeated texts included."""
        return len(self._bytes) + self._ends.itemsize * len(self._ends) + sum(map(len, self._texts))


def packed(rows: Iterable[Item]) -> PackedRows:
    """The rows, packed unless they are already."""
    return rows if isinstance(rows, PackedRows) else PackedRows(rows)


def kept(rows: Sequence[Item], positions: Iterable[int]) -> Sequence[Item]:
    """The rows at `positions`: packed where the given ones are, else a list of them."""
    return rows.take(positions) if isinstance(rows, PackedRows) else [rows[i] for i in positions]
