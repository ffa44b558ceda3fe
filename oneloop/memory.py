"""When memory runs out: the same rows in smaller passes, or one clear error; never a traceback.

In:  an error that an engine or an evaluation ended with.
Out: Parts or an Engine that take fewer tokens at a time; any error that is not about memory is raised again.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oneloop.errors import OneloopError
from oneloop.loop import halve, out_of_memory

if TYPE_CHECKING:
    from oneloop.measure.evaluate import Engine
    from oneloop.parts import Parts

SMALLEST_BATCH = 16  # tokens; below this it is not the batch that fills the memory


def smaller_passes(parts: Parts, done: int, error: MemoryError) -> None:
    """Halve `micro_tokens`, so that the step after update `done` can be computed again from its start. OneloopError when it cannot:
    in the middle of an update (the weights are then neither those before nor those after it), on one of several processes, and for
    a row that fits in no way."""
    plan = next(parts.plans(done), None)
    if plan is None or parts.world > 1 or in_update(error):
        raise OneloopError(
            f"out of memory at step {done + 1}",
            expected="room for the weights, their gradients and two moments of each",
            fix="free memory or lower --micro-tokens, and run the same command again to go on from the last checkpoint",
        ) from error
    halve(parts, plan)


def in_update(error: BaseException) -> bool:
    """Whether an error was raised by the optimizer."""
    return any("optim" in Path(frame.filename).parent.parts for frame in traceback.extract_tb(error.__traceback__))


def smaller_batches(engine: Engine, error: Exception) -> Engine:
    """An engine that takes half as many tokens at a time. OneloopError when one row alone does not fit."""
    if not isinstance(error, MemoryError) and not (isinstance(error, RuntimeError) and out_of_memory(error)):
        raise error
    if engine.batch_tokens <= SMALLEST_BATCH or engine.world > 1:  # other processes have cut their batches as before
        raise OneloopError("out of memory in an evaluation", fix="free memory, a shorter --max-length, or a smaller model") from error
    return replace(engine, batch_tokens=engine.batch_tokens // 2)


@contextlib.contextmanager
def told(what: str, fix: str) -> Iterator[None]:
    """Say in one line that memory ran out."""
    try:
        yield
    except MemoryError as error:
        raise OneloopError(what, fix=fix) from error
