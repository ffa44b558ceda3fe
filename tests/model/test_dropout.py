"""Dropout from a quarter of the random numbers: as many places, evenly, by torch's generator, and nowhere but in training."""

from __future__ import annotations

import copy

import pytest
import torch

from oneloop.model import dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.013])
def test_places_are_drawn_evenly_and_by_torch_s_generator(share: float) -> None:
    torch.manual_seed(5)
    factors = dropout.drop_factors((3, 5, 301, 211), share, torch.float32)
    assert factors.shape == (3, 5, 301, 211)
    places = factors == 0
    assert torch.allclose(factors[~places], torch.tensor(1 / (1 - share)), rtol=1e-4)
    spread = (share * (1 - share)) ** 0.5
    for axes, count in (((0, 1, 2, 3), places.numel()), ((0, 1, 2), 3 * 5 * 301), ((1, 2, 3), 5 * 301 * 211)):
        means = places.float().mean(axes)
        assert (means - share).abs().max() < 5 * spread / count**0.5
    lagged = places.flatten()
    for lag in (1, 2, 3, 4):  # the four places that share a draw do not depend on each other
        both = (lagged[:-lag] & lagged[lag:]).float().mean()
        assert abs(both - share**2) < 5 * share / places.numel() ** 0.5
    torch.manual_seed(5)
    assert torch.equal(factors, dropout.drop_factors((3, 5, 301, 211), share, torch.float32))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_layer_keeps_the_mean_and_drops_the_same_places_in_the_gradient(dtype: torch.dtype) -> None:
    layer = dropout.layer()(0.25).train()
    torch.manual_seed(1)
    entering = torch.ones(400, 501, dtype=dtype, requires_grad=True)
    leaving = layer(entering)
    assert leaving.dtype == dtype and abs(float(leaving.detach().double().mean()) - 1) < 0.02
    leaving.sum().backward()
    assert torch.equal(entering.grad, leaving.detach())


def test_models_are_changed_in_place_and_only_in_training() -> None:
    body = torch.nn.Sequential(torch.nn.Linear(5, 5), torch.nn.Dropout(0.3), torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.ReLU()))
    names = list(body.state_dict())
    assert dropout.economise(body) == 2 and dropout.economise(body) == 0
    assert list(body.state_dict()) == names and [m.p for m in body.modules() if isinstance(m, torch.nn.Dropout)] == [0.3, 0.5]
    entering = torch.randn(7, 5)
    assert torch.equal(body.eval()(entering), body(entering))
    assert not torch.equal(body.train()(entering), body(entering))
    assert dropout.economise(copy.deepcopy(body)) == 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_and_everything(share: float) -> None:
    layer = dropout.layer()(share).train()
    assert torch.equal(layer(torch.ones(4, 4)), torch.full((4, 4), 1 - share))


def test_whole_numbers_and_no_numbers() -> None:
    layer = dropout.layer()(0.5).train()
    assert layer(torch.ones(0, 4)).shape == (0, 4)
    with pytest.raises(RuntimeError):
        layer(torch.ones(3, dtype=torch.long))
