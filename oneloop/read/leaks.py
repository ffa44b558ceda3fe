"""Rows to score that also stand in the training data.

In:  role rows of both, a task's columns
Out: positions of rows whose input is that of a training row, but for case, white space and the width of characters
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from oneloop.tasks.base import Column, Row


def folded(text: str) -> str:
    """A text in NFKC, case-folded, with one space between words. Punctuation stays: `no!` is not `no?`."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(plain.casefold().split())


def inputs(columns: Sequence[Column]) -> tuple[str, ...]:
    """The roles a model reads; for a task that learns to say its own text, that text."""
    read = tuple(column.role for column in columns if not column.target)
    return read or tuple(column.role for column in columns)


def exact(rows: Sequence[Row], train: Sequence[Row], columns: Sequence[Column]) -> list[int]:
    """Positions in `rows`, ascending, of those whose every input role equals that of one and the same row of `train`."""
    roles = inputs(columns)
    seen = {_key(row, roles) for row in train}
    return [position for position, row in enumerate(rows) if _key(row, roles) in seen]


def _key(row: Row, roles: Sequence[str]) -> tuple[str, ...]:
    return tuple(_folded(row.get(role)) for role in roles)


def _folded(value: Any) -> str:
    if isinstance(value, str):
        return folded(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return folded(" ".join(value))
    return folded(json.dumps(value, sort_keys=True, default=str, ensure_ascii=False))
