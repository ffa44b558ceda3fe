"""Texts with marked spans, cut to the part that matters.

In:  a text or its words, the right spans and the predicted ones.
Out: Pieces in reading order, each plain or marked, for the template to print.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

EXCERPT = 420  # characters of a text that are shown
AROUND = 120  # characters kept before the first difference


class Span(NamedTuple):
    """Characters [start, end) of a text, called `label`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Piece:
    """A run of characters. `label` is empty for plain text; `kind` is "", "right", "wrong" or "missed"."""

    text: str
    label: str = ""
    kind: str = ""


def split_tag(tag: str) -> tuple[str, str]:
    """`B-PER` as ("B", "PER"); `O` as ("O", ""); a tag without a prefix as ("I", tag)."""
    if tag == "O" or not tag:
        return "O", ""
    head, dash, rest = tag.partition("-")
    return (head, rest) if dash and rest and head in {"B", "I", "E", "S", "L", "U"} else ("I", tag)


def chunks(tags: Sequence[str]) -> list[Span]:
    """Spans over word positions as conlleval counts them (Tjong Kim Sang and Buchholz 2000): a chunk starts at B or S, at a change
    of type, or after O; it ends at E or S, before B, at a change of type, or before O. L and U are BILOU's E and S."""
    found: list[Span] = []
    open_at, kind, closed = -1, "", True
    for i, tag in enumerate([*tags, "O"]):
        head, label = split_tag(str(tag))
        if open_at >= 0 and (closed or head in "OBSU" or label != kind):
            found.append(Span(open_at, i, kind))
            open_at = -1
        if head != "O" and open_at < 0:
            open_at, kind = i, label
        closed = head in "ESLU"
    return found


def word_spans(words: Sequence[str], tags: Sequence[str], whole: bool = True) -> list[Span]:
    """Character spans over the words joined by spaces; whole: group the tags to chunks, else one span per word."""
    starts, at = [], 0
    for word in words:
        starts.append(at)
        at += len(word) + 1
    groups = chunks(tags[: len(words)]) if whole else [Span(i, i + 1, str(tag)) for i, tag in enumerate(tags[: len(words)])]
    return [Span(starts[g.start], starts[g.end - 1] + len(words[g.end - 1]), g.label) for g in groups]


def spans(items: Any, length: int) -> list[Span]:
    """Spans from dicts with start, end and label; those that are not inside the text are left out."""
    found = []
    for item in items if isinstance(items, (list, tuple)) else ():
        if isinstance(item, dict) and isinstance(item.get("start"), int) and isinstance(item.get("end"), int):
            start, end = max(0, item["start"]), min(length, item["end"])
            if start < end:
                found.append(Span(start, end, str(item.get("label", ""))))
    return sorted(found)


def pieces(text: str, marked: Iterable[Span], right: Iterable[Span], window: tuple[int, int], other: str = "wrong") -> list[Piece]:
    """The characters of `window`, cut at the marked spans; a mark that is also in `right` is right, any other is `other`."""
    start, end = window
    good = set(right)
    found = [Piece("… ")] if start > 0 else []
    at = start
    for span in sorted(marked):
        if span.end <= at or span.start >= end:
            continue
        begin = max(span.start, at)
        if begin > at:
            found.append(Piece(text[at:begin]))
        at = min(span.end, end)
        found.append(Piece(text[begin:at], span.label, "right" if span in good else other))
    if at < end:
        found.append(Piece(text[at:end]))
    if end < len(text):
        found.append(Piece(" …"))
    return found


def window(text: str, focus: Iterable[Span], limit: int = EXCERPT) -> tuple[int, int]:
    """The part of a text to show: all of a short one, else `limit` characters around the first span of `focus`, cut at spaces."""
    if len(text) <= limit:
        return 0, len(text)
    first = min((span.start for span in focus), default=0)
    start = max(0, min(first - AROUND, len(text) - limit))
    end = min(len(text), start + limit)
    if start > 0:
        space = text.find(" ", start, start + 30)
        start = space + 1 if space >= 0 else start
    if end < len(text):
        space = text.rfind(" ", end - 30, end)
        end = space if space > start else end
    return start, end


def shorten(text: str, limit: int = EXCERPT) -> str:
    """The text, or its beginning with the number of characters left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()} … ({len(text) - limit:,} more characters)"
