"""Exact match and F1 of answers by the SQuAD rules, and the threshold for saying that there is no answer.

In:  predicted answers (text, "" for no answer) and the accepted answers of each question ([] where it has none).
Out: Statistics with exact_match and f1, fractions 0-1.

The rules are those of the two official scripts (Rajpurkar et al., 2016, version 1.1; Rajpurkar et al., 2018, version 2.0).
They differ in one point: in version 2.0 an answer without words is compared as a whole. Which rules apply follows from the data:
2.0 as soon as one question has no answer.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from oneloop.errors import DataError, Problem
from oneloop.measure.statistics import Statistics, ratio, require_pairs

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(answer: str) -> str:
    """The answer in lower case without ASCII punctuation, English articles and surplus white space."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def exact(predicted: str, accepted: str) -> float:
    """1.0 where both are the same after `normalise`."""
    return float(normalise(predicted) == normalise(accepted))


def overlap(predicted: str, accepted: str, *, whole_if_empty: bool) -> float:
    """F1 of the bags of words; with `whole_if_empty` (2.0) two answers without words agree, in 1.1 they share nothing."""
    said, true = normalise(predicted).split(), normalise(accepted).split()
    if whole_if_empty and not (said and true):
        return float(said == true)
    shared = sum((Counter(said) & Counter(true)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(said), shared / len(true)
    return 2 * precision * recall / (precision + recall)


def version_of(gold: Sequence[Sequence[str]]) -> str:
    """`2.0` if some question has no answer, else `1.1`."""
    return "2.0" if any(not answers for answers in gold) else "1.1"


def squad(predicted: Sequence[str], gold: Sequence[Sequence[str]], *, version: str | None = None) -> Statistics:
    """`exact_match` and `f1`, the best over the accepted answers of each question. Additive.

    gold: the accepted answers of each question; an empty list means it has none, and only "" is right. version: `1.1` or `2.0`,
    from the data where not given.
    """
    require_pairs(predicted, gold)
    version = version or version_of(gold)
    table = np.zeros((len(gold), 3))
    for line, said, answers in zip(table, predicted, gold):
        line[:] = *one_question(said, answers, version), 1.0

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        return {"exact_match": ratio(sums[:, 0], sums[:, 2]), "f1": ratio(sums[:, 1], sums[:, 2])}

    return Statistics(table, reduce, signature=f"squad:{version}|references:max")


def one_question(predicted: str, accepted: Sequence[str], version: str) -> tuple[float, float]:
    """Exact match and F1 of one answer.

    In 2.0 accepted answers that hold no word are dropped, and a question left without any accepts only the empty answer.
    """
    if version == "2.0":
        accepted = [answer for answer in accepted if normalise(answer)] or [""]
    if not accepted:
        raise DataError(
            "a question without an accepted answer cannot be scored by the SQuAD 1.1 rules",
            expected="at least one answer for each question",
            fix='score with version="2.0", or drop the question',
        )
    return (
        max(exact(predicted, answer) for answer in accepted),
        max(overlap(predicted, answer, whole_if_empty=version == "2.0") for answer in accepted),
    )


def in_order(predictions: Sequence[tuple[str, str]] | Mapping[str, str], ids: Sequence[str], *, strict: bool = True) -> list[str]:
    """The predicted answers in the order of `ids`, one for each; predictions as (id, answer) pairs or a mapping.

    Raises DataError naming every duplicate, missing and unknown id: a scorer that skips them reports another number. With
    strict=False missing answers count as "" and unknown ones are ignored, as the official 1.1 script does; duplicates never pass.
    """
    pairs = list(predictions.items()) if isinstance(predictions, Mapping) else list(predictions)
    answers = dict(pairs)
    problems = _duplicates([name for name, _ in pairs], "predicted", "keep one prediction")
    problems += _duplicates(ids, "asked", "give each question its own id")
    wanted = set(ids) if strict else set(ids) | set(answers)
    problems += [Problem(f"no prediction for question {name}", "predict every question") for name in ids if strict and name not in answers]
    problems += [Problem(f"prediction for {name}, which is not in the data", "remove it") for name in answers if name not in wanted]
    if problems:
        raise DataError(
            f"predictions and questions do not match in {len(problems)} places",
            problems,
            expected="one prediction for each question id",
        )
    return [answers.get(name, "") for name in ids]


def best_threshold(
    predicted: Sequence[str], no_answer_scores: Sequence[float], gold: Sequence[Sequence[str]], *, metric: str = "f1"
) -> tuple[float, float]:
    """The threshold (and the score it reaches) above which a question is answered with "".

    predicted: the best non-empty answer of each question. no_answer_scores (N,): how much speaks against an answer, any scale. A
    prediction stays where its score is <= threshold. The search is find_best_thresh of the official 2.0 script: start with
    no answer everywhere, admit questions by rising score, keep the first best; questions with equal scores are admitted together.
    """
    require_pairs(predicted, gold)
    require_pairs(predicted, no_answer_scores)
    column = ("exact_match", "f1").index(metric)
    if not len(gold):
        return 0.0, float("nan")
    scores = np.asarray(no_answer_scores, dtype=np.float64)
    gains = np.array([_gain(said, answers, column) for said, answers in zip(predicted, gold)])
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(gains[order]) + sum(not _answerable(answers) for answers in gold)
    last_of_ties = np.append(scores[order][1:] != scores[order][:-1], True)
    reached[~last_of_ties] = -np.inf
    none_answered = float(sum(not _answerable(answers) for answers in gold))
    best = int(np.argmax(reached))
    if none_answered >= reached[best]:
        lowest = float(scores.min())
        return (0.0 if lowest > 0 else float(np.nextafter(lowest, -np.inf))), none_answered / len(gold)
    return float(scores[order][best]), float(reached[best]) / len(gold)


def apply_threshold(predicted: Sequence[str], no_answer_scores: Sequence[float], threshold: float) -> list[str]:
    """The answers with "" wherever the no-answer score is above the threshold."""
    return [said if score <= threshold else "" for said, score in zip(predicted, no_answer_scores)]


def _answerable(accepted: Sequence[str]) -> bool:
    return any(normalise(answer) for answer in accepted)


def _gain(predicted: str, accepted: Sequence[str], column: int) -> float:
    """What the total changes by when this question is answered instead of left unanswered."""
    if _answerable(accepted):
        return one_question(predicted, accepted, "2.0")[column]
    return -1.0 if predicted else 0.0


def _duplicates(ids: Sequence[str], what: str, remedy: str) -> list[Problem]:
    return [Problem(f"question {name} is {what} {times} times", remedy) for name, times in Counter(ids).items() if times > 1]
