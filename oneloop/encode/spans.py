"""Marked stretches of a text (spans) to words with tags, and back to exact characters.

In:  a text with spans {"start", "end", "label"} (code points, end exclusive), or words with tags.
Out: words as (start, end) in the text with BIO tags; or spans whose text is exactly what stands there.

A word is a run of letters, digits and their marks, or a single other character; scripts written without spaces (Han,
kana, Thai, …) give one word per character. Marks, joiners and variation selectors stay with the character they
belong to, so no word and no span ends inside what a reader sees as one character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from oneloop.measure.entities import chunks

Place = tuple[int, int]

OUTSIDE = "O"
LEVELS = ("words", "kinds", "characters")  # how finely a text is split into words
INSIDE_WORDS = 0.02  # share of spans that must profit before texts are split where letters meet digits
MOSTLY_INSIDE = 0.3  # share of spans inside words from which on words are no units at all, as in Korean or for morphemes
UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af"
)  # Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han: written without spaces between words
# marks, joiners, skin tones, flags and scripts without spaces all stand in these ranges
WITH_CARE = re.compile("[\u0300-\u036f\u0483-\u0489\u0591-\u1fff\u200c\u200d\u20d0-\u20ff\u2cef-\U0010ffff]")
PLAIN_WORD = re.compile(r"\w+|\S")  # finds what `_pattern` finds where a text has none of these characters, five times faster


@cache
def _pattern() -> re.Pattern[str]:
    """The word pattern; Python's \\w leaves out combining marks, so they are collected from the Unicode tables once."""
    marks = _ranges(code for code in (*range(0x300, 0x1F000), *range(0xE0100, 0xE01F0)) if unicodedata.category(chr(code))[0] == "M")
    tail = rf"[{marks}\u200d\u200c\U0001f3fb-\U0001f3ff]"
    letter = rf"[^\W{UNSPACED}{marks}]"
    return re.compile(rf"{letter}(?:{letter}|{tail})*|[\U0001f1e6-\U0001f1ff]{{2}}|[^\s](?:\u200d\S|{tail})*")


def _ranges(codes: Iterable[int]) -> str:
    """Code points as the inside of a regular-expression class."""
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)


def split_words(text: str, level: str = "words") -> list[Place]:
    """The words of a text, in order, as (start, end); everything but white space belongs to a word.

    level: one of LEVELS; "kinds" also splits where letters, digits and upper case meet (10mg, B12, iPhone), "characters"
    everywhere.
    """
    pattern = _pattern() if WITH_CARE.search(text) else PLAIN_WORD
    words = [match.span() for match in pattern.finditer(text)]
    if level == LEVELS[0]:
        return words
    splits = _kind_borders if level == LEVELS[1] else _character_borders
    return [piece for start, end in words for piece in pairwise([start, *splits(text, start, end), end])]


def _kind_borders(text: str, start: int, end: int) -> list[int]:
    """Where letters meet digits or _, and lower case meets upper."""
    kinds = [0 if char == "_" else 1 if char.isdigit() else 2 for char in text[start:end]]
    return [
        i
        for i in range(start + 1, end)
        if (kinds[i - start] != kinds[i - start - 1] or (text[i - 1].islower() and text[i].isupper())) and not _joins(text, i)
    ]


def _character_borders(text: str, start: int, end: int) -> list[int]:
    """Between all visible characters."""
    return [i for i in range(start + 1, end) if not _joins(text, i)]


def level_for(rows: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> str:
    """The level for these (text, spans). A few spans that start or end inside a word are slips of the hand and do not count:
    "kinds" where it helps more than INSIDE_WORDS of all spans, "characters" where MOSTLY_INSIDE of them still do not fit."""
    inside = dict.fromkeys(LEVELS[:2], 0)
    total = 0
    for text, spans in rows:
        edges = [whole_characters(text, span["start"], span["end"]) for span in spans]
        total += len(edges)
        for level in inside if edges else ():
            words = split_words(text, level)
            starts, ends = {start for start, _ in words}, {end for _, end in words}
            inside[level] += sum(start not in starts or end not in ends for start, end in edges)
    if inside["kinds"] > MOSTLY_INSIDE * total:
        return "characters"
    return "kinds" if inside["words"] - inside["kinds"] > INSIDE_WORDS * total else "words"


def whole_characters(text: str, start: int, end: int) -> Place:
    """The span widened to whole visible characters (a base with all its marks) and freed of white space at its edges."""
    while 0 < start < len(text) and _joins(text, start):
        start -= 1
    while end < len(text) and end > 0 and _joins(text, end):
        end += 1
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _joins(text: str, place: int) -> bool:
    """Whether the character at `place` belongs to the one before it."""
    char = text[place]
    if char in "\u200d\u200c" or text[place - 1] == "\u200d" or "\U0001f3fb" <= char <= "\U0001f3ff":
        return not text[place - 1].isspace()
    return unicodedata.category(char)[0] == "M" and not text[place - 1].isspace()


def without_overlaps(text: str, spans: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(kept, dropped) spans in order of the text. One tag per word cannot hold overlapping spans: the longer one is
    kept, the earlier of two equally long. Empty ones are dropped."""
    taken = [False] * (len(text) + 1)
    kept, dropped = [], []
    for span in sorted(spans, key=lambda span: (span["start"] - span["end"], span["start"])):
        start, end = whole_characters(text, span["start"], span["end"])
        if start >= end or any(taken[start:end]):
            dropped.append(span)
            continue
        taken[start:end] = [True] * (end - start)
        kept.append({**span, "start": start, "end": end})
    return sorted(kept, key=lambda span: int(span["start"])), sorted(dropped, key=lambda span: int(span["start"]))


def tag_words(text: str, spans: Sequence[dict[str, Any]], words: Sequence[Place] | None = None) -> tuple[list[Place], list[str]]:
    """(words, BIO tags) of a text with spans that do not overlap.

    words: the words to start from, `split_words(text)` if not given. A span that starts or ends inside a word splits it,
    so that `tag_spans` gives every span back exactly.
    """
    edges = sorted({edge for span in spans for edge in (span["start"], span["end"])})
    pieces: list[Place] = []
    next_edge = 0
    for start, end in split_words(text) if words is None else words:
        while next_edge < len(edges) and edges[next_edge] < end:
            edge = edges[next_edge]
            if edge > start:
                pieces.append((start, edge))
                start = edge
            next_edge += 1
        pieces.append((start, end))
    return pieces, cover(pieces, spans)


def cover(words: Sequence[Place], spans: Sequence[dict[str, Any]]) -> list[str]:
    """BIO tags of words under spans that do not overlap, in order. A word that a span covers in part belongs to it whole;
    to the one that covers more, where there are two."""
    tags, shares = [OUTSIDE] * len(words), [0] * len(words)
    position = 0
    for span in spans:
        while position < len(words) and words[position][1] <= span["start"]:
            position += 1
        prefix, last = "B-", position
        while last < len(words) and words[last][0] < span["end"]:
            share = min(words[last][1], span["end"]) - max(words[last][0], span["start"])
            if share > shares[last]:
                tags[last], shares[last], prefix = prefix + span["label"], share, "I-"
            last += 1
    return tags


def tag_spans(tags: Sequence[str], words: Sequence[Place]) -> list[dict[str, Any]]:
    """The entities of tagged words, by conlleval's rules, as spans {"start", "end", "label"} of the text they stand in."""
    return [{"start": words[first][0], "end": words[end - 1][1], "label": kind} for kind, first, end in chunks(tags)]


def as_iob2(tags: Sequence[str]) -> list[str]:
    """The same entities with B- on each first word and I- on the others; from IO, IOB1, BIOES, BILOU or bare types."""
    found = [OUTSIDE] * len(tags)
    for kind, first, end in chunks(tags):
        found[first:end] = ["B-" + kind] + ["I-" + kind] * (end - first - 1)
    return found


def join_words(words: Sequence[str]) -> tuple[str, list[Place]]:
    """The words joined by single spaces, and the place of each in that text."""
    places, start = [], 0
    for word in words:
        places.append((start, start + len(word)))
        start += len(word) + 1
    return " ".join(words), places


def find_words(text: str, words: Sequence[str]) -> list[Place] | None:
    """The places of words in the text they were split from, in order; None where one cannot be found."""
    places, start = [], 0
    for word in words:
        start = text.find(word, start)
        if start < 0:
            return None
        places.append((start, start + len(word)))
        start += len(word)
    return places
