"""fastText's training files: `__label__x __label__y some text`, one or several labels before the text of each line.

In:  a Part with such lines
Out: a Table with `text` and `label`, or `labels` (a list) where a line has several
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Sequence

from oneloop.errors import Problem, counted, first_rows
from oneloop.read.decoding import Found, text_stream
from oneloop.read.sources import Part
from oneloop.read.table import ColumnRows, Table

PREFIX = "__label__"
START = re.compile(rf"\s*((?:{PREFIX}\S+\s*)+)")
SHARE = 0.9  # share of the lines that begin with a label


def is_fasttext(lines: Sequence[str]) -> bool:
    """Whether (nearly) all of these lines begin with a label."""
    return bool(lines) and sum(line.lstrip("\ufeff \t").startswith(PREFIX) for line in lines) >= SHARE * len(lines)


def read_fasttext(part: Part, found: Found, *, max_rows: int | None = None) -> Table:
    """A row for each line that is not blank; its labels stand before the text, in the order written. A line of labels without
    text is a problem; one without labels has none."""
    texts: list[str] = []
    labels: list[list[str]] = []
    lines, blank = array("q"), array("q")
    numbers, problems = array("q"), []
    row = 0
    for number, line in enumerate(text_stream(part.open(), found), 1):
        if max_rows is not None and len(texts) >= max_rows:
            break
        if not line.strip():
            blank.append(number)
            continue
        row += 1
        start = START.match(line)
        text = line[start.end() :].strip() if start else line.strip()
        if not text:
            problems.append(Problem("labels without a text", "write the text behind them", file=part.name, row=row, line=number))
            continue
        texts.append(text)
        labels.append([sys.intern(word.removeprefix(PREFIX)) for word in start[1].split()] if start else [])
        numbers.append(row)
        lines.append(number)
    several = any(len(some) > 1 for some in labels)
    cells = labels if several else [some[0] if some else None for some in labels]
    columns = ["text", "labels" if several else "label"]
    table = Table(ColumnRows(columns, [texts, cells]), columns, file=part.name, format="fasttext", numbers=numbers, lines=lines)
    table.problems = problems
    table.notes = [*found.notes, f"{part.name}: fastText lines, {'several labels' if several else 'one label'} before each text"]
    if blank:
        at = first_rows((("", number) for number in blank), "line")
        table.notes.append(f"{part.name}: {counted(len(blank), 'blank line')} skipped ({at})")
    return table
