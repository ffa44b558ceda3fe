"""Rows that a task can learn from or be scored on: read, filtered, cleaned, repaired, and counted on the way.

In:  a Table, a Task, which column plays which role
Out: role rows with the right answer, and every problem of the table
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from oneloop.errors import Problem, counted, first_rows
from oneloop.read.table import Table
from oneloop.tasks.base import Row, Task

if TYPE_CHECKING:
    from oneloop.read.roles import Mapped


def labelled_rows(
    table: Table,
    task: Task,
    columns: Mapped | Mapping[str, str | Sequence[str]],
    *,
    where: str | None,
    clean: Sequence[str],
    split: str,
    note: Callable[[str], None],
) -> tuple[Sequence[Row], list[Problem]]:
    """The rows of a table as training and evaluation use them, and what is wrong with the others; `note` is told of every
    row or cell that was left out or changed. They are packed."""
    from oneloop.read.cells import labels
    from oneloop.read.clean import apply_clean
    from oneloop.read.explode import explodes
    from oneloop.read.packed import kept, packed
    from oneloop.read.roles import to_packed_rows, told_ids
    from oneloop.read.where import apply_where

    rows: Sequence[Row]
    rows, problems = to_packed_rows(table, task, columns)
    for text in told_ids(table, columns):
        note(f"{text} ({split})")
    several = [column.role for column in task.columns if column.parse is labels]
    without = [(row["file"], row["row"]) for row in rows for role in several if row.get(role) == []]
    if without:
        verb, at = "has" if len(without) == 1 else "have", first_rows(without)
        note(f"{counted(len(without), 'row')} {verb} no label: an empty cell says that none of the labels applies ({split}: {at})")
    if where:
        before = len(rows)
        rows = apply_where(rows, where, table)
        note(f"where: {before} rows in, {len(rows)} out, {100 * len(rows) / max(before, 1):.1f} % kept ({split})")
    clean = [name for name in clean if not explodes(name)]  # done to the table before its columns were named
    if clean:
        before = len(rows)
        rows, counts = apply_clean(rows, clean, task.columns)
        changed = ", ".join(f"{name} changed {count}" for name, count in counts.items())
        note(f"clean: {before} rows in, {len(rows)} out ({split}); {changed}")
    rows, repaired, more = task.prepare_rows(rows)
    for text in repaired:
        note(f"{text} ({split})")
    rows = packed(rows)
    good = [i for i, row in enumerate(rows) if task.has_target(row)]
    if len(good) < len(rows):
        left = [row["row"] for row in rows if not task.has_target(row)]
        named = ", ".join(map(str, left[:5])) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
        count = "1 row without an answer is" if len(left) == 1 else f"{len(left)} rows without an answer are"
        note(f"{count} left out ({split}: {named})")
        rows = kept(rows, good)
    return rows, [*problems, *more]
