"""Labels of words on tokens, by the rules of token classification."""

from __future__ import annotations

from oneloop.encode.words import align, continuations, first_tokens, label_lines

CONLL = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
WORD_IDS = [None, 0, 1, 2, 3, 4, 5, 6, 7, 7, 8, None]
LABELS = [3, 0, 7, 0, 0, 0, 7, 0, 0]


def test_C041_align_word_labels() -> None:
    assert align(LABELS, WORD_IDS, continuations(CONLL)) == [-100, 3, 0, 7, 0, 0, 0, 7, 0, 0, 0, -100]


def test_C041_a_split_word_goes_on_as_inside() -> None:
    assert align([7, 4], [None, 0, 0, 0, 1, 1, None], continuations(CONLL)) == [-100, 7, 8, 8, 4, 4, -100]


def test_C042_first_tokens_only() -> None:
    assert align(LABELS, WORD_IDS, None) == [-100, 3, 0, 7, 0, 0, 0, 7, 0, -100, 0, -100]


def test_C043_part_of_speech_tags_are_never_changed() -> None:
    names = [f"TAG{i}" for i in range(21)] + ["NN", "NNP"]
    assert align([21], [0, 0, 0], continuations(names)) == [21, 21, 21]


def test_C043_any_order_of_labels_and_types_without_an_inside() -> None:
    names = ["I-PER", "B-LOC", "O", "B-PER"]
    assert continuations(names) == [0, 1, 2, 0]


def test_an_ignored_word_stays_ignored_on_all_its_tokens() -> None:
    assert align([-100, 1], [0, 0, 1], continuations(CONLL)) == [-100, -100, 1]


def test_first_tokens_of_words_some_of_which_have_none() -> None:
    assert first_tokens([None, 0, 0, 2, 2, None], 4) == [1, -1, 3, -1]


def test_C049_labels_stand_under_their_words() -> None:
    words = ["EU", "rejects", "German", "call", "to", "boycott", "British", "lamb", "."]
    tags = ["B-ORG", "O", "B-MISC", "O", "O", "O", "B-MISC", "O", "O"]
    assert label_lines(words, tags) == (
        "EU    rejects German call to boycott British lamb .\n"
        "B-ORG O       B-MISC O    O  O       B-MISC  O    O"
    )  # fmt: skip


def test_wide_characters_count_as_two_columns() -> None:
    assert label_lines(["東京", "e\u0301", "x"], ["B-LOC", "O", "O"]) == "東京  e\u0301 x\nB-LOC O O"
