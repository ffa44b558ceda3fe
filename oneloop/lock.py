"""One run per folder, and a stop that is asked for and then kept.

`RunLock` refuses a second run in a folder and names the first; the operating system frees it when its owner dies.
`Signals` turns SIGTERM and Ctrl-C into a request that the run answers at the next safe moment.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from oneloop import commit
from oneloop.errors import RunError, Stopped

LOCK, OWNER = ".lock", ".owner.json"
TWICE = 0.0  # a second request within any time after the first is meant


class RunLock:
    """The right to write into a run folder, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self.folder = folder
        self.lock = FileLock(folder / LOCK, blocking=False)

    def __enter__(self) -> RunLock:
        from filelock import Timeout

        try:
            self.lock.acquire(blocking=False)
        except Timeout:
            raise self.refusal() from None
        commit.write_json(self.folder / OWNER, {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
        return self

    def refusal(self) -> RunError:
        """The error for a folder in use, with the owner's process id and host."""
        try:
            owner = json.loads((self.folder / OWNER).read_text())
            who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
        except (OSError, ValueError, KeyError):
            who = "another process"
        return RunError(f"another run writes into this folder: {who}", where=str(self.folder), fix="wait for it, stop it, or choose another --output")

    def __exit__(self, *_: object) -> None:
        (self.folder / OWNER).unlink(missing_ok=True)
        self.lock.release()


class Signals:
    """SIGTERM and Ctrl-C, kept until `check` is called at a safe moment; before `hold` they stop the program at once.

    A second Ctrl-C or SIGTERM stops at once: every write is all or nothing, so nothing breaks. A lost terminal (SIGHUP)
    is ignored. Only the main thread can receive signals; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self.holding = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGINT"):
                number = getattr(signal, name)
                self.before[number] = signal.signal(number, self.handle)
            if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
                self.before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From now on there is state to save: keep a request until `check`."""
        self.holding = True

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Keep the first request; obey a second one, or one before there is anything to save, at once."""
        if self.caught is not None:
            os._exit(128 + number)
        self.caught = number
        if not self.holding:
            raise self.stopped("before the first step; nothing had to be saved")

    def stopped(self, what: str) -> Stopped:
        """The exception that ends the program with the signal's exit code."""
        number = self.caught or signal.SIGTERM
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        return Stopped(f"stopped by {name} {what}", 128 + number, fix="run the same command again to go on")

    @property
    def asked(self) -> bool:
        """Whether a stop has been asked for."""
        return self.caught is not None
