"""Dropout on a CPU from a quarter of the random numbers.

In:  a model. Out: the same model, whose dropout layers draw 16 bits for each number instead of a whole random number.

Drawing was an eighth of a step: torch's generator for CPUs gives one number at a time. Each draw of 64 bits decides about four
places here, from the same generator, so that a seed still says which.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

GRAINS = 2**16  # values of 16 bits


def economise(model: Any) -> int:
    """Replace the dropout layers of a model in place; returns how many there were."""
    import torch

    kind = layer()
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is torch.nn.Dropout and not child.inplace
    ]
    for parent, name, child in found:
        setattr(parent, name, kind(child.p).train(child.training))
    return len(found)


@cache
def layer() -> Any:
    """The class of the layer; torch is imported only now."""
    import torch

    class Dropout(torch.nn.Dropout):
        """torch's Dropout, Srivastava et al. (2014), with the numbers drawn by `drop_factors`."""

        def forward(self, input: Any) -> Any:
            """Any shape to the same shape."""
            if not self.training or not 0 < self.p < 1 or input.device.type != "cpu" or not input.is_floating_point():
                return super().forward(input)
            return input * drop_factors(input.shape, self.p, input.dtype)

    return Dropout


def drop_factors(shape: Any, share: float, dtype: Any) -> Any:
    """Factors of `shape`: 0 with probability `share` (to a 65,536th), else what keeps the mean.

    Each is decided by 16 of the 64 bits of one draw of torch's generator."""
    import torch

    count = math.prod(shape)
    below = min(max(round(share * GRAINS), 1), GRAINS - 1)
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    return (bits >= below - GRAINS // 2).view(shape).to(dtype).mul_(GRAINS / (GRAINS - below))
