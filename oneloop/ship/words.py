"""Metrics and numbers in words a reader without statistics understands.

In:  keys and values of metrics.json.
Out: names, explanations and rounded numbers for the report and the model card.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SECRET = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}|\b(?:ghp|gho|github_pat|sk|xox[bp])[-_][A-Za-z0-9_-]{16,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)|\bAKIA[0-9A-Z]{16}\b"
)
SECRET_NAME = re.compile(r"(?i)token$|secret|password|api_?key|credential")


@dataclass(frozen=True)
class Metric:
    """`name` as printed, `means` in one clause, `unit`: the largest value of its scale (None: no upper end),
    `up`: larger is better."""

    name: str
    means: str
    unit: float | None = 1.0
    up: bool = True


METRICS = {
    "accuracy": Metric("Accuracy", "the share of decisions that are right"),
    "macro_f1": Metric("Macro-F1", "the F1 of each label, averaged, so that a rare label counts as much as a frequent one"),
    "micro_f1": Metric("Micro-F1", "F1 over all decisions together, so that frequent labels weigh most"),
    "precision": Metric("Precision", "of what the model marked, the share that is right"),
    "recall": Metric("Recall", "of what should have been marked, the share the model found"),
    "f1": Metric("F1", "the balance of precision (what was said is right) and recall (what was there is found); 1 is perfect"),
    "f1_strict": Metric("Strict F1", "F1 where a tag sequence that breaks the rules of its scheme counts as no span"),
    "exact_match": Metric("Exact match", "the share of answers that equal a right answer, apart from case, punctuation and articles"),
    "pearson": Metric("Pearson correlation", "how close predictions and references are to one straight line"),
    "spearman": Metric("Spearman correlation", "how well the predictions put the rows in the right order"),
    "rmse": Metric("RMSE", "the typical size of an error, in the units of the score", None, up=False),
    "loss": Metric("Loss", "the mean surprise of the model at the right answer", None, up=False),
    "perplexity": Metric("Perplexity", "between how many equally likely tokens the model hesitates, on average", None, up=False),
    "bits_per_byte": Metric("Bits per byte", "how many bits the model needs for one byte of text", None, up=False),
    "rouge1": Metric("ROUGE-1", "shared single words with the reference", 100.0),
    "rouge2": Metric("ROUGE-2", "shared word pairs with the reference", 100.0),
    "rougeL": Metric("ROUGE-L", "the longest common word sequence with the reference", 100.0),
    "rougeLsum": Metric("ROUGE-Lsum", "ROUGE-L counted sentence by sentence", 100.0),
    "bleu": Metric("BLEU", "shared word sequences with the reference translation", 100.0),
    "chrf": Metric("chrF", "shared character sequences with the reference translation", 100.0),
    "map": Metric("MAP", "how high the relevant passages stand in the list, averaged over queries"),
}
FAMILIES = {
    "ndcg": Metric("nDCG", "how high the relevant passages stand among the first {k}; 1 is the best order possible"),
    "recall": Metric("Recall", "the share of the relevant passages among the first {k}"),
    "mrr": Metric("MRR", "one divided by the rank of the first relevant passage among the first {k}, averaged"),
    "precision": Metric("Precision", "the share of the first {k} that is relevant"),
    "map": Metric("MAP", "how high the relevant passages stand among the first {k}, averaged over queries"),
}


def metric(key: str) -> Metric:
    """The Metric of a key of metrics.json; one that is not known keeps its key as its name."""
    if key in METRICS:
        return METRICS[key]
    family, _, depth = key.partition("@")
    if family in FAMILIES and depth:
        found = FAMILIES[family]
        return Metric(f"{found.name}@{depth}", found.means.format(k=depth))
    return Metric(key, "", None)


@dataclass(frozen=True)
class Score:
    """A value with the ends of its 95 % interval; None where there is none or it is not finite."""

    value: float | None
    low: float | None = None
    high: float | None = None


def finite(value: Any) -> float | None:
    """The value as a float, or None for anything that is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def score(entry: Any) -> Score:
    """A Score from an entry of metrics.json: a number, or {"value", "ci95"}."""
    if not isinstance(entry, dict):
        return Score(finite(entry))
    ends = entry.get("ci95")
    low, high = (finite(ends[0]), finite(ends[1])) if isinstance(ends, (list, tuple)) and len(ends) == 2 else (None, None)
    if low is None or high is None:
        low = high = None
    return Score(finite(entry.get("value")), low, high)


def decimals(values: Iterable[float | None], unit: float | None) -> int:
    """The fewest decimals (at least 2 on the 0-1 scale, else 1) that keep different values different, at most 4."""
    known = sorted({value for value in values if value is not None})
    for digits in range(2 if unit == 1.0 else 1, 4):
        shown = {f"{value:.{digits}f}" for value in known}
        if len(shown) == len(known):
            return digits
    return 4


def number(value: float | None, digits: int = 3) -> str:
    """`0.912`, `1,234.5`, or `unknown` for None."""
    return "unknown" if value is None else f"{value:,.{digits}f}"


def interval(found: Score, digits: int) -> str:
    """`95 % interval 0.90–0.92`, or an empty string."""
    if found.low is None or found.high is None:
        return ""
    dash = " to " if found.low < 0 else "–"
    return f"95 % interval {number(found.low, digits)}{dash}{number(found.high, digits)}"


def count(value: Any, noun: str = "") -> str:
    """`1,234 rows`; the noun is put in the plural unless the count is one. Text stays as it is."""
    known = finite(value)
    if known is None:
        return f"{value} {noun}".strip()
    shown = f"{int(known):,}" if known == int(known) else f"{known:,.2f}"
    return f"{shown} {noun}{'' if known == 1 or not noun else 's'}".strip()


def duration(seconds: Any) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    known = finite(seconds)
    if known is None:
        return "unknown"
    if known < 10:
        return f"{known:.1f} s"
    if known < 120:
        return f"{known:.0f} s"
    if known < 7200:
        return f"{int(known // 60)} min {int(known % 60):02d} s"
    return f"{int(known // 3600)} h {int(known % 3600 // 60):02d} min"


def redact(text: str) -> str:
    """The text with access tokens and passwords inside URLs blotted out."""
    return SECRET.sub("[redacted]", text)


def title(name: str) -> str:
    """`sequence-classification` as `Sequence classification`."""
    return name[:1].upper() + name[1:].replace("-", " ").replace("_", " ")
