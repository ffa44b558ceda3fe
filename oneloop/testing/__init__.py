"""The contract test of a task, for everybody who writes one (as scikit-learn's check_estimator is for estimators).

    from oneloop.testing import check_task
    check_task(MyTask, [{"text": "Refund me now", "label": "angry"}, {"text": "Thank you", "label": "calm"}, …])

In:  a task class and a few labelled rows as they would stand in a file (ten or more, every label at least twice).
Out: nothing; ContractError, which is an AssertionError, names the clause that is broken and the row or value that shows it.

Without a `model` a tiny one with random weights is built in memory, so that a check takes seconds and needs no network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oneloop.testing import before
from oneloop.testing.contract import LENGTH, STRIDE, ContractError, Kit, clause, same_json

if TYPE_CHECKING:
    from oneloop.tasks.base import Task

__all__ = ["ContractError", "check_task"]


def check_task(
    task_class: type[Task],
    rows: Sequence[dict[str, Any]],
    *,
    model: Any = None,
    tokenizer: Any = None,
    settings: dict[str, Any] | None = None,
) -> None:
    """Hold a task against the contract, clause by clause. Raises ContractError at the first that is broken.

    rows: labelled rows, role to cell. model, tokenizer: of the task's head; tiny ones are built where they are not given.
    settings: recipe fields that differ from the task's defaults.
    """
    made = {"max_length": LENGTH, "stride": STRIDE, "seed": 1} | (settings or {})
    with clause("facts"):
        before.facts(task_class)
    with clause("columns: a cell gives a value or a ValueError with a reason"):
        before.cells(task_class)
    with clause("columns: a role that nobody plays is named in the error"):
        before.roles(task_class, rows)
    with clause("settings"):
        task = task_class(made)
        same_json("settings", {name: value for name, value in task.settings.items() if name in task.fields})
    with clause("rows: cells become values, and values stay what they are"):
        parsed = before.parsed(task_class, rows)
    with clause("prepare_rows and learn: facts are JSON, rows are left alone"):
        learned = before.learned(task, parsed)
    with clause("a tiny model with the task's head"):
        from oneloop.testing.clauses import CLAUSES
        from oneloop.testing.tiny import tiny_model, tiny_tokenizer

        if tokenizer is None:
            tokenizer = tiny_tokenizer(json.dumps(learned, ensure_ascii=False, default=str))
        model = model if model is not None else tiny_model(task, tokenizer)
    with clause("encode"):
        kit = Kit(task, learned, model, tokenizer)
    for name, check in CLAUSES.items():
        with clause(name):
            check(kit)
