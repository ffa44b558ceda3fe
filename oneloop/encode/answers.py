"""Start and end logits to answers: the n best spans over all windows of an example.

In:  outputs {"start_logits", "end_logits"} (T) of each feature, and the features (see `characters.py`).
Out: for each row its candidate spans in characters, best first, and the score of "no answer".

The search is the one of the HF course and of run_qa.py: in each window the `n_best` highest starts are paired with the `n_best`
highest ends; a pair counts if both lie in the context, the end does not precede the start and the span has at most
`max_tokens` tokens; its score is the sum of both logits (Devlin et al. 2019, 4.2). Here numpy does it for all windows at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneloop.encode.spans import whole_characters
from oneloop.tasks.base import Feature

CELLS = 2_000_000  # numbers held at once, 16 MB
NO_CANDIDATE = 1e6  # no-answer score of a row without any candidate: above every threshold, yet valid JSON

Output = dict[str, np.ndarray]
Answer = dict[str, Any]  # {"text", "start", "end" (characters), "score" (probability)}


@dataclass(frozen=True)
class Spans:
    """Candidates of N rows: those of row r are the positions bounds[r] to bounds[r + 1] of `start`, `end` (characters) and
    `score` (sum of logits), best first. `null` (N): the score of "no answer", inf for a row without a feature."""

    bounds: np.ndarray
    start: np.ndarray
    end: np.ndarray
    score: np.ndarray
    null: np.ndarray


def find_spans(outputs: Sequence[Output], features: Sequence[Feature], rows: int, *, n_best: int = 20, max_tokens: int = 30) -> Spans:
    """The candidates of each of `rows` rows. Equal scores stay in the order of window, start rank and end rank."""
    row_of = np.array([feature["row"] for feature in features], dtype=np.int64)
    starts, ends = (_highest([output[name] for output in outputs], n_best) for name in ("start_logits", "end_logits"))
    window, first, last, score = _pairs(starts, ends, features, n_best, max_tokens)
    row = row_of[window]
    order = np.argsort((row << 32) | (0xFFFFFFFF - _sortable(score)), kind="stable")
    counts = np.bincount(row, minlength=rows) if len(row) else np.zeros(rows, dtype=np.int64)
    base, places = _all_places(features)
    return Spans(
        bounds=np.concatenate([[0], np.cumsum(counts)]),
        start=places[base[window] + first, 0][order],
        end=places[base[window] + last, 1][order],
        score=score[order],
        null=_null_scores(outputs, features, row_of, rows),
    )


def _all_places(features: Sequence[Feature]) -> tuple[np.ndarray, np.ndarray]:
    """The offsets of all features one after the other, and where each feature's begin."""
    widths = [len(feature["offsets"]) for feature in features]
    joined = np.concatenate([np.zeros((0, 2), dtype=np.int32), *(feature["offsets"] for feature in features)])
    return np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])[:-1], joined


def _sortable(numbers: np.ndarray) -> np.ndarray:
    """float32 to int64 in [0, 2^32) that sort alike (the bits of an IEEE 754 number, negative ones turned round)."""
    bits = np.ascontiguousarray(numbers, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.asarray(np.where(bits < 0, bits ^ 0x7FFFFFFF, bits) + 2**31)


def _highest(logits: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and values of the `count` highest logits of each feature, highest first, the leftmost of equals; (F, count)
    each, filled up with position -1 and -inf. NaN counts as -inf.

    The position rides in the low bits of the number that is sorted, so one partial sort gives both.
    """
    lengths = np.array([len(line) for line in logits], dtype=np.int64)
    positions = np.full((len(logits), count), -1, dtype=np.int64)
    values = np.full((len(logits), count), -np.inf, dtype=np.float32)
    by_length = np.argsort(lengths, kind="stable")
    for chunk in _chunks(lengths[by_length]):
        chosen = by_length[chunk]
        width = max(int(lengths[chosen[-1]]), 1)
        table = np.full((len(chosen), width), -np.inf, dtype=np.float32)
        for line, position in zip(table, chosen.tolist()):
            line[: lengths[position]] = logits[position]
        np.nan_to_num(table, copy=False, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        keys = (_sortable(table + 0.0) << 24) | np.arange(width - 1, -1, -1)
        kept = min(count, width)
        top = np.partition(keys, width - kept, axis=1)[:, width - kept :]
        top.sort(axis=1)
        found = width - 1 - (top[:, ::-1] & 0xFFFFFF)
        positions[chosen, :kept] = found
        values[chosen, :kept] = np.take_along_axis(table, found, axis=1)
    return positions, values


def _chunks(lengths: np.ndarray) -> Iterator[slice]:
    """Slices of rising lengths whose padded tables stay below CELLS numbers and waste little."""
    start = 0
    while start < len(lengths):
        end = int(np.searchsorted(lengths, lengths[start] * 1.2 + 8, side="right"))
        end = min(end, start + max(1, CELLS // (int(lengths[end - 1]) + 1)))
        yield slice(start, end)
        start = end


def _pairs(
    starts: tuple[np.ndarray, np.ndarray], ends: tuple[np.ndarray, np.ndarray], features: Sequence[Feature], n_best: int, max_tokens: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every allowed pair: its feature, first and last token (counted in the context), and score; in order of feature and ranks."""
    first = np.array([feature["first"] for feature in features], dtype=np.int64)[:, None]
    width = np.array([len(feature["offsets"]) for feature in features], dtype=np.int64)[:, None]
    far = np.int32(2**30)
    begin = np.where((starts[0] >= first) & (starts[0] < first + width), starts[0] - first, far).astype(np.int32)
    close = np.where((ends[0] >= first) & (ends[0] < first + width), ends[0] - first, -far).astype(np.int32)
    found: list[tuple[np.ndarray, ...]] = []
    for at in range(0, max(len(features), 1), max(1, CELLS // n_best**2)):
        some = slice(at, at + max(1, CELLS // n_best**2))
        lengths = close[some][:, None, :] - begin[some][:, :, None]  # (chunk, starts, ends)
        places = np.flatnonzero(lengths.view(np.uint32) < max_tokens)  # negative lengths become large
        window, pair = np.divmod(places, n_best**2)
        one, other = np.divmod(pair, n_best)
        window += at
        score = starts[1][window, one] + ends[1][window, other]
        real = np.isfinite(score)
        found.append(tuple(part[real] for part in (window, begin[window, one], close[window, other], score)))
    window, low, high, score = (np.concatenate(parts) for parts in zip(*found))
    return window, low, high, score


def _null_scores(outputs: Sequence[Output], features: Sequence[Feature], row_of: np.ndarray, rows: int) -> np.ndarray:
    """For each row the lowest score of "no answer" over its windows (the SQuAD 2.0 rule of BERT and run_qa.py: a window that
    holds the answer speaks for it), read at each window's own null place."""
    scores = np.array(
        [
            float(output["start_logits"][f["null"]]) + float(output["end_logits"][f["null"]]) if len(output["start_logits"]) else np.inf
            for output, f in zip(outputs, features)
        ]
    )
    lowest = np.full(rows, np.inf)
    np.minimum.at(lowest, row_of, scores)
    return lowest


def best_answers(spans: Spans, contexts: Sequence[str], n_best: int) -> Iterator[tuple[list[Answer], float, float]]:
    """For each row (answers, probability of "no answer", no-answer score).

    answers: at most `n_best` different spans, best first, widened to whole visible characters and freed of white space; the
    same span found in two windows counts once, with its higher score. Probabilities: softmax over these and "no answer". The
    no-answer score is null score minus best score (score_diff of the official run_squad.py); NO_CANDIDATE without any answer.
    """
    bounds, starts, ends, scores = spans.bounds.tolist(), spans.start.tolist(), spans.end.tolist(), spans.score.tolist()
    for row, (context, null) in enumerate(zip(contexts, spans.null.tolist())):
        plain = context.isascii()
        seen: set[tuple[int, int]] = set()
        answers: list[Answer] = []
        for k in range(bounds[row], bounds[row + 1]):
            start, end = starts[k], ends[k]
            text = context[start:end]
            if text.strip() != text or not (plain or (text + context[end : end + 1]).isascii()):
                start, end = whole_characters(context, start, end)
                text = context[start:end]
            if text and (start, end) not in seen:
                seen.add((start, end))
                answers.append({"text": text, "start": start, "end": end, "score": scores[k]})
                if len(answers) == n_best:
                    break
        yield _with_probabilities(answers, null)


def _with_probabilities(answers: list[Answer], null: float) -> tuple[list[Answer], float, float]:
    """Scores to probabilities, in place; see `best_answers`."""
    if not answers:
        return answers, 1.0, NO_CANDIDATE
    best = answers[0]["score"]
    top = null if best < null < math.inf else best
    weights = [math.exp(answer["score"] - top) for answer in answers]
    nothing = math.exp(null - top) if null < math.inf else 0.0
    total = sum(weights) + nothing
    for answer, weight in zip(answers, weights):
        answer["score"] = weight / total
    return answers, nothing / total, null - best if null < math.inf else -NO_CANDIDATE
