"""One run per folder, one writer per output file, and a stop that is asked for and then kept.

`RunLock` refuses a second run in a folder and names the first; `OutputLock` does so for one file. The operating system frees them when
their owner dies, and processes that the owner forked do not hold them for him.
`Signals` turns SIGTERM and Ctrl-C into a request that the run answers at the next safe moment.
"""

from __future__ import annotations

import contextlib
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

    taken = "another run writes into this folder"
    other = "--output"

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock, self.owner = folder, folder / LOCK, folder / OWNER
        self.handle: int | None = None

    def __enter__(self) -> RunLock:
        with commit.explained(self.folder, 0):
            while not self.claimed():
                self.release()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.release)  # a data worker that outlives its owner would keep the folder locked
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        commit.write_json(self.owner, owner)
        return self

    def claimed(self) -> bool:
        """Open the lock file and lock it; False where its owner has just removed it. RunError where another process has it."""
        self.handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            claim(self.handle)
        except (BlockingIOError, PermissionError):
            self.release()
            raise self.refusal() from None
        try:
            return os.path.samestat(os.fstat(self.handle), os.stat(self.lock))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Close the lock file, which frees the lock where this is its owner."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def refusal(self) -> RunError:
        """The error for a folder in use, with the owner's process id and host."""
        try:
            owner = json.loads(self.owner.read_text())
            who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
        except (OSError, ValueError, KeyError):
            who = "another process"
        return RunError(f"{self.taken}: {who}", where=str(self.where()), fix=f"wait for it, stop it, or choose another {self.other}")

    def where(self) -> Path:
        """What is locked."""
        return self.folder

    def __exit__(self, *_: object) -> None:
        self.owner.unlink(missing_ok=True)
        self.release()


class OutputLock(RunLock):
    """The right to write one file, from `with` to its end; nothing of it stays in the folder."""

    taken = "another process writes this file"
    other = "--out"

    def __init__(self, target: Path) -> None:
        super().__init__(target.parent)
        self.target = target
        self.lock, self.owner = (target.with_name(f".{target.name}{ending}") for ending in (".lock", ".owner.json"))

    def where(self) -> Path:
        """What is locked."""
        return self.target

    def __exit__(self, *_: object) -> None:
        self.owner.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Windows removes no open file: there it stays, unlocked
            self.lock.unlink()
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
