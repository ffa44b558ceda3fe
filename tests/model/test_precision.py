"""C126: which number format a run computes in."""

from __future__ import annotations

import contextlib

import pytest
import torch

from oneloop.errors import RecipeError
from oneloop.model import precision


def test_C126_auto_is_bf16_only_where_the_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(precision, "fast_bf16", lambda device, fast=fast: fast)
        assert precision.resolve("auto", "cpu") == expected
        assert precision.resolve("bf16", "cpu") == "bf16"  # slower perhaps, but it was asked for
        assert precision.resolve("fp32", "cpu") == "fp32"


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_C126_fp16_without_a_gpu_is_refused_with_the_remedy(device: str) -> None:
    with pytest.raises(RecipeError, match="fp16 needs a CUDA GPU") as caught:
        precision.resolve("fp16", device)
    assert "--precision auto" in str(caught.value)
    assert precision.resolve("fp16", "cuda:1") == "fp16"


def test_fast_bf16_answers_for_every_kind_of_device() -> None:
    assert isinstance(precision.fast_bf16("cpu"), bool)
    assert precision.fast_bf16("mps") is False


def test_autocast_computes_matrices_in_the_format_and_keeps_the_weights() -> None:
    layer = torch.nn.Linear(4, 4)
    with precision.autocast("bf16", "cpu"):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    with precision.autocast("fp32", "cpu") as nothing:
        assert nothing is None
        assert layer(torch.ones(1, 4)).dtype == torch.float32
    assert layer.weight.dtype == torch.float32
    assert isinstance(precision.autocast("fp32", "cuda:0"), contextlib.nullcontext)


def test_a_launcher_that_says_cpu_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert precision.device_name() == "cuda:3"
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert not precision.device_name().startswith("cuda")
