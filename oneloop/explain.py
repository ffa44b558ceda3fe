"""The task map, and one task explained.

In:  nothing, or a task's name, e.g. "ner"
Out: plain dictionaries that `oneloop tasks` prints and docs/tasks.md is made from.
"""

from __future__ import annotations

from typing import Any

from oneloop.tasks import ALIASES, table, task_class


def tasks(task: str | None = None) -> list[dict[str, Any]]:
    """Every task, or only the one called `task`; RecipeError when there is no such task."""
    return [explain(name) for name in ([task] if task else table())]


def explain(name: str) -> dict[str, Any]:
    """What a person wants to know of the task `name`: what it does, its rows, head, label shape, collator and metric."""
    task = task_class(name)
    also = sorted({*task.aliases, *(alias for alias, target in ALIASES.items() if target == task.name)})
    return {
        "task": task.name,
        "also": also,
        "does": task.does,
        "trainable": task.trainable,
        "family": task.family,
        "head": task.head,
        "label_shape": task.label_shape,
        "collator": task.collator,
        "metric": task.metric,
        "metric_limits": task.metric_limits,
        "wrinkle": task.wrinkle,
        "rows": [
            {"role": column.role, "target": column.target, "required": column.required, "help": column.help} for column in task.columns
        ],
        "data": task.clues.shape,
        "example": task.clues.example,
        "fields": {field: {"default": item.default, "help": item.help} for field, item in task.fields.items()},
        "command": f"oneloop train --task {task.name} --train YOUR_FILE --output RUN",
    }


def page(facts: dict[str, Any]) -> str:
    """One task as text for a terminal."""
    labels = {"family": "model family", "label_shape": "label shape", "metric_limits": "it does not see", "data": "data looks like"}
    lines = [facts["task"] + (f"  (also: {', '.join(facts['also'])})" if facts["also"] else ""), f"  {facts['does']}", ""]
    for key in ("family", "head", "label_shape", "collator", "metric", "metric_limits", "wrinkle", "data", "example"):
        if facts[key]:
            lines.append(f"  {labels.get(key, key):<16}{facts[key]}")
    lines += ["", "  each row has"] + [f"    {row_line(row)}" for row in facts["rows"]]
    if facts["fields"]:
        lines += ["", "  settings of its own"] + [
            f"    {name} = {item['default']}: {item['help']}" for name, item in facts["fields"].items()
        ]
    state = "" if facts["trainable"] else "  (diagnosed and checked; not trained here yet)"
    return "\n".join([*lines, "", f"  next: {facts['command']}{state}"])


def listing(found: list[dict[str, Any]]) -> str:
    """The task map as text: a line for each task, its metric beside it."""
    lines = [f"{facts['task']:<25}{facts['metric']:<17}{facts['does']}" for facts in found]
    return "\n".join(
        [f"{'task':<25}{'metric':<17}what it does", *lines, "", "one of them: oneloop tasks TASK    not sure: oneloop diagnose"]
    )


def row_line(row: dict[str, Any]) -> str:
    """One role: its name, whether it may be absent or is what is predicted, and its help."""
    marks = ", ".join(word for word, on in (("to be predicted", row["target"]), ("optional", not row["required"])) if on)
    return f"{row['role']}{f' ({marks})' if marks else ''}{': ' + row['help'] if row['help'] else ''}"
