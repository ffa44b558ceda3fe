"""Loss, perplexity and bits per byte from sums."""

import math

import numpy as np
import pytest

from oneloop.errors import DataError
from oneloop.measure.interval import interval
from oneloop.measure.language_model import language_model, loss


def test_C058_perplexity_weights_tokens_not_batches():
    found = language_model([2.0, 30.0], [1, 9]).metrics()
    assert found["loss"] == pytest.approx(3.2)
    assert found["perplexity"] == pytest.approx(math.exp(3.2))  # a mean over rows would give exp((2 + 30 / 9) / 2)


def test_C058_perplexity_is_infinite_on_overflow():
    found = language_model([1e6], [1]).metrics()
    assert found["perplexity"] == math.inf and found["loss"] == 1e6


def test_bits_per_byte_of_a_uniform_byte_model_is_eight():
    text = "Grüße aus Köln"
    size = len(text.encode())
    found = language_model([size * math.log(256)], [3], [size]).metrics()
    assert found["bits_per_byte"] == pytest.approx(8.0)


def test_cutting_rows_otherwise_changes_nothing():
    rng = np.random.default_rng(0)
    nll, tokens = rng.random(100) * 50, rng.integers(1, 20, 100)
    whole = language_model(nll, tokens, tokens * 4).metrics()
    pairs = language_model(nll.reshape(50, 2).sum(1), tokens.reshape(50, 2).sum(1), tokens.reshape(50, 2).sum(1) * 4).metrics()
    assert whole == pytest.approx(pairs, abs=1e-12)


def test_no_tokens_are_undefined():
    assert interval(language_model([0.0], [0], [0])) == {
        name: {"value": None, "ci95": [None, None]} for name in ("loss", "perplexity", "bits_per_byte")
    }


def test_loss_is_sum_over_count():
    assert loss([1.0, 5.0, 0.0], [1, 2, 0]).metrics() == {"loss": 2.0}


def test_E3_lists_of_other_lengths_are_refused():
    with pytest.raises(DataError):
        language_model([1.0], [1, 2])
