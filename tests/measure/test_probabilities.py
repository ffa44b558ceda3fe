"""Probabilities and thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.special import softmax as scipy_softmax

from oneloop.measure.probabilities import best_threshold, sigmoid, softmax


def test_they_are_scipys_even_for_large_logits() -> None:
    logits = np.array([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])
    assert np.allclose(softmax(logits), scipy_softmax(logits, axis=-1))
    assert np.allclose(sigmoid(logits), expit(logits))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=30))
def test_no_other_threshold_has_a_better_f1(rows: list[tuple[int, bool]]) -> None:
    probabilities, gold = np.array([p / 20 for p, _ in rows]), np.array([right for _, right in rows])
    found = best_threshold(probabilities, gold)
    if not gold.any():
        assert found == 0.5
        return

    def f1(threshold: float) -> float:
        said = probabilities >= threshold
        return float(2 * (said & gold).sum() / (said.sum() + gold.sum()))

    assert f1(found) == pytest.approx(max(map(f1, np.linspace(-0.01, 1.01, 103))))


def test_one_half_where_it_is_as_good_as_any() -> None:
    assert best_threshold(np.array([0.1, 0.9]), np.array([False, True])) == 0.5
