"""One run per folder, and a stop that is asked for and then kept.

`RunLock` refuses a second run in a folder and names the first; the operating system frees it when its owner dies, and
processes that the owner forked do not hold it for him.
`Signals` turns SIGTERM and Ctrl-C into a request that the run answers at the next safe moment.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from oneloop import commit
from oneloop.errors import RunError, Stopped

LOCK, OWNER = ".lock", ".owner.json"
ECHO_SECONDS = 2.0  # torchrun and accelerate pass a signal on that the whole process group has got already
SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


class RunLock:
    """The right to write into a run folder, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.handle: int | None = None

    def __enter__(self) -> RunLock:
        with commit.explained(self.folder, 0):
            self.handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                claim(self.handle)
            except (BlockingIOError, PermissionError):
                self.release()
                raise self.refusal() from None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.release)  # a data worker that outlives its owner would keep the folder locked
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        commit.write_json(self.folder / OWNER, owner)
        return self

    def release(self) -> None:
        """Close the lock file, which frees the lock where this is its owner."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def refusal(self) -> RunError:
        """The error for a folder in use, with the owner's process id and host."""
        try:
            owner = json.loads((self.folder / OWNER).read_text())
            who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
        except (OSError, ValueError, KeyError):
            who = "another process"
        what = f"another run writes into this folder: {who}"
        return RunError(what, where=str(self.folder), fix="wait for it, stop it, or choose another --output")

    def __exit__(self, *_: object) -> None:
        (self.folder / OWNER).unlink(missing_ok=True)
        self.release()


def claim(handle: int) -> None:
    """Lock an open file for this process, or raise OSError at once where another one has it."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Signals:
    """SIGTERM and Ctrl-C, kept until the run answers them at a safe moment; before `hold` and after `release`, when there
    is nothing that only this process knows, they stop the program at once.

    A second Ctrl-C or SIGTERM stops at once: every write is all or nothing, so nothing breaks. A lost terminal (SIGHUP)
    is ignored. Only the main thread can receive signals; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self.caught_at = 0.0
        self.holding = False
        self.where = "before the first step; nothing had to be saved"
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
        """From now on there is state to save: keep a request until the run asks. Raises Stopped for an earlier request
        whose exception a library has swallowed."""
        if self.caught is not None:
            raise self.stopped(self.where)
        self.holding = True

    def release(self, where: str) -> None:
        """From now on everything is saved: stop at once, saying `where`."""
        self.where, self.holding = where, False
        if self.caught is not None:
            raise self.stopped(where)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Keep the first request; obey a second one, or one while there is nothing to save, at once."""
        if self.caught is not None:
            if time.monotonic() - self.caught_at < ECHO_SECONDS and int(os.environ.get("WORLD_SIZE", "1") or 1) > 1:
                return
            if sys.stderr is not None and sys.stderr.isatty():
                os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
            os._exit(128 + number)
        self.caught, self.caught_at = number, time.monotonic()
        if not self.holding:
            raise self.stopped(self.where)

    def stopped(self, what: str) -> Stopped:
        """The exception that ends the program with the signal's exit code."""
        number = self.caught or signal.SIGTERM
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        return Stopped(f"stopped by {name} {what}", 128 + number, fix="run the same command again to go on")

    @property
    def asked(self) -> bool:
        """Whether a stop has been asked for."""
        return self.caught is not None
