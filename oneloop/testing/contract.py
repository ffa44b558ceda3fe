"""What all clauses share: the error, the task with its rows and model, and comparing.

In:  a task that has learned from its rows, a model and a tokenizer
Out: a Kit; ContractError through `demand` and `clause`
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from oneloop.tasks.base import Feature, Prediction, Row, Task

if TYPE_CHECKING:
    from oneloop.measure.evaluate import Evaluation

LENGTH, STRIDE = 32, 8
CLOSE = 1e-4  # of two float32 results whose batches were padded differently


class ContractError(AssertionError):
    """A clause of the contract in `oneloop.tasks.base` that a task does not keep."""

    def __init__(self, clause: str, what: str) -> None:
        self.clause, self.what = clause, what
        super().__init__(f"{clause}: {what}")


@contextmanager
def clause(name: str) -> Iterator[None]:
    """Whatever goes wrong inside is a breach of this clause."""
    try:
        yield
    except ContractError as error:
        raise ContractError(name, error.what) from error
    except Exception as error:
        raise ContractError(name, f"{type(error).__name__}: {error}") from error


def demand(holds: Any, what: str) -> None:
    """ContractError (its clause is named by the caller) unless `holds`."""
    if not holds:
        raise ContractError("", what)


class Kit:
    """What the clauses share: the task after `learn`, its rows with and without answers, model, tokenizer, predictions."""

    def __init__(self, task: Task, rows: list[Row], model: Any, tokenizer: Any) -> None:
        from oneloop.measure.evaluate import Engine

        self.task, self.rows, self.model, self.tokenizer = task, rows, model.eval(), tokenizer
        targets = {column.role for column in task.columns if column.target}
        self.only_targets = targets == {column.role for column in task.columns if any(column.role in row for row in rows)}
        bare = [{name: value for name, value in row.items() if name not in targets} for row in rows]
        self.bare: list[Row] = rows if self.only_targets else bare
        self.engine = Engine(model, tokenizer, batch_tokens=4 * LENGTH)
        self.features = task.encode(rows, tokenizer)

    @cached_property
    def found(self) -> Evaluation:
        """The evaluation of the rows, as a run evaluates them."""
        from oneloop.measure.evaluate import evaluate_rows

        return evaluate_rows(self.task, self.engine, self.rows)

    def predict(self, rows: Sequence[Row]) -> list[Prediction]:
        """Predictions, as `predict` makes them."""
        from oneloop.measure.evaluate import predict_rows

        return predict_rows(self.task, self.engine, rows)


def same_json(what: str, value: Any) -> None:
    again = json.loads(json.dumps(value, allow_nan=False))
    demand(again == value, f"{what} change on their way through JSON: {value!r}")


def alike(one: Any, two: Any) -> bool:
    """Whether two JSON values are the same, numbers up to `CLOSE`."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(alike(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(alike, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=CLOSE, abs_tol=CLOSE) or (one != one and two != two)
    return bool(one == two)


def close(one: dict[str, float], two: dict[str, float]) -> bool:
    equal = (
        math.isclose(one[name], two[name], rel_tol=1e-9, abs_tol=1e-12) or (one[name] != one[name] and two[name] != two[name])
        for name in one
    )
    return one.keys() == two.keys() and all(equal)


def of_row(features: Sequence[Feature], row: int) -> list[Feature]:
    return [feature for feature in features if feature["row"] == row]


def plain(value: Any) -> str:
    """Features as text, the position of their row left out, for comparing."""
    if isinstance(value, dict):
        return str({name: plain(item) for name, item in sorted(value.items()) if name != "row"})
    return str([plain(item) for item in value] if isinstance(value, list | tuple) else np.asarray(value).tolist())
