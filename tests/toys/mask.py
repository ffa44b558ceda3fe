"""A toy task that hides words at random: the masks follow from (seed, epoch, row id), and are frozen for evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneloop.keyed import generator
from oneloop.measure.language_model import language_model
from oneloop.read import cells
from oneloop.tasks.base import IGNORE, Column, Task


class Mask(Task):
    name = "mask"
    columns = (Column("text", cells.text, target=True, help="bare text, its own supervision"),)
    head, metric, greater_is_better = "AutoModelForMaskedLM", "perplexity", False
    defaults = {"learning_rate": 3e-3, "batch_rows": 512}
    counts_tokens = True
    hidden = 4  # the id of [MASK]

    def encode(self, rows: Any, tokenizer: Any) -> list[Any]:
        length, features = self.settings["max_length"], []
        for position, row in enumerate(rows):
            ids = tokenizer(row["text"].encode("utf-8", "replace").decode())["input_ids"]
            blocks = [ids[i : i + length] for i in range(0, len(ids), length)]
            features += [{"row": position, "window": i, "input_ids": block, "tokens": len(block)} for i, block in enumerate(blocks)]
        return features

    def pack(self, features: Any) -> list[Any]:
        pairs = [(token, feature["row"]) for feature in features for token in feature["input_ids"]]
        length, blocks = self.settings["max_length"], []
        for number, start in enumerate(range(0, len(pairs), length)):
            ids, rows = zip(*pairs[start : start + length])
            blocks.append({"row": rows[0], "rows": sorted(set(rows)), "window": number, "input_ids": list(ids), "tokens": len(ids)})
        return blocks

    def draw(self, feature: Any, number: int) -> Any:
        ids = np.array(feature["input_ids"])
        chosen = (generator(number).random(len(ids)) < 0.15) & (ids > 4)
        chosen[int((ids > 4).argmax())] |= not chosen.any() and (ids > 4).any()
        return feature | {"input_ids": np.where(chosen, self.hidden, ids).tolist(), "labels": np.where(chosen, ids, IGNORE).tolist()}

    def infer(self, model: Any, batch: Any, outputs: Any) -> Any:
        outputs = self.forward(model, batch) if outputs is None else outputs
        best = outputs["logits"].argmax(-1).masked_fill(batch["inputs"]["attention_mask"] == 0, IGNORE)
        nll, count = self.loss(outputs, {"labels": best} | batch)
        return {"nll": nll, "count": count}

    def decode(self, outputs: Any, features: Any, rows: Any, tokenizer: Any = None) -> list[Any]:
        said: list[Any] = [{"nll": 0.0, "count": 0.0} for _ in rows]
        for feature, output in zip(features, outputs):
            for name in ("nll", "count"):
                said[feature["row"]][name] += float(output[name])
        return said

    def score(self, predictions: Any, rows: Any) -> Any:
        return language_model([said["nll"] for said in predictions], [said["count"] for said in predictions])
