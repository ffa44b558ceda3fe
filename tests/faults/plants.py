"""Faults that a forked child plants in itself before it runs: each function changes real calls of this process only.

The server (`server.py`) calls them by name; none of them touches a file of the run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

CALLS = ("write", "fsync", "replace", "rename", "unlink", "rmdir", "mkdir", "truncate")


def where(arguments: tuple[Any, ...], settings: dict[str, Any]) -> str:
    """The path that a call of `os` is about."""
    first, folder = arguments[0], settings.get("dir_fd")
    if isinstance(first, int):
        return os.readlink(f"/proc/self/fd/{first}")
    return os.path.abspath(os.path.join(os.readlink(f"/proc/self/fd/{folder}") if folder is not None else "", os.fsdecode(first)))


def count_calls(root: str, journal: str, kill_at: int = 0, half: bool = False, stop_signal: int = signal.SIGKILL) -> None:
    """Number every call that changes something under `root` and write each one down in `journal`.

    kill_at: die before that call (from 1), or with `half`, in the middle of a write, after half of its bytes.
    """
    handle = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    seen = 0
    real = {name: getattr(os, name) for name in CALLS}

    def watched(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            nonlocal seen
            path = where(arguments, settings)
            if not (path + "/").startswith(root.rstrip("/") + "/"):
                return real[name](*arguments, **settings)
            seen += 1
            real["write"](handle, f"{seen} {name} {path}\n".encode())
            if seen == kill_at:
                if half and name == "write":
                    real["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), stop_signal)
            return real[name](*arguments, **settings)

        return call

    for name in CALLS:
        setattr(os, name, watched(name))
