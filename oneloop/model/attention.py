"""Attention for short inputs on a CPU: plain matrix products where torch's fused kernel is slower.

torch's flash attention for CPUs splits its work by blocks of 32 and more positions; for sentences its backward pass took a
third of a whole training step. Below `SHORT` positions the textbook form (Vaswani et al., 2017, equation 1) is faster;
above it, on other devices and for causal models the fused kernel is used as before.
"""

from __future__ import annotations

from typing import Any

NAME = "oneloop"
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

    plain = query.device.type == "cpu" and key.shape[2] <= SHORT and key.shape[1] == query.shape[1]
    causal = kwargs.get("is_causal", getattr(module, "is_causal", False)) and attention_mask is None and query.shape[2] > 1
    if not plain or causal:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    scores = torch.matmul(query, key.transpose(2, 3)) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
        else:
            scores = scores + attention_mask
    shares = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    shares = torch.nn.functional.dropout(shares, p=dropout, training=module.training)
    return torch.matmul(shares, value).transpose(1, 2).contiguous(), None
