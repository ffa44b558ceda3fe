"""The bootstrap: values, intervals, undefined metrics, paired differences, speed."""

import time

import numpy as np
import pytest

from oneloop.errors import DataError
from oneloop.measure.classification import regression, single_label
from oneloop.measure.interval import interval, paired
from oneloop.measure.statistics import Statistics, join, ratio


def mean_of(values: np.ndarray, name: str = "mean") -> Statistics:
    table = np.column_stack([values, np.ones(len(values))])
    return Statistics(table, lambda sums: {name: ratio(sums[:, 0], sums[:, 1])})


def test_interval_of_a_mean_agrees_with_theory():
    values = np.random.default_rng(1).normal(5.0, 2.0, 4000)
    found = interval(mean_of(values), samples=4000)["mean"]
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found["value"] == pytest.approx(values.mean(), abs=1e-12)
    assert found["ci95"] == pytest.approx([values.mean() - half, values.mean() + half], abs=half * 0.1)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = 0
    for trial in range(200):
        lo, hi = interval(mean_of(rng.normal(0, 1, 200)), samples=300, seed=trial)["mean"]["ci95"]
        inside += lo <= 0 <= hi
    assert 180 <= inside <= 199


def test_level_names_the_key_and_narrows_the_interval():
    statistics = mean_of(np.random.default_rng(3).random(300))
    wide, narrow = interval(statistics)["mean"]["ci95"], interval(statistics, level=0.5)["mean"]["ci50"]
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_same_seed_same_interval_other_seed_another():
    statistics = mean_of(np.random.default_rng(4).random(500))
    assert interval(statistics, seed=7) == interval(statistics, seed=7)
    assert interval(statistics, seed=7) != interval(statistics, seed=8)


def test_E7_interval_does_not_depend_on_row_order():
    rng = np.random.default_rng(5)
    gold, said = rng.choice(list("abc"), 400), rng.choice(list("abc"), 400)
    order = rng.permutation(400)
    for one, other in (
        (mean_of(rng.random(400)), None),
        (single_label(list(said), list(gold), "abc"), single_label(list(said[order]), list(gold[order]), "abc")),
    ):
        other = other or Statistics(one.table[order], one.reduce)
        for name, found in interval(one).items():
            assert interval(other)[name]["value"] == pytest.approx(found["value"], abs=1e-12)
            assert interval(other)[name]["ci95"] == found["ci95"]


def test_E1_undefined_metrics_are_null_never_zero():
    found = interval(Statistics(np.zeros((20, 2)), lambda sums: {"f1": ratio(sums[:, 0], sums[:, 1])}))
    assert found == {"f1": {"value": None, "ci95": [None, None]}}
    assert interval(regression([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))["pearson"] == {"value": None, "ci95": [None, None]}


def test_no_rows_are_undefined():
    assert interval(mean_of(np.zeros(0))) == {"mean": {"value": None, "ci95": [None, None]}}


def test_resamples_without_a_definition_are_left_out():
    table = np.array([[1.0, 1.0]] + [[0.0, 0.0]] * 5)
    found = interval(Statistics(table, lambda sums: {"precision": ratio(sums[:, 0], sums[:, 1])}))
    assert found["precision"] == {"value": 1.0, "ci95": [1.0, 1.0]}


def test_infinite_values_stay_infinite():
    table = np.array([[1.0, 1e9], [1.0, 1.0]])

    def reduce(sums):
        with np.errstate(over="ignore"):
            return {"perplexity": np.exp(ratio(sums[:, 1], sums[:, 0]))}

    found = interval(Statistics(table, reduce))["perplexity"]
    assert found["value"] == np.inf and found["ci95"][1] == np.inf and not np.isnan(found["ci95"][0])


def test_additive_and_row_by_row_agree():
    values = np.random.default_rng(6).integers(0, 5, 300).astype(float)
    additive = mean_of(values)
    by_rows = Statistics(additive.table, lambda lines: {"mean": lines[:, 0].mean()}, additive=False)
    one, other = interval(additive), interval(by_rows)
    assert other["mean"]["ci95"] == pytest.approx(one["mean"]["ci95"], abs=1e-12)


def test_join_keeps_the_metrics_of_both():
    values = np.random.default_rng(7).random(50)
    rank = Statistics(values[:, None], lambda lines: {"median": np.median(lines[:, 0])}, additive=False)
    joined = join(mean_of(values), rank)
    assert joined.metrics() == pytest.approx({"mean": values.mean(), "median": np.median(values)})
    assert set(interval(joined, samples=50)) == {"mean", "median"}


def test_many_columns_are_fast():
    table = np.random.default_rng(8).random((10_000, 250))
    started = time.process_time()
    interval(Statistics(table, lambda sums: {"a": sums[:, 0] / sums[:, 1]}))
    assert time.process_time() - started < 2.0


def test_paired_difference_is_second_minus_first_and_sharper_than_two_intervals():
    rng = np.random.default_rng(9)
    hard = rng.normal(0, 5, 800)
    first, second = mean_of(hard), mean_of(hard + 0.1 + rng.normal(0, 0.2, 800))
    found = paired(first, second)["mean"]
    assert found["difference"] == pytest.approx(second.metrics()["mean"] - first.metrics()["mean"])
    assert 0.08 < found["ci95"][0] < found["ci95"][1] < 0.12
    assert found["p"] < 0.01
    lo, hi = interval(first)["mean"]["ci95"]
    assert hi - lo > 10 * (found["ci95"][1] - found["ci95"][0])


def test_paired_of_equal_runs_is_zero_with_p_one():
    statistics = mean_of(np.random.default_rng(10).random(333))
    found = paired(statistics, Statistics(statistics.table.copy(), statistics.reduce))
    assert found == {"mean": {"difference": 0.0, "ci95": [0.0, 0.0], "p": 1.0}}


def test_paired_p_is_seldom_small_when_there_is_no_difference():
    rng = np.random.default_rng(11)
    small = sum(paired(mean_of(rng.normal(0, 1, 150)), mean_of(rng.normal(0, 1, 150)), samples=200)["mean"]["p"] < 0.05 for _ in range(200))
    assert 2 <= small <= 20


def test_paired_works_row_by_row_and_swapped_changes_the_sign():
    rng = np.random.default_rng(12)
    gold = rng.random(200)
    one, two = regression(list(gold + rng.normal(0, 1, 200)), list(gold)), regression(list(gold + rng.normal(0, 0.1, 200)), list(gold))
    there, back = paired(one, two, samples=200), paired(two, one, samples=200)
    assert there["spearman"]["difference"] > 0.2 and there["spearman"]["ci95"][0] > 0
    assert back["spearman"]["difference"] == pytest.approx(-there["spearman"]["difference"])
    assert there["rmse"]["difference"] < 0


def test_paired_refuses_other_rows():
    with pytest.raises(DataError, match="5 rows, the other 6"):
        paired(mean_of(np.ones(5)), mean_of(np.ones(6)))
