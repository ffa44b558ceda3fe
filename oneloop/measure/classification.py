"""Scores of labels: one per row, several per row, or a number per row.

In:  predicted and gold labels (or numbers) in row order, and the class list of the training rows.
Out: Statistics; for reports the per-class table and the confusion matrix.

The class list is fixed by training: macro F1 is scikit-learn's `f1_score(gold, predicted, labels=labels, average="macro",
zero_division=0)`, so a class that neither occurs nor is predicted counts as 0, whatever rows happen to be scored. The
per-class table shows each class's support.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from oneloop.measure.statistics import Statistics, ratio, require_pairs


def single_label(predicted: Sequence[str], gold: Sequence[str], labels: Sequence[str]) -> Statistics:
    """`accuracy`, `macro_f1`, `micro_f1` of one label per row. labels: the class list of training, (L,).

    A gold or predicted label outside the list is never right and belongs to no class of the macro average. Table (N, 3):
    position of the gold class, position of the predicted class (-1: not in the list), 1 where both are the same label.
    """
    require_pairs(predicted, gold)
    place = {name: i for i, name in enumerate(labels)}
    lines = [(place.get(true, -1), place.get(said, -1), said == true) for true, said in zip(gold, predicted)]
    table = np.array(lines, dtype=np.float64).reshape(-1, 3)
    seen = _occurring(table, len(place))

    def reduce(lines: np.ndarray) -> dict[str, np.ndarray]:
        """The lines of one set of rows, (M, S), to metrics."""
        right = lines[:, 2] > 0
        correct, said, true = (_count(column, len(place)) for column in (lines[right, 0], lines[:, 1], lines[:, 0]))
        return {
            "accuracy": ratio(right.sum(), np.array(len(lines))),
            "macro_f1": _macro(correct[None], said[None], true[None], seen, len(place))[0] if len(lines) else np.array(np.nan),
            "micro_f1": ratio(2 * correct.sum(), said.sum() + true.sum()),
        }

    return Statistics(table, reduce, additive=False, signature=_signature("single-label", labels))


def multi_label(predicted: Sequence[Iterable[str]], gold: Sequence[Iterable[str]], labels: Sequence[str]) -> Statistics:
    """`accuracy` (the whole set is right), `macro_f1`, `micro_f1` of a set of labels per row. labels: (L,), fixed by training.

    A label outside the list makes its row's set wrong and belongs to no class. Additive; the table holds, for each class that
    occurs, whether it is right, said and true, then whether the whole set is right, then 1.
    """
    require_pairs(predicted, gold)
    said_sets, true_sets = [set(row) for row in predicted], [set(row) for row in gold]
    used = [name for name in dict.fromkeys(labels) if any(name in row for row in said_sets) or any(name in row for row in true_sets)]
    place = {name: i for i, name in enumerate(used)}
    said, true = _indicator(said_sets, place), _indicator(true_sets, place)
    exact = np.array([one == other for one, other in zip(said_sets, true_sets)], dtype=np.float32)
    table = np.hstack([said * true, said, true, exact[:, None], np.ones((len(exact), 1), dtype=np.float32)])
    width, classes, seen = len(used), len(set(labels)), len(used)

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        sums = np.asarray(sums, dtype=np.float64)
        correct, said, true = sums[:, :width], sums[:, width : 2 * width], sums[:, 2 * width : 3 * width]
        return {
            "accuracy": ratio(sums[:, -2], sums[:, -1]),
            "macro_f1": np.where(sums[:, -1] > 0, _macro(correct, said, true, seen, classes), np.nan),
            "micro_f1": ratio(2 * correct.sum(1), said.sum(1) + true.sum(1)),
        }

    return Statistics(table, reduce, signature=_signature("multi-label", labels))


def regression(predicted: Sequence[float], gold: Sequence[float]) -> Statistics:
    """`pearson`, `spearman` (ties get their mean rank) and `rmse`; correlations with a constant are undefined (NaN)."""
    require_pairs(predicted, gold)
    table = np.column_stack([np.asarray(predicted, dtype=np.float64), np.asarray(gold, dtype=np.float64)]).reshape(-1, 2)

    def reduce(lines: np.ndarray) -> dict[str, np.ndarray]:
        """The lines of one set of rows, (M, S), to metrics."""
        said, true = lines[:, 0], lines[:, 1]
        return {
            "pearson": np.array(_correlation(said, true)),
            "spearman": np.array(_correlation(_ranks(said), _ranks(true))),
            "rmse": np.sqrt(ratio(((said - true) ** 2).sum(), np.array(len(lines)))),
        }

    return Statistics(table, reduce, additive=False, signature="regression|spearman:ties-mean-rank")


def class_table(predicted: Sequence[Any], gold: Sequence[Any], labels: Sequence[str]) -> list[dict[str, Any]]:
    """One dict per class, in the order of `labels`: label, precision, recall, f1, support (gold), predicted (how often said).

    Takes one label or a collection of labels per row. A ratio without a denominator is None; labels outside the list that
    occur come last and carry `"unknown": True`.
    """
    require_pairs(predicted, gold)
    said, true = [_as_set(row) for row in predicted], [_as_set(row) for row in gold]
    known = list(dict.fromkeys(labels))
    outside = sorted({name for row in said + true for name in row} - set(known), key=str)
    counts = {name: [0, 0, 0] for name in known + outside}
    for one, other in zip(said, true):
        for column, names in enumerate((one & other, one, other)):
            for name in names:
                counts[name][column] += 1
    rows = []
    for name, (right, predictions, support) in counts.items():
        row: dict[str, Any] = {
            "label": name,
            "precision": right / predictions if predictions else None,
            "recall": right / support if support else None,
            "f1": 2 * right / (predictions + support) if predictions + support else None,
            "support": support,
            "predicted": predictions,
        }
        rows.append(row | {"unknown": True} if name in outside else row)
    return rows


def confusion_matrix(predicted: Sequence[str], gold: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Rows (gold) by columns (predicted), (L, L) int64, in the order of `labels`; pairs with a label outside are not in it."""
    require_pairs(predicted, gold)
    place = {name: i for i, name in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for said, true in zip(predicted, gold):
        if said in place and true in place:
            matrix[place[true], place[said]] += 1
    return matrix


def _macro(correct: np.ndarray, said: np.ndarray, true: np.ndarray, seen: int, classes: int) -> np.ndarray:
    """Mean F1 over the fixed class list, (B,), from counts (B, L).

    Classes absent from all scored rows count as 0. A class that only this resample happens to miss is left out of its mean:
    counting it as 0 would push every bootstrap interval of a set with rare classes below the value itself.
    """
    if classes == 0:
        return np.full(len(correct), np.nan)
    if seen == 0:
        return np.zeros(len(correct))
    scores = ratio(2 * correct, said + true)
    present = (~np.isnan(scores)).sum(axis=1)
    return ratio(np.nansum(scores, axis=1), present) * (seen / classes)


def _occurring(table: np.ndarray, classes: int) -> int:
    """How many classes of the list are gold or predicted in any row."""
    found = np.unique(table[:, :2])
    return int(((found >= 0) & (found < classes)).sum())


def _count(column: np.ndarray, classes: int) -> np.ndarray:
    """How often each class position occurs, (L,); -1 is not counted."""
    return np.bincount(column.astype(np.int64) + 1, minlength=classes + 1)[1 : classes + 1]


def _indicator(rows: Sequence[set[str]], place: dict[str, int]) -> np.ndarray:
    """1 where the row holds the class, (N, L); float32 counts exactly up to 2**24 rows at half the memory."""
    matrix = np.zeros((len(rows), len(place)), dtype=np.float32)
    for i, row in enumerate(rows):
        for name in row:
            if name in place:
                matrix[i, place[name]] = 1
    return matrix


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's r; NaN where a side is constant (to the rounding of its mean) or has fewer than two values."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    one, other = one - one.mean(), other - other.mean()
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    return float(np.clip(one @ other, -1.0, 1.0))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean rank; NaN everywhere if a value is NaN."""
    if np.isnan(values).any():
        return np.full(len(values), np.nan)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _as_set(row: Any) -> set[Any]:
    """One label or a collection of labels as a set."""
    return set(row) if isinstance(row, (list, tuple, set, frozenset)) else {row}


def _signature(kind: str, labels: Sequence[str]) -> str:
    return f"{kind}|classes:{len(set(labels))}-from-training|macro:all-classes,absent=0|f1:scikit-learn"
