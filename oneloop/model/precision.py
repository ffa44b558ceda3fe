"""Which number format a run computes in, chosen by the hardware and always named.

Weights and optimizer state stay in float32; `bf16` and `fp16` are autocast for the forward and backward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from oneloop.errors import RecipeError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def device_name() -> str:
    """`cuda`, `mps` or `cpu`, whichever torch can use here, in this order; a launched process takes its own GPU."""
    import os

    import torch

    if torch.cuda.is_available() and os.environ.get("ACCELERATE_USE_CPU", "").lower() not in {"1", "true", "yes"}:
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def fast_bf16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware (on other CPUs it is slower than float32)."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    checks: list[Callable[[], bool]] = [
        getattr(torch.cpu, name, lambda: False) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    ]
    return any(check() for check in checks)


def resolve(precision: str, device: str) -> str:
    """The precision a run uses: `auto` is bf16 where the hardware has it, else fp32. RecipeError where it cannot work."""
    if precision == "auto":
        return "bf16" if fast_bf16(device) else "fp32"
    if precision == "fp16" and not device.startswith("cuda"):
        raise RecipeError(
            f"precision fp16 needs a CUDA GPU, and this run uses {device}", expected="fp32 or bf16 here", fix="--precision auto"
        )
    return precision


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[Any]:
    """The context a forward pass runs in."""
    import torch

    if precision == "fp32":
        return contextlib.nullcontext()
    kind = device.split(":")[0]
    return torch.autocast(kind, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)
