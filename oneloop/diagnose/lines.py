"""Many diagnoses: a file with one question in each line, one answer line for each.

In:  lines {"id", "statement"?, "data"?}. Out: {"id", "tasks", "none", "ambiguous", "question", "columns", "error"?}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from oneloop.diagnose.together import diagnose
from oneloop.errors import OneloopError

EMPTY = {"tasks": [], "none": False, "ambiguous": False, "question": "", "columns": {}}


def batch(source: str | os.PathLike[str] | Iterable[str | dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One answer for each line, in order; a line that cannot be answered gives its reason as `error`.

    source: a path, or lines (JSON text or dicts). Data paths are taken from the current folder, else from the file's own.
    A path that cannot be opened raises OneloopError.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise OneloopError(f"cannot be read ({error})", where=str(path), expected='lines like {"id": "1", "statement": "…"}') from error
        lines: Iterable[Any] = text.splitlines() if "\x85" not in text and "\u2028" not in text else text.split("\n")
        folder: Path | None = path.parent
        lines = [line for line in lines if line.strip()]
    else:
        lines, folder = source, None
    for number, line in enumerate(lines, 1):
        yield answered(line, number, folder)


def answered(line: Any, number: int, folder: Path | None = None) -> dict[str, Any]:
    """The answer line for one question line."""
    try:
        asked = json.loads(line) if isinstance(line, str | bytes) else line
    except (ValueError, RecursionError) as error:
        return {"id": number, **EMPTY, "error": f"line {number} is not JSON: {error}"}
    if not isinstance(asked, dict):
        return {"id": number, **EMPTY, "error": f"line {number} is not an object with id, statement or data"}
    name = asked.get("id", number)
    statement, data = asked.get("statement") or None, asked.get("data") or None
    for key, value in (("statement", statement), ("data", data)):
        if value is not None and not isinstance(value, str):
            return {"id": name, **EMPTY, "error": f"line {number}: '{key}' is not text"}
    try:
        return {"id": name, **diagnose(statement, placed(data, folder)).batch_dict()}
    except OneloopError as error:
        return {"id": name, **EMPTY, "error": error.render()}
    except Exception as error:
        return {"id": name, **EMPTY, "error": f"line {number}: {type(error).__name__}: {error}"}


def placed(data: str | None, folder: Path | None) -> str | None:
    """A data path as it stands if it is there, else beside the file it was named in."""
    if data is None or folder is None or Path(data).exists() or not (folder / data).exists():
        return data
    return str(folder / data)
