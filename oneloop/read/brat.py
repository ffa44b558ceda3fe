"""brat folders: a .txt file with the text, an .ann file beside it with the marks.

In:  pairs of files `NAME.txt` and `NAME.ann`
Out: a Table with text, spans and document; spans in several pieces are reported and left out
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from oneloop.errors import DataError, Problem
from oneloop.read.decoding import find_encoding, text_stream
from oneloop.read.files import Options
from oneloop.read.offsets import converted, find_unit
from oneloop.read.sources import Part
from oneloop.read.table import Cells, Table

if TYPE_CHECKING:
    from oneloop.read.folders import Item


def read_brat(items: Sequence[Item], name: str, options: Options) -> Table:
    """One row for each pair of files. A document with a broken mark is a problem; relations, events and notes are counted."""
    texts = {item.path.with_suffix(""): item for item in items if item.path.suffix == ".txt"}
    marks = {item.path.with_suffix(""): item for item in items if item.path.suffix == ".ann"}
    if not texts:
        raise DataError("holds .ann files without their .txt files", where=name, expected="NAME.txt beside NAME.ann")
    rows: list[Cells] = []
    files: list[str] = []
    table = Table(rows, ["text", "spans", "document"], format="brat")
    table.problems = [_alone(marks[stem].part) for stem in sorted(marks) if stem not in texts]
    others = pieces = 0
    for stem in sorted(texts)[: options.max_rows]:
        text = _text(texts[stem].part, options.encoding)
        reader = _Marks(marks[stem].part if stem in marks else None, text, options.encoding)
        others, pieces = others + reader.others, pieces + reader.pieces
        table.problems += reader.problems
        if not any(problem.row for problem in reader.problems):
            rows.append({"text": text, "spans": reader.spans, "document": stem.name})
            files.append(texts[stem].part.name)
    table = _finished(table, rows, files)
    if pieces:
        table.notes.append(f"{name}: {pieces} marks in several pieces were left out; a tag per word cannot say them")
    if others:
        table.notes.append(f"{name}: {others} relations, events, attributes and notes are not read")
    return table


def _finished(table: Table, rows: list[Cells], files: list[str]) -> Table:
    found = Table(rows, table.columns, format="brat", numbers=array("q", [1] * len(rows)))
    found.set_files(files)
    found.problems = table.problems
    return found


def _alone(part: Part) -> Problem:
    return Problem("has no .txt file beside it", "add the text under the same name", file=part.name)


def _text(part: Part, encoding: str | None) -> str:
    text = text_stream(part.open(), find_encoding(part.open(), part.name, encoding)).read()
    part.close()
    return text


class _Marks:
    """The T lines of one .ann file as spans, checked against the text."""

    def __init__(self, part: Part | None, text: str, encoding: str | None) -> None:
        self.spans: list[dict[str, Any]] = []
        self.problems: list[Problem] = []
        self.others = self.pieces = 0
        self.name = part.name if part else ""
        self.text = text
        if part is None:
            return
        marked = []
        for number, line in enumerate(_text(part, encoding).splitlines(), 1):
            if line.startswith("T"):
                marked.append((number, self._mark(line, number)))
            elif line.strip():
                self.others += 1
        self._settle([(number, span) for number, span in marked if span])

    def _mark(self, line: str, number: int) -> dict[str, Any] | None:
        try:
            _, place, surface = line.split("\t", 2)
            label, offsets = place.split(" ", 1)
            pieces = [tuple(map(int, piece.split())) for piece in offsets.split(";")]
            if any(len(piece) != 2 or piece[0] >= piece[1] for piece in pieces):
                raise ValueError
        except ValueError:
            self._bad("the mark is not written as T1<tab>Label start end<tab>words", number)
            return None
        if len(pieces) > 1 and any(self.text[a[1] : b[0]].strip(" \r\n\t") for a, b in pairwise(pieces)):
            self.pieces += 1
            self.problems.append(Problem("a mark in several pieces is left out", "mark one piece", file=self.name, line=number))
            return None
        return {"start": pieces[0][0], "end": pieces[-1][1], "label": label, "text": surface.rstrip("\r") if len(pieces) == 1 else ""}

    def _bad(self, reason: str, line: int) -> None:
        self.problems.append(Problem(reason, "correct the line", file=self.name, row=1, line=line))

    def _settle(self, marked: list[tuple[int, dict[str, Any]]]) -> None:
        for _, span in marked:
            span["text"] = span["text"] if "\n" not in self.text[span["start"] : span["end"]] else ""
        unit = find_unit([(self.text, [span for _, span in marked])])
        for number, span in marked:
            if unit is None and span["text"] and self.text[span["start"] : span["end"]] != span["text"]:
                there = self.text[span["start"] : span["end"]]
                self._bad(f"the mark says {span['text'][:40]!r}, the text there is {there[:40]!r}", number)
            elif span["end"] > len(self.text) and unit == "code points":
                self._bad(f"the mark ends at {span['end']}, the text has {len(self.text)} characters", number)
        self.spans = converted(self.text, [span for _, span in marked], unit or "code points")
