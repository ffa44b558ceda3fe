"""A source of any size, block by block: what is held in memory is one block.

In:  a source
Out: Tables of at most so many rows, in order, each row with its place and each block with its own problems

Delimited files, JSON lines, text lines, column files and parquet are read as they are needed. Everything else (one JSON
document, exports, archives, folders, office files, the Hub) is read whole and handed out in blocks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from oneloop.errors import DataError
from oneloop.read import columnar, conll, delimited
from oneloop.read.decoding import Found, text_stream
from oneloop.read.detect import Detected, detect
from oneloop.read.files import Options, holds_words, picked
from oneloop.read.json_rows import Collector, collect_lines
from oneloop.read.places import Source, load
from oneloop.read.shapes import flatten
from oneloop.read.sources import ARCHIVE, Part, packing, unpacked
from oneloop.read.table import ColumnRows, Table


def blocks(source: Source, size: int) -> Iterator[Table]:
    """Tables of at most `size` rows. Unusable rows are in the `problems` of their block; a problem without a row number
    is one of the whole file. In text files every line is a row, empty ones too, so that output and input have as many lines."""
    path = Path(source).expanduser()
    part = Part(str(source), path)
    try:
        if path.is_file() and packing(part.head(512)) not in ARCHIVE:
            plain = unpacked(part)[0]
            found = _by_block(plain, size)
            if found is not None:
                yield from found
                plain.close()
                return
    finally:
        part.close()
    yield from whole(source, size)


def _by_block(part: Part, size: int) -> Iterator[Table] | None:
    """A reader of the part's format that needs no more than a block, or None."""
    found = detect(part)
    if found.format != "json" and holds_words(part, found):
        return None
    if found.format in ("csv", "tsv"):
        return delimited.delimited_blocks(part, found.found, size, found.dialect)
    if found.format == "txt":
        return text_lines(part, found.found, size)
    if found.format == "parquet":
        return columnar.parquet_blocks(part, size)
    if found.format == "conll" and found.layout is not None:
        return conll.conll_blocks(part, found.found, size, found.layout)
    return _json_lines(part, found, size) if found.format == "jsonl" else None


def text_lines(part: Part, found: Found, size: int) -> Iterator[Table]:
    """A row for each line, whatever it holds."""
    stream, done = text_stream(part.open(), found), 0
    while some := list(islice(stream, size)):
        numbers = range(done + 1, done + 1 + len(some))
        texts = [line.rstrip("\r\n") for line in some]
        yield Table(ColumnRows(["text"], [texts]), ["text"], file=part.name, format="txt", numbers=numbers, lines=numbers)
        done += len(some)


def _json_lines(part: Part, found: Detected, size: int) -> Iterator[Table] | None:
    """A row for each line; None where the first lines are an export that is laid flat as a whole."""
    return None if is_export(part, found.found) else objects(part, found.found, size)


def is_export(part: Part, found: Found) -> bool:
    """Whether the first lines are an export that is laid flat as a whole."""
    first = Collector(part.name)
    collect_lines(islice(enumerate(text_stream(part.open(), found), 1), 200), first)
    return flatten(first.table("jsonl")).format != "jsonl"


def objects(part: Part, found: Found, size: int) -> Iterator[Table]:
    """A row for each line of JSON."""
    lines = enumerate(text_stream(part.open(), found), 1)
    before = Collector(part.name)
    while some := list(islice(lines, size)):
        rows = Collector(part.name)
        rows.row, rows.kind, rows.columns = before.row, before.kind, before.columns
        collect_lines(some, rows)
        before = rows
        yield rows.table("jsonl")


def whole(source: Source, size: int) -> Iterator[Table]:
    """The training split (or the only one) of a source, read at once."""
    tables = load(source, Options())
    table = tables.get("train") or next(iter(tables.values()))
    if not len(table) and not table.problems:
        raise DataError("there are no rows", where=str(source), expected="rows of data")
    numbers = array("q", [table.origin(i).row for i in range(len(table))])
    for start in range(0, max(1, len(table)), size):
        cut = picked(table, range(start, min(start + size, len(table))))
        low, high = (0 if start == 0 else numbers[start]), (numbers[start + size] if start + size < len(table) else None)
        cut.problems = [
            problem for problem in table.problems if problem.row is None or (low <= problem.row and (high is None or problem.row < high))
        ]
        yield cut
