"""What the labels of training rows say about the task: class names and weights, the scale of scores.

In:  the labels or scores of all training rows.
Out: facts, JSON-ready; DataError when there is nothing to learn from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oneloop.errors import DataError, Problem, RecipeError, did_you_mean
from oneloop.tasks.base import Row

MANY_LABELS = 1000  # from here on, labels of which most occur once are taken for ids
WEIGHTS = ("none", "balanced")
PLAIN_STD, PLAIN_MEAN = (0.2, 5.0), 10.0  # scores in this range are learned as they are, so that the model's output is the score


def classes(sets: Sequence[Sequence[str]], role: str, *, balanced: bool) -> dict[str, Any]:
    """Label names in order (numbers by value), and weights when balanced: rows / (classes × count), as scikit-learn's;
    for several labels negatives / positives. DataError for fewer than two classes and for ids in place of labels."""
    counts = Counter(name for names in sets for name in set(names))
    if len(counts) < (1 if role == "labels" else 2):
        what = f"all {len(sets)} training rows have the label {next(iter(counts))!r}" if counts else "no training row has a label"
        raise DataError(f"{what}: there is nothing to learn", expected="at least two classes", fix="check the label column")
    once = sum(count == 1 for count in counts.values())
    if len(counts) > 20 and (len(counts) == len(sets) or (len(counts) > MANY_LABELS and 2 * once > len(counts))):
        what = f"{len(counts)} different labels in {len(sets)} training rows, {once} of them only once: these look like ids"
        raise DataError(what, expected="a column whose values repeat", fix=f"name the label column with --columns {role}=COLUMN")
    labels = sorted(counts, key=int) if all(name.isascii() and name.isdigit() for name in counts) else sorted(counts)
    facts: dict[str, Any] = {"labels": labels}
    if balanced and role == "labels":
        facts["class_weights"] = [max(len(sets) - counts[name], 1) / counts[name] for name in labels]
    elif balanced:
        facts["class_weights"] = [len(sets) / (len(labels) * counts[name]) for name in labels]
    return facts


def check_weighing(settings: Mapping[str, Any], *, numbers: bool = False) -> None:
    """RecipeError where `class_weights` and `label_smoothing` mean nothing, both at once; and where numbers, which have no
    classes, are to be weighed."""
    weights, smoothing = settings["class_weights"], settings["label_smoothing"]
    wrong = [] if weights in WEIGHTS else [("class_weights", weights, "one of " + ", ".join(WEIGHTS), WEIGHTS[0])]
    if not 0 <= smoothing < 1:
        wrong.append(("label_smoothing", smoothing, "a number from 0 to below 1", "0.1"))
    if wrong:
        what = " and ".join(f"{name} is {value!r}" for name, value, _, _ in wrong)
        fix = " ".join(f"--{name.replace('_', '-')} {usual}" for name, _, _, usual in wrong)
        raise RecipeError(what, expected="; ".join(f"{name}: {known}" for name, _, known, _ in wrong), fix=fix)
    if numbers and weights != WEIGHTS[0]:
        what = f"class_weights is {weights!r}, but numbers have no classes to weigh"
        raise RecipeError(what, fix="leave class_weights out, or name the column as labels: --columns label=COLUMN")


def scale(scores: Sequence[float]) -> dict[str, Any]:
    """Mean and deviation by which scores are normalised for training; none where they are near 0 and 1 already."""
    mean, std = float(np.mean(scores)), float(np.std(scores))
    if std == 0:
        raise DataError(f"all {len(scores)} training rows have the score {mean:g}: there is nothing to learn", fix="check the score column")
    return {} if PLAIN_STD[0] <= std <= PLAIN_STD[1] and abs(mean) <= PLAIN_MEAN else {"mean": mean, "std": std}


def unknown(rows: Sequence[Row], names_of: Callable[[Row], Iterable[str]], known: set[str], column: Callable[[Row], str]) -> list[Problem]:
    """One problem for each name of each row that is not among `known`, the names of the training rows."""
    remedy = "correct it, or add training rows"
    return [
        Problem(
            f"{name!r} occurs in no training row{did_you_mean(name, known)}",
            remedy,
            row.get("file", ""),
            row.get("row"),
            column=column(row),
        )
        for row in rows
        for name in names_of(row)
        if name not in known
    ]
