"""How the splits differ from training in labels, lengths and words, and whether the rows are sorted.

In:  `Data`. Out: findings, all of them worth a look.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from oneloop.diagnose.checks.finding import LOOK, TRAIN, Data, Finding
from oneloop.tasks.base import Row

DRIFT_ROWS = 50  # rows a split needs before its figures are compared
DRIFT_LABELS = 0.1  # total variation between label shares, beyond what chance explains
DRIFT_LENGTH = 1.5  # ratio of median lengths
DRIFT_WORDS = 0.05  # further share of words that training has not seen


def drift(data: Data) -> Iterator[Finding]:
    """Splits whose labels, lengths or words differ from those of training by more than chance and a margin."""
    if TRAIN not in data.splits:
        return
    for name in data.splits:
        if name == TRAIN or min(len(data.splits[name]), len(data.splits[TRAIN])) < DRIFT_ROWS:
            continue
        yield from _label_drift(data, name)
        yield from _length_drift(data, name)
        yield from _word_drift(data, name)


def labels_of(row: Row) -> list[str]:
    """The class labels of a row: its label, labels, or the types of its tags and spans."""
    if "label" in row:
        return [str(row["label"])]
    if "labels" in row:
        return [str(label) for label in row["labels"]]
    if "tags" in row:
        return [str(tag).partition("-")[2] or str(tag) for tag in row["tags"] if tag != "O"]
    return [str(span["label"]) for span in row.get("spans", ())]


def _label_drift(data: Data, name: str) -> Iterator[Finding]:
    left, right = (Counter(label for row in data.splits[split] for label in labels_of(row)) for split in (TRAIN, name))
    if len(left) < 2 or not right:
        return
    n, m = left.total(), right.total()
    shift = {label: right[label] / m - left[label] / n for label in left | right}
    distance = sum(map(abs, shift.values())) / 2
    # expected distance of two samples of one distribution: mean absolute deviation of a binomial share, summed over classes
    pooled = [(left[label] + right[label]) / (n + m) for label in shift]
    chance = sum((2 / math.pi * p * (1 - p) * (1 / n + 1 / m)) ** 0.5 for p in pooled) / 2
    if distance > DRIFT_LABELS and distance > 2 * chance:
        most = sorted(shift, key=lambda label: -abs(shift[label]))[:3]
        told = ", ".join(f"{label} {left[label] / n:.1%} → {right[label] / m:.1%}" for label in most)
        yield Finding("label-drift", LOOK, f"label shares of {name} differ from train by {distance:.0%} in all: {told}",
                      "scores per class stay comparable, averages do not: look at macro-F1, or split again by label",
                      len(data.splits[name]), split=name, numbers={"total_variation": round(distance, 4)})  # fmt: skip


def _length_drift(data: Data, name: str) -> Iterator[Finding]:
    left, right = ([len(text.split()) for text in data.texts[split]] for split in (TRAIN, name))
    a, b = statistics.median(left), statistics.median(right)
    if min(a, b) > 0 and max(a, b) / min(a, b) > DRIFT_LENGTH and abs(a - b) >= 3:
        yield Finding("length-drift", LOOK, f"texts of {name} have {b:g} words in the median, those of train {a:g}",
                      "check that the splits come from one source and were not cut by length", len(right), split=name,
                      numbers={"train": a, name: b})  # fmt: skip


def _word_drift(data: Data, name: str) -> Iterator[Finding]:
    """Unseen words of the split against those of every tenth training row, both measured on the rest of training."""
    train = [text.casefold().split() for text in data.texts[TRAIN][:20_000]]
    other = [text.casefold().split() for text in data.texts[name][:5_000]]
    known = {word for i, words in enumerate(train) if i % 10 for word in words}

    def unseen(texts: Sequence[Sequence[str]]) -> float:
        total = sum(map(len, texts))
        return sum(word not in known for words in texts for word in words) / total if total else 0.0

    usual, here = unseen(train[::10]), unseen(other)
    if here > usual + DRIFT_WORDS and here > 1.5 * usual:
        yield Finding("word-drift", LOOK, f"{here:.0%} of the words of {name} never occur in train; inside train it is {usual:.0%}",
                      "check that the splits are of one kind; expect a lower score than on texts like train", len(other), here, split=name,
                      numbers={"usual": round(usual, 4)})  # fmt: skip


def sorted_rows(data: Data) -> Iterator[Finding]:
    """A single file sorted by label or by length: its first and last rows are no fair train and test."""
    for name, rows in data.splits.items():
        if len(data.splits) > 1 or len(rows) < 100:
            continue
        lengths = [len(text) for text in data.texts[name]]
        rising = sum(b >= a for a, b in itertools.pairwise(lengths)) / (len(lengths) - 1)
        if rising > 0.95 or rising < 0.05:
            yield _sorted(name, "length", len(rows))
        labels = [labels_of(row)[0] if "label" in row else None for row in rows]
        counts: Counter[Any] = Counter(labels)
        changes = sum(a != b for a, b in itertools.pairwise(labels))
        shuffled = len(rows) * (1 - sum((count / len(rows)) ** 2 for count in counts.values()))  # changes to expect in any order
        if None not in counts and len(counts) > 1 and changes < min(2 * len(counts), shuffled / 2) and len(rows) > 4 * len(counts):
            yield _sorted(name, "label", len(rows))


def _sorted(name: str, by: str, count: int) -> Finding:
    return Finding("sorted-rows", LOOK, f"the rows are sorted by {by}: the first rows and the last are different kinds",
                   "never take the first or last rows as a split; splits made here are drawn by content", count, split=name)  # fmt: skip
