"""What is wrong with the labels: classes that cannot be learned, spellings of one class, ids and numbers in place of names.

In:  `Data` with a role `label`, `labels` or `score`, or tags and spans for the spelling of their types. Out: findings.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator

from oneloop.diagnose.checks.drift import labels_of
from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, TRAIN, Data, Finding, about, percent, shorten
from oneloop.tasks.base import Row

DOMINANT, OVERWHELMING = 0.9, 0.99  # share of one class: accuracy then says little, or nothing
FEW_EXAMPLES = 5  # examples under which a class is named as rare
NULLS = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "#n/a", "<na>", "-", "--", "?", "unknown label", "undefined", "tbd"})


def labels(data: Data) -> Iterator[Finding]:
    """Everything about the labels of whole texts."""
    if not {"label", "labels"} & data.roles:
        return
    rows = [row for row in data.all_rows if "label" in row or "labels" in row]
    yield from _missing(data, rows)
    yield from _odd_values(rows)
    yield from _counts(data, rows)
    yield from label_sets(data)


def _missing(data: Data, rows: list[Row]) -> Iterator[Finding]:
    """Rows with no label among rows that have one."""
    labelled = {id(row) for row in rows}
    for name, group in data.splits.items():
        without = [row for row in group if id(row) not in labelled or (row.get("label") in ("", None) and not row.get("labels"))]
        if not without:
            continue
        if "labels" in data.roles and "label" not in data.roles:
            message = f"{{count}} {name} rows ({{share}}) have no label at all"
            yield about("no-labels", LOOK, without, len(group), message, "fine if none applies; otherwise label them", split=name)
            continue
        whole = len(without) == len(group)
        message = f"no {name} row has a label" if whole else f"{{count}} {name} rows ({{share}}) have no label"
        severity = BIASES if not whole else BLOCKS if name == TRAIN else LOOK
        partly = "label them; until then training and the score leave them out (in a recipe, where: label != '' says so)"
        remedy = "label them" if whole else partly
        yield about("missing-labels", severity, without, len(group), message, remedy, split=name)


def _odd_values(rows: list[Row]) -> Iterator[Finding]:
    """Labels that stand for nothing, of another type than the rest, or numbers where classes are expected."""
    single = [row for row in rows if "label" in row and row["label"] not in ("", None)]
    null = [row for row in single if str(row["label"]).strip().casefold() in NULLS]
    if null and len(null) < len(single):
        message = "{count} rows ({share}) have a label that reads like a missing value"
        remedy = "if it is a class, rename it; if it is a gap, label the rows or leave them out"
        yield about("null-like-labels", BIASES, null, len(single), message, remedy, examples=[repr(row["label"]) for row in null])
    numeric = [row for row in single if _is_number(str(row["label"]))]
    other = [row for row in single if not _is_number(str(row["label"])) and str(row["label"]).strip().casefold() not in NULLS]
    if numeric and other:
        odd, rest, kind = (other, numeric, "words among numbers") if len(other) < len(numeric) else (numeric, other, "numbers among words")
        if len(odd) < 0.1 * len(rest):
            message = f"{{count}} rows ({{share}}) have labels of another kind than the rest ({kind})"
            remedy = "write all labels in one way; a column may have slipped in these rows"
            yield about("mixed-labels", BIASES, odd, len(single), message, remedy, examples=[repr(row["label"]) for row in odd])
    if numeric and not other:
        yield from _numbers(numeric)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\s*[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?\s*", text))


def _numbers(rows: list[Row]) -> Iterator[Finding]:
    """Numeric labels: −1 and gaps among class numbers, scores taken for classes."""
    values = [str(row["label"]).strip() for row in rows]
    whole = all(re.fullmatch(r"[-+]?\d+(?:\.0+)?", value) for value in values)
    counts = Counter(float(value.replace(",", ".")) for value in values)
    if not whole or (len(counts) > 20 and max(counts) - min(counts) > 20):
        message = f"the labels are {len(counts):,} different numbers from {min(counts):g} to {max(counts):g}"
        remedy = "if the order matters, predict them as a score (regression); if they are classes, give them names"
        yield Finding("numbers-as-labels", LOOK, message, remedy, len(counts), len(counts) / len(rows))
        return
    negative = [row for row, value in zip(rows, values) if float(value) < 0]
    if negative and len(counts) > 2 and -1.0 in counts and min(counts) == -1.0 and {0.0, 1.0} <= set(counts) and len(counts) != 3:
        message = "{count} rows ({share}) have the label -1, which often means that nobody labelled them"
        remedy = "leave them out (where: label != -1), or name the classes if -1 is one"
        yield about("label-minus-one", BIASES, negative, len(rows), message, remedy)
    top, rest = max(counts), sorted(counts)[:-1]
    if len(counts) > 2 and rest == [float(i) for i in range(len(rest))] and top > len(rest) and counts[top] < 0.01 * len(rows):
        odd = [row for row, value in zip(rows, values) if float(value) == top]
        message = f"{{count}} rows have the label {top:g}; all others are 0 to {len(rest) - 1}"
        yield about("label-out-of-range", BIASES, odd, len(rows), message, "correct the number, or name the classes")


def _counts(data: Data, rows: list[Row]) -> Iterator[Finding]:
    """How many examples the classes have in training (or in the only file)."""
    name = TRAIN if TRAIN in data.splits else next(iter(data.splits))
    train = [row for row in data.splits[name] if "label" in row or "labels" in row]
    counts = Counter(label for row in train for label in labels_of(row) if label.strip())
    if not counts:
        return
    total = len(train)
    if len(counts) == 1:
        yield Finding(
            "one-class",
            BLOCKS,
            f"every row has the label '{shorten(next(iter(counts)))}': there is nothing to learn",
            "add rows of the other classes, or check that this is the label column",
            total,
            1.0,
            split=name,
        )
        return
    if total >= 20 and len(counts) > 0.5 * total and "label" in data.roles:
        most = [f"{shorten(label, 30)} ({count})" for label, count in counts.most_common(3)]
        yield Finding(
            "ids-as-labels",
            BLOCKS,
            f"{len(counts):,} different labels for {total:,} rows: an id or text, not a class",
            "choose another column as the label, or take it as text to generate or search",
            len(counts),
            len(counts) / total,
            examples=most,
            split=name,
        )
        return
    yield from _rare(counts, train, name)
    if "label" in data.roles:
        yield from _imbalance(counts, name)


def _rare(counts: Counter[str], train: list[Row], name: str) -> Iterator[Finding]:
    """Classes with one example, and with few."""
    single = [label for label, count in counts.items() if count == 1]
    if single:
        alone = set(single)
        found = [row for row in train if alone & set(labels_of(row))]
        yield about(
            "single-example-classes",
            LOOK,
            found,
            len(counts),
            f"{len(single):,} of {len(counts):,} classes have one {name} example",
            "collect more, merge them, or leave them out: one example cannot be learned and tested",
            examples=single,
            split=name,
            classes=sorted(single),
        )
    few = {label: count for label, count in counts.items() if 1 < count < FEW_EXAMPLES}
    if few:
        shown = [f"{shorten(label, 40)} ({count})" for label, count in sorted(few.items(), key=lambda item: item[1])]
        yield Finding(
            "rare-classes",
            LOOK,
            f"{len(few):,} of {len(counts):,} classes have fewer than {FEW_EXAMPLES} {name} examples",
            "collect more; their scores will be noise",
            len(few),
            len(few) / len(counts),
            examples=shown[:5],
            split=name,
        )


def _imbalance(counts: Counter[str], name: str) -> Iterator[Finding]:
    total = counts.total()
    label, most = counts.most_common(1)[0]
    share = most / total
    if share >= DOMINANT:
        severity = BIASES if share >= OVERWHELMING else LOOK
        yield Finding(
            "imbalance",
            severity,
            f"{percent(most, total)} of the {name} rows are '{shorten(label)}': always saying so scores it",
            "judge by macro-F1 and against the majority; collect the rare classes",
            most,
            share,
            split=name,
        )
    elif len(counts) > 1 and most >= 20 * min(counts.values()) and total >= 200:
        least, rare = min(counts.items(), key=lambda item: (item[1], item[0]))
        yield Finding(
            "imbalance",
            LOOK,
            f"'{shorten(label)}' has {most:,} {name} rows, '{shorten(least)}' {rare:,}",
            "judge by macro-F1; collect the rare classes",
            most,
            share,
            split=name,
        )


def label_sets(data: Data) -> Iterator[Finding]:
    """Classes (or tag and span types) that some splits have and training lacks, and the other way round."""
    if TRAIN not in data.splits or len(data.splits) < 2:
        return
    sets = {name: Counter(label for row in rows for label in labels_of(row)) for name, rows in data.splits.items()}
    for name, counts in sets.items():
        new = {label for label in counts if label not in sets[TRAIN]}
        if name == TRAIN or not new or not sets[TRAIN]:
            continue
        rows = [row for row in data.splits[name] if new & set(labels_of(row))]
        message = f"{len(new):,} labels of {name} never occur in train, in {{count}} rows ({{share}}): a model cannot say them"
        remedy = "add training rows for them, correct the spelling, or leave these rows out of the score"
        yield about(
            "labels-only-outside-train",
            BIASES,
            rows,
            len(data.splits[name]),
            message,
            remedy,
            examples=sorted(new),
            split=name,
            labels=sorted(new),
        )
    outside = [label for label in sets[TRAIN] if not any(label in counts for name, counts in sets.items() if name != TRAIN)]
    scored = sum(sum(counts.values()) for name, counts in sets.items() if name != TRAIN)
    if outside and scored >= 5 * len(sets[TRAIN]):
        shown = [f"{shorten(label, 40)} ({sets[TRAIN][label]})" for label in sorted(outside, key=lambda label: -sets[TRAIN][label])]
        yield Finding(
            "labels-only-in-train",
            LOOK,
            f"{len(outside):,} labels occur in train alone: no score covers them",
            "split again by label",
            len(outside),
            len(outside) / len(sets[TRAIN]),
            examples=shown[:5],
            numbers={"labels": sorted(outside)},
        )


def scores(data: Data) -> Iterator[Finding]:
    """Numbers to predict: constant, far off, or on another scale in another split."""
    if "score" not in data.roles:
        return
    rows = [row for row in data.all_rows if isinstance(row.get("score"), int | float)]
    finite = [row for row in rows if math.isfinite(row["score"])]
    if len(finite) < len(rows):
        bad = [row for row in rows if not math.isfinite(row["score"])]
        yield about(
            "not-finite-scores", BLOCKS, bad, len(rows), "{count} rows have a score that is not a finite number", "correct or remove them"
        )
    values = [float(row["score"]) for row in finite]
    if len(values) > 1 and max(values) == min(values):
        yield Finding(
            "one-class",
            BLOCKS,
            f"every row has the score {values[0]:g}: there is nothing to learn",
            "check that this is the column",
            len(values),
            1.0,
        )
    if len(values) >= 20 and max(values) > min(values):
        low, middle, high = statistics.quantiles(values, n=4)
        spread = (high - low) or statistics.pstdev(values)
        far = [row for row in finite if abs(row["score"] - middle) > 10 * spread]
        if far and len(far) <= 0.01 * len(values):
            message = f"{{count}} rows ({{share}}) have a score far from the others (most lie between {low:g} and {high:g})"
            yield about(
                "score-outliers",
                LOOK,
                far,
                len(values),
                message,
                "check the unit and the decimal point",
                examples=[f"{row['score']:g}" for row in far],
            )
