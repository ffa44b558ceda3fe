"""Scores of ranked lists against judged passages.

In:  for each query the ids of the passages found, best first, and its judgements {passage id: grade}.
Out: Statistics with ndcg@10, recall@10, recall@100, mrr@10 and map, means over queries, as trec_eval defines them.

A passage is relevant from grade 1. nDCG uses the grade as gain and log2(rank + 1) as discount (Järvelin and Kekäläinen, 2002; trec_eval's
ndcg_cut). The order given is the order scored; `ranked` makes it from scores and breaks ties as trec_eval does, by id, descending.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oneloop.errors import DataError, Problem
from oneloop.measure.statistics import Statistics, ratio, require_pairs

Judgements = Mapping[str, int]
METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "map")


def ranking(found: Sequence[Sequence[str]], judged: Sequence[Judgements]) -> Statistics:
    """The five metrics, 0-1, each the mean over queries. Additive.

    found: passage ids of each query, best first, each at most once; give at least 100, or recall@100 and map see no further.
    A query without any judgement is left out; one whose judgements hold no relevant passage counts as 0, as in trec_eval.
    Raises DataError naming every query that lists a passage twice.
    """
    require_pairs(found, judged)
    problems = [
        Problem("a passage is listed twice", "list each passage once", row=number)
        for number, ids in enumerate(found, 1)
        if len(set(ids)) != len(ids)
    ]
    if problems:
        raise DataError(f"{len(problems)} queries list a passage more than once", problems)
    table = np.array([one_query(ids, grades) for ids, grades in zip(found, judged)], dtype=np.float64).reshape(-1, len(METRICS) + 1)

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        return {name: ratio(sums[:, i], sums[:, -1]) for i, name in enumerate(METRICS)}

    return Statistics(table, reduce, signature="ranking|trec_eval|gain:grade|discount:log2|relevant:grade>=1|unjudged-queries:left-out")


def one_query(ids: Sequence[str], grades: Judgements) -> list[float]:
    """The values of `METRICS` for one query, then 1; all 0 where the query has no judgement at all."""
    if not grades:
        return [0.0] * (len(METRICS) + 1)
    gains = [max(0, grades.get(name, 0)) for name in ids]
    hits = [gain >= 1 for gain in gains]
    relevant = sum(grade >= 1 for grade in grades.values())
    ideal = _discounted(sorted((max(0, grade) for grade in grades.values()), reverse=True)[:10])
    first = next((rank for rank, hit in enumerate(hits[:10], 1) if hit), 0)
    precisions = [sum(hits[:rank]) / rank for rank, hit in enumerate(hits, 1) if hit]
    return [
        _discounted(gains[:10]) / ideal if ideal else 0.0,
        sum(hits[:10]) / relevant if relevant else 0.0,
        sum(hits[:100]) / relevant if relevant else 0.0,
        1 / first if first else 0.0,
        sum(precisions) / relevant if relevant else 0.0,
        1.0,
    ]


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Passage ids by falling score; ties by id, descending, as trec_eval breaks them."""
    return sorted(sorted(scores, reverse=True), key=lambda name: -scores[name])


def _discounted(gains: Sequence[float]) -> float:
    """Discounted cumulative gain of gains in rank order."""
    return float(sum(gain / np.log2(rank + 1) for rank, gain in enumerate(gains, 1)))
