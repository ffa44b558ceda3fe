"""Windows of a context beside its question, and labels by characters, for every kind of tokenizer."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.encode.characters import context_windows, question_features, shared, token_span
from oneloop.errors import ModelError, RecipeError
from oneloop.tasks.base import IGNORE
from tests.small_tokenizers import KINDS, gpt, minilm, wordpiece, wrapped, xlnet

QUICK = Path(__file__).resolve().parents[2] / "../shared/data/quick/qa"
TEXT = (
    "My name is Sylvain and I work at Hugging Face in Brooklyn. The quick brown fox jumps over the lazy dog, again and again! "
    "He said: don't boycott the lamb; call Sylvain at 10mg or 3.5 %. EU rejects German call to boycott British lamb ."
)


def row(context: str, answer: str | None, question: str = "  Who said it? ") -> dict[str, Any]:
    answers = [] if answer is None else [{"text": answer, "start": context.index(answer)}]
    return {"id": "1", "row": 1, "file": "q.json", "question": question, "context": context, "answers": answers}


def decoded(feature: dict[str, Any], context: str) -> str:
    """The characters that a feature's labels name; "" for the null place."""
    start, end = feature["labels"]
    if (start, end) == (feature["null"], feature["null"]):
        return ""
    places = feature["offsets"]
    return context[places[start - feature["first"], 0] : places[end - feature["first"], 1]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", ["Sylvain", "Hugging Face", "boycott the lamb", "again!", "lamb .", "My name"])
def test_C107_decoded_labels_are_the_answer_in_every_window_that_holds_it(kind: str, answer: str) -> None:
    features = question_features([row(TEXT, answer)], KINDS[kind](), 64, 24)
    assert len(features) > 1
    at = TEXT.index(answer)
    found = 0
    for feature in features:
        inside = len(feature["offsets"]) and feature["offsets"][0, 0] <= at and at + len(answer) <= feature["offsets"][-1, 1]
        assert decoded(feature, TEXT) == (answer if inside else "")
        found += bool(inside)
        assert len(feature["input_ids"]) <= 64
    assert found >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_C106_context_tokens_are_those_at_first_and_windows_share_exactly_the_stride(kind: str) -> None:
    tokenizer = KINDS[kind]()
    features = question_features([row(TEXT, None)], tokenizer, 64, 24)
    whole = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    for feature in features:
        width = len(feature["offsets"])
        assert feature["input_ids"][feature["first"] : feature["first"] + width] == whole[feature["begin"] : feature["begin"] + width]
    for before, after in itertools.pairwise(features):
        assert before["begin"] + len(before["offsets"]) - after["begin"] == 24
    assert features[-1]["begin"] + len(features[-1]["offsets"]) == len(whole)
    asked = tokenizer("Who said it?", add_special_tokens=False)["input_ids"]
    assert sum(feature["tokens"] for feature in features) == len(asked) + len(whole)
    assert {feature["row"] for feature in features} == {0}


@pytest.mark.parametrize("kind", KINDS)
def test_C108_question_is_stripped_and_whole_in_every_window(kind: str) -> None:
    tokenizer = KINDS[kind]()
    asked = tokenizer("Who said it?", add_special_tokens=False)["input_ids"]
    for feature in question_features([row(TEXT, None)], tokenizer, 64, 16):
        rest = feature["input_ids"][: feature["first"]] + feature["input_ids"][feature["first"] + len(feature["offsets"]) :]
        assert any(rest[i : i + len(asked)] == asked for i in range(len(rest)))
        assert feature["cut"] == 0


def test_C108_xlnet_has_the_context_first_and_null_at_its_last_token() -> None:
    for feature in question_features([row(TEXT, "again!")], xlnet(), 64, 16):
        assert feature["first"] == 0
        assert feature["null"] == len(feature["input_ids"]) - 1
        assert feature["input_ids"][feature["null"]] == xlnet().cls_token_id


def test_C108_BUG14_nothing_follows_the_context_and_null_is_the_first_token() -> None:
    features = question_features([row(TEXT, "lamb .")], gpt(), 64, 16)
    for feature in features:
        assert feature["first"] + len(feature["offsets"]) == len(feature["input_ids"])
        assert feature["null"] == 0
    assert decoded(features[-1], TEXT) == "lamb ."


def test_question_comes_first_where_only_the_padding_is_on_the_left() -> None:
    import copy

    tokenizer = copy.deepcopy(wordpiece())
    tokenizer.padding_side = "left"
    feature = question_features([row(TEXT, "Sylvain")], tokenizer, 64, 16)[0]
    assert feature["first"] > 1
    assert feature["null"] == 0
    assert decoded(feature, TEXT) == "Sylvain"


def course_features(rows: list[dict[str, Any]], tokenizer: Any, length: int, stride: int) -> list[tuple[list[int], int, int]]:
    """Ids and labels as the Hugging Face course makes them, with the tokenizer's own truncation."""
    questions, contexts = [one["question"].strip() for one in rows], [one["context"] for one in rows]
    options = {"truncation": "only_second", "return_overflowing_tokens": True, "return_offsets_mapping": True}
    made = tokenizer(questions, contexts, max_length=length, stride=stride, **options)
    found = []
    for number, offsets in enumerate(made["offset_mapping"]):
        answer = rows[made["overflow_to_sample_mapping"][number]]["answers"][0]
        start, end = answer["start"], answer["start"] + len(answer["text"])
        inside = [i for i, sequence in enumerate(made.sequence_ids(number)) if sequence == 1]
        first, last = inside[0], inside[-1]
        labels = (0, 0)
        if offsets[first][0] <= start and offsets[last][1] >= end:
            labels = max(i for i in inside if offsets[i][0] <= start), min(i for i in inside if offsets[i][1] >= end)
        found.append((made["input_ids"][number], *labels))
    return found


def squad_rows(path: Path, count: int) -> list[dict[str, Any]]:
    if not path.exists():
        pytest.skip("the shared data is not here")
    found = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = [{"text": one["text"], "start": one["answer_start"]} for one in asked["answers"]]
                found.append(
                    {"id": asked["id"], "row": len(found) + 1, "file": path.name, "answers": answers}
                    | {"question": asked["question"], "context": paragraph["context"]}
                )
    return found[:count]


@pytest.mark.parametrize(("length", "stride"), [(100, 50), (384, 128), (96, 0)])
def test_C106_C107_windows_and_labels_are_those_of_the_course(length: int, stride: int) -> None:
    rows = squad_rows(QUICK / "squad_v1/train.json", 200)
    ours = question_features(rows, minilm(), length, stride)
    assert [(feature["input_ids"], *feature["labels"]) for feature in ours] == course_features(rows, minilm(), length, stride)


def test_C107_the_toy_of_one_hundred_tokens_maps_windows_to_rows() -> None:
    rows = [row(TEXT * 2, "Brooklyn"), row("Sylvain", "Sylvain"), row(TEXT, None)]
    features = question_features(rows, wordpiece(), 100, 50)
    mapped = [feature["row"] for feature in features]
    assert mapped == sorted(mapped)
    assert set(mapped) == {0, 1, 2}
    assert mapped.count(1) == 1
    assert [decoded(feature, "Sylvain") for feature in features if feature["row"] == 1] == ["Sylvain"]
    assert {decoded(feature, TEXT) for feature in features if feature["row"] == 2} == {""}


@pytest.mark.parametrize("kind", ["wordpiece", "gpt", "xlnet"])
def test_no_context_an_empty_question_and_no_answers_give_features(kind: str) -> None:
    rows = [{"question": "", "context": ""}, {"question": "Who?", "context": "  "}, {"question": "", "context": "fox"}]
    features = question_features(rows, KINDS[kind](), 32, 8)
    assert [feature["row"] for feature in features] == [0, 1, 2]
    assert all("labels" not in feature for feature in features)


def test_a_question_longer_than_half_a_window_is_cut_and_counted() -> None:
    features = question_features([row(TEXT, "again!", question="fox " * 100)], wordpiece(), 63, 16)
    ids = wordpiece()("fox " * 100, add_special_tokens=False)["input_ids"]
    assert features[0]["cut"] == len(ids) - 30
    assert [feature["cut"] for feature in features[1:]] == [0] * (len(features) - 1)
    assert "again!" in {decoded(feature, TEXT) for feature in features}


def test_a_stride_wider_than_the_room_shrinks() -> None:
    features = question_features([row(TEXT, "again!")], wordpiece(), 32, 128)
    assert len(features) > 2
    assert "again!" in {decoded(feature, TEXT) for feature in features}


def test_no_room_is_an_error() -> None:
    with pytest.raises(RecipeError, match="max_length"):
        question_features([row(TEXT, None)], wordpiece(), 4, 0)


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False
        model_max_length = 512
        padding_side = "right"

    with pytest.raises(ModelError, match="fast"):
        question_features([row(TEXT, None)], Slow(), 64, 16)


def test_an_answer_that_the_tokenizer_drops_is_not_trained() -> None:
    context = "before \u200b\u200d after"
    (feature,) = question_features([{"question": "?", "context": context, "answers": [{"text": "\u200b\u200d", "start": 7}]}], minilm())
    assert feature["labels"] == [IGNORE, IGNORE]


@settings(deadline=None)
@given(st.integers(0, 2000), st.integers(1, 400), st.integers(0, 500))
def test_windows_cover_everything_with_a_bounded_number_of_tokens(length: int, size: int, stride: int) -> None:
    found = context_windows(length, size, stride)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - begin <= size for begin, end in found)
    assert all(before[1] - after[0] == shared(size, stride) for before, after in itertools.pairwise(found))
    assert sum(end - begin for begin, end in found) <= 8 * length + size


def test_token_span_takes_all_tokens_that_overlap() -> None:
    places = np.array([[0, 2], [2, 5], [6, 9], [9, 9], [9, 12]])
    assert token_span(places, 0, 2) == (0, 0)
    assert token_span(places, 3, 7) == (1, 2)
    assert token_span(places, 5, 6) is None
    assert token_span(places, 9, 12) == (4, 4)
    assert token_span(places[:0], 0, 3) is None


def test_D10_two_megabytes_are_read_in_linear_time() -> None:
    small, large = (" ".join(f"word{i % 997}" for i in range(count)) + " zebra" for count in (20_000, 240_000))
    assert len(large) > 1_700_000
    seconds = []
    for context in (small, large):
        began = time.process_time()
        features = question_features([row(context, "zebra")], minilm())
        seconds.append(time.process_time() - began)
        assert decoded(features[-1], context) == "zebra"
        assert {decoded(feature, context) for feature in features[:-2]} == {""}
    assert seconds[1] < 12 * max(seconds[0], 0.05) * 2.5


def test_wide_offsets_of_a_hand_made_tokenizer_hold() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["[UNK]", "▁a", "▁bb", "▁c"])}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    (feature,) = question_features([row("a bb c", "bb", question="c")], wrapped(backend, unk_token="[UNK]"), 16, 0)
    assert decoded(feature, "a bb c") == "bb"


def test_C112_every_answer_of_the_quick_data_is_the_slice_of_its_labels() -> None:
    for version in ("squad_v1", "squad_v2"):
        rows = squad_rows(QUICK / version / "train.json", 10_000)
        features = question_features(rows, minilm())
        held: dict[int, set[str]] = {}
        for feature in features:
            held.setdefault(feature["row"], set()).add(decoded(feature, rows[feature["row"]]["context"]))
        wider = 0
        for number, one in enumerate(rows):
            text = one["answers"][0]["text"] if one["answers"] else ""
            if text not in held[number]:  # an answer that ends inside a token of this vocabulary
                assert any(text in found for found in held[number])
                wider += 1
        assert wider <= 0.02 * len(rows)
