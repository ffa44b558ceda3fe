"""Words in windows, each answered for once."""

from __future__ import annotations

import itertools
import random

from oneloop.encode.tagged import window_words
from oneloop.encode.words import align, continuations
from tests.small_tokenizers import KINDS, roberta, wordpiece, xlnet


def some_words(count: int) -> list[str]:
    return random.Random(1).choices(["EU", "rejects", "German", "Übergrößenträger", "\u200b", ".", "Sylvain"], k=count)


def test_every_word_is_labelled_in_one_window_only() -> None:
    words, labels = some_words(500), [number % 5 for number in range(500)]
    for make in KINDS.values():
        features = window_words([words], [labels], continuations(["O", "B-A", "I-A", "B-B", "I-B"]), make(), 64, 16)
        assert [word for feature in features for word in range(*feature["own"])] == list(range(500))
        labelled = [{word for word, label in zip(feature["word_ids"], feature["labels"]) if label >= 0} for feature in features]
        assert sum(map(len, labelled)) == len(set().union(*labelled))
        assert set().union(*labelled) == {word for feature in features for word in feature["word_ids"] if word >= 0}
        assert all(len(feature["input_ids"]) == len(feature["word_ids"]) == len(feature["labels"]) <= 64 for feature in features)


def test_a_short_row_is_labelled_by_the_rules_of_alignment() -> None:
    words, labels = ["EU", "Übergrößenträger", "."], [1, 3, 0]
    later = continuations(["O", "B-A", "I-A", "B-B", "I-B"])
    for make in (wordpiece, roberta, xlnet):
        feature = window_words([words], [labels], later, make())[0]
        word_ids = [None if word < 0 else word for word in feature["word_ids"]]
        assert feature["labels"] == align(labels, word_ids, later)
        assert feature["tokens"] == sum(word is not None for word in word_ids)


def test_words_in_an_overlap_go_to_the_window_where_they_stand_further_from_the_edge() -> None:
    features = window_words([["a"] * 100], [None], None, wordpiece(), 32, 12)
    for before, after in itertools.pairwise(features):
        border = before["own"][1]
        end_of_first = max(before["word_ids"]) + 1
        start_of_second = min(word for word in after["word_ids"] if word >= 0)
        assert abs((end_of_first - border) - (border - start_of_second)) <= 1


def test_D10_a_word_of_very_many_tokens_keeps_its_slot_and_is_counted() -> None:
    words = ["EU", "x" * 1500, "lamb"] + ["."] * 40
    features = window_words([words], [None], None, roberta(), 64, 16)
    assert [word for feature in features for word in range(*feature["own"])] == list(range(43))
    assert {word for feature in features for word in feature["word_ids"]} >= {0, 1, 2}
    assert sum(feature["cut"] for feature in features) > 0
    assert all(len(feature["input_ids"]) <= 64 for feature in features)


def test_tokens_are_counted_once() -> None:
    words = [word for word in some_words(300) if word != "\u200b"]
    whole = window_words([words], [None], None, wordpiece(), 512, 0)
    cut = window_words([words], [None], None, wordpiece(), 40, 10)
    assert sum(feature["tokens"] for feature in cut) == sum(feature["tokens"] for feature in whole)
    assert sum(feature["cut"] for feature in cut) == 0


def test_rows_without_words_still_give_a_feature() -> None:
    features = window_words([[], ["\u200b"]], [[], [0]], None, wordpiece())
    assert [feature["row"] for feature in features] == [0, 1]
    assert [len(feature["input_ids"]) for feature in features] == [2, 2]
