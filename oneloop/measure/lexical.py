"""BM25: search by shared words, the baseline of semantic search.

In:  passages and queries as text.
Out: for each query the positions of the best passages and their scores.

Scores are Robertson's BM25 with Lucene's idf, ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative
(Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009; Kamphuis et al., Which BM25 Do You Mean?, 2020).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

K1, B = 1.5, 0.75  # the defaults of bm25s and rank-bm25
DEPTH = 100  # hits per query: what recall@100 looks at
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # scripts without spaces
TERM = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")


def terms(text: str) -> list[str]:
    """Lower-case words of a text; in scripts written without spaces every character is one."""
    return TERM.findall(unicodedata.normalize("NFKC", text).lower())


class BM25:
    """An inverted index in memory. `passages` is a sequence of texts."""

    def __init__(self, passages: Sequence[str], k1: float = K1, b: float = B) -> None:
        counted = [Counter(terms(text)) for text in passages]
        self.size = len(counted)
        lengths = np.array([sum(counts.values()) for counts in counted], dtype=np.float64)
        mean = lengths.mean() if self.size and lengths.any() else 1.0
        postings: dict[str, list[tuple[int, int]]] = {}
        for position, counts in enumerate(counted):
            for term, count in counts.items():
                postings.setdefault(term, []).append((position, count))
        self.postings: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for term, found in postings.items():
            places, often = (np.array(column) for column in zip(*found))
            idf = np.log(1 + (self.size - len(found) + 0.5) / (len(found) + 0.5))
            weight = often * (k1 + 1) / (often + k1 * (1 - b + b * lengths[places] / mean))
            self.postings[term] = places, idf * weight

    def scores(self, query: str) -> np.ndarray:
        """The score of every passage, (passages,)."""
        found = np.zeros(self.size)
        for term in terms(query):
            if term in self.postings:
                places, weights = self.postings[term]
                found[places] += weights
        return found

    def search(self, query: str, count: int = DEPTH) -> list[tuple[int, float]]:
        """(position, score) of at most `count` passages that share a word with the query, best first; ties by position."""
        scores = self.scores(query)
        order = np.argsort(-scores, kind="stable")[:count]
        return [(int(i), float(scores[i])) for i in order if scores[i] > 0]


def bm25(passages: Sequence[dict[str, Any]], queries: Sequence[str], count: int = DEPTH) -> tuple[str, list[dict[str, Any]]]:
    """("BM25", one prediction {"hits": [{id, score, title, text}]} per query). passages: dicts with id, text and perhaps title."""
    index = BM25([f"{one.get('title') or ''} {one['text']}" for one in passages])
    predictions = []
    for query in queries:
        hits = []
        for position, score in index.search(query, count):
            one = passages[position]
            hits.append({"id": one["id"], "score": score, "title": one.get("title") or "", "text": one["text"]})
        predictions.append({"hits": hits})
    return "BM25", predictions
