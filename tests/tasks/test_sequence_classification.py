"""Sequence classification: labels, several labels and numbers, short and long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from oneloop.errors import DataError, RecipeError
from oneloop.measure.evaluate import Engine, Evaluation, evaluate_rows, predict_rows
from oneloop.tasks import task_class
from oneloop.tasks.sequence_classification import SequenceClassification
from tests.small_tokenizers import KINDS, small_bert, wordpiece, xlnet


def rows(*targets: Any, role: str = "label", **more: Any) -> list[dict[str, Any]]:
    texts = ["call the lamb", "EU rejects German call " * 20, "", "My name is Sylvain"]
    made = [{"id": str(i), "row": i + 1, "file": "x.csv", "text": texts[i % 4], **more} for i in range(len(targets))]
    return [row if target is None else row | {role: target} for row, target in zip(made, targets)]


def learned(training: list[dict[str, Any]], **settings: Any) -> SequenceClassification:
    task = SequenceClassification({"max_length": 24, "stride": 6, "label_smoothing": 0.0} | settings)
    task.learn(training)
    return task


def evaluated(task: SequenceClassification, found: list[dict[str, Any]], **engine: Any) -> Evaluation:
    model = small_bert(task.head.replace("AutoModel", "Bert"), len(wordpiece()), **task.head_settings())
    return evaluate_rows(task, Engine(model, wordpiece(), **engine), found)


def test_it_is_in_the_table_and_says_what_it_is() -> None:
    assert task_class("text-classification") is SequenceClassification
    for fact in ("does", "label_shape", "collator", "metric_limits"):
        assert len(getattr(SequenceClassification, fact)) > 20


def test_C037_label_names_and_their_number_come_from_the_training_rows() -> None:
    task = learned(rows("neutral", "entailment", "contradiction", "neutral"))
    assert task.labels == ["contradiction", "entailment", "neutral"]
    assert task.head_settings() == {
        "num_labels": 3,
        "id2label": {0: "contradiction", 1: "entailment", 2: "neutral"},
        "label2id": {"contradiction": 0, "entailment": 1, "neutral": 2},
        "problem_type": "single_label_classification",
    }


def test_C036_scores_are_scikit_learns() -> None:
    training = rows("a", "b", "c", "a", "b", "a")
    task = learned(training)
    found = evaluated(task, training)
    gold, said = [row["label"] for row in training], [prediction["label"] for prediction in found.predictions]
    metrics = found.metrics()
    assert metrics["accuracy"] == pytest.approx(accuracy_score(gold, said), abs=1e-12)
    assert metrics["macro_f1"] == pytest.approx(f1_score(gold, said, labels=task.labels, average="macro", zero_division=0), abs=1e-12)


def test_predictions_hold_label_and_scores_that_add_up_to_one() -> None:
    found = evaluated(learned(rows("a", "b", "c")), rows("a", "b", "c"))
    for prediction in found.predictions:
        assert list(prediction["scores"]) == ["a", "b", "c"]
        assert sum(prediction["scores"].values()) == pytest.approx(1)
        assert prediction["label"] == max(prediction["scores"], key=prediction["scores"].__getitem__)


def test_a_long_text_is_read_in_windows_and_counts_as_one_row() -> None:
    training = rows("a", "b", "a", "b")
    task = learned(training)
    features = task.encode(training, wordpiece())
    assert sum(feature["row"] == 1 for feature in features) > 3
    batch = task.collate(features, wordpiece())
    model = small_bert("BertForSequenceClassification", len(wordpiece()), **task.head_settings())
    losses, counts = task.loss(task.forward(model, batch), batch)
    assert counts.tolist() == [float(feature["window"] == 0) for feature in features]
    mine = [position for position, feature in enumerate(features) if feature["row"] == 1]
    alone = model(**{name: value[mine] for name, value in batch["inputs"].items()}).logits
    weights = torch.tensor([float(features[position]["width"]) for position in mine])
    pooled = (alone * weights[:, None]).sum(0) / weights.sum()
    expected = torch.nn.functional.cross_entropy(pooled[None], torch.tensor([task.labels.index("b")]))
    assert losses[mine].sum().item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 64, 100_000])
def test_predictions_do_not_depend_on_the_batches(batch_tokens: int) -> None:
    training = rows(*"abababab")
    task = learned(training)
    whole, cut = evaluated(task, training), evaluated(task, training, batch_tokens=batch_tokens)
    assert np.allclose(whole.losses, cut.losses, atol=1e-6)
    for one, other in zip(whole.predictions, cut.predictions):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-6)


def test_as_many_classes_as_tokens_are_not_mistaken_for_tokens() -> None:
    names = [f"class {i}" for i in range(12)]
    training = [{"id": str(i), "row": i + 1, "file": "x", "text": "lamb", "label": name} for i, name in enumerate(names)]
    task = learned(training)
    width = len(task.encode(training[:1], wordpiece())[0]["input_ids"])
    training[0]["text"] = "lamb " * ((12 - width) // (width - 2) + 1) + "."
    assert 12 in {len(feature["input_ids"]) for feature in task.encode([row | {"text": ". " * 10} for row in training], wordpiece())}
    found = evaluated(task, [row | {"text": "." if i else ". " * 10} for i, row in enumerate(training)])
    assert {len(prediction["scores"]) for prediction in found.predictions} == {12}


@pytest.mark.parametrize("kind", KINDS)
def test_C034_single_texts_and_pairs_are_encoded_like_the_tokenizer_does(kind: str) -> None:
    tokenizer = KINDS[kind]()
    task = SequenceClassification({"max_length": 128}, {"labels": ["a", "b"], "kind": "single"})
    single, pair = {"text": "EU rejects"}, {"text": "EU rejects", "text_pair": "British lamb"}
    features = task.encode([single, pair], tokenizer)
    assert features[0]["input_ids"] == tokenizer("EU rejects")["input_ids"]
    assert features[1]["input_ids"] == tokenizer("EU rejects", "British lamb")["input_ids"]
    if "token_type_ids" in tokenizer.model_input_names:
        assert features[1]["token_type_ids"] == tokenizer("EU rejects", "British lamb")["token_type_ids"]


def test_left_padding_changes_nothing_for_the_loss() -> None:
    training = rows("a", "b", "a", "b")
    task = learned(training)
    features = task.encode(training, xlnet())
    assert task.collate(features, xlnet())["inputs"]["attention_mask"][:, -1].tolist() == [1] * len(features)


def test_rows_without_a_label_are_predicted() -> None:
    task = learned(rows("a", "b"))
    model = small_bert("BertForSequenceClassification", len(wordpiece()), **task.head_settings())
    predictions = predict_rows(task, Engine(model, wordpiece()), [{"id": "1", "text": "lamb"}, {"id": "2", "text": ""}])
    assert predictions[0]["label"] in task.labels
    assert predictions[1]["flag"] == "no tokens"


def test_D10_a_monstrous_word_is_counted_in_the_prediction() -> None:
    task = learned(rows("a", "b"))
    model = small_bert("BertForSequenceClassification", len(wordpiece()), **task.head_settings())
    assert predict_rows(task, Engine(model, wordpiece()), [{"id": "1", "text": "a" * 50_000}])[0]["cut"] == 1


def test_C038_several_labels() -> None:
    training = rows(["bug", "ui"], [], ["ui"], ["docs", "ui"], role="labels")
    task = learned(training)
    assert (task.kind, task.labels) == ("multi", ["bug", "docs", "ui"])
    assert task.head_settings()["problem_type"] == "multi_label_classification"
    features = task.encode(training, wordpiece())
    assert task.collate(features, wordpiece())["labels"][0].tolist() == [1.0, 0.0, 1.0]
    found = evaluated(task, training)
    metrics = found.metrics()
    said = [[float(name in prediction["labels"]) for name in task.labels] for prediction in found.predictions]
    gold = [[float(name in row["labels"]) for name in task.labels] for row in training]
    assert metrics["micro_f1"] == pytest.approx(f1_score(gold, said, average="micro", zero_division=0))
    assert metrics["macro_f1"] == pytest.approx(f1_score(gold, said, average="macro", zero_division=0))


def test_thresholds_are_chosen_on_validation_rows_and_raise_their_f1() -> None:
    training = rows(*[["a"] if i % 3 == 0 else ["a", "b"] if i % 3 == 1 else [] for i in range(12)], role="labels")
    task = learned(training)
    before = evaluated(task, training)
    task.calibrate(before.outputs.found, before.features, training)
    assert set(task.facts["thresholds"]) == {"a", "b"}
    assert evaluated(task, training).metrics()["macro_f1"] >= before.metrics()["macro_f1"]


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_regression(factor: float) -> None:
    training = rows(*[factor * value for value in (0.0, 2.5, 5.0, 1.0)], role="score")
    task = learned(training)
    assert (task.kind, task.metric) == ("regression", "spearman")
    assert task.head_settings()["num_labels"] == 1
    found = evaluated(task, training)
    values = np.array([prediction["value"] for prediction in found.predictions])
    gold = np.array([row["score"] for row in training])
    assert found.metrics()["rmse"] == pytest.approx(np.sqrt(((values - gold) ** 2).mean()), rel=1e-6)
    std = task.facts.get("std", 1.0)
    assert found.losses == pytest.approx(((values - gold) / std) ** 2, rel=1e-4)
    assert ("std" in task.facts) == (factor > 1)


def test_class_weights_are_a_weighted_mean() -> None:
    training = rows("a", "a", "a", "b")
    task = learned(training, class_weights="balanced")
    assert task.facts["class_weights"] == [4 / 6, 2.0]
    features = task.encode(training, wordpiece())
    batch = task.collate(features, wordpiece())
    _, counts = task.loss({"logits": torch.zeros(len(features), 1, 2)}, batch)
    assert counts.sum().item() == pytest.approx(4.0)


def test_C037_facts_of_a_model_trained_elsewhere() -> None:
    model = small_bert("BertForSequenceClassification", 50, id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1})
    assert SequenceClassification.facts_from_config(model.config) == {"labels": ["neg", "pos"], "kind": "single"}
    rating = small_bert("BertForSequenceClassification", 50, num_labels=1)
    task = SequenceClassification({}, SequenceClassification.facts_from_config(rating.config))
    assert (task.kind, task.metric) == ("regression", "spearman")


def test_D19_a_label_only_in_test_is_named_with_its_row_and_the_nearest_label() -> None:
    task = learned(rows("positive", "negative"))
    problems = task.unknown_labels(rows("negative", "Postive", "other", None))
    assert [(problem.row, problem.column) for problem in problems] == [(2, "label"), (3, "label")]
    assert problems[0].reason == "'Postive' occurs in no training row; did you mean 'positive'?"
    several = learned(rows(["x"], ["y"], role="labels"))
    assert [problem.row for problem in several.unknown_labels(rows(["x", "z"], ["y"], role="labels"))] == [1]


def test_D20_one_class_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        learned(rows("a", "a"))
    with pytest.raises(DataError, match="no row has a label"):
        learned(rows(None, None))


def test_baselines() -> None:
    task = learned(rows("a", "b", "b"))
    name, predictions = task.baseline(rows("a", "b", "b"), rows("a", "b")) or ("", [])
    assert (name, [prediction["label"] for prediction in predictions]) == ("majority", ["b", "b"])
    assert task.score(predictions, rows("a", "b")).metrics()["accuracy"] == 0.5
    numbers = learned(rows(1.0, 3.0, role="score"))
    assert numbers.baseline(rows(1.0, 3.0, role="score"), rows(0.0, role="score")) == ("mean", [{"value": 2.0}])


def test_the_reference_is_the_label_alone() -> None:
    assert learned(rows("a", "b")).reference(rows("a")[0]) == "a"


@pytest.mark.parametrize("role", ["label", "labels", "score"])
def test_a_small_model_learns_short_and_long_rows(role: str) -> None:
    values = {"label": ["a", "b", "b", "c"], "labels": [["a"], ["a", "b"], [], ["b"]], "score": [0.0, 1.0, 2.0, 4.0]}[role]
    training = rows(*values, role=role)
    task = learned(training)
    model = small_bert("BertForSequenceClassification", len(wordpiece()), initializer_range=0.2, **task.head_settings())
    batch = task.collate(task.encode(training, wordpiece()), wordpiece())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(80):
        losses, counts = task.loss(task.forward(model, batch), batch)
        optimizer.zero_grad()
        (losses.sum() / counts.sum()).backward()
        optimizer.step()
    metrics = evaluate_rows(task, Engine(model, wordpiece()), training).metrics()
    assert metrics[task.metric] == pytest.approx(1.0)
    assert metrics["loss"] < 0.2


def test_settings_that_mean_nothing_are_refused_together() -> None:
    with pytest.raises(RecipeError, match=r"class_weights is 'balancd' and label_smoothing is 1.5") as found:
        SequenceClassification({"class_weights": "balancd", "label_smoothing": 1.5})
    assert "none, balanced" in str(found.value)
    for smoothing in (-0.1, 1.0, float("nan")):
        with pytest.raises(RecipeError, match="label_smoothing"):
            SequenceClassification({"label_smoothing": smoothing})
    SequenceClassification({"class_weights": "balanced", "label_smoothing": 0})


def test_numbers_have_no_classes_to_weigh() -> None:
    with pytest.raises(RecipeError, match="numbers have no classes"):
        learned(rows(1.0, 2.0, role="score"), class_weights="balanced")
