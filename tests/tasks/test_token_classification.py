"""Token classification: every word one tag, every entity its exact characters."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

from oneloop.errors import DataError, RecipeError
from oneloop.measure.evaluate import Engine, Evaluation, evaluate_rows, predict_rows
from oneloop.tasks import task_class
from oneloop.tasks.base import Feature
from oneloop.tasks.token_classification import TokenClassification
from tests.small_tokenizers import KINDS, gpt, roberta, small_bert, wordpiece

SENTENCE = ["Sylvain", "works", "at", "Hugging", "Face", "in", "Brooklyn", "."]
TAGS = ["B-PER", "O", "O", "B-ORG", "I-ORG", "O", "B-LOC", "O"]


def row(tokens: list[str], tags: list[str] | None = None, number: int = 1) -> dict[str, Any]:
    return {"id": str(number), "row": number, "file": "x.conll", "tokens": tokens} | ({} if tags is None else {"tags": tags})


def marked(text: str, *spans: tuple[int, int, str], number: int = 1) -> dict[str, Any]:
    found = [{"start": start, "end": end, "label": label} for start, end, label in spans]
    return {"id": str(number), "row": number, "file": "x.jsonl", "text": text, "spans": found}


def learned(training: list[dict[str, Any]], **settings: Any) -> TokenClassification:
    task = TokenClassification({"max_length": 64, "stride": 16} | settings)
    task.learn(training)
    return task


def engine(task: TokenClassification, tokenizer: Any = None) -> Engine:
    tokenizer = tokenizer or wordpiece()
    return Engine(small_bert("BertForTokenClassification", len(tokenizer) + 2, **task.head_settings()), tokenizer)


def evaluated(task: TokenClassification, rows: list[dict[str, Any]], tokenizer: Any = None) -> Evaluation:
    return evaluate_rows(task, engine(task, tokenizer), rows)


def certain(task: TokenClassification, features: list[Feature], tags: list[list[str]]) -> list[dict[str, np.ndarray]]:
    """Outputs of a model that is certain of these tags on every token of a word."""
    outputs = []
    for feature in features:
        logits = np.zeros((len(feature["input_ids"]), len(task.labels)), dtype=np.float32)
        for position, word in enumerate(feature["word_ids"]):
            if word >= 0:
                logits[position, task.labels.index(tags[feature["row"]][word])] = 9
        outputs.append({"logits": logits})
    return outputs


def decoded(task: TokenClassification, rows: list[dict[str, Any]], tags: list[list[str]]) -> list[dict[str, Any]]:
    features = task.encode(rows, wordpiece())
    return task.decode(certain(task, features, tags), features, rows)


def test_it_is_in_the_table_and_says_what_it_is() -> None:
    assert task_class("ner") is task_class("pos") is task_class("chunking") is TokenClassification
    for fact in ("does", "label_shape", "collator", "metric_limits"):
        assert len(getattr(TokenClassification, fact)) > 20


def test_labels_are_o_first_then_types_by_name() -> None:
    task = learned([row(SENTENCE, TAGS)])
    assert task.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    assert (task.facts["kind"], task.facts["scheme"], task.metric) == ("entities", "IOB2", "f1")


def test_C041_C042_labels_of_the_pieces_of_a_word() -> None:
    words, tags = ["EU", "Übergrößenträger"], ["O", "B-ORG"]
    first, every = learned([row(words, tags)]), learned([row(words, tags)], label_pieces="all")
    b, i = first.labels.index("B-ORG"), first.labels.index("I-ORG")
    pieces = len(wordpiece()("Übergrößenträger", add_special_tokens=False)["input_ids"])
    assert first.encode([row(words, tags)], wordpiece())[0]["labels"][-1 - pieces : -1] == [b] + [-100] * (pieces - 1)
    assert every.encode([row(words, tags)], wordpiece())[0]["labels"][-1 - pieces : -1] == [b] + [i] * (pieces - 1)


@pytest.mark.parametrize(
    ("kind", "aggregation"), [*((kind, "first") for kind in KINDS), *(("wordpiece", name) for name in ("max", "average", "simple"))]
)
def test_C052_a_document_of_ten_thousand_words_gets_as_many_tags(kind: str, aggregation: str) -> None:
    words = (SENTENCE * 1250)[:10_000]
    tags = (TAGS * 1250)[:10_000]
    tokenizer, document = KINDS[kind](), row(words, tags)
    task = learned([document], aggregation=aggregation)
    features = task.encode([document], tokenizer)
    assert len(features) > 100
    assert sum(label >= 0 for feature in features for label in feature["labels"]) == 10_000
    prediction = task.decode(certain(task, features, [tags]), features, [document])[0]
    assert prediction["tags"] == tags
    assert len(prediction["spans"]) == 3 * 1250
    assert task.score([prediction], [document]).metrics()["f1"] == 1.0


def test_C052_an_entity_across_the_border_of_two_windows_is_found_once() -> None:
    words = ["a"] * 40 + ["EU", "Hugging", "Face", "EU"] * 10 + ["a"] * 40
    tags = ["O"] * 40 + (["B-ORG"] + ["I-ORG"] * 39) + ["O"] * 40
    task = learned([row(words, tags)], max_length=24, stride=6)
    prediction = decoded(task, [row(words)], [tags])[0]
    assert [(span["label"], span["text"]) for span in prediction["spans"]] == [("ORG", " ".join(words[40:80]))]


def test_C050_spans_have_exact_characters_and_the_mean_score_of_their_words() -> None:
    task = learned([row(SENTENCE, TAGS)])
    prediction = decoded(task, [row(SENTENCE)], [TAGS])[0]
    text = " ".join(SENTENCE)
    assert [(text[span["start"] : span["end"]], span["text"], span["label"]) for span in prediction["spans"]] == [
        ("Sylvain", "Sylvain", "PER"),
        ("Hugging Face", "Hugging Face", "ORG"),
        ("Brooklyn", "Brooklyn", "LOC"),
    ]
    certainty = np.exp(9) / (np.exp(9) + 6)
    assert [span["score"] for span in prediction["spans"]] == pytest.approx([certainty] * 3)


def test_offsets_count_in_the_text_where_the_row_has_one() -> None:
    text = "Sylvain works at  Hugging Face\nin Brooklyn."
    task = learned([row(SENTENCE, TAGS)])
    with_tokens = decoded(task, [row(SENTENCE) | {"text": text}], [TAGS])[0]
    text_only = decoded(task, [{"id": "1", "text": text}], [TAGS])[0]
    for prediction in (with_tokens, text_only):
        assert [text[span["start"] : span["end"]] for span in prediction["spans"]] == ["Sylvain", "Hugging Face", "Brooklyn"]
        assert all(span["text"] == text[span["start"] : span["end"]] for span in prediction["spans"])
        assert len(prediction["tags"]) == len(SENTENCE)


@pytest.mark.parametrize("kind", KINDS)
def test_D15_words_in_are_predictions_out(kind: str) -> None:
    words = ["EU", "\u200b", "\ufffd", "\x00", "\u00ad", "", "lamb", "\ud83d", "x" * 5000]
    task = learned([row(SENTENCE, TAGS)])
    tokenizer = KINDS[kind]()
    rows = [row(words), row(["\u200b"]), row([""])]
    features = task.encode(rows, tokenizer)
    predictions = predict_rows(task, engine(task, tokenizer), rows)
    assert [len(prediction["tags"]) for prediction in predictions] == [9, 1, 1]
    seen = {word for feature in features if feature["row"] == 0 for word in feature["word_ids"]}
    assert all(predictions[0]["tags"][word] == "O" for word in range(9) if word not in seen)
    assert predictions[0]["cut"] >= 1
    assert "cut" not in predictions[1]


def test_spans_are_learned_and_scored_by_their_characters() -> None:
    rows = [marked("Ada Lovelace wrote e\u0301tudes", (0, 12, "PER"), (19, 26, "WORK"))]
    task = learned(rows)
    assert task.labels == ["O", "B-PER", "I-PER", "B-WORK", "I-WORK"]
    predictions = decoded(task, rows, [["B-PER", "I-PER", "O", "B-WORK"]])
    assert [(span["start"], span["end"]) for span in predictions[0]["spans"]] == [(0, 12), (19, 26)]
    assert task.score(predictions, rows).metrics()["f1"] == 1.0


def test_a_span_that_ends_inside_a_word_is_found_only_with_its_exact_characters() -> None:
    rows = [marked("Parisians like Berlin", (0, 5, "LOC"), (15, 21, "LOC"))] * 1 + [
        marked("Rome and Oslo", (0, 4, "LOC"), (9, 13, "LOC"))
    ] * 20
    task = learned(rows)
    assert task.level == "words"
    predictions = decoded(task, rows[:1], [["B-LOC", "O", "B-LOC"]])
    metrics = task.score(predictions, rows[:1]).metrics()
    assert (metrics["precision"], metrics["recall"]) == (0.5, 0.5)


def test_words_of_a_text_do_not_depend_on_its_spans() -> None:
    rows = [marked("give 10mg of aspirin", (5, 7, "DOSE"), (13, 20, "DRUG"))] * 3
    task = learned(rows)
    assert task.level == "kinds"
    with_spans, without = task.encode(rows[:1], wordpiece()), task.encode([{"text": rows[0]["text"]}], wordpiece())
    assert with_spans[0]["input_ids"] == without[0]["input_ids"]
    assert with_spans[0]["word_ids"] == without[0]["word_ids"]


def test_C043_C048_parts_of_speech_and_chunks_are_the_same_task() -> None:
    tags = ["PROPN", "VERB", "ADP", "PROPN", "PROPN", "ADP", "PROPN", "PUNCT"]
    task = learned([row(SENTENCE, tags)], label_pieces="all")
    assert (task.facts["kind"], task.metric, task.labels) == ("pos", "accuracy", ["ADP", "PROPN", "PUNCT", "VERB"])
    prediction = decoded(task, [row(SENTENCE)], [tags])[0]
    assert prediction == {"tags": tags, "spans": []}
    metrics = evaluated(task, [row(SENTENCE, tags)]).metrics()
    assert {"accuracy", "macro_f1"} <= set(metrics)
    assert "f1" not in metrics
    labels = task.encode([row(["Übergrößenträger"], ["VERB"])], wordpiece())[0]["labels"]
    assert set(labels) == {-100, task.labels.index("VERB")}
    chunks = learned([row(["He", "reckons", "the", "deficit"], ["B-NP", "B-VP", "B-NP", "I-NP"])])
    assert chunks.labels == ["O", "B-NP", "I-NP", "B-VP", "I-VP"]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["I-PER", "O", "O", "I-ORG", "I-ORG", "O", "I-LOC", "B-LOC"], "IOB1"),
        (["S-PER", "O", "O", "B-ORG", "E-ORG", "O", "S-LOC", "S-LOC"], "BIOES"),
        (["U-PER", "O", "O", "B-ORG", "L-ORG", "O", "U-LOC", "U-LOC"], "BIOES"),
    ],
)
def test_C027_other_schemes_are_learned_as_iob2(tags: list[str], scheme: str) -> None:
    expected = ["B-PER", "O", "O", "B-ORG", "I-ORG", "O", "B-LOC", "B-LOC"]
    rows, notes, problems = TokenClassification().prepare_rows([row(SENTENCE, tags)])
    assert rows[0]["tags"] == expected
    assert notes == [f"tags are written as {scheme}: the same entities are learned and scored as IOB2"]
    assert problems == []
    task = learned([row(SENTENCE, tags)])
    assert task.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    predictions = decoded(task, [row(SENTENCE)], [expected])
    assert task.score(predictions, rows).metrics()["f1"] == 1.0


def test_iob2_rows_are_left_as_they_are() -> None:
    given = [row(SENTENCE, TAGS)]
    assert TokenClassification().prepare_rows(given) == (given, [], [])


def test_what_is_repaired_in_spans_is_said() -> None:
    rows, notes, _ = TokenClassification().prepare_rows([marked("New York e\u0301 ", (0, 3, "A"), (0, 8, "B"), (8, 10, "C"))])
    assert [(span["start"], span["end"]) for span in rows[0]["spans"]] == [(0, 8), (9, 11)]
    assert len(notes) == 2


def test_D17_rows_that_do_not_fit_are_all_named() -> None:
    bad = [row(["a"] * 12, ["O"] * 11, 3), row(["a"], ["B-X"], 4), marked("abc", (1, 9, "X"), number=5), {"id": "6", "row": 6, "file": "x"}]
    _, _, problems = TokenClassification().prepare_rows(bad)
    assert [(problem.row, problem.column) for problem in problems] == [(3, "tags"), (5, "spans"), (6, "")]
    assert problems[0].reason == "12 words but 11 tags"
    with pytest.raises(DataError) as error:
        learned(bad)
    assert len(error.value.problems) == 3


def test_D19_a_type_only_in_test_is_named() -> None:
    task = learned([row(SENTENCE, TAGS)])
    problems = task.unknown_labels([row(["a", "b"], ["B-ORGS", "I-ORGS"], 7), row(["a"], ["I-PER"], 8), marked("abc", (0, 3, "LOC"))])
    assert [(problem.row, problem.reason) for problem in problems] == [(7, "'ORGS' occurs in no training row; did you mean 'ORG'?")]


def test_D21_nothing_marked_is_nothing_to_learn() -> None:
    for rows in ([row(["a"], ["O"])], [marked("abc")], [row(["a"])], [row(["a", "b"], ["X", "X"])]):
        with pytest.raises(DataError, match="nothing to learn"):
            learned(rows)


def test_predictions_hold_no_forbidden_sequence_unless_asked_for() -> None:
    rows = [row([str(i) for i in range(50)], ["B-A", "I-A", "B-B", "I-B", "O"] * 10)]
    constrained, free = learned(rows), learned(rows, valid_transitions=False)

    def broken(task: TokenClassification) -> int:
        features = task.encode(rows, wordpiece())
        rng = np.random.default_rng(1)
        outputs = [{"logits": rng.normal(size=(len(feature["input_ids"]), 5))} for feature in features]
        tags = task.decode(outputs, features, rows)[0]["tags"]
        return sum(tag[0] == "I" and before[1:] != tag[1:] for before, tag in zip(["O", *tags], tags))

    assert broken(constrained) == 0
    assert broken(free) > 0


def test_C045_C047_scores_of_the_example_of_the_metrics_page() -> None:
    gold = ["B-MISC", "I-MISC", "O", "B-ORG", "O", "B-MISC", "O", "O", "O"]
    said = ["B-MISC", "I-MISC", "O", "B-ORG", "O", "O", "O", "O", "O"]
    rows = [row(list("abcdefghi"), gold)]
    task = learned(rows)
    metrics = task.score(decoded(task, rows, [said]), rows).metrics()
    assert metrics["precision"] == 1.0
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["f1"] == pytest.approx(0.8)
    assert metrics["accuracy"] == pytest.approx(8 / 9)


def test_C046_entities_never_cross_the_border_of_two_rows() -> None:
    rows = [row(["a", "b"], ["O", "B-X"], 1), row(["c", "d"], ["I-X", "O"], 2)]
    task = learned(rows)
    predictions = [{"tags": ["O", "B-X"]}, {"tags": ["B-X", "O"]}]
    assert task.score(predictions, rows).metrics()["f1"] == 1.0


def test_the_loss_counts_every_word_once_whatever_the_windows() -> None:
    words, tags = SENTENCE * 20, TAGS * 20
    long, short = learned([row(words, tags)], max_length=512), learned([row(words, tags)], max_length=24, stride=8)
    for task in (long, short):
        batch = task.collate(task.encode([row(words, tags)], wordpiece()), wordpiece())
        logits = torch.zeros(*batch["labels"].shape, len(task.labels))
        losses, counts = task.loss({"logits": logits}, batch)
        assert counts.sum().item() == 160
        assert losses.sum().item() == pytest.approx(160 * np.log(7), rel=1e-5)


@pytest.mark.parametrize("tokenizer", [wordpiece, roberta, gpt])
def test_padding_side_and_batches_change_no_prediction(tokenizer: Any) -> None:
    rows = [row(SENTENCE[: 1 + i % 8], TAGS[: 1 + i % 8], i) for i in range(1, 20)]
    task = learned(rows)
    engines = [Engine(engine(task, tokenizer()).model, tokenizer(), batch_tokens=size) for size in (1, 100_000)]
    one, other = (evaluate_rows(task, item, rows) for item in engines)
    if tokenizer().padding_side == "right":  # BERT's positions do not know of padding on the left
        assert [p["tags"] for p in one.predictions] == [p["tags"] for p in other.predictions]
        assert np.allclose(one.losses, other.losses, atol=1e-5)
    assert [len(p["tags"]) for p in other.predictions] == [len(r["tokens"]) for r in rows]


def test_facts_of_a_model_trained_elsewhere_allow_its_own_scheme() -> None:
    names = ["O", "I-PER", "I-LOC", "B-LOC"]
    model = small_bert("BertForTokenClassification", 50, id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})
    task = TokenClassification({"max_length": 64}, TokenClassification.facts_from_config(model.config))
    assert (task.labels, task.metric) == (names, "f1")
    rows = [row(["a", "b", "c"], ["B-PER", "O", "B-LOC"])]
    predictions = decoded(task, rows, [["I-PER", "O", "I-LOC"]])
    assert predictions[0]["tags"] == ["I-PER", "O", "I-LOC"]
    metrics = task.score(predictions, rows).metrics()
    assert (metrics["f1"], metrics["accuracy"]) == (1.0, 1.0)


def test_the_baseline_knows_each_words_most_frequent_tag() -> None:
    training = [row(SENTENCE, TAGS), row(["Face", "lamb"], ["O", "O"]), row(["Face"], ["O"])]
    task = learned(training)
    name, predictions = task.baseline(training, [row(["Sylvain", "Face", "zebra"], ["O"] * 3)]) or ("", [])
    assert name == "most-frequent-tag"
    assert predictions[0]["tags"] == ["B-PER", "O", "O"]
    assert predictions[0]["spans"][0]["text"] == "Sylvain"


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(RecipeError, match="label_pieces"):
        TokenClassification({"label_pieces": "last"})
    with pytest.raises(RecipeError, match="aggregation"):
        TokenClassification({"aggregation": "mean"})


def test_ten_thousand_sentences_are_decoded_in_about_a_second() -> None:
    rows = [row([*SENTENCE, str(i)], [*TAGS, "O"], i) for i in range(10_000)]
    task = learned(rows)
    features = task.encode(rows, wordpiece())
    rng = np.random.default_rng(1)
    outputs = [{"logits": rng.normal(size=(len(feature["input_ids"]), 7)).astype(np.float32)} for feature in features]
    began = time.perf_counter()
    assert len(task.decode(outputs, features, rows)) == 10_000
    assert time.perf_counter() - began < 5  # 0.8 s on an idle machine


def test_a_small_model_learns_tags_of_short_and_windowed_rows() -> None:
    rows = [row(SENTENCE, TAGS), row(SENTENCE * 4, TAGS * 4, 2), row(["lamb", "boycott"], ["O", "B-LOC"], 3)]
    task = learned(rows, max_length=24, stride=6)
    found = engine(task)
    features = task.encode(rows, wordpiece())
    batch = task.collate(features, wordpiece())
    optimizer = torch.optim.AdamW(found.model.parameters(), lr=0.02)
    for _ in range(60):
        losses, counts = task.loss(task.forward(found.model, batch), batch)
        optimizer.zero_grad()
        (losses.sum() / counts.sum()).backward()
        optimizer.step()
    evaluation = evaluate_rows(task, found, rows)
    assert evaluation.metrics()["f1"] == 1.0
    assert [prediction["tags"] for prediction in evaluation.predictions] == [line["tags"] for line in rows]
