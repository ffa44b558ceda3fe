"""Character spans to tags of words and back, exactly."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.encode import spans as spans_module
from oneloop.encode.spans import (
    as_iob2,
    cover,
    find_words,
    join_words,
    level_for,
    split_words,
    tag_spans,
    tag_words,
    whole_characters,
    without_overlaps,
)

TEXTS = st.text(alphabet="ab1_ .,-'\n\u0301\u200d日本éकि👍🏽\u200b", max_size=40)


def words(text: str, level: str = "words") -> list[str]:
    return [text[start:end] for start, end in split_words(text, level)]


def span(start: int, end: int, label: str = "X") -> dict[str, object]:
    return {"start": start, "end": end, "label": label}


def test_the_short_way_for_plain_texts_finds_the_same_words() -> None:
    slow, fast, care = spans_module._pattern(), spans_module.PLAIN_WORD, spans_module.WITH_CARE
    for char in map(chr, (*range(0x3200), *range(0xFE00, 0x10000), *range(0x1F1E0, 0x1F400))):
        for text in () if care.match(char) else (char, f"a{char}b", f" {char}{char} "):
            assert [match.span() for match in fast.finditer(text)] == [match.span() for match in slow.finditer(text)], repr(char)


@given(TEXTS)
def test_a_plain_text_has_the_same_words_beside_a_character_that_needs_care(text: str) -> None:
    assert split_words(text) == split_words(text + " 日")[:-1]


def test_words_in_many_scripts() -> None:
    assert words("Hello, wörld! 3.5 x_1") == ["Hello", ",", "wörld", "!", "3", ".", "5", "x_1"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert words("北京 カナ") == ["北", "京", "カ", "ナ"]
    assert words("\U0001f469\u200d\U0001f4bb👍🏽🇩🇪") == ["\U0001f469\u200d\U0001f4bb", "👍🏽", "🇩🇪"]
    assert words("e\u0301te\u0301 שלום") == ["e\u0301te\u0301", "שלום"]


@settings(deadline=None)
@given(TEXTS)
def test_every_character_but_white_space_is_in_one_word(text: str) -> None:
    for level in ("words", "kinds", "characters"):
        found = split_words(text, level)
        covered = [place for start, end in found for place in range(start, end)]
        assert covered == sorted(set(covered))
        assert {place for place, char in enumerate(text) if not char.isspace()} <= set(covered)


@settings(deadline=None)
@given(TEXTS, st.data())
def test_spans_come_back_exactly(text: str, data: st.DataObject) -> None:
    places = st.integers(0, len(text))
    drawn = data.draw(st.lists(st.tuples(places, places), max_size=4))
    spans = [span(min(pair), max(pair), f"T{number}") for number, pair in enumerate(drawn) if min(pair) < max(pair)]
    kept, dropped = without_overlaps(text, spans)
    assert len(kept) + len(dropped) == len(spans)
    pieces, tags = tag_words(text, kept)
    assert tag_spans(tags, pieces) == kept


def test_spans_that_start_and_end_inside_words_split_them() -> None:
    pieces, tags = tag_words("give 10mg daily", [span(5, 7, "DOSE"), span(7, 9, "UNIT")])
    assert [("give 10mg daily"[start:end], tag) for (start, end), tag in zip(pieces, tags)] == [
        ("give", "O"),
        ("10", "B-DOSE"),
        ("mg", "B-UNIT"),
        ("daily", "O"),
    ]


def test_D12_a_span_keeps_the_marks_of_its_last_character() -> None:
    text = unicodedata.normalize("NFD", "é ok")
    assert whole_characters(text, 0, 1) == (0, 2)
    assert whole_characters(text, 1, 2) == (0, 2)
    assert whole_characters(" ab ", 0, 4) == (1, 3)
    kept, _ = without_overlaps(text, [span(0, 1)])
    assert kept == [span(0, 2)]
    assert tag_spans(*reversed(tag_words(text, kept))) == kept


@settings(deadline=None)
@given(TEXTS, st.data())
def test_D12_no_span_starts_or_ends_before_a_mark(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first, last = whole_characters(text, start, end)
    for place in (first, last):
        if 0 < place < len(text) and first < last and not text[place - 1].isspace():
            assert not unicodedata.combining(text[place])


def test_of_overlapping_spans_the_longer_is_kept_and_the_others_are_returned() -> None:
    spans = [span(0, 3, "A"), span(0, 8, "B"), span(9, 12, "C"), span(5, 5, "D")]
    kept, dropped = without_overlaps("New York City x", spans)
    assert kept == [span(0, 8, "B"), span(9, 12, "C")]
    assert [found["label"] for found in dropped] == ["A", "D"]


def test_a_word_covered_in_part_goes_to_the_span_that_covers_more() -> None:
    assert cover([(0, 5)], [span(0, 2, "A"), span(2, 5, "B")]) == ["B-B"]
    assert cover([(0, 5), (6, 8)], [span(3, 8, "A")]) == ["B-A", "I-A"]


def test_C051_adjacent_entities_and_broken_sequences() -> None:
    places = [(0, 1), (2, 3), (4, 5)]

    def found(*tags: str) -> list[tuple[int, int, str]]:
        return [(item["start"], item["end"], item["label"]) for item in tag_spans(tags, places)]

    assert found("B-X", "I-X", "B-X") == [(0, 3, "X"), (4, 5, "X")]
    assert found("I-X", "I-X", "O") == [(0, 3, "X")]
    assert found("B-X", "B-X", "O") == [(0, 1, "X"), (2, 3, "X")]
    assert found("B-X", "I-Y", "I-Y") == [(0, 1, "X"), (2, 5, "Y")]
    assert found("O", "O", "O") == []


def test_other_schemes_become_iob2() -> None:
    assert as_iob2(["I-A", "I-A", "B-A", "O", "I-B"]) == ["B-A", "I-A", "B-A", "O", "B-B"]  # IOB1
    assert as_iob2(["B-A", "I-A", "E-A", "S-A"]) == ["B-A", "I-A", "I-A", "B-A"]  # BIOES
    assert as_iob2(["U-A", "B-A", "L-A"]) == ["B-A", "B-A", "I-A"]  # BILOU
    assert as_iob2(["PER", "PER", "O", "LOC"]) == ["B-PER", "I-PER", "O", "B-LOC"]  # bare types


def test_words_joined_and_found_again() -> None:
    text, places = join_words(["a", "", "bc"])
    assert text == "a  bc"
    assert [text[start:end] for start, end in places] == ["a", "", "bc"]
    assert find_words("a b, c", ["a", "b", ",", "c"]) == [(0, 1), (2, 3), (3, 4), (5, 6)]
    assert find_words("a b", ["a", "x"]) is None


def test_the_level_follows_what_the_spans_need() -> None:
    plain = [("take aspirin now", [span(5, 12)])] * 50
    assert level_for(plain) == "words"
    assert level_for([*plain, ("take aspirins", [span(5, 12)])]) == "words"  # one slip among many
    assert level_for([("take 10mg now", [span(5, 7)])] * 5) == "kinds"
    assert level_for([("서울에서 왔다", [span(0, 2)])] * 5) == "characters"
    assert level_for([]) == "words"
    assert words("10mg iPhone B12", "kinds") == ["10", "mg", "i", "Phone", "B", "12"]
