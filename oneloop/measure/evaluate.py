"""Run a model over features and score it: the one path of evaluation, prediction and serving.

In:  features (from `task.encode`), a model, a precision.
Out: outputs per feature (cut to the feature's own length), losses per row, predictions and statistics.

Batches are cut by padded tokens from features sorted by length; every feature is run exactly once, on process
(batch number mod P) where there are several, and the outputs are gathered on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from oneloop.keyed import key, micro_batches
from oneloop.measure.statistics import Statistics, join

if TYPE_CHECKING:
    from oneloop.tasks.base import Feature, Prediction, Row, Task

BATCH_TOKENS = 8192  # padded tokens in one forward pass without gradients
ROWS_AT_ONCE = 5000  # rows whose outputs are held before they are decoded


@dataclass
class Outputs:
    """Outputs of each feature, and the summed loss and label count of each (NaN where a feature has no labels)."""

    found: list[dict[str, np.ndarray]]
    losses: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Engine:
    """A model ready to run: where, in which precision, as which of how many processes."""

    model: Any
    tokenizer: Any
    device: str = "cpu"
    precision: str = "fp32"
    rank: int = 0
    world: int = 1
    batch_tokens: int = BATCH_TOKENS
    poll: Callable[[], None] = lambda: None  # called between two batches; may raise to stop


@dataclass
class Evaluation:
    """Everything one evaluation found; `statistics` holds the metrics, `losses` the mean loss of each row."""

    rows: Sequence[Row]
    predictions: list[Prediction]
    statistics: Statistics
    losses: np.ndarray
    outputs: Outputs
    features: Sequence[Feature] = ()

    def metrics(self) -> dict[str, float]:
        """The point values of every metric."""
        return self.statistics.metrics()


def run_features(task: Task, engine: Engine, features: Sequence[Feature], *, labelled: bool) -> Outputs:
    """Run every feature once and return its outputs, in the order of `features`."""
    import torch

    from oneloop.model.precision import autocast

    if labelled:
        features = [task.draw(feature, key("evaluation", *feature["input_ids"])) for feature in features]
    lengths = [len(feature["input_ids"]) for feature in features]
    groups = [feature["row"] if task.whole_rows else position for position, feature in enumerate(features)]
    batches = micro_batches([task.size(feature) for feature in features], groups, engine.batch_tokens)
    result = Outputs([{} for _ in features], np.full(len(features), np.nan), np.full(len(features), np.nan))
    engine.model.eval()
    with torch.inference_mode():
        for chosen in batches[engine.rank :: engine.world]:
            engine.poll()
            some = [features[i] for i in chosen]
            batch = _moved(task.collate(some, engine.tokenizer), engine.device)
            with autocast(engine.precision, engine.device):
                outputs = task.forward(engine.model, batch) if labelled and "labels" in batch else None
            if outputs is not None:
                outputs = {name: value.float() for name, value in outputs.items()}
                losses, counts = task.loss(outputs, batch)
                result.losses[chosen], result.counts[chosen] = losses.cpu().numpy(), counts.cpu().numpy()
            with autocast(engine.precision, engine.device):
                inferred = task.infer(engine.model, batch, outputs)
            for position, output in zip(chosen, _cut(inferred, batch, [lengths[i] for i in chosen], task.per_token)):
                result.found[position] = output
    return _gathered(result, batches, engine)


def _moved(batch: dict[str, Any], device: str) -> dict[str, Any]:
    """The batch with every tensor on `device`."""
    if device == "cpu":
        return batch
    return {
        name: _moved(value, device) if isinstance(value, dict) else value.to(device) if hasattr(value, "to") else value
        for name, value in batch.items()
    }


def _cut(outputs: dict[str, Any], batch: dict[str, Any], lengths: list[int], per_token: Sequence[str]) -> list[dict[str, np.ndarray]]:
    """One dict of arrays per feature; outputs with a value per token are cut to the feature's own tokens."""
    import torch

    mask = batch["inputs"].get("attention_mask")
    tensors = {name: value for name, value in outputs.items() if isinstance(value, torch.Tensor)}
    arrays = {name: (value.float() if value.is_floating_point() else value).cpu() for name, value in tensors.items()}
    starts = [0] * len(lengths)
    if mask is not None and mask.ndim == 2:
        starts = mask.argmax(dim=1).tolist()  # left padding: the first real token
    found = []
    for i, (start, length) in enumerate(zip(starts, lengths)):
        own = {name: value[i, start : start + length] if name in per_token else value[i] for name, value in arrays.items()}
        found.append({name: value.numpy().copy() for name, value in own.items()})
    return found


def _gathered(result: Outputs, batches: list[list[int]], engine: Engine) -> Outputs:
    """The outputs of all processes on each of them; every feature comes from exactly one."""
    if engine.world == 1:
        return result
    import torch.distributed as dist

    mine = [i for chosen in batches[engine.rank :: engine.world] for i in chosen]
    everyone: list[Any] = [None] * engine.world
    dist.all_gather_object(everyone, [(i, result.found[i], result.losses[i], result.counts[i]) for i in mine])
    for part in everyone:
        for i, found, loss, count in part:
            result.found[i], result.losses[i], result.counts[i] = found, loss, count
    return result


def by_row(features: Sequence[Feature], rows: int) -> list[list[int]]:
    """For each row the positions of its features."""
    found: list[list[int]] = [[] for _ in range(rows)]
    for position, feature in enumerate(features):
        found[feature["row"]].append(position)
    return found


def predict_rows(task: Task, engine: Engine, rows: Sequence[Row]) -> list[Prediction]:
    """One prediction per row, in order; nothing is scored. Rows are encoded and decoded in blocks of bounded size."""
    if task.decode_together:
        features = task.encode(rows, engine.tokenizer)
        return task.decode(run_features(task, engine, features, labelled=False).found, features, rows, engine.tokenizer)
    predictions: list[Prediction] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[start : start + ROWS_AT_ONCE]
        features = task.encode(block, engine.tokenizer)
        predictions.extend(task.decode(run_features(task, engine, features, labelled=False).found, features, block, engine.tokenizer))
    return predictions


def evaluate_rows(
    task: Task, engine: Engine, rows: Sequence[Row], features: Sequence[Feature] | None = None, *, calibrate: bool = False
) -> Evaluation:
    """Score a model on labelled rows: losses, predictions, statistics. calibrate: these are validation rows, on which the task
    first chooses its thresholds, so that models are compared at their best ones."""
    features = task.encode(rows, engine.tokenizer) if features is None else features
    outputs = run_features(task, engine, features, labelled=True)
    if calibrate:
        task.calibrate(outputs.found, features, rows)
    predictions = task.decode(outputs.found, features, rows, engine.tokenizer)
    return scored(task, rows, features, outputs, predictions)


def scored(task: Task, rows: Sequence[Row], features: Sequence[Feature], outputs: Outputs, predictions: list[Prediction]) -> Evaluation:
    """Statistics of predictions, with the loss beside the task's own metrics."""
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows))
    position = np.array([feature["row"] for feature in features], dtype=np.int64)
    known = ~np.isnan(outputs.losses)
    np.add.at(sums, position[known], outputs.losses[known])
    np.add.at(counts, position[known], outputs.counts[known])
    statistics = task.score(predictions, rows)
    if known.any():
        statistics = join(statistics, loss_statistics(sums, counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        losses = np.where(counts > 0, sums / counts, np.nan)
    return Evaluation(rows, predictions, statistics, losses, outputs, features)


def loss_statistics(sums: np.ndarray, counts: np.ndarray) -> Statistics:
    """Loss as sum over labels divided by the number of labels, whatever the batches were."""

    def reduce(lines: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"loss": lines[:, 0] / lines[:, 1]}

    return Statistics(np.stack([sums, counts], axis=1), reduce, additive=True, signature="loss:mean over labels")
