"""Texts and pairs in windows, nothing cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.encode.texts import pair_windows, window_texts
from tests.small_tokenizers import wordpiece


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(4, 60), st.integers(0, 60))
def test_a_pair_is_read_whole(first: int, second: int, size: int, stride: int) -> None:
    found = pair_windows(first, second, size, stride)
    for length, ranges in ((first, [one for one, _ in found]), (second, [other for _, other in found])):
        assert {place for start, end in ranges for place in range(start, end)} == set(range(length))
    assert all(b - a + d - c <= size for (a, b), (c, d) in found)
    assert len(set(found)) == len(found)


def test_the_shorter_text_of_a_pair_stands_in_every_window() -> None:
    assert pair_windows(10, 5, 20, 2) == [((0, 10), (0, 5))]
    assert all(other == (0, 5) for _, other in pair_windows(100, 5, 20, 2))
    assert all(one == (0, 5) for one, _ in pair_windows(5, 100, 20, 2))


def test_features_of_a_row_follow_each_other_and_count_each_token_once() -> None:
    rows = [{"text": "lamb " * 40}, {"text": "EU"}, {"text": "lamb " * 30, "text_pair": "EU " * 30}]
    features = window_texts(rows, wordpiece(), 16, 4)
    assert [feature["row"] for feature in features] == sorted(feature["row"] for feature in features)
    for position, row in enumerate(rows):
        mine = [feature for feature in features if feature["row"] == position]
        assert [feature["window"] for feature in mine] == list(range(len(mine)))
        text = row["text"] + row.get("text_pair", "")
        assert sum(feature["tokens"] for feature in mine) == len(wordpiece()(text, add_special_tokens=False)["input_ids"])
        assert all(len(feature["input_ids"]) <= 16 and feature["cut"] == 0 for feature in mine)


def test_D11_texts_without_tokens_or_with_unknown_ones_only_are_flagged() -> None:
    found = window_texts([{"text": ""}, {"text": "\u2603"}, {"text": "lamb"}], wordpiece())
    assert [feature.get("flag") for feature in found] == ["no tokens", "unknown tokens only", None]
