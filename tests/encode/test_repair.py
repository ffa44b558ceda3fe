"""Answers that do not stand where their row says."""

from __future__ import annotations

import random
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.encode.repair import find_unit, fold, repair_answers

EMOJI = "The 🍎 and 🍐 stall opens at nine; Ana Muñoz sells apples there. Nobody else does."


def row(context: str, *answers: tuple[str, int | None], number: int = 1) -> dict[str, Any]:
    made = [{"text": text, "start": start} for text, start in answers]
    return {"id": str(number), "row": number, "file": "q.json", "question": "Who?", "context": context, "answers": made}


def only(context: str, text: str, start: int | None) -> tuple[dict[str, Any] | None, list[str], list[Any]]:
    rows, notes, problems = repair_answers([row(context, (text, start))])
    return (rows[0]["answers"][0] if rows else None), notes, problems


def test_exact_answers_and_unanswerable_rows_pass_unchanged() -> None:
    rows = [row(EMOJI, ("Ana", EMOJI.index("Ana")), ("stall", EMOJI.index("stall"))), row(EMOJI), {"question": "?", "context": "x"}]
    assert repair_answers(rows) == (rows, [], [])


@pytest.mark.parametrize("off", [-2, -1, 1, 2])
def test_D14_a_start_off_by_one_or_two_is_moved_and_counted(off: int) -> None:
    context = EMOJI[EMOJI.index("stall") :]
    start = context.index("Ana Muñoz")
    answer, notes, problems = only(context, "Ana Muñoz", start + off)
    assert answer == {"text": "Ana Muñoz", "start": start}
    assert len(notes) == 1 and notes[0].startswith("1 answer stood")
    assert problems == []


def test_D14_a_start_below_zero_or_past_the_end_is_no_crash() -> None:
    assert only("apples", "apples", -1)[0] == {"text": "apples", "start": 0}
    assert "stands at 0" in only("apples are red", "apples", 900)[2][0].reason


def test_D14_not_a_substring_is_a_problem_with_file_row_and_remedy() -> None:
    rows, _, problems = repair_answers([row(EMOJI, ("apples", EMOJI.index("apples"))), row(EMOJI, ("pears", 3), number=2)])
    assert [one["id"] for one in rows] == ["1"]
    (problem,) = problems
    assert (problem.file, problem.row, problem.column) == ("q.json", 2, "answers")
    assert "'pears' does not stand in its context" in problem.reason
    assert problem.remedy


def test_D14_far_from_its_start_is_a_problem_that_names_the_places() -> None:
    _, _, problems = only("red and green and red again", "red", 9)
    assert "stands at 0, 18" in problems[0].reason
    assert "the start 9 is wrong: there the context reads 'ree'" in problems[0].reason


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_D14_an_empty_answer_is_a_problem(text: str) -> None:
    answer, _, problems = only(EMOJI, text, 4)
    assert answer is None
    assert "empty" in problems[0].reason


def test_all_problems_of_all_rows_are_reported_at_once() -> None:
    rows = [row(EMOJI, ("pears", 3), number=i) for i in range(1, 8)]
    assert [problem.row for problem in repair_answers(rows)[2]] == list(range(1, 8))


def test_a_bad_answer_beside_a_good_one_is_left_out_and_counted() -> None:
    rows, notes, problems = repair_answers([row(EMOJI, ("pears", 3), ("Ana", EMOJI.index("Ana")), ("", 0))])
    assert rows[0]["answers"] == [{"text": "Ana", "start": EMOJI.index("Ana")}]
    assert notes == ["2 answers that do not stand in their context were left out; their rows have others (q.json row 1)"]
    assert problems == []


def shifted(text: str, at: int, unit: str) -> int:
    return len(text[:at].encode("utf-16-le")) // 2 if unit == "UTF-16 units" else len(text[:at].encode())


@pytest.mark.parametrize("unit", ["UTF-16 units", "bytes of UTF-8"])
def test_D13_starts_in_other_units_are_detected_named_and_converted(unit: str) -> None:
    words = ["stall", "Ana Muñoz", "apples", "Nobody", "nine"]
    rows = [row(EMOJI, (word, shifted(EMOJI, EMOJI.index(word), unit)), number=i) for i, word in enumerate(words)]
    assert find_unit(rows) == unit
    kept, notes, problems = repair_answers(rows)
    assert [one["answers"][0]["start"] for one in kept] == [EMOJI.index(word) for word in words]
    assert len(notes) == 1 and unit.split()[0] in notes[0] and notes[0].startswith("5 answers")
    assert problems == []


def test_D13_the_unit_of_the_file_decides_where_two_readings_fit() -> None:
    context = "🍎🍎 aaaaaa aaaaaa"
    rows = [
        row(EMOJI, ("stall", shifted(EMOJI, EMOJI.index("stall"), "UTF-16 units"))),
        row(context, ("aaaa", shifted(context, 5, "UTF-16 units"))),
    ]
    assert repair_answers(rows)[0][1]["answers"] == [{"text": "aaaa", "start": 5}]


def test_D13_right_to_left_text_and_bidi_controls() -> None:
    context = "השם \u2067(שם)\u2069 הוא דוד בן גוריון מתל אביב"
    start = context.index("דוד")
    assert only(context, "דוד בן גוריון", start)[0] == {"text": "דוד בן גוריון", "start": start}
    answer, notes, _ = only(context, "השם (שם) הוא", 0)
    assert answer is not None and answer["text"] == context[: context.index("הוא") + 3]
    assert "Unicode form" in notes[0]


def test_D12_composed_and_decomposed_forms_match_on_the_original_text() -> None:
    rng = random.Random(5)
    letters = "aeiounc éèêëñçüößåøąęłśžÅÉÑ각한글なが ḍ̇ ﬁﬂ"
    found = 0
    for _ in range(300):
        words = ["".join(rng.choice(letters.replace(" ", "")) for _ in range(rng.randint(2, 7))) for _ in range(9)]
        first = rng.randint(1, 6)
        plain = " ".join(words)
        answer = " ".join(words[first : first + 2])
        context, said = (unicodedata.normalize(rng.choice(["NFC", "NFD"]), text) for text in (plain, answer))
        stated = rng.choice([len(unicodedata.normalize(form, " ".join(words[:first]))) + 1 for form in ("NFC", "NFD")])
        placed, _, problems = only(context, said, stated)
        assert problems == []
        assert placed is not None
        assert context[placed["start"] : placed["start"] + len(placed["text"])] == placed["text"]
        assert unicodedata.normalize("NFKC", placed["text"]) == unicodedata.normalize("NFKC", answer)
        found += said != placed["text"]
    assert found > 50


def test_D12_full_width_ligatures_and_spacing() -> None:
    assert only("Der Ｐｒｅｉｓ ist １０ Euro", "Preis ist 10", 4)[0] == {"text": "Ｐｒｅｉｓ ist １０", "start": 4}
    assert only("an e\ufb03cient oﬃce", "efficient office", 3)[0] == {"text": "e\ufb03cient oﬃce", "start": 3}
    assert only("five\u00a0 apples", "five apples", 0)[0] == {"text": "five\u00a0 apples", "start": 0}


def test_D12_a_letter_without_its_mark_is_widened_or_refused() -> None:
    answer, notes, _ = only("the cafe\u0301 closes", "cafe", 4)
    assert answer == {"text": "cafe\u0301", "start": 4}
    assert "visible character" in notes[0]
    assert only("the café closes", "cafe", 4)[0] is None


def test_answers_without_a_start_are_searched_and_repeats_counted() -> None:
    context = "red and green and red again"
    assert only(context, "green", None) == (
        {"text": "green", "start": 8},
        ["1 answer without a start: found in its context, where it occurs once (q.json row 1)"],
        [],
    )
    answer, notes, _ = only(context, " red ", None)
    assert answer == {"text": "red", "start": 0}
    assert "several times" in notes[0]


def test_white_space_around_an_answer_is_taken_off() -> None:
    assert only("red and green", " and ", 3) == ({"text": "and", "start": 4}, [], [])


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40), st.text(max_size=6), st.one_of(st.none(), st.integers(-5, 60)))
def test_whatever_is_kept_is_an_exact_slice(context: str, text: str, start: int | None) -> None:
    rows, _, problems = repair_answers([row(context, (text, start))])
    assert len(rows) + len(problems) == 1
    for kept in rows:
        for answer in kept["answers"]:
            assert answer["text"]
            assert context[answer["start"] : answer["start"] + len(answer["text"])] == answer["text"]


@settings(deadline=None)
@given(st.text(max_size=30))
def test_fold_is_the_same_for_every_form(text: str) -> None:
    forms = {fold(unicodedata.normalize(form, text))[0] for form in ("NFC", "NFD")}
    assert len(forms) == 1
    folded, origins = fold(text)
    assert len(folded) == len(origins)
    assert all(0 <= origin < len(text) for origin in origins)


def test_notes_speak_of_one_as_of_one_and_name_the_first_rows():
    context = "Ana wrote it in Rome, and Ana left Rome."
    rows = [row(context, ("Ana", None)) | {"file": "a.json", "row": 7}]
    (note,) = repair_answers(rows)[1]
    assert note == "1 answer without a start occurs several times in its context: the first place is taken (a.json row 7)"
    rows.append(row(context, ("Rome", None)) | {"file": "b.json", "row": 2})
    assert repair_answers(rows)[1][0].startswith("2 answers without a start occur several times in their context")
    assert repair_answers(rows)[1][0].endswith("(a.json row 7, b.json row 2)")
