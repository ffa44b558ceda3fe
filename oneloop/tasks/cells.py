"""From the cell of a file to the value a role holds. Each parser raises ValueError with a reason a user understands.

In: a cell as a reader gave it (text formats give str, JSON formats keep their types). Out: the canonical value.
"""

from __future__ import annotations

import json
from typing import Any


def text(cell: Any) -> str:
    """A text as it stands; numbers become text; lists of sentences are joined with a space; empty is refused."""
    if isinstance(cell, list) and all(isinstance(item, str) for item in cell):
        cell = " ".join(cell)
    if isinstance(cell, bool | dict | list) or cell is None:
        raise ValueError("expected text, found " + ("nothing" if cell is None else type(cell).__name__))
    found = cell if isinstance(cell, str) else str(cell)
    if not found.strip():
        raise ValueError("the text is empty")
    return found


def optional_text(cell: Any) -> str:
    """A text that may be empty."""
    return "" if cell is None or (isinstance(cell, str) and not cell.strip()) else text(cell)


def objects(cell: Any) -> list[dict[str, Any]]:
    """A list of objects, also when it is written as JSON text."""
    found = json.loads(cell) if isinstance(cell, str) else cell
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError("expected a list of objects")
    return found


def number(cell: Any) -> float:
    """A finite number; a single comma may be its decimal point."""
    try:
        found = float(cell.strip().replace(",", ".") if isinstance(cell, str) else cell)
    except (TypeError, ValueError):
        raise ValueError(f"expected a number, found {cell!r}") from None
    if found != found or found in (float("inf"), float("-inf")):
        raise ValueError(f"expected a finite number, found {cell!r}")
    return found


def turns(cell: Any) -> list[dict[str, str]]:
    """A chat: a list of {"role", "content"}; the spelling {"from": "human" | "gpt", "value"} is turned into it."""
    roles = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
    chat = []
    for item in objects(cell):
        role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
        if not isinstance(role, str) or not isinstance(content, str):
            raise ValueError('expected turns like {"role": "user", "content": "…"}')
        chat.append({"role": roles.get(role.lower(), role.lower()), "content": content})
    if not chat:
        raise ValueError("the chat has no turns")
    return chat
