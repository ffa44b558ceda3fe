"""Label scores equal scikit-learn's and scipy's."""

import warnings

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as sklearn_confusion

from oneloop.errors import DataError
from oneloop.measure.classification import class_table, confusion_matrix, multi_label, regression, single_label
from oneloop.measure.interval import interval

LABELS = ["angry", "calm", "sad", "glad", "bored"]


def draw(rng: np.random.Generator, size: int, names: list[str]) -> list[str]:
    return [names[i] for i in rng.integers(0, len(names), size)]


@pytest.mark.parametrize("seed", range(20))
def test_C036_single_label_equals_scikit_learn(seed: int):
    rng = np.random.default_rng(seed)
    occurring = LABELS[: rng.integers(1, 6)]
    gold, said = draw(rng, 60, occurring), draw(rng, 60, LABELS[: rng.integers(1, 6)])
    found = single_label(said, gold, LABELS).metrics()
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, said), abs=1e-9)
    assert found["macro_f1"] == pytest.approx(f1_score(gold, said, labels=LABELS, average="macro", zero_division=0), abs=1e-9)
    assert found["micro_f1"] == pytest.approx(f1_score(gold, said, labels=LABELS, average="micro", zero_division=0), abs=1e-9)


def test_E6_class_list_is_fixed_by_training():
    gold = said = ["angry"] * 4
    statistics = single_label(said, gold, LABELS[:3])
    assert statistics.metrics()["macro_f1"] == pytest.approx(1 / 3)
    assert "classes:3-from-training" in statistics.signature and "absent=0" in statistics.signature
    assert [row["support"] for row in class_table(said, gold, LABELS[:3])] == [4, 0, 0]


def test_label_only_in_the_scored_rows_is_wrong_and_shown():
    gold, said = ["angry", "furious"], ["angry", "angry"]
    found = single_label(said, gold, ["angry", "calm"]).metrics()
    assert found["accuracy"] == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f1_score(gold, said, labels=["angry", "calm"], average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(expected)
    assert class_table(said, gold, ["angry", "calm"])[-1] == {
        "label": "furious", "precision": None, "recall": 0.0, "f1": 0.0, "support": 1, "predicted": 0, "unknown": True
    }  # fmt: skip


def test_interval_with_rare_classes_still_holds_the_value():
    rng = np.random.default_rng(1)
    names = [f"class {i}" for i in range(40)]
    gold = names * 3  # a resample misses each class with probability 5 %
    said = [name if rng.random() < 0.9 else str(rng.choice(names)) for name in gold]
    statistics = single_label(said, gold, names)
    found = interval(statistics)["macro_f1"]
    assert found["ci95"][0] <= found["value"] <= found["ci95"][1]


def test_no_rows_have_no_score():
    assert all(np.isnan(value) for value in single_label([], [], LABELS).metrics().values())
    assert all(np.isnan(value) for value in multi_label([], [], LABELS).metrics().values())


def test_E3_two_predictions_one_reference_is_an_error():
    for score in (lambda: single_label(["a", "b"], ["a"], ["a", "b"]), lambda: regression([1, 2], [1])):
        with pytest.raises(DataError, match="2 predictions for 1 references"):
            score()


def indicator(rows: list[set[str]]) -> np.ndarray:
    return np.array([[name in row for name in LABELS] for row in rows], dtype=int)


@pytest.mark.parametrize("seed", range(20))
def test_C038_multi_label_equals_scikit_learn(seed: int):
    rng = np.random.default_rng(seed)
    used = LABELS[: rng.integers(2, 6)]
    gold = [set(rng.choice(used, rng.integers(0, 3), replace=False)) for _ in range(50)]
    said = [row if rng.random() < 0.5 else set(rng.choice(LABELS, rng.integers(0, 3), replace=False)) for row in gold]
    found = multi_label([sorted(row) for row in said], [sorted(row) for row in gold], LABELS).metrics()
    one, other = indicator(gold), indicator(said)
    assert found["accuracy"] == pytest.approx(accuracy_score(one, other), abs=1e-9)
    assert found["macro_f1"] == pytest.approx(f1_score(one, other, average="macro", zero_division=0), abs=1e-9)
    assert found["micro_f1"] == pytest.approx(f1_score(one, other, average="micro", zero_division=0), abs=1e-9)


def test_multi_label_per_class_table():
    table = class_table([["a", "b"], ["b"], []], [["a"], ["b"], ["b"]], ["a", "b", "c"])
    assert [(row["label"], row["support"], row["predicted"]) for row in table] == [("a", 1, 1), ("b", 2, 2), ("c", 0, 0)]
    assert table[1]["f1"] == 0.5 and table[2]["f1"] is None


@pytest.mark.parametrize("ties", [False, True])
def test_regression_equals_scipy(ties: bool):
    rng = np.random.default_rng(3)
    for size in (2, 3, 50, 400):
        gold, said = rng.normal(size=size), rng.normal(size=size)
        if ties:
            gold, said = np.round(gold), np.round(said + 3)
            if np.ptp(gold) == 0 or np.ptp(said) == 0:
                continue
        found = regression(list(said), list(gold)).metrics()
        assert found["pearson"] == pytest.approx(pearsonr(said, gold).statistic, abs=1e-9)
        assert found["spearman"] == pytest.approx(spearmanr(said, gold).statistic, abs=1e-9)
        assert found["rmse"] == pytest.approx(float(np.sqrt(np.mean((said - gold) ** 2))), abs=1e-9)


def test_correlation_of_one_row_or_a_constant_is_undefined():
    assert np.isnan(regression([1.0], [2.0]).metrics()["pearson"])
    found = regression([0.1] * 10, list(range(10))).metrics()
    assert np.isnan(found["pearson"]) and np.isnan(found["spearman"]) and found["rmse"] > 0


def test_class_table_and_confusion_matrix_equal_scikit_learn():
    rng = np.random.default_rng(4)
    gold, said = draw(rng, 300, LABELS), draw(rng, 300, LABELS)
    expected = np.array(precision_recall_fscore_support(gold, said, labels=LABELS)).T
    table = class_table(said, gold, LABELS)
    assert np.allclose([[row["precision"], row["recall"], row["f1"], row["support"]] for row in table], expected)
    assert (confusion_matrix(said, gold, LABELS) == sklearn_confusion(gold, said, labels=LABELS)).all()


def test_per_row_says_which_rows_are_wrong():
    assert single_label(["a", "b"], ["a", "a"], ["a", "b"]).per_row()["accuracy"].tolist() == [1.0, 0.0]
    assert multi_label([["a"], []], [["a"], ["b"]], ["a", "b"]).per_row()["accuracy"].tolist() == [1.0, 0.0]
