"""Column files: one word a line with its tags, an empty line between sentences (CoNLL-2000/2002/2003, CoNLL-U, GermEval, IOB).

In:  a Part with such lines, separated by tabs or spaces
Out: a Table with tokens, tags (the last column) and further tag columns by name; `document` where -DOCSTART- lines cut
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from oneloop.errors import Problem
from oneloop.read.decoding import Found, text_stream
from oneloop.read.sources import Part
from oneloop.read.table import Cells, Table

ENDINGS = (".conll", ".conllu", ".conllx", ".iob", ".iob2", ".bio", ".bioes", ".bilou", ".conll03", ".ner")
TAG = re.compile(r"(O|[BILUESMW][-_/].+|[BIO])\Z")
UPPER = re.compile(r"[A-Z$`',.:\"()#_\-]{1,8}\d?\Z")
WORDS = ("word", "words", "token", "tokens", "form")  # as a header line calls the column of words
TAGS = ("tag", "tags", "ner", "label", "labels", "pos", "upos", "chunk", "bio", "iob", "entity", "ner_tag", "ner_tags", "slot")
FIELDS = re.compile(r"[ \t]+")
DOCUMENT = ("-DOCSTART-", "# newdoc")
UNIVERSAL = ("id", "tokens", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
# the columns between the word and the last one, where the shared tasks name them
BETWEEN = {2: (), 3: ("pos",), 4: ("pos", "chunk")}


@dataclass
class Layout:
    """How a column file is written: the separator (None: spaces or tabs), the number of columns, which one is the word, and the
    names of the columns where the first line gives them."""

    separator: str | None
    width: int
    word: int = 0
    universal: bool = False
    share: float = 1.0
    header: tuple[str, ...] = ()

    def fields(self, line: str) -> list[str]:
        """The columns of a line; a tab-separated word may hold spaces."""
        return line.split(self.separator) if self.separator else FIELDS.split(line.strip(" \t"))

    def names(self) -> list[str]:
        """A name for every column."""
        if self.universal:
            return list(UNIVERSAL)
        names = [f"column_{i}" for i in range(self.width)]
        names[self.word], names[-1] = "tokens", "tags"
        if self.header:
            names[:] = [name if name in ("tokens", "tags") else said for name, said in zip(names, self.header)]
        elif self.word == 0:
            names[1:-1] = BETWEEN.get(self.width, names[1:-1])
        return names


@dataclass
class _Sentence:
    line: int
    columns: list[list[str]] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=list)


def layout(lines: Iterable[str], suffix: str = "") -> Layout | None:
    """The layout of a column file from its first lines (without their ends), None if it is none.

    Needed: the same number of columns nearly everywhere, and either sentences parted by empty lines with few different
    values in the last column, or tags that look like tags. A file ending such as .conll is believed sooner.
    """
    lines = [line.rstrip("\r\n") for line in lines]
    words = [line for line in lines if line.strip() and not _is_comment(line) and not line.startswith(DOCUMENT[0])]
    if len(words) < 1:
        return None
    tabbed = sum("\t" in line for line in words) * 2 > len(words)
    found = Layout("\t" if tabbed else None, 0)
    rows = [found.fields(line) for line in words]
    widths = Counter(map(len, rows))
    found.width, count = widths.most_common(1)[0]
    found.share = count / len(rows)
    rows = [row for row in rows if len(row) == found.width]
    trusted = suffix in ENDINGS
    if found.width < 2 or found.share < (0.5 if trusted else 0.9):
        return None
    found.universal = found.width == 10 and tabbed and all(re.match(r"\d+([-.]\d+)?\Z", row[0]) for row in rows)
    if found.universal:
        found.word = 1
        return found
    if found.width > 2 and all(row[0].isdecimal() for row in rows) and rows[0][0] in "01" and len({row[0] for row in rows}) < len(rows):
        found.word = 1
    found.header = _header(found, rows)
    return found if _tagged(found, rows[bool(found.header) :], lines, trusted) else None


def _header(found: Layout, rows: list[list[str]]) -> tuple[str, ...]:
    """The fields of the first line where it names the columns: it calls them what they are, and its last is no tag that comes again."""
    first, last = [name.strip() for name in rows[0]], [row[-1] for row in rows[1:]]
    called = first[found.word].lower() in WORDS and (first[-1].lower() in TAGS or TAG.match(first[-1]) is None)
    return tuple(first) if called and last and first[-1] not in last and len(set(first)) == len(first) else ()


def _tagged(found: Layout, rows: list[list[str]], lines: list[str], trusted: bool) -> bool:
    last = [row[-1] for row in rows]
    parted = any(not line.strip() for line in lines[:-1])
    document = any(line.startswith(DOCUMENT[0]) for line in lines)
    spans = sum(bool(TAG.match(tag)) for tag in last) / len(last)
    short = all(len(row[found.word]) < 60 for row in rows)
    if spans >= 0.9 and (parted or document or trusted or "O" in last):
        return short or trusted
    few = len(set(last)) <= max(20, len(last) // 5) and len(set(last)) < max(2, 0.8 * len({row[found.word] for row in rows}))
    upper = sum(bool(UPPER.match(tag)) for tag in last) / len(last)
    return (parted or document or trusted) and short and (upper >= 0.9 or (trusted and few) or (document and few))


def _is_comment(line: str) -> bool:
    return line.startswith("#") and ((line.startswith(("# ", "#\t")) and ("=" in line or ":" in line)) or line.startswith("# newdoc"))


def read_conll(part: Part, found: Found, *, max_rows: int | None = None, form: Layout | None = None) -> Table:
    """All sentences of a column file; a sentence with a broken line is a problem that names the line."""
    if form is None:
        head = text_stream(part.open(), found).read(1 << 17).splitlines()
        form = layout(head, ".conll") or Layout("\t" if any("\t" in line for line in head) else None, 2)
    reader = _Reader(form, part.name)
    sentences = enumerate(reader.sentences(text_stream(part.open(), found)), 1)
    table = _table(reader, sentences, max_rows)
    table.notes = [*found.notes, f"{part.name}: columns {', '.join(form.names())}", *reader.notes()]
    return table


def conll_blocks(part: Part, found: Found, size: int, form: Layout) -> Iterator[Table]:
    """A column file in tables of at most `size` sentences, good and broken ones together."""
    reader = _Reader(form, part.name)
    sentences = enumerate(reader.sentences(text_stream(part.open(), found)), 1)
    while some := list(islice(sentences, size)):
        yield _table(reader, some, None)


def _table(reader: _Reader, sentences: Iterable[tuple[int, _Sentence]], max_rows: int | None) -> Table:
    """The good ones among numbered sentences as rows, the others as problems; stops after `max_rows` good ones."""
    rows: list[Cells] = []
    numbers, lines = array("q"), array("q")
    problems: list[Problem] = []
    for number, sentence in sentences:
        if sentence.faults:
            problems += [Problem(at.reason, at.remedy, file=at.file, row=number, line=at.line) for at in sentence.faults]
            continue
        rows.append(reader.row(sentence))
        numbers.append(number)
        lines.append(sentence.line)
        if max_rows is not None and len(rows) >= max_rows:
            break
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(rows, columns, file=reader.name, format="conll", numbers=numbers, lines=lines)
    table.problems = problems
    return table


class _Reader:
    def __init__(self, form: Layout, name: str) -> None:
        self.form, self.name = form, name
        self.document = 0
        self.comments = self.ranges = 0
        self.headed = False

    def sentences(self, stream: Iterable[str]) -> Iterator[_Sentence]:
        """Sentences with their words as columns."""
        sentence = _Sentence(1)
        for number, raw in enumerate(stream, 1):
            line = raw.rstrip("\r\n")
            if not line.strip(" \t\u00a0\ufeff"):
                if sentence.columns or sentence.faults:
                    yield sentence
                sentence = _Sentence(number + 1)
            elif line.startswith(DOCUMENT) and (line.startswith("#") or not sentence.columns):
                self.document += 1
                sentence = _Sentence(number + 1)
            elif self.form.header and not self.headed and tuple(map(str.strip, self.form.fields(line))) == self.form.header:
                self.headed = True
                sentence.line = number + 1
            elif line.startswith("#") and not sentence.columns and self._comment(line):
                self.comments += 1
                sentence.line = number + 1
            else:
                self._word(sentence, line, number)
        if sentence.columns or sentence.faults:
            yield sentence

    def _comment(self, line: str) -> bool:
        return _is_comment(line) or len(self.form.fields(line)) != self.form.width

    def _word(self, sentence: _Sentence, line: str, number: int) -> None:
        fields = self.form.fields(line)
        if self.form.universal and not fields[0].isdecimal() and fields[0][:1].isdigit():
            self.ranges += 1
            return
        if len(fields) != self.form.width or not all(fields[i].strip(" ") for i in (self.form.word, -1)):
            sentence.faults.append(self._fault(line, fields, number))
        sentence.columns.append(fields)

    def _fault(self, line: str, fields: list[str], number: int) -> Problem:
        width = self.form.width
        words = "tabs" if self.form.separator else "spaces"
        if self.form.separator and len(FIELDS.split(line.strip(" \t"))) == width:
            return Problem("columns are separated by spaces, elsewhere by tabs", "use tabs here too", file=self.name, line=number)
        if len(fields) < width or not fields[-1].strip():
            reason = f"the word {fields[self.form.word][:40]!r} has no tag" if width == 2 else f"{len(fields)} columns, expected {width}"
            return Problem(reason, "complete the line", file=self.name, line=number)
        return Problem(f"{len(fields)} columns separated by {words}, expected {width}", "correct the line", file=self.name, line=number)

    def row(self, sentence: _Sentence) -> Cells:
        """tokens, tags and the other columns of a good sentence. Tags repeat, so each text is kept once."""
        columns = dict(zip(self.form.names(), zip(*sentence.columns)))
        row: Cells = {"tokens": list(columns.pop("tokens"))}
        if self.form.universal:
            row["tags"] = [sys.intern(tag) for tag in columns["upos"]]
            columns = {name: columns[name] for name in ("lemma", "xpos", "deprel")}
        else:
            row["tags"] = [sys.intern(tag) for tag in columns.pop("tags")]
            columns.pop("column_0", None) if self.form.word else None
        row |= {name: [sys.intern(value) for value in values] for name, values in columns.items()}
        return row | ({"document": str(self.document)} if self.document else {})

    def notes(self) -> list[str]:
        """What was passed over."""
        found: dict[str, Any] = {"comment lines": self.comments, "word ranges and empty words": self.ranges}
        headed = [f"{self.name}: the first line names the columns ({', '.join(self.form.header)})"] if self.headed else []
        return headed + [f"{self.name}: {count} {what} skipped" for what, count in found.items() if count]
