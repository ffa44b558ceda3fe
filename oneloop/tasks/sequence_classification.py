"""Sequence classification: one label, several labels or a number for each text or pair of texts.

In:  {"text": "Refund me now", "label": "angry"}; with "text_pair" for pairs, "labels" for several, "score" for numbers
Out: {"label": "angry", "scores": {"angry": 0.93, "calm": 0.07}}; {"labels": […], "scores": {…}}; {"value": 3.7}

A long text is read in windows, and the row's logits are the mean over its windows, weighted by their tokens: in
training, evaluation and prediction alike. Nothing is cut: of a pair, the shorter text stands in every window where it
fits into half of one, else both move along together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oneloop.encode.labels import check_weighing, classes, scale, unknown
from oneloop.errors import DataError, Problem
from oneloop.read import cells
from oneloop.tasks.base import Batch, Clues, Column, Feature, Field, Prediction, Row, Task
from oneloop.tasks.targets import PROBLEM_TYPES, SHAPES, TARGETS

if TYPE_CHECKING:
    import torch

    from oneloop.measure.statistics import Statistics


class SequenceClassification(Task):
    """Name the class of a text, or rate it."""

    name = "sequence-classification"
    columns = (
        Column("text", cells.text, help="the text to classify"),
        Column("text_pair", cells.text, required=False, help="a second text, for pairs"),
        Column("label", cells.label, target=True, required=False, help="the one class"),
        Column("labels", cells.labels, target=True, required=False, help="all classes that apply"),
        Column("score", cells.number, target=True, required=False, help="a number (regression)"),
    )
    head = "AutoModelForSequenceClassification"
    metric = "macro_f1"
    aliases = ("text-classification",)
    does = "gives each text, or pair of texts, one label, several labels or a number"
    label_shape = "one class id per text; a multi-hot vector for several labels; a float for a number"
    collator = "dynamic padding: each batch as wide as its longest text"
    metric_limits = (
        "Macro-F1 counts a class of three rows as much as one of three thousand: see the support beside it. Accuracy looks good when one "
        "class is most of the data: compare it with the majority baseline."
    )
    clues = Clues(
        phrases={
            r"\b(sentiment|polarity|stance|sarcas\w+|toxic(ity)?|hate(ful)? speech|spam|phishing)\b": 1.5,
            r"\b(classif|clasific|klassifiz)\w+|\b(categori[sz]e|einordnen|einstufen)\b": 1.5,
            r"\b(one of|into|between|eine von|una de|une des) (\w+ ){0,3}(categor\w+|class(es)?|types|departments|buckets"
            r"|teams|labels|topics|levels|kategorien|clases|services)\b": 2.0,
            r"\byes (or|/) no\b|\b(or|o|ou|oder) (not|no|non|nicht)\b|\bwhether\b|\bobt? (ein|der|die|das)\b": 1.2,
            r"\bpositiv\w*,? (or|and|/|o|ou|oder|,)? ?negativ\w*\b": 2.0,
            r"\b(star rating|stars|priority|urgency|severity|triage|grade|score|intent) (of|for|to|from|per|each)\b": 1.0,
            r"\b(each|every|all) (word|token)\b": -2.0,
        },
        shape="one label, several labels or one number beside each text or pair of texts",
        example="Tag each review with its sentiment.",
    )
    fields = {
        "class_weights": Field(str, "none", "`balanced` weighs classes by the inverse of their frequency"),
        "label_smoothing": Field(float, 0.1, "share of a label that training spreads over all classes; scores are not smoothed"),
    }
    defaults = {"learning_rate": 3e-4, "head_factor": 5.0, "batch_rows": 32, "epochs": 6.0, "freeze": 2}
    row_metrics = ("accuracy",)
    whole_rows = True

    def __init__(self, settings: dict[str, Any] | None = None, facts: dict[str, Any] | None = None) -> None:
        super().__init__(settings, facts)
        check_weighing(self.settings)
        self._set_metric()

    @classmethod
    def for_roles(cls, roles: Iterable[str]) -> dict[str, str]:
        """Numbers and several labels have a shape of their own, numbers also a metric."""
        return next((SHAPES[role] for role in roles if role in SHAPES), {})

    def _set_metric(self) -> None:
        if self.kind == "regression":
            vars(self)["metric"] = "spearman"  # the class's metric holds for labels

    @property
    def kind(self) -> str:
        """ "single", "multi" or "regression"."""
        return str(self.facts.get("kind", "single"))

    @property
    def labels(self) -> list[str]:
        """The class names, in the order of the model's outputs."""
        return list(self.facts.get("labels", []))

    def learn(self, rows: Sequence[Row]) -> None:
        """Kind, label names (sorted), class weights, and the scale of scores. DataError when there is nothing to learn."""
        role = next((role for role in TARGETS if any(role in row for row in rows)), None)
        if role is None:
            expected = "a column with the label, labels or score of each text"
            raise DataError("no row has a label", expected=expected, fix="name it with --columns label=COLUMN")
        self.facts["kind"] = TARGETS[role]
        if role == "score":
            check_weighing(self.settings, numbers=True)
            self.facts |= scale([row["score"] for row in rows if "score" in row]) | {"labels": ["score"]}
        else:
            sets = [row["labels"] if role == "labels" else [row["label"]] for row in rows if role in row]
            self.facts |= classes(sets, role, balanced=self.settings["class_weights"] == "balanced")
        self._set_metric()

    def prepare_model(self, model: Any, rows: Sequence[Row], features: Sequence[Feature]) -> None:
        """Let the first token reach the classifier where the pooler was never trained."""
        from oneloop.model.head import open_pooler

        open_pooler(model)

    def unknown_labels(self, rows: Sequence[Row]) -> list[Problem]:
        """One problem for each label of each row that no training row has."""
        if self.kind == "regression":
            return []
        role = "labels" if self.kind == "multi" else "label"
        return unknown(rows, self._gold, set(self.labels), lambda row: role)

    def _gold(self, row: Row) -> list[str]:
        """The labels of a row, one or several."""
        return list(row.get("labels", ())) if self.kind == "multi" else [row["label"]] if "label" in row else []

    def has_target(self, row: Row) -> bool:
        """Whether the row has a label, labels or a score."""
        return any(role in row for role in TARGETS)

    def head_settings(self) -> dict[str, Any]:
        """Label names and the problem type."""
        return super().head_settings() | {"problem_type": PROBLEM_TYPES[self.kind]}

    @classmethod
    def facts_from_config(cls, config: Any) -> dict[str, Any]:
        """Label names and kind from a Hugging Face config."""
        facts = super().facts_from_config(config)
        by_type = {problem_type: kind for kind, problem_type in PROBLEM_TYPES.items()}
        kind = by_type.get(getattr(config, "problem_type", None) or "")
        return facts | {"kind": kind or ("regression" if len(facts["labels"]) == 1 else "single")}

    # ---- text to ids, batch, model ------------------------------------------------------------
    def encode(self, rows: Sequence[Row], tokenizer: Any) -> list[Feature]:
        """Features of each row: one, or the windows of a long text; every window carries the row's label."""
        from oneloop.encode.texts import window_texts

        features = window_texts(rows, tokenizer, self.settings.get("max_length"), self.settings.get("stride"))
        place = {name: i for i, name in enumerate(self.labels)}
        for feature in features:
            target = self._target(rows[feature["row"]], place)
            if target is not None:
                feature["labels"] = target
        return features

    def _target(self, row: Row, place: dict[str, int]) -> Any:
        """The label as the loss takes it; None where the row has none."""
        if self.kind == "regression":
            return (row["score"] - self.facts.get("mean", 0.0)) / self.facts.get("std", 1.0) if "score" in row else None
        if self.kind == "single":
            return place.get(row["label"], -100) if "label" in row else None
        return [float(name in set(row["labels"])) for name in self.labels] if "labels" in row else None

    def collate(self, features: Sequence[Feature], tokenizer: Any) -> Batch:
        """Padded inputs and labels; "weights" (B,): tokens of each window, "first" (B,): the window that carries the row's loss."""
        import torch

        batch = super().collate(features, tokenizer)
        batch["weights"] = torch.tensor([max(feature["width"], 1) for feature in features], dtype=torch.float32)
        batch["first"] = torch.tensor([feature["window"] == 0 for feature in features])
        return batch

    def forward(self, model: Any, batch: Batch) -> dict[str, torch.Tensor]:
        """{"logits": (B, 1, L)}: each window has its whole row's logits. The middle axis tells classes from equally many tokens."""
        from oneloop.model.pooled_windows import run_windows

        return {"logits": run_windows(model, batch["inputs"], batch["rows"], batch["weights"])[:, None]}

    def loss(self, outputs: dict[str, torch.Tensor], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of each row, on its first window: cross-entropy, binary cross-entropy or squared error."""
        from oneloop.model import losses

        logits, labels, weights = outputs["logits"][:, 0], batch["labels"], self.facts.get("class_weights")
        if self.kind == "regression":
            found, counts = losses.squared_error(logits[:, 0], labels)
        elif self.kind == "multi":
            found, counts = losses.binary_cross_entropy(logits, labels, weights)
        else:
            smoothing = self.settings["label_smoothing"] if batch.get("training") else 0.0  # scores are never smoothed
            found, counts = losses.smoothed_cross_entropy(logits, labels, smoothing, weights)
        return found * batch["first"], counts * batch["first"]

    # ---- labels, scores -------------------------------------------------------------------------
    def decode(
        self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row], tokenizer: Any = None
    ) -> list[Prediction]:
        """One prediction per row; "cut" and "flag" where something was not read."""
        predictions: list[Prediction] = [{} for _ in rows]
        for feature, output in zip(features, outputs):
            prediction = predictions[feature["row"]]
            if feature["window"] == 0:
                prediction |= self._predict(output["logits"].reshape(-1).astype(np.float64))
            for key in ("cut", "flag"):
                if feature.get(key):
                    prediction[key] = feature[key]
        return predictions

    def _predict(self, logits: np.ndarray) -> Prediction:
        """The prediction from a row's logits, (L,)."""
        from oneloop.measure.probabilities import sigmoid, softmax

        if self.kind == "regression":
            return {"value": float(logits[0] * self.facts.get("std", 1.0) + self.facts.get("mean", 0.0))}
        probabilities = sigmoid(logits) if self.kind == "multi" else softmax(logits)
        scores = dict(zip(self.labels, probabilities.tolist()))
        if self.kind == "single":
            return {"label": self.labels[int(logits.argmax())], "scores": scores}
        thresholds = self.facts.get("thresholds", {})
        return {"labels": [name for name, p in scores.items() if p >= thresholds.get(name, 0.5)], "scores": scores}

    def calibrate(self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row]) -> None:
        """Several labels: for each the threshold with the best F1 on these rows (0.5 for a label that none of them has)."""
        if self.kind != "multi":
            return
        from oneloop.measure.probabilities import best_threshold

        scores = [prediction["scores"] for prediction in self.decode(outputs, features, rows)]
        for name in self.labels:
            gold = np.array([name in row["labels"] for row in rows])
            self.facts.setdefault("thresholds", {})[name] = best_threshold(np.array([line[name] for line in scores]), gold)

    def score(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> Statistics:
        """accuracy, macro_f1, micro_f1; or pearson, spearman, rmse."""
        from oneloop.measure import classification

        if self.kind == "regression":
            return classification.regression([p["value"] for p in predictions], [row["score"] for row in rows])
        if self.kind == "multi":
            return classification.multi_label([p["labels"] for p in predictions], [row["labels"] for row in rows], self.labels)
        return classification.single_label([p["label"] for p in predictions], [row["label"] for row in rows], self.labels)

    def baseline(self, train: Sequence[Row], rows: Sequence[Row]) -> tuple[str, list[Prediction]] | None:
        """The most frequent label or label set of the training rows; for numbers their mean."""
        from oneloop.measure.baseline import majority_class, majority_labels, mean_value

        if self.kind == "regression":
            return mean_value(train, rows)
        return majority_labels(train, rows) if self.kind == "multi" else majority_class(train, rows)
