"""Rows of words to model inputs: windows that tear no word, and for each word the window that sees it best.

In:  the words of each row, and label ids where there are any.
Out: features with input_ids, word_ids (T; -1 for special tokens), own (first, end): the words this window answers for,
     row, tokens, cut, labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from oneloop.encode.tokenize import WordTokens, tokenize_words
from oneloop.encode.windows import Template, input_length, template, word_windows
from oneloop.tasks.base import IGNORE, Feature

LONG_WORD = 0.25  # share of a window that the tokens of one word may fill; the rest of such a word is cut and counted


def window_words(
    rows: Sequence[Sequence[str]],
    labels: Sequence[Sequence[int] | None],
    later: Sequence[int] | None,
    tokenizer: Any,
    max_length: int | None = None,
    stride: int | None = None,
) -> list[Feature]:
    """Features of all rows in order, the windows of a row one after the other.

    labels: ids of each row's words, or None. later: label ids for the second and further tokens of a word (see
    `words.continuations`); None trains first tokens only. In an overlap each word is answered for, trained and scored in one
    window only: the one where it stands further from the edge.
    """
    built, length = template(tokenizer), input_length(tokenizer, max_length)
    size = length - built.specials()
    overlap = min(size // 4 if stride is None else stride, size // 2)
    features: list[Feature] = []
    for position, (words, tokens, wanted) in enumerate(zip(rows, tokenize_words(rows, tokenizer), labels)):
        for feature in _windows(len(words), tokens, built, size, overlap):
            if wanted is not None:
                feature["labels"] = token_labels(feature, wanted, later)
            features.append(feature | {"row": position})
    return features


def _windows(count: int, tokens: WordTokens, built: Template, size: int, stride: int) -> list[Feature]:
    """The windows of one row of `count` words."""
    ids, owners = np.asarray(tokens.ids, dtype=np.int64), np.asarray(tokens.word_ids, dtype=np.int64)
    pieces = np.bincount(owners, minlength=count)
    cut = tokens.cut
    limit = max(1, int(size * LONG_WORD))
    if len(ids) > size and pieces.max() > limit:
        firsts = np.cumsum(pieces) - pieces
        kept = np.arange(len(ids)) - firsts[owners] < limit
        cut += int((~kept).sum())
        ids, owners = ids[kept], owners[kept]
        pieces = np.minimum(pieces, limit)
    ranges = word_windows(pieces.tolist(), size, stride)
    ends = np.concatenate([[0], np.cumsum(pieces)])
    borders = [0, *(_middle(ends, after[0], before[1]) for before, after in pairwise(ranges)), count]
    found, seen = [], 0
    start = built.start()
    for (first, end), own in zip(ranges, pairwise(borders)):
        span = slice(int(ends[first]), int(ends[end]))
        feature: Feature = built.build(ids[span].tolist())
        word_ids = np.full(len(feature["input_ids"]), -1, dtype=np.int64)
        word_ids[start : start + span.stop - span.start] = owners[span]
        found.append(feature | {"word_ids": word_ids, "own": own, "tokens": span.stop - max(seen, span.start), "cut": cut})
        seen, cut = span.stop, 0
    return found


def _middle(ends: np.ndarray, first: int, end: int) -> int:
    """The word in the middle, by tokens, of the words [first, end) that two windows share."""
    if first >= end:
        return end
    return first + int(np.searchsorted(ends[first:end] - ends[first], (ends[end] - ends[first]) / 2))


def token_labels(feature: Feature, wanted: Sequence[int], later: Sequence[int] | None) -> np.ndarray:
    """Labels (T) of a window: those of the words it answers for, by the rules of `words.align`; IGNORE elsewhere."""
    owners = feature["word_ids"]
    first, end = feature["own"]
    mine = (owners >= first) & (owners < end)
    found = np.full(len(owners), IGNORE, dtype=np.int64)
    found[mine] = np.asarray(wanted, dtype=np.int64)[owners[mine]]
    repeated = mine & (owners == np.concatenate([[-1], owners[:-1]]))
    found[repeated] = IGNORE if later is None else np.where(found[repeated] == IGNORE, IGNORE, np.asarray(later)[found[repeated]])
    return found
