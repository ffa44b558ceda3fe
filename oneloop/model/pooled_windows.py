"""Logits of whole rows from the windows they are read in.

In:  the padded windows (B, T), the row of each and its weight (tokens).
Out: (B, L): for each window the weighted mean of the logits over all windows of its row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PASS_TOKENS = 8192  # padded tokens run at once when one row alone is larger than a usual pass
GRADIENT_PASSES = 4  # of these, how many keep what the backward pass needs; the memory of a longer row stays at that


def run_windows(model: Any, inputs: dict[str, Tensor], rows: Tensor, weights: Tensor) -> Tensor:
    """The logits of each window's row, (B, L). rows and weights: (B,)."""
    long = inputs["input_ids"].numel() > GRADIENT_PASSES * PASS_TOKENS and bool((rows == rows[0]).all())
    if long:
        whole = _in_passes(model, inputs).float()
        return ((weights / weights.sum())[None] @ whole).expand(len(rows), -1)  # all windows are of one row: no table of pairs
    logits: Tensor = model(**inputs)["logits"]
    together = rows[:, None] == rows[None, :]
    if int(together.sum()) == len(rows):
        return logits
    shares = together * weights  # a matrix product: its sums have a fixed order on every device
    return (shares / shares.sum(dim=1, keepdim=True)) @ logits.float()


def _in_passes(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The windows of one very long row in passes; gradients flow through evenly spaced passes only, the others count as read."""
    import torch

    count, width = inputs["input_ids"].shape
    step = max(1, PASS_TOKENS // width)
    starts = range(0, count, step)
    kept = {i * (len(starts) - 1) // (GRADIENT_PASSES - 1) for i in range(GRADIENT_PASSES)}
    found = []
    for number, start in enumerate(starts):
        with torch.set_grad_enabled(torch.is_grad_enabled() and number in kept):
            found.append(model(**{name: value[start : start + step] for name, value in inputs.items()})["logits"])
    return torch.cat(found)
