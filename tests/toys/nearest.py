"""A toy task that retrieves: each query finds its passage among all of them. {"query", "passage"} → {"hits": [row ids]}"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneloop.encode.collate import pad_batch
from oneloop.measure.ranking import ranking
from oneloop.read import cells
from oneloop.tasks.base import Column, Task


class Nearest(Task):
    name = "nearest"
    columns = (Column("query", cells.text, help="the question"), Column("passage", cells.text, target=True, help="its passage"))
    head, metric = "AutoModel", "mrr@10"
    defaults = {"learning_rate": 3e-3, "batch_rows": 16}
    row_metrics = ("mrr@10",)
    whole_steps = decode_together = True

    def encode(self, rows: Any, tokenizer: Any) -> list[Any]:
        limit, features = self.settings["max_length"], []
        for position, row in enumerate(rows):
            texts = [row["query"], row.get("passage", row["query"])]
            both = [tokenizer(text.encode("utf-8", "replace").decode())["input_ids"] for text in texts]
            cut = sum(max(0, len(one) - limit) for one in both)
            features.append({"row": position, "input_ids": both[0][:limit], "passage": both[1][:limit], "tokens": len(both[0]), "cut": cut})
        return features

    def collate(self, features: Any, tokenizer: Any) -> Any:
        passages = pad_batch([{"row": feature["row"], "input_ids": feature["passage"]} for feature in features], tokenizer)
        return pad_batch(features, tokenizer) | {"passages": passages["inputs"]}

    def forward(self, model: Any, batch: Any) -> Any:
        import torch

        found = {}
        for name, inputs in (("query", batch["inputs"]), ("passage", batch["passages"])):
            mask = inputs["attention_mask"][:, :, None]
            found[name] = torch.nn.functional.normalize((model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1), dim=1)
        return found

    def loss(self, outputs: Any, batch: Any) -> Any:
        import torch

        scores = outputs["query"] @ outputs["passage"].T * 20
        right, ones = torch.arange(len(scores), device=scores.device), torch.ones(len(scores), device=scores.device)
        return torch.nn.functional.cross_entropy(scores, right, reduction="none"), ones

    def decode(self, outputs: Any, features: Any, rows: Any, tokenizer: Any = None) -> list[Any]:
        scores = np.stack([o["query"] for o in outputs]) @ np.stack([o["passage"] for o in outputs]).T
        return [{"hits": [rows[i]["id"] for i in np.argsort(-line, kind="stable")[:10]]} for line in scores]

    def score(self, predictions: Any, rows: Any) -> Any:
        return ranking([said["hits"] for said in predictions], [{row["id"]: 1} for row in rows])

    def baseline(self, train: Any, rows: Any) -> tuple[str, list[Any]]:
        return "first ten", [{"hits": [row["id"] for row in rows[:10]]} for _ in rows]
