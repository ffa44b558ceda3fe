"""Faults that a forked child plants in itself before it runs: each function changes real calls of this process only.

The server (`server.py`) calls them by name; none of them touches a file of the run.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
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


def wrapped(target: str, act: Callable[[int], None]) -> None:
    """Call `act(n)` before the n-th call (from 1) of `package.module:name.name`."""
    module_name, _, path = target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    real, seen = getattr(owner, name), 0

    @functools.wraps(real)
    def call(*arguments: Any, **settings: Any) -> Any:
        nonlocal seen
        seen += 1
        act(seen)
        return real(*arguments, **settings)

    setattr(owner, name, call)


def signal_at(target: str, nth: int = 1, number: int = signal.SIGTERM, times: int = 1) -> None:
    """Send this process a signal when the n-th call of a function begins."""

    def act(seen: int) -> None:
        if seen == nth:
            for _ in range(times):
                os.kill(os.getpid(), number)
                time.sleep(0.005)

    wrapped(target, act)


def raise_at(target: str, nth: int, error: str, text: str = "planted") -> None:
    """Raise `module:Class` when the n-th call of a function begins."""

    def act(seen: int) -> None:
        if seen == nth:
            module_name, _, name = error.partition(":")
            raise getattr(importlib.import_module(module_name), name)(text)

    wrapped(target, act)


PHASES = {
    "oneloop.run:Run.drive": "step",
    "oneloop.run:Run.scored": "evaluation",
    "oneloop.run:Run.save": "save",
    "oneloop.run:Run.save_best": "save",
    "oneloop.finish:finish": "finishing",
}


def phases(path: str) -> None:
    """Keep the phase of the run in the file `path`, where it stands when the process is killed: `reading` until a phase begins, and
    the one around it again when it ends."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    now = ["reading"]

    def write() -> None:
        os.pwrite(handle, now[-1].ljust(16).encode(), 0)

    def within(real: Callable[..., Any], phase: str) -> Callable[..., Any]:
        @functools.wraps(real)
        def call(*arguments: Any, **settings: Any) -> Any:
            now.append(phase)
            write()
            try:
                return real(*arguments, **settings)
            finally:
                now.pop()
                write()

        return call

    write()
    for target, phase in PHASES.items():
        module_name, _, name = target.partition(":")
        owner: Any = importlib.import_module(module_name)
        for part in name.split(".")[:-1]:
            owner = getattr(owner, part)
        setattr(owner, name.split(".")[-1], within(getattr(owner, name.split(".")[-1]), phase))


def pause_at(target: str, nth: int, flag: str, seconds: float = 60.0) -> None:
    """Write the file `flag` when the n-th call of a function begins, and sleep."""

    def act(seen: int) -> None:
        if seen == nth:
            Path(flag).write_text("here")
            time.sleep(seconds)

    wrapped(target, act)


def worker_fault(row: int, kind: str, seconds: float | None = None) -> None:
    """A data worker that dies (`exit`), hangs (`hang`) or raises (`raise`) while it collates a training row."""
    from oneloop import parts
    from oneloop.tasks.sequence_classification import SequenceClassification

    if seconds is not None:
        parts.WORKER_SECONDS = seconds
    real = SequenceClassification.collate

    def collate(self: Any, features: Any, tokenizer: Any) -> Any:
        if any(feature["row"] == row for feature in features):
            if kind == "exit":
                os._exit(7)
            if kind == "hang":
                time.sleep(120)
            if kind == "raise":
                raise ValueError("planted poison")
        return real(self, features, tokenizer)

    SequenceClassification.collate = collate  # type: ignore[method-assign]


def encode_fault(text: str) -> None:
    """A row whose text contains `text` cannot be encoded."""
    from oneloop.tasks.sequence_classification import SequenceClassification

    real = SequenceClassification.encode

    def encode(self: Any, rows: Any, tokenizer: Any) -> Any:
        if any(text in row["text"] for row in rows):
            raise ValueError("planted poison")
        return real(self, rows, tokenizer)

    SequenceClassification.encode = encode  # type: ignore[method-assign]


def at_step(step: int, kind: str, value: str = "nan") -> None:
    """From update `step` on: a loss or one gradient that is not finite, or (`memory`) no room for passes of many tokens.

    For `memory`, `value` is the largest number of padded tokens that fits.
    """
    import torch

    from oneloop import loop, parts
    from oneloop.tasks.sequence_classification import SequenceClassification

    now = 0
    real_accumulate, real_backward = loop._accumulate, parts.Parts.backward
    real_loss, real_forward = SequenceClassification.loss, SequenceClassification.forward

    def accumulate(some: Any, plan: Any, batches: Any) -> Any:
        nonlocal now
        now = plan.number
        return real_accumulate(some, plan, batches)

    def loss(self: Any, outputs: Any, batch: Any) -> Any:
        losses, counts = real_loss(self, outputs, batch)
        return (losses * float(value), counts) if kind == "loss" and now == step and torch.is_grad_enabled() else (losses, counts)

    def backward(self: Any, total: Any) -> None:
        real_backward(self, total)
        if kind == "gradient" and now == step:
            next(p.grad for p in self.model.parameters() if p.grad is not None).view(-1)[0] = float(value)

    def forward(self: Any, model: Any, batch: Any) -> Any:
        if kind == "memory" and now >= step and torch.is_grad_enabled() and batch["inputs"]["input_ids"].numel() > int(value):
            raise torch.OutOfMemoryError("planted: out of memory")
        return real_forward(self, model, batch)

    loop._accumulate = accumulate
    SequenceClassification.loss = loss  # type: ignore[method-assign]
    parts.Parts.backward = backward  # type: ignore[method-assign]
    SequenceClassification.forward = forward  # type: ignore[method-assign]


def random_masks() -> None:
    """A task that hides words at random while it trains, as masked language modelling does."""
    import torch

    from oneloop.tasks.sequence_classification import SequenceClassification

    real = SequenceClassification.forward

    def forward(self: Any, model: Any, batch: Any) -> Any:
        ids = batch["inputs"]["input_ids"]
        if torch.is_grad_enabled():
            hidden = torch.where(torch.rand(ids.shape) < 0.3, torch.full_like(ids, 4), ids)
            batch = {**batch, "inputs": {**batch["inputs"], "input_ids": hidden}}
        return real(self, model, batch)

    SequenceClassification.forward = forward  # type: ignore[method-assign]


def as_nobody() -> None:
    """Give up root's right to write everywhere."""
    os.setgid(65534)
    os.setuid(65534)


def small_files(size: int) -> None:
    """No file may be larger than `size` bytes, which is what a full disk looks like to a single write."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def clock(shift: float, jump: float) -> None:
    """A wall clock that is `shift` seconds off and goes back by `jump` at every reading."""
    real, readings = time.time, 0

    def shifted() -> float:
        nonlocal readings
        readings += 1
        return real() + shift - jump * readings

    time.time = shifted


def closed_pipe() -> None:
    """Stdout is a pipe whose reader has left, as after `| head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def lost_terminal(target: str, nth: int) -> None:
    """Run on a terminal that goes away when the n-th call of a function begins."""
    import fcntl
    import termios

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.close(slave)

    def act(seen: int) -> None:
        if seen == nth:
            os.close(master)

    wrapped(target, act)


def two_renames() -> None:
    """A file system that cannot swap two folders in one step."""
    from oneloop import commit

    commit._exchange = lambda first, second: False


def fill_at(target: str, nth: int, folder: str, leave: int) -> None:
    """Somebody else fills the disk of `folder` up to `leave` bytes when the n-th call of a function begins."""

    def act(seen: int) -> None:
        if seen == nth:
            usage = os.statvfs(folder)
            with open(os.path.join(folder, "somebody-elses.bin"), "wb") as stream:
                stream.write(b"\0" * max(0, usage.f_bavail * usage.f_frsize - leave))

    wrapped(target, act)


def dump_late(seconds: float = 20.0) -> None:
    """Print where every thread stands after some seconds: for a child that hangs."""
    import faulthandler

    faulthandler.dump_traceback_later(seconds)


def small_blocks(rows: int) -> None:
    """Predictions are committed after so many rows."""
    from oneloop.ship import predict_files

    predict_files.predict_file.__kwdefaults__["block_rows"] = rows
