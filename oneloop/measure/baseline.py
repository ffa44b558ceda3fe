"""The naive methods that a model must beat.

In:  role rows to learn from (`train`) and role rows to answer.
Out: the method's name and one prediction for each row, in the form every prediction has, so the same scorer reads it.

None of them sees the answers of the rows it predicts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from oneloop.measure.sentences import lead, sentences
from oneloop.measure.squad import squad

Row = dict[str, Any]
Prediction = dict[str, Any]
Baseline = tuple[str, list[Prediction]]

TUNED_ON = 500  # training questions on which the answer baseline is compared with saying nothing
WORD = re.compile(r"\w+")
STOP_WORDS = """a an the of in on at to for from by with and or but as is are was were be been being do does did has have had what who
    whom whose which when where why how many much that this these those it its he she they his her their there than then"""
COMMON = frozenset(STOP_WORDS.split())  # too frequent to say what a question is about


def majority_class(train: Sequence[Row], rows: Sequence[Row]) -> Baseline:
    """The most frequent label of training for every row, with the shares of all labels as scores; ties by name."""
    counts = Counter(row["label"] for row in train)
    shares = {label: count / len(train) for label, count in sorted(counts.items(), key=_by_frequency)}
    label = next(iter(shares), None)
    return "majority", [{"label": label, "scores": dict(shares)} for _ in rows]


def majority_labels(train: Sequence[Row], rows: Sequence[Row]) -> Baseline:
    """The most frequent set of labels for every row, with the share of each label as scores.

    Where that is the empty set, the most frequent label: saying nothing has no F1 to beat.
    """
    sets = Counter(tuple(sorted(set(row["labels"]))) for row in train)
    counts = Counter(label for row in train for label in set(row["labels"]))
    shares = {label: count / len(train) for label, count in sorted(counts.items(), key=_by_frequency)}
    labels = list(min(sets.items(), key=_by_frequency)[0]) if sets else []
    labels = labels or list(shares)[:1]
    return "majority", [{"labels": list(labels), "scores": dict(shares)} for _ in rows]


def mean_value(train: Sequence[Row], rows: Sequence[Row]) -> Baseline:
    """The mean of training for every row. Its RMSE is the spread of the data; its correlations are undefined."""
    mean = float(np.mean([row["score"] for row in train])) if train else 0.0
    return "mean", [{"value": mean} for _ in rows]


def most_frequent_tag(train: Sequence[Row], rows: Sequence[Row]) -> Baseline:
    """For each word its most frequent tag of training, for an unknown word the most frequent tag of all; ties by name."""
    of_word: dict[str, Counter[str]] = {}
    overall: Counter[str] = Counter()
    for row in train:
        for word, tag in zip(row["tokens"], row["tags"]):
            of_word.setdefault(word, Counter())[tag] += 1
            overall[tag] += 1
    default = _most(overall) if overall else "O"
    best = {word: _most(counts) for word, counts in of_word.items()}
    return "most-frequent-tag", [{"tags": [best.get(word, default) for word in row["tokens"]]} for row in rows]


def question_overlap(train: Sequence[Row], rows: Sequence[Row]) -> Baseline:
    """From the sentence that shares most words with the question, the longest stretch that repeats none of them.

    Where saying nothing scores better on (at most 500 of) the training questions, nothing is said. A prediction holds the answer, its
    character offsets in the context (start, end; both None without an answer), its share of shared words and no_answer_score.
    """
    sample = train[:: max(1, len(train) // TUNED_ON)][:TUNED_ON]
    longest = _usual_length(train)
    if sample:
        gold = [[answer["text"] for answer in row["answers"]] for row in sample]
        said = [_overlap_answer(row, longest)["answer"] for row in sample]
        silent = squad([""] * len(sample), gold, version="2.0").metrics()["f1"]
        if silent > squad(said, gold, version="2.0").metrics()["f1"]:
            nothing = {"answer": "", "start": None, "end": None, "score": 0.0, "no_answer_score": 1.0}
            return "no-answer", [dict(nothing) for _ in rows]
    return "question-overlap", [_overlap_answer(row, longest) for row in rows]


def lead_three(train: Sequence[Row], rows: Sequence[Row]) -> Baseline:
    """The first three sentences of the document, one per line."""
    return "lead-3", [{"summary_text": lead(row["document"], 3)} for row in rows]


def copy_source(train: Sequence[Row], rows: Sequence[Row]) -> Baseline:
    """The source as its own translation."""
    return "copy-source", [{"translation_text": row["source"]} for row in rows]


def unigram(train: Sequence[Sequence[Hashable]], rows: Sequence[Sequence[Hashable]], vocabulary: int) -> np.ndarray:
    """Summed negative log-likelihood of each row in nats, (N,), under add-one smoothed token frequencies of training.

    train, rows: tokens (ids, words or bytes); vocabulary: how many different tokens there can be. The name is "unigram".
    """
    counts = Counter(token for row in train for token in row)
    whole = math.log(sum(counts.values()) + vocabulary)
    cost: dict[Hashable, float] = {token: whole - math.log(count + 1) for token, count in counts.items()}
    return np.array([sum(cost.get(token, whole) for token in row) for row in rows], dtype=np.float64)


def _by_frequency(item: tuple[Any, int]) -> tuple[int, str]:
    """Sort key: frequent first, then by name, so that ties do not depend on the order of the rows."""
    return -item[1], str(item[0])


def _most(counts: Counter[str]) -> str:
    return min(counts.items(), key=_by_frequency)[0]


def _usual_length(train: Sequence[Row]) -> int:
    """Words of the median training answer, at least 1."""
    sizes = [len(row["answers"][0]["text"].split()) for row in train if row.get("answers")]
    return max(1, int(np.median(sizes))) if sizes else 3


def _overlap_answer(row: Row, longest: int) -> Prediction:
    """The answer of `question_overlap` for one row."""
    context = row["context"]
    asked = {word.lower() for word in WORD.findall(row["question"])} - COMMON
    best, share, place = "", -1.0, 0
    position = 0
    for sentence in sentences(context):
        found = _find(context, sentence, position)
        position = found[1]
        shared = len(asked & {word.lower() for word in WORD.findall(sentence)}) / max(1, len(asked))
        if shared > share:
            best, share, place = context[found[0] : found[1]], shared, found[0]
    start, end = _longest_stretch(best, asked, longest)
    answer = best[start:end]
    span = {"start": place + start, "end": place + end} if answer else {"start": None, "end": None}
    return {"answer": answer, **span, "score": max(share, 0.0), "no_answer_score": 1.0 - max(share, 0.0)}


def _find(context: str, sentence: str, position: int) -> tuple[int, int]:
    """Where a sentence (white space normalised) stands in its context."""
    pattern = r"\s+".join(re.escape(word) for word in sentence.split())
    match = re.compile(pattern).search(context, position)
    return match.span() if match else (position, position)


def _longest_stretch(sentence: str, asked: set[str], longest: int) -> tuple[int, int]:
    """Start and end of the longest run of words that the question does not hold, without common words at its ends, cut to `longest` words.

    Runs of names or numbers are preferred: most short answers are one.
    """
    runs: list[list[re.Match[str]]] = [[]]
    for match in WORD.finditer(sentence):
        gap = sentence[runs[-1][-1].end() : match.start()] if runs[-1] else " "
        if match[0].lower() in asked or not gap.isspace():
            runs.append([])
        if match[0].lower() not in asked:
            runs[-1].append(match)
    trimmed = []
    for run in runs:
        while run and run[0][0].lower() in COMMON:
            run = run[1:]
        run = run[:longest]
        while run and run[-1][0].lower() in COMMON:
            run = run[:-1]
        if run:
            trimmed.append(run)
    if not trimmed:
        return 0, 0
    best = max(trimmed, key=lambda run: (sum(_is_name(word[0]) for word in run), len(run)))
    return best[0].start(), best[-1].end()


def _is_name(word: str) -> bool:
    """Whether a word is written as names and numbers are."""
    return word[0].isupper() or word[0].isdigit()
