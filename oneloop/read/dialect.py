"""How a text is delimited: separator, quoting, header line. Found from the content; the file ending only breaks ties.

In:  the beginning of a text
Out: a Dialect, or None where the text is not delimited
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

ENDINGS = (".csv", ".tsv", ".tab", ".psv")
DELIMITERS = ("\t", ",", ";", "|", "^", "~", "¦")
RARE = ("^", "~", "¦")  # signs that texts hold too: they separate only where every line has as many
MANY = 16  # cells in which labels come again
FEWEST = 3  # lines that show it
NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d+)*|[.,]\d+)([eE][-+]?\d+)?\s*%?\Z")
# words that stand in the first line of data files, in the languages people name their columns in
_WORDS = """
    id guid idx index uid uuid key name nr no number text texts sentence sentences sentence1 sentence2 review comment message
    content body title subject headline tweet post utterance document doc article abstract summary highlights description
    label labels class category categories target tag tags intent topic sentiment emotion score rating stars value y gold
    question answer answers context passage query premise hypothesis source src tgt translation input output prompt
    completion instruction response chosen rejected anchor positive negative relevance tokens words ner pos url date time
    timestamp language lang user author split is_duplicate start end speaker product query-id corpus-id
    texto frase etiqueta clase categoria categoría pregunta respuesta resumen titulo título contexto comentario mensaje origen destino
    texte phrase étiquette etiquette classe catégorie categorie réponse reponse résumé resume titre contexte commentaire
    satz sätze frage antwort kontext titel zusammenfassung klasse kategorie bewertung kommentar nachricht quelle ziel
    testo domanda risposta riassunto titolo pergunta resposta resumo en de fr es it nl pt ru zh ja pl sv da fi tr ar cs
"""
HEADER_WORDS = frozenset(re.split(r"\s+", _WORDS.strip()))


@dataclass
class Dialect:
    """How fields are separated. skip: lines before the header (Excel's `sep=;`, a title). title: how many of them a title takes.
    width: fields of most rows. trailing: rows end with a delimiter that the header lacks. nested: every line is one quoted field
    that holds the line."""

    delimiter: str
    quoted: bool = True
    header: bool = True
    width: int = 0
    skip: int = 0
    title: int = 0
    spaced: bool = False  # a space follows the delimiter, before quotes
    trailing: bool = False
    nested: bool = False
    backslash: bool = False  # quotes inside quoted fields are written \"
    share: float = 1.0  # rows of that width among those looked at

    def options(self) -> dict[str, Any]:
        """Keyword arguments for csv.reader."""
        found: dict[str, Any] = {"delimiter": self.delimiter, "skipinitialspace": self.spaced}
        if self.backslash:
            found |= {"escapechar": "\\", "doublequote": False}
        return found | ({} if self.quoted else {"quoting": csv.QUOTE_NONE})


def sniff(text: str, suffix: str = "", whole: bool = True) -> Dialect | None:
    """The dialect of delimited text, None if it is none. `whole`: the text is the file and not only its beginning."""
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"\s*sep=(.)\s*", first, re.IGNORECASE | re.DOTALL):
        mark = first.strip()[4:5] or "\t"
        told = _measured(rest, mark, whole) or Dialect(mark, width=1)
        told.skip, told.header = 1, has_header(first_records(rest, told, whole))
        return told
    trusted = suffix in ENDINGS
    candidates = [found for mark in DELIMITERS if mark in text and (found := _measured(text, mark, whole))]
    candidates = [found for found in candidates if found.delimiter not in RARE or _plausible(found, text, whole, trusted)]
    best = max(candidates, key=lambda found: _merit(found, text, whole), default=None)
    if best is None or not _plausible(best, text, whole, trusted):
        if not trusted:
            return None
        best = _nested(text, whole) or Dialect(",", width=1)
    records = first_records(text, best, whole)
    above = title_rows(records, best.width)
    if above:
        best.skip = best.title = _lines_before(text, best, above)
        records = records[above:]
    best.header = has_header(records)
    best.trailing = best.header and _trails(records)
    return best


def _nested(text: str, whole: bool) -> Dialect | None:
    """The dialect of a file whose lines were quoted as a whole when it was saved once more, None if this is none."""
    outer = first_records(text, Dialect(","), whole)
    if len(outer) < 2 or any(len(record) != 1 for record in outer) or not text.lstrip("\ufeff").startswith('"'):
        return None
    inner = [opened(record, ",") for record in outer]
    same = {len(record) for record in inner}
    return Dialect(",", width=same.pop(), nested=True) if len(same) == 1 and len(inner[0]) > 1 else None


def opened(record: list[str], delimiter: str) -> list[str]:
    """The fields that stand in the one field of a record."""
    return next(csv.reader(record, delimiter=delimiter), []) if len(record) == 1 else record


def title_rows(records: list[list[str]], width: int) -> int:
    """How many first records stand above the header as a title does: hardly a cell filled, and below them a header and full rows."""
    above = 0
    while above < len(records) - 2 and _is_title(records[above], width):
        above += 1
    rest = records[above:]
    full = sum(sum(map(bool, record)) > 1 for record in rest)
    named = above and len(rest[0]) >= 2 and all(cell.strip() for cell in rest[0][:-1]) and len(set(rest[0])) == len(rest[0])
    if any(sum(map(bool, record)) > 1 for record in records[:above]):
        named = named and _header_words(rest[0]) > 0
    return above if named and full >= 0.8 * len(rest) and _header_points(rest) > 0 else 0


def _is_title(record: list[str], width: int) -> bool:
    filled = sum(bool(cell.strip()) for cell in record)
    return width > 1 and (filled <= 1 or (len(record) < width and not _header_words(record)))


def _lines_before(text: str, dialect: Dialect, above: int) -> int:
    """Lines of the text before the record that `above` records with anything in them precede."""
    reader, line = csv.reader(io.StringIO(text, newline=""), **dialect.options()), 0
    for record in reader:
        above -= bool(record) and any(record)
        if above < 0:
            break
        line = reader.line_num
    return line


def _trails(records: list[list[str]]) -> bool:
    """Whether (nearly) every row is longer than the header, by fields in which nothing stands."""
    width, body = len(records[0]) if records else 0, records[1:]
    longer = [record for record in body if len(record) > width]
    return width > 1 and len(longer) >= 0.9 * len(body) > 0 and not any(any(record[width:]) for record in longer)


def first_records(text: str, dialect: Dialect, whole: bool, limit: int = 500) -> list[list[str]]:
    """Up to `limit` records that are not blank, leniently parsed; the last, cut one left out."""
    csv.field_size_limit(sys.maxsize)
    found: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), **dialect.options())
    try:
        for record in reader:
            if record and any(record):
                found.append(opened(record, dialect.delimiter) if dialect.nested else record)
            if len(found) > limit:
                break
    except csv.Error:
        return found
    return found if whole or len(found) > limit else found[:-1]


def _strict_error(text: str, dialect: Dialect, whole: bool) -> bool:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, **dialect.options())
    try:
        for _ in reader:
            pass
    except csv.Error as error:
        return whole or "end of data" not in str(error)
    return False


def _measured(text: str, delimiter: str, whole: bool) -> Dialect | None:
    """The dialect with this delimiter and the quoting that parses best, None if it never separates two fields."""
    plain = Dialect(delimiter)
    variants = [plain]
    if f'{delimiter} "' in text:
        variants.append(Dialect(delimiter, spaced=True))
    if '\\"' in text:
        variants.append(Dialect(delimiter, backslash=True))
    if delimiter == "\t" and '"' in text:
        literal = Dialect(delimiter, quoted=False)
        variants = [literal, *variants] if literal_quotes(first_records(text, literal, whole)) else [*variants, literal]
    usable = [variant for variant in variants if not variant.quoted or not _strict_error(text, variant, whole)] or [plain]
    for variant in usable:
        records = first_records(text, variant, whole)
        widths = Counter(len(record) for record in records)
        if not widths:
            return None
        variant.width = max(widths, key=lambda width: (widths[width], width))
        variant.share = widths[variant.width] / len(records)
    best = max(usable, key=lambda variant: variant.share)
    return best if best.width > 1 else _rare(best, text, whole)


def _rare(dialect: Dialect, text: str, whole: bool) -> Dialect | None:
    """A delimiter that separates only some rows is still the delimiter if the header line has it."""
    records = first_records(text, dialect, whole)
    if records and len(records[0]) > 1:
        dialect.width = len(records[0])
        dialect.share = sum(len(record) == dialect.width for record in records) / len(records)
        return dialect
    return None


def literal_quotes(records: list[list[str]]) -> bool:
    """Whether quotation marks in tab-separated fields belong to the text; the first record is the header."""
    signs = QuoteSigns(header=True)
    for record in records:
        signs.add(record)
    return signs.literal


class QuoteSigns:
    """Whether quotation marks belong to the text of tab-separated fields, from records that come one by one.

    A program that quotes does so for every field of a column, or only for fields that hold a quotation mark (written twice), a tab
    or a line break. The records are those read as if quotation marks were text; header: the first one is none."""

    def __init__(self, header: bool = False) -> None:
        self.width, self.header = -1, header
        self.uneven = self.open = False  # open: a mark at one end only, or a single one inside
        self.filled: list[int] = []  # of each column: cells with text that is no number
        self.wrapped: list[int] = []  # cells in quotation marks
        self.needless: list[bool] = []  # whether one of these holds none inside

    def add(self, record: list[str]) -> None:
        """Look at one more record."""
        if self.width < 0:
            self.width = len(record)
            self.filled, self.wrapped, self.needless = [0] * self.width, [0] * self.width, [False] * self.width
            if self.header:
                return
        self.uneven = self.uneven or len(record) != self.width
        for place, cell in enumerate(record[: self.width]):
            self.filled[place] += bool(cell) and not NUMBER.match(cell)
            if cell[:1] == '"' or cell[-1:] == '"':
                inside = cell[1:-1]
                around = len(cell) > 1 and cell[0] == cell[-1]
                self.wrapped[place] += around
                self.open = self.open or not around or '"' in inside.replace('""', "")
                self.needless[place] = self.needless[place] or (around and '"' not in inside)

    @property
    def literal(self) -> bool:
        """What the records so far say."""
        some = any(needless and wrapped < filled for needless, wrapped, filled in zip(self.needless, self.wrapped, self.filled))
        return not self.uneven and (self.open or some)


def _merit(found: Dialect, text: str, whole: bool) -> tuple[float, ...]:
    records = first_records(text, found, whole)
    same = bool(records) and (len(records[0]) == found.width or _trails(records))
    decimal = found.delimiter == "," and len(re.findall(r"\d,\d", text)) * 10 >= 9 * max(1, text.count(","))
    header = same and sum(name.strip().lower() in HEADER_WORDS for name in records[0])
    prose = found.delimiter == "," and text.count(", ") > 0.9 * text.count(",")
    return (round(found.share, 2) - 0.3 * (not same) - 0.3 * decimal, header, not prose, -DELIMITERS.index(found.delimiter))


def _plausible(found: Dialect, text: str, whole: bool, trusted: bool) -> bool:
    """Whether this is a table and not prose that happens to hold the delimiter."""
    records = first_records(text, found, whole)
    if found.delimiter in RARE:
        return len(records) >= FEWEST and found.share >= 0.99 and len(records[0]) == found.width
    if trusted:
        return found.share >= 0.5 or (bool(records) and len(records[0]) > 1 and _header_words(records[0]) > 0)
    if _header_words(records[0]) == len(records[0]) > 1:
        return len(records) > 1
    if len(records) < 2 or found.share < 0.9:
        return False
    if found.delimiter != ",":
        return True
    spaced = text.count(", ") / max(1, text.count(","))
    return found.share >= 0.95 and (spaced < 0.5 or _header_words(records[0]) >= 1)


def _header_words(record: list[str]) -> int:
    return sum(cell.strip().lower() in HEADER_WORDS for cell in record)


def has_header(records: list[list[str]]) -> bool:
    """Whether the first record names the columns. Evidence is added up over the columns; without any, it does."""
    return not records or _header_points(records) >= 0


def _header_points(records: list[list[str]]) -> float:
    """Evidence for (+) and against (-) the first record being a header; one that is repeated further down is no row."""
    first = records[0]
    body = [record for record in records[1:] if record != first]
    if any(len(cell) > 80 for cell in first):
        return -1.0
    points = 0.0
    for position, name in enumerate(first):
        cells = [record[position].strip() for record in body if position < len(record)]
        points += _column_evidence(name.strip(), cells)
    return points


def _column_evidence(name: str, cells: list[str]) -> float:
    """Points for (+) and against (-) `name` being the header of a column with these `cells`."""
    if not name:
        return 0.0
    if NUMBER.match(name) or name in cells:
        return -3.0
    known = 2.0 if name.lower() in HEADER_WORDS else 0.0
    points = known - (2.0 if len(name.split()) > 3 or name[-1] in ".!?…。" else 0.0)
    filled = [cell for cell in cells if cell.strip()]
    if not filled:
        return points
    numbers = sum(bool(NUMBER.match(cell)) for cell in filled)
    if numbers >= 0.9 * len(filled):
        return points + 2.0
    if len(filled) >= MANY and len(set(filled)) * 4 <= len(filled):
        points += 2.0  # a few values that come again and again, and the name is none of them
    length = sum(map(len, filled)) / len(filled)
    if length >= 15 and len(name) * 2 <= length and len(name.split()) <= 2:
        points += 1.0
    return points
