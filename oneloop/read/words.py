"""Tables of one word a row, joined into sentences: word, tag and what tells where a sentence begins.

In:  a Table as any reader made it
Out: a Table with a row for each sentence: `tokens`, `tags`, its name and further columns as lists; else the table itself

The layout is told from the cells. A tag column holds BIO tags (or capitals of parts of speech), a word column one word each.
A sentence ends at an empty row, where a running name or number changes, where a name stands only at the first word, or where
the words are counted from the start again.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from oneloop.errors import Problem, counted
from oneloop.read.conll import TAG, UPPER, WORDS
from oneloop.read.table import Cells, Table

LOOKED_AT = 2000  # rows that show the layout
GLANCE = 100  # rows that rule out any other table at once
FEWEST = 6  # words below which nothing is joined
ALIKE = 0.95  # share of the cells that must look like tags
ONE_WORD = 0.98  # share of the word cells that hold no space
ALWAYS_TAGGED = 0.8  # share of repeated words that keep their commonest part of speech; labels of single words do not
NUMBER = re.compile(r"\d+(\.0)?\Z")


@dataclass
class Layout:
    """Which column holds what. tag: "" for words that are to be tagged. name: the column that names the sentence; first: it does
    so at the first word only; counter: the column that counts its words."""

    word: str
    tag: str
    name: str = ""
    first: bool = False
    counter: str = ""


def sentences(table: Table) -> Table:
    """The table with its words joined into sentences, or the table itself where it is no table of words or nothing in it tells
    the sentences apart. A row has the number and line of its first word; a sentence with a faulty line is left out."""
    form = layout(table)
    return table if form is None else _Joiner(table, form).table()


def layout(table: Table) -> Layout | None:
    """How a table of one word a row is laid out, from its first rows; None for any other table."""
    if not 2 <= len(table.columns) <= 60 or len(table) < FEWEST or not _flat(table):
        return None
    rows = [[_text(row.get(name)) for name in table.columns] for row in islice(table.rows, LOOKED_AT)]
    empty = any(not any(row) for row in rows)
    columns = dict(zip(table.columns, zip(*(row for row in rows if any(row)))))
    entities = [name for name, cells in columns.items() if _are_tags(cells)]
    tags = entities or [name for name, cells in columns.items() if _are_parts(cells)]
    words = [name for name, cells in columns.items() if name not in tags and _are_words(cells)]
    tag = tags[-1] if tags else ""
    words = [name for name in words if not tag or len(set(columns[name])) > len(set(columns[tag]))]
    called = [name for name in words if name.strip().lower() in WORDS]
    if not words:
        return None
    word = (called or sorted(words, key=lambda name: -len(set(columns[name]))))[0]
    if tag and not entities and not _keep_their_tag(columns[word], columns[tag]):
        return None
    form = Layout(word, tag)
    others = {name: cells for name, cells in columns.items() if name not in (word, tag)}
    starts = {name: count for name, cells in others.items() if (count := _named_first(cells))}
    runs = {name: count for name, cells in others.items() if (count := _running(cells))}
    form.name = max({**runs, **starts}, key=lambda name: {**runs, **starts}[name], default="")
    form.first = form.name in starts
    if not tag and not starts:  # words to be tagged: only a name at each first word says for sure that these are sentences
        return None
    form.counter = next((name for name, cells in others.items() if _counts(cells)), "")
    return form if form.name or form.counter or empty or _gaps(table) else None


def _flat(table: Table) -> bool:
    """Whether every cell of the first rows is a text or number, and some column's are tags or name what begins there."""
    glance = list(islice(table.rows, GLANCE))
    if any(isinstance(cell, list | dict | tuple) for row in glance for cell in row.values()):
        return False
    return any(_short(cells) or _named_first(cells) for cells in ([_text(row.get(name)) for row in glance] for name in table.columns))


def _short(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and sum(bool(TAG.match(cell) or UPPER.match(cell)) for cell in filled) >= ALIKE * len(filled)


def _text(cell: Any) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()


def _are_tags(cells: Sequence[str]) -> bool:
    """BIO tags, with words outside among them."""
    filled = [cell for cell in cells if cell]
    tagged = sum(bool(TAG.match(cell)) for cell in filled)
    return len(filled) >= 0.9 * len(cells) > 0 and tagged >= ALIKE * len(filled) and "O" in filled and len(set(filled)) > 1


def _are_parts(cells: Sequence[str]) -> bool:
    """Parts of speech: a few names in capitals."""
    filled = [cell for cell in cells if cell]
    upper = sum(bool(UPPER.match(cell)) for cell in filled)
    lettered = {cell for cell in filled if cell[0].isalpha()}
    return len(filled) >= 0.9 * len(cells) > 0 and upper >= ALIKE * len(filled) and len(lettered) >= 3 and len(set(filled)) <= 60


def _are_words(cells: Sequence[str]) -> bool:
    """One word a cell, mostly no number, and not the capitals of a part of speech."""
    filled = [cell for cell in cells if cell]
    if len(filled) < 0.9 * len(cells):
        return False
    single = sum(len(cell.split()) == 1 for cell in filled)
    numbers = sum(bool(NUMBER.match(cell)) for cell in filled)
    return single >= ONE_WORD * len(filled) and numbers < 0.5 * len(filled) and not _are_parts(cells)


def _keep_their_tag(words: Sequence[str], tags: Sequence[str]) -> bool:
    """Whether words that come again mostly have the same tag again, as in running text."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for word, tag in zip(words, tags):
        seen[word.lower()][tag] += 1
    again = [counts for counts in seen.values() if counts.total() > 1]
    total = sum(counts.total() for counts in again)
    kept = sum(counts.most_common(1)[0][1] for counts in again)
    return total >= 0.2 * len(words) and kept >= ALWAYS_TAGGED * total


def _named_first(cells: Sequence[str]) -> int:
    """Sentences, where a name (with a number in it, another each time) stands at the first word only; else 0."""
    filled = [i for i, cell in enumerate(cells) if cell]
    if len(filled) < 2 or filled[0] != 0 or len(filled) > 0.6 * len(cells):
        return 0
    names = [cells[i] for i in filled]
    side_by_side = sum(b - a == 1 for a, b in pairwise(filled))
    numbered = sum(any(sign.isdigit() for sign in name) for name in names)
    good = len(set(names)) == len(names) and side_by_side <= 0.2 * len(filled) and numbered >= 0.9 * len(names)
    return len(filled) if good else 0


def _running(cells: Sequence[str]) -> int:
    """Sentences, where a name or number stands at each of its words and hardly comes again elsewhere; else 0."""
    if sum(map(bool, cells)) < ONE_WORD * len(cells):
        return 0
    runs = [cells[0]] + [b for a, b in pairwise(cells) if b != a]
    steps = [_step(a, b) for a, b in pairwise(runs)]
    once = len(runs) <= 1.02 * len(set(runs)) or all(step == 1 or reset for step, reset in steps)
    return len(runs) if 2 <= len(runs) <= len(cells) / 2 and once else 0


def _step(a: str, b: str) -> tuple[float, bool]:
    """How much higher a number is than the one before, and whether it begins again at 0 or 1."""
    if not (NUMBER.match(a) and NUMBER.match(b)):
        return 0, False
    return float(b) - float(a), float(b) in (0, 1) and float(b) < float(a)


def _counts(cells: Sequence[str]) -> bool:
    """Whether numbers go up by one from word to word and begin again at 0 or 1 at least twice."""
    steps = [_step(a, b) for a, b in pairwise(cells)]
    begins = sum(reset for _, reset in steps)
    return begins >= 2 and begins < 0.5 * len(steps) and all(step == 1 or reset for step, reset in steps)


def _gaps(table: Table) -> bool:
    return any(islice(_breaks(table), LOOKED_AT))


def _breaks(table: Table) -> Iterator[bool]:
    """For every row whether a line before it was skipped as blank: lines that are neither rows nor problems."""
    faulty = Counter(problem.line for problem in table.problems if problem.line)
    before = 0
    for i in range(len(table)):
        line = table.origin(i).line or 0
        skipped = line - before - 1
        yield bool(before and skipped > 0 and skipped > sum(faulty[at] > 0 for at in range(before + 1, line)))
        before = line


class _Joiner:
    """Collects the words of a table sentence by sentence."""

    def __init__(self, table: Table, form: Layout) -> None:
        self.source, self.form = table, form
        self.rows: list[Cells] = []
        self.numbers, self.lines = array("q"), array("q")
        self.problems: list[Problem] = []
        self.left_out = 0
        taken = {"tokens", "tags"} & set(table.columns) - {form.word, form.tag}
        self.renamed = {} if taken else {form.word: "tokens"} | ({form.tag: "tags"} if form.tag else {})

    def table(self) -> Table:
        """The joined table."""
        faulty = sorted(problem.line for problem in self.source.problems if problem.line)
        places = list(self._places())
        for (start, end), after in zip(places, [*(self._line(start) for start, _ in places[1:]), sys.maxsize]):
            line = self._line(start)
            broken = line > 0 and any(line <= at < after for at in faulty)
            self._add([self.source.rows[i] for i in range(start, end)], start, broken)
        self._single()
        columns = [self.renamed.get(name, name) for name in self.source.columns]
        found = Table(self.rows, columns, file=self.source.file, format=self.source.format, numbers=self.numbers, lines=self.lines)
        found.problems = [*self.source.problems, *self.problems]
        found.aliases = {**self.source.aliases, **{old: new for old, new in self.renamed.items() if old != new}}
        found.sampled, found.names = self.source.sampled, self.source.names
        found.notes = [*self.source.notes, *self._notes(len(places))]
        return found

    def _line(self, index: int) -> int:
        return self.source.origin(index).line or 0

    def _places(self) -> Iterator[tuple[int, int]]:
        """(first row, row after the last) of every sentence."""
        start = -1
        before: Cells = {}
        for i, (row, gap) in enumerate(zip(self.source.rows, _breaks(self.source))):
            if not any(map(_text, row.values())):
                if start >= 0:
                    yield start, i
                start = -1
                continue
            if start >= 0 and (gap or self._begins(before, row)):
                yield start, i
                start = -1
            start, before = (i if start < 0 else start), row
        if start >= 0:
            yield start, len(self.source)

    def _begins(self, before: Cells, row: Cells) -> bool:
        form = self.form
        if form.name and (here := _text(row.get(form.name))) != _text(before.get(form.name)) and (here or not form.first):
            return True
        return bool(form.counter) and _step(_text(before.get(form.counter)), _text(row.get(form.counter)))[1]

    def _add(self, words: Sequence[Cells], start: int, broken: bool) -> None:
        """One sentence; a word without a tag, or a tag without a word, is a problem of its row."""
        good = not broken
        self.left_out += broken
        for at, row in enumerate(words, start):
            word, tag = _text(row.get(self.form.word)), _text(row.get(self.form.tag))
            if not word or (self.form.tag and not tag):
                reason = f"the word {word[:40]!r} has no tag" if word else f"a tag ({tag[:40] or 'empty'}) without a word"
                self.problems.append(self.source.problem(at, reason, "complete the row", self.form.tag if word else self.form.word))
                good = False
        if not good:
            return
        found: Cells = {}
        for name in self.source.columns:
            cells = [_text(row.get(name)) for row in words]
            found[self.renamed.get(name, name)] = (
                cells if name == self.form.word else cells[0] if name == self.form.name else [sys.intern(cell) for cell in cells]
            )
        first = self.source.origin(start)
        self.rows.append(found)
        self.numbers.append(first.row)
        self.lines.append(first.line or 0)

    def _single(self) -> None:
        """Columns that say the same at every word of a sentence (its document, its source) say it once."""
        kept = {self.form.word, self.form.tag, self.form.name}
        for name in self.source.columns:
            if name not in kept and self.rows and all(_same(row[name]) for row in self.rows) and self._tells(name):
                for row in self.rows:
                    row[name] = row[name][0]

    def _tells(self, name: str) -> bool:
        return any(len(row[name]) > 1 for row in self.rows)

    def _notes(self, count: int) -> Iterable[str]:
        form = self.form
        how = f"column {form.name}" if form.name else f"column {form.counter}" if form.counter else "blank rows"
        word = f"{form.word}, tagged in {form.tag}" if form.tag else form.word
        yield (
            f"{self.source.file}: one word a row ({word}), joined into {counted(count, 'sentence')} by {how}; "
            "a row's number is that of its first word"
        )
        if self.left_out:
            yield f"{self.source.file}: {counted(self.left_out, 'sentence')} with a faulty line left out"


def _same(cells: Sequence[str]) -> bool:
    return len(set(cells)) == 1
