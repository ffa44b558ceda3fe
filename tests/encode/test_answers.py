"""Start and end logits to answers, on hand-made logits and against two plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.encode.answers import NO_CANDIDATE, best_answers, best_texts, find_spans, no_answer_scores

CONTEXT = "aa bb cc dd ee"  # token i covers characters 3i to 3i + 2


def feature(row: int = 0, tokens: int = 5, first: int = 3, begin: int = 0, **more: Any) -> dict[str, Any]:
    """[CLS] question [SEP] context… [SEP]."""
    offsets = np.array([[3 * (begin + i), 3 * (begin + i) + 2] for i in range(tokens)], dtype=np.int32).reshape(-1, 2)
    return {"row": row, "first": first, "offsets": offsets, "null": 0, "plain": True, "input_ids": [0] * (first + tokens + 1)} | more


def output(made: dict[str, Any], starts: dict[int, float], ends: dict[int, float], rest: float = -10.0) -> dict[str, np.ndarray]:
    """Logits that are `rest` but at the given positions."""
    found = {name: np.full(len(made["input_ids"]), rest, dtype=np.float32) for name in ("start_logits", "end_logits")}
    for name, values in (("start_logits", starts), ("end_logits", ends)):
        for position, value in values.items():
            found[name][position] = value
    return found


def answers(
    outputs: list[Any], features: list[Any], contexts: list[str], listed: int = 20, **options: Any
) -> list[tuple[list[Any], float]]:
    spans = find_spans(outputs, features, len(contexts), **options)
    return list(best_answers(spans, contexts, options.get("n_best", 20), listed))


def test_C109_the_best_sum_of_an_allowed_pair_wins() -> None:
    made = feature()
    logits = output(made, {4: 5.0, 6: 4.0}, {3: 9.0, 5: 2.0, 7: 2.5})
    found, none = answers([logits], [made], [CONTEXT])[0]
    assert [found[0][key] for key in ("text", "start", "end")] == [
        "bb cc dd ee",
        3,
        14,
    ]  # 5 + 2.5; the end at 3 lies before every high start
    assert [item["text"] for item in found[1:3]] == ["bb cc", "dd ee"]
    assert math.isclose(found[1]["score"] / found[0]["score"], math.exp(-0.5), rel_tol=1e-6)
    assert math.isclose(sum(item["score"] for item in found) + none, 1.0, rel_tol=1e-6)


def test_C109_an_answer_has_at_most_so_many_tokens() -> None:
    made = feature()
    logits = output(made, {3: 5.0}, {7: 5.0, 4: 1.0})
    assert answers([logits], [made], [CONTEXT], max_tokens=5)[0][0][0]["text"] == CONTEXT
    assert answers([logits], [made], [CONTEXT], max_tokens=4)[0][0][0]["text"] == "aa bb"


def test_C109_only_the_n_best_starts_and_ends_are_paired_and_they_may_leave_nothing() -> None:
    made = feature()
    logits = output(made, {0: 9.0, 1: 8.0, 4: 1.0}, {0: 9.0, 1: 8.0, 5: 1.0})
    assert answers([logits], [made], [CONTEXT], n_best=2) == [([], 1.0)]
    spans = find_spans([logits], [made], 1, n_best=2)
    assert best_texts(spans, [CONTEXT]) == [""]
    assert no_answer_scores(spans).tolist() == [NO_CANDIDATE]
    assert answers([logits], [made], [CONTEXT], n_best=3)[0][0][0]["text"] == "bb cc"


def test_all_windows_of_a_row_compete_and_the_same_span_counts_once() -> None:
    one, two, other = feature(tokens=4), feature(tokens=3, begin=2), feature(row=1)
    outputs = [output(one, {5: 3.0}, {5: 3.0}), output(two, {3: 4.0}, {3: 4.0, 4: 3.0}), output(other, {3: 1.0}, {3: 1.0})]
    (first, _), (second, _) = answers(outputs, [one, two, other], [CONTEXT, CONTEXT])
    assert [item["text"] for item in first[:2]] == ["cc", "cc dd"]
    assert len({(item["start"], item["end"]) for item in first}) == len(first)
    assert second[0]["text"] == "aa"


def test_C113_null_is_the_lowest_over_the_windows_at_its_own_place() -> None:
    one, two = feature(null=8), feature(tokens=3, begin=2, null=6)
    outputs = [output(one, {8: 6.0, 3: 1.0}, {8: 5.0, 3: 1.0}), output(two, {6: 2.0}, {6: 1.5})]
    spans = find_spans(outputs, [one, two], 1)
    assert spans.null.tolist() == [3.5]
    assert no_answer_scores(spans).tolist() == [1.5]


def test_spans_are_whole_visible_characters_without_white_space() -> None:
    context = "cafe\u0301 ok"
    made = feature(tokens=3, plain=False, offsets=np.array([[0, 4], [5, 6], [6, 8]], dtype=np.int32))
    found = answers([output(made, {3: 5.0}, {3: 5.0, 4: 4.0})], [made], [context])[0][0]
    assert found[0]["text"] == "cafe\u0301"
    assert all(item["text"] == context[item["start"] : item["end"]] == item["text"].strip() for item in found)
    assert len({item["text"] for item in found}) == len(found)


def test_no_tokens_not_a_number_and_constant_logits_do_not_fail() -> None:
    empty, made = feature(tokens=0), feature(row=1)
    broken = output(made, {3: math.nan, 4: 2.0}, {5: 2.0, 6: math.inf})
    found = answers([output(empty, {0: 1.0}, {0: 1.0}), broken], [empty, made], ["", CONTEXT])
    assert found[0] == ([], 1.0)
    assert found[1][0][0]["text"] == "bb cc"
    flat = output(made, {}, {}, rest=0.0)
    assert answers([flat], [feature()], [CONTEXT])[0][0][0]["text"] == "aa"
    assert answers([], [], []) == []


def test_of_equal_scores_the_leftmost_comes_first() -> None:
    made = feature()
    found = answers([output(made, {4: 1.0, 6: 1.0}, {4: 1.0, 6: 1.0})], [made], [CONTEXT])[0][0]
    assert [item["text"] for item in found[:3]] == ["bb", "bb cc dd", "dd"]


def two_loops(outputs: list[Any], features: list[Any], rows: int, n_best: int, longest: int) -> list[tuple[float, int, int] | None]:
    """The search written out: (score, start, end) of the best span of each row."""
    best: list[tuple[float, int, int] | None] = [None] * rows
    for found, made in zip(outputs, features):
        starts, ends = (np.argsort(-found[name], kind="stable")[:n_best].tolist() for name in ("start_logits", "end_logits"))
        inside = range(made["first"], made["first"] + len(made["offsets"]))
        for start in starts:
            for end in ends:
                if start in inside and end in inside and 0 <= end - start < longest:
                    score = float(found["start_logits"][start] + found["end_logits"][end])
                    span = (score, int(made["offsets"][start - made["first"], 0]), int(made["offsets"][end - made["first"], 1]))
                    now = best[made["row"]]
                    best[made["row"]] = span if now is None or score > now[0] else now
    return best


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 40))
def test_C109_the_same_answers_as_two_plain_loops(seed: int, n_best: int, longest: int) -> None:
    rng = np.random.default_rng(seed)
    features, rows = [], 6
    for row in range(rows):
        for begin in range(int(rng.integers(1, 4))):
            features.append(feature(row, int(rng.integers(0, 60)), int(rng.integers(0, 9)), begin))
    outputs = [
        {name: rng.normal(size=len(made["input_ids"])).astype(np.float32) for name in ("start_logits", "end_logits")} for made in features
    ]
    expected = two_loops(outputs, features, rows, n_best, longest)
    spans = find_spans(outputs, features, rows, n_best=n_best, max_tokens=longest)
    one = find_spans(outputs, features, rows, n_best=n_best, max_tokens=longest, keep=1)
    for row, best in enumerate(expected):
        begin, end = spans.bounds[row : row + 2]
        assert (begin == end) == (best is None)
        if best is not None:
            assert (float(spans.score[begin]), spans.start[begin], spans.end[begin]) == pytest.approx(best)
            assert (float(one.score[one.bounds[row]]), one.start[one.bounds[row]]) == pytest.approx(best[:2])
            assert (np.diff(spans.score[begin:end]) <= 0).all()
