"""What a run folder holds, read without loading a model.

In:  RUN with recipe.yaml, metrics.json, predictions.jsonl, log.jsonl, splits.json and run.json.
Out: a RunFolder; every part may be missing, and what could not be read is said in `unread`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from oneloop.errors import OneloopError, RunError
from oneloop.ship.words import Metric, metric
from oneloop.tasks import task_class
from oneloop.tasks.base import Task

PARTS = ("metrics.json", "recipe.yaml", "log.jsonl", "predictions.jsonl")


@dataclass
class RunFolder:
    """The parts of a run. `log` holds the lines of log.jsonl; predictions are streamed by `predictions()`. `record` is run.json."""

    path: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    splits: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @cached_property
    def task(self) -> str:
        """The task's name, an empty string when neither metrics nor recipe state it."""
        return str(self.metrics.get("task") or self.recipe.get("task") or "")

    @cached_property
    def task_class(self) -> type[Task]:
        """The class of the task; the base class where the task is not installed here."""
        try:
            return task_class(self.task)
        except (OneloopError, ImportError):
            return Task

    def about(self, fact: str) -> Any:
        """A fact of the task class as it reads for the run's columns, an empty string where it states none."""
        columns = self.recipe.get("columns")
        differing = self.task_class.for_roles(columns) if isinstance(columns, dict) else {}
        return differing.get(fact) or getattr(self.task_class, fact, "")

    @property
    def primary(self) -> str:
        """The key of the metric that decides."""
        return str(self.metrics.get("primary") or self.about("metric") or "")

    @property
    def metric(self) -> Metric:
        """The primary metric in words."""
        return metric(self.primary)

    def part(self, *keys: str) -> dict[str, Any]:
        """A nested mapping of metrics.json, empty where it is missing or null."""
        found: Any = self.metrics
        for name in keys:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def split_sizes(self) -> list[tuple[str, int]]:
        """(split, rows), from metrics.data or else from splits.json."""
        counted, listed = self.part("data", "rows"), self.splits.get("rows")
        named = listed.items() if isinstance(listed, dict) else ()
        sizes = counted or {name: len(rows) for name, rows in named if isinstance(rows, list)}
        return [(str(name), size) for name, size in sizes.items() if isinstance(size, int)]

    def predictions(self) -> Iterator[dict[str, Any]]:
        """The lines of predictions.jsonl, one at a time."""
        yield from lines(self.path / "predictions.jsonl", self.unread)


def lines(path: Path, unread: list[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a .jsonl file; lines that are none (a torn last line) are counted into `unread`."""
    if not path.is_file():
        return
    broken = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError:
                found = None
            if isinstance(found, dict):
                yield found
            else:
                broken += 1
    if broken:
        unread.append(f"{path.name}: {broken} line{'s' if broken > 1 else ''} could not be read")


def _mapping(path: Path, unread: list[str]) -> dict[str, Any]:
    """The mapping in a .json or .yaml file; empty when it is missing or broken."""
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        unread.append(f"{path.name} could not be read")
        return {}
    return found if isinstance(found, dict) else {}


def open_run(run: str | Path) -> RunFolder:
    """Read a run folder. RunError when the folder is missing or holds none of a run's files."""
    path = Path(run)
    if not path.is_dir():
        raise RunError(f"there is no run folder {path}", expected="the folder that `oneloop train --output` wrote")
    if not any((path / name).is_file() for name in PARTS):
        raise RunError(f"{path} is not a run folder", expected=", ".join(PARTS), fix="give the folder that `oneloop train --output` wrote")
    unread: list[str] = []
    metrics, record = _mapping(path / "metrics.json", unread), _mapping(path / "run.json", unread)
    said = [note for part in (metrics, record) for note in part.get("notes") or []]
    return RunFolder(
        path,
        recipe=_mapping(path / "recipe.yaml", unread),
        metrics=metrics,
        log=list(lines(path / "log.jsonl", unread)),
        splits=_mapping(path / "splits.json", unread),
        record=record,
        notes=list(dict.fromkeys(str(note) for note in said)),
        unread=unread,
    )
