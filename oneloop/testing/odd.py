"""Clauses about texts that nobody expects: empty, invisible, broken, endless.

In:  a Kit
Out: nothing; ContractError
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneloop.errors import DataError
from oneloop.tasks.base import Row
from oneloop.testing.contract import LENGTH, Kit, demand, same_json

TEXTS = {
    "an empty text": "",
    "blanks only": " \t\u00a0",
    "zero width only": "\u200b\u200d\ufeff",
    "an emoji of several code points": "\U0001f468\u200d\U0001f469\u200d\U0001f467 ok",
    "a lone surrogate": "broken \ud83d here",
    "control characters": "a\x00b\x1b[31m\x7f",
    "right to left and combining marks": "\u202eשלום e\u0301\u0323",
    "one word of 20,000 letters": "x" * 20_000,
    "20,000 words": "some words " * 10_000,
}


def odd_texts(kit: Kit) -> None:
    """Each odd text is refused with a ValueError or predicted beside an ordinary row; what is too long is windowed or counted."""
    columns = [column for column in kit.task.columns if not column.target] or list(kit.task.columns)
    first = kit.bare[0]
    for column in columns:
        if column.role not in first:
            continue
        for name, text in TEXTS.items():
            value = text.split(" ") if isinstance(first[column.role], list) else text
            try:
                row = first | {column.role: column.parse(value)}
                found = kit.predict([row, kit.bare[1]])
            except (ValueError, DataError):
                continue  # refused with a reason
            demand(len(found) == 2, f"{column.role} is {name}: {len(found)} predictions for 2 rows")
            same_json(f"{column.role} is {name}: the prediction", found[0])
            tags = found[0].get("tags")
            if isinstance(value, list) and tags is not None:
                demand(len(tags) == len(row[column.role]), f"{column.role} is {name}: {len(tags)} tags for {len(row[column.role])} words")
    _long(kit, columns, first)


def _long(kit: Kit, columns: Sequence[Any], first: Row) -> None:
    words = ["word"] * 500
    for column in columns:
        if column.role in first:
            value = words if isinstance(first[column.role], list) else " ".join(words)
            features = kit.task.encode([first | {column.role: value}], kit.tokenizer)
            read = sum(int(feature.get("tokens", len(feature["input_ids"]))) for feature in features)
            cut = sum(int(feature.get("cut", 0)) for feature in features)
            demand(
                len(features) > 1 or cut or read <= LENGTH < 500 <= read + cut,
                f"{column.role} of 500 words: what was not read is not counted",
            )
