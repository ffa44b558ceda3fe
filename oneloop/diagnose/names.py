"""What column names hint at, in several languages: a tie-breaker only, the cells decide.

In: a column name. Out: how strongly it sounds like a role, 0 or 1.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from oneloop.diagnose.language import WORDS

HINTS: dict[str, str] = WORDS["column_names"]  # role: words its columns are called by, in several languages
SPLITS = frozenset({"train", "training", "test", "testing", "dev", "val", "valid", "validation", "eval", "holdout", "trn", "tst"})
PART = re.compile(r"[A-Z]+(?![a-zà-ÿ])|[A-Z]?[^\W\d_A-Z]+|\d+")


@cache
def parts(name: str) -> frozenset[str]:
    """The words of a column name in lower case, with the whole name and each word joined to a following number. Of a nested
    `queue.name` the name is the queue's: it does not say that the column holds titles or people."""
    found = [part.lower() for part in PART.findall(name.removesuffix(".name") or name)]
    joined = {a + b for a, b in pairwise(found)}
    return frozenset(found) | joined | {name.lower()}


@cache
def _hints(role: str) -> frozenset[str]:
    return frozenset(HINTS.get(role, role).split())


def sounds_like(column: str, role: str) -> float:
    """1.0 if a part of the column's name is a word for the role, else 0.0."""
    return 1.0 if parts(column) & _hints(role) else 0.0
