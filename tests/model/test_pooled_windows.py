"""The logits of rows from their windows."""

from __future__ import annotations

import pytest
import torch

from oneloop.model import pooled_windows
from oneloop.model.pooled_windows import run_windows
from tests.small_tokenizers import small_bert


@pytest.fixture
def model() -> torch.nn.Module:
    found: torch.nn.Module = small_bert("BertForSequenceClassification", 50, num_labels=3)
    return found


def inputs(rows: int, width: int = 8) -> dict[str, torch.Tensor]:
    ids = torch.randint(1, 50, (rows, width), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def test_windows_of_a_row_share_the_weighted_mean(model: torch.nn.Module) -> None:
    batch, weights = inputs(4), torch.tensor([6.0, 6.0, 2.0, 5.0])
    alone = model(**batch)["logits"]
    found = run_windows(model, batch, torch.tensor([3, 7, 7, 9]), weights)
    assert torch.allclose(found[0], alone[0])
    assert torch.allclose(found[3], alone[3])
    assert torch.allclose(found[1], (6 * alone[1] + 2 * alone[2]) / 8, atol=1e-6)
    assert torch.equal(found[1], found[2])


def test_a_row_longer_than_memory_runs_in_passes_with_the_same_logits(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, rows, weights = inputs(40), torch.zeros(40, dtype=torch.long), torch.ones(40)
    whole = run_windows(model, batch, rows, weights)
    monkeypatch.setattr(pooled_windows, "PASS_TOKENS", 16)
    found = run_windows(model, batch, rows, weights)
    assert torch.allclose(found, whole, atol=1e-6)
    found.sum().backward()
    assert model.classifier.weight.grad.abs().sum() > 0


def test_a_row_of_ten_thousand_windows_needs_memory_in_proportion() -> None:
    class Still(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, **_: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": input_ids[:, :2].float()}

    class Shapes(torch.utils._python_dispatch.TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            found = function(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                self.largest = max(self.largest, found.numel())
            return found

    ids = torch.arange(80_000).reshape(10_000, 8)
    with Shapes() as shapes:
        found = run_windows(Still(), {"input_ids": ids}, torch.zeros(10_000, dtype=torch.long), torch.arange(10_000.0))
    weights = torch.arange(10_000.0, dtype=torch.float64)
    assert torch.allclose(found[0].double(), (weights[:, None] * ids[:, :2]).sum(0) / weights.sum(), rtol=1e-5)
    assert found.shape == (10_000, 2)
    assert shapes.largest <= ids.numel()  # never a table of windows by windows


def test_many_short_rows_are_never_taken_apart(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_windows, "PASS_TOKENS", 16)
    monkeypatch.setattr(pooled_windows, "_in_passes", lambda *given: pytest.fail("rows were separated"))
    assert run_windows(model, inputs(40), torch.arange(40), torch.ones(40)).shape == (40, 3)
