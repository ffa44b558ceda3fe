"""Whether texts that stand side by side say the same: letter by letter, and more so than texts of other rows.

In:  pairs of texts, or two Parts with as many lines
Out: a likeness from 0 to 1; whether two files are the two sides of one text, line by line
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import zip_longest

from oneloop.errors import DataError
from oneloop.read.decoding import text_stream
from oneloop.read.detect import detect
from oneloop.read.sources import Part

READ = 3000  # characters of a text that are compared
COMPARED = 200  # lines of two files that are compared
FEWEST = 3  # lines that tell anything
SAME = 0.5  # likeness from which two texts are the same in other words; free paraphrases have 0.4
APART = 0.2  # by how much a text must be more like its partner than like another's
RELATED = 0.1  # … where the names of two files already say that they belong together


def likeness(pairs: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Mean likeness of the two texts of each pair (groups of three letters in common), and that of texts of neighbouring pairs."""
    if len(pairs) < 2:
        return 0.0, 0.0
    threes = [(_threes(x), _threes(y)) for x, y in pairs]
    own = statistics.fmean(_dice(x, y) for x, y in threes)
    return own, statistics.fmean(_dice(threes[i - 1][0], threes[i][1]) for i in range(len(threes)))


def _threes(text: str) -> frozenset[str]:
    text = f" {' '.join(text[:READ].lower().split())} "
    return frozenset(text[i : i + 3] for i in range(len(text) - 2))


def _dice(a: frozenset[str], b: frozenset[str]) -> float:
    return 2 * len(a & b) / max(1, len(a) + len(b))


def say_the_same(one: Part, other: Part, named: bool, encoding: str | None = None) -> bool:
    """Whether two text files have as many lines and each line of one says what its partner says. named: their names differ in
    the ending alone, which asks for less."""
    try:
        found = [detect(part, encoding) for part in (one, other)]
        if any(form.format != "txt" for form in found):
            return False
        streams = [text_stream(part.open(), form.found) for part, form in zip((one, other), found)]
        pairs: list[tuple[str, str]] = []
        for a, b in zip_longest(*streams):
            if a is None or b is None or bool(a.strip()) != bool(b.strip()):
                return False
            if len(pairs) < COMPARED and a.strip():
                pairs.append((a, b))
    except (DataError, UnicodeDecodeError):
        return False
    finally:
        one.release()
        other.release()
    own, others = likeness(pairs)
    return len(pairs) >= FEWEST and own - others > (RELATED if named else APART) and (named or own > SAME)
