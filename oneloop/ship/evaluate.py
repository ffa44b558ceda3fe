"""Score any model on labelled rows, by the same reading, decoding and scoring as at the end of a training.

In:  a run folder, a model folder or a Hub id, and data with the right answers.
Out: a document like metrics.json.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop import __version__, fingerprint
from oneloop.errors import DataError

if TYPE_CHECKING:
    from oneloop.measure.evaluate import Evaluation
    from oneloop.read.table import Table
    from oneloop.ship.predict import Model
    from oneloop.tasks.base import Row

NO_TRAINING_ROWS = "not available without training rows"
WEIGHTS = ("*.safetensors", "*.bin")


def evaluate(
    model: Any,
    data: str | Sequence[str] | Any,
    task: str | None = None,
    *,
    columns: Mapping[str, Any] | None = None,
    train: str | Sequence[str] | Any | None = None,
    max_bad: int = 0,
    device: str | None = None,
    precision: str | None = None,
) -> dict[str, Any]:
    """The metrics of a model on labelled data, with intervals, baseline, signature and counts.

    model: a run folder, model folder, Hub id, a loaded Model or a Result. data: a file, folder (its test split, where it
    has one), address, hf:NAME, DataFrame, Dataset or list of dicts. columns: {role: column}; those of the training where
    absent. train: rows for the naive baseline to learn from; where scored rows are among them too, `without_leaked` is the
    score without those. max_bad: rows that may be unusable; they are named in `notes`.

    Raises DataError naming all rows that cannot be used and all labels that the model does not know, ModelError for a model
    without a trained head.
    """
    from oneloop.measure.evaluate import evaluate_rows
    from oneloop.read.explode import explode_all
    from oneloop.ship.predict import Model, load

    loaded = model if isinstance(model, Model) else load(getattr(model, "path", model), task=task, device=device, precision=precision)
    notes: list[str] = []
    split, table = scored_table(data, max_bad, notes)
    table = explode_all(table, loaded.task.settings.get("clean") or [], notes.append, split)
    rows = scored_rows(loaded, table, columns, max_bad, split, notes)
    began = time.perf_counter()
    found = evaluate_rows(loaded.task, loaded.engine, rows)
    seconds = time.perf_counter() - began
    learned_from = training_rows(loaded, train, columns, max_bad, notes)
    return document(loaded, found, table, split, learned_from, seconds, notes)


def scored_table(data: str | Sequence[str] | Any, max_bad: int, notes: list[str]) -> tuple[str, Table]:
    """The rows to score, and the name of their split: the test split of a folder, else `data`."""
    from oneloop.read import read_splits

    tables = read_splits(data, max_bad=max_bad)
    split = next((name for name in ("test", "validation") if name in tables), "data")
    table = tables[split] if split in tables else next(iter(tables.values()))
    notes += table.notes
    if len(tables) > 1:
        notes.append(f"scored: {split}; also there: {', '.join(name for name in tables if name != split)}")
    return split, table


def scored_rows(model: Model, table: Table, columns: Mapping[str, Any] | None, max_bad: int, split: str, notes: list[str]) -> Sequence[Row]:
    """Role rows whose right answers the model could give. DataError with everything that is wrong, all at once."""
    from oneloop.read.labelled import labelled_rows
    from oneloop.ship.predict import columns_for

    settings, task = model.task.settings, model.task
    mapped = columns_for(model, table, columns)
    rows, problems = labelled_rows(
        table, task, mapped, where=settings.get("where"), clean=settings.get("clean") or [], split=split, note=notes.append
    )
    bad = {(problem.file, problem.row) for problem in problems}
    if len(bad) > max_bad or any(problem.row is None for problem in problems):
        raise DataError(f"{len(bad)} {'row' if len(bad) == 1 else 'rows'} cannot be used", problems, fix="mend them")
    notes += ["set aside: " + problem.render() for problem in problems]
    if not rows:
        targets = ", ".join(column.role for column in task.columns if column.target)
        raise DataError(
            "no row has the right answer beside it", where=table.file, expected=f"a column for {targets}", fix="--columns ROLE=COLUMN"
        )
    unknown = task.unknown_labels(rows)
    if unknown:
        known = ", ".join(map(str, task.facts.get("labels", [])[:20]))
        raise DataError(
            "labels that the model does not know", unknown, expected=f"one of {known}", fix="correct them, or name other columns"
        )
    return rows


def training_rows(
    model: Model, train: str | Sequence[str] | Any | None, columns: Mapping[str, Any] | None, max_bad: int, notes: list[str]
) -> Sequence[Row] | None:
    """The rows that the naive baseline learns from; None where none are given."""
    if train is None:
        return None
    from oneloop.read import read_splits
    from oneloop.read.explode import explode_all

    tables = read_splits(train, max_bad=max_bad)
    table = explode_all(tables.get("train") or next(iter(tables.values())), model.task.settings.get("clean") or [], notes.append, "train")
    return scored_rows(model, table, columns, max_bad, "train", notes)


def document(
    model: Model, found: Evaluation, table: Table, split: str, train: Sequence[Row] | None, seconds: float, notes: list[str]
) -> dict[str, Any]:
    """The contents of metrics.json for an evaluation."""
    from oneloop.measure.interval import interval
    from oneloop.measure.leaked import told, without_leaked
    from oneloop.read.leaks import exact

    left = without_leaked(found.statistics, exact(found.rows, train, model.task.columns)) if train else None
    notes += [told(left, model.task.metric, split)] if left else []
    tokens = sum(feature.get("tokens", len(feature["input_ids"])) for feature in found.features)
    return {
        "oneloop": __version__,
        "task": model.task.name,
        "split": split,
        "rows": len(found.rows),
        "primary": model.task.metric,
        "metrics": interval(found.statistics),
        "baseline": baseline(model, found.rows, train),
        "before": None,
        "signature": sign(model, found, split),
        "data": {
            "read": len(table),
            "dropped": len(table) - len(found.rows),
            "tokens": int(tokens),
            "tokens_cut": int(sum(feature.get("cut", 0) for feature in found.features)),
            "windows": len(found.features),
            "files": table.files,
        },
        "time": {"eval_s": round(seconds, 3), "precision": model.engine.precision},
        "reload_check": None,
        **({"without_leaked": left} if left else {}),
        "notes": notes,
    }


def baseline(model: Model, rows: Sequence[Row], train: Sequence[Row] | None) -> dict[str, Any] | None:
    """The naive method's score on the same rows, by the same scorer; a name without metrics where it has nothing to learn from."""
    from oneloop.measure.interval import interval

    if train is None:
        return {"name": NO_TRAINING_ROWS, "metrics": {}}
    found = model.task.baseline(train, rows)
    return None if found is None else {"name": found[0], "metrics": interval(model.task.score(found[1], rows))}


def sign(model: Model, found: Evaluation, split: str) -> str:
    """The line that makes the score repeatable."""
    from oneloop.measure.signature import signature

    task = model.task
    settings = {name: task.settings.get(name) for name in ("max_length", "stride", "clean", "where", *task.fields)}
    return signature(
        task=task.name,
        model=model.path,
        revision=revision(model),
        data_hash=fingerprint.data_hash(found.rows),
        split=split,
        settings={**settings, "precision": model.engine.precision},
        statistics_signature=found.statistics.signature,
        versions=fingerprint.versions(),
    )


def revision(model: Model) -> str:
    """Which weights: the run that made them, the Hub's commit, or a hash of the files (16 hex digits)."""
    known = model.facts.get("run") or getattr(model.engine.model.config, "_commit_hash", None)
    if known:
        return str(known)
    from oneloop.commit import sha256

    files = sorted(file for pattern in WEIGHTS for file in Path(model.path).glob(pattern))
    return hashlib.sha256("".join(sha256(file) for file in files).encode()).hexdigest()[:16] if files else ""
