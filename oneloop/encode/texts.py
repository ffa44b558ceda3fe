"""Texts and pairs of texts to model inputs; long ones in windows, nothing cut.

In:  rows with "text" and perhaps "text_pair".
Out: features with input_ids, row, window, width (text tokens in it), tokens (those not in an earlier window), cut, flag.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from oneloop.encode.tokenize import Tokens, tokenize
from oneloop.encode.windows import Template, input_length, template, windows
from oneloop.tasks.base import Feature, Row

Range = tuple[int, int]


def window_texts(rows: Sequence[Row], tokenizer: Any, max_length: int | None = None, stride: int | None = None) -> list[Feature]:
    """Features of all rows in order, the windows of a row one after the other. stride: a quarter of a window if not given.

    `cut` counts unbroken runs of letters of which only the start was read (see `tokenize`); `flag` says when a text gives
    the model nothing to read ("no tokens") or only pieces it does not know ("unknown tokens only").
    """
    built, length = template(tokenizer), input_length(tokenizer, max_length)
    firsts = tokenize([row["text"] for row in rows], tokenizer, offsets=False)
    paired = [position for position, row in enumerate(rows) if row.get("text_pair") is not None]
    seconds = dict(zip(paired, tokenize([rows[position]["text_pair"] for position in paired], tokenizer, offsets=False)))
    features: list[Feature] = []
    for position, first in enumerate(firsts):
        second = seconds.get(position)
        made = _single(first, built, length, stride) if second is None else _pair(first, second, built, length, stride)
        marks = _marks([first] if second is None else [first, second], tokenizer.unk_token_id)
        features.extend(feature | {"row": position, "window": number} | marks for number, feature in enumerate(made))
    return features


def _marks(texts: Sequence[Tokens], unknown: int | None) -> dict[str, Any]:
    """cut, and flag where the texts give nothing to read."""
    marks: dict[str, Any] = {"cut": sum(text.cut for text in texts)}
    if not any(text.ids for text in texts):
        marks["flag"] = "no tokens"
    elif all(token == unknown for text in texts for token in text.ids):
        marks["flag"] = "unknown tokens only"
    return marks


def _single(text: Tokens, built: Template, length: int, stride: int | None) -> Iterator[Feature]:
    size = length - built.specials()
    seen = 0
    for start, end in windows(len(text.ids), size, _overlap(stride, size)):
        yield built.build(text.ids[start:end]) | {"width": end - start, "tokens": end - max(seen, start)}
        seen = end


def _pair(first: Tokens, second: Tokens, built: Template, length: int, stride: int | None) -> Iterator[Feature]:
    seen = [0, 0]
    for ranges in pair_windows(len(first.ids), len(second.ids), length - built.specials(pair=True), stride):
        new = sum(max(0, end - max(known, start)) for known, (start, end) in zip(seen, ranges))
        seen = [max(known, end) for known, (_, end) in zip(seen, ranges)]
        (a, b), (c, d) = ranges
        yield built.build(first.ids[a:b], second.ids[c:d]) | {"width": b - a + d - c, "tokens": new}


def pair_windows(first: int, second: int, size: int, stride: int | None = None) -> list[tuple[Range, Range]]:
    """Ranges of both texts, of `first` and `second` tokens, for each window with room for `size` tokens.

    Both whole if they fit. Else the shorter one whole in every window if it fits into half, and the longer one windowed
    beside it. Else both windowed by halves, the window with fewer of them repeating its nearest: every token is read.
    """
    if first + second <= size:
        return [((0, first), (0, second))]
    if min(first, second) <= size // 2:
        room = size - min(first, second)
        moving = windows(max(first, second), room, _overlap(stride, room))
        return [(span, (0, second)) if first > second else ((0, first), span) for span in moving]
    half = size // 2
    one, other = (windows(count, half, _overlap(stride, half)) for count in (first, second))
    count = max(len(one), len(other))
    return [(one[_nearest(i, count, len(one))], other[_nearest(i, count, len(other))]) for i in range(count)]


def _nearest(position: int, count: int, windows: int) -> int:
    """The window of a text with `windows` that stands at the same share of its length as `position` of `count`."""
    return round(position * (windows - 1) / (count - 1)) if count > 1 else 0


def _overlap(stride: int | None, size: int) -> int:
    """The stride that was asked for, at most half of what a window holds; a quarter if none was asked for."""
    return max(0, min(size // 4 if stride is None else stride, size // 2))
