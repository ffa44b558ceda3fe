"""Statistics per row, and the score that follows from them.

In:  a task's `score(predictions, rows)` gives one line of numbers per row, e.g. [right, 1] for accuracy.
Out: metrics from any multiset of rows, so that one bootstrap serves every metric (`interval.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from oneloop.errors import DataError

Metrics = dict[str, float]


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole as float64, NaN (undefined) where the whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    undefined = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    found: np.ndarray = np.divide(part, whole, out=undefined, where=whole != 0)
    return found


def require_pairs(predicted: Sequence[object], gold: Sequence[object]) -> None:
    """Refuse to score when predictions and references are not one to one: scorers that cut to the shorter list lie."""
    if len(predicted) != len(gold):
        raise DataError(
            f"{len(predicted)} predictions for {len(gold)} references",
            expected="one prediction for each reference, in the same order",
            fix="predict all rows of the file that is scored, and only those",
        )


@dataclass(frozen=True)
class Statistics:
    """`table` (N, S): one line per row. `reduce` turns lines into metrics.

    additive: `reduce` takes sums over rows, (B, S), and returns arrays of shape (B,), one entry per set of rows.
    Otherwise it takes the lines of one set of rows, (M, S), and returns floats (rank correlations need the rows).
    `signature` names everything that could change the number: scorer and version, averaging, repair mode, …
    """

    table: np.ndarray
    reduce: Callable[[np.ndarray], dict[str, np.ndarray]]
    additive: bool = True
    signature: str = ""

    def metrics(self, rows: Sequence[int] | np.ndarray | None = None) -> Metrics:
        """The metrics of all rows, or of the given row positions (repeats count)."""
        lines = self.table if rows is None else self.table[np.asarray(rows, dtype=np.int64)]
        found = self.reduce(lines.sum(axis=0, keepdims=True) if self.additive else lines)
        return {name: float(np.asarray(value).reshape(-1)[0]) for name, value in found.items()}

    def per_row(self) -> dict[str, np.ndarray]:
        """Each row's own metrics, (N,) per name."""
        if self.additive:
            return self.reduce(self.table)
        alone = [self.reduce(self.table[i : i + 1]) for i in range(len(self.table))]
        return {name: np.array([float(np.asarray(line[name]).reshape(-1)[0]) for line in alone]) for name in (alone[0] if alone else {})}


def join(first: Statistics, second: Statistics) -> Statistics:
    """Statistics over the same rows side by side; the metrics of both."""
    if len(first.table) != len(second.table):
        raise ValueError(f"statistics of {len(first.table)} and {len(second.table)} rows cannot be joined")
    width = first.table.shape[1]

    def reduce(lines: np.ndarray) -> dict[str, np.ndarray]:
        return part(first, lines[:, :width]) | part(second, lines[:, width:])

    additive = first.additive and second.additive

    def part(statistics: Statistics, lines: np.ndarray) -> dict[str, np.ndarray]:
        return statistics.reduce(lines.sum(axis=0, keepdims=True) if statistics.additive and not additive else lines)

    signature = " | ".join(text for text in (first.signature, second.signature) if text)
    return Statistics(np.hstack([first.table, second.table]), reduce, additive, signature)
