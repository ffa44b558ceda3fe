"""Learning curves: what the log says, and what a practitioner reads in it.

In:  the lines of log.jsonl, {"kind": "step", "step", "loss", …} and {"kind": "evaluation", "step", "split",
     "when", "metrics"}; those before and after training are no points of a curve.
Out: Curves (points per series) and a Reading: healthy, overfitting, underfitting, erratic, diverged or too short.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneloop.ship.words import finite, number

Point = tuple[float, float]
DURING = "during training"  # `when` of the evaluations that are points of a curve

# The thresholds below are judgements, set on synthetic histories and on the runs of bench/; each is a share.
LEARNED = 0.15  # the training loss must fall by this share, or the model has learned next to nothing
RISE = 0.08  # the validation loss stands this much above its best: it has turned
GAP = 3.0  # validation loss over training loss, with validation standing still: the rest is memory
SWING = 0.15  # a reversal counts when it is larger than this share of the whole range
NOISE = 0.35  # spread of neighbouring steps over the starting loss


@dataclass
class Curves:
    """`train`: (step, loss) points. `validation`: metric key to (step, value) points. `bad`: a loss was not finite."""

    train: list[Point] = field(default_factory=list)
    validation: dict[str, list[Point]] = field(default_factory=dict)
    bad: bool = False


@dataclass(frozen=True)
class Reading:
    """`kind` in one word, `says` what is seen, `advice` what to do about it."""

    kind: str
    says: str
    advice: str = ""


def curves(log: Iterable[dict[str, Any]]) -> Curves:
    """Collect the series of a log. A resumed run repeats steps; the later line of a step wins."""
    train: dict[float, float] = {}
    validation: dict[str, dict[float, float]] = {}
    found = Curves()
    for line in log:
        step = finite(line.get("step"))
        if step is None:
            continue
        if line.get("kind") == "step":
            loss = finite(line.get("loss"))
            found.bad = found.bad or (loss is None and line.get("loss") is not None)
            if loss is not None:
                train[step] = loss
        elif line.get("kind") == "evaluation" and line.get("when", DURING) == DURING and line.get("split", "validation") != "test":
            for name, entry in (line.get("metrics") or {}).items():
                value = finite(entry.get("value") if isinstance(entry, dict) else entry)
                if value is not None:
                    validation.setdefault(name, {})[step] = value
    found.train = sorted(train.items())
    found.validation = {name: sorted(points.items()) for name, points in validation.items()}
    return found


def bins(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` points: means of neighbouring ones, placed at their mean step."""
    if len(points) <= most:
        return list(points)
    edges = [round(i * len(points) / most) for i in range(most + 1)]
    parts = [points[a:b] for a, b in itertools.pairwise(edges) if b > a]
    return [(sum(p[0] for p in part) / len(part), sum(p[1] for p in part) / len(part)) for part in parts]


def _reversals(values: Sequence[float]) -> tuple[int, float]:
    """How often the values turn by more than SWING of their range, and that range over their median."""
    spread = max(values) - min(values)
    middle = statistics.median(abs(value) for value in values) or 1.0
    if spread == 0:
        return 0, 0.0
    turns, direction, extreme = 0, 0, values[0]
    for value in values[1:]:
        move = value - extreme
        if direction * move > 0:
            extreme = value
        elif abs(move) > SWING * spread:
            turns += direction != 0
            direction, extreme = (1 if move > 0 else -1), value
    return turns, spread / middle


def _erratic(train: Sequence[Point], validation: Sequence[Point]) -> bool:
    """Whether a curve jumps to and fro without settling."""
    for points, fewest in ((bins(train, 12) if len(train) >= 36 else train, 6), (validation, 5)):
        if len(points) >= fewest:
            turns, spread = _reversals([value for _, value in points])
            if turns >= max(3, 0.45 * (len(points) - 2)) and spread > 0.2:
                return True
    if len(train) < 24:
        return False
    start = train[0][1] if len(train) < 48 else sum(value for _, value in train[: len(train) // 12]) / (len(train) // 12)
    size = len(train) // 12
    spreads = [statistics.pstdev([value for _, value in train[i : i + size]]) for i in range(0, size * 12, size)]
    return bool(start) and statistics.median(spreads) / abs(start) > NOISE


def _overfitting(train: Sequence[Point], validation: Sequence[Point]) -> Reading | None:
    """The validation loss turned, or stands still far above a training loss that goes on falling."""
    if len(validation) < 3:
        return None
    best_step, best = min(validation, key=lambda point: point[1])
    last_step, last = validation[-1]
    before = [value for step, value in train if step <= best_step]
    ends = bins(train, 12)
    falling = not before or not ends or ends[-1][1] < statistics.fmean(before[-max(1, len(before) // 4) :])
    if best > 0 and last / best - 1 > RISE and falling and best_step < last_step:
        says = (
            f"The validation loss was lowest at step {best_step:,.0f} ({number(best)}) and rose to {number(last)} "
            f"by step {last_step:,.0f}, while the training loss went on falling: the model began to learn the training rows by heart."
        )
        return Reading("overfitting", says, "Train fewer epochs or with patience, raise weight decay, or add training rows.")
    if not ends:
        return None
    half = validation[len(validation) // 2][1]
    stands = half > 0 and 1 - last / half < 0.03
    small_part = (validation[0][1] - last) < 0.5 * (ends[0][1] - ends[-1][1])
    if stands and small_part and last > GAP * max(ends[-1][1], 1e-9) and len(validation) >= 4:
        says = f"The training loss fell to {number(ends[-1][1])}, but the validation loss stands still at {number(last)}: a wide gap."
        return Reading("overfitting", says, "More varied training rows help most; fewer epochs and more weight decay help a little.")
    return None


def _underfitting(train: Sequence[Point], validation: Sequence[Point], new_head: bool) -> Reading | None:
    """The training loss hardly moved, or was still falling at full pace when training stopped."""
    points = bins(train, 12)
    if len(points) < 3 or points[0][1] <= 0:
        return None
    first, last = points[0][1], points[-1][1]
    fall = 1 - last / first
    if new_head and fall < LEARNED:
        says = f"The training loss hardly fell, from {number(first)} to {number(last)}: the model has not learned its training rows."
        advice = "Train longer, raise the learning rate, or take a larger model; check that the labels follow from the text."
        return Reading("underfitting", says, advice)
    quarter = points[-1 - max(1, len(points) // 4)][1]
    steady = (quarter - last) / (first - last) if first > last else 0.0
    pace = max(1, len(points) // 4) / (len(points) - 1)
    improving = len(validation) < 2 or validation[-1][1] < validation[-2][1]
    if fall < 0.5 and fall >= LEARNED and steady > 0.8 * pace and improving:
        says = f"The training loss was still falling at an even pace when training stopped ({number(first)} to {number(last)})."
        return Reading("underfitting", says, "Train for more epochs, or raise the learning rate.")
    return None


def _turned_metric(points: Sequence[Point], up: bool) -> Reading | None:
    """Without a validation loss: the metric was clearly better earlier."""
    if len(points) < 3:
        return None
    sign = 1 if up else -1
    best_step, best = max(points, key=lambda point: sign * point[1])
    last = points[-1][1]
    spread = max(value for _, value in points) - min(value for _, value in points)
    if spread > 0 and sign * (best - last) > max(0.25 * spread, 0.02 * abs(best)):
        says = f"The validation score was best at step {best_step:,.0f} ({number(best)}) and ended at {number(last)}."
        return Reading("overfitting", says, "Train fewer epochs or with patience, or add training rows.")
    return None


def read_curves(found: Curves, primary: str = "", up: bool = True, new_head: bool = True) -> Reading:
    """Name the pattern of a history. primary: key of the metric that decides; up: larger is better.
    new_head: the head started untrained, so a training loss that stays where it was means nothing was learned."""
    loss = found.validation.get("loss", [])
    points = found.validation.get(primary, [])
    if found.bad:
        says = "A loss was not a finite number: training diverged."
        return Reading("diverged", says, "Lower the learning rate, and look for broken rows with `oneloop check`.")
    if len(found.train) < 4 and max(len(loss), len(points)) < 3:
        return Reading("too short", "Too few points were logged to read a pattern.")
    if _erratic(found.train, loss or points):
        says = "The curve jumps up and down without settling."
        return Reading("erratic", says, "Lower the learning rate or raise batch_rows; check the labels for contradictions.")
    reading = _overfitting(found.train, loss) or (_turned_metric(points, up) if not loss else None)
    reading = reading or _underfitting(found.train, loss, new_head)
    if reading is None:
        return Reading("healthy", "The training loss falls and levels off, and the validation curve follows it.", _more(points, up))
    if reading.kind == "overfitting" and loss and points and points[-1] == max(points, key=lambda point: point[1] if up else -point[1]):
        says = reading.says + " The validation score itself still improved: the model is growing too sure of itself."
        return Reading("overfitting", says, reading.advice)
    return reading


def _more(points: Sequence[Point], up: bool) -> str:
    """A word on training longer when the last evaluation still brought a good part of the gain."""
    if len(points) < 3:
        return ""
    sign = 1 if up else -1
    gain, last = sign * (points[-1][1] - points[0][1]), sign * (points[-1][1] - points[-2][1])
    still = gain > 0 and last > 0.1 * gain
    return "The last evaluation was still clearly better than the one before: more epochs may help." if still else ""
