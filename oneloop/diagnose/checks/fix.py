"""A cleaned copy of the data and a log of every change. Only what is safe is changed; the original is never touched.

In:  tables as read, the role rows, which column plays which role. Out: files under the given folder: the copy in csv, tsv, jsonl
or CoNLL as the original was, `changes.jsonl` with one line for each change, and `leaked.jsonl` with the rows taken out of test.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oneloop.commit import write_file
from oneloop.diagnose.checks.drift import labels_of
from oneloop.diagnose.checks.finding import TEXT_ROLES, TRAIN, Data, place
from oneloop.diagnose.checks.spans import clean_edges, offset_unit
from oneloop.diagnose.checks.spelling import are_codes, misspelled
from oneloop.diagnose.checks.splits import Found, target_key
from oneloop.diagnose.checks.text import BIDI, SURROGATE, TAG
from oneloop.diagnose.profile import looks_like_code
from oneloop.encode.repair import ELSEWHERE, Context, find_answer, find_unit, only_place
from oneloop.encode.spans import as_iob2
from oneloop.errors import DataError, RunError
from oneloop.measure.entities import has_entities
from oneloop.read.clean import apply_clean, edited
from oneloop.read.offsets import converted
from oneloop.tasks.base import Row

Place = tuple[str, int]
CLEANERS = ("fix-mojibake", "strip-control", "strip-zero-width")  # damage that no text means
MARKED = {"text": "spans", "context": "answers"}  # texts with offsets into them
DELIMITED = {"csv": ",", "tsv": "\t"}
NO_NAME = "0"  # the first column of a file without a header


class _Log:
    """The changes, in order, and how many of each kind."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: Counter[str] = Counter()

    def add(self, place: Place, what: str, column: str, before: Any, after: Any) -> None:
        """Note one change of one cell, or of a whole row (column "")."""
        self.counts[what] += 1
        line = {"file": place[0], "row": place[1], "what": what, "column": column, "before": before, "after": after}
        self.lines.append(json.dumps({key: value for key, value in line.items() if value != ""}, ensure_ascii=False, default=str))


def write_fixed(tables: Mapping[str, Any], data: Data, columns: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the cleaned copy into `folder` (made if it is not there; RunError if it holds files of the original).

    Returns {"folder", "files", "changes": {what: count}}.
    """
    _refuse_original(tables, folder)
    log = _Log()
    dropped, moved = _whole_rows(data, log)
    changed = _cells(data, columns, log)
    written, leaked = [], []
    for name, table in tables.items():
        for problem in table.problems:
            log.add((problem.file, problem.row or problem.line or 0), "left out: unreadable", "", problem.reason, None)
        rows = []
        for i in range(len(table)):
            at = table.origin(i)
            where = (at.file, at.row)
            row = dict(table[i]) | changed.get(where, {})
            if where in moved:
                leaked.append({"file": at.file, "row": at.row, **row})
            elif where not in dropped:
                rows.append(row)
        written.append(_write(table, rows, folder / _name(table, name, len(tables))))
    _unjudged(data, log)
    if leaked:
        written.append(write_file(folder / "leaked.jsonl", _jsonl(leaked)))
    write_file(folder / "changes.jsonl", "".join(line + "\n" for line in log.lines))
    return {"folder": str(folder), "files": [str(path.name) for path in written] + ["changes.jsonl"], "changes": dict(log.counts)}


def _unjudged(data: Data, log: _Log) -> None:
    """Note the passages and queries of a search collection that no judgement names: the copy holds the judged pairs."""
    judged = [table for table in data.tables.values() if table.format == "beir" and "passage_id" in table.columns]
    for name, column in (("corpus", "passage_id"), ("queries", "query_id")) if judged else ():
        every = data.related[name]
        without = len(every) - len({row[column] for table in judged for row in table})
        if without > 0:
            log.add((every.file, 0), "left out: not judged", "", f"{without} of {len(every)} rows", None)


def _refuse_original(tables: Mapping[str, Any], folder: Path) -> None:
    for table in tables.values():
        for file in table.files:
            source = Path(file)
            if source.exists() and source.resolve().parent == folder.resolve():
                raise RunError(
                    "the cleaned copy would lie among the original files", where=str(folder), fix="name another folder with --fix"
                )


# ---- rows --------------------------------------------------------------------------------------------------------------
def _whole_rows(data: Data, log: _Log) -> tuple[set[Place], set[Place]]:
    """Places of rows that are dropped (copies within train) and moved out (rows of other splits that train has too)."""
    found = Found.of(data, nearly=False)
    targets = tuple(role for role in data.target_roles if role not in data.input_roles)
    first: dict[tuple[int, str], Row] = {}
    dropped: set[Place] = set()
    for i in found.of_split(TRAIN) if targets else ():
        row = found.rows[i]
        earlier = first.setdefault((found.copies.ids[i], target_key(row, targets)), row)
        if earlier is not row:
            dropped.add(place(row))
            log.add(place(row), "dropped: copy of a train row", "", f"row {earlier['row']} of {earlier['file']}", None)
    moved: set[Place] = set()
    for name in data.splits:
        for i, j in found.leaks(name, TRAIN)[0] if name != TRAIN else ():
            row, other = found.rows[i], found.rows[j]
            moved.add(place(row))
            log.add(place(row), f"moved out of {name}: also in train", "", f"row {other['row']} of {other['file']}", "leaked.jsonl")
    return dropped, moved


# ---- cells -------------------------------------------------------------------------------------------------------------
def _cells(data: Data, columns: Mapping[str, Any], log: _Log) -> dict[Place, dict[str, Any]]:
    """{place: {column: new cell}} of every cell that changes."""
    found: dict[Place, dict[str, Any]] = {}
    spelling = misspelled(Counter(label for row in data.all_rows for label in labels_of(row)), codes=are_codes(data.all_rows))
    entities = has_entities({tag for row in data.all_rows for tag in row.get("tags", ())})
    unit = find_unit([row for row in data.all_rows if row.get("answers") and "context" in row])
    counted = offset_unit([row for row in data.all_rows if row.get("spans") and isinstance(row.get("text"), str)])[0]
    bare = not set(data.target_roles) - set(data.input_roles)
    for row in data.all_rows:

        def put(role: str, what: str, new: Any, row: Row = row) -> None:
            """Give a role of this row a new value, and note it, if the value is new and one column holds it."""
            column = columns.get(role, role)
            if not isinstance(column, str) or new == row[role]:
                return
            log.add(place(row), what, column, row[role], new)
            row[role] = new
            found.setdefault(place(row), {})[column] = new

        if counted and row.get("spans") and isinstance(row.get("text"), str):  # before anything that moves the text under its marks
            moved = converted(row["text"], row["spans"], counted)
            if clean_edges(row["text"], moved) >= clean_edges(row["text"], row["spans"]):
                put("spans", f"offsets from {counted} to characters", moved)
        _fix_texts(row, put, CLEANERS if bare else (*CLEANERS, "strip"))
        _fix_labels(row, spelling, put)
        if entities and "tags" in row:
            _fix_tags(row, spelling, put)
        if row.get("spans") and isinstance(row.get("text"), str):
            _fix_spans(row, spelling, put)
        if row.get("answers") and isinstance(row.get("context"), str):
            _fix_answers(row, unit, put)
    return found


Put = Callable[[str, str, Any], None]


def plain(text: str) -> str:
    """A text without half characters and direction marks; both are never meant."""
    return BIDI.sub("", SURROGATE.sub("\ufffd", text))


def _fix_texts(row: Row, put: Put, cleaners: Sequence[str]) -> None:
    """Mend damaged characters; texts with offsets into them only where the marks can follow."""
    for role in TEXT_ROLES:
        value = row.get(role)
        if not isinstance(value, str) or (value.isascii() and value.isprintable() and value == value.strip() and "&" not in value):
            continue
        meant = "&" not in value or TAG.search(value) or looks_like_code(value)  # markup and programs mean their entities
        wanted = cleaners if meant else ("unescape-html", *cleaners)
        if role in MARKED and row.get(MARKED[role]):
            _fix_marked(row, role, put, wanted)
            continue
        for cleaner in wanted if value.strip() else ():
            put(role, cleaner, edited(row[role], cleaner))
        put(role, "strip-bidi", plain(row[role]))
    if "tokens" in row and any(not word.isascii() for word in row["tokens"]):
        put("tokens", "fix-mojibake", [edited(word, "fix-mojibake") or word for word in row["tokens"]])


def _fix_marked(row: Row, role: str, put: Put, cleaners: Sequence[str]) -> None:
    marks = MARKED[role]
    for cleaner in cleaners:
        try:
            cleaned = apply_clean([{role: row[role], marks: row[marks]}], [cleaner])[0][0]
        except DataError:
            continue  # the marks end inside what would change; the row stays as it is
        put(role, cleaner, cleaned[role])
        put(marks, f"{cleaner}: offsets follow", cleaned[marks])


def _fix_labels(row: Row, spelling: Mapping[str, str], put: Put) -> None:
    if row.get("label") in spelling:
        put("label", "label spelling", spelling[row["label"]])
    if isinstance(row.get("labels"), list) and any(label in spelling for label in row["labels"]):
        put("labels", "label spelling", list(dict.fromkeys(spelling.get(label, label) for label in row["labels"])))


def _fix_tags(row: Row, spelling: Mapping[str, str], put: Put) -> None:
    """Types in one spelling, prefixes in capitals, everything as IOB2 by conlleval's reading."""
    tags = []
    for tag in row["tags"]:
        prefix, hyphen, kind = tag.partition("-")
        if hyphen and prefix.lower() in "biesluom" and len(prefix) == 1:
            tag = f"{prefix.upper()}-{spelling.get(kind, kind)}"
        tags.append("O" if tag == "o" else tag)
    put("tags", "tag spelling", tags)
    put("tags", "tags as IOB2", as_iob2(row["tags"]))


def _fix_spans(row: Row, spelling: Mapping[str, str], put: Put) -> None:
    """Labels in one spelling, no space at an edge, no span twice."""
    text, kept, seen = row["text"], [], set()
    for span in row["spans"]:
        start, end = span["start"], span["end"]
        while 0 <= start < end <= len(text) and text[start].isspace():
            start += 1
        while 0 <= start < end <= len(text) and text[end - 1].isspace():
            end -= 1
        label = spelling.get(span["label"], span["label"])
        if start < end and (start, end, label) not in seen:
            kept.append(span | {"start": start, "end": end, "label": label})
            seen.add((start, end, label))
        elif start >= end:
            kept.append(span)  # an empty span is told, not guessed at
    put("spans", "spans trimmed", kept)


def _fix_answers(row: Row, unit: str, put: Put) -> None:
    """Starts that are a little off, or counted in another unit, or name none of the places while there is only one."""
    context, moved = Context(row["context"]), []
    for answer in row["answers"]:
        place, how = find_answer(answer["text"], answer.get("start"), context, unit)
        if how == ELSEWHERE and (only := only_place(answer["text"], row["context"])) is not None:
            place = (only, only + len(answer["text"]))
        moved.append(answer if place is None else {"text": row["context"][place[0] : place[1]], "start": place[0]})
    put("answers", "answer placed", moved)


# ---- files -------------------------------------------------------------------------------------------------------------
def _name(table: Any, split: str, splits: int) -> str:
    """The file's own name where the table is one file, else the split's; the ending says how it is written."""
    files = table.files
    stem = Path(files[0]).name.split(".")[0] if len(files) == 1 and files[0] else split
    stem = split if splits > 1 and len(files) != 1 else stem
    ending = table.format if table.format in (*DELIMITED, "conll", "txt") else "jsonl"
    return f"{stem or split}.{ending}"


def _write(table: Any, rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    if table.format in DELIMITED and all(isinstance(cell, str) or cell is None for row in rows[:100] for cell in row.values()):
        text = io.StringIO()
        writer = csv.writer(text, delimiter=DELIMITED[table.format], lineterminator="\n")
        if table.columns and table.columns[0] != NO_NAME:
            writer.writerow(table.columns)
        for row in rows:
            cells = [row.get(name) for name in table.columns]
            writer.writerow(
                ["" if cell is None else cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in cells]
            )
        return write_file(path, text.getvalue())
    if table.format == "conll":
        return write_file(path, _conll(table.columns, rows))
    if table.format == "txt" and len(table.columns) == 1:
        return write_file(path, "".join(str(row[table.columns[0]]) + "\n" for row in rows))
    return write_file(path.with_suffix(".jsonl"), _jsonl([_answers_as_read(row) for row in rows]))


def _conll(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns that hold a list of one length as CoNLL lines, tokens first and tags last."""
    lists = [name for name in columns if rows and isinstance(rows[0].get(name), list)]
    order = (
        [name for name in ("tokens",) if name in lists]
        + [name for name in lists if name not in ("tokens", "tags")]
        + ["tags"] * ("tags" in lists)
    )
    lines = []
    for row in rows:
        lines += [" ".join(map(str, cells)) for cells in zip(*(row[name] for name in order))]
        lines.append("")
    return "\n".join(lines) + "\n"


def _answers_as_read(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with canonical answers in the layout of SQuAD as `datasets` has it."""
    answers = row.get("answers")
    if isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers):
        return {**row, "answers": {"text": [answer["text"] for answer in answers], "answer_start": [answer["start"] for answer in answers]}}
    return dict(row)


def _jsonl(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
