"""Two runs on the same rows: is the second better?

In:  two run folders (metrics.json, predictions.jsonl, model/oneloop.json).
Out: a Comparison: both scores, the paired difference with its interval and p-value, both signatures.

Nothing is taken from the folders' scores: both sets of predictions are scored again by the task's own `score`, on the references they
hold, with one class list, so the two numbers are made alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop.commit import verify_run
from oneloop.errors import RunError

if TYPE_CHECKING:
    from oneloop.measure.statistics import Statistics
    from oneloop.tasks.base import Column, Task

Line = dict[str, Any]
SHOWN = 5  # rows named in a message; the rest is counted
LOWER_IS_BETTER = frozenset({"loss", "perplexity", "bits_per_byte", "rmse"})
ALPHA = 0.05  # the level at which a difference is called one


@dataclass(frozen=True)
class Comparison:
    """`metrics`: {name: {"first", "second", "difference", "ci95", "p"}}, the difference being second minus first."""

    first: str
    second: str
    task: str
    rows: int
    primary: str
    metrics: dict[str, dict[str, Any]]
    signatures: tuple[str, str]
    verdict: str
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON-ready fields."""
        return asdict(self) | {"signatures": list(self.signatures)}

    def render(self) -> str:
        """The comparison as a person reads it: one line per metric, then the verdict and the signatures."""
        lines = [f"{self.rows} rows, {self.task}", f"  A  {self.first}", f"  B  {self.second}", ""]
        lines.append(f"  {'metric':<14}{'A':>10}{'B':>10}{'B - A':>11}   {'95 % interval':<22}p")
        for name, one in self.metrics.items():
            lo, hi = one["ci95"]
            span = f"[{_plain(lo, sign=True)}, {_plain(hi, sign=True)}]"
            numbers = f"{_plain(one['first']):>10}{_plain(one['second']):>10}{_plain(one['difference'], sign=True):>11}"
            lines.append(f"{'*' if name == self.primary else ' '} {name:<14}{numbers}   {span:<22}{_plain(one['p'])}")
        lines += ["", self.verdict, *self.notes, f"A: {self.signatures[0]}", f"B: {self.signatures[1]}"]
        return "\n".join(lines)


def compare(run_a: str | Path, run_b: str | Path, *, samples: int = 1000, seed: int = 0) -> Comparison:
    """The paired bootstrap difference of two runs, B minus A, over the rows both scored.

    Rows are matched by id and row number and must hold the same input and reference; RunError where they do not, where the tasks
    differ, or where the two are scored by different rules.
    """
    one, two = _Scored.read(run_a), _Scored.read(run_b)
    if one.task != two.task:
        raise RunError(f"run A is {one.task}, run B is {two.task}", where=f"{run_a}, {run_b}", expected="two runs of one task")
    lines_one, lines_two = _aligned(one, two)
    labels = _union(one.facts.get("labels"), two.facts.get("labels"))
    first, second = (run.statistics(lines, labels) for run, lines in ((one, lines_one), (two, lines_two)))
    if first.signature != second.signature:
        raise RunError(
            "the two runs are scored by different rules:\n"
            f"    A: {first.signature}\n    B: {second.signature}",
            where=f"{run_a}, {run_b}",
            expected="the same scorer, tokenizer and reading for both",
            fix="evaluate both with the same settings",
        )
    return _comparison(one, two, first, second, samples, seed)


def _comparison(one: _Scored, two: _Scored, first: Statistics, second: Statistics, samples: int, seed: int) -> Comparison:
    from oneloop.measure.interval import paired

    values, others = first.metrics(), second.metrics()
    metrics = {
        name: {"first": _number(values[name]), "second": _number(others[name]), **found}
        for name, found in paired(first, second, samples=samples, seed=seed).items()
    }
    primary = one.primary if one.primary in metrics else next(iter(metrics), "")
    same = {str(key) for key in (one.facts.get("labels") or [])} == {str(key) for key in (two.facts.get("labels") or [])}
    notes = [] if same else ["The runs know different labels; both are scored over all of them."]
    return Comparison(
        str(one.folder),
        str(two.folder),
        one.task,
        len(first.table),
        primary,
        metrics,
        (one.signature, two.signature),
        _verdict(primary, metrics.get(primary), samples),
        notes,
    )


@dataclass(frozen=True)
class _Scored:
    """What comparing needs of a run folder."""

    folder: Path
    task: str
    primary: str
    signature: str
    facts: dict[str, Any]
    settings: dict[str, Any]
    lines: list[Line]

    @classmethod
    def read(cls, run: str | Path) -> _Scored:
        """Read metrics.json, predictions.jsonl and the task's facts; RunError naming what is missing or broken."""
        folder = Path(run)
        if not folder.is_dir():
            raise RunError(f"there is no run folder {folder}", expected="the folder that `oneloop train --output` wrote")
        verify_run(folder, ("metrics.json", "predictions.jsonl", "model/oneloop.json"))
        metrics = _json(folder / "metrics.json")
        lines = _json_lines(folder / "predictions.jsonl")
        saved = folder / "model" / "oneloop.json"
        record = _json(saved) if saved.is_file() else {}
        settings = dict(record.get("settings") or {})
        signature = str(metrics.get("signature") or "")
        return cls(
            folder, str(metrics.get("task")), str(metrics.get("primary") or ""), signature, dict(record.get("facts") or {}), settings, lines
        )

    def statistics(self, lines: Sequence[Line], labels: list[Any] | None) -> Statistics:
        """The lines scored by the task, its class list replaced by `labels`."""
        from oneloop.tasks import task_class

        facts = self.facts if labels is None else self.facts | {"labels": labels}
        task = task_class(self.task)(self.settings, facts)
        return task.score([line["prediction"] for line in lines], _rows(task, lines))


def _rows(task: Task, lines: Sequence[Line]) -> list[Line]:
    """The role rows that lines of predictions.jsonl were written from: their inputs and their targets.

    A reference that is the value of a single role is given back to the role whose parser leaves most references as they are.
    """
    targets = [column for column in task.columns if column.target]
    single = max(targets, key=lambda column: sum(_fits(column, line["reference"]) for line in lines), default=None)
    rows = []
    for line in lines:
        row = {"id": line.get("id"), "row": line.get("row"), "file": line.get("file", "")}
        row |= line["input"] if isinstance(line.get("input"), dict) else {}
        reference = line["reference"]
        several = isinstance(reference, dict) and reference and set(reference) <= {column.role for column in targets}
        rows.append(row | reference if several else row | ({single.role: reference} if single else {}))
    return rows


def _fits(column: Column, reference: Any) -> bool:
    """Whether a value is already what the column's parser makes of it."""
    try:
        found = column.parse(reference)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return type(found) is type(reference) and bool(found == reference)


def _aligned(one: _Scored, two: _Scored) -> tuple[list[Line], list[Line]]:
    """The lines of both runs in A's order; RunError naming how many rows differ and which."""
    first, second = (_by_key(run) for run in (one, two))
    only = [f"{_name(key)} only in A" for key in first if key not in second]
    only += [f"{_name(key)} only in B" for key in second if key not in first]
    other = [
        f"{_name(key)} has another {part} in B"
        for key in first
        if key in second
        for part in ("input", "reference")
        if part in first[key] and part in second[key] and first[key][part] != second[key][part]
    ]
    problems = only + other
    if problems:
        shown = "\n".join(f"    {text}" for text in problems[:SHOWN])
        rest = f"\n    … and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise RunError(
            f"{len(problems)} rows differ between the runs:\n{shown}{rest}",
            where=f"{one.folder} ({len(first)} rows), {two.folder} ({len(second)} rows)",
            expected="the same rows with the same references",
            fix="give both runs the same --test file, or the same data and --seed so that the splits are equal",
        )
    if not first:
        raise RunError("the runs scored no rows", where=str(one.folder))
    return [first[key] for key in first], [second[key] for key in first]


def _by_key(run: _Scored) -> dict[tuple[str, str], Line]:
    """Lines by (id, row); RunError where two lines share both."""
    found: dict[tuple[str, str], Line] = {}
    for line in run.lines:
        key = (str(line.get("id")), str(line.get("row")))
        if key in found:
            raise RunError(f"{_name(key)} stands twice in predictions.jsonl", where=str(run.folder), fix="evaluate the run again")
        found[key] = line
    return found


def _name(key: tuple[str, str]) -> str:
    return f"row {key[1]}" if key[0] == key[1] else f"row {key[1]} (id {key[0]})"


def _union(one: Any, two: Any) -> list[Any] | None:
    """The labels of both runs, A's first; None where neither has any."""
    if one is None and two is None:
        return None
    return list(dict.fromkeys([*(one or []), *(two or [])]))


def _verdict(primary: str, found: dict[str, Any] | None, samples: int) -> str:
    """One sentence: is B better than A by the primary metric?"""
    if found is None or found["p"] is None:
        return f"{primary or 'the metric'} is undefined for one of the runs: nothing can be said."
    if found["p"] >= ALPHA:
        return f"No difference can be shown in {primary} (p = {_plain(found['p'])}, {samples} resamples)."
    better = (found["difference"] > 0) != (primary in LOWER_IS_BETTER)
    return f"B is {'better' if better else 'worse'} than A in {primary} (p = {_plain(found['p'])}, {samples} resamples)."


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path.name} cannot be read: {error}", where=str(path.parent), fix="give a finished run folder") from error
    if not isinstance(found, dict):
        raise RunError(f"{path.name} holds no mapping", where=str(path.parent), fix="give a finished run folder")
    return found


def _json_lines(path: Path) -> list[Line]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path.name} cannot be read: {error}", where=str(path.parent), fix="give a finished run folder") from error
    return list(_parsed(text.split("\n"), path))


def _parsed(lines: Iterable[str], path: Path) -> Iterable[Line]:
    """One mapping per line that is not empty; RunError naming the first line that is none or lacks a field."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise RunError(f"line {number} is not JSON: {error}", where=str(path), fix="evaluate the run again") from error
        if not isinstance(found, dict) or not isinstance(found.get("prediction"), dict) or "reference" not in found:
            raise RunError(f"line {number} lacks prediction or reference", where=str(path), fix="evaluate the run again")
        yield found


def _number(value: float) -> float | None:
    return None if value != value else float(value)


def _plain(value: float | None, *, sign: bool = False) -> str:
    """A number with four digits after the point, or `undefined`."""
    if value is None:
        return "undefined"
    return f"{value:+.4f}" if sign else f"{value:.4f}"
