"""From one file to its Table: unpacked, recognised by content, read by the reader of its format.

In:  a Part and Options
Out: a Table with all its problems
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from oneloop.errors import DataError, RecipeError, did_you_mean
from oneloop.read import columnar, conll, delimited, fasttext, json_rows, plain
from oneloop.read.decoding import REMEDY, find_encoding
from oneloop.read.detect import Detected, detect
from oneloop.read.packed import kept
from oneloop.read.shapes import flatten, paired
from oneloop.read.sources import Part, unpacked
from oneloop.read.table import Table, joined
from oneloop.read.words import LOOKED_AT, layout, sentences

# what a user may call a format -> what reads it; "" means: by content (the shape of JSON is always found from it)
_OWN = ("csv", "tsv", "jsonl", "json", "parquet", "arrow", "conll", "fasttext", "txt", "tmx", "html", "pdf", "docx", "xlsx")
_BY_SHAPE = ("squad", "spans", "label-studio", "doccano", "spacy", "prodigy", "argilla", "beir", "brat", "parallel", "hf")
FORMATS = {
    **{name: name for name in _OWN},
    **{"feather": "arrow", "ndjson": "jsonl", "text": "txt", "conllu": "conll", "iob": "conll", "bio": "conll", "excel": "xlsx"},
    **dict.fromkeys(_BY_SHAPE, ""),
}
OF_WORDS = ("csv", "tsv", "jsonl", "json", "parquet", "arrow", "xlsx")  # formats whose rows may be single words


@dataclass(frozen=True)
class Options:
    """What the caller fixed. whole: False to look at the beginning of a file only."""

    format: str | None = None
    encoding: str | None = None
    max_rows: int | None = None
    whole: bool = True

    def rows(self, read: int) -> Options:
        """The options for a further file after `read` rows."""
        return self if self.max_rows is None else replace(self, max_rows=max(0, self.max_rows - read))


def known_format(name: str | None) -> str | None:
    """The reader that belongs to a format's name; RecipeError with a suggestion for an unknown one."""
    if name is None:
        return None
    word = name.strip().lower().replace("_", "-")
    if word not in FORMATS:
        raise RecipeError(f"there is no format '{name}'{did_you_mean(word, FORMATS)}", expected="one of " + ", ".join(FORMATS))
    return FORMATS[word] or None


def read_part(part: Part, options: Options) -> Table:
    """The rows of one file, or of the one file in a packed one."""
    try:
        return joined([read_plain(plain, options) for plain in unpacked(part)])
    finally:
        part.close()


def read_plain(part: Part, options: Options) -> Table:
    """The rows of one file that is not packed."""
    format = known_format(options.format)
    limit = None if options.whole else 1 << 20
    try:
        found = detect(part, options.encoding, limit) if format is None else _told(part, format, options)
        return _of_sentences(part, found, options)
    except UnicodeDecodeError as error:  # a part of a file that was not looked at
        raise DataError(f"is not {error.encoding} throughout", where=part.name, fix=REMEDY) from error
    finally:
        part.close()


def _of_sentences(part: Part, found: Detected, options: Options) -> Table:
    """The rows of one file; where it holds one word a row, its sentences (of which max_rows then counts)."""
    table = _READERS[found.format](part, found, options)
    if options.max_rows is None or found.format not in OF_WORDS:
        return sentences(table) if found.format in OF_WORDS else table
    probe = table if len(table) >= LOOKED_AT else _READERS[found.format](part, found, replace(options, max_rows=LOOKED_AT))
    if layout(probe) is None:
        return table
    return cut(sentences(_READERS[found.format](part, found, replace(options, max_rows=None))), options.max_rows)


def holds_words(part: Part, found: Detected) -> bool:
    """Whether a file holds one word a row, which are read joined: its rows are then not those of the file."""
    if found.format not in OF_WORDS:
        return False
    return layout(_READERS[found.format](part, found, Options(max_rows=LOOKED_AT, whole=False))) is not None


def _told(part: Part, format: str, options: Options) -> Detected:
    if format in ("parquet", "arrow", "pdf", "docx", "xlsx"):
        return Detected(format)
    return Detected(format, find_encoding(part.open(), part.name, options.encoding))


def _delimited(part: Part, found: Detected, options: Options) -> Table:
    return paired(delimited.read_delimited(part, found.found, max_rows=options.max_rows, dialect=found.dialect))


def _jsonl(part: Part, found: Detected, options: Options) -> Table:
    return flatten(json_rows.read_jsonl(part, found.found, max_rows=options.max_rows))


def _json(part: Part, found: Detected, options: Options) -> Table:
    table, document = json_rows.read_json(part, found.found, whole=options.whole)
    if table.related:
        related = {split: cut(flatten(member), options.max_rows) for split, member in table.related.items()}
        table = next(iter(related.values()))
        table.related = related
        return table
    return cut(flatten(table, document), options.max_rows)


def cut(table: Table, max_rows: int | None) -> Table:
    """The first `max_rows` rows of a table."""
    if max_rows is None or len(table) <= max_rows:
        return table
    return picked(table, range(max_rows))


def picked(table: Table, positions: range | list[int]) -> Table:
    """A table of the rows at `positions`; notes, problems and names stay."""
    at = [table.origin(i) for i in positions]
    found = Table(
        kept(table.rows, positions),
        table.columns,
        file=table.file,
        format=table.format,
        numbers=[origin.row for origin in at],
        lines=[origin.line or 0 for origin in at],
    )
    found.set_files([origin.file for origin in at])
    found.notes, found.problems, found.names = list(table.notes), list(table.problems), table.names
    found.related, found.sampled, found.aliases = table.related, table.sampled, dict(table.aliases)
    return found


def _tmx(part: Part, found: Detected, options: Options) -> Table:
    from oneloop.read.tmx import read_tmx

    return read_tmx(part, max_rows=options.max_rows)


def _office(part: Part, found: Detected, options: Options) -> Table:
    from oneloop.read import office

    reader: Callable[..., Table] = getattr(office, f"read_{found.format}")
    return cut(reader(part, found.found), options.max_rows)


_READERS: dict[str, Callable[[Part, Detected, Options], Table]] = {
    "csv": _delimited,
    "tsv": _delimited,
    "jsonl": _jsonl,
    "json": _json,
    "parquet": lambda part, found, options: paired(columnar.read_parquet(part, max_rows=options.max_rows)),
    "arrow": lambda part, found, options: paired(columnar.read_arrow(part, max_rows=options.max_rows)),
    "conll": lambda part, found, options: conll.read_conll(part, found.found, max_rows=options.max_rows, form=found.layout),
    "fasttext": lambda part, found, options: fasttext.read_fasttext(part, found.found, max_rows=options.max_rows),
    "txt": lambda part, found, options: plain.read_lines(part, found.found, max_rows=options.max_rows),
    "tmx": _tmx,
    "html": _office,
    "pdf": _office,
    "docx": _office,
    "xlsx": _office,
}
