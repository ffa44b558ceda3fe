"""Start and end logits to answers: the n best spans over all windows of an example.

In:  outputs {"start_logits", "end_logits"} (T) of each feature, and the features (see `characters.py`).
Out: for each row its candidate spans in characters, best first, and the score of "no answer".

The search is the one of the HF course and of run_qa.py: in each window the `n_best` highest starts are paired with the `n_best`
highest ends; a pair counts if both lie in the context, the end does not precede the start and the span has at most
`max_tokens` tokens; its score is the sum of both logits (Devlin et al. 2019, 4.2). Here numpy does it for all windows at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

from oneloop.encode.spans import whole_characters
from oneloop.tasks.base import Feature

CELLS = 500_000  # numbers worked on at once: 2 MB, which a processor's cache holds
FAR = 2**30  # a place outside every context
LOWEST = np.finfo(np.float32).min  # what is lower was ruled out
NO_CANDIDATE = 1e6  # no-answer score of a row without any candidate: above every threshold, yet valid JSON

Output = dict[str, np.ndarray]
Answer = dict[str, Any]  # {"text", "start", "end" (characters), "score" (probability)}


@dataclass(frozen=True)
class Spans:
    """Candidates of N rows: those of row r are the positions bounds[r] to bounds[r + 1] of `start`, `end` (characters) and
    `score` (sum of logits), best first. `null` (N): the score of "no answer", inf for a row without a feature. `plain` (N): the
    spans of the row are different, and end neither inside a visible character nor with white space."""

    bounds: np.ndarray
    start: np.ndarray
    end: np.ndarray
    score: np.ndarray
    null: np.ndarray
    plain: np.ndarray


def find_spans(
    outputs: Sequence[Output], features: Sequence[Feature], rows: int, *, n_best: int = 20, max_tokens: int = 30, keep: int | None = None
) -> Spans:
    """The candidates of each of `rows` rows, at most `keep` of a window (n_best if not given; more where scores are equal). Equal
    scores stand in the order of window, start and end."""
    row_of = np.array([feature["row"] for feature in features], dtype=np.int64)
    start_logits, end_logits = ([output[name] for output in outputs] for name in ("start_logits", "end_logits"))
    tops = _highest(start_logits, end_logits, n_best)
    window, first, last, score = _pairs(tops, features, max_tokens, keep or n_best)
    row = row_of[window]
    order = _best_first(row, score)
    window, first, last = window[order], first[order], last[order]
    base, places = _all_places(features)
    return Spans(
        bounds=np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))]),
        start=places[base[window] + first, 0],
        end=places[base[window] + last, 1],
        score=score[order],
        null=_null_scores(start_logits, end_logits, features, row_of, rows),
        plain=np.bincount(row_of, [1.0 if feature["plain"] else 2.0 for feature in features], minlength=rows) == 1,
    )


def _best_first(row: np.ndarray, score: np.ndarray) -> np.ndarray:
    """The order by row, then by falling score, then as given. One sort of whole numbers: the bits of an IEEE 754 float sort like
    the float, once those of negative numbers are turned round."""
    bits = (score + np.float32(0)).view(np.int32).astype(np.int64)  # + 0 turns -0 into 0
    keys = (row << 32) - np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    order = np.argsort(keys)
    ranked = keys[order]
    return np.asarray(np.argsort(keys, kind="stable") if (ranked[1:] == ranked[:-1]).any() else order)


def _all_places(features: Sequence[Feature]) -> tuple[np.ndarray, np.ndarray]:
    """Where each feature's offsets begin in the offsets of all features one after the other, and these."""
    offsets = [feature["offsets"] for feature in features]
    ends = np.cumsum([0, *map(len, offsets)])
    return ends[:-1], np.concatenate([np.zeros((0, 2), dtype=np.int32), *offsets])


@dataclass(frozen=True)
class Tops:
    """The highest start and end logits of each feature, leftmost of equals: positions, rising, and values, (F, count) each, filled
    up with -inf. NaN counts as lowest."""

    start: np.ndarray
    start_value: np.ndarray
    end: np.ndarray
    end_value: np.ndarray


def _highest(starts: Sequence[np.ndarray], ends: Sequence[np.ndarray], count: int) -> Tops:
    """The `count` highest starts and ends of each feature."""
    lengths = np.fromiter(map(len, starts), dtype=np.int64, count=len(starts))
    shape = (len(starts), count)
    tops = Tops(
        np.zeros(shape, np.int32), np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int32), np.full(shape, -np.inf, np.float32)
    )
    by_length = np.argsort(lengths, kind="stable")
    for chunk in _chunks(lengths[by_length]):
        chosen = by_length[chunk]
        width = max(int(lengths[chosen[-1]]), count)
        for logits, positions, values in ((starts, tops.start, tops.start_value), (ends, tops.end, tops.end_value)):
            table = np.full((len(chosen), width), -np.inf, dtype=np.float32)
            for line, position in zip(table, chosen.tolist()):
                found = logits[position]
                line[: len(found)] = found
            places = _highest_places(table, count)
            positions[chosen] = places % width
            values[chosen] = table.ravel()[places]
    for values in (tops.start_value, tops.end_value):
        values[~np.isfinite(values)] = -np.inf
    return tops


def _highest_places(table: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` highest numbers of each line in the whole table, rising; (lines, count). All lines at once by the
    lowest value that is in; lines in which several are equal to that, or which hold NaN, one by one."""
    lines, width = table.shape
    limit = np.partition(table, width - count, axis=1)[:, width - count, None]
    inside = table >= limit
    places = np.flatnonzero(inside)
    if len(places) != lines * count or (places.reshape(lines, count)[:, [0, -1]] // width != np.arange(lines)[:, None]).any():
        for line in np.flatnonzero(np.count_nonzero(inside, axis=1) != count):
            inside[line] = False
            inside[line, np.argsort(-table[line], kind="stable")[:count]] = True
        places = np.flatnonzero(inside)
    return places.reshape(lines, count)


def _chunks(lengths: np.ndarray) -> Iterator[slice]:
    """Slices of rising lengths whose padded tables stay below CELLS numbers and waste little."""
    start = 0
    while start < len(lengths):
        end = int(np.searchsorted(lengths, lengths[start] * 1.1 + 8, side="right"))
        end = min(end, start + max(1, CELLS // (int(lengths[end - 1]) + 1)))
        yield slice(start, end)
        start = end


def _pairs(tops: Tops, features: Sequence[Feature], max_tokens: int, keep: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The `keep` best allowed pairs of each feature, or more where scores are equal: (feature, first and last token counted in the
    context, score), in order of feature, start and end."""
    count = tops.start.shape[1]
    first = np.array([feature["first"] for feature in features], dtype=np.int32)[:, None]
    width = np.array([len(feature["offsets"]) for feature in features], dtype=np.int32)[:, None]
    begin, close = tops.start - first, tops.end - first
    begin[(begin < 0) | (begin >= width)] = FAR
    close[(close < 0) | (close >= width)] = -FAR
    found: list[tuple[np.ndarray, ...]] = []
    lines = max(1, CELLS // count**2)
    for at in range(0, len(features), lines):
        few = slice(at, at + lines)
        lengths = close[few, None, :] - begin[few, :, None]  # (chunk, starts, ends)
        table = tops.start_value[few, :, None] + tops.end_value[few, None, :]
        np.copyto(table, -np.inf, where=lengths.view(np.uint32) >= max_tokens)  # a negative length becomes a large one
        table = table.reshape(-1, count**2)
        limit = table.max(axis=1) if keep == 1 else np.partition(table, -keep, axis=1)[:, -keep]
        places = np.flatnonzero(table >= np.maximum(limit, LOWEST)[:, None])
        one = places // count + at * count
        window = one // count
        other = window * count + places % count
        found.append((window, begin.ravel()[one], close.ravel()[other], table.ravel()[places]))
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    window, low, high, score = (np.concatenate(parts) for parts in zip(empty, *found))
    return window, low, high, score


def _null_scores(
    starts: Sequence[np.ndarray], ends: Sequence[np.ndarray], features: Sequence[Feature], row_of: np.ndarray, rows: int
) -> np.ndarray:
    """For each row the lowest score of "no answer" over its windows (the SQuAD 2.0 rule of BERT and run_qa.py: a window that
    holds the answer speaks for it), read at each window's own null place."""
    nulls = [feature["null"] for feature in features]
    scores = [start.item(null) + end.item(null) for start, end, null in zip(starts, ends, nulls)]
    lowest = np.full(rows, np.inf)
    np.minimum.at(lowest, row_of, scores)
    return lowest


def no_answer_scores(spans: Spans) -> np.ndarray:
    """For each row the score of "no answer" minus that of its best span, (N,) (score_diff of BERT's run_squad.py for SQuAD 2.0);
    NO_CANDIDATE for a row without spans."""
    some = spans.bounds[1:] > spans.bounds[:-1]
    found = np.full(len(some), NO_CANDIDATE)
    found[some] = spans.null[some] - spans.score[spans.bounds[:-1][some]]
    return found


def best_texts(spans: Spans, contexts: Sequence[str]) -> list[str]:
    """For each row the words of its best span, "" for a row without one."""
    bounds = spans.bounds.tolist()
    firsts = np.minimum(spans.bounds[:-1], max(len(spans.start) - 1, 0))
    starts, ends = (array[firsts].tolist() if len(array) else [0] * len(contexts) for array in (spans.start, spans.end))
    plain = (spans.plain & (spans.bounds[1:] > spans.bounds[:-1])).tolist()
    texts = [context[start:end] for context, start, end in zip(contexts, starts, ends)]
    for row in (row for row, simple in enumerate(plain) if not simple):
        found = _whole_spans(contexts[row], spans, bounds[row], bounds[row + 1], 1)
        texts[row] = next((contexts[row][start:end] for start, end in found), "")
    return texts


def best_answers(spans: Spans, contexts: Sequence[str], n_best: int, listed: int) -> Iterator[tuple[list[Answer], float]]:
    """For each row (answers, probability of "no answer").

    answers: at most `listed` spans, best first, widened to whole visible characters and freed of white space; the same span
    found in two windows counts once, with its higher score. Probabilities: softmax over the `n_best` best and "no answer".
    """
    probability, nothing = (array.tolist() for array in _probabilities(spans, n_best))
    bounds, starts, ends = spans.bounds.tolist(), spans.start.tolist(), spans.end.tolist()
    for row, (context, plain) in enumerate(zip(contexts, spans.plain.tolist())):
        begin, end = bounds[row], bounds[row + 1]
        if plain:
            few = slice(begin, min(end, begin + listed))
            found, none = list(zip(starts[few], ends[few], probability[few])), nothing[row]
        else:
            found, none = _careful(context, spans, row, n_best, listed)
        yield [{"text": context[first:last], "start": first, "end": last, "score": share} for first, last, share in found], none


def _probabilities(spans: Spans, n_best: int) -> tuple[np.ndarray, np.ndarray]:
    """Softmax over the first `n_best` spans of each row and "no answer": (C,) and (N,)."""
    begins, ends = spans.bounds[:-1], spans.bounds[1:]
    some = ends > begins
    top = spans.null.copy()
    top[some] = np.maximum(top[some], spans.score[begins[some]])
    row = np.repeat(np.arange(len(begins)), ends - begins)
    weights = np.exp(spans.score - top[row])
    weights[np.arange(len(weights)) - begins[row] >= n_best] = 0
    none = np.where(some, np.exp(spans.null - top, where=some, out=np.zeros_like(top)), 1.0)
    total = none + np.bincount(row, weights, minlength=len(begins))
    return weights / total[row], none / total


def _careful(context: str, spans: Spans, row: int, n_best: int, listed: int) -> tuple[list[tuple[int, int, float]], float]:
    """The answers and probability of "no answer" of one row whose spans may repeat or need widening."""
    found = _whole_spans(context, spans, int(spans.bounds[row]), int(spans.bounds[row + 1]), n_best)
    if not found:
        return [], 1.0
    null = float(spans.null[row])
    top = max(null, *found.values())
    weights = [exp(score - top) for score in found.values()]
    total = sum(weights) + exp(null - top)
    return [(start, end, weight / total) for (start, end), weight in zip(found, weights)][:listed], exp(null - top) / total


def _whole_spans(context: str, spans: Spans, begin: int, end: int, n_best: int) -> dict[tuple[int, int], float]:
    """The first `n_best` different spans among those from `begin` to `end`, with their scores, at whole visible characters and
    without white space around them."""
    found: dict[tuple[int, int], float] = {}
    for place in range(begin, end):
        whole = whole_characters(context, int(spans.start[place]), int(spans.end[place]))
        if whole[0] < whole[1] and whole not in found:
            found[whole] = float(spans.score[place])
            if len(found) == n_best:
                break
    return found
