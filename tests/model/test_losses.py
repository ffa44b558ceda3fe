"""Losses summed per feature, against torch's means."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from oneloop.model.losses import binary_cross_entropy, cross_entropy, smoothed_cross_entropy, squared_error

LOGITS = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([[0, 1, 2, -100, -100, -100], [2, 2, 1, 0, 0, -100], [-100] * 6, [1, 1, 1, 1, 1, 1]])


@pytest.mark.parametrize("weights", [None, [0.2, 1.0, 3.5]])
def test_the_sum_over_the_sum_is_torchs_mean_whatever_the_cut(weights: list[float] | None) -> None:
    classes = None if weights is None else torch.tensor(weights)
    expected = functional.cross_entropy(LOGITS.reshape(-1, 3), LABELS.reshape(-1), weight=classes)
    losses, counts = cross_entropy(LOGITS, LABELS, weights)
    assert losses.shape == counts.shape == (4,)
    assert torch.allclose(losses.sum() / counts.sum(), expected)
    parts = [cross_entropy(LOGITS[i : i + 1], LABELS[i : i + 1], weights) for i in range(4)]
    assert torch.allclose(torch.cat([loss for loss, _ in parts]), losses)
    assert counts[2] == losses[2] == 0


def test_one_label_per_row() -> None:
    losses, counts = cross_entropy(LOGITS[:, 0], torch.tensor([0, 2, -100, 1]))
    assert counts.tolist() == [1, 1, 0, 1]
    assert torch.allclose(losses.sum() / 3, functional.cross_entropy(LOGITS[:, 0], torch.tensor([0, 2, -100, 1])))


def test_losses_are_float32_even_for_half_precision_logits() -> None:
    losses, counts = cross_entropy(LOGITS.bfloat16(), LABELS)
    assert losses.dtype == counts.dtype == torch.float32


def test_several_labels() -> None:
    logits, labels = LOGITS[:, 0], torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    losses, counts = binary_cross_entropy(logits, labels)
    assert torch.allclose(losses.sum() / counts.sum(), functional.binary_cross_entropy_with_logits(logits, labels))
    weighted, counts = binary_cross_entropy(logits, labels, [2.0, 0.5, 1.0])
    expected = functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=torch.tensor([2.0, 0.5, 1.0]))
    assert torch.allclose(weighted.sum() / counts.sum(), expected)


def test_squared_error_leaves_out_missing_numbers() -> None:
    losses, counts = squared_error(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, float("nan"), 5.0]))
    assert losses.tolist() == [1.0, 0.0, 4.0]
    assert counts.tolist() == [1.0, 0.0, 1.0]


def test_smoothed_cross_entropy_has_torchs_gradient_and_no_floor() -> None:
    logits = torch.randn(5, 7, requires_grad=True)
    labels = torch.tensor([0, 3, 6, 2, -100])
    ours, counts = smoothed_cross_entropy(logits, labels, 0.1)
    theirs = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="sum")
    assert counts.tolist() == [1, 1, 1, 1, 0]
    assert torch.allclose(torch.autograd.grad(ours.sum(), logits)[0], torch.autograd.grad(theirs, logits)[0], atol=1e-6)
    target = torch.full((1, 7), 0.1 / 7)
    target[0, 2] += 0.9
    assert float(smoothed_cross_entropy(target.log(), torch.tensor([2]), 0.1)[0].sum()) == pytest.approx(0.0, abs=1e-6)
