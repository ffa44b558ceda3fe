"""Columns to roles: the rows of a table in the words of a task.

In:  a Table, a task (its Columns), and which column plays which role
Out: role rows {"id", "row", "file", role: canonical value…} and every problem of the table
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from oneloop.errors import Problem, did_you_mean
from oneloop.read import cells
from oneloop.read.explode import SOURCE_ROW
from oneloop.read.packed import PackedRows
from oneloop.read.separators import separator
from oneloop.read.table import Cells, Table
from oneloop.tasks.base import Column, Row, Task

IDS = ("id", "_id", "guid", "idx", "uid", "uuid", "index", "qid", "doc_id", "sent_id", "id_str", "pid", "row_id", "example_id")
GROUPS = (
    SOURCE_ROW,
    "document",
    "doc",
    "document_id",
    "doc_id",
    "docid",
    "case_id",
    "caseid",
    "article_id",
    "file",
    "query_id",
    "title",
    "paper_id",
)
MAX_PROBLEMS = 10_000
SHOWN_IDS = 3  # repeated ids that a note spells out
Mapped = Mapping[str, str | Sequence[str]]


def to_rows(
    table: Table, task: Task | type[Task], columns: Mapped, *, training: bool = False, inputs_only: bool = False
) -> tuple[list[Row], list[Problem]]:
    """Every row of `table` that can be used, and what is wrong with the others.

    columns: role -> column (a list of one-hot columns for labels). A role that is not named is read from a column of the
    same name. Targets may be missing (rows to predict) unless `training`; with `inputs_only` they are not even looked at. An
    empty text cell of `labels` is no label. What separates labels is what the task was told (`facts["separators"]`), else what
    the column uses.
    Rows carry their id, their number and file, and `group` where a column says that rows belong to one document.
    """
    wanted = [column for column in task.columns if not (inputs_only and column.target)] or list(task.columns)
    rows: list[Row] = []
    return rows, _read_into(rows, table, task, wanted, columns, training)


def to_packed_rows(table: Table, task: Task, columns: Mapped) -> tuple[PackedRows, list[Problem]]:
    """Like `to_rows` for training, with the rows packed as they are made."""
    rows = PackedRows()
    return rows, _read_into(rows, table, task, task.columns, columns, True)


def _read_into(
    rows: list[Row] | PackedRows, table: Table, task: Task | type[Task], wanted: Iterable[Column], columns: Mapped, training: bool
) -> list[Problem]:
    reader = _Reader(table, wanted, columns, training, getattr(task, "facts", {}).get("separators"))
    if reader.problems:
        return reader.problems
    for i, found in enumerate(table):
        if (row := reader.row(i, found)) is not None:
            rows.append(row)
    return reader.problems + mixed_types({"": table}, reader.targets())


def separators(table: Table, task: Task | type[Task], columns: Mapped) -> dict[str, str]:
    """Role -> the sign that separates the labels in its text cells, for every role that several labels fill."""
    wanted = [column for column in task.columns if column.parse is cells.labels]
    return _Reader(table, wanted, {role: name for role, name in columns.items() if role in {c.role for c in wanted}}, False).separators


class _Reader:
    def __init__(
        self, table: Table, wanted: Iterable[Column], columns: Mapped, training: bool, known: Mapping[str, str] | None = None
    ) -> None:
        self.table, self.training = table, training
        self.wanted = list(wanted)
        self.problems: list[Problem] = []
        self.columns = self._resolve(columns)
        self.separators = dict(known) if known is not None else self._separators()
        used = {name for found in self.columns.values() for name in ([found] if isinstance(found, str) else found)}
        self.id = _unique_column(table, IDS)
        self.group = _group_column(table, used | ({self.id} if self.id else set()))

    def _resolve(self, columns: Mapped) -> dict[str, str | Sequence[str]]:
        """Role -> column for the task's roles; problems for columns that are not there and roles nobody plays."""
        there = set(self.table.columns)
        found = dict(columns)
        helping = {"answer", "answer_start"} if any(column.role == "answers" for column in self.wanted) else set()
        roles = {column.role for column in self.wanted} | helping
        for role in roles:
            if role not in found and role in there:
                found[role] = role
        found = {role: self._current(column) for role, column in found.items()}
        for role, column in found.items():
            for name in [column] if isinstance(column, str) else column:
                if name not in there:
                    near = did_you_mean(str(name), there)
                    have = ", ".join(map(repr, self.table.columns[:30]))
                    self._add(f"there is no column '{name}' for the role {role}{near}", f"the columns are {have}")
            if role not in roles:
                self._add(f"'{role}' is not a role of this task{did_you_mean(role, roles)}", f"its roles are {', '.join(sorted(roles))}")
        for part in self.wanted:
            needed = part.required and (self.training or not part.target)
            played = part.role in found or (part.role == "answers" and "answer" in found)
            if needed and not played:
                have = ", ".join(map(repr, self.table.columns[:30]))
                self._add(f"no column for the role {part.role}", f"name one of {have} in columns ({part.role}: …)")
        return {role: column for role, column in found.items() if role in roles}

    def _current(self, column: str | Sequence[str]) -> str | Sequence[str]:
        """The column as the table calls it now, where the file calls it otherwise."""
        known = self.table.aliases
        return known.get(column, column) if isinstance(column, str) and column not in self.table.columns else column

    def _separators(self) -> dict[str, str]:
        several = [column.role for column in self.wanted if column.parse is cells.labels]
        named = {role: name for role in several if isinstance(name := self.columns.get(role), str) and name in self.table.columns}
        return {role: separator(self.table.column(name)) for role, name in named.items()}

    def _add(self, reason: str, remedy: str) -> None:
        self.problems.append(Problem(reason, remedy, file=self.table.file))

    def targets(self) -> list[str]:
        """The columns that hold a class name for each row."""
        roles = {column.role for column in self.wanted if column.target and column.role == "label"}
        return [name for role, name in self.columns.items() if role in roles and isinstance(name, str)]

    def row(self, index: int, found: Cells) -> Row | None:
        """The role row, or None after its problems were noted."""
        at = self.table.origin(index)
        row: Row = {"id": str(found[self.id]) if self.id else str(at.row), "row": at.row, "file": at.file}
        good = True
        for column in self.wanted:
            value = self._value(index, found, column)
            if isinstance(value, Problem):
                good = False
                if len(self.problems) < MAX_PROBLEMS:
                    self.problems.append(value)
            elif value is not None:
                row[column.role] = value
        if self.group and not cells.is_missing(found.get(self.group)):
            row["group"] = str(found[self.group])
        return row if good else None

    def _value(self, index: int, found: Cells, column: Column) -> Any:
        """The canonical value, None where it is missing and may be, or a Problem."""
        name = self.columns.get(column.role)
        if name is None and column.role == "answers" and "answer" in self.columns:
            name = self.columns["answer"]
            cell = self._answer(found, found.get(str(name)))
        elif name is None:
            return None
        elif isinstance(name, str):
            cell = found.get(name)
            if column.role == "answers" and "answer_start" in self.columns and isinstance(cells.unwritten(cell), str):
                cell = self._answer(found, cell)
        else:
            return self._one_hot(index, found, name, column)
        place = str(name)
        if column.parse is cells.labels and isinstance(cell, str) and not cell.strip():
            return []
        if column.role != "answers" and cells.is_missing(cell) and (column.target or cell is None or isinstance(cell, float)):
            if column.required and (self.training or not column.target):
                return self.table.problem(index, f"no {column.role}: the cell is empty", "fill it in or remove the row", place)
            return None
        if column.role == "answers" and cell is None:
            return None if not self.training else []
        try:
            value = cells.labels(cell, self.separators.get(column.role)) if column.parse is cells.labels else column.parse(cell)
        except ValueError as error:
            return self.table.problem(index, _sentence(column.role, error), "correct the cell", place)
        return self._placed(index, found, value, place) if column.role == "answers" else value

    def _answer(self, found: Cells, word: Any) -> Any:
        """One answer as a text with the start that another column gives."""
        start = found.get(str(self.columns["answer_start"])) if "answer_start" in self.columns else None
        if cells.is_missing(word):
            return [] if word is not None else None
        if not isinstance(word, str):
            return word if start is None else {"text": word, "answer_start": start}
        return [{"text": word, "answer_start": None if cells.is_missing(start) else start}]

    def _placed(self, index: int, found: Cells, value: list[Any], place: str) -> Any:
        """Answers with their starts: where none is given, the one place of the answer in its context."""
        name = self.columns.get("context")
        context = found.get(name) if isinstance(name, str) else None
        for answer in value:
            if answer.get("start") is not None or not isinstance(context, str):
                continue
            times = context.count(answer["text"]) if answer["text"] else 0
            if times != 1:
                reason = (
                    f"the answer {cells.quoted(answer['text'])} stands {times} times in its context"
                    if times
                    else (f"the answer {cells.quoted(answer['text'])} does not stand in its context")
                )
                return self.table.problem(index, reason, "give its answer_start" if times else "correct the answer or the context", place)
            answer["start"] = context.index(answer["text"])
        return value

    def _one_hot(self, index: int, found: Cells, names: Sequence[str], column: Column) -> Any:
        chosen = []
        for name in names:
            try:
                if cells.truth(found.get(name) if found.get(name) is not None else ""):
                    chosen.append(name)
            except ValueError as error:
                return self.table.problem(index, _sentence(column.role, error), "write 1 or 0", name)
        return column.parse(chosen)


def _sentence(role: str, error: ValueError) -> str:
    return f"{role} {error}" if str(error).startswith(("is ", "holds ", "has ")) else f"{role}: {error}"


def _unique_column(table: Table, names: Sequence[str]) -> str | None:
    """The first column of such a name whose cells are all there and all different."""
    lower = {name.lower(): name for name in reversed(table.columns)}
    for name in names:
        if name in lower and len(table):
            values = table.column(lower[name])
            whole = not any(cells.is_missing(value) or isinstance(value, list | dict) for value in values)
            if whole and len(set(map(str, values))) == len(values):
                return lower[name]
    return None


def _group_column(table: Table, used: set[str]) -> str | None:
    """The column that says which rows belong to one document: named so, and with values that repeat."""
    lower = {name.lower(): name for name in reversed(table.columns)}
    for name in GROUPS:
        column = lower.get(name)
        if column is None or column in used or (name == "title" and table.format != "squad"):
            continue
        values = [value for value in table.column(column) if isinstance(value, str | int) and value != ""]
        if values and 1 < len(set(values)) < len(values) and max(len(str(value)) for value in values) <= 200:
            return column
    return None


def mixed_types(tables: Mapping[str, Table], columns: Sequence[str]) -> list[Problem]:
    """One problem for each column that holds numbers in one row and text in another, naming both rows; also across splits."""
    problems = []
    for column in columns:
        seen: dict[str, tuple[Table, int]] = {}
        for table in tables.values():
            if column in table.columns:
                for kind, index in _kinds(table, column).items():
                    seen.setdefault(kind, (table, index))
        if len(seen) > 1:
            (first, (one, i)), (second, (other, j)) = list(seen.items())[:2]
            at = one.origin(i)
            where = f"row {at.row}" if one is other else f"{at.file} row {at.row}"
            reason = f"holds {second}, while {where} holds {first}: {cells.quoted(other[j][column])} and {cells.quoted(one[i][column])}"
            problems.append(other.problem(j, reason, "write all of them as text or all as numbers", column))
    return problems


def _kinds(table: Table, column: str) -> dict[str, int]:
    """Kind of cell -> the first row that holds it."""
    found: dict[str, int] = {}
    words = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    for i, cell in enumerate(table.column(column)):
        word = words.get(type(cell))
        if word and word not in found and not cells.is_missing(cell):
            found[word] = i
    return found


def repeated_ids(table: Table, used: Collection[str]) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """(column, [(a row, the first row with the same id)]) for every column that is called like an id, is not `used` for something
    else and otherwise tells the rows apart, as ids of SQuAD always should. Rows are positions in the table."""
    share = 0.0 if table.format == "squad" else 0.9
    for column in [column for column in table.columns if column.lower() in IDS and column not in used]:
        cells_of = table.column(column)
        counts = Counter(str(value) for value in cells_of if isinstance(value, str | int) and str(value).strip())
        if counts.total() * share <= len(counts) < counts.total():
            first: dict[str, int] = {}
            places = ((i, first.setdefault(str(value), i)) for i, value in enumerate(cells_of) if counts.get(str(value), 0) > 1)
            yield column, [(i, j) for i, j in places if i != j]


def told_ids(table: Table, columns: Mapped) -> list[str]:
    """A sentence on each column in which rows share an id, with the first of these rows."""
    used = {name for found in columns.values() for name in ([found] if isinstance(found, str) else found)}
    said = []
    for column, again in repeated_ids(table, used):
        places = [(table.origin(j), table.origin(i)) for i, j in again[:SHOWN_IDS]]
        shown = [
            f"{one.file} rows {one.row} and {at.row}" if one.file == at.file else f"{one.file} row {one.row} and {at.file} row {at.row}"
            for one, at in places
        ]
        more = f" and {len(again) - SHOWN_IDS} more" if len(again) > SHOWN_IDS else ""
        count = "1 row has" if len(again) == 1 else f"{len(again)} rows have"
        said.append(f"{count} an id in '{column}' that an earlier row has too ({', '.join(shown)}{more}); rows are called by their numbers")
    return said
