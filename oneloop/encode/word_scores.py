"""Probabilities of words from the logits of their tokens.

In:  logits (T, L) of each window, and which word each of its tokens belongs to.
Out: probabilities (W, L) of all words of all rows, one row after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from oneloop.measure.probabilities import softmax
from oneloop.tasks.base import Feature

STRATEGIES = ("first", "max", "average", "simple")


@dataclass(frozen=True)
class WordScores:
    """`probabilities` (W, L); `seen` (W): how many tokens a word has (0: the tokenizer dropped it); `certainty` (W): the mean
    over its tokens of their highest probability, for the strategy `simple` only."""

    probabilities: np.ndarray
    seen: np.ndarray
    certainty: np.ndarray


def word_scores(
    logits: Sequence[np.ndarray], features: Sequence[Feature], lengths: Sequence[int], strategy: str, outside: int
) -> WordScores:
    """Scores of every word of every row; `lengths`: words of each row. Each word is taken from the window that answers for it.

    strategy, as Hugging Face names them: first (the word's first token), max (its most certain token), average (the mean of its
    tokens), simple (as first; see `certainty`). A word without tokens gets the tag `outside` with probability 1.
    """
    offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))])
    total, width = int(offsets[-1]), logits[0].shape[-1] if len(logits) else 1
    probabilities = np.zeros((total, width))
    seen, certainty = np.zeros(total, dtype=np.int64), np.zeros(total)
    mine, words = _owned(features, offsets)
    if len(words):
        starts = np.flatnonzero(np.concatenate([[True], words[1:] != words[:-1]]))
        present, counts = words[starts], np.diff(starts, append=len(words))
        seen[present] = counts
        tokens = np.concatenate(logits)[mine[starts] if strategy == "first" else mine]
        tokens = softmax(tokens)
        probabilities[present] = tokens if strategy == "first" else combine(tokens, starts, counts, strategy)
        if strategy == "simple":
            certainty[present] = np.add.reduceat(tokens.max(axis=1), starts) / counts
    probabilities[seen == 0, outside] = 1.0
    return WordScores(probabilities, seen, certainty)


def _owned(features: Sequence[Feature], offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of all features that count, as positions in their concatenation, and the word of each, counted over all rows."""
    sizes = [len(feature["word_ids"]) for feature in features]
    ids = np.fromiter(chain.from_iterable(feature["word_ids"] for feature in features), dtype=np.int64, count=sum(sizes))
    first, end, row = (
        (
            np.repeat(np.array(values, dtype=np.int64), sizes)
            for values in zip(*((*feature["own"], offsets[feature["row"]]) for feature in features))
        )
        if features
        else (ids, ids, ids)
    )
    mine = np.flatnonzero((ids >= first) & (ids < end))
    return mine, ids[mine] + row[mine]


def combine(tokens: np.ndarray, starts: np.ndarray, counts: np.ndarray, strategy: str) -> np.ndarray:
    """(W, L) from the probabilities of tokens, (T, L); a word is `counts` tokens from `starts` on."""
    if strategy == "average":
        return np.asarray(np.add.reduceat(tokens, starts, axis=0) / counts[:, None])
    if strategy == "max":
        best = tokens.max(axis=1)
        word = np.repeat(np.arange(len(starts)), counts)
        order = np.lexsort((np.arange(len(tokens)), -best, word))  # within a word the most certain token first, then the earlier
        return np.asarray(tokens[order[starts]])
    return np.asarray(tokens[starts])
