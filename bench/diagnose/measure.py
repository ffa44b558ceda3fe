"""Measure the diagnosis of statements on a bank: accuracy by task and by difficulty, in totals only.

    python bench/diagnose/measure.py [BANK.jsonl]        (default: heldout.jsonl)

A line of a bank holds a statement, the task it asks for (null or "none" when it is outside the eight), whether it is
ambiguous (with the tasks that are meant), and its difficulty. Nothing of a statement is ever printed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from oneloop.diagnose import batch
from oneloop.tasks import ALIASES, TASKS

HERE = Path(__file__).parent
TASK_KEYS = ("task", "gold", "expected", "label", "answer", "tasks", "acceptable", "accept", "options", "between", "candidates")


def named(value: Any) -> list[str]:
    """The tasks a field names, in their canonical spelling."""
    parts = value if isinstance(value, list) else [value]
    names = [ALIASES.get(str(part).lower(), str(part).lower()) for part in parts]
    return [name for name in names if name in TASKS]


def wanted(row: dict[str, Any]) -> tuple[list[str], bool, bool]:
    """(tasks meant, outside the eight, ambiguous) of one line."""
    said = [value for key in TASK_KEYS if (value := row.get(key)) not in (None, "", [])]
    tasks = list(dict.fromkeys(name for value in said for name in named(value)))
    flat = {str(part).lower() for value in said for part in (value if isinstance(value, list) else [value])}
    ambiguous = bool(row.get("ambiguous")) or "ambiguous" in {*flat, str(row.get("kind"))}
    tasks += [name for name in named(row.get("also") or []) if ambiguous and name not in tasks]
    outside = bool(row.get("none") or row.get("out_of_scope")) or (not tasks and not ambiguous) or bool(flat & {"none", "out-of-scope"})
    return tasks, outside and not ambiguous, ambiguous


class Totals:
    """Right and all, for each name."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, name: str, right: bool) -> None:
        """Count one."""
        self.counts[name][0] += right
        self.counts[name][1] += 1

    def lines(self) -> list[str]:
        """One line for each name."""
        return [f"  {name:<44}{right / total:7.3f}  of {total}" for name, (right, total) in sorted(self.counts.items())]


def measure(path: Path) -> list[str]:
    """The lines of the report."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    began = time.process_time()
    answers = list(batch({"id": str(number), "statement": row["statement"]} for number, row in enumerate(rows)))
    spent = time.process_time() - began
    totals = Totals()
    for row, answer in zip(rows, answers):
        count(totals, row, answer)
    return [f"{path.name}: {len(rows)} statements, {1000 * spent / max(1, len(rows)):.0f} ms each", *totals.lines()]


def count(totals: Totals, row: dict[str, Any], answer: dict[str, Any]) -> None:
    """Add one line's result to the totals."""
    tasks, outside, ambiguous = wanted(row)
    difficulty = row.get("difficulty", "?")
    if ambiguous:
        totals.add("ambiguous: asked", answer["ambiguous"])
        totals.add(
            "ambiguous: first task is one of those meant", not answer["none"] and answer["tasks"][:1] != [] and answer["tasks"][0] in tasks
        )
        return
    totals.add("clear: asked although clear", answer["ambiguous"])
    if outside:
        totals.add("outside: recognised", answer["none"])
        totals.add(f"outside, {difficulty}", answer["none"])
        return
    totals.add("inside: said to be outside", answer["none"])
    first = not answer["none"] and answer["tasks"][0] in tasks
    totals.add("top-1", first)
    totals.add("top-1, outside or not put aside", answer["tasks"][0] in tasks)
    totals.add("top-2", any(name in tasks for name in answer["tasks"][:2]))
    totals.add(f"top-1, {difficulty}", first)
    totals.add(f"top-1, {row.get('language', row.get('lang', '?'))}", first)
    totals.add(f"top-1, {tasks[0]}", first)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", nargs="?", type=Path, default=HERE / "heldout.jsonl")
    print("\n".join(measure(parser.parse_args().bank)))


if __name__ == "__main__":
    main()
