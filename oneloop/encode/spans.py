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
from typing import Any

Place = tuple[int, int]

OUTSIDE = "O"
UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af"
)  # Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han: written without spaces between words


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


def split_words(text: str) -> list[Place]:
    """The words of a text, in order, as (start, end); everything but white space belongs to a word."""
    return [match.span() for match in _pattern().finditer(text)]


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


def tag_words(text: str, spans: Sequence[dict[str, Any]]) -> tuple[list[Place], list[str], list[dict[str, Any]]]:
    """Words of a text, their BIO tags and the spans that could not be kept (overlaps).

    A span that starts or ends inside a word splits it, so that `tag_spans` gives every kept span back exactly.
    """
    kept, dropped = without_overlaps(text, spans)
    edges = sorted({edge for span in kept for edge in (span["start"], span["end"])})
    words: list[Place] = []
    next_edge = 0
    for start, end in split_words(text):
        while next_edge < len(edges) and edges[next_edge] <= start:
            next_edge += 1
        while next_edge < len(edges) and edges[next_edge] < end:
            words.append((start, edges[next_edge]))
            start = edges[next_edge]
            next_edge += 1
        words.append((start, end))
    tags = [OUTSIDE] * len(words)
    position = 0
    for span in kept:
        while position < len(words) and words[position][0] < span["start"]:
            position += 1
        prefix = "B-"
        while position < len(words) and words[position][1] <= span["end"]:
            tags[position] = prefix + span["label"]
            prefix = "I-"
            position += 1
    return words, tags, dropped


def entity(tag: str) -> tuple[str, str]:
    """(prefix, type) of a tag: B-PER is (B, PER), O is (O, ''), a tag without a known prefix is ('', itself)."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if len(tag) > 2 and tag[1] in "-_" and tag[0] in "BIESLU":
        return tag[0], tag[2:]
    return "", tag


def chunks(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Entities as (first word, end word, type), by the rules of the CoNLL script conlleval: an I- after O or after another
    type starts an entity too; S/U stand alone, E/L end one. Tags without a prefix group while they stay the same."""
    found: list[tuple[int, int, str]] = []
    start, kind, closed = -1, "", True
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, this = entity(tag)
        if not closed and ((prefix in "OBSU" and prefix) or this != kind):
            found.append((start, position, kind))
            closed = True
        if prefix == OUTSIDE:
            continue
        if closed:
            start, kind, closed = position, this, False
        if prefix in ("S", "U", "E", "L"):
            found.append((start, position + 1, kind))
            closed = True
    return found


def tag_spans(tags: Sequence[str], words: Sequence[Place]) -> list[dict[str, Any]]:
    """The entities of tagged words as spans {"start", "end", "label"} of the text that the words stand in."""
    return [{"start": words[first][0], "end": words[end - 1][1], "label": kind} for first, end, kind in chunks(tags)]


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
