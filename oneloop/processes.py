"""One run on several processes: who leads, and decisions that all of them take alike.

`accelerate launch` (or torchrun) starts the processes and sets the environment; gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import os
from typing import Any

from oneloop.errors import RunError


def rank_from_environment() -> int:
    """This process's number as the launcher gave it; 0 without a launcher. Needs no torch. RunError where a launcher gave a number
    and did not say how many there are: each process would take itself for the only one."""
    if os.environ.get("RANK") and not os.environ.get("WORLD_SIZE"):
        raise RunError(
            f"RANK is {os.environ['RANK']} and WORLD_SIZE is not set: nothing says how many processes there are",
            expected="both, as `accelerate launch` and `torchrun` set them",
            fix="start the run with one of these, or unset RANK for a single process",
        )
    alone = int(os.environ.get("WORLD_SIZE", "1") or 1) == 1
    return 0 if alone else int(os.environ.get("RANK", "0") or 0)


def start() -> tuple[int, int, str]:
    """Join the other processes, if there are any: (rank, number of processes, device). RunError when they do not meet."""
    from oneloop.model.precision import device_name

    world = int(os.environ.get("WORLD_SIZE", "1") or 1)
    if world == 1:
        return 0, 1, device_name()
    from accelerate import PartialState

    state = PartialState(cpu=device_name() == "cpu")  # without being told, accelerate joins no processes on a CPU
    if state.num_processes != world:
        what = f"{world} processes were started and {state.num_processes} of them have met"
        raise RunError(what, expected="processes started by `accelerate launch` or `torchrun`", fix="start the run again")
    return state.process_index, world, str(state.device)


def broadcast(value: Any, world: int) -> Any:
    """The first process's value, on every process."""
    if world == 1:
        return value
    import torch.distributed as dist

    from oneloop.parts import company

    box = [value]
    with company():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def any_of(value: bool, world: int) -> bool:
    """Whether the value is true on any process."""
    if world == 1:
        return value
    import torch.distributed as dist

    from oneloop.parts import company

    found: list[Any] = [None] * world
    with company():
        dist.all_gather_object(found, value)
    return any(found)
