"""The contract test: every trainable task keeps it, and each broken promise is found and named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oneloop.tasks import table, task_class
from oneloop.tasks.base import Column, Field
from oneloop.tasks.sequence_classification import SequenceClassification
from oneloop.tasks.token_classification import TokenClassification
from oneloop.testing import ContractError, check_task
from oneloop.testing.clauses import CLAUSES

WORDS = ["the red cup fell off the old table", "a dog sleeps", "rain again and again and again", "she reads a book about cups"]
LABELS = [{"text": f"{WORDS[i % 4]} {i}", "label": "ab"[i % 2]} for i in range(12)]
TAGGED = [
    {"tokens": f"Ann saw Rome {i} times , Ann said".split(), "tags": ["B-PER", "O", "B-LOC", "O", "O", "O", "B-PER", "O"]} for i in range(8)
]
TEXT = "Ann saw the cup in Rome , and the dog slept under the old table while it rained and rained and rained all over the town"
ASKED = [
    {"question": f"Where was cup {i} ?", "context": TEXT, "answers": [{"text": "Rome", "start": TEXT.index("Rome")}]} for i in range(6)
]
ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "sequence-classification": {
        "labels": LABELS,
        "pairs": [row | {"text_pair": "what fell"} for row in LABELS],
        "several": [{"text": row["text"], "labels": ["x", row["label"]][: 1 + i % 2]} for i, row in enumerate(LABELS)],
        "numbers": [{"text": row["text"], "score": float(i % 5)} for i, row in enumerate(LABELS)],
    },
    "token-classification": {
        "words": TAGGED,
        "pos": [{"tokens": row["tokens"], "tags": ["N", "V", "N", "NUM", "N", "P", "N", "V"]} for row in TAGGED],
        "spans": [{"text": f"Ann saw Rome {i}", "spans": [{"start": 8, "end": 12, "label": "LOC"}]} for i in range(6)],
    },
    "question-answering": {"answers": ASKED, "none": [*ASKED, *({"question": "Who ?", "context": TEXT, "answers": []} for _ in range(4))]},
}


def test_every_trainable_task_is_held_against_the_contract() -> None:
    assert set(ROWS) == {name for name in table() if task_class(name).trainable}


@pytest.mark.parametrize(("task", "kind"), [(task, kind) for task, kinds in ROWS.items() for kind in kinds])
def test_C_a_task_keeps_the_contract(task: str, kind: str) -> None:
    check_task(task_class(task), ROWS[task][kind])


# ---- broken on purpose: each is found, and the clause is named ------------------------------------------------
class NoHelp(SequenceClassification):
    fields = {"knob": Field(int, 1, "")}


class WrongDefault(SequenceClassification):
    defaults = {"learning_rat": 1e-3}


def nothing(cell: Any) -> str:
    raise KeyError(cell)


class ParserRaises(SequenceClassification):
    columns = (Column("text", nothing, help="x"), *SequenceClassification.columns[1:])


class FactsNotJson(SequenceClassification):
    def learn(self, rows: Any) -> None:
        super().learn(rows)
        self.facts["set"] = {1, 2}


class FactsChangeInJson(SequenceClassification):
    def learn(self, rows: Any) -> None:
        super().learn(rows)
        self.facts["places"] = {1: "a"}


class ChangesRows(SequenceClassification):
    def encode(self, rows: Any, tokenizer: Any) -> Any:
        for row in rows:
            row["text"] = row["text"].lower() + "!"
        return super().encode(rows, tokenizer)


class DropsARow(SequenceClassification):
    def encode(self, rows: Any, tokenizer: Any) -> Any:
        return [feature for feature in super().encode(rows, tokenizer) if feature["row"] != 1]


class Leaks(SequenceClassification):
    def encode(self, rows: Any, tokenizer: Any) -> Any:
        return super().encode([row | {"text": row.get("label", "") + " " + row["text"]} for row in rows], tokenizer)


class LabelsSpecialTokens(TokenClassification):
    def encode(self, rows: Any, tokenizer: Any) -> Any:
        found = super().encode(rows, tokenizer)
        for feature in found:
            if "labels" in feature:
                feature["labels"] = [0 if label < 0 else label for label in feature["labels"]]
        return found


class MeanLoss(SequenceClassification):
    def loss(self, outputs: Any, batch: Any) -> Any:
        losses, counts = super().loss(outputs, batch)
        return losses.mean(), counts.sum()


class BatchLoss(SequenceClassification):
    def loss(self, outputs: Any, batch: Any) -> Any:
        losses, counts = super().loss(outputs, batch)
        return losses / len(losses), counts


class NaNLoss(SequenceClassification):
    def loss(self, outputs: Any, batch: Any) -> Any:
        losses, counts = super().loss(outputs, batch)
        return losses * float("nan"), counts


class NumpyPrediction(SequenceClassification):
    def decode(self, *given: Any) -> Any:
        return [said | {"share": np.float32(0.5)} for said in super().decode(*given)]


class WrongOrder(SequenceClassification):
    def decode(self, outputs: Any, features: Any, rows: Any, tokenizer: Any = None) -> Any:
        return super().decode(outputs, features, rows)[::-1]


class Misnamed(SequenceClassification):
    def _set_metric(self) -> None:
        vars(self)["metric"] = "f2"


class CutsShort(TokenClassification):
    def encode(self, rows: Any, tokenizer: Any) -> Any:
        seen: set[int] = set()
        return [f for f in super().encode(rows, tokenizer) if not (f["row"] in seen or seen.add(f["row"]))]  # type: ignore[func-returns-value]


class ForgetsFacts(SequenceClassification):
    def learn(self, rows: Any) -> None:
        super().learn(rows)
        self.hidden = self.facts["labels"]

    def decode(self, *given: Any) -> Any:
        return [said | {"known": len(getattr(self, "hidden", []))} for said in super().decode(*given)]


class ShiftsTags(TokenClassification):
    def decode(self, *given: Any) -> Any:
        return [said | {"tags": said["tags"][1:] + said["tags"][:1]} for said in super().decode(*given)]


class OrderedScore(SequenceClassification):
    def score(self, predictions: Any, rows: Any) -> Any:
        found = super().score(predictions, rows)
        found.table[:, 2] = [i > 0 and row["label"] == rows[i - 1]["label"] for i, row in enumerate(rows)]
        return found


BROKEN = [
    (NoHelp, "facts"),
    (WrongDefault, "facts"),
    (ParserRaises, "columns: a cell"),
    (FactsNotJson, "prepare_rows and learn"),
    (FactsChangeInJson, "prepare_rows and learn"),
    (ChangesRows, "encode"),
    (DropsARow, "encode"),
    (Leaks, "encode: the answer"),
    (LabelsSpecialTokens, "encode: token labels"),
    (MeanLoss, "forward and loss"),
    (BatchLoss, "forward and loss"),
    (NaNLoss, "forward and loss"),
    (NumpyPrediction, "decode"),
    (WrongOrder, "decode"),
    (Misnamed, "score"),
    (CutsShort, "odd and long"),
    (ForgetsFacts, "save and load"),
    (ShiftsTags, "decode and score: the right"),
    (OrderedScore, "score"),
]


@pytest.mark.parametrize(("task", "clause"), BROKEN, ids=[task.__name__ for task, _ in BROKEN])
def test_a_broken_promise_is_found_and_its_clause_is_named(task: Any, clause: str) -> None:
    rows = TAGGED if issubclass(task, TokenClassification) else LABELS
    with pytest.raises(ContractError, match="^" + clause) as found:
        check_task(task, rows)
    assert isinstance(found.value, AssertionError) and found.value.what


def test_the_clauses_are_named_in_words() -> None:
    assert all(len(name) > 10 for name in CLAUSES)
