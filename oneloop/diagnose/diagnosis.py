"""The answer of `diagnose`: which task, why, what follows from it, and what to run next.

In:  a ranking of tasks with the evidence for each. Out: a Diagnosis that prints, turns into JSON and writes a recipe.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oneloop.errors import OneloopError, did_you_mean
from oneloop.tasks import task_class

FAMILIES = {
    "encoder": "it reads the whole text in both directions and judges it; it does not write",
    "decoder": "it writes from left to right, each token from those before it",
    "encoder-decoder": "it reads one text as a whole and writes another",
}
SHOWN_TASKS = 4  # tasks a diagnosis ranks
TASK_COLUMNS = 16  # width of the left column when printed


@dataclass
class Diagnosis:
    """Which task it is. `tasks` ranks all that could be meant; `ambiguous` says that `question` must be answered first;
    `none` that it is another kind of problem (`kind`). `columns` says which column plays which role."""

    tasks: list[str]
    why: list[str]
    columns: dict[str, Any] = field(default_factory=dict)
    ambiguous: bool = False
    options: list[str] = field(default_factory=list)
    none: bool = False
    kind: str = ""
    instead: str = ""
    evidence: dict[str, list[str]] = field(default_factory=dict)
    mappings: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    data: str = ""
    rows: Any = field(default=None, repr=False, compare=False)

    # ---- what follows from the task --------------------------------------------------------------
    @property
    def task(self) -> str:
        """The name of the task, "" when it is none of them."""
        return "" if self.none or not self.tasks else self.tasks[0]

    def fact(self, name: str) -> str:
        """A fact of the task (head, label_shape, collator, metric, …), "" when it is none of them."""
        if not self.task:
            return ""
        task = task_class(self.task)
        return str(task.for_roles(self.columns).get(name) or getattr(task, name))

    @property
    def head(self) -> str:
        """The Hugging Face class that carries the head."""
        return self.fact("head")

    @property
    def label_shape(self) -> str:
        """What the labels look like to the model."""
        return self.fact("label_shape")

    @property
    def collator(self) -> str:
        """How rows become a batch."""
        return self.fact("collator")

    @property
    def metric(self) -> str:
        """The primary metric, as in metrics.json."""
        return self.fact("metric")

    @property
    def metric_limits(self) -> str:
        """What the metric does not see."""
        return self.fact("metric_limits")

    @property
    def family(self) -> str:
        """encoder, decoder or encoder-decoder."""
        return self.fact("family")

    @property
    def family_reason(self) -> str:
        """Why this family fits."""
        return FAMILIES.get(self.family, "")

    @property
    def wrinkle(self) -> str:
        """ "alignment", "sequence-to-sequence tools" or ""."""
        return self.fact("wrinkle")

    @property
    def runner_up(self) -> str:
        """The task that comes second, "" when there is none."""
        return next((name for name in self.tasks[1:] if name != self.task), "")

    @property
    def runner_up_if(self) -> str:
        """What would make it the runner-up."""
        return f"if what you want is a model that {task_class(self.runner_up).does}" if self.runner_up else ""

    @property
    def question(self) -> str:
        """The one question that decides, with its options; "" when nothing needs to be asked."""
        if not self.ambiguous:
            return ""
        lines = "; ".join(f"({number}) {task_class(name).does} [{name}]" for number, name in enumerate(self.options, 1))
        return f"What should the model do? {lines}"

    @property
    def trainable(self) -> str:
        """One line for a task that cannot be trained here yet, else ""."""
        ready = not self.task or task_class(self.task).trainable
        return "" if ready else f"{self.task} is diagnosed and checked; it cannot be trained here yet"

    @property
    def command(self) -> str:
        """The exact command to run next."""
        if not self.task:
            return ""
        data = shlex.quote(self.data) if self.data else "YOUR_FILE"
        targets = {column.role for column in task_class(self.task).columns if column.target}
        if self.trainable or (self.data and targets and not targets & set(self.columns)):  # nothing to train on yet: the report says how
            return f"oneloop check {data} --task {self.task}"
        named = "".join(f" --columns {shlex.quote(f'{role}={written(column)}')}" for role, column in self.columns.items())
        return f"oneloop train --task {self.task} --train {data}{named} --output RUN"

    # ---- the question answered -------------------------------------------------------------------
    def answer(self, choice: int | str) -> Diagnosis:
        """The diagnosis after `choice`: the number of an option, or a task's name. OneloopError for anything else."""
        text = str(choice).strip()
        if text.isdigit() and 1 <= int(text) <= len(self.options):
            name = self.options[int(text) - 1]
        elif text.isdigit() or not text:
            raise OneloopError(f"there is no option '{text}'", expected=f"1 to {len(self.options)}" + did_you_mean(text, self.options))
        else:
            name = task_class(text).name
        tasks = [name, *(other for other in self.tasks if other != name)]
        why = self.evidence.get(name) or ["you said so"]
        return replace(
            self, tasks=tasks, why=why, ambiguous=False, options=[], none=False, kind="", instead="", columns=self.mappings.get(name, {})
        )

    # ---- as data ---------------------------------------------------------------------------------
    def as_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        facts = ("task", "head", "label_shape", "collator", "metric", "metric_limits", "family", "family_reason", "wrinkle")
        said = ("runner_up", "runner_up_if", "question", "command", "trainable")
        stored = ("tasks", "why", "columns", "ambiguous", "options", "none", "kind", "instead", "notes", "problems", "data")
        return {name: getattr(self, name) for name in (*facts, *said, *stored)}

    def batch_dict(self) -> dict[str, Any]:
        """The line `diagnose --batch` prints, without its id."""
        line = {name: getattr(self, name) for name in ("tasks", "none", "ambiguous", "question", "columns")}
        return line | ({"error": "; ".join(self.problems[:5])} if self.problems else {})

    def to_recipe(self) -> dict[str, Any]:
        """The settings of a recipe. OneloopError when it is none of the tasks, or a question is open."""
        if not self.task:
            raise OneloopError(
                f"no recipe for this: {self.instead or 'it is none of the tasks'}", fix="oneloop tasks shows those there are"
            )
        if self.ambiguous:
            raise OneloopError("no recipe yet: two tasks fit", expected=self.question, fix="say it more exactly, or answer the question")
        found: dict[str, Any] = {"task": self.task}
        return found | ({"train": self.data} if self.data else {}) | ({"columns": self.columns} if self.columns else {})

    def write_recipe(self, path: str | Path) -> None:
        """Write the recipe as YAML to `path`."""
        from oneloop.commit import write_file
        from oneloop.safeyaml import write_yaml

        write_file(Path(path), write_yaml(self.to_recipe(), f"diagnosed: {'; '.join(self.why[:2])}".replace("\n", " ")))

    # ---- in words --------------------------------------------------------------------------------
    def render(self) -> str:
        """A few lines for a terminal."""
        if self.none:
            lines = [f"none of the eight tasks: {self.instead}", *(f"  {line}" for line in self.why)]
            return "\n".join([*lines, *self._data_lines()])
        rows = [("why", "; ".join(self.why)), ("head", self.head), ("label shape", self.label_shape), ("collator", self.collator)]
        rows += [("metric", self.metric), ("it does not see", self.metric_limits), ("model family", f"{self.family}: {self.family_reason}")]
        rows += [("wrinkle", self.wrinkle), ("columns", ", ".join(f"{role} = {written(column)}" for role, column in self.columns.items()))]
        rows += [("else", f"{self.runner_up}, {self.runner_up_if}" if self.runner_up else "")]
        asked = [f"  ? {self.question}"] if self.ambiguous else []
        told = [f"  {self.trainable}"] if self.trainable else []
        body = [f"  {name:<{TASK_COLUMNS}}{value}" for name, value in rows if value]
        return "\n".join([self.task, *asked, *body, *self._data_lines(), *told, f"  next: {self.command}"])

    def _data_lines(self) -> list[str]:
        shown = [f"  note: {note}" for note in self.notes] + [f"  problem: {problem}" for problem in self.problems[:20]]
        return shown + ([f"  … and {len(self.problems) - 20} more problems"] if len(self.problems) > 20 else [])


def written(column: Any) -> str:
    """A column as it is named on the command line; several are joined with |."""
    return "|".join(str(name) for name in column) if isinstance(column, list) else str(column)
