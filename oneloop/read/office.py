"""Workbooks, documents, PDF with a text layer, and web pages. Their packages come with the extra `office`.

In:  a Part
Out: a Table: the rows of the one sheet that has any; or one row for each paragraph (docx, html) or page (pdf)
"""

from __future__ import annotations

import datetime
import re
import zipfile
from array import array
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

from oneloop.errors import DataError, Problem, counted, require
from oneloop.read.decoding import Found, find_encoding, text_stream
from oneloop.read.dialect import has_header, title_rows
from oneloop.read.sources import MAX_RATIO, RATIO_FROM, Part
from oneloop.read.table import ColumnRows, Table

SKIPPED = ("script", "style", "head", "template", "noscript", "svg", "nav")
BLOCKS = ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "section", "article", "table", "pre", "dd", "dt")


def read_xlsx(part: Part, found: Found) -> Table:
    """The rows of a workbook as text cells; numbers as they are shown when whole, dates as ISO text. DataError if several
    sheets hold rows."""
    openpyxl = require("openpyxl", "office")
    _refuse_bomb(part)
    try:
        book = openpyxl.load_workbook(part.open(), read_only=True, data_only=True)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"the workbook is damaged ({error})", where=part.name, fix="save it again, or export it as csv") from error
    sheets = {sheet.title: [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets}
    sheets = {title: rows for title, rows in sheets.items() if any(any(row) for row in rows)}
    if len(sheets) != 1:
        what = f"holds rows in several sheets: {', '.join(sheets)}" if sheets else "holds no rows"
        raise DataError(what, where=part.name, expected="one sheet", fix="save the sheet you mean as its own file or as csv")
    return _sheet_table(next(iter(sheets.values())), part.name)


def _sheet_table(rows: list[list[str]], name: str) -> Table:
    lines = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    width = max(max((i for i, cell in enumerate(row) if cell), default=0) for _, row in lines) + 1
    records = [(number, [*row, *[""] * width][:width]) for number, row in lines]
    above = title_rows([row for _, row in records[:500]], width)
    records = records[above:]
    header = has_header([row for _, row in records[:500]])
    names = [cell.strip() or str(i) for i, cell in enumerate(records[0][1])] if header else [str(i) for i in range(width)]
    body = records[1:] if header else records
    twice = [column for i, column in enumerate(names) if column in names[:i]]
    cells = [list(column) for column in zip(*(row for _, row in body))] or [[] for _ in names]
    table = Table(ColumnRows(names, cells), names, file=name, format="xlsx", lines=array("q", [number for number, _ in body]))
    if above:
        table.notes.append(f"{name}: {counted(above, 'row')} above the header passed over")
    if twice:
        table.problems.append(
            Problem(f"the header names '{twice[0]}' twice", "give every column its own name", file=name, line=records[0][0])
        )
    if not body:
        table.problems.append(Problem("holds a header and no rows", "add rows below it", file=name))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def read_docx(part: Part, found: Found) -> Table:
    """One row for each paragraph of a document that is not empty, and for each row of its tables (cells parted by tabs)."""
    docx = require("docx", "office")
    _refuse_bomb(part)
    try:
        document = docx.Document(part.open())
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"the document is damaged ({error})", where=part.name, fix="save it again, or as text") from error
    texts = [paragraph.text for paragraph in document.paragraphs]
    texts += ["\t".join(cell.text for cell in row.cells) for table in document.tables for row in table.rows]
    return _text_table(texts, part.name, "docx", "paragraph")


def read_pdf(part: Part, found: Found) -> Table:
    """One row for each page with text. DataError for scans (no text layer) and files with a password."""
    pypdf = require("pypdf", "office")
    try:
        reader = pypdf.PdfReader(part.open())
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError("is locked with a password", where=part.name, fix="save it without one")
        texts = [page.extract_text() or "" for page in reader.pages]
    except (pypdf.errors.PyPdfError, ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise DataError(f"the PDF is damaged ({error})", where=part.name, fix="save or download it again") from error
    if not any(text.strip() for text in texts):
        reason = f"has {len(texts)} pages and no text layer: it is a scan"
        raise DataError(reason, where=part.name, fix="recognise its text first (OCR)")
    return _text_table(texts, part.name, "pdf", "page")


class _Paragraphs(HTMLParser):
    """Visible text, cut at block elements; rows of tables apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = [""]
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a paragraph or a hidden part."""
        self.hidden += tag in SKIPPED
        if tag in BLOCKS:
            self.texts.append("")
        elif tag in ("td", "th"):
            self.texts[-1] += "\t"

    def handle_endtag(self, tag: str) -> None:
        """End a paragraph or a hidden part."""
        self.hidden -= tag in SKIPPED and self.hidden > 0
        if tag in BLOCKS:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        """Keep what is visible."""
        if not self.hidden:
            self.texts[-1] += data


def read_html(part: Part, found: Found) -> Table:
    """One row for each paragraph of a page; a <meta charset> decides the encoding where the bytes do not."""
    declared = re.search(rb"<meta[^>]+charset=[\"']?([\w-]+)", part.head(4096), re.IGNORECASE)
    if declared and found.encoding not in ("utf-8", "utf-8-sig"):
        found = find_encoding(part.open(), part.name, declared.group(1).decode())
    parser = _Paragraphs()
    parser.feed(text_stream(part.open(), found).read())
    parser.close()
    texts = ["\t".join(" ".join(cell.split()) for cell in text.strip().split("\t")) for text in parser.texts]
    table = _text_table(texts, part.name, "html", "paragraph")
    table.notes = [*found.notes, *table.notes]
    return table


def _text_table(texts: Iterable[str], name: str, format: str, unit: str) -> Table:
    kept = [(number, text.strip("\r\n")) for number, text in enumerate(texts, 1) if text.strip()]
    cells = [text for _, text in kept]
    table = Table(ColumnRows(["text"], [cells]), ["text"], file=name, format=format, numbers=array("q", [number for number, _ in kept]))
    table.notes.append(f"{name}: one row for each {unit} with text")
    if not kept:
        table.problems.append(Problem("holds no text", file=name))
    return table


def _refuse_bomb(part: Part) -> None:
    """DataError if the parts of an office file unpack to far more than its size."""
    size = part.size()
    with zipfile.ZipFile(part.open()) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > RATIO_FROM and total > MAX_RATIO * size:
        raise DataError(f"unpacks to more than {MAX_RATIO} times its size", where=part.name, fix="save it again, or export it as csv")
