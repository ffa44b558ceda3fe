"""Attention in training on a CPU: torch's fused kernel, in float32, with a dropout that it can take.

In:  queries, keys and values of an encoder. Out: what each position gathered, as transformers expects it.

torch's fused kernel for CPUs knows no dropout, and its backward pass is slow in bf16: at 384 positions the form without it took
four fifths of a training step, most of it spent on numbers that stand once for each pair of positions. From `LONG` positions on,
whole positions are hidden from a head, as many as the model's dropout asks for, and the shares of the others still sum to one:
DropAttention's columns with normalized rescaling (Zehui et al., 2019, "DropAttention: A Regularization Method for Fully-Connected
Self-Attention Networks"). That is one number for each position and head, and a mask that the fused kernel takes. Of a sentence of
fifteen words a hidden position is too much (banking77 lost 1.8 points of accuracy): shorter texts keep the dropout of single
shares, in the textbook form (Vaswani et al., 2017, equation 1), which takes as long at 24 positions and 1.6 times as long at 95. On
other devices, for causal models and outside training torch's own function is used.
"""

from __future__ import annotations

from typing import Any

from oneloop.model.dropout import drop_factors

NAME = "oneloop"
LONG = 96  # positions from which whole ones are hidden; not tuned: sentences lie below, passages above
HIDDEN = -1e4  # what a dropped position's scores are lowered by: to nothing beside others, but above those of padding


def register() -> str:
    """Make the implementation known to transformers; returns its name."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, mask_of)
    return NAME


def mask_of(*args: Any, **kwargs: Any) -> Any:
    """Which positions may be seen, bool: (B, 1, T, T), or (B, 1, 1, T) where every position may see the same ones."""
    from transformers.masking_utils import bidirectional_mask_function, sdpa_mask

    found = sdpa_mask(*args, **kwargs)
    same = kwargs.get("mask_function") is bidirectional_mask_function
    return found[:, :, :1] if same and found is not None else found


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

    trains = module.training and torch.is_grad_enabled() and query.device.type == "cpu" and key.shape[1] == query.shape[1]
    causal = kwargs.get("is_causal", getattr(module, "is_causal", False)) and attention_mask is None and query.shape[2] > 1
    if not trains or causal:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    wide = torch.promote_types(query.dtype, torch.float32)
    mask = additive(attention_mask, wide)
    if dropout > 0 and key.shape[2] < LONG:
        return textbook(query, key, value, mask, dropout, query.shape[-1] ** -0.5 if scaling is None else scaling), None
    if dropout > 0:
        hidden = hidden_positions(key.shape[:3], dropout, wide)
        mask = hidden if mask is None else mask + hidden
    with torch.autocast("cpu", enabled=False):  # it would turn them into bf16 again
        parts = (query.to(wide), key.to(wide), value.to(wide))
        found = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=mask, scale=scaling)
    return found.to(query.dtype).transpose(1, 2).contiguous(), None


def textbook(query: Any, key: Any, value: Any, mask: Any, dropout: float, scaling: float) -> Any:
    """Attention in plain matrix products, with dropout of single shares; (B, T, heads, D)."""
    import torch

    scores = torch.matmul(query * scaling, key.transpose(2, 3))
    shares = torch.softmax(scores if mask is None else scores + mask, dim=-1, dtype=torch.float32).to(query.dtype)
    factors = drop_factors(shares.shape, dropout, shares.dtype) if dropout < 1 else 0.0
    return torch.matmul(shares * factors, value).transpose(1, 2).contiguous()


def additive(mask: Any, dtype: Any) -> Any:
    """A mask as numbers that are added to the scores."""
    import torch

    if mask is None or mask.dtype != torch.bool:
        return None if mask is None else mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def hidden_positions(shape: tuple[int, int, int], share: float, dtype: Any) -> Any:
    """A mask (B, heads, 1, T) that hides a position from a head with probability `share`; (B, heads, T) is its shape.

    Where all the positions of a text are drawn they are all seen, since they are all lowered alike."""
    import torch

    rows, heads, width = shape
    return (torch.rand(rows, heads, 1, width, dtype=dtype) < share).to(dtype) * HIDDEN
