"""Everything that can go wrong for a user, as one tree.

    OneloopError            a user's error: one clear message, exit code 1, no traceback
    ├── DataError           rows that cannot be used; holds every Problem of a file at once
    ├── RecipeError         an unknown key, a value out of range, two settings that contradict
    ├── ModelError          a model or tokenizer that cannot be loaded or does not fit the task
    ├── RunError            a run folder in use, unreadable, finished or different
    ├── NotFinite           a loss, gradient or weight that is NaN or infinite
    ├── MissingExtra        an optional package is not installed
    └── Stopped             a signal asked the run to stop; what it had done is saved

Every message answers three questions: what happened (and where), what was expected, how to fix it.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

SHOWN = 20  # problems spelled out in a message; the rest is counted
SHOWN_PLACES = 5  # rows that a note names


class OneloopError(Exception):
    """A user's error: `what` happened `where`, what was `expected`, and how to `fix` it."""

    def __init__(self, what: str, *, where: str = "", expected: str = "", fix: str = "") -> None:
        self.what, self.where, self.expected, self.fix = what, where, expected, fix
        super().__init__(self.render())

    def render(self) -> str:
        """The message as printed: one line for each question that has an answer."""
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one row: `file`, `row` (1-based data row), `line` (1-based line of the file),
    `column`, the `reason` and the `remedy`."""

    reason: str
    remedy: str = ""
    file: str = ""
    row: int | None = None
    line: int | None = None
    column: str = ""

    def where(self) -> str:
        """`reviews.csv row 17 (line 18), column label`, with the parts that are known."""
        text = self.file
        if self.row is not None:
            text += f" row {self.row}"
        if self.line is not None:
            text += f" (line {self.line})" if self.row is not None else f" line {self.line}"
        if self.column:
            text += f", column {self.column}"
        return text.strip(" ,")

    def render(self) -> str:
        """One line: where, reason, remedy."""
        text = f"{self.where()}: {self.reason}" if self.where() else self.reason
        return f"{text}; {self.remedy}" if self.remedy else text

    def as_dict(self) -> dict[str, Any]:
        """The problem as JSON-ready fields, empty ones left out."""
        return {key: value for key, value in self.__dict__.items() if value not in ("", None)}


class DataError(OneloopError):
    """Rows that cannot be used. `problems` holds all of them, not only the first."""

    def __init__(self, what: str, problems: Iterable[Problem] = (), *, where: str = "", expected: str = "", fix: str = "") -> None:
        self.problems = list(problems)
        super().__init__(what, where=where, expected=expected, fix=fix)

    def render(self) -> str:
        """The summary, then one line per problem, at most `SHOWN` of them."""
        lines = [super().render()] + [f"  {problem.render()}" for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"  … and {len(self.problems) - SHOWN} more")
        return "\n".join(lines)


class RecipeError(OneloopError):
    """A recipe or flag that is unknown, out of range or contradicts another."""


class ModelError(OneloopError):
    """A model or tokenizer that cannot be loaded or does not fit the task."""


class RunError(OneloopError):
    """A run folder that is in use, unreadable, finished, or made with other settings."""


class NotFinite(OneloopError):
    """A loss, gradient or weight is NaN or infinite."""


class MissingExtra(OneloopError):
    """An optional package is not installed."""


class Stopped(OneloopError):
    """A signal stopped the run after its state was saved; `code` is the exit code (128 + signal number)."""

    def __init__(self, what: str, code: int, *, where: str = "", fix: str = "") -> None:
        self.code = code
        super().__init__(what, where=where, fix=fix)


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise MissingExtra naming the install line of the `extra` that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(f"the package {module} is not installed", fix=f'pip install "oneloop[{extra}]"') from error


def counted(number: int, one: str, several: str = "") -> str:
    """`1 row` or `3 rows`; several: the plural where it is not made with an s."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def first_rows(places: Iterable[tuple[str, int | None]], what: str = "row") -> str:
    """`mail.csv rows 3, 7, b.csv row 1 and 4 more` for (file, row) pairs, each named once and the first few spelled out. what: the
    word for a number. Empty where no number is known."""
    found = [(file, number) for file, number in dict.fromkeys(places) if number is not None]
    files: dict[str, list[str]] = {}
    for file, number in found[:SHOWN_PLACES]:
        files.setdefault(file, []).append(str(number))
    named = ", ".join(f"{file} {what}{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}".strip() for file, numbers in files.items())
    return named + (f" and {len(found) - SHOWN_PLACES:,} more" if len(found) > SHOWN_PLACES else "")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'label'?` for the nearest choice, or an empty string when none is near."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
