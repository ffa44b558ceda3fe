"""The contract of a task: four facts, four verbs, and hooks with defaults that fit most tasks.

In:  role rows, e.g. {"id": "7", "row": 7, "file": "mail.csv", "text": "Refund me now", "label": "angry"}
Out: predictions, one dict per row, e.g. {"label": "angry", "scores": {"angry": 0.93, "calm": 0.07}}

A task object is configured: `settings` are the resolved recipe fields, `facts` is what was learned from the training
rows (label names, tag scheme, thresholds), JSON-ready and saved beside the model. The loop, the evaluation, prediction
and every engine call only what stands here; none of them knows which task it runs.

Shapes: B features in a batch, T tokens of the longest feature, L labels, N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import torch

    from oneloop.errors import Problem
    from oneloop.measure.statistics import Statistics

Row = dict[str, Any]
Feature = dict[str, Any]
Batch = dict[str, Any]
Prediction = dict[str, Any]

IGNORE = -100  # the label of positions that are not trained or scored, torch's cross-entropy default


@dataclass(frozen=True)
class Column:
    """One role a task reads. `parse(cell)` gives the canonical value or raises ValueError(reason)."""

    role: str
    parse: Callable[[Any], Any]
    target: bool = False  # holds what is to be predicted; absent from rows without labels
    required: bool = True
    help: str = ""


@dataclass(frozen=True)
class Field:
    """A recipe field that a task declares: its type, default and one line of help."""

    type: type
    default: Any
    help: str


@dataclass(frozen=True)
class Clues:
    """What points to this task in words and in data; read by `diagnose`, so it needs no list of tasks of its own.

    `phrases` maps a regular expression (searched case-blind in the statement) to a weight; negative weights speak
    against the task. `example` is a statement that plainly asks for it; `shape` says in words what its data looks like.
    """

    phrases: dict[str, float] = field(default_factory=dict)
    shape: str = ""
    example: str = ""


class Task:
    """Base of every task. Subclasses state the facts and write the verbs; see the module docstring for the data."""

    # ---- four facts
    name: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    head: ClassVar[str]
    metric: ClassVar[str]  # the primary key of metrics.json

    # ---- what else a person wants to know (tasks, diagnose and the model card print these)
    aliases: ClassVar[tuple[str, ...]] = ()
    does: ClassVar[str] = ""  # one line
    label_shape: ClassVar[str] = ""
    collator: ClassVar[str] = ""
    metric_limits: ClassVar[str] = ""  # what the metric does not see
    family: ClassVar[str] = "encoder"
    wrinkle: ClassVar[str] = ""  # "alignment", "sequence-to-sequence tools" or ""
    clues: ClassVar[Clues] = Clues()

    @classmethod
    def for_roles(cls, roles: Iterable[str]) -> dict[str, str]:
        """Which of the facts above read differently for data with these roles, e.g. `metric` where labels are numbers."""
        return {}

    # ---- how the loop and the evaluation treat it
    trainable: ClassVar[bool] = True  # False: diagnosed and checked, but it cannot be trained here yet
    greater_is_better: ClassVar[bool] = True
    fields: ClassVar[dict[str, Field]] = {}
    defaults: ClassVar[dict[str, Any]] = {}  # recipe defaults that differ for this task
    full_epochs_to: ClassVar[int] = 0  # training rows up to which the default number of epochs holds; more take fewer; 0: all do
    row_metrics: ClassVar[tuple[str, ...]] = ()  # metrics that mean something for a single row
    whole_rows: ClassVar[bool] = False  # the windows of a row must share a micro-batch
    whole_steps: ClassVar[bool] = False  # the loss compares the rows of a step: it is one forward pass, whatever its size
    counts_tokens: ClassVar[bool] = False  # `batch_rows` counts tokens (language models)
    per_token: ClassVar[tuple[str, ...]] = ()  # outputs with one value for each input token; cut to a feature's own length
    decode_together: ClassVar[bool] = False  # decode needs all rows at once (ranking)
    reload_rows: ClassVar[int | None] = None  # rows of the reload check; None: all

    def __init__(self, settings: dict[str, Any] | None = None, facts: dict[str, Any] | None = None) -> None:
        defaults = {name: item.default for name, item in self.fields.items()}
        self.settings: dict[str, Any] = defaults | self.defaults | dict(settings or {})
        self.facts: dict[str, Any] = dict(facts or {})

    # ---- learned from the training rows -------------------------------------------------------
    def learn(self, rows: Sequence[Row]) -> None:
        """Set `self.facts` from all labelled rows of the run's splits (label names come from training rows)."""

    def prepare_rows(self, rows: Sequence[Row]) -> tuple[Sequence[Row], list[str], list[Problem]]:
        """Rows as this task trains and scores them, notes on what was repaired, and problems that remain."""
        return rows, [], []

    def unknown_labels(self, rows: Sequence[Row]) -> list[Problem]:
        """Problems for validation or test rows whose labels no training row has."""
        return []

    def head_settings(self) -> dict[str, Any]:
        """Keyword arguments for the head's `from_pretrained`, e.g. num_labels, id2label, problem_type."""
        labels = self.facts.get("labels")
        if labels is None:
            return {}
        return {"num_labels": len(labels), "id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}

    @classmethod
    def facts_from_config(cls, config: Any) -> dict[str, Any]:
        """Facts for a model that was not trained here, read from its Hugging Face config."""
        names = getattr(config, "id2label", None) or {}
        return {"labels": [names[i] for i in sorted(names)]}

    def prepare_tokenizer(self, tokenizer: Any, rows: Sequence[Row]) -> Any:
        """The tokenizer to train and save with, e.g. one that keeps what the labels need."""
        return tokenizer

    def prepare_model(self, model: Any, rows: Sequence[Row], features: Sequence[Feature]) -> None:
        """Change the fresh model in place before training, e.g. start the head from the training rows."""

    # ---- verb 1: text to ids ------------------------------------------------------------------
    def encode(self, rows: Sequence[Row], tokenizer: Any) -> list[Feature]:
        """Turn rows into features: `input_ids` (T), `row` (position in `rows`), `labels` where the row has them,
        and whatever `decode` needs to find its way back. A long row gives several features (windows); all windows of
        a row follow each other. `tokens` counts the row's tokens this feature adds, `cut` those that were dropped."""
        raise TypeError(f"{type(self).__name__} does not say how to encode")

    def pack(self, features: Sequence[Feature]) -> Sequence[Feature]:
        """The training features as they are trained: as they are, or joined into blocks. A block of several rows names
        them all under `rows`, the first of them also under `row`. Evaluation and prediction never pack."""
        return features

    def draw(self, feature: Feature, number: int) -> Feature:
        """The feature with its random part drawn (masks, noise), as a function of `number` alone.
        In training `number` is another one for each (seed, epoch, row, window); in evaluation it follows from the feature's
        ids, so that every evaluation of a row draws the same. Prediction draws nothing."""
        return feature

    @property
    def draws(self) -> bool:
        """Whether `draw` puts ids into a feature that it does not hold."""
        return type(self).draw is not Task.draw

    def size(self, feature: Feature) -> int:
        """How long a feature is where a step is cut into passes and like lengths are put together."""
        return len(feature["input_ids"])

    # ---- verb 2: features to a batch ----------------------------------------------------------
    def collate(self, features: Sequence[Feature], tokenizer: Any) -> Batch:
        """Pad features into {"inputs": {...(B, T)}, "labels": (B,) or (B, T)}; labels only when all features have them."""
        from oneloop.encode.collate import pad_batch

        return pad_batch(features, tokenizer)

    # ---- the model's part ---------------------------------------------------------------------
    def forward(self, model: Any, batch: Batch) -> dict[str, torch.Tensor]:
        """Run the model as in training; {"logits": (B, …)} for most heads."""
        output = model(**batch["inputs"])
        return {key: output[key] for key in output if key.endswith("logits")}

    def loss(self, outputs: dict[str, torch.Tensor], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses summed over labels, (B,), and the number of labels, (B,), for each feature, in float32.
        The loop divides the sum of the one by the sum of the other over the whole step."""
        from oneloop.model.losses import cross_entropy

        return cross_entropy(outputs["logits"], batch["labels"])

    def infer(self, model: Any, batch: Batch, outputs: dict[str, torch.Tensor] | None) -> dict[str, torch.Tensor]:
        """What `decode` needs, (B, …) each. `outputs` are those of `forward` where it ran; generating tasks ignore them.
        Return little: logits over a vocabulary are held for every row until they are decoded."""
        return self.forward(model, batch) if outputs is None else outputs

    # ---- verb 3: back to what a person asked for ----------------------------------------------
    def decode(
        self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row], tokenizer: Any = None
    ) -> list[Prediction]:
        """One prediction for each row from the outputs of its features (those `per_token` cut to each feature's own length).
        tokenizer: for outputs that are ids. A row without a feature still gets a prediction."""
        raise TypeError(f"{type(self).__name__} does not say how to decode")

    # ---- verb 4: statistics per row -----------------------------------------------------------
    def score(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> Statistics:
        """Statistics per row, from which the metrics, their intervals and paired differences follow."""
        raise TypeError(f"{type(self).__name__} does not say how to score")

    # ---- hooks ----------------------------------------------------------------------------------
    def calibrate(self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row]) -> None:
        """Choose thresholds on validation rows and keep them in `self.facts`."""

    def baseline(self, train: Sequence[Row], rows: Sequence[Row]) -> tuple[str, list[Prediction]] | None:
        """The name and predictions of the naive method that a model must beat."""
        return None

    def reference(self, row: Row) -> Any:
        """The right answer of a row as it stands in predictions.jsonl."""
        targets = [column.role for column in self.columns if column.target and column.role in row]
        return row[targets[0]] if len(targets) == 1 else {role: row[role] for role in targets}

    def has_target(self, row: Row) -> bool:
        """Whether the row holds what is to be predicted."""
        return all(column.role in row for column in self.columns if column.target and column.required)

    def checks(self, rows: Sequence[Row]) -> Iterable[Any]:
        """Findings about role rows that only this task knows to look for; read by `check`."""
        return ()

    def snippet(self, model: str) -> str:
        """Python that loads and uses the model, for its card."""
        return f'import oneloop\n\nmodel = oneloop.load("{model}")\nprint(model.predict(["…"]))'
