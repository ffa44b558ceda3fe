"""How the texts of two columns relate, row by row, and how well one column foretells another.

In: two Profiles over the same rows. Out: a Relation (length ratio, containment, shared words, sameness of language).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property

from oneloop.diagnose.language import likeness, spelled_alike
from oneloop.diagnose.profile import COMPARED, Profile
from oneloop.read.alike import APART
from oneloop.read.alike import likeness as likeness_of

SPELLED = 0.3  # columns whose three-letter counts are less alike than this are in two languages
VOCABULARY = 50  # different words a column must have before it is called another language that is not known by name
MANY_LABELS = 60  # more labels than this cannot be foretold from a sample


class Relation:
    """Column `a` against column `b`, over the rows where both have text."""

    def __init__(self, a: Profile, b: Profile) -> None:
        self.a, self.b = a, b
        cells = list(zip(a.cells, b.cells))[:COMPARED]
        self.both = [i for i, (x, y) in enumerate(cells) if isinstance(x, str | int | float) and isinstance(y, str | int | float)]
        self.rows = [(str(a.cells[i]), str(b.cells[i])) for i in self.both]

    @cached_property
    def ratio(self) -> float:
        """Median of characters in b for each character in a."""
        return statistics.median(len(y) / max(1, len(x)) for x, y in self.rows) if self.rows else 1.0

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
    def _content(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        return [(_long(self.a.word_sets[i]), _long(self.b.word_sets[i])) for i in self.both]

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
        pairs = [(self.a.word_sets[i], self.b.word_sets[i]) for i in self.both]
        shares = [len(x & y) / len(x | y) for x, y in pairs if x | y]
        return statistics.fmean(shares) if shares else 0.0

    @cached_property
    def spelling(self) -> float:
        """Mean likeness of a and b letter by letter (three at a time): 1 for copies, near 0.4 for free paraphrase; 0 where b is as
        much like the a of another row."""
        own, other = likeness_of(self.rows)
        return own if own - other > APART else 0.0

    @cached_property
    def languages_differ(self) -> bool:
        """Whether a and b are written in two languages: by name where both are known, else by hardly any shared function word."""
        left, right = self.a.language, self.b.language
        if left[0] == right[0] and left[0]:
            return False
        alike = likeness(self.a.word_sets, self.b.word_sets)
        if left[0] and right[0] and min(left[1], right[1]) > 0.08:
            return alike < 0.6
        if alike >= 0.15 or min(len(frozenset().union(*p.word_sets)) for p in (self.a, self.b)) < VOCABULARY:
            return False
        return spelled_alike(self.a.word_sets, self.b.word_sets) < SPELLED


def _long(found: frozenset[str]) -> frozenset[str]:
    """Words of four letters and more, and all words in other scripts: those that carry content."""
    return frozenset(word for word in found if len(word) > 3 or not word.isascii())


def foretells(texts: Sequence[frozenset[str]], labels: Sequence[object]) -> float:
    """How well the words of a text foretell the label, 0-1: two-fold naive Bayes accuracy, above the commonest label's share.

    Of several columns that could be the label, the real one is the one the text speaks about.
    """
    rows = [(found, str(label)) for found, label in zip(texts, labels) if found and label is not None]
    common = {word for word, count in Counter(word for found, _ in rows for word in found).items() if 2 <= count <= len(rows) / 2}
    rows = [(found & common, label) for found, label in rows]
    counted = Counter(label for _, label in rows)
    majority = max(counted.values(), default=0) / max(1, len(rows))
    if len(rows) < 8 or len(counted) > MANY_LABELS or majority >= 1:
        return 0.0
    right = sum(_correct(rows[1 - half :: 2], rows[half::2]) for half in (0, 1))
    return max(0.0, (right / len(rows) - majority) / (1 - majority))


def _correct(train: Sequence[tuple[frozenset[str], str]], test: Sequence[tuple[frozenset[str], str]]) -> int:
    """Rows of `test` that naive Bayes (presence of words, add-one smoothing) trained on `train` gets right."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sizes = Counter(label for _, label in train)
    for found, label in train:
        counts[label].update(found)
    known = {word for counter in counts.values() for word in counter}
    base = {label: math.log(counter.total() + len(known) + 1) for label, counter in counts.items()}
    gains = {label: {word: math.log(count + 1) for word, count in counter.items()} for label, counter in counts.items()}
    names = sorted(sizes)
    right = 0
    for found, label in test:
        seen = found & known
        scores = []
        for name in names:
            gain = gains.get(name, {})
            scores.append(math.log(sizes[name]) + sum(gain[word] for word in seen if word in gain) - len(seen) * base.get(name, 0.0))
        right += names[scores.index(max(scores))] == label
    return right
