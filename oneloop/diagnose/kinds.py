"""Problems that none of the tasks solves, by kind: what they are called and which words point to them.

In: a statement. Out: the kind ("images", "forecasting", …) with what it needs instead.
"""

from __future__ import annotations

import re
from functools import cache

from oneloop.diagnose.features import plain
from oneloop.diagnose.language import WORDS

KINDS = {
    "images": "pictures, not text: image classification, detection, or character recognition (OCR) before any text task",
    "audio": "sound, not text: speech recognition, text to speech or audio classification",
    "video": "moving pictures, not text",
    "forecasting": "numbers over time: forecasting or anomaly detection on time series",
    "tabular": "columns of numbers: tabular classification or regression (gradient-boosted trees)",
    "recommendation": "who liked what: a recommender from ratings, clicks or purchases",
    "sql": "figures that a database already holds: a query (SQL) or a pivot table",
    "optimization": "the best plan under limits: scheduling, routing, optimization",
    "control": "actions in a world: reinforcement learning, control, robotics",
    "graph": "links and structures: graph learning or molecules",
    "clustering": "groups that nobody has named yet: clustering or topic discovery; the vectors of semantic search are its first step",
    "software": "ordinary software, no learning needed",
    "statistics": "a statistical question: a test or a correlation",
    "other": "not one of the eight text tasks",
}


@cache
def patterns() -> list[tuple[str, re.Pattern[str], float]]:
    """(kind, pattern searched in the lower-case statement without accents, weight)."""
    return [(kind, re.compile(text), weight) for kind, found in WORDS["kinds"].items() for text, weight in found.items()]


def kind_scores(statement: str) -> dict[str, tuple[float, list[str]]]:
    """Kind to its score and the words that point to it; kinds without any are left out."""
    text = plain(statement)
    found: dict[str, tuple[float, list[str]]] = {}
    for kind, pattern, weight in patterns():
        match = pattern.search(text)
        if match:
            score, words = found.get(kind, (0.0, []))
            found[kind] = score + weight, [*words, *([match.group().strip()] if weight > 0 else [])]
    return found
