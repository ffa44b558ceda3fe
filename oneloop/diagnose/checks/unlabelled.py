"""No labels in the file: that it is so, and what can be done without.

In:  `Data` of a task whose targets no row has. Out: one finding that offers a sheet to label and what needs no labels.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from oneloop.diagnose.checks.finding import BLOCKS, LOOK, Data, Finding, about
from oneloop.read.frames import is_rows, name_of
from oneloop.tasks.base import Task


def is_bare(task: Task) -> bool:
    """Whether the task learns from bare text."""
    return any(column.role == "text" and column.target for column in task.columns)


def in_one_cell(task: Task) -> bool:
    """Whether a row can be labelled in one cell of a sheet, or its text is enough."""
    return is_bare(task) or any(column.target and column.role in ("label", "labels", "score") for column in task.columns)


def unlabelled(data: Data, path: str, task: Task) -> Finding:
    """That there are no labels, and what can be done without; bare text may be meant for a language model."""
    rows, bare = data.all_rows, is_bare(task)
    if "question" in data.roles and not bare:
        message = "no question has an answer in this file: there is nothing to learn from yet"
        remedy = "mark the answer of some hundred questions in their contexts; a model trained on other questions can predict these"
        return about("no-labels-in-file", BLOCKS, rows, len(rows), message, remedy)
    if not in_one_cell(task):
        message = "no word or stretch of text is marked: there is nothing to learn from yet"
        remedy = (
            f"`oneloop check {shlex.quote(path)} --task {task.name} --label-sheet 200` writes the most telling rows; mark them in a "
            "tool such as Label Studio or doccano and train on its export, which is read as it is"
        )
        return about("no-labels-in-file", BLOCKS, rows, len(rows), message, remedy)
    remedy = (
        f"without labels: (1) label a few: `oneloop check {shlex.quote(path)} --label-sheet 200` writes the most telling rows "
        "to fill in; (2) describe each class in a sentence (zero-shot), or only look for texts: both are semantic search, which needs no "
        "labels: `oneloop tasks semantic-search`"
    )
    if bare:
        message = "no row has a label: enough for a language model, nothing to learn for a classifier"
        return about("no-labels-in-file", LOOK, rows, len(rows), message, "if classes are wanted, " + remedy)
    return about("no-labels-in-file", BLOCKS, rows, len(rows), "no row has a label: there is nothing to learn from yet", remedy)


def first_path(path: Any) -> str:
    """The (first) path of those that were given, or the name of the rows."""
    if isinstance(path, Mapping):
        return first_path(next(iter(path.values())))
    return str(path[0]) if isinstance(path, list | tuple) and not is_rows(path) else name_of(path)
