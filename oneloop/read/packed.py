"""Rows as bytes: a file of millions of rows stays in memory as what its cells hold, not as Python objects.

In:  dicts, one after the other: cells of a file, role rows, features
Out: a sequence that gives each of them back, equal and of the same types, when it is asked for

A row is its cells as text, parted by zero characters, in one buffer, and 8 bytes that say where it ends. What its fields are
called and how each cell is written is kept once for all rows alike. A text that repeats the one in the same field of the row
before (a file's name, a passage with several questions) is kept at most twice. Lists of whole numbers (token ids) lie in arrays
of 1, 2, 4 or 8 bytes a number. What cannot be written exactly (arrays, tuples) is kept as it is. What is given out otherwise is
a copy: changing it changes nothing here.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

Item = dict[str, Any]
Shape = tuple[tuple[str, ...], str]  # the names of the fields, and how the cell of each is written, a letter each
SHARED_FROM = 16  # characters from which a repeated text is kept once; a reference takes a few
PARTS = "\0"  # stands between two cells; a text that holds it is written as JSON
TEXT, INTEGER, FLOAT, JSON, REPEATED, OBJECT = "sifjro"
WIDTHS = {"b": 1 << 7, "h": 1 << 15, "l": 1 << 31, "q": 1 << 63}  # letter of a list of whole numbers -> what these are below
CODES = {"b": "b", "h": "h", "l": "i", "q": "q"}  # … -> its array's type
ATOMS = {str, int, float, bool, type(None)}
_write = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class PackedRows(Sequence[Item]):
    """A sequence of dicts that grows at its end."""

    def __init__(self, rows: Iterable[Item] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])
        self._kinds = array("i")  # the shape of each row
        self._shapes: list[Shape] = []
        self._numbers: dict[Shape, int] = {}
        self._objects: list[Any] = []  # repeated texts, and what cannot be written
        self._lists = {letter: array(code) for letter, code in CODES.items()}
        self._last: dict[str, tuple[str, int]] = {}  # field -> its last long text and the number of that in `_objects`, or -1
        for row in rows:
            self.append(row)

    def append(self, row: Item) -> None:
        """Add one row."""
        self.add(tuple(row), row.values())

    def add(self, names: tuple[str, ...], values: Iterable[Any]) -> None:
        """Add one row as its field names and its values."""
        kinds, cells = "", []
        for name, value in zip(names, values):
            kind, cell = self._text(name, value) if type(value) is str else self._other(value)
            kinds += kind
            cells.append(cell)
        self._bytes += PARTS.join(cells).encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))
        self._kinds.append(self._number((names, kinds)))

    def extend_texts(self, names: tuple[str, ...], records: Iterable[Sequence[str]]) -> None:
        """Add rows of nothing but texts, fast: repeated ones are not looked for."""
        buffer, ends, parts = self._bytes, self._ends, len(names) - 1
        number = self._number((names, TEXT * len(names)))
        for record in records:
            line = PARTS.join(record)
            if line.count(PARTS) != parts:
                self.add(names, record)
                continue
            buffer += line.encode("utf-8", "surrogatepass")
            ends.append(len(buffer))
            self._kinds.append(number)

    def _number(self, shape: Shape) -> int:
        number = self._numbers.get(shape)
        if number is None:
            number = self._numbers[shape] = len(self._shapes)
            self._shapes.append(shape)
        return number

    def _text(self, name: str, value: str) -> tuple[str, str]:
        """The letter and the writing of a text."""
        if len(value) >= SHARED_FROM:
            text, number = self._last.get(name, ("", -1))
            if text == value:
                if number < 0:
                    number = len(self._objects)
                    self._objects.append(value)
                    self._last[name] = value, number
                return REPEATED, str(number)
            self._last[name] = value, -1
        return (JSON, _write(value)) if PARTS in value else (TEXT, value)

    def _other(self, value: Any) -> tuple[str, str]:
        """The letter and the writing of a value that is no text."""
        if type(value) is int and -WIDTHS["q"] <= value < WIDTHS["q"]:
            return INTEGER, str(value)
        if type(value) is float:
            return FLOAT, repr(value)
        if type(value) is list and value and set(map(type, value)) == {int}:
            low, high = min(value), max(value)
            for letter, limit in WIDTHS.items():
                if -limit <= low and high < limit:
                    kept = self._lists[letter]
                    kept.extend(value)
                    return letter, f"{len(kept) - len(value)} {len(kept)}"
        if exact(value):
            return JSON, _write(value)
        self._objects.append(value)
        return OBJECT, str(len(self._objects) - 1)

    def _read(self, kind: str, cell: str) -> Any:
        """The value that was written so."""
        if kind == TEXT:
            return cell
        if kind == INTEGER:
            return int(cell)
        if kind in WIDTHS:
            start, end = cell.split(" ")
            return self._lists[kind][int(start) : int(end)].tolist()
        if kind == FLOAT:
            return float(cell)
        return json.loads(cell) if kind == JSON else self._objects[int(cell)]

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
        return f"PackedRows({len(self)} rows, {len(self._bytes)} bytes)"

    def _row(self, position: int) -> Item:
        cells = self._bytes[self._ends[position] : self._ends[position + 1]].decode("utf-8", "surrogatepass").split(PARTS)
        names, kinds = self._shapes[self._kinds[position]]
        return {name: cell if kind == TEXT else self._read(kind, cell) for name, kind, cell in zip(names, kinds, cells)}

    def take(self, positions: Iterable[int]) -> PackedRows:
        """A new sequence of the rows at `positions`, in that order; nothing is unpacked."""
        found = PackedRows()
        found._shapes, found._numbers = list(self._shapes), dict(self._numbers)
        found._objects, found._lists = self._objects, self._lists  # these only grow: what refers to them stays right
        for position in positions:
            found._bytes += self._bytes[self._ends[position] : self._ends[position + 1]]
            found._ends.append(len(found._bytes))
            found._kinds.append(self._kinds[position])
        return found

    def column(self, name: str) -> list[Any]:
        """The value of one field in every row, None where a row lacks it."""
        return [row.get(name) for row in self]

    def lists(self) -> list[list[Any]]:
        """The values of every row, without the names of their fields."""
        return [list(row.values()) for row in self]


def exact(value: Any) -> bool:
    """Whether JSON gives a value back as it was, types included."""
    if type(value) is list:
        return set(map(type, value)) <= ATOMS or all(map(exact, value))
    if type(value) is dict:
        return set(map(type, value)) <= {str} and all(map(exact, value.values()))
    return type(value) in ATOMS


def packed(rows: Iterable[Item]) -> PackedRows:
    """The rows, packed unless they are already."""
    return rows if isinstance(rows, PackedRows) else PackedRows(rows)


def kept(rows: Sequence[Item], positions: Iterable[int]) -> Sequence[Item]:
    """The rows at `positions`: packed where the given ones are, else a list of them."""
    return rows.take(positions) if isinstance(rows, PackedRows) else [rows[i] for i in positions]
