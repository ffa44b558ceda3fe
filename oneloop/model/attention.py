"""Attention on a CPU: plain matrix products where torch's fused kernel is slower, and cheap random numbers for its dropout.

torch's flash attention for CPUs splits its work by blocks of 32 and more positions; for sentences its backward pass took a
third of a whole training step. Below `SHORT` positions the textbook form (Vaswani et al., 2017, equation 1) is faster. With
dropout torch has no fused form for CPUs at all, and drawing one random number for each pair of positions took a sixth of a
step at 200 tokens: here one draw serves four pairs. On other devices and for causal models torch's own function is used.
"""

from __future__ import annotations

import math
from typing import Any

NAME = "oneloop"
GRAINS = 2**16  # values of 16 bits
SHORT = 96  # positions up to which the plain form won, forward and backward, on two AVX-512 cores


def register() -> str:
    """Make the implementation known to transformers; returns its name."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Any, None]:
    """Attention over (B, heads, T, D) tensors; returns (B, T, heads, D) and no weights, as transformers expects."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    drops = dropout > 0 and module.training
    plain = query.device.type == "cpu" and (drops or key.shape[2] <= SHORT) and key.shape[1] == query.shape[1]
    causal = kwargs.get("is_causal", getattr(module, "is_causal", False)) and attention_mask is None and query.shape[2] > 1
    if not plain or causal:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    scores = torch.matmul(query * (query.shape[-1] ** -0.5 if scaling is None else scaling), key.transpose(2, 3))
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:  # one number for all heads; adding it is cheaper than choosing in every head
            low = torch.finfo(scores.dtype).min
            attention_mask = torch.zeros_like(attention_mask, dtype=scores.dtype).masked_fill(~attention_mask, low)
        scores += attention_mask
    shares = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    kept = 1.0
    if drops:
        dropped, share = dropped_places(shares.shape, dropout)
        shares, kept = torch.where(dropped, 0.0, shares), 1.0 - share
    return (torch.matmul(shares, value) / kept).transpose(1, 2).contiguous(), None


def dropped_places(shape: Any, share: float) -> tuple[Any, float]:
    """Which entries dropout sets to zero, bool of `shape`, and the share that this is on average: `share` to a 65,536th.

    Each is decided by 16 of the 64 bits of one draw of torch's generator."""
    import torch

    count = math.prod(shape)
    below = round(share * GRAINS)
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    return (bits < below - GRAINS // 2).view(shape), below / GRAINS
