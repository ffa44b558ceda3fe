"""What labels say about the task."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from oneloop.encode.labels import classes, scale
from oneloop.errors import DataError


def test_names_are_sorted_and_numbers_by_value() -> None:
    assert classes([["b"], ["a"], ["B"]], "label", balanced=False) == {"labels": ["B", "a", "b"]}
    assert classes([["10"], ["9"], ["0"]], "label", balanced=False)["labels"] == ["0", "9", "10"]
    assert classes([["1e5"], ["NA"]], "label", balanced=False)["labels"] == ["1e5", "NA"]


def test_balanced_weights_are_scikit_learns() -> None:
    gold = ["a"] * 7 + ["b"] * 2 + ["c"]
    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=np.array(gold))
    assert classes([[label] for label in gold], "label", balanced=True)["class_weights"] == pytest.approx(expected.tolist())


def test_balanced_weights_of_several_labels_are_negatives_by_positives() -> None:
    found = classes([["a"], ["a", "b"], [], ["a"]], "labels", balanced=True)
    assert found == {"labels": ["a", "b"], "class_weights": [1 / 3, 3.0]}


@pytest.mark.parametrize(
    ("sets", "role", "message"),
    [
        ([["a"]] * 5, "label", "all 5 training rows have the label 'a'"),
        ([], "label", "no training row has a label"),
        ([[], []], "labels", "no training row has a label"),
        ([[str(i)] for i in range(50)], "label", "look like ids"),
        ([[f"u{i % 1900}"] for i in range(2000)], "label", "look like ids"),
    ],
)
def test_D20_nothing_to_learn_or_ids_in_place_of_labels(sets: list[list[str]], role: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classes(sets, role, balanced=False)


def test_scores_near_one_are_learned_as_they_are_others_normalised() -> None:
    assert scale([0.0, 2.5, 5.0]) == {}
    found = scale([100.0, 300.0])
    assert found == {"mean": 200.0, "std": 100.0}
    with pytest.raises(DataError, match="nothing to learn"):
        scale([3.0, 3.0])
