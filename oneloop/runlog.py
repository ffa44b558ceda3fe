"""RUN/log.jsonl: one line per logged step and per evaluation, durable at every checkpoint.

A resumed run cuts the file back to the length its checkpoint remembers, so each step stands there once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from oneloop.commit import explained, finite


class RunLog:
    """An append-only file of JSON lines."""

    def __init__(self, path: Path, length: int = 0) -> None:
        """Open `path` for appending after its first `length` bytes; what follows them is dropped."""
        self.path = path
        path.touch()
        if path.stat().st_size > length:
            os.truncate(path, length)
        self.stream = path.open("ab")

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        data = json.dumps(finite(line), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with explained(self.path.parent, len(data)):
            self.stream.write(data)
            self.stream.flush()

    def sync(self) -> int:
        """Make everything written durable; returns the file's length in bytes."""
        with explained(self.path.parent, 0):
            self.stream.flush()
            os.fsync(self.stream.fileno())
        return self.stream.tell()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()
