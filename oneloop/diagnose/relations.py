"""How the texts of two columns relate, row by row, and how well one column foretells another.

In: two Profiles over the same rows. Out: a Relation (length ratio, containment, shared words, sameness of language).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property

from oneloop.diagnose.language import likeness, words
from oneloop.diagnose.profile import Profile

ROWS = 240  # rows compared; a share is then known to about 6 points (95 %)


class Relation:
    """Column `a` against column `b`, over the rows where both have text."""

    def __init__(self, a: Profile, b: Profile) -> None:
        self.a, self.b = a, b
        both = [(str(x), str(y)) for x, y in zip(a.cells, b.cells) if isinstance(x, str | int | float) and isinstance(y, str | int | float)]
        self.rows = both[:ROWS]

    @cached_property
    def ratio(self) -> float:
        """Median of words in b for each word in a; characters where a script has no spaces."""
        pairs = [(len(x), len(y)) for x, y in self.rows]
        return statistics.median(y / max(1, x) for x, y in pairs) if pairs else 1.0

    @cached_property
    def shorter(self) -> float:
        """The share of rows in which b is shorter than a."""
        return sum(1 for x, y in self.rows if len(y) < len(x)) / len(self.rows) if self.rows else 0.0

    @cached_property
    def inside(self) -> float:
        """The share of rows whose b stands literally in a and is not the whole of it."""
        found = sum(1 for x, y in self.rows if y.strip() and y.strip() in x and len(y.strip()) < len(x.strip()))
        return found / len(self.rows) if self.rows else 0.0

    @cached_property
    def _content(self) -> list[tuple[set[str], set[str]]]:
        return [
            ({w for w in words(x) if len(w) > 3 or not w.isascii()}, {w for w in words(y) if len(w) > 3 or not w.isascii()})
            for x, y in self.rows
        ]

    def _overlap(self, shift: int) -> float:
        pairs = self._content
        shares = [len(pairs[i][1] & pairs[i - shift][0]) / len(pairs[i][1]) for i in range(len(pairs)) if pairs[i][1]]
        return statistics.fmean(shares) if shares else 0.0

    @cached_property
    def overlap(self) -> float:
        """Mean share of the longer words of b that also stand in a."""
        return self._overlap(0)

    @cached_property
    def lift(self) -> float:
        """How much more b shares with its own a than with the a of another row: 0 for unrelated columns."""
        return self.overlap - self._overlap(1)

    @cached_property
    def jaccard(self) -> float:
        """Mean words in common over words in either: 1 for copies, near 0.1 for free paraphrase."""
        shares = [len(x & y) / len(x | y) for x, y in ((set(words(x)), set(words(y))) for x, y in self.rows) if x | y]
        return statistics.fmean(shares) if shares else 0.0

    @cached_property
    def languages_differ(self) -> bool:
        """Whether a and b are written in two languages: by name where both are known, else by hardly any shared function word."""
        left, right = self.a.language, self.b.language
        alike = likeness(self.a.texts[:200], self.b.texts[:200])
        if left[0] and right[0] and min(left[1], right[1]) > 0.08:
            return left[0] != right[0] and alike < 0.6
        return left[0] != right[0] and alike < 0.15 and len(self.rows) >= 5


def foretells(texts: Sequence[object], labels: Sequence[object]) -> float:
    """How well the words of a text foretell the label, 0-1: two-fold naive Bayes accuracy, above the commonest label's share.

    Of several columns that could be the label, the real one is the one the text speaks about.
    """
    rows = [(frozenset(words(str(x))), str(y)) for x, y in zip(texts, labels) if x is not None and y is not None][:400]
    if len(rows) < 8:
        return 0.0
    majority = Counter(label for _, label in rows).most_common(1)[0][1] / len(rows)
    right = sum(_correct(rows[1 - half :: 2], rows[half::2]) for half in (0, 1))
    return max(0.0, (right / len(rows) - majority) / (1 - majority)) if majority < 1 else 0.0


def _correct(train: Sequence[tuple[frozenset[str], str]], test: Sequence[tuple[frozenset[str], str]]) -> int:
    """Rows of `test` that a Bernoulli-free naive Bayes (presence of words, add-one) trained on `train` gets right."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sizes = Counter(label for _, label in train)
    for found, label in train:
        counts[label].update(found)
    known = {word for counter in counts.values() for word in counter}
    scale = {label: math.log(counter.total() + len(known) + 1) for label, counter in counts.items()}
    right = 0
    for found, label in test:
        seen = [word for word in sorted(found) if word in known]
        best = max(sorted(sizes), key=lambda y: math.log(sizes[y]) + sum(math.log(counts[y][w] + 1) - scale.get(y, 0.0) for w in seen))
        right += best == label
    return right
