"""The bootstrap: how far a metric would move on other rows of the same kind.

In:  Statistics (one line of numbers per row).
Out: for every metric its value and percentile interval; for two runs on the same rows the paired difference.

Rows are drawn with replacement and the metric computed from the drawn lines (Efron and Tibshirani, An Introduction to
the Bootstrap, 1993, chapters 13 and 16). No metric needs code of its own. The draw is keyed by the seed, and lines are put in a
canonical order first, so the interval does not depend on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from oneloop.errors import DataError
from oneloop.keyed import generator
from oneloop.measure.statistics import Statistics

SAMPLES = 1000  # Monte-Carlo error of a 95 % bound is then about 1/20 of the interval's width
LEVEL = 0.95
CELLS = 4_000_000  # numbers held at once while drawing: 32 MB


def interval(statistics: Statistics, *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL) -> dict[str, dict[str, Any]]:
    """{metric: {"value", "ci95": [lo, hi]}} by the percentile bootstrap over rows.

    The key is `ci95` for level 0.95, `ci90` for 0.90 and so on. An undefined metric (NaN: no entity at all, a correlation with
    a constant) has the value None and the interval [None, None], never 0; resamples in which a metric is undefined are left out.
    """
    values = statistics.metrics()
    drawn = resample([statistics], samples, seed)[0]
    return {name: {"value": _number(value), _key(level): _bounds(drawn[name], value, level)} for name, value in values.items()}


def paired(
    first: Statistics, second: Statistics, *, samples: int = SAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, dict[str, Any]]:
    """{metric: {"difference", "ci95": [lo, hi], "p"}} for the metrics both have: second minus first, on the same rows.

    Row i of both must be the same row; every resample draws the same rows for both. `p` is the two-sided bootstrap p-value, twice
    the smaller share of resamples on either side of 0 (at least 2 / (samples + 1), at most 1).
    """
    if len(first.table) != len(second.table):
        raise DataError(
            f"one run has {len(first.table)} rows, the other {len(second.table)}",
            expected="two runs scored on the same rows",
            fix="evaluate both on the same file",
        )
    one, two = first.metrics(), second.metrics()
    drawn_one, drawn_two = resample([first, second], samples, seed)
    found = {}
    for name in (name for name in one if name in two):
        difference = _settle(np.array([two[name] - one[name]]), one[name])[0]
        drawn = _settle(drawn_two[name] - drawn_one[name], one[name])
        found[name] = {
            "difference": _number(difference),
            _key(level): _bounds(drawn, difference, level),
            "p": _p_value(drawn, difference),
        }
    return found


def resample(group: list[Statistics], samples: int, seed: int) -> list[dict[str, np.ndarray]]:
    """The metrics of `samples` resamples, (samples,) per metric, for each Statistics of the group on the same draws."""
    size = len(group[0].table)
    names = [list(statistics.metrics()) for statistics in group]
    if size == 0:
        return [{name: np.full(samples, np.nan) for name in of} for of in names]
    order, multiplicity = _canonical([statistics.table for statistics in group])
    collected: list[dict[str, list[np.ndarray]]] = [{name: [] for name in of} for of in names]
    additive = [np.ascontiguousarray(statistics.table[order], dtype=np.float64) if statistics.additive else None for statistics in group]
    rng = generator(seed, "bootstrap", size, samples)
    for counts in _draws(rng, multiplicity, samples):
        for statistics, lines, found in zip(group, additive, collected):
            if lines is not None:
                part = statistics.reduce(counts @ lines)
            else:
                part = _one_by_one(statistics, counts, order)
            for name in found:
                found[name].append(np.broadcast_to(np.asarray(part[name], dtype=np.float64), (len(counts),)))
    return [{name: np.concatenate(parts) for name, parts in found.items()} for found in collected]


def _one_by_one(statistics: Statistics, counts: np.ndarray, order: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics that need the drawn rows themselves: one call of `reduce` per resample."""
    found = [statistics.reduce(statistics.table[np.repeat(order, count.astype(np.int64))]) for count in counts]
    return {name: np.array([float(np.asarray(one[name]).reshape(-1)[0]) for one in found]) for name in found[0]}


def _canonical(tables: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the distinct lines (U,) in byte order, and how many rows share each, (U,).

    Rows with equal lines are interchangeable, so the draw runs over distinct lines: fewer columns, and no dependence on row order.
    """
    joined = np.ascontiguousarray(np.hstack([np.asarray(table, dtype=np.float64) for table in tables])) + 0.0  # -0.0 becomes 0.0
    if joined.shape[1] == 0:
        return np.zeros(1, dtype=np.int64), np.array([len(joined)])
    lines = joined.view(np.dtype((np.void, joined.dtype.itemsize * joined.shape[1]))).reshape(-1)
    _, first, multiplicity = np.unique(lines, return_index=True, return_counts=True)
    return first, multiplicity


def _draws(rng: np.random.Generator, multiplicity: np.ndarray, samples: int) -> Iterator[np.ndarray]:
    """How often each distinct line is drawn in each resample, (chunk, U) float64, until `samples` resamples are out."""
    size, distinct = int(multiplicity.sum()), len(multiplicity)
    few = distinct * 10 <= size  # then one multinomial draw is cheaper than drawing every row
    chunk = max(1, CELLS // (distinct if few else size))
    line_of_row = np.repeat(np.arange(distinct), multiplicity)
    for start in range(0, samples, chunk):
        number = min(chunk, samples - start)
        if few:
            yield rng.multinomial(size, multiplicity / size, size=number).astype(np.float64)
            continue
        lines = line_of_row[rng.integers(0, size, size=(number, size))]
        lines += np.arange(number)[:, None] * distinct
        yield np.bincount(lines.reshape(-1), minlength=number * distinct).reshape(number, distinct).astype(np.float64)


def _bounds(drawn: np.ndarray, value: float, level: float) -> list[float | None]:
    """The central `level` of the drawn values, [None, None] where the metric or all draws are undefined."""
    defined = np.sort(drawn[~np.isnan(drawn)])
    if np.isnan(value) or not len(defined):
        return [None, None]
    return [_quantile(defined, (1 - level) / 2), _quantile(defined, (1 + level) / 2)]


def _quantile(ordered: np.ndarray, share: float) -> float:
    """Linear interpolation between order statistics, as numpy's default, but safe for infinite values."""
    place = share * (len(ordered) - 1)
    below, above = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    return float(below) if below == above else float(below + (above - below) * (place - np.floor(place)))


def _settle(differences: np.ndarray, scale: float) -> np.ndarray:
    """Differences that are rounding of the summation order only become 0, so that equal runs compare as equal."""
    with np.errstate(invalid="ignore"):
        tiny = np.abs(differences) <= 1e-12 * max(1.0, abs(scale) if np.isfinite(scale) else 1.0)
    return np.where(tiny, 0.0, differences)


def _p_value(drawn: np.ndarray, difference: float) -> float | None:
    """Two-sided bootstrap p-value with the add-one rule (Davison and Hinkley, Bootstrap Methods, 1997, section 4.2)."""
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(difference) or not len(defined):
        return None
    smaller = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (smaller + 1) / (len(defined) + 1)))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _key(level: float) -> str:
    return f"ci{level * 100:.6g}"
