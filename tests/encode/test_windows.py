"""Windows that cover everything, and the special tokens around them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.encode.windows import input_length, template, windows, word_windows
from oneloop.errors import ModelError, RecipeError
from tests.small_tokenizers import KINDS, minilm, wordpiece, wrapped


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(1, 400), st.data())
def test_windows_cover_every_token_and_overlap_by_the_stride(length: int, size: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(0, size - 1))
    found = windows(length, size, stride)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start <= size for start, end in found)
    assert all(after[0] <= before[1] - stride for before, after in itertools.pairwise(found))
    assert all(after > before for before, after in itertools.pairwise(found))
    widths = [end - start for start, end in found]
    assert max(widths) - min(widths) <= 1


@settings(deadline=None)
@given(st.integers(1, 600), st.integers(2, 60), st.data())
def test_as_many_windows_as_hugging_face_makes(length: int, size: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(0, size - 1))
    options = {"is_split_into_words": True, "truncation": True, "return_overflowing_tokens": True}
    encoding = minilm()(["a"] * length, max_length=size + 2, stride=stride, **options)
    assert len(windows(length, size, stride)) == len(encoding["input_ids"])


def test_C032_the_toy_of_six_tokens_and_stride_two_gives_seven_and_four_chunks() -> None:
    long = "This sentence is not too long but we are going to split it anyway ."
    short = "This sentence is shorter but will still get split ."
    room = 6 - template(wordpiece()).specials()
    assert [len(windows(len(text.split()), room, 2)) for text in (long, short)] == [7, 4]


def test_windows_are_even_instead_of_leaving_a_short_tail() -> None:
    assert windows(0, 5, 2) == [(0, 0)]
    assert windows(5, 5, 2) == [(0, 5)]
    assert windows(6, 5, 2) == [(0, 4), (2, 6)]
    assert windows(11, 5, 2) == [(0, 5), (3, 8), (6, 11)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=0, max_size=120), st.integers(12, 40), st.data())
def test_word_windows_tear_no_word_and_miss_none(pieces: list[int], size: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(0, size // 2))
    found = word_windows(pieces, size, stride)
    assert found[0][0] == 0
    assert found[-1][1] == len(pieces)
    assert all(sum(pieces[first:end]) <= size for first, end in found)
    assert all(after[0] <= before[1] for before, after in itertools.pairwise(found))
    assert all(after[0] > before[0] and after[1] > before[1] for before, after in itertools.pairwise(found))


def test_word_windows_share_the_stride_where_words_are_short() -> None:
    found = word_windows([1] * 100, 20, 5)
    assert all(before[1] - after[0] >= 5 for before, after in itertools.pairwise(found))
    assert len(found) == len(windows(100, 20, 5))


@pytest.mark.parametrize(("size", "stride"), [(0, 0), (-3, 0), (10, 10), (10, -1)])
def test_settings_that_leave_no_window_are_refused(size: int, stride: int) -> None:
    with pytest.raises(RecipeError, match="fix"):
        windows(100, size, stride)
    with pytest.raises(RecipeError, match="fix"):
        word_windows([1] * 100, size, stride)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_and_type_ids_are_those_of_the_tokenizer(kind: str) -> None:
    tokenizer = KINDS[kind]()
    first, second = "EU rejects German call", "British lamb"
    built = template(tokenizer)
    for pair in ([first], [first, second]):
        expected = dict(tokenizer(*pair))
        expected.pop("attention_mask")
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in pair]
        assert built.build(*ids) == expected
        assert built.specials(pair=len(pair) == 2) == len(expected["input_ids"]) - sum(map(len, ids))
        for number, part in enumerate(ids):
            start = built.start(number, len(ids[0]), pair=len(pair) == 2)
            assert expected["input_ids"][start : start + len(part)] == part


def test_C034_a_pair_gets_type_ids_0_and_1() -> None:
    found = template(wordpiece()).build([7, 8], [9])
    assert found == {"input_ids": [2, 7, 8, 3, 9, 3], "token_type_ids": [0, 0, 0, 0, 1, 1]}


def test_input_length_never_exceeds_the_tokenizers_limit() -> None:
    assert input_length(wordpiece(), None) == 512
    assert input_length(wordpiece(), 128) == 128
    assert input_length(wordpiece(), 4096) == 512
    assert input_length(KINDS["gpt"](), None) == 512  # no limit known
    assert input_length(KINDS["gpt"](), 2048) == 2048


def test_a_tokenizer_that_knows_nothing_is_refused() -> None:
    from tokenizers import Tokenizer, models

    empty = wrapped(Tokenizer(models.BPE()))
    with pytest.raises(ModelError):
        template(empty)
