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
from oneloop.encode.words import align
from oneloop.tasks.base import Feature

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
    if len(tokens.ids) <= size:
        return [_window(tokens.ids, tokens.word_ids, built) | {"own": (0, count), "tokens": len(tokens.ids), "cut": tokens.cut}]
    ids, owners = np.asarray(tokens.ids), np.asarray(tokens.word_ids)
    pieces = np.bincount(owners, minlength=count)
    limit = max(1, int(size * LONG_WORD))
    kept = np.arange(len(ids)) - (np.cumsum(pieces) - pieces)[owners] < limit
    ids, owners, cut = ids[kept], owners[kept], tokens.cut + int((~kept).sum())
    pieces = np.minimum(pieces, limit)
    ranges = word_windows(pieces.tolist(), size, stride)
    ends = np.concatenate([[0], np.cumsum(pieces)])
    borders = [0, *(_middle(ends, after[0], before[1]) for before, after in pairwise(ranges)), count]
    found, seen = [], 0
    for (first, end), own in zip(ranges, pairwise(borders)):
        begin, stop = int(ends[first]), int(ends[end])
        feature = _window(ids[begin:stop].tolist(), owners[begin:stop].tolist(), built)
        found.append(feature | {"own": own, "tokens": stop - max(seen, begin), "cut": cut})
        seen, cut = stop, 0
    return found


def _window(ids: list[int], owners: list[int], built: Template) -> Feature:
    """Complete inputs, and the word of each token, -1 for special tokens."""
    feature: Feature = built.build(ids)
    before = built.start()
    after = len(feature["input_ids"]) - before - len(ids)
    return feature | {"word_ids": [-1] * before + owners + [-1] * after}


def _middle(ends: np.ndarray, first: int, end: int) -> int:
    """The word in the middle, by tokens, of the words [first, end) that two windows share."""
    if first >= end:
        return end
    return first + int(np.searchsorted(ends[first:end] - ends[first], (ends[end] - ends[first]) / 2))


def token_labels(feature: Feature, wanted: Sequence[int], later: Sequence[int] | None) -> list[int]:
    """Labels (T) of a window by the rules of `words.align`; IGNORE for words that another window answers for."""
    first, end = feature["own"]
    return align(wanted, [word if first <= word < end else None for word in feature["word_ids"]], later)
