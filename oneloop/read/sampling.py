"""A look into a source of any size: the beginning and a few places further on, in a second.

In:  a source
Out: a Table of some rows, marked as sampled where it is not everything
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

from oneloop.errors import DataError
from oneloop.keyed import generator
from oneloop.read.detect import detect
from oneloop.read.files import Options, cut, picked, read_plain
from oneloop.read.frames import is_rows, table_of
from oneloop.read.places import Source, load
from oneloop.read.sources import ARCHIVE, Part, packing, unpacked
from oneloop.read.table import Table, joined

SMALL = 4 << 20  # bytes: smaller files are read whole
HEAD = 1 << 20
PLACES, PLACE = 8, 32 << 10  # further places looked at, bytes of each
BLANK = re.compile(r": ([\d,]+) blank lines? skipped")  # in a reader's note
BY_LINE = ("csv", "tsv", "jsonl", "txt")


def sample(source: Source | Any, rows: int = 200, *, format: str | None = None, encoding: str | None = None) -> Table:
    """Up to `rows` rows of a source: half from its beginning, half from keyed places (always the same ones). Bad rows stay in
    `table.problems`. Large files are not read whole; the notes say so."""
    if is_rows(source):
        return _spread(table_of(source, Options()), rows)
    path = Path(source).expanduser()
    if path.is_file():
        part = Part(str(source), path)
        try:
            if packing(part.head(512)) not in ARCHIVE:
                return _sample_file(part, rows, Options(format, encoding))
        finally:
            part.close()
    whole = path.is_file() or (path.is_dir() and _bytes_in(path) <= SMALL)
    tables = load(source, Options(format, encoding, max_rows=None if whole else rows))
    table = tables.get("train") or next(iter(tables.values()))
    return _spread(table, rows)


def _bytes_in(folder: Path) -> int:
    total = 0
    for top, _, names in os.walk(folder):
        total += sum((Path(top) / name).stat().st_size for name in names)
        if total > SMALL:
            break
    return total


def _spread(table: Table, rows: int) -> Table:
    """The first half and a keyed half of the rest of a table that was read."""
    if len(table) <= rows:
        return table
    first = rows // 2
    rest = generator("sample", len(table)).choice(len(table) - first, size=rows - first, replace=False) + first
    found = picked(table, [*range(first), *sorted(int(i) for i in rest)])
    found.sampled = True
    found.notes.append(f"{table.file}: {len(found)} of {len(table)} rows looked at")
    return found


def _sample_file(part: Part, rows: int, options: Options) -> Table:
    packed = bool(packing(part.head(512)))
    plain = unpacked(part, SMALL + 1)[0] if packed else part
    try:
        return _sample_plain(plain, packed, rows, options)
    finally:
        plain.close()


def _sample_plain(plain: Part, packed: bool, rows: int, options: Options) -> Table:
    if plain.size() <= SMALL:
        return _spread(read_plain(plain, options), rows)
    found = detect(plain, options.encoding, limit=HEAD)
    if found.format in ("parquet", "arrow", "pdf", "docx", "xlsx"):
        table = read_plain(plain, Options(options.format, options.encoding, max_rows=rows))
    else:
        table = _ends(plain, found.format, rows, options, places=not packed and options.format is None)
    table.sampled = True
    table.notes.append(f"{plain.name}: a sample of {len(table)} rows; the file was not read whole")
    return table


def _ends(part: Part, format: str, rows: int, options: Options, places: bool) -> Table:
    """Rows of the beginning of a text file and, where rows are lines, of places further on."""
    wide = detect(part, options.encoding, limit=HEAD).found.encoding.startswith(("utf-16", "utf-32"))
    head = _head(part, wide)
    first = read_plain(Part(part.name, file=io.BytesIO(head)), Options(options.format, options.encoding, whole=False))
    whole_lines = format in BY_LINE and not wide and len(first) >= head.count(b"\n") - 2 - _blank(first)
    if not places or not whole_lines:
        return cut(first, rows)
    tables = [cut(first, max(1, rows // 2))]
    header = head[: head.find(b"\n") + 1] if format in ("csv", "tsv") and not first.columns[0].isdecimal() else b""
    each = max(1, -(-(rows - len(tables[0])) // PLACES))
    for at, line in _places(part):
        try:
            found = read_plain(Part(part.name, file=io.BytesIO(header + at)), Options(first.format, options.encoding, max_rows=each))
        except DataError:  # a place that cannot be read alone says nothing about the file
            tables[0].notes.append(f"{part.name}: lines from {line} on could not be looked at")
            continue
        if found.columns == first.columns or format == "jsonl":
            tables.append(_moved(found, line, header))
    return cut(joined(tables, first.format), rows)


def _blank(table: Table) -> int:
    found = [BLANK.search(note) for note in table.notes]
    return sum(int(match[1].replace(",", "")) for match in found if match)


def _head(part: Part, wide: bool) -> bytes:
    head = part.open().read(HEAD)
    end = head.rfind(b"\n")
    return head if wide or end < 0 else head[: end + 1]


def _places(part: Part) -> list[tuple[bytes, int]]:
    """(whole lines, number of the first one) at keyed places behind the beginning. Lines are counted on the way."""
    size = part.size()
    spots = sorted(int(spot) for spot in generator("sample", size).integers(HEAD, max(HEAD + 1, size - PLACE), PLACES))
    file = part.open()
    position, line = 0, 1
    found = []
    for spot in spots:
        while position < spot:
            block = file.read(min(1 << 20, spot - position))
            if not block:
                break
            position += len(block)
            line += block.count(b"\n")
        piece = file.read(PLACE)
        file.seek(position)
        start, end = piece.find(b"\n"), piece.rfind(b"\n")
        if 0 <= start < end:
            found.append((piece[start + 1 : end + 1], line + 1))
    return found


def _moved(table: Table, line: int, header: bytes) -> Table:
    """A table read from the middle, its lines (and where rows are lines, its rows) counted from the start of the file."""
    shift = line - (2 if header else 1)
    lines = [(table.origin(i).line or 1) + shift for i in range(len(table))]
    moved = Table(table.rows, table.columns, file=table.file, format=table.format, numbers=[at - bool(header) for at in lines], lines=lines)
    return moved
