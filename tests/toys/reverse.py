"""A toy task that generates: the words of a text backwards. {"text": "a b c"} → {"written": "c b a"}"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneloop.measure.statistics import Statistics, ratio
from oneloop.read import cells
from oneloop.tasks.base import Column, Field, Task


class Reverse(Task):
    """Write the words of a text in reverse order."""

    name = "reverse"
    columns = (Column("text", cells.text, help="words"), Column("backwards", cells.text, target=True, help="the same words, last first"))
    head, metric, family = "AutoModelForSeq2SeqLM", "exact", "encoder-decoder"
    fields = {"max_new_tokens": Field(int, 12, "Longest text that is written, in tokens.")}
    defaults = {"learning_rate": 3e-3, "batch_rows": 16}
    row_metrics, reload_rows = ("exact",), 64

    def encode(self, rows: Any, tokenizer: Any) -> list[Any]:
        limit, features = self.settings["max_length"], []
        for position, row in enumerate(rows):
            ids = tokenizer(cells.text(row["text"]).encode("utf-8", "replace").decode())["input_ids"]
            feature = {"row": position, "input_ids": ids[:limit], "tokens": len(ids), "cut": max(0, len(ids) - limit)}
            if "backwards" in row:
                feature["labels"] = tokenizer(row["backwards"])["input_ids"][1:]
            features.append(feature)
        return features

    def size(self, feature: Any) -> int:
        return len(feature["input_ids"]) + len(feature.get("labels", ()))

    def forward(self, model: Any, batch: Any) -> Any:
        return {"logits": model(**batch["inputs"], labels=batch["labels"]).logits}

    def infer(self, model: Any, batch: Any, outputs: Any) -> Any:
        inputs = {name: value for name, value in batch["inputs"].items() if name != "token_type_ids"}
        return {"ids": model.generate(**inputs, max_new_tokens=self.settings["max_new_tokens"], do_sample=False)}

    def decode(self, outputs: Any, features: Any, rows: Any, tokenizer: Any = None) -> list[Any]:
        cuts = [{"cut": feature["cut"]} if feature["cut"] else {} for feature in features]
        texts = tokenizer.batch_decode([output["ids"] for output in outputs], skip_special_tokens=True)
        return [{"written": text} | cut for text, cut in zip(texts, cuts)]

    def score(self, predictions: Any, rows: Any) -> Statistics:
        same = [float(said["written"] == row["backwards"]) for said, row in zip(predictions, rows)]
        table = np.array([[one, 1.0] for one in same]).reshape(-1, 2)
        return Statistics(table, lambda sums: {"exact": ratio(sums[:, 0], sums[:, 1])}, signature="exact")

    def baseline(self, train: Any, rows: Any) -> tuple[str, list[Any]]:
        return "copy", [{"written": row["text"]} for row in rows]
