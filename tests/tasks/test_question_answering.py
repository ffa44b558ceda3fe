"""Question answering: labels and loss, answers over windows, "no answer", and the scores."""

from __future__ import annotations

import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oneloop.errors import DataError, RecipeError
from oneloop.measure.evaluate import Engine, evaluate_rows, predict_rows
from oneloop.prepare import prepare
from oneloop.recipe import load_recipe
from oneloop.tasks import task_class
from oneloop.tasks.question_answering import QuestionAnswering
from tests.small_tokenizers import KINDS, minilm, small_bert, wordpiece

TEXT = "The quick brown fox jumps over the lazy dog. Sylvain works at Hugging Face in Brooklyn, and EU rejects the German call."


def row(number: int, question: str, answer: str | None, context: str = TEXT) -> dict[str, Any]:
    answers = [] if answer is None else [{"text": answer, "start": context.index(answer)}]
    return {"id": str(number), "row": number, "file": "q.json", "question": question, "context": context, "answers": answers}


ROWS = [
    row(1, "Who works there?", "Sylvain"),
    row(2, "Where?", "Brooklyn"),
    row(3, "What colour is the sea?", None),
    row(4, "What jumps?", "fox"),
]


def learned(rows: list[dict[str, Any]], **settings: Any) -> QuestionAnswering:
    task = QuestionAnswering(settings)
    task.learn(rows)
    return task


class Finder(torch.nn.Module):
    """A model that finds given tokens: the start logit is high on the first, the end logit on the last, CLS in between."""

    def __init__(self, first: int, last: int, null: int = -1, null_height: float = 3.0) -> None:
        super().__init__()
        self.first, self.last, self.null, self.null_height = first, last, null, null_height

    def forward(self, input_ids: Any, **_: Any) -> dict[str, Any]:
        none = (input_ids == self.null) * self.null_height
        return {"start_logits": (input_ids == self.first) * 8.0 + none, "end_logits": (input_ids == self.last) * 8.0 + none}


def ids(text: str, tokenizer: Any) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_it_is_in_the_table_and_says_what_it_is() -> None:
    assert task_class("qa") is QuestionAnswering
    assert QuestionAnswering.metric == "f1"
    for fact in ("does", "label_shape", "collator", "metric_limits", "wrinkle"):
        assert len(getattr(QuestionAnswering, fact)) > 5


# ---- loss --------------------------------------------------------------------------------------------------------


def features_of(rows: list[dict[str, Any]], tokenizer: Any, length: int = 36) -> tuple[QuestionAnswering, list[dict[str, Any]]]:
    task = learned(rows, max_length=length, stride=12)
    return task, task.encode(rows, tokenizer)


def test_loss_of_a_window_alone_is_the_hugging_face_loss() -> None:
    model = small_bert("BertForQuestionAnswering", len(wordpiece()))
    task, features = features_of(ROWS, wordpiece())
    assert len(features) > len(ROWS)
    for feature in features:
        batch = task.collate([feature], wordpiece())
        loss, count = task.loss(task.forward(model, batch), batch)
        start, end = batch["labels"].T
        theirs = model(**batch["inputs"], start_positions=start, end_positions=end).loss
        assert count.tolist() == [1.0]
        assert loss.item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_loss_does_not_depend_on_the_batch_nor_on_the_side_of_padding(side: str) -> None:
    tokenizer = copy.deepcopy(wordpiece())
    tokenizer.padding_side = side
    task, features = features_of(ROWS, tokenizer)

    def logits(batch: Any) -> dict[str, Any]:
        """Of the tokens alone; position and neighbours play no part, so that both sides must agree."""
        values = torch.sin(batch["inputs"]["input_ids"] * 1.7) * 4
        return {"start_logits": values, "end_logits": values * 0.5}

    together = task.collate(features, tokenizer)
    losses, counts = task.loss(logits(together), together)
    alone = [task.collate([feature], tokenizer) for feature in features]
    assert len({batch["inputs"]["input_ids"].shape[1] for batch in alone}) > 1
    assert losses.tolist() == pytest.approx([task.loss(logits(batch), batch)[0].item() for batch in alone], rel=1e-6)
    assert counts.tolist() == [1.0] * len(features)


@pytest.mark.parametrize("kind", KINDS)
def test_C108_labels_of_a_padded_batch_point_at_the_answer(kind: str) -> None:
    tokenizer = KINDS[kind]()
    task, features = features_of([ROWS[0], row(2, "Where?", "dog", "dog")], tokenizer, length=200)
    batch = task.collate(features, tokenizer)
    for line, labels, feature, expected in zip(batch["inputs"]["input_ids"], batch["labels"].tolist(), features, ["Sylvain", "dog"]):
        start, end = (place - (len(line) - len(feature["input_ids"]) if tokenizer.padding_side == "left" else 0) for place in labels)
        assert line[labels[0] : labels[1] + 1].tolist() == feature["input_ids"][start : end + 1]
        places = feature["offsets"][[start - feature["first"], end - feature["first"]]]
        assert (TEXT if expected == "Sylvain" else "dog")[places[0, 0] : places[1, 1]] == expected


# ---- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_C112_an_answer_at_the_end_of_a_long_text_is_found_and_is_an_exact_slice(kind: str) -> None:
    tokenizer = KINDS[kind]()
    context = "The lazy dog jumps again and again. " * 60 + "Call Sylvain at Brooklyn"
    found = [token for token in ids(" Sylvain", tokenizer) if token not in ids(context[:-24], tokenizer)]
    model = Finder(found[0], found[0], null=-1)
    task = QuestionAnswering({"max_length": 64, "stride": 16}, {"unanswerable": False})
    engine = Engine(model, tokenizer)
    (prediction,) = predict_rows(task, engine, [{"question": "Who?", "context": context}])
    assert prediction["answer"] == context[prediction["start"] : prediction["end"]]
    assert prediction["answer"] and prediction["answer"] in "Sylvain"
    assert prediction["start"] >= context.index("Sylvain")
    assert 0 < prediction["score"] <= 1


def test_prediction_has_the_promised_fields_and_is_json() -> None:
    task = QuestionAnswering({"top_k": 3}, {"unanswerable": True, "threshold": 0.0})
    model = small_bert("BertForQuestionAnswering", len(wordpiece()))
    predictions = predict_rows(task, Engine(model, wordpiece()), [{"question": "Who?", "context": TEXT}, {"question": "", "context": ""}])
    for prediction, context in zip(predictions, [TEXT, ""]):
        assert set(prediction) == {"answer", "start", "end", "score", "no_answer_score", "nbest"}
        assert prediction["answer"] == context[prediction["start"] : prediction["end"]]
        for item in prediction["nbest"]:
            assert set(item) == {"text", "start", "end", "score"}
            assert item["text"] == context[item["start"] : item["end"]]
        assert [item["score"] for item in prediction["nbest"]] == sorted((item["score"] for item in prediction["nbest"]), reverse=True)
        assert json.loads(json.dumps(prediction, allow_nan=False)) == prediction
    assert len(predictions[0]["nbest"]) == 4  # three spans and "no answer"
    assert predictions[1]["answer"] == ""


def test_C109_no_candidate_gives_an_empty_answer() -> None:
    task = QuestionAnswering({"n_best": 1}, {"unanswerable": False})
    engine = Engine(Finder(wordpiece().cls_token_id, wordpiece().cls_token_id), wordpiece())
    (prediction,) = predict_rows(task, engine, [{"question": "Who?", "context": TEXT}])
    assert (prediction["answer"], prediction["start"], prediction["end"], prediction["nbest"]) == ("", 0, 0, [])


@pytest.mark.parametrize("kind", KINDS)
def test_C108_nothing_asked_about_nothing_has_no_answer_whatever_the_special_tokens(kind: str) -> None:
    tokenizer = KINDS[kind]()
    rows = [{"question": "", "context": ""}]
    (feature,) = QuestionAnswering({}, {"unanswerable": False}).encode(rows, tokenizer)
    assert len(feature["input_ids"]) >= 1
    (prediction,) = predict_rows(QuestionAnswering({}, {"unanswerable": False}), Engine(Finder(1, 1), tokenizer), rows)
    assert (prediction["answer"], prediction["start"], prediction["end"]) == ("", 0, 0)


def test_a_long_question_is_cut_and_the_prediction_says_so() -> None:
    task = QuestionAnswering({"max_length": 64}, {"unanswerable": False})
    model = small_bert("BertForQuestionAnswering", len(wordpiece()))
    short, long = predict_rows(task, Engine(model, wordpiece()), [{"question": q, "context": TEXT} for q in ("Who?", "fox " * 200)])
    assert "cut" not in short
    assert long["cut"] > 100


# ---- "no answer" -----------------------------------------------------------------------------------------------------


def outputs_for(task: QuestionAnswering, rows: list[dict[str, Any]], differences: list[float]) -> tuple[list[Any], list[Any]]:
    """Features and logits in which each row's first answer (or "lazy") has the score 4 and CLS 4 + the difference given."""
    features = task.encode(rows, wordpiece())
    outputs = []
    for feature, difference in zip(features, differences):
        logits = {name: np.full(len(feature["input_ids"]), -20.0, dtype=np.float32) for name in ("start_logits", "end_logits")}
        answers = rows[feature["row"]]["answers"]
        place = feature["labels"] if answers else [feature["first"] + 9, feature["first"] + 9]
        logits["start_logits"][place[0]] = logits["end_logits"][place[1]] = 2.0
        logits["start_logits"][feature["null"]] = logits["end_logits"][feature["null"]] = 2.0 + difference / 2
        outputs.append(logits)
    return features, outputs


def test_C113_empty_where_no_answer_is_above_the_threshold() -> None:
    task = learned(ROWS)
    assert task.facts == {"unanswerable": True, "threshold": 0.0}
    features, outputs = outputs_for(task, ROWS, [-3.0, 1.0, 2.0, 0.0])
    said = task.decode(outputs, features, ROWS)
    assert [item["answer"] for item in said] == ["Sylvain", "", "", "fox"]
    assert [item["no_answer_score"] for item in said] == pytest.approx([-3.0, 1.0, 2.0, 0.0])
    assert said[1]["score"] == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-4)
    assert said[1]["nbest"][0]["text"] == ""
    task.settings["null_threshold"] = 1.5
    assert [item["answer"] for item in task.decode(outputs, features, ROWS)] == ["Sylvain", "Brooklyn", "", "fox"]


def test_C113_the_threshold_is_chosen_on_validation_and_kept_in_the_facts() -> None:
    task = learned(ROWS)
    features, outputs = outputs_for(task, ROWS, [-3.0, 1.0, 2.0, 0.0])
    before = task.score(task.decode(outputs, features, ROWS), ROWS).metrics()
    task.calibrate(outputs, features, ROWS)
    assert task.facts["threshold"] == pytest.approx(1.0)
    after = task.score(task.decode(outputs, features, ROWS), ROWS).metrics()
    assert (before["f1"], after["f1"]) == (0.75, 1.0)
    again = QuestionAnswering({}, json.loads(json.dumps(task.facts)))
    assert again.decode(outputs, features, ROWS) == task.decode(outputs, features, ROWS)


def test_data_without_unanswerable_questions_never_gives_an_empty_answer() -> None:
    rows = [one for one in ROWS if one["answers"]]
    task = learned(rows)
    features, outputs = outputs_for(task, rows, [9.0, 9.0, 9.0])
    task.calibrate(outputs, features, rows)
    said = task.decode(outputs, features, rows)
    assert [item["answer"] for item in said] == ["Sylvain", "Brooklyn", "fox"]
    assert all(item["text"] for prediction in said for item in prediction["nbest"])
    assert task.facts == {"unanswerable": False, "threshold": 0.0}


def test_published_models_that_know_no_answer_are_told_by_their_name() -> None:
    class Config:
        _name_or_path = "deepset/roberta-base-squad2"

    assert QuestionAnswering.facts_from_config(Config())["unanswerable"] is True
    Config._name_or_path = "distilbert-base-cased-distilled-squad"
    assert QuestionAnswering.facts_from_config(Config())["unanswerable"] is False


# ---- scores, rows ----------------------------------------------------------------------------------------------------


def test_score_by_the_squad_rules_and_apart_for_both_kinds_of_questions() -> None:
    task = learned(ROWS)
    found = task.score([{"answer": text} for text in ("the Sylvain!", "in Brooklyn", "", "dog")], ROWS).metrics()
    assert found["exact_match"] == 0.5
    assert found["f1"] == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert found["exact_match_answerable"] == pytest.approx(1 / 3)
    assert found["f1_answerable"] == pytest.approx((1 + 2 / 3) / 3)
    assert found["exact_match_unanswerable"] == 1.0
    assert set(task.score([{"answer": "fox"}], ROWS[3:]).metrics()) == {"exact_match", "f1"}


def test_evaluation_has_a_loss_and_the_metrics_also_with_a_real_model() -> None:
    task = learned(ROWS, max_length=48, stride=12)
    model = small_bert("BertForQuestionAnswering", len(wordpiece()))
    found = evaluate_rows(task, Engine(model, wordpiece()), ROWS)
    assert {"exact_match", "f1", "loss"} <= set(found.metrics())
    assert found.metrics()["loss"] == pytest.approx(float(np.mean(found.outputs.losses)), rel=1e-6)
    one = evaluate_rows(task, Engine(model, wordpiece(), batch_tokens=60), ROWS)
    assert one.metrics()["loss"] == pytest.approx(found.metrics()["loss"], rel=1e-5)
    assert [item["answer"] for item in one.predictions] == [item["answer"] for item in found.predictions]


def test_a_small_model_learns_where_the_answer_stands() -> None:
    rows = [
        row(i, "Who?", name, f"{'the lazy dog and ' * (i % 5)}call {name} again")
        for i, name in enumerate(["fox", "EU", "German", "Face"] * 6)
    ]
    task = learned(rows, max_length=48)
    model = small_bert("BertForQuestionAnswering", len(wordpiece()))
    batch = task.collate(task.encode(rows, wordpiece()), wordpiece())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        losses, counts = task.loss(task.forward(model.train(), batch), batch)
        optimizer.zero_grad()
        torch.autograd.backward(losses.sum() / counts.sum())
        optimizer.step()
    found = evaluate_rows(task, Engine(model.eval(), wordpiece()), rows).metrics()
    assert found["exact_match"] > 0.9
    assert found["loss"] < 0.5


def test_baseline_answers_every_row() -> None:
    found = QuestionAnswering().baseline(ROWS, ROWS)
    assert found is not None
    name, said = found
    assert name
    assert len(said) == len(ROWS)
    assert QuestionAnswering().score(said, ROWS).metrics()["f1"] >= 0


def test_D14_prepare_rows_repairs_counts_and_names_what_is_left() -> None:
    rows = copy.deepcopy(ROWS)
    rows[0]["answers"][0]["start"] += 2
    rows[1]["answers"][0]["text"] = "Paris"
    rows.append(row(5, "   ", "fox"))
    kept, notes, problems = QuestionAnswering().prepare_rows(rows)
    assert [one["id"] for one in kept] == ["1", "3", "4"]
    assert kept[0]["answers"] == ROWS[0]["answers"]
    assert len(notes) == 1
    assert [(problem.row, problem.column) for problem in problems] == [(5, "question"), (2, "answers")]
    assert list(QuestionAnswering().checks(rows)) == problems


def test_D14_an_empty_context_is_named_whether_or_not_the_question_has_an_answer() -> None:
    rows = [ROWS[0], {**row(5, "Who?", None), "context": " "}, {**row(6, "Who?", "fox"), "context": ""}]
    kept, _, problems = QuestionAnswering().prepare_rows(rows)
    assert kept == ROWS[:1]
    assert [(problem.row, problem.column, problem.reason) for problem in problems] == [
        (5, "context", "the context is empty"),
        (6, "context", "the context is empty"),
    ]


def test_D14_training_questions_that_all_lack_an_answer_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "questions.jsonl"
    asked = [{"question": f"What is {name}?", "context": f"{name} is a word.", "answers": None} for name in ("fox", "dog", "cow", "hen")]
    table.write_text("\n".join(map(json.dumps, asked)))
    with pytest.raises(DataError, match=r"none of the \d training questions has an answer") as found:
        prepare(load_recipe(train=str(table), task="qa"), lambda text: None)
    assert "questions.jsonl" in str(found.value)
    asked[0]["answers"] = {"text": ["fox"], "answer_start": [0]}
    table.write_text("\n".join(map(json.dumps, asked)))
    prepared = prepare(load_recipe(train=str(table), task="qa", split="100/0/0"), lambda text: None)
    assert prepared.task.facts["unanswerable"]
    assert [found["answers"] for found in prepared.rows["train"][1:]] == [[], [], []]


def test_cells_of_every_layout_become_the_same_answers() -> None:
    parse = {column.role: column.parse for column in QuestionAnswering.columns}["answers"]
    expected = [{"text": "fox", "start": 16}]
    assert parse({"text": ["fox"], "answer_start": [16]}) == expected
    assert parse([{"text": "fox", "answer_start": 16}]) == expected
    assert parse('{"text": ["fox"], "answer_start": [16]}') == expected
    assert parse({"text": [], "answer_start": []}) == parse("") == []


@pytest.mark.parametrize("size", [200_000, 1_000_000, pytest.param(10_000_000, marks=pytest.mark.nightly)])
def test_D10_minilm_reads_a_context_of_megabytes_to_its_last_words(size: int) -> None:
    context = "The weather was fine that day. " * (size // 31) + "The prize went to Marie Curie."
    start, *_, end = ids("marie curie", minilm())
    task = QuestionAnswering({}, {"unanswerable": False})
    (prediction,) = predict_rows(task, Engine(Finder(start, end), minilm()), [{"question": "Who won?", "context": context}])
    assert prediction["answer"] == "Marie Curie"
    assert prediction["start"] == context.index("Marie")
    assert "cut" not in prediction


@pytest.mark.nightly
def test_D10_ten_megabytes_are_encoded_in_twenty_seconds_and_decoded_in_five() -> None:
    task = QuestionAnswering({}, {"unanswerable": False})
    rows = [{"question": "Who won?", "context": "The weather was fine that day. " * (10_000_000 // 31)}]
    began = time.process_time()
    features = task.encode(rows, minilm())
    encoded = time.process_time()
    logits = np.random.default_rng(1).normal(size=(2, 512)).astype(np.float32)
    outputs = [dict(zip(task.per_token, logits[:, : len(feature["input_ids"])])) for feature in features]
    ready = time.process_time()
    (prediction,) = task.decode(outputs, features, rows)
    assert encoded - began < 20
    assert time.process_time() - ready < 5
    assert rows[0]["context"][prediction["start"] : prediction["end"]] == prediction["answer"] != ""


@pytest.mark.nightly
def test_D10_ten_megabytes_without_a_space_are_read_in_part_and_counted() -> None:
    task = QuestionAnswering({}, {"unanswerable": False})
    rows = [{"question": "Who won?", "context": "abcdefghij" * 1_000_000}]
    (prediction,) = predict_rows(task, Engine(Finder(1, 1), minilm()), rows)
    assert prediction["cut"] == 1


def test_settings_that_leave_no_answer_are_refused_together() -> None:
    with pytest.raises(RecipeError, match="n_best is 0 and max_answer_length is -3") as found:
        QuestionAnswering({"n_best": 0, "max_answer_length": -3})
    assert "--n-best 20 --max-answer-length 30" in str(found.value)


def test_snippet_is_python() -> None:
    compile(QuestionAnswering().snippet("runs/qa/model"), "snippet", "exec")
