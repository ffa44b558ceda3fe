"""Which column plays which role.

In: a Table (or any sequence of dict rows with `columns`) and, where it is known, the task. Out: {role: column}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from oneloop.diagnose.labels import labelled, text_columns
from oneloop.diagnose.names import sounds_like
from oneloop.diagnose.pairs import bare, judged_pairs, paired, passages
from oneloop.diagnose.profile import Profile, profiles
from oneloop.diagnose.shapes import Candidate, nested
from oneloop.read.explode import SOURCE_ROW
from oneloop.tasks import table, task_class
from oneloop.tasks.base import Task

SETTLED = 0.93  # a reading this sure (tags, spans, answers, chats) makes comparing every pair of columns needless


def columns_of(rows: Any) -> list[str]:
    """The column names of a table, in the order found, but for the number of the row that an exploded one came from."""
    names = getattr(rows, "columns", None)
    return (
        [name for name in names if name != SOURCE_ROW]
        if names is not None
        else list(dict.fromkeys(name for row in rows[:100] for name in row))
    )


def candidates(found: Sequence[Profile]) -> list[Candidate]:
    """Every set of roles the columns could fill, best first."""
    every = [*nested(found), *labelled(found), *judged_pairs(found), *passages(found), *bare(found)]
    if max((candidate.score for candidate in every if "label" not in candidate.columns), default=0.0) < SETTLED:
        every += paired(found)
    return sorted(every, key=lambda candidate: -candidate.score)


def declared(rows: Any) -> list[Candidate]:
    """What a file says of its own columns: a text in two languages under `translation` or in two files named for them; SQuAD's
    nesting, its answers kept back."""
    if any(name.startswith("translation.") for name in getattr(rows, "aliases", {})):
        columns, why = {"source": "source", "target": "target"}, "column translation holds each row in two languages"
        return [Candidate("source target", columns, 1.0, [why])]
    if getattr(rows, "format", "") == "parallel":
        columns, why = {"source": "source", "target": "target"}, "two files of as many lines, the two sides of each pair"
        return [Candidate("source target", columns, 1.0, [why])]
    if getattr(rows, "format", "") == "squad" and "answers" not in columns_of(rows):
        columns, why = {"question": "question", "context": "context"}, "paragraphs with their questions, as in SQuAD, without any answer"
        return [Candidate("question context answers", columns, 1.0, [why])]
    return []


def fits(candidate: Candidate, task: type[Task]) -> bool:
    """Whether the task reads these roles and one of them is what it predicts."""
    roles = {column.role for column in task.columns}
    targets = {column.role for column in task.columns if column.target}
    key = set(candidate.key.split())
    if "answer" in key and "answer" not in roles:
        key = key - {"answer"} | {"answers"}
    return key <= roles and bool(key & targets)


def tasks_for(candidate: Candidate) -> list[str]:
    """Names of the tasks whose rows fill exactly these roles."""
    return [name for name in table() if fits(candidate, task_class(name))]


def map_columns(rows: Any, task_name: str) -> dict[str, Any]:
    """{role: column} for the task called `task_name`, found by what the columns hold; names only break ties.

    rows: a Table or a sequence of dicts. A role filled by several columns (one-hot labels) gives a list of names. Rows
    without the thing to predict give the input roles alone; {} when not even those are found. Raises RecipeError for an
    unknown task.
    """
    task = task_class(task_name)
    names = columns_of(rows)
    found = profiles(rows, names)
    return columns_for(task, names, found, [*declared(rows), *candidates(found)])


def columns_for(task: type[Task], names: Sequence[str], found: Sequence[Profile], every: Sequence[Candidate]) -> dict[str, Any]:
    """`map_columns` for columns that have been looked at already."""
    best = next((candidate for candidate in every if fits(candidate, task)), None)
    mapped = fitted(best.columns, task) if best else {}
    own = _already_named(names, task)
    if mapped and (all(role == column for role, column in mapped.items()) or own.items() <= mapped.items()):
        return mapped
    if own and not _swapped(own, mapped):
        return own
    return mapped or _inputs(found, task)


def fitted(columns: dict[str, Any], task: type[Task]) -> dict[str, Any]:
    """The mapping in the roles the task declares: `answer` becomes `answers` where it knows only that, and keeps its start."""
    roles = {column.role for column in task.columns}
    roles |= {"answer_start"} if "answers" in roles else set()
    renamed = {("answers" if role == "answer" and role not in roles else role): column for role, column in columns.items()}
    return {role: column for role, column in renamed.items() if role in roles}


def _already_named(names: Iterable[str], task: type[Task]) -> dict[str, Any]:
    """Columns that are called exactly like the roles, when they give every required input and something to predict."""
    present = [column for column in task.columns if column.role in names]
    roles = {column.role for column in present}
    required = {column.role for column in task.columns if column.required}
    targets = [column.role for column in present if column.target]
    inputs = [column.role for column in present if not column.target]
    enough = required <= roles and bool(targets) and (bool(inputs) or all(column.target for column in task.columns))
    return {role: role for role in inputs + targets} if enough else {}


def _swapped(own: dict[str, Any], mapped: dict[str, Any]) -> bool:
    """Whether the cells give the same columns to other roles than their names do."""
    return set(map(str, own.values())) == set(map(str, mapped.values())) and own != mapped


def _inputs(found: Sequence[Profile], task: type[Task]) -> dict[str, Any]:
    """The input roles alone, for rows without anything to predict."""
    lists = [profile for profile in found if profile.kind == "strings"]
    texts = text_columns(found)
    mapped: dict[str, Any] = {}
    for column in task.columns:
        if column.target:
            continue
        pool = lists if column.role == "tokens" else texts
        free = [profile for profile in pool if profile.name not in mapped.values()]
        named = [profile for profile in free if sounds_like(profile.name, column.role)]
        if column.role == "question":
            named = named or [profile for profile in free if profile.asks > 0.4]
        if named or (free and column.required):
            mapped[column.role] = (named or free)[0].name
    if not mapped:
        first = next((column.role for column in task.columns if not column.target and column.role != "tokens"), None)
        mapped = {first: texts[0].name} if first and texts else {}
    return mapped
