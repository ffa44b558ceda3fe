"""The best tag sequence that the tag scheme allows.

In:  log-probabilities of each word's tags, (W, L), the words of all rows one after the other, and the length of each row.
Out: tags as positions, (W,).

O I-X and B-X I-Y say nothing a reader can use; among the sequences without them the most probable one is taken (Viterbi).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oneloop.measure.entities import INSIDE, LAST, parse

BLOCK_NUMBERS = 4_000_000  # log-probabilities worked on at once
NEVER = -1e9


def may_follow(labels: Sequence[str]) -> np.ndarray:
    """(L + 1, L): whether label j may follow label i; the last line is the start of a row. I-X (M-, E-, L-) needs B-X or I-X
    before it."""
    parsed = [parse(label) for label in labels]
    allowed = np.ones((len(labels) + 1, len(labels)), dtype=bool)
    for j, (prefix, kind) in enumerate(parsed):
        if prefix in INSIDE or prefix in LAST:
            allowed[-1, j] = False
            for i, (before, kind_before) in enumerate(parsed):
                allowed[i, j] = kind_before == kind and (before == "B" or before in INSIDE)
    return allowed


def best_tags(scores: np.ndarray, lengths: Sequence[int], allowed: np.ndarray) -> np.ndarray:
    """The tags, (W,), of all rows. Where the best tag of every single word makes an allowed row, it is that row; only the
    others are searched, in blocks of like length."""
    tags = scores.argmax(axis=1)
    sizes = np.asarray(lengths, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(sizes) else np.zeros(0, dtype=np.int64)
    before = np.concatenate([[-1], tags[:-1]])
    before[starts[sizes > 0]] = -1
    wrong = np.flatnonzero(~allowed[before, tags]) if len(tags) else np.zeros(0, dtype=np.int64)
    rows = np.unique(np.searchsorted(starts, wrong, side="right") - 1)
    rows = rows[np.argsort(sizes[rows], kind="stable")]
    while len(rows):
        take = max(1, int(np.searchsorted(sizes[rows] * np.arange(1, len(rows) + 1) * scores.shape[1], BLOCK_NUMBERS)))
        _search(scores, tags, starts[rows[:take]], sizes[rows[:take]], allowed)
        rows = rows[take:]
    return np.asarray(tags)


def _search(scores: np.ndarray, tags: np.ndarray, starts: np.ndarray, sizes: np.ndarray, allowed: np.ndarray) -> None:
    """Viterbi over some rows at once, (R,) starts and sizes; writes into `tags`. Shorter rows stay at their last word."""
    longest, lines = int(sizes.max()), np.arange(len(starts))
    free, bound, sources = _sources(allowed)
    back = np.zeros((longest, len(starts), scores.shape[1]), dtype=np.int32)
    total = np.where(allowed[-1], scores[starts], NEVER)
    finals = total
    for word in range(1, longest):
        best = free[total[:, free].argmax(axis=1)]
        back[word] = best[:, None]
        reached = np.repeat(total[lines, best][:, None], scores.shape[1], axis=1)
        if len(bound):
            candidates = total[:, sources] + np.where(sources >= 0, 0.0, NEVER)  # (R, bound, K)
            choice = candidates.argmax(axis=2)
            reached[:, bound] = np.take_along_axis(candidates, choice[:, :, None], axis=2)[:, :, 0]
            back[word][:, bound] = sources[np.arange(len(bound)), choice]
        more = word < sizes
        step = reached + scores[np.minimum(starts + word, len(scores) - 1)]
        total = np.where(more[:, None], step, total)
        finals = total
    tag = finals.argmax(axis=1)
    for word in range(longest - 1, -1, -1):
        inside = word < sizes
        tags[starts[inside] + word] = tag[inside]
        tag = np.where(inside, back[word][lines, tag], tag)


def _sources(allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(free, bound, sources): the labels that may stand before most labels; the labels that need others before them; and
    which, (bound, K), filled up with -1."""
    columns = allowed[:-1].T
    kinds, counts = np.unique(columns, axis=0, return_counts=True)
    usual = kinds[counts.argmax()] if not columns.all(axis=1).any() else np.ones(len(columns), dtype=bool)
    bound = np.flatnonzero((columns != usual).any(axis=1))
    found = [np.flatnonzero(columns[label]) for label in bound]
    width = max(map(len, found), default=0)
    sources = np.full((len(bound), max(width, 1)), -1, dtype=np.int64)
    for line, labels in zip(sources, found):
        line[: len(labels)] = labels
    return np.flatnonzero(usual), bound, sources
