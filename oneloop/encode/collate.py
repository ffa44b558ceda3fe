"""Features to one rectangular batch, no wider than its longest feature (dynamic padding).

In:  features with `input_ids` (T), perhaps `token_type_ids` (T) and `labels`.
Out: {"inputs": {"input_ids", "attention_mask", ["token_type_ids"]}: (B, T) integers, "labels", "rows": (B,)}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oneloop.tasks.base import IGNORE, Batch, Feature

if TYPE_CHECKING:
    import torch


def pad_batch(features: Sequence[Feature], tokenizer: Any) -> Batch:
    """Pad on the tokenizer's side with its pad token; labels only when all features have them.

    Labels: one number each -> (B,), integers or floats; one integer for each token -> (B, T), padded with IGNORE on the
    same side; a vector of floats (multi-hot) -> (B, L).
    """
    import torch

    left = tokenizer.padding_side == "left"
    inputs = {
        "input_ids": pad([feature["input_ids"] for feature in features], pad_id(tokenizer), left=left),
        "attention_mask": pad([np.ones(len(feature["input_ids"]), dtype=np.int64) for feature in features], 0, left=left),
    }
    if "token_type_ids" in features[0]:
        inputs["token_type_ids"] = pad([feature["token_type_ids"] for feature in features], tokenizer.pad_token_type_id, left=left)
    batch: Batch = {"inputs": inputs}
    if all("row" in feature for feature in features):
        batch["rows"] = torch.tensor([feature["row"] for feature in features])
    labels = [feature.get("labels") for feature in features]
    if all(label is not None for label in labels):
        batch["labels"] = pad_labels(labels, left=left)
    return batch


def pad_id(tokenizer: Any) -> int:
    """The id that fills up; tokenizers without one (GPT-2) use their end token, which the attention mask hides."""
    for found in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if found is not None:
            return int(found)
    return 0


def pad(lists: Sequence[Any], value: int, *, left: bool = False) -> torch.Tensor:
    """Lists of integers to a (B, T) int64 tensor, filled up with `value`."""
    import torch

    table = np.full((len(lists), max(map(len, lists), default=0)), value, dtype=np.int64)
    for line, numbers in zip(table, lists):
        if left:
            line[len(line) - len(numbers) :] = numbers
        else:
            line[: len(numbers)] = numbers
    return torch.from_numpy(table)


def pad_labels(labels: Sequence[Any], *, left: bool = False) -> torch.Tensor:
    """Labels to a tensor; see `pad_batch` for the shapes."""
    import torch

    first = np.asarray(labels[0])
    if first.ndim and np.issubdtype(first.dtype, np.integer):
        return pad(labels, IGNORE, left=left)
    table = np.asarray(labels)
    return torch.from_numpy(table.astype(np.float32 if np.issubdtype(table.dtype, np.floating) else np.int64))
