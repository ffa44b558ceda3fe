"""Word probabilities from token probabilities, by the arithmetic of Hugging Face's strategies."""

from __future__ import annotations

import numpy as np
import pytest

from oneloop.encode.word_scores import combine, word_scores

# the model's probabilities for Hu, ##gging, Face in "… work at Hugging Face in Brooklyn.", as transformers' course prints them
TOKENS = np.array([[0.97389334, 1 - 0.97389334], [0.976115, 1 - 0.976115], [0.98879766, 1 - 0.98879766]])
STARTS, COUNTS = np.array([0, 2]), np.array([2, 1])


@pytest.mark.parametrize(("strategy", "score"), [("first", 0.9813455), ("max", 0.98245633), ("average", 0.98190093)])
def test_C050_scores_of_hugging_face(strategy: str, score: float) -> None:
    words = combine(TOKENS, STARTS, COUNTS, strategy)
    assert words[:, 0].mean() == pytest.approx(score, abs=1e-7)


def test_C050_simple_is_the_mean_over_tokens() -> None:
    feature = {"word_ids": [-1, 0, 0, 1, -1], "own": (0, 2), "row": 0}
    logits = np.log(np.concatenate([[[0.5, 0.5]], TOKENS, [[0.5, 0.5]]]))
    found = word_scores([logits], [feature], [2], "simple", 1)
    assert (found.certainty * found.seen).sum() / found.seen.sum() == pytest.approx(0.97960200, abs=1e-7)
    assert found.probabilities[:, 0].tolist() == pytest.approx([0.97389334, 0.98879766])


def test_max_takes_the_token_that_is_most_certain_of_anything() -> None:
    tokens = np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3]])
    assert combine(tokens, np.array([0, 2]), np.array([2, 1]), "max").tolist() == [[0.1, 0.9], [0.7, 0.3]]


@pytest.mark.parametrize("strategy", ["first", "max", "average", "simple"])
def test_D15_words_without_tokens_are_outside(strategy: str) -> None:
    features = [{"word_ids": [-1, 1, -1], "own": (0, 3), "row": 0}, {"word_ids": [-1, -1], "own": (0, 1), "row": 2}]
    found = word_scores([np.zeros((3, 2)), np.zeros((2, 2))], features, [3, 0, 1], strategy, 1)
    assert found.probabilities.tolist() == [[0, 1], [0.5, 0.5], [0, 1], [0, 1]]
    assert found.seen.tolist() == [0, 1, 0, 0]


def test_of_two_windows_the_one_that_answers_for_a_word_counts() -> None:
    features = [{"word_ids": [0, 1, 2], "own": (0, 2), "row": 0}, {"word_ids": [1, 2, 3], "own": (2, 4), "row": 0}]
    left, right = np.array([[9.0, 0]] * 3), np.array([[0, 9.0]] * 3)
    assert word_scores([left, right], features, [4], "first", 0).probabilities.argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_no_rows() -> None:
    assert word_scores([], [], [], "first", 0).probabilities.shape == (0, 1)
