"""Ranking metrics by hand values and by an independent statement of trec_eval's definitions."""

import math
import random

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from oneloop.errors import DataError
from oneloop.measure.ranking import METRICS, ranked, ranking


def test_C122_hand_values():
    found = ranking([["a", "b", "c"]], [{"b": 2, "z": 1}]).metrics()
    assert found["ndcg@10"] == pytest.approx((2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert found["recall@10"] == found["recall@100"] == found["mrr@10"] == 0.5
    assert found["map"] == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(10))
def test_C122_equals_scikit_learn_on_full_rankings(seed: int):
    rng = random.Random(seed)
    ids = [f"d{i}" for i in range(40)]
    grades = {name: rng.choice([0, 0, 0, 1, 2, 3]) for name in ids}
    scores = {name: rng.random() for name in ids}
    found = ranking([ranked(scores)], [grades]).metrics()
    true, said = np.array([[grades[name] for name in ids]]), np.array([[scores[name] for name in ids]])
    assert found["ndcg@10"] == pytest.approx(ndcg_score(true, said, k=10), abs=1e-9)
    assert found["map"] == pytest.approx(average_precision_score(true[0] >= 1, said[0]), abs=1e-9)


def test_metrics_are_means_over_queries_and_look_no_deeper_than_they_say():
    miss = [f"x{i}" for i in range(10)]
    found = ranking([["a"], [*miss, "a"]], [{"a": 1}, {"a": 1}])
    assert found.metrics() == {"ndcg@10": 0.5, "recall@10": 0.5, "recall@100": 1.0, "mrr@10": 0.5, "map": pytest.approx((1 + 1 / 11) / 2)}
    assert found.per_row()["mrr@10"].tolist() == [1.0, 0.0]


def test_queries_without_judgements_are_left_out_and_without_relevant_ones_count_as_zero():
    one = ranking([["a"], ["a"]], [{"a": 1}, {}]).metrics()
    assert one == dict.fromkeys(METRICS, 1.0)
    assert ranking([["a"], ["a"]], [{"a": 1}, {"a": 0}]).metrics()["ndcg@10"] == 0.5
    assert all(np.isnan(value) for value in ranking([["a"]], [{}]).metrics().values())


def test_a_query_that_finds_nothing_scores_zero():
    assert ranking([[]], [{"a": 1}]).metrics() == dict.fromkeys(METRICS, 0.0)


def test_negative_grades_gain_nothing():
    assert ranking([["spam", "a"]], [{"spam": -2, "a": 1}]).metrics()["ndcg@10"] == pytest.approx(1 / math.log2(3))


def test_ties_are_broken_by_id_descending():
    assert ranked({"a": 1.0, "c": 1.0, "b": 2.0}) == ["b", "c", "a"]


def test_a_passage_listed_twice_is_an_error_naming_the_query():
    with pytest.raises(DataError) as caught:
        ranking([["a"], ["a", "a"]], [{"a": 1}, {"a": 1}])
    assert [problem.row for problem in caught.value.problems] == [2]
