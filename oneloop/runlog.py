"""RUN/log.jsonl: one line per logged step and per evaluation, durable at every checkpoint.

A resumed run cuts the file back to the length its checkpoint remembers, so each step stands there once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from oneloop.commit import explained, finite, sync_folder


class RunLog:
    """An append-only file of JSON lines; a line that cannot be written whole is not written at all."""

    def __init__(self, path: Path, length: int = 0) -> None:
        """Open `path` for appending after its first `length` bytes; what follows them is dropped."""
        self.path = path
        with explained(path.parent, 0):
            self.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
            self.length = min(os.fstat(self.handle).st_size, length)
            os.ftruncate(self.handle, self.length)
            sync_folder(path.parent)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line. RunError when the disk is full."""
        data = json.dumps(finite(line), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with explained(self.path.parent, len(data)):
            try:
                done = 0
                while done < len(data):
                    done += os.write(self.handle, data[done:])
            except OSError:
                os.ftruncate(self.handle, self.length)
                raise
        self.length += len(data)

    def sync(self) -> int:
        """Make everything written durable; returns the file's length in bytes."""
        with explained(self.path.parent, 0):
            os.fsync(self.handle)
        return self.length

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)


def steps_after(path: Path, length: int) -> list[int]:
    """The numbers of the steps logged after the first `length` bytes: done once, and to be done again."""
    try:
        with path.open("rb") as stream:
            stream.seek(length)
            lines = stream.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # the last line of a run that was killed in the middle of it
            continue
        if isinstance(record, dict) and record.get("kind") == "step" and isinstance(record.get("step"), int):
            found.append(record["step"])
    return found
