"""What must be the same when a run goes on: settings, data, tokenizer, label order, versions, threads, precision.

In:  a recipe and what was prepared from it.
Out: a JSON-ready record; two of them give a list of differences a person can read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneloop.parts import Parts
    from oneloop.tasks.base import Row

PACKAGES = ("oneloop", "torch", "transformers", "tokenizers", "accelerate", "numpy", "safetensors")
ELSEWHERE = {"_name_or_path", "transformers_version", "id2label", "label2id", "architectures"}


def versions() -> dict[str, str]:
    """Versions of the packages whose change may change a number."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def data_hash(rows: Sequence[Row]) -> str:
    """SHA-256 over the content of rows in order (16 hex digits): a changed byte in any used cell changes it."""
    digest = hashlib.sha256()
    for row in rows:
        content = {key: value for key, value in row.items() if key != "file"}
        digest.update(json.dumps(content, sort_keys=True, ensure_ascii=True, default=str).encode())
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def tokenizer_hash(tokenizer: Any) -> str:
    """SHA-256 of the tokenizer's whole definition (16 hex digits), truncation and padding left out: both are set per call."""
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    definition["truncation"] = definition["padding"] = None
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:16]


def config_of(model: Any) -> dict[str, Any]:
    """What the model's configuration says beside its defaults: sizes, dropout, activation. Names, labels and versions, which stand
    elsewhere in the record, are left out."""
    config = getattr(model, "config", None)
    found = json.loads(config.to_json_string(use_diff=True)) if config is not None and hasattr(config, "to_json_string") else {}
    return {key: value for key, value in found.items() if key not in ELSEWHERE}


def of_run(parts: Parts, rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """The record of a run that is about to start."""
    import torch

    return {
        "settings": parts.recipe.fingerprint(),
        "data": {split: data_hash(found) for split, found in sorted(rows.items())},
        "tokenizer": tokenizer_hash(parts.tokenizer),
        "config": config_of(parts.model),
        "facts": {key: value for key, value in parts.task.facts.items() if key == "labels"},
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "precision": parts.precision,
        "device": parts.device.split(":")[0],
    }


def differences(old: dict[str, Any], new: dict[str, Any], path: str = "") -> list[str]:
    """`settings.learning_rate: 0.0001 → 0.0002` for every leaf that differs."""
    found = []
    for name in dict.fromkeys([*old, *new]):
        first, second = old.get(name), new.get(name)
        where = f"{path}.{name}" if path else name
        if isinstance(first, dict) and isinstance(second, dict):
            found += differences(first, second, where)
        elif first != second and json.dumps(first, sort_keys=True, default=str) != json.dumps(second, sort_keys=True, default=str):
            found.append(f"{where}: {_short(first)} → {_short(second)}")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"
