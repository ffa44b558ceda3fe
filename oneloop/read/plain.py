"""Plain text: a row for each line that is not empty; folders of texts: a row for each file; parallel files: a row for each pair.

In:  one or several Parts with text
Out: a Table with the column `text` (and `document`, `label`), or `source` and `target`
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import PurePosixPath

from oneloop.errors import DataError, Problem, counted, first_rows
from oneloop.read.decoding import Found, find_encoding, text_stream
from oneloop.read.packed import PackedRows
from oneloop.read.sources import Part
from oneloop.read.table import ColumnRows, Table


def read_lines(part: Part, found: Found, *, max_rows: int | None = None) -> Table:
    """One row for each line that holds more than white space; the text of a line is kept without its end."""
    texts = PackedRows()
    lines = array("q")
    blank = array("q")
    for number, line in enumerate(text_stream(part.open(), found), 1):
        if max_rows is not None and len(texts) >= max_rows:
            break
        line = line.rstrip("\r\n")
        if line.strip():
            texts.extend_texts(("text",), [[line]])
            lines.append(number)
        else:
            blank.append(number)
    table = Table(texts, ["text"], file=part.name, format="txt", lines=lines)
    table.notes = list(found.notes)
    if blank:
        at = first_rows((("", number) for number in blank), "line")
        table.notes.append(f"{part.name}: {counted(len(blank), 'blank line')} skipped ({at})")
    if not texts:
        table.problems.append(Problem("holds no text", "write at least one line", file=part.name))
    return table


def read_documents(parts: Sequence[Part], labels: Sequence[str] | None = None, *, encoding: str | None = None) -> Table:
    """One row for each file: its whole text, its name as `document`, and with `labels` its class (the folder's name)."""
    texts, names, notes = [], [], []
    for part in parts:
        found = find_encoding(part.open(), part.name, encoding)
        texts.append(text_stream(part.open(), found).read())
        names.append(PurePosixPath(part.name).name)
        notes += found.notes
        part.close()
    columns = {"text": texts, "document": names} | ({"label": list(labels)} if labels else {})
    table = Table(ColumnRows(list(columns), list(columns.values())), list(columns), format="txt", numbers=array("q", [1] * len(texts)))
    table.set_files([part.name for part in parts])
    table.notes = [*notes, f"{len(parts)} text files, one row each"]
    return table


def read_parallel(
    source: Part, target: Part, languages: Sequence[str], *, encoding: str | None = None, max_rows: int | None = None
) -> Table:
    """One row for each pair of lines. Pairs of empty lines are skipped; DataError if one file has more lines. languages: none where
    the two sides differ in style."""
    streams = [text_stream(part.open(), find_encoding(part.open(), part.name, encoding)) for part in (source, target)]
    pairs: tuple[list[str], list[str]] = ([], [])
    lines = array("q")
    count, blank = [0, 0], array("q")
    for number, both in enumerate(zip_longest(*streams), 1):
        for side, line in enumerate(both):
            count[side] += line is not None
        one, other = ((line or "").rstrip("\r\n") for line in both)
        if not one.strip() and not other.strip():
            blank.append(number)
        elif max_rows is None or len(lines) < max_rows:
            pairs[0].append(one)
            pairs[1].append(other)
            lines.append(number)
    if count[0] != count[1]:
        shorter = (source, target)[count[0] > count[1]]
        problem = Problem(f"{source.name} has {count[0]} lines, {target.name} has {count[1]}", file=shorter.name, line=min(count) + 1)
        raise DataError("files aligned line by line differ in length", [problem], fix="align them again; each line needs its partner")
    table = Table(
        ColumnRows(["source", "target"], pairs), ["source", "target"], file=source.name, format="parallel", numbers=lines, lines=lines
    )
    said = f"languages {', '.join(languages)}" if languages else "each line says what its partner says"
    turned = "" if languages else "; columns source=target and target=source turn them round"
    table.notes.append(f"{source.name} and {target.name} read line by line; {said}, the first is the source{turned}")
    source.close()
    target.close()
    if blank:
        pairs_of = counted(len(blank), "pair of blank lines", "pairs of blank lines")
        table.notes.append(f"{pairs_of} skipped ({first_rows((('', number) for number in blank), 'line')})")
    return table
