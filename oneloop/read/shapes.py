"""Nested JSON whose shape says what it is, laid flat: SQuAD, Label Studio, doccano, spaCy, Prodigy, Argilla, translations, objects.

In:  a Table of JSON rows (and the document they were found in)
Out: a Table with role columns: text and spans, question and context and answers, source and target
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

from oneloop.errors import Problem
from oneloop.read import exports
from oneloop.read.cells import unwritten
from oneloop.read.exports import Fault
from oneloop.read.offsets import converted, find_unit
from oneloop.read.table import Cells, Table

LOOKED_AT = 50  # rows that show a shape
AGREE = 0.6  # of them that must have it; the others are then problems
DEEPEST = 3  # objects opened one inside the other
WRAPPED = "objects"
Flat = Iterator[Cells | Fault]


def flatten(table: Table, document: Any = None) -> Table:
    """`table` laid flat if most of its first rows have a known shape, else `table` itself."""
    rows: Sequence[Any] = table.rows
    if isinstance(document, dict) and exports.is_spacy_tool(document):
        rows = [{str(i): cell for i, cell in enumerate(item)} for item in document["annotations"] if item]
        table = Table(rows, ["0", "1"], file=table.file, format="json")
    looked = rows[:LOOKED_AT]
    for name, matches, lay in SHAPES:
        if looked and sum(map(matches, looked)) >= AGREE * len(looked):
            return _laid(table, name, lay)
    return table


def paired(table: Table) -> Table:
    """A table with a column `translation` of objects (or of objects written as text) laid flat as source and target, else
    the table itself. For formats whose other cells mean what they are."""
    if "translation" not in table.columns:
        return table
    cells = [unwritten(cell) for cell in table.column("translation")]
    if not any(map(_is_translation, ({"translation": cell} for cell in cells[:LOOKED_AT]))):
        return table
    opened = copy(table)
    opened.rows = [row | {"translation": cell} for row, cell in zip(table.rows, cells)]
    return flatten(opened)


def _laid(table: Table, name: str, lay: Callable[[Cells], Flat]) -> Table:
    rows: list[Cells] = []
    numbers, lines = array("q"), array("q")
    problems: list[Problem] = []
    count = 0
    single = name in exports.ONE_EACH or name == WRAPPED
    if name == "translation":
        lay = _lay_pair(_languages(table))
    for index, row in enumerate(table.rows):
        at = table.origin(index)
        for item in _safely(lay, row):
            count += 1
            number = at.row if single else count
            if isinstance(item, Fault):
                problems.append(Problem(item.reason, item.remedy, file=at.file, row=number, line=at.line, column=item.column))
                continue
            rows.append(item)
            numbers.append(number)
            lines.append(at.line or 0)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    flat = Table(rows, columns, file=table.file, format=name, numbers=numbers, lines=lines)
    flat.notes, flat.problems, flat.sampled = list(table.notes), [*table.problems, *problems], table.sampled
    _settle_offsets(flat)
    if name == "translation":
        flat.notes.append(f"{table.file}: languages {', '.join(_languages(table))}, the first is the source")
        flat.format = table.format
        for language, role in zip(_languages(table), ("source", "target")):
            flat.aliases |= {language: role, f"translation.{language}": role}
    if name == WRAPPED:
        flat.notes.append(f"{table.file}: objects were laid out as columns: {', '.join(columns[:12])}")
        flat.format = table.format
    if name in ("spans", "doccano"):
        first = next(filter(exports.is_spans, table.rows[:LOOKED_AT]), {})
        flat.aliases = {str(key): role for key, role in zip(exports.keys_of(first), ("text", "spans")) if key != role}
    return flat


def _safely(lay: Callable[[Cells], Flat], row: Cells) -> Flat:
    """The flat rows of one nested row; a row of another shape than the first ones becomes a fault."""
    try:
        yield from lay(row)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        missing = f"the field {error} is missing" if isinstance(error, KeyError) else "has another shape than the rows before"
        yield Fault(missing, "make it like the other rows")


def _settle_offsets(table: Table) -> None:
    """Bring all spans to code points if their stored words show that they were counted otherwise."""
    if "spans" not in table.columns:
        return
    pairs = [(row["text"], row["spans"]) for row in table.rows if row.get("spans")]
    unit = find_unit(pairs)
    if unit in (None, "code points"):
        return
    for row in table.rows:
        row["spans"] = converted(row["text"], row["spans"], str(unit))
    table.notes.append(f"{table.file}: span offsets were counted in {unit}; they are now counted in characters")


def squad_articles(document: Any) -> bool:
    """Whether a document is SQuAD's nesting: data → paragraphs → qas."""
    data = document.get("data") if isinstance(document, dict) else None
    return isinstance(data, list) and bool(data) and all(_is_article(item) for item in data[:LOOKED_AT])


def _is_article(row: Any) -> bool:
    paragraphs = row.get("paragraphs") if isinstance(row, dict) else None
    if not isinstance(paragraphs, list):
        return False
    return not paragraphs or any(isinstance(item, dict) and "qas" in item and "context" in item for item in paragraphs[:LOOKED_AT])


def _lay_article(row: Cells) -> Flat:
    """One row for each question: id, title, question, context, answers, is_impossible (SQuAD 1.1 and 2.0)."""
    for paragraph in row["paragraphs"]:
        questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
        if not isinstance(questions, list):
            yield Fault("a paragraph without questions", 'give it "qas": […], or remove it')
            continue
        for item in questions:
            yield _question(item, paragraph.get("context"), row.get("title", ""))


def _question(item: Any, context: Any, title: Any) -> Cells | Fault:
    """The row of one question, or everything that is wrong with it."""
    if not isinstance(item, dict):
        return Fault("is not a question", 'write {"id", "question", "answers"}')
    answers = item.get("answers")
    listed = answers if isinstance(answers, list) else []
    found = [answer for answer in listed if isinstance(answer, dict) and "text" in answer]
    wrong = []
    if not isinstance(item.get("question"), str):
        wrong.append(("a question without text", 'give it "question": "…"'))
    if not isinstance(context, str):
        wrong.append(("its paragraph has no text", 'give the paragraph "context": "…"'))
    if answers is not None and not isinstance(answers, list):
        wrong.append(("answers is not a list", "write a list of {text, answer_start}"))
    if len(found) != len(listed):
        wrong.append((f"question {item.get('id')}: an answer without text", "write {text, answer_start}"))
    if wrong:
        reasons, remedies = zip(*wrong)
        return Fault(", ".join(reasons), ", ".join(remedies))
    row = {"id": str(item.get("id", "")), "title": title, "question": item["question"], "context": context}
    if answers is not None:
        starts = [answer.get("answer_start") for answer in found]
        row["answers"] = {"text": [answer["text"] for answer in found], "answer_start": starts}
        row["is_impossible"] = bool(item.get("is_impossible", not found))
    return row


def _is_translation(row: Any) -> bool:
    pair = row.get("translation") if isinstance(row, dict) else None
    return isinstance(pair, dict) and len(pair) == 2 and all(isinstance(value, str) or value is None for value in pair.values())


def _lay_translation(row: Cells) -> Flat:
    source, target = row["translation"].values()
    yield {key: value for key, value in row.items() if key != "translation"} | {"source": source, "target": target}


def _lay_pair(languages: list[str]) -> Callable[[Cells], Flat]:
    """Like `_lay_translation` with the languages of the first row: a row that names them in another order stays right."""

    def lay(row: Cells) -> Flat:
        if not _is_translation(row):
            yield Fault("translation is not an object with a text in two languages", f"write {_shown(languages)}", "translation")
            return
        if set(row["translation"]) != set(languages):
            yield Fault(f"languages {', '.join(row['translation'])}, the rows before have {', '.join(languages)}", "keep one pair per file")
            return
        yield next(_lay_translation(row | {"translation": {name: row["translation"][name] for name in languages}}))

    return lay


def _shown(languages: list[str]) -> str:
    return "{" + ", ".join(f'"{name}": "…"' for name in languages) + "}"


def _languages(table: Table) -> list[str]:
    return next((list(row["translation"]) for row in table.rows if _is_translation(row)), [])


def _is_wrapped(row: Any) -> bool:
    """Whether all that can be read stands one or more objects deep: {"id": 7, "fields": {"text": …, "label": …}}."""
    return isinstance(row, dict) and not _speaks(row) and _speaks(_opened(row))


def _speaks(row: Cells) -> bool:
    return any((isinstance(cell, str) and " " in cell.strip()) or _is_words(cell) for cell in row.values())


def _is_words(cell: Any) -> bool:
    return isinstance(cell, list) and bool(cell) and all(isinstance(item, str) for item in cell)


def _opened(row: Cells) -> Cells:
    """The row with its objects laid out as columns named by their path (fields.text), down to the first texts."""
    for _ in range(DEEPEST):
        if _speaks(row) or not any(isinstance(cell, dict) for cell in row.values()):
            break
        parts = [
            {f"{key}.{inner}": value for inner, value in cell.items()} if isinstance(cell, dict) else {key: cell}
            for key, cell in row.items()
        ]
        row = {key: cell for part in parts for key, cell in part.items()}
    return row


def _lay_wrapped(row: Cells) -> Flat:
    yield _opened(row)


SHAPES: tuple[tuple[str, Callable[[Any], bool], Callable[[Cells], Flat]], ...] = (
    ("squad", _is_article, _lay_article),
    ("translation", _is_translation, _lay_translation),
    ("label-studio", exports.is_label_studio, exports.lay_label_studio),
    ("spacy", exports.is_spacy_documents, exports.lay_spacy_documents),
    ("spacy", exports.is_spacy_pairs, exports.lay_spacy_pair),
    ("doccano", exports.is_doccano, exports.lay_doccano),
    ("spans", exports.is_argilla, exports.lay_argilla),
    ("spans", exports.is_spans, exports.lay_spans),
    (WRAPPED, _is_wrapped, _lay_wrapped),
)
