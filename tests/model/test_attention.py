"""Our attention on a CPU against torch's fused one: same logits, same gradients, no trace in what is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from oneloop.model import attention

SIZES: dict[str, Any] = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def made(family: str, head: str = "SequenceClassification", **more: Any) -> Any:
    """A small model with random weights large enough for attention to matter."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"num_labels": 3, "max_position_embeddings": 300, **more}
    if family == "distilbert":
        config: Any = transformers.DistilBertConfig(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=16, **settings)
    else:
        config = {"bert": transformers.BertConfig, "roberta": transformers.RobertaConfig}[family](**SIZES, **settings)
    model = getattr(transformers, f"AutoModelFor{head}").from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return model


def batch(width: int, side: str) -> dict[str, torch.Tensor]:
    """Four inputs of unequal length, padded with 1 on one side."""
    draw = torch.Generator().manual_seed(width)
    ids = torch.randint(3, 60, (4, width), generator=draw)
    mask = torch.ones_like(ids)
    for row, length in enumerate((width, max(width - 1, 1), max(width // 2, 1), 1)):
        hidden = slice(length, None) if side == "right" else slice(0, width - length)
        ids[row, hidden], mask[row, hidden] = 1, 0
    return {"input_ids": ids, "attention_mask": mask}


def run(model: Any, name: str, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits of real tokens and gradients with one implementation."""
    model.set_attn_implementation(name)
    model.zero_grad()
    logits = model(**inputs).logits
    if logits.ndim == 3:
        logits = logits[inputs["attention_mask"].bool()]
    logits.square().mean().backward()
    return logits.detach(), {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("width", [1, 7, attention.SHORT, attention.SHORT + 1, 200])
@pytest.mark.parametrize("head", ["SequenceClassification", "TokenClassification"])
def test_logits_and_gradients_are_those_of_sdpa(family: str, side: str, width: int, head: str) -> None:
    model, inputs = made(family, head).eval(), batch(width, side)
    theirs, their_gradients = run(model, "sdpa", inputs)
    ours, our_gradients = run(model, attention.register(), inputs)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert our_gradients.keys() == their_gradients.keys()
    for name, gradient in our_gradients.items():
        assert torch.allclose(gradient, their_gradients[name], atol=1e-5, rtol=1e-4), name


def test_a_text_reads_the_same_beside_any_padding() -> None:
    model = made("bert", "TokenClassification").eval()
    model.set_attn_implementation(attention.register())
    ids = torch.randint(3, 60, (1, 9), generator=torch.Generator().manual_seed(2))
    alone = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
    padded = torch.cat([ids, torch.ones(1, 20, dtype=torch.long)], dim=1)
    mask = (torch.arange(29) < 9).long()[None]
    assert torch.allclose(model(input_ids=padded, attention_mask=mask).logits[0, :9], alone, atol=1e-6)


def test_below_the_limit_it_is_ours_and_above_it_torch_s(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.integrations import sdpa_attention

    widths: list[int] = []
    usual = sdpa_attention.sdpa_attention_forward

    def noted(module: Any, query: Any, *rest: Any, **more: Any) -> Any:
        widths.append(query.shape[2])
        return usual(module, query, *rest, **more)

    monkeypatch.setattr(sdpa_attention, "sdpa_attention_forward", noted)
    model = made("bert").eval()
    model.set_attn_implementation(attention.register())
    for width in (attention.SHORT, attention.SHORT + 1):
        model(**batch(width, "right"))
    assert set(widths) == {attention.SHORT + 1}


def test_dropout_is_drawn_in_training_and_not_in_evaluation() -> None:
    model, inputs = made("bert", attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0), batch(12, "right")
    model.set_attn_implementation(attention.register())

    def logits() -> torch.Tensor:
        torch.manual_seed(3)
        return model(**inputs).logits.detach()

    model.eval()
    quiet = logits()
    model.train()
    noisy = logits()
    assert not torch.allclose(quiet, noisy, atol=1e-3)
    assert torch.equal(noisy, logits())
    model.eval()
    assert torch.equal(quiet, logits())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.013])
def test_dropped_places_are_drawn_evenly_and_by_torch_s_generator(share: float) -> None:
    torch.manual_seed(5)
    places, told = attention.dropped_places((3, 5, 301, 211), share)
    assert places.shape == (3, 5, 301, 211) and places.dtype == torch.bool and abs(told - share) <= 1 / 2**17
    spread = (share * (1 - share)) ** 0.5
    for axes, count in (((0, 1, 2, 3), places.numel()), ((0, 1, 2), 3 * 5 * 301), ((1, 2, 3), 5 * 301 * 211)):
        means = places.float().mean(axes)
        assert (means - share).abs().max() < 5 * spread / count**0.5
    lagged = places.flatten()
    for lag in (1, 2, 3, 4):  # the four places that share a draw do not depend on each other
        both = (lagged[:-lag] & lagged[lag:]).float().mean()
        assert abs(both - share**2) < 5 * share / places.numel() ** 0.5
    torch.manual_seed(5)
    assert torch.equal(places, attention.dropped_places((3, 5, 301, 211), share)[0])


@pytest.mark.parametrize("width", [40, 250])
def test_dropout_changes_nothing_on_average(width: int) -> None:
    draw = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 3, width, 8, generator=draw, requires_grad=True) for _ in range(3))
    module = torch.nn.Module().train()
    mask = torch.ones(2, 1, width, width, dtype=torch.bool)
    mask[1, :, :, width // 2 :] = False
    clean, _ = attention.attend(module, query, key, value, mask, dropout=0.0)
    torch.manual_seed(2)
    found = [attention.attend(module, query, key, value, mask, dropout=0.2)[0] for _ in range(400)]
    assert not torch.allclose(found[0], clean, atol=1e-3)
    assert torch.allclose(torch.stack(found).mean(0), clean, atol=0.12)
    found[0].square().sum().backward()
    assert value.grad is not None and float(value.grad[1, :, width // 2 :].abs().max()) == 0.0


def test_causal_models_keep_their_mask() -> None:
    """A model whose tokens may not look ahead, should it ever be loaded with ours."""
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2)).eval()
    ids = torch.randint(3, 60, (2, 11), generator=torch.Generator().manual_seed(4))
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    model.set_attn_implementation("sdpa")
    theirs = [model(input_ids=ids).logits, model(input_ids=ids, attention_mask=mask).logits[:, 4:]]
    model.set_attn_implementation(attention.register())
    ours = [model(input_ids=ids).logits, model(input_ids=ids, attention_mask=mask).logits[:, 4:]]
    for one, two in zip(ours, theirs):
        assert torch.allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_a_saved_folder_bears_no_trace_of_it(family: str, tmp_path: Path) -> None:
    model = made(family).eval()
    model.set_attn_implementation(attention.register())
    model.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert attention.NAME not in json.dumps(written)
    assert not any("attn_implementation" in key for key in written)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert again.config._attn_implementation == "sdpa"
    inputs = batch(20, "right")
    assert torch.allclose(again(**inputs).logits, model(**inputs).logits, atol=1e-5)
