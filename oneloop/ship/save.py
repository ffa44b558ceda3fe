"""RUN/model: what AutoModelFor….from_pretrained and AutoTokenizer.from_pretrained load, and what else prediction needs.

In:  task, model, tokenizer.
Out: a committed folder: config, weights (safetensors), tokenizer, and oneloop.json with the task, its facts and settings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop.commit import commit_folder, finite
from oneloop.errors import ModelError

if TYPE_CHECKING:
    from oneloop.tasks.base import Task

FACTS = "oneloop.json"


def save_model(folder: Path, task: Task, model: Any, tokenizer: Any, *, precision: str, facts: dict[str, Any] | None = None) -> Path:
    """Commit a model folder, replacing the one before. facts: further keys of oneloop.json."""
    from oneloop import __version__

    kept = {name: value for name, value in task.settings.items() if name in {"max_length", "stride", "clean", "where", *task.fields}}
    record = {"oneloop": __version__, "task": task.name, "facts": task.facts, "settings": kept, "precision": precision, **(facts or {})}

    def fill(staging: Path) -> None:
        from oneloop.model import adapters
        from oneloop.model.load import quiet

        with quiet():
            adapters.save(model, staging) if adapters.is_adapted(model) else model.save_pretrained(staging)
            tokenizer.save_pretrained(staging)
        (staging / FACTS).write_text(json.dumps(finite(record), indent=1, ensure_ascii=False), encoding="utf-8")

    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    return commit_folder(folder, fill, size=size + 5_000_000)


def read_facts(folder: str | Path) -> dict[str, Any]:
    """oneloop.json of a model folder, empty for a model from elsewhere."""
    path = Path(folder) / FACTS
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{FACTS} cannot be read: {error}", where=str(path), fix="train again, or restore it from a copy") from error
