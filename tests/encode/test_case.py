"""Marks for capitals: what they say, where they point, and that they survive saving."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from oneloop.encode.case import lowers, mark_case, tells
from oneloop.encode.tokenize import tokenize_words
from oneloop.model.names import packaged_minilm

FOLDER = packaged_minilm()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="the package with the model is not installed")
TEXT = "John saw IBM in New-York; McDonald's émigré Élan u.S. 3A"


def test_marks_stand_before_capitals_and_point_at_their_letter() -> None:
    marked = mark_case(AutoTokenizer.from_pretrained(FOLDER))
    encoded = marked(TEXT, return_offsets_mapping=True, add_special_tokens=False)
    shown = [(token, TEXT[start:end]) for token, (start, end) in zip(encoded.tokens(), encoded["offset_mapping"])]
    assert shown[:8] == [("^", "J"), ("john", "John"), ("saw", "saw"), ("§", "I"), ("ibm", "IBM"), ("in", "in"), ("^", "N"), ("new", "New")]
    assert ("^", "É") in shown and [token for token, _ in shown].count("§") == 1


def test_every_word_keeps_its_pieces_and_its_first_piece() -> None:
    marked = mark_case(AutoTokenizer.from_pretrained(FOLDER))
    words = ["Ada", "met", "IBM", "", "\u200b", "X"]
    found = tokenize_words([words], marked)[0]
    assert sorted(set(found.word_ids)) == [0, 1, 2, 5]


def test_a_saved_tokenizer_reads_text_in_the_same_way(tmp_path: Path) -> None:
    plain = AutoTokenizer.from_pretrained(FOLDER)
    marked = mark_case(plain)
    marked.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again(TEXT)["input_ids"] == marked(TEXT)["input_ids"] != plain(TEXT)["input_ids"]
    assert again.pad_token_id == plain.pad_token_id and again.model_max_length == plain.model_max_length


def test_only_a_tokenizer_that_lowers_and_text_with_both_cases_take_marks() -> None:
    plain = AutoTokenizer.from_pretrained(FOLDER)
    assert lowers(plain) and not lowers(mark_case(plain))
    assert tells(["Ada", "met", "her", "friend"])
    assert not tells(["ada", "met", "her"]) and not tells(["ADA", "MET", "HER"]) and not tells(["12", "…"])
