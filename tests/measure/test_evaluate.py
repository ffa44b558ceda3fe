"""One path for evaluation and prediction: nothing depends on how features are batched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from oneloop.measure.evaluate import Engine, evaluate_rows, loss_statistics, predict_rows, run_features
from oneloop.measure.interval import interval
from oneloop.tasks.base import IGNORE, Task
from oneloop.tasks.token_classification import TokenClassification
from tests.small_tokenizers import KINDS, small_bert, wordpiece

WORDS = ["EU", "rejects", "German", "call", "to", "boycott", "British", "lamb"]
ROWS = [
    {
        "id": str(i),
        "row": i,
        "file": "",
        "tokens": WORDS[: 1 + i % 8] * (1 + 9 * (i == 5)),
        "tags": (["B-A"] + ["O"] * 7)[: 1 + i % 8] * (1 + 9 * (i == 5)),
    }
    for i in range(12)
]


@pytest.fixture(scope="module")
def task() -> TokenClassification:
    made = TokenClassification({"max_length": 24, "stride": 6})
    made.learn(ROWS)
    return made


def engine(task: Task, tokenizer: Any = None, **more: Any) -> Engine:
    tokenizer = tokenizer or wordpiece()
    return Engine(small_bert("BertForTokenClassification", len(tokenizer), **task.head_settings()), tokenizer, **more)


@pytest.mark.parametrize("batch_tokens", [1, 30, 100, 10_000])
def test_the_batch_size_changes_nothing(batch_tokens: int, task: TokenClassification) -> None:
    first, other = evaluate_rows(task, engine(task), ROWS), evaluate_rows(task, engine(task, batch_tokens=batch_tokens), ROWS)
    assert [line["tags"] for line in other.predictions] == [line["tags"] for line in first.predictions]
    assert other.metrics() == pytest.approx(first.metrics(), rel=1e-6)
    np.testing.assert_allclose(other.losses, first.losses, rtol=1e-5)


@pytest.mark.parametrize("kind", ["wordpiece", "xlnet"])
def test_outputs_per_token_are_cut_to_the_features_own_tokens_on_either_side(kind: str, task: TokenClassification) -> None:
    made = engine(task, KINDS[kind]())
    features = task.encode(ROWS, made.tokenizer)
    together = run_features(task, made, features, labelled=False).found
    for feature, output in zip(features, together):
        assert output["logits"].shape == (len(feature["input_ids"]), len(task.labels))
        alone = run_features(task, made, [feature], labelled=False).found[0]
        if kind == "wordpiece":  # absolute positions move with padding on the left, whatever is cut
            np.testing.assert_allclose(output["logits"], alone["logits"], atol=1e-5)


class Generates(Task):
    """Outputs that happen to be as wide as the padded input are not cut: only `per_token` ones are."""

    def forward(self, model: Any, batch: Any) -> Any:
        ids = batch["inputs"]["input_ids"]
        return {"ids": ids.clone() * 0 + 5}


def test_outputs_that_are_not_per_token_are_left_whole() -> None:
    features = [{"row": 0, "input_ids": [2, 7, 3]}, {"row": 1, "input_ids": [2, 7, 8, 9, 3]}]
    found = run_features(Generates(), Engine(torch.nn.Linear(1, 1), wordpiece()), features, labelled=False).found
    assert [len(output["ids"]) for output in found] == [5, 5]


class Draws(Task):
    """Draws labels, and remembers the numbers it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def draw(self, feature: Any, number: int) -> Any:
        self.numbers.append(number)
        return feature | {"labels": [number % 3] * len(feature["input_ids"])}

    def forward(self, model: Any, batch: Any) -> Any:
        return {"logits": torch.nn.functional.one_hot(batch["inputs"]["input_ids"] % 3, 3).float()}


def test_evaluation_draws_the_same_for_the_same_ids_and_prediction_draws_nothing() -> None:
    features = [{"row": 0, "input_ids": [2, 7, 3]}, {"row": 1, "input_ids": [2, 8, 3]}, {"row": 2, "input_ids": [2, 7, 3]}]
    task, made = Draws(), Engine(torch.nn.Linear(1, 1), wordpiece())
    losses = run_features(task, made, features, labelled=True).losses
    assert task.numbers[0] == task.numbers[2] != task.numbers[1] and losses[0] == losses[2]
    again = run_features(task, made, features[::-1], labelled=True).losses
    assert again[::-1].tolist() == losses.tolist()
    task.numbers.clear()
    assert np.isnan(run_features(task, made, features, labelled=False).losses).all() and not task.numbers


def test_losses_of_a_row_are_the_mean_over_its_labels(task: TokenClassification) -> None:
    found = evaluate_rows(task, engine(task), ROWS)
    features, sums, counts = found.features, np.zeros(len(ROWS)), np.zeros(len(ROWS))
    for feature, loss, count in zip(features, found.outputs.losses, found.outputs.counts):
        sums[feature["row"]] += loss
        counts[feature["row"]] += count
        assert count == sum(label != IGNORE for label in feature["labels"])
    np.testing.assert_allclose(found.losses, sums / counts)
    assert found.metrics()["loss"] == pytest.approx(sums.sum() / counts.sum())


def test_loss_is_weighted_by_labels_and_undefined_without_any() -> None:
    statistics = loss_statistics(np.array([2.0, 6.0]), np.array([1.0, 2.0]))
    assert statistics.metrics() == {"loss": pytest.approx(8 / 3)} and interval(statistics)["loss"]["value"] == pytest.approx(8 / 3)
    assert np.isnan(loss_statistics(np.zeros(2), np.zeros(2)).metrics()["loss"])


def test_rows_without_answers_are_predicted_like_rows_with_them(task: TokenClassification) -> None:
    made = engine(task)
    bare = [{name: value for name, value in row.items() if name != "tags"} for row in ROWS]
    assert predict_rows(task, made, bare) == predict_rows(task, made, ROWS)
    assert predict_rows(task, made, []) == []


def test_the_model_is_put_to_sleep_and_polled(task: TokenClassification) -> None:
    calls: list[int] = []
    made = engine(task, batch_tokens=30, poll=lambda: calls.append(1))
    made.model.train()
    evaluate_rows(task, made, ROWS)
    assert not made.model.training and len(calls) > 2
