"""One run on several processes: who leads, and decisions that all of them take alike.

`accelerate launch` (or torchrun) starts the processes and sets the environment; gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import os
from typing import Any


def rank_from_environment() -> int:
    """This process's number as the launcher gave it; 0 without a launcher. Needs no torch."""
    return int(os.environ.get("RANK", "0") or 0)


def start() -> tuple[int, int, str]:
    """Join the other processes, if there are any: (rank, number of processes, device)."""
    from oneloop.model.precision import device_name

    world = int(os.environ.get("WORLD_SIZE", "1") or 1)
    if world == 1:
        return 0, 1, device_name()
    from accelerate import PartialState

    state = PartialState()
    device = str(state.device)
    return state.process_index, state.num_processes, device


def broadcast(value: Any, world: int) -> Any:
    """The first process's value, on every process."""
    if world == 1:
        return value
    import torch.distributed as dist

    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def any_of(value: bool, world: int) -> bool:
    """Whether the value is true on any process."""
    if world == 1:
        return value
    import torch.distributed as dist

    found: list[Any] = [None] * world
    dist.all_gather_object(found, value)
    return any(found)
