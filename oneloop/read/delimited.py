"""csv and its relatives: the delimiter is found from the content, every cell stays text, every bad row is named.

In:  a Part with delimited text
Out: a Table of text cells; `sniff` says how a text is delimited, if it is
"""

from __future__ import annotations

import csv
import re
import sys
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TextIO

from oneloop.errors import Problem, counted, first_rows
from oneloop.read.decoding import Found, text_stream
from oneloop.read.dialect import Dialect, QuoteSigns, opened, sniff
from oneloop.read.packed import PackedRows
from oneloop.read.sources import Part
from oneloop.read.table import Table

HEAD = 1 << 18  # characters that show how the file is delimited
MAX_PROBLEMS = 10_000  # spelled out; a file with more is wrong as a whole
MAX_RESTARTS = 50  # broken quotes after which reading stops: each may cost a pass over the rest of the file
NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar", "^": "caret", "~": "tilde", "¦": "broken bar"}
RULE = re.compile(r"\s*(:?-{2,}:?)?\s*\Z")  # a cell of the line below the header of a Markdown table
END_MARK = "\x1a"  # what old programs write at the end of a text file


def read_delimited(part: Part, found: Found, *, max_rows: int | None = None, dialect: Dialect | None = None) -> Table:
    """All rows of a delimited file. Rows with too many or too few fields and broken quotes become problems."""
    parser, rows, dialect = _first_rows(part, found, dialect, max_rows)
    table = _table(part, parser, rows, dialect)
    table.notes = [*found.notes, *_notes(part.name, dialect, parser)]
    return table


def delimited_blocks(part: Part, found: Found, size: int, dialect: Dialect | None = None) -> Iterator[Table]:
    """The rows of a delimited file in tables of at most `size` rows, each with the problems found on the way to its last row."""
    yield from told_blocks(part, found, size, settled(part, found, dialect))


def settled(part: Part, found: Found, dialect: Dialect | None = None) -> Dialect:
    """How a file is delimited: the dialect that `read_delimited` would settle on, without keeping a row."""
    dialect = dialect or _sniffed(part, found)
    if not _doubtful(part, dialect):
        return dialect
    literal = replace(dialect, quoted=False)
    quoting = _Parser(text_stream(part.open(), found), dialect, part.name)
    deque(quoting.good(), maxlen=0)
    second, signs = _Parser(text_stream(part.open(), found), literal, part.name), QuoteSigns()
    for record in second.good():
        signs.add(record)
    return literal if _belong_to_text(quoting, second, signs) else dialect


def _sniffed(part: Part, found: Found) -> Dialect:
    """The dialect that the beginning of a file shows."""
    head = text_stream(part.open(), found).read(HEAD)
    return sniff(head, part.suffix, whole=len(head) < HEAD) or Dialect(",", width=1)


def _doubtful(part: Part, dialect: Dialect) -> bool:
    """Whether quotation marks may belong to the text."""
    return dialect.delimiter == "\t" and dialect.quoted and _holds_quotes(part)


def _belong_to_text(quoting: _Parser, literal: _Parser, signs: QuoteSigns) -> bool:
    """Whether they do, after both readings of the file."""
    written = all(len(name) > 1 and name[0] == name[-1] == '"' for name in literal.columns)  # a program that quotes wrote the header
    neither = not quoting.problems and not literal.problems
    return len(literal.problems) < len(quoting.problems) or (neither and not written and signs.literal)


def told_blocks(part: Part, found: Found, size: int, dialect: Dialect) -> Iterator[Table]:
    """The same in one pass over the file, with a dialect that is known."""
    parser = _Parser(text_stream(part.open(), found), dialect, part.name)
    rows = parser.good()
    while True:
        kept = parser.packed(islice(rows, size))
        if not kept and not parser.problems:
            return
        yield _table(part, parser, kept, dialect, numbered=True)
        parser.forget()


def _first_rows(part: Part, found: Found, dialect: Dialect | None, max_rows: int | None) -> tuple[_Parser, PackedRows, Dialect]:
    """The (first) rows, read with the dialect that leaves the fewest problems, their parser and that dialect."""
    dialect = dialect or _sniffed(part, found)
    parser = _Parser(text_stream(part.open(), found), dialect, part.name)
    rows = parser.rows(max_rows)
    if _doubtful(part, dialect):
        literal, signs = replace(dialect, quoted=False), QuoteSigns()
        second = _Parser(text_stream(part.open(), found), literal, part.name)
        plain = second.rows(max_rows)
        for row in plain:
            signs.add(list(row.values()))
        if _belong_to_text(parser, second, signs):
            return second, plain, literal
    return parser, rows, dialect


def _table(part: Part, parser: _Parser, rows: PackedRows, dialect: Dialect, numbered: bool = False) -> Table:
    """Rows as a table; numbered: they do not begin at the first one, or some are missing."""
    table = Table(
        rows,
        parser.columns,
        file=part.name,
        format="tsv" if dialect.delimiter == "\t" else "csv",
        numbers=parser.numbers if parser.problems or numbered else None,
        lines=parser.lines,
    )
    table.problems = parser.problems
    return table


def _holds_quotes(part: Part) -> bool:
    """Whether a quotation mark stands anywhere in the file (in UTF-16 its byte does, which is enough to look closer)."""
    file = part.open()
    return any(b'"' in block for block in iter(lambda: file.read(1 << 20), b""))


def _notes(name: str, dialect: Dialect, parser: _Parser) -> list[str]:
    notes = []
    if dialect.delimiter != "," and not (dialect.delimiter == "\t" and name.lower().endswith((".tsv", ".tab"))):
        notes.append(f"{name}: fields are separated by {NAMES.get(dialect.delimiter, repr(dialect.delimiter))}")
    if len(parser.columns) == 1:
        notes.append(f"{name}: one column only; no comma, tab, semicolon or bar separates fields in every line")
    if not dialect.header:
        notes.append(f"{name}: no header line; columns are named by position: {', '.join(parser.columns)}")
    notes += [f"{name}: {note}" for note in parser.notes]
    if not dialect.quoted:
        notes.append(f"{name}: quotation marks belong to the text")
    if dialect.nested:
        notes.append(f"{name}: every line is quoted as a whole; the fields were read from inside")
    if dialect.title:
        notes.append(f"{name}: {counted(dialect.title, 'line')} above the header passed over")
    if parser.trimmed:
        notes.append(f"{name}: rows end with a {NAMES.get(dialect.delimiter, 'delimiter')} that the header lacks; it was left off")
    if parser.repeated:
        at = first_rows((("", line) for line in parser.repeated), "line")
        notes.append(f"{name}: the header stands again among the rows and was skipped there ({at})")
    if parser.blank:
        at = first_rows((("", line) for line in parser.blank), "line")
        notes.append(f"{name}: {counted(len(parser.blank), 'blank line')} skipped ({at})")
    return notes


class _Lines(Iterator[str]):
    """Lines of a stream that remembers those of the record being read, so that reading can start again after its first."""

    def __init__(self, stream: Iterable[str]) -> None:
        self.stream = iter(stream)
        self.again: list[str] = []  # lines to read once more, last first
        self.record: list[str] = []
        self.number = 0  # lines handed out

    def __next__(self) -> str:
        line = self.again.pop() if self.again else next(self.stream)
        self.record.append(line)
        self.number += 1
        return line

    def restart(self) -> None:
        """Go back to the second line of the record."""
        self.number -= len(self.record) - 1
        self.again.extend(reversed(self.record[1:]))
        self.record.clear()


class _Parser:
    """Reads records, keeps those of the right width and describes the others."""

    def __init__(self, stream: TextIO, dialect: Dialect, name: str) -> None:
        self.dialect, self.name = dialect, name
        self.source = _Lines(stream)
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.numbers, self.lines = array("q"), array("q")
        self.blank = array("q")  # the lines that were blank
        self.repeated = array("q")  # the lines on which the header stood again
        self.header: list[str] = []
        self.trimmed = False
        self.row = self.restarts = 0
        self.columns: list[str] = []

    def rows(self, max_rows: int | None) -> PackedRows:
        """The good rows; columns, numbers, lines and problems are set on the way."""
        return self.packed(islice(self.good(), max_rows))

    def packed(self, records: Iterator[list[str]]) -> PackedRows:
        """Good rows, each cell under the name of its column."""
        found = PackedRows()
        for first in records:  # the names of the columns are known with the first record
            found.extend_texts(tuple(self.columns), chain([first], records))
        return found

    def good(self) -> Iterator[list[str]]:
        """The good rows one by one."""
        records = self._records()
        self._columns(records)
        width = len(self.columns)
        if not width:
            return
        for line, record in records:
            if record == self.header and width > 1:
                self.repeated.append(line)
                continue
            if not self.row and self.dialect.delimiter == "|" and all(map(RULE.match, record)) and any("-" in cell for cell in record):
                self.notes.append(f"the line of dashes below the header is no row (line {line})")
                continue
            self.row += 1
            if self.dialect.trailing and len(record) > width and not any(record[width:]):
                record, self.trimmed = record[:width], True
            if len(record) != width:
                self._wrong_width(line, len(record), width)
                continue
            self.numbers.append(self.row)
            self.lines.append(line)
            yield record
        if not self.row and not self.problems:
            self.problems.append(Problem("holds a header and no rows", "add rows below it", file=self.name, line=1))

    def forget(self) -> None:
        """Begin new lists of places and problems."""
        self.problems, self.numbers, self.lines = [], array("q"), array("q")

    def _columns(self, records: Iterator[tuple[int, list[str]]]) -> None:
        if not self.dialect.header:
            self.columns = [str(i) for i in range(self.dialect.width)]
            return
        line, header = next(records, (1, []))
        self.header = header
        names = [name.strip("\ufeff \t\r\n\f\v\xa0") for name in header]
        self.columns = [name or str(i) for i, name in enumerate(names)]
        blanks = [i for i, name in enumerate(names) if not name]
        if blanks:
            self.notes.append("columns without a name are called by position: " + ", ".join(map(str, blanks)))
        for i, name in enumerate(self.columns):
            if name in self.columns[:i]:
                reason = f"the header names '{name}' twice (columns {self.columns.index(name) + 1} and {i + 1})"
                self.problems.append(Problem(reason, "give every column its own name", file=self.name, line=line))
        if self.problems:
            self.columns = []

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """(first line, fields) of every record that is not blank; broken quotes are described and skipped."""
        source = self.source
        for _ in range(self.dialect.skip):
            next(source, None)
        csv.field_size_limit(sys.maxsize)  # a setting of the whole process; the default refuses cells above 131,072 characters
        reader = csv.reader(source, strict=self.dialect.quoted, **self.dialect.options())
        while True:
            source.record.clear()
            line = source.number + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if not self._broken(line, str(error)):
                    return
                continue
            record = opened(record, self.dialect.delimiter) if self.dialect.nested else record
            if record and (len(record) > 1 or record[0].strip().strip(END_MARK)):
                yield line, record
            else:
                self.blank.append(line)

    def _broken(self, line: int, error: str) -> bool:
        """Describe a record that cannot be parsed and go back to its second line; False to stop reading."""
        if "end of data" in error:
            reason = "a quotation mark is opened and never closed"
        else:
            reason = "a quoted field goes on after its closing quotation mark" if "expected after" in error else error
        self.row += 1
        remedy = 'close it, and write a quotation mark inside a quoted field twice ("")'
        self.problems.append(Problem(reason, remedy, file=self.name, row=self.row, line=line))
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            self.problems.append(Problem("too many broken quotes; reading stopped here", "correct them first", file=self.name, line=line))
            return False
        self.source.restart()
        return True

    def _wrong_width(self, line: int, found: int, width: int) -> None:
        if len(self.problems) == MAX_PROBLEMS:
            self.problems.append(Problem("further rows with a wrong number of fields are not listed", file=self.name, line=line))
        if len(self.problems) > MAX_PROBLEMS:
            return
        many = "many" if found > width else "few"
        owner = "the header names" if self.dialect.header else "the other rows have"
        reason = f"too {many} fields: {found}, {owner} {width}"
        remedy = "put fields that contain the separator in quotation marks" if found > width else "add the missing fields"
        self.problems.append(Problem(reason, remedy, file=self.name, row=self.row, line=line))
