"""What a person sees in the terminal while and after a command runs.

In:  events of a run, e.g. {"kind": "step", "number": 7, "total": 90, "loss": 0.41}, and documents such as metrics.json
Out: a progress bar and notes on stderr; readable text for stdout.

Kinds of events: note (text), stage (name, text, total and start where it counts), step (step, total, loss), evaluation
(step, metrics), saved (step, path), done (path). Anything unknown is passed over, so a run may say more than is shown.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SHOWN_METRICS = 12  # lines of a score table in the terminal; metrics.json has them all


class Progress:
    """Shows the events of one run on stderr; used as a context so that the bar is cleared whatever happens."""

    def __init__(self, quiet: bool = False) -> None:
        self.stage: Any = None
        self.bar: Any = None if quiet else make_bar()

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event. A terminal that has gone away is not an error of the run."""
        if self.bar is None:
            return
        try:
            self.show(event)
        except OSError:
            self.bar = None

    def show(self, event: dict[str, Any]) -> None:
        """Print a line, or move the bar."""
        kind = event.get("kind")
        if kind == "note":
            self.line(str(event.get("text", "")))
        elif kind == "stage":
            self.line(str(event.get("text", event.get("name", ""))))
            self.begin(str(event.get("name", "")), event.get("total"), event.get("start", 0))
        elif kind == "step":
            self.move(event)
        elif kind == "evaluation":
            self.line(f"step {event.get('step', '')}: {score_line(event.get('metrics', {}))}{' (best)' if event.get('best') else ''}")

    def doing(self, text: str) -> None:
        """Name what is going on, in the bar only."""
        if self.bar is not None:
            self.begin(text, None, 0)

    def begin(self, name: str, total: int | None, start: int) -> None:
        """A new stage takes the place of the one before; without a total the bar only shows that something happens."""
        if self.stage is not None:
            self.bar.remove_task(self.stage)
        self.stage = self.bar.add_task(name, total=total, completed=start, count="")

    def move(self, event: dict[str, Any]) -> None:
        """Advance the bar to a step and show its loss."""
        if self.stage is None:
            self.begin("training", event.get("total"), 0)
        loss = event.get("loss")
        shown = f"  loss {loss:.4f}" if isinstance(loss, (int, float)) else ""
        done, total = event.get("step", 0), event.get("total")
        self.bar.update(self.stage, completed=done, total=total, count=f"{done}/{total}{shown}")

    def line(self, text: str) -> None:
        """One line above the bar; the text is data, so nothing in it is markup."""
        if self.bar is not None:
            self.bar.console.print(printable(text), markup=False, highlight=False)


def make_bar() -> Any:
    """A rich progress bar on stderr; without a terminal it prints nothing but the lines."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TimeRemainingColumn(),
    ]
    return Progress(*columns, console=Console(stderr=True, soft_wrap=True), transient=True, disable=not sys.stderr.isatty())


def printable(text: str) -> str:
    """`text` without what could drive a terminal: control characters (but tab and newline) and directional overrides."""
    return "".join(one if one in "\t\n" or one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def score_line(metrics: dict[str, Any]) -> str:
    """`f1 0.9120, accuracy 0.9700` from values or {"value", "ci95"} records."""
    parts = []
    for name, record in list(metrics.items())[:SHOWN_METRICS]:
        value = record.get("value") if isinstance(record, dict) else record
        parts.append(f"{name} {value:.4f}" if isinstance(value, (int, float)) else f"{name} –")
    return ", ".join(parts)


def score_table(document: dict[str, Any]) -> str:
    """The metrics of a metrics.json document with interval and baseline, the primary one marked."""
    baseline = document.get("baseline") or {}
    naive = baseline.get("metrics", {})
    lines = [f"{document.get('task', '')}  {document.get('split', '')}  {document.get('rows', '?')} rows"]
    for name, record in list(document.get("metrics", {}).items())[:SHOWN_METRICS]:
        value, interval = (record.get("value"), record.get("ci95")) if isinstance(record, dict) else (record, None)
        between = f"  95 % [{interval[0]:.4f}, {interval[1]:.4f}]" if interval and None not in interval else ""
        other = naive.get(name)
        other = other.get("value") if isinstance(other, dict) else other
        beside = f"  {baseline.get('name', 'baseline')} {other:.4f}" if isinstance(other, (int, float)) else ""
        mark = "*" if name == document.get("primary") else " "
        lines.append(f"{mark} {name:<14}{value:.4f}{between}{beside}" if isinstance(value, (int, float)) else f"{mark} {name:<14}undefined")
    return "\n".join(lines)


def dump(value: Any) -> str:
    """`value` as one JSON document; numbers that JSON cannot write become null."""
    return json.dumps(finite(plain(value)), ensure_ascii=False, indent=2)


def dump_line(value: Any) -> str:
    """`value` as one line of JSON."""
    return json.dumps(finite(plain(value)), ensure_ascii=False)


def plain(value: Any) -> Any:
    """`value` in JSON's own types: records as dictionaries, numpy numbers as numbers, paths as text."""
    if hasattr(value, "as_dict"):
        return plain(value.as_dict())
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def finite(value: Any) -> Any:
    """`value` with NaN and infinity as null, which every JSON reader accepts."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value
