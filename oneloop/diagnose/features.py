"""What a statement says, as features a linear model can weigh: word stems, pairs of stems, and concepts in four languages.

In: a statement. Out: {feature: positions of its words}. A concept (EXTRACT, EACH, LITERAL, …) stands for its words in
English, Spanish, French and German, so that what is learned in one language holds in the others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from oneloop.diagnose.language import WORDS

WORD = re.compile(r"\[mask\]|[a-z]+(?:[-'][a-z]+)*|_{2,}|\d+|[?;:]")
STEM = 6  # letters of a word that are kept: inflections of the four languages fall together
SKIP = 3  # two concepts of a pair stand at most this many content words apart
GLUE = frozenset(WORDS["glue"].split())  # words that carry no content
WEIGHTS = {"w": 0.7, "b": 0.5, "c": 1.0, "cc": 0.5, "cw": 0.5, "wc": 0.5, "s": 0.5, "sc": 0.5, "n": 0.3}  # value of a feature by kind
LEVEL = 4.0  # the features of a statement together have about this length


def plain(text: str) -> str:
    """Lower case without accents; ß becomes ss."""
    decomposed = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("’", "'").lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def tokens(text: str) -> list[str]:
    """Words, numbers (as 0) and the marks that ask or separate."""
    return ["0" if token.isdigit() else token for token in WORD.findall(plain(text))]


@cache
def _lexicon() -> tuple[dict[str, tuple[str, ...]], dict[str, list[tuple[str, str]]]]:
    """Whole words to their concepts, and first two letters to (prefix, concept)."""
    whole: dict[str, list[str]] = {}
    prefixes: dict[str, list[tuple[str, str]]] = {}
    for concept, entries in WORDS["concepts"].items():
        for entry in entries.split():
            if entry.endswith("*"):
                prefixes.setdefault(entry[:2], []).append((entry[:-1], concept))
            else:
                whole.setdefault(entry, []).append(concept)
    return {word: tuple(found) for word, found in whole.items()}, prefixes


@cache
def concepts(word: str) -> tuple[str, ...]:
    """The concepts a word stands for."""
    whole, prefixes = _lexicon()
    begun = {concept for prefix, concept in prefixes.get(word[:2], ()) if word.startswith(prefix)}
    return tuple(sorted(begun | set(whole.get(word, ()))))


def stem(word: str) -> str:
    """The first letters of a word."""
    return word[:STEM]


def features(words: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Feature to the positions of its words, first occurrence. Kinds: w: stem, b: two stems, c: concept, cc: two concepts in
    order, cw and wc: a concept and the stem beside it, s and sc: what the statement starts with, n: its length."""
    found: dict[str, tuple[int, ...]] = {}
    for name, positions in _named(words):
        found.setdefault(name, positions)
    return found


def _named(words: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"n:{min(4, len(words) // 6)}", ()
    for (i, a), (j, b) in pairwise(enumerate(words)):
        yield f"b:{stem(a)} {stem(b)}", (i, j)
    content = [i for i, word in enumerate(words) if word not in GLUE]
    for i in content:
        yield f"w:{stem(words[i])}", (i,)
    for at, i in enumerate(content):
        for concept in concepts(words[i]):
            yield f"c:{concept}", (i,)
            yield from _beside(words, content, at, concept)
    if content:
        yield f"s:{stem(words[content[0]])}", (content[0],)
        yield from ((f"sc:{concept}", (content[0],)) for concept in concepts(words[content[0]]))


def _beside(words: Sequence[str], content: Sequence[int], at: int, concept: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    i = content[at]
    for j in content[at + 1 : at + 1 + SKIP]:
        yield from ((f"cc:{concept} {other}", (i, j)) for other in concepts(words[j]) if other != concept)
    yield from ((f"cw:{concept} {stem(words[j])}", (i, j)) for j in content[at + 1 : at + 2])
    yield from ((f"wc:{stem(words[j])} {concept}", (j, i)) for j in content[max(0, at - 1) : at])


def values(found: dict[str, tuple[int, ...]]) -> dict[str, float]:
    """The value of each feature: its kind's weight, scaled so that long statements weigh no more than short ones."""
    scale = LEVEL / max(1, len(found)) ** 0.5
    return {name: WEIGHTS[name.partition(":")[0]] * scale for name in found}
