"""What a check reports, and what it looks at.

In:  role rows, {"id", "row", "file", <role>: value, …}, grouped by split. Out: `Finding`s, JSON-ready.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from oneloop.errors import Problem
from oneloop.tasks.base import Row

BLOCKS, BIASES, LOOK = "blocks", "biases", "look"
VERDICTS = {BLOCKS: "blocks training", BIASES: "biases the score", LOOK: "worth a look"}
SHOWN_ROWS = 5  # rows printed with a finding
LISTED_ROWS = 10_000  # rows listed in its JSON form; the count is always the full one
EXAMPLE = 100  # characters of an example

# Roles by what they hold. What a model reads comes first; what it learns to say is the target.
INPUT_ROLES = (
    "text", "text_pair", "tokens", "question", "context", "document", "source", "prompt", "instruction", "input", "messages",
    "query", "anchor", "passage",
)  # fmt: skip
TARGET_ROLES = (
    "label", "labels", "score", "tags", "spans", "answers", "answer", "summary", "target", "completion", "output", "relevance",
    "positive", "chosen",
)  # fmt: skip
TEXT_ROLES = (
    "text", "text_pair", "question", "context", "document", "summary", "source", "target", "prompt", "completion", "instruction",
    "input", "output", "query", "passage", "anchor", "positive", "negative", "chosen", "rejected", "title",
)  # fmt: skip
TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass
class Finding:
    """One thing the data report says.

    kind: a slug, e.g. `leaked-rows`. severity: `blocks`, `biases` or `look`. count: how many rows (or labels, …), share: of
    how many they are a part, 0-1, None where that means nothing. rows: (file, 1-based row) of each; partners: for pairs, the
    row each of `rows` belongs to. examples: short texts. fixable: whether `--fix` repairs it.
    """

    kind: str
    severity: str
    message: str
    remedy: str = ""
    count: int = 1
    share: float | None = None
    rows: list[tuple[str, int]] = field(default_factory=list)
    partners: list[tuple[str, int]] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    split: str = ""
    fixable: bool = False
    numbers: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready fields, empty ones left out; at most `LISTED_ROWS` rows."""
        fields = {key: value for key, value in self.__dict__.items() if value not in ("", None, [], {}, False)}
        for name in ("rows", "partners"):
            if name in fields:
                fields[name] = [{"file": file, "row": row} for file, row in fields[name][:LISTED_ROWS]]
        if "share" in fields:
            fields["share"] = round(fields["share"], 6)
        return {**fields, "verdict": VERDICTS[self.severity], "count": self.count}


@dataclass
class Data:
    """The role rows of each split; `columns` as found in each split's file; `related`: the corpus and queries of a search set;
    `tables`: the splits as read, of which `mapped` gives {role: column}."""

    splits: dict[str, list[Row]]
    columns: dict[str, list[str]] = field(default_factory=dict)
    related: dict[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    mapped: Mapping[str, Any] = field(default_factory=dict)
    learns_text: bool = True  # whether a bare text is what a model learns to say

    @cached_property
    def roles(self) -> frozenset[str]:
        """Every role that at least one row has."""
        found: set[str] = set()
        for rows in self.splits.values():
            for row in rows:
                found.update(row)
        return frozenset(found) - {"id", "row", "file", "group"}

    @cached_property
    def input_roles(self) -> tuple[str, ...]:
        """The roles a model reads, in a fixed order; of two that say the same, one."""
        doubled = {"tokens"} if "text" in self.roles else set()
        doubled |= {"passage"} if {"query", "anchor"} & self.roles else set()
        return tuple(role for role in INPUT_ROLES if role in self.roles and role not in doubled)

    @cached_property
    def target_roles(self) -> tuple[str, ...]:
        """The roles a model learns to say."""
        further = ("passage",) if "query" in self.roles else ()
        return tuple(role for role in (*TARGET_ROLES, *further) if role in self.roles)

    @cached_property
    def all_rows(self) -> list[Row]:
        """The rows of every split, in order."""
        return [row for rows in self.splits.values() for row in rows]

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """What a model reads of each row, as one text, by split."""
        return {name: [input_text(row, self.input_roles) for row in rows] for name, rows in self.splits.items()}


def input_text(row: Row, roles: Sequence[str] = INPUT_ROLES) -> str:
    """The text a model reads of a row: its input roles, joined by line breaks."""
    if len(roles) == 1:
        return as_text(row.get(roles[0]))
    return "\n".join(text for role in roles if role in row and (text := as_text(row[role])))


def as_text(value: Any) -> str:
    """A role's value as text: tokens joined by spaces, of messages those that are not answers."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], dict):
            asked = [turn for turn in value if turn.get("role", turn.get("from")) not in ("assistant", "gpt", "system")]
            return "\n".join(str(turn.get("content", turn.get("value", ""))) for turn in asked)
        return " ".join(str(item) for item in value)
    return str(value)


def place(row: Row) -> tuple[str, int]:
    """Where a row stands: its file and 1-based number."""
    return str(row.get("file", "")), int(row.get("row", 0))


def brief(row: Row) -> tuple[str, int]:
    """Where a row stands, the file without its folders."""
    file, number = place(row)
    return file.replace("\\", "/").rsplit("/", 1)[-1], number


def one(text: str) -> str:
    """A sentence about one thing that was written for many: `1 row (3 %) has …`."""
    text = re.sub(
        r"^1 ((?:train |test |validation )?\w+?)(ies|s)\b", lambda match: f"1 {match[1]}" + ("y" if match[2] == "ies" else ""), text
    )
    verbs = {"have": "has", "are": "is", "go": "goes"}
    text = re.sub(
        r"^(1 .{0,40}?)\b(have|are|repeat|share|write|count|read|start|end|go|change|leave|look)\b",
        lambda match: match[1] + verbs.get(match[2], match[2] + "s"),
        text,
    )
    return re.sub(r"^(1 .{0,20}?looks like )misspellings of", r"\1a misspelling of", re.sub(r"\bin 1 rows\b", "in 1 row", text))


def shorten(text: str, limit: int = EXAMPLE) -> str:
    """A text on one line, at most `limit` characters, invisible characters spelled out."""
    visible = {"\n": "⏎", "\t": "→"}
    shown = "".join(c if c.isprintable() else visible.get(c, f"\\u{ord(c):04x}") for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def percent(part: float, whole: float) -> str:
    """`3.1 %`; two figures below one percent, `0 %` for none."""
    share = 100 * part / whole if whole else 0.0
    return "0 %" if share == 0 else "100 %" if share == 100 else f"{share:.2g} %" if share < 1 else f"{share:.1f} %"


def about(
    kind: str,
    severity: str,
    rows: Sequence[Row],
    of: int,
    message: str,
    remedy: str = "",
    *,
    examples: Iterable[str] = (),
    partners: Sequence[Row] = (),
    fixable: bool = False,
    split: str = "",
    **numbers: Any,
) -> Finding:
    """A finding about rows. `{count}` and `{share}` in the message are filled in; share = rows / `of`."""
    count = len(rows)
    filled = message.replace("{count}", f"{count:,}").replace("{share}", percent(count, of))
    filled = one(filled) if count == 1 else filled
    return Finding(
        kind, severity, filled, remedy, count, count / of if of else None, [place(row) for row in rows], [place(row) for row in partners],
        [shorten(text) for text, _ in zip(examples, range(SHOWN_ROWS))], split, fixable, numbers,
    )  # fmt: skip


def from_problems(problems: Sequence[Problem], kind: str = "unreadable-rows", severity: str = BLOCKS) -> list[Finding]:
    """Problems of a reader or parser as findings: those with one reason (numbers aside) together."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", problem.reason), problem.column), []).append(problem)
    found = []
    for group in groups.values():
        first = group[0]
        rows = [(p.file, p.row if p.row is not None else p.line or 0) for p in group]
        column = f" (column {first.column})" if first.column else ""
        message = first.render() if len(group) == 1 else f"{len(group):,} rows: {first.reason}{column}"
        remedy = first.remedy or "correct these rows in the file"
        examples = [p.render() for p in group[:SHOWN_ROWS]] if len(group) > 1 else []
        lines = [p.line for p in group if p.line is not None]
        numbers = {"lines": lines} if lines else {}
        found.append(Finding(kind, severity, message, remedy, len(group), None, rows, examples=examples, numbers=numbers))
    return found
