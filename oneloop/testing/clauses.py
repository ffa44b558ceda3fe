"""Clauses about encoding, losses, predictions, scores and saving, in the order in which a row meets them.

In:  a Kit
Out: nothing; ContractError
"""

from __future__ import annotations

import copy
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oneloop.tasks.base import IGNORE, Feature
from oneloop.testing.contract import CLOSE, LENGTH, STRIDE, Kit, alike, close, demand, of_row, plain, same_json
from oneloop.testing.odd import odd_texts


def _features(kit: Kit) -> None:
    task, before = kit.task, copy.deepcopy(kit.rows)
    features = task.encode(kit.rows, kit.tokenizer)
    demand(kit.rows == before, "encode changes its rows")
    demand([f["row"] for f in features] == sorted(f["row"] for f in features), "the windows of a row follow each other, rows in order")
    demand({f["row"] for f in features} == set(range(len(kit.rows))), "every row has a feature")
    for feature in features:
        ids = list(feature["input_ids"])
        demand(ids and all(0 <= one < len(kit.tokenizer) for one in ids), f"row {feature['row'] + 1}: input_ids are ids of the tokenizer")
        demand(
            len(ids) <= task.settings["max_length"],
            f"row {feature['row'] + 1}: {len(ids)} tokens in a window of {task.settings['max_length']}",
        )
        for name in ("tokens", "cut"):
            demand(int(feature.get(name, 0)) >= 0, f"`{name}` is a count")
    backwards = task.encode(kit.rows[::-1], kit.tokenizer)
    last = len(kit.rows) - 1
    for row in range(len(kit.rows)):
        one, two = of_row(features, row), of_row(backwards, last - row)
        demand(plain(one) == plain(two), f"row {row + 1}: its features depend on the rows around it")


def _no_answer_in_the_input(kit: Kit) -> None:
    if kit.only_targets:
        return
    features = kit.task.encode(kit.bare, kit.tokenizer)
    demand(not any(kit.task.has_target(row) for row in kit.bare), "has_target is true for a row without an answer")
    same = [list(f["input_ids"]) for f in features] == [list(f["input_ids"]) for f in kit.features]
    demand(same, "the input_ids of a row change when its answer is taken away")
    demand(not any("labels" in feature for feature in features), "a row without an answer has labels")


def _token_labels(kit: Kit) -> None:
    batch = kit.task.collate(kit.features, kit.tokenizer)
    labels = batch.get("labels")
    if labels is None or labels.shape != batch["inputs"]["input_ids"].shape or not kit.task.per_token:
        return
    special = set(kit.tokenizer.all_special_ids)
    for feature in kit.features:
        demand(len(feature["labels"]) == len(feature["input_ids"]), f"row {feature['row'] + 1}: one label for each token")
        marked = [token for token, label in zip(feature["input_ids"], feature["labels"]) if token in special and label != IGNORE]
        demand(
            not set(marked) - {kit.tokenizer.unk_token_id, kit.tokenizer.mask_token_id},
            f"row {feature['row'] + 1}: a special token has a label",
        )


def _batches(kit: Kit) -> None:
    task, features = kit.task, kit.features
    batch = task.collate(features, kit.tokenizer)
    inputs = batch["inputs"]
    longest = max(len(feature["input_ids"]) for feature in features)
    demand(inputs["input_ids"].shape == (len(features), longest), "input_ids are padded to the longest feature of the batch")
    if "attention_mask" in inputs:
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        demand(lengths == [len(feature["input_ids"]) for feature in features], "the attention mask is 0 on padding and 1 elsewhere")
    task.collate(features[:1], kit.tokenizer)
    once, number = copy.deepcopy(features[0]), 7
    demand(plain(task.draw(features[0], number)) == plain(task.draw(features[0], number)), "draw depends on more than its number")
    demand(plain(features[0]) == plain(once), "draw changes the feature it is given")


def _losses(kit: Kit) -> None:
    import torch

    task = kit.task
    features = [task.draw(feature, number) for number, feature in enumerate(task.pack(kit.features))]
    with torch.enable_grad():
        losses, counts = _loss(kit, features)
        demand(
            losses.shape == counts.shape == (len(features),),
            f"loss gives one loss and one count for each feature, not {tuple(losses.shape)}",
        )
        demand(torch.isfinite(losses).all() and (counts >= 0).all() and counts.sum() > 0, "losses are finite, and labels are counted")
        kit.model.zero_grad()
        losses.sum().backward()
    demand(any(p.grad is not None and p.grad.abs().sum() > 0 for p in kit.model.parameters()), "the loss has no gradient")
    kit.model.zero_grad()
    if task.whole_steps:
        return
    with torch.no_grad():
        groups = (
            [of_row(features, row) for row in dict.fromkeys(f["row"] for f in features)] if task.whole_rows else [[f] for f in features]
        )
        parts = [_loss(kit, group) for group in groups]
    alone = torch.stack([sum((p[0].sum() for p in parts), torch.zeros(())), sum((p[1].sum() for p in parts), torch.zeros(()))])
    together = torch.stack([losses.detach().sum(), counts.sum()])
    demand(
        torch.allclose(alone, together, rtol=CLOSE, atol=CLOSE),
        f"losses and counts depend on the batch: {alone.tolist()} or {together.tolist()}",
    )


def _loss(kit: Kit, features: Sequence[Feature]) -> tuple[Any, Any]:
    batch = kit.task.collate(features, kit.tokenizer)
    outputs = kit.task.forward(kit.model, batch)
    losses, counts = kit.task.loss({name: value.float() for name, value in outputs.items()}, batch)
    return losses, counts


def _predictions(kit: Kit) -> None:
    found = kit.predict(kit.bare)
    demand(len(found) == len(kit.rows), f"{len(found)} predictions for {len(kit.rows)} rows")
    for row, prediction in zip(kit.rows, found):
        demand(isinstance(prediction, dict) and prediction, f"row {row['row']}: a prediction is a dict with at least one field")
        same_json(f"row {row['row']}: the prediction", prediction)
        demand(not set(prediction) & {"id", "row"}, "`id` and `row` are added by whoever predicts")
    demand(kit.predict(kit.bare) == found, "the same rows predicted twice differ")
    if not kit.task.decode_together:
        alone = [kit.predict([row])[0] for row in kit.bare]
        differing = [row["row"] for row, one, two in zip(kit.rows, alone, found) if not alike(one, two)]
        demand(not differing, f"rows {differing[:5]} are predicted otherwise alone than with the others")


def _scores(kit: Kit) -> None:
    task, said = kit.task, kit.found.predictions
    statistics = task.score(said, kit.rows)
    metrics = statistics.metrics()
    demand(len(statistics.table) == len(kit.rows), "score gives one line of statistics for each row")
    demand(task.metric in metrics, f"the metric {task.metric} is not among {', '.join(metrics)}")
    demand(not set(metrics) & {"id", "row"} and all(isinstance(value, float) for value in metrics.values()), "metrics are numbers")
    demand(close(task.score(said, kit.rows).metrics(), metrics), "the same predictions scored twice differ")
    order = np.random.Generator(np.random.Philox(key=1)).permutation(len(kit.rows))
    shuffled = task.score([said[i] for i in order], [kit.rows[i] for i in order]).metrics()
    demand(close(shuffled, metrics), f"the score depends on the order of the rows: {metrics} or {shuffled}")
    half = len(kit.rows) // 2
    if statistics.additive and not task.decode_together:
        part = task.score(said[:half], kit.rows[:half]).metrics()
        same = {name: value for name, value in statistics.metrics(range(half)).items() if name in part}
        demand(close({name: part[name] for name in same}, same), "the score of some rows is not the score of their statistics")
    own = statistics.per_row()
    demand(all(len(own[name]) == len(kit.rows) for name in task.row_metrics if name in own), "a row metric has a value for each row")
    for row in kit.rows:
        json.dumps(task.reference(row), allow_nan=False)


def _baseline(kit: Kit) -> None:
    found = kit.task.baseline(kit.rows, kit.rows)
    if found is None:
        return
    name, said = found
    demand(isinstance(name, str) and name and len(said) == len(kit.rows), "a baseline has a name and a prediction for each row")
    demand(kit.task.metric in kit.task.score(said, kit.rows).metrics(), f"the baseline has no {kit.task.metric}")


def _best(kit: Kit) -> None:
    """Outputs that put everything on the right labels must score at least as well as any others."""
    task, outputs = kit.task, [_certain(feature, output) for feature, output in zip(kit.features, kit.found.outputs.found)]
    if not all(output is not None for output in outputs):
        return
    said = task.decode([output for output in outputs if output is not None], kit.features, kit.rows, kit.tokenizer)
    best = task.score(said, kit.rows).metrics()[task.metric]
    other = kit.found.metrics()[task.metric]
    sign = 1 if task.greater_is_better else -1
    demand(
        not math.isnan(best) and (math.isnan(other) or sign * best >= sign * other - 1e-9),
        f"the right labels score {best}, a random model {other}",
    )
    demand(not task.greater_is_better or best > 0.99, f"decoding the right labels scores {best}")


def _certain(feature: Feature, output: dict[str, Any]) -> dict[str, Any] | None:
    """Outputs of the shapes that a model gave, with all weight on the labels; None where labels are no places in outputs."""
    labels = np.asarray(feature.get("labels", ()))
    names = list(output)
    if "logits" in names and labels.ndim == 0 and labels.dtype.kind == "i":
        return {"logits": np.where(np.arange(output["logits"].shape[-1]) == labels, 20.0, 0.0).reshape(output["logits"].shape)}
    if "logits" in names and labels.ndim == 0 and labels.dtype.kind == "f":
        return {"logits": np.full(output["logits"].shape, float(labels))}
    if "logits" in names and labels.dtype.kind == "f" and labels.size == output["logits"].size:
        return {"logits": (labels * 40 - 20).reshape(output["logits"].shape)}
    if "logits" in names and labels.dtype.kind == "i" and len(labels) == len(output["logits"]) and output["logits"].ndim == 2:
        return {"logits": np.where(np.arange(output["logits"].shape[-1])[None] == labels[:, None], 20.0, 0.0)}
    if len(names) == labels.size == 2 and all(name.endswith("logits") for name in names):
        return {
            name: np.where(np.arange(len(output[name])) == place, 20.0, 0.0) for name, place in zip(sorted(names, reverse=True), labels)
        }
    return None


def _saved(kit: Kit) -> None:
    from oneloop.measure.evaluate import Engine, predict_rows
    from oneloop.model.load import load_model, load_tokenizer
    from oneloop.ship.save import read_facts, save_model

    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder) / "model", kit.task, kit.model, kit.tokenizer, precision="fp32")
        kept = read_facts(Path(folder) / "model")
        again = type(kit.task)(kept["settings"] | {"max_length": LENGTH, "stride": STRIDE}, kept["facts"])
        model = load_model(again, str(Path(folder) / "model"), trained=True).model.eval()
        tokenizer = load_tokenizer(str(Path(folder) / "model"))
        found = predict_rows(again, Engine(model, tokenizer, batch_tokens=4 * LENGTH), kit.bare)
    demand(again.facts == kit.task.facts, "the facts are others after saving and loading")
    demand(alike(found, kit.predict(kit.bare)), "saved and loaded, the model predicts something else")


def _words(kit: Kit) -> None:
    demand(
        all(isinstance(text, str) for text in (kit.task.snippet("RUN"), kit.task.does, kit.task.metric_limits)),
        "texts about the task are texts",
    )
    list(kit.task.checks(kit.rows))


CLAUSES: dict[str, Callable[[Kit], None]] = {
    "encode: every row, in order, within the window, whatever stands around it": _features,
    "encode: the answer does not reach the input": _no_answer_in_the_input,
    "encode: token labels are as long as the tokens, none on special tokens": _token_labels,
    "collate and draw": _batches,
    "forward and loss: finite, for each feature, whatever the batch": _losses,
    "decode: one JSON-ready prediction for each row": _predictions,
    "score: additive, repeatable, whatever the order": _scores,
    "baseline: scored as the model is": _baseline,
    "decode and score: the right labels score best": _best,
    "save and load: the same predictions": _saved,
    "odd and long texts": odd_texts,
    "words about the task": _words,
}
