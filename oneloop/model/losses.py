"""Losses summed per feature, so that a step divides one total by another and no batch cut changes the result.

In:  logits and labels, IGNORE where nothing is to be learned.
Out: (losses, counts), (B,) float32 each: the sum of the losses of a feature and the weight of its labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oneloop.tasks.base import IGNORE

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, weights: Sequence[float] | None = None) -> tuple[Tensor, Tensor]:
    """Cross-entropy of class ids. logits (B, L) with labels (B,), or (B, T, L) with (B, T); labels may be IGNORE.

    weights: one per class; then the total divided by the total count is torch's weighted mean. The log-softmax runs in
    float32 whatever the logits are.
    """
    import torch
    from torch.nn.functional import cross_entropy as torch_cross_entropy

    classes = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=logits.device)
    flat = labels.reshape(-1)
    losses = torch_cross_entropy(logits.float().reshape(-1, logits.shape[-1]), flat, weight=classes, ignore_index=IGNORE, reduction="none")
    counted = flat != IGNORE
    counts = counted.float() if classes is None else classes[flat.clamp(min=0)] * counted
    return losses.reshape(len(labels), -1).sum(dim=1), counts.reshape(len(labels), -1).sum(dim=1)


def smoothed_cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float, weights: Sequence[float] | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy against smoothed labels (Szegedy et al., 2016, section 7), logits (B, L) and labels (B,).

    The right class has 1 − s + s/L of the target and every other s/L. The target's own entropy is taken off, so that a
    perfect model has loss 0 as without smoothing; it is a constant and moves no gradient.
    """
    import torch

    classes = logits.shape[-1]
    plain, counts = cross_entropy(logits, labels, weights)
    if not smoothing or classes < 2:
        return plain, counts
    logs = torch.log_softmax(logits.float(), dim=-1)
    rest = smoothing / classes
    top = 1.0 - smoothing + rest
    entropy = -(top * math.log(top) + (classes - 1) * rest * math.log(rest))
    right = logs.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    losses = -(1.0 - smoothing) * right - smoothing * logs.mean(dim=-1) - entropy
    return losses * counts, counts  # a count is the label's class weight, 1 without weights, 0 where there is no label


def binary_cross_entropy(logits: Tensor, labels: Tensor, weights: Sequence[float] | None = None) -> tuple[Tensor, Tensor]:
    """Cross-entropy of yes-or-no labels, logits and labels (B, L); rows of labels that are negative are not counted.

    weights: one per label, for its positive side. The count is L for each counted row, so that the mean over labels is
    torch's BCEWithLogitsLoss.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    positive = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=logits.device)
    counted = labels >= 0
    losses = binary_cross_entropy_with_logits(logits.float(), labels.float().clamp(min=0), pos_weight=positive, reduction="none")
    return (losses * counted).sum(dim=1), counted.float().sum(dim=1)


def squared_error(predicted: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error of numbers, (B,) each; targets that are NaN are not counted."""
    counted = ~targets.isnan()
    losses = (predicted.float() - targets.nan_to_num().float()) ** 2
    return losses * counted, counted.float()
