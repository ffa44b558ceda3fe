"""Clauses that need no model: the facts of a task, its columns, its settings, what it learns.

In:  a task class and rows as they stand in a file
Out: role rows that the task has prepared and learned from; ContractError
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

from oneloop.errors import Problem
from oneloop.tasks.base import Row, Task
from oneloop.testing.contract import ContractError, demand, same_json

CELLS: tuple[Any, ...] = (None, True, 3, 2.5, float("nan"), "", " ", "word", "1", [], {}, [1], ["a", "b"], [{}], {"a": 1}, [None], [[1]])


def facts(task: type[Task]) -> None:
    """The four facts are there, every column and field is explained, and defaults are for settings that exist."""
    demand(isinstance(getattr(task, "name", None), str) and task.name == task.name.strip().lower() != "", "`name` is lower case text")
    demand(task.columns and len({column.role for column in task.columns}) == len(task.columns), "`columns` names each role once")
    demand(any(column.target for column in task.columns), "at least one column is a target")
    demand(task.head.startswith("AutoModel"), "`head` is a class of transformers, AutoModel…")
    demand(task.metric, "`metric` is the primary key of metrics.json")
    demand(task.__doc__ != Task.__doc__ or sys.modules[task.__module__].__doc__, "the class or its module says what the task does")
    for column in task.columns:
        demand(column.help, f"column {column.role} has no help")
    for name, item in task.fields.items():
        demand(item.help and name.isidentifier(), f"field {name} has no help or is no identifier")
    from oneloop.recipe import field_names

    unknown = set(task.defaults) - field_names() - set(task.fields)
    demand(not unknown, f"defaults for {', '.join(sorted(unknown))}, which no recipe has")
    demand(not set(task.fields) & field_names(), "a field has the name of a setting that every task has")


def cells(task: type[Task]) -> None:
    """Whatever a cell holds, its parser gives a value or a ValueError with a reason."""
    for column in task.columns:
        for cell in CELLS:
            try:
                column.parse(copy.deepcopy(cell))
            except ValueError as error:
                demand(str(error).strip(), f"{column.role} refuses {cell!r} without a reason")
            except Exception as error:
                raise ContractError("", f"{column.role} given {cell!r} raises {type(error).__name__}, not ValueError: {error}") from error


def roles(task: type[Task], rows: Sequence[dict[str, Any]]) -> None:
    """A required role without a column is a problem that names the role."""
    from oneloop.read.roles import to_rows
    from oneloop.read.table import Table

    for column in task.columns:
        if not column.required:
            continue
        left = [{name: cell for name, cell in row.items() if name != column.role} or {"other": "x"} for row in rows]
        _, problems = to_rows(Table(left, list(left[0]), file="data.jsonl"), task, {}, training=True)
        demand(any(column.role in problem.reason for problem in problems), f"without a column {column.role} no problem names it")


def parsed(task: type[Task], rows: Sequence[dict[str, Any]]) -> list[Row]:
    """Role rows; parsing what was parsed changes nothing."""
    demand(len(rows) >= 4, "give at least four rows")
    found = []
    for number, row in enumerate(rows, 1):
        line: Row = {"id": str(row.get("id", number)), "row": number, "file": "data.jsonl"}
        for column in task.columns:
            if column.role in row:
                value = column.parse(row[column.role])
                again = column.parse(copy.deepcopy(value))
                demand(again == value, f"{column.role}: {value!r} becomes {again!r} when it is parsed again")
                line[column.role] = value
        found.append(line)
    return found


def learned(task: Task, rows: list[Row]) -> list[Row]:
    """Prepared rows, from which the task has learned its facts."""
    before = copy.deepcopy(rows)
    ready, notes, problems = task.prepare_rows(rows)
    demand(rows == before, "prepare_rows changes the rows it is given")
    demand(not problems, f"the given rows have problems: {[problem.render() for problem in problems[:3]]}")
    demand(all(isinstance(note, str) for note in notes), "notes of prepare_rows are texts")
    demand(task.prepare_rows(ready)[0] == ready, "prepare_rows changes rows that it has prepared")
    task.learn(ready)
    same_json("facts", task.facts)
    unknown = task.unknown_labels(ready)
    demand(not unknown and all(isinstance(one, Problem) for one in unknown), "unknown_labels names labels of the training rows")
    demand(all(task.has_target(row) for row in ready), "has_target is false for a labelled row")
    return list(ready)
