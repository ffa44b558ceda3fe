"""Geometry of the report's charts; templates/charts.html draws them as SVG with colours from CSS variables.

In:  points, scores or counts.
Out: dicts of coordinates in SVG units (pixels of the viewBox), with y growing downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Point = tuple[float, float]
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 12, 34  # margins around the plot area


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) from low to high, about `about` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def label(value: float) -> str:
    """A tick's text: `0.25`, `1,000`, `2.5e-06`."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.3g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if value != int(value) else f"{int(value):,}"


def _range(values: Sequence[float], pad: float = 0.05) -> tuple[float, float]:
    """Lowest and highest value with a little room; never of zero width."""
    low, high = min(values), max(values)
    if high - low < 1e-12:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    room = (high - low) * pad
    return low - room, high + room


def lines(series: Sequence[tuple[str, str, Sequence[Point]]], width: int = 460, height: int = 220) -> dict[str, Any] | None:
    """A line chart of (name, css class, points); None when there is no point. The y axis starts at 0 where that is near."""
    points = [point for _, _, some in series for point in some]
    if not points:
        return None
    left, right = _range([x for x, _ in points], 0.0)
    low, high = _range([y for _, y in points])
    low = 0.0 if 0 <= min(y for _, y in points) < 0.4 * high else low

    def x_at(x: float) -> float:
        return round(LEFT + (x - left) / (right - left) * (width - LEFT - RIGHT), 1)

    def y_at(y: float) -> float:
        return round(height - BOTTOM - (y - low) / (high - low) * (height - TOP - BOTTOM), 1)

    drawn = []
    for name, css, some in series:
        at = [(x_at(x), y_at(y)) for x, y in some]
        drawn.append({"name": name, "css": css, "path": " ".join(f"{x},{y}" for x, y in at), "dots": at if len(at) <= 40 else []})
    return {
        "width": width,
        "height": height,
        "plot": (LEFT, TOP, width - RIGHT, height - BOTTOM),
        "x_ticks": [(x_at(x), label(x)) for x in ticks(left, right, 6)],
        "y_ticks": [(y_at(y), label(y)) for y in ticks(low, high, 5)],
        "series": [item for item in drawn if item["path"]],
    }


def bars(rows: Sequence[dict[str, Any]], top: float, width: int = 640) -> dict[str, Any] | None:
    """Horizontal bars from 0 to `top`: rows hold name, value, shown, css and perhaps low and high (the interval)."""
    rows = [row for row in rows if row["value"] is not None]
    if not rows or not top > 0:
        return None
    left, space, step = 190, 130, 38
    scale = (width - left - space) / top

    def x_at(value: float) -> float:
        return round(left + max(0.0, min(value, top)) * scale, 1)

    drawn = []
    for i, row in enumerate(rows):
        ends = (x_at(row["low"]), x_at(row["high"])) if row.get("low") is not None and row.get("high") is not None else None
        after = max(x_at(row["value"]), ends[1] if ends else 0.0) + 8
        drawn.append(row | {"y": i * step + 8, "x": left, "wide": round(x_at(row["value"]) - left, 1), "ends": ends, "after": after})
    return {"width": width, "height": len(rows) * step + 10, "rows": drawn, "left": left}


def heat_map(labels: Sequence[str], counts: dict[tuple[str, str], int], width: int = 680) -> dict[str, Any]:
    """Cells of a confusion matrix: rows are the right labels, columns the predicted ones, shade is the share of the row."""
    left, top = 150, 34 + 5 * min(18, max((len(name) for name in labels), default=0))
    size = max(16, min(54, (width - left - 40) // max(1, len(labels))))
    cells = []
    for i, right in enumerate(labels):
        total = sum(counts.get((right, other), 0) for other in labels)
        for j, said in enumerate(labels):
            n = counts.get((right, said), 0)
            share = n / total if total else 0.0
            cells.append(
                {"x": left + j * size, "y": top + i * size, "n": n, "share": round(share, 3), "right": right, "said": said, "same": i == j}
            )
    short = [name if len(name) <= 18 else name[:17] + "…" for name in labels]
    names = [{"full": name, "short": short[i], "at": i * size + size / 2} for i, name in enumerate(labels)]
    side = size * len(labels)
    return {
        "width": left + side + 70,
        "height": top + side + 8,
        "size": size,
        "left": left,
        "top": top,
        "cells": cells,
        "names": names,
        "font": 11 if size >= 28 else 8,
    }


def scatter(points: Sequence[Point], width: int = 460, height: int = 340) -> dict[str, Any] | None:
    """Dots of (right value, predicted value) on one scale for both axes, with the line of perfect predictions."""
    if not points:
        return None
    low, high = _range([value for point in points for value in point])

    def x_at(x: float) -> float:
        return round(LEFT + (x - low) / (high - low) * (width - LEFT - RIGHT), 1)

    def y_at(y: float) -> float:
        return round(height - BOTTOM - (y - low) / (high - low) * (height - TOP - BOTTOM), 1)

    return {
        "width": width,
        "height": height,
        "plot": (LEFT, TOP, width - RIGHT, height - BOTTOM),
        "x_ticks": [(x_at(x), label(x)) for x in ticks(low, high)],
        "y_ticks": [(y_at(y), label(y)) for y in ticks(low, high)],
        "dots": [(x_at(x), y_at(y)) for x, y in points],
        "diagonal": (x_at(low), y_at(low), x_at(high), y_at(high)),
    }
