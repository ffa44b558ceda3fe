"""RUN/log.jsonl: one line per logged step and per evaluation, durable at every checkpoint.

A resumed run cuts the file back to the length its checkpoint remembers, so each step stands there once. Each checkpoint holds
the lines up to its step, so that a file that was shortened or changed since is written again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from oneloop.commit import explained, finite, sync_folder, write_file

# when an evaluation took place: only those during training are points of a learning curve
BEFORE, DURING, AFTER = "before training", "during training", "after training"


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

    def saved(self) -> bytes:
        """The lines written so far, for a checkpoint."""
        return contents(self.path, self.length)

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)


def steps_after(path: Path, step: int) -> list[int]:
    """The numbers of the logged steps after `step`: done once, and to be done again."""
    found = []
    for line in contents(path).splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # the last line of a run that was killed in the middle of it
            continue
        if isinstance(record, dict) and record.get("kind") == "step" and isinstance(record.get("step"), int) and record["step"] > step:
            found.append(record["step"])
    return found


def scores(path: Path, metric: str) -> dict[int, float]:
    """{step: value of a metric} of the evaluations during training; undefined values are left out."""
    found: dict[int, float] = {}
    for line in contents(path).splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("kind") == "evaluation" and record.get("when") == DURING:
            value = record.get("metrics", {}).get(metric)
            if isinstance(value, int | float):
                found[int(record["step"])] = float(value)
    return found


def contents(path: Path, length: int = -1) -> bytes:
    """The first `length` bytes of a log, all of them by default; nothing where there is no log."""
    try:
        with path.open("rb") as stream:
            return stream.read(length)
    except OSError:
        return b""


def mended(path: Path, kept: bytes) -> str:
    """Write a log anew where it does not begin with the lines that a checkpoint has kept; returns what was wrong with it, or ''."""
    found = contents(path, len(kept))
    if found == kept:
        return ""
    write_file(path, kept)
    if kept.startswith(found):
        return f"{path.name} was {len(kept) - len(found)} bytes shorter than at the last checkpoint" if found else f"{path.name} was gone"
    lines = zip(found.split(b"\n"), kept.split(b"\n"))
    line = next((number for number, (one, two) in enumerate(lines, 1) if one != two), 1)
    return f"{path.name} had been changed in line {line}, which the last checkpoint covers"
