"""What a file is, from its content. Its ending only decides where the content allows two readings.

In:  a Part
Out: the name of a format: parquet, arrow, jsonl, json, csv, conll, fasttext, txt, tmx, html, pdf, docx, xlsx, brat
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass, field

from oneloop.errors import DataError
from oneloop.read import conll, dialect, fasttext, words
from oneloop.read.decoding import Found, find_encoding, text_stream
from oneloop.read.sources import Part, is_office, packing
from oneloop.read.table import Table

BLANK = b"\xef\xbb\xbf \t\r\n"
LOOK = 1 << 17  # characters looked at
BRAT = re.compile(r"(T\d+\t[^\t]+ \d+ \d+(;\d+ \d+)*\t|[REANM#*]\d*\t)")


@dataclass
class Detected:
    """The format of a part, its encoding where it is text, and how it is laid out where the format leaves that open."""

    format: str
    found: Found = field(default_factory=lambda: Found("utf-8"))
    dialect: dialect.Dialect | None = None
    layout: conll.Layout | None = None


def detect(part: Part, encoding: str | None = None, limit: int | None = None) -> Detected:
    """The format of `part` (unpacked). limit: look for the encoding in that many bytes only."""
    head = part.head(4096)
    if not head.strip(BLANK) and not part.open().read(1 << 20).strip(BLANK):
        raise DataError("the file is empty", where=part.name, expected="rows of data", fix="check that it was copied completely")
    if binary := _binary_format(part, head):
        return Detected(binary)
    found = find_encoding(part.open(), part.name, encoding, limit)
    text = text_stream(part.open(), found).read(LOOK)
    whole = len(text) < LOOK
    return _text_format(text, whole, part.suffix, found)


def _binary_format(part: Part, head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1") or (head.startswith(b"\xff\xff\xff\xff") and part.suffix in (".arrow", ".feather", "")):
        return "arrow"
    if head.startswith(b"%PDF-"):
        return "pdf"
    if packing(head) == "zip" and is_office(part):
        with zipfile.ZipFile(part.open()) as archive:
            names = archive.namelist()
        return "xlsx" if any(name.startswith("xl/") for name in names) else "docx"
    for magic, what in _USELESS:
        if head.startswith(magic):
            raise DataError(f"is {what}, not text data", where=part.name, expected="csv, jsonl, json, parquet, CoNLL or text")
    return ""


_USELESS = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.doc, .xls); save it as .docx, .xlsx or csv"),
    (b"\x80\x04\x95", "a Python pickle, which could run code"),
    (b"\x80\x05\x95", "a Python pickle, which could run code"),
    (b"FEA1", "an old feather file; write it again as feather 2 or parquet"),
)


def _text_format(text: str, whole: bool, suffix: str, found: Found) -> Detected:
    start = text.lstrip("\ufeff \t\r\n")
    lower = start[:2000].lower()
    if start[:1] in ("{", "[") and (kind := _json_format(start, whole, suffix)):
        return Detected(kind, found)
    if lower.startswith(("<?xml", "<tmx", "<!doctype tmx")) and "<tmx" in lower:
        return Detected("tmx", found)
    if lower.startswith(("<!doctype html", "<html")) or (suffix in (".html", ".htm") and "<" in lower) or "<html" in lower[:600]:
        return Detected("html", found)
    lines = text.splitlines() if whole else text.splitlines()[:-1] or [text]
    filled = [line for line in lines[:200] if line.strip()]
    if suffix == ".ann" or (filled and all(BRAT.match(line) for line in filled)):
        return Detected("brat", found)
    if fasttext.is_fasttext(filled):
        return Detected("fasttext", found)
    table = dialect.sniff(text, suffix, whole) if suffix not in conll.ENDINGS else None
    form = conll.layout(lines[:3000], suffix)
    if form and not (table and (_is_table(table, text, form) or _names_sentences(table, text, whole, form))):
        return Detected("conll", found, layout=form)
    if table:
        return Detected("tsv" if table.delimiter == "\t" else "csv", found, dialect=table)
    return Detected("txt", found)


def _is_table(table: dialect.Dialect, text: str, form: conll.Layout) -> bool:
    """Whether a text that could be a column file is rather a table: a header of usual names, or long texts in its fields."""
    first = text.lstrip("\ufeff").split("\n", 1)[0].strip()
    names = [name.strip().lower() for name in first.split(table.delimiter)]
    if table.delimiter in ("\t", ",", ";", "|") and len(names) > 1 and all(name in dialect.HEADER_WORDS for name in names):
        return True
    return table.delimiter != "\t" and form.separator is None and table.share == 1.0 and table.width > 1 and form.share < 1.0


def _names_sentences(table: dialect.Dialect, text: str, whole: bool, form: conll.Layout) -> bool:
    """Whether a text that could be a column file has a column which names or counts the sentences, and no blank lines between
    them or its words where a column file would not look for them."""
    rows = dialect.first_records(text, table, whole)[table.header :]
    names = [str(i) for i in range(table.width)]
    sentences = words.layout(Table([dict(zip(names, row)) for row in rows if len(row) == table.width], names))
    parted = bool(re.search(r"\n[ \t]*\r?\n", text.strip()))
    return sentences is not None and bool(sentences.name or sentences.counter) and (not parted or sentences.word != str(form.word))


def _json_format(start: str, whole: bool, suffix: str) -> str:
    """ "json" or "jsonl" for text that begins like JSON, "" if it only begins so (a text line in brackets)."""
    lines = [line.strip() for line in start.splitlines()[:50] if line.strip()]
    if not whole and len(lines) > 1 and len(start.splitlines()) <= 50:
        lines = lines[:-1]
    complete = [_is_json(line) for line in lines]
    if complete[0]:
        return "jsonl" if len(lines) > 1 or suffix in (".jsonl", ".ndjson") else "json"
    if sum(complete) * 2 > len(lines) and len(lines) > 1:
        return "jsonl"
    objects = sum(line.startswith("{") and line.endswith("}") for line in lines)
    if len(lines) > 1 and objects * 2 > len(lines) and not lines[0].startswith("["):
        return "jsonl"
    if re.match(r'[\[{]\s*([\[{"\d\-\]}]|true|false|null|$)', start) or suffix in (".json", ".jsonl", ".ndjson"):
        return "jsonl" if suffix in (".jsonl", ".ndjson") else "json"
    return ""


def _is_json(line: str) -> bool:
    if line[:1] not in ("{", "["):
        return False
    try:
        json.loads(line)  # leniently: a line with a repeated key or NaN is still a line of JSON
    except RecursionError:
        return line[-1] in "}]"
    except ValueError:
        return False
    return True
