"""The score without the rows that the training data gives away.

In:  statistics of scored rows, the positions of those that training saw too (`oneloop.read.leaks`)
Out: {"rows", "leaked", "metrics"} of the rows that are left; None where nothing leaks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oneloop.measure.interval import interval
from oneloop.measure.statistics import Statistics


def without_leaked(statistics: Statistics, leaked: Sequence[int]) -> dict[str, Any] | None:
    """Rows left, rows that leak, and the metrics of those left with intervals; None where no row leaks.

    statistics: one line for each scored row. leaked: positions among them. metrics is {} where every row leaks.
    """
    if not leaked:
        return None
    table = np.delete(statistics.table, leaked, axis=0)
    metrics = interval(replace(statistics, table=table)) if len(table) else {}
    return {"rows": len(table), "leaked": len(leaked), "metrics": metrics}


def told(found: dict[str, Any], primary: str, split: str) -> str:
    """What `without_leaked` found, in a sentence."""
    total = found["rows"] + found["leaked"]
    value = found["metrics"].get(primary, {}).get("value")
    left = f"without them {primary} is {value:.4f} on {found['rows']} rows" if value is not None else "no other row is left to score"
    stand = "row stands" if found["leaked"] == 1 else "rows stand"
    return f"{found['leaked']} of {total} {split} {stand} in the training data too: {left}"
