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

STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
NO_HEAD_DROPOUT: dict[str, Any] = {"bert": {}, "roberta": {}, "distilbert": {"seq_classif_dropout": 0.0}}


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
@pytest.mark.parametrize("width", [1, 7, 96, 200])
@pytest.mark.parametrize("head", ["SequenceClassification", "TokenClassification"])
@pytest.mark.parametrize("training", [True, False])
def test_logits_and_gradients_are_those_of_sdpa(family: str, side: str, width: int, head: str, training: bool) -> None:
    still = {"attention_dropout": 0.0, "dropout": 0.0} if family == "distilbert" else STILL
    model, inputs = made(family, head, **still, **NO_HEAD_DROPOUT[family]).train(training), batch(width, side)
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


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_in_training_no_number_stands_for_each_pair_of_positions(dropout: float) -> None:
    """The fused kernel took it: nothing as large as heads x T x T was made, forward or backward."""
    from torch.utils._python_dispatch import TorchDispatchMode

    width, seen = 256, [0]

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = function(*args, **(kwargs or {}))
            for one in found if isinstance(found, (tuple, list)) else [found]:
                seen[0] = max(seen[0], one.numel() if isinstance(one, torch.Tensor) else 0)
            return found

    model = made("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=dropout).train()
    model.set_attn_implementation(attention.register())
    with Sizes():
        model(**batch(width, "right")).logits.sum().backward()
    assert seen[0] < 4 * 2 * width * width


def test_outside_training_it_is_torch_s(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.integrations import sdpa_attention

    calls: list[int] = []
    usual = sdpa_attention.sdpa_attention_forward

    def noted(module: Any, query: Any, *rest: Any, **more: Any) -> Any:
        calls.append(query.shape[2])
        return usual(module, query, *rest, **more)

    monkeypatch.setattr(sdpa_attention, "sdpa_attention_forward", noted)
    model = made("bert")
    model.set_attn_implementation(attention.register())
    model.train()(**batch(12, "right"))
    assert not calls
    model.eval()(**batch(12, "right"))
    assert set(calls) == {12}


def test_autocast_leaves_the_scores_in_float32() -> None:
    """In bf16 the outputs differ from float32 by the rounding of the inputs alone."""
    draw = torch.Generator().manual_seed(1)
    parts = [torch.randn(2, 3, 150, 8, generator=draw).bfloat16().requires_grad_() for _ in range(3)]
    module = torch.nn.Module().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = attention.attend(module, *parts)
    exact, _ = attention.attend(module, *(part.detach().float().requires_grad_() for part in parts))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())


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


def test_a_dropped_position_is_hidden_from_a_head_and_padding_never_seen() -> None:
    torch.manual_seed(5)
    places = attention.hidden_positions((40, 12, 301), 0.1, torch.float32)
    assert places.shape == (40, 12, 1, 301) and set(places.unique().tolist()) == {0.0, attention.HIDDEN}
    share = float((places < 0).float().mean())
    assert abs(share - 0.1) < 5 * (0.1 * 0.9 / places.numel()) ** 0.5
    torch.manual_seed(5)
    assert torch.equal(places, attention.hidden_positions((40, 12, 301), 0.1, torch.float32))


def test_a_text_whose_positions_are_all_drawn_is_seen_whole() -> None:
    draw = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(1, 2, 120, 8, generator=draw, requires_grad=True) for _ in range(3))
    module = torch.nn.Module().train()
    mask = torch.arange(120).lt(90).view(1, 1, 1, 120)
    clean, _ = attention.attend(module, query, key, value, mask)
    drawn, _ = attention.attend(module, query, key, value, mask, dropout=1.0)
    assert torch.allclose(clean, drawn, atol=1e-3)
    drawn.sum().backward()
    assert value.grad is not None and float(value.grad[:, :, 90:].abs().max()) == 0.0


def test_in_a_short_text_single_shares_are_dropped_and_nothing_changes_on_average() -> None:
    width = 40
    draw = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 3, width, 8, generator=draw, requires_grad=True) for _ in range(3))
    module = torch.nn.Module().train()
    mask = torch.ones(2, 1, 1, width, dtype=torch.bool)
    mask[1, :, :, width // 2 :] = False
    clean, _ = attention.attend(module, query, key, value, mask, dropout=0.0)
    torch.manual_seed(2)
    found = [attention.attend(module, query, key, value, mask, dropout=0.2)[0] for _ in range(400)]
    assert not torch.allclose(found[0], clean, atol=1e-3)
    assert torch.allclose(torch.stack(found).mean(0), clean, atol=0.12)
    found[0].square().sum().backward()
    assert value.grad is not None and float(value.grad[1, :, width // 2 :].abs().max()) == 0.0
    nothing, _ = attention.attend(module, query, key, value, mask, dropout=1.0)
    assert not nothing.any()


@pytest.mark.parametrize("width", [attention.LONG, attention.LONG + 1, 250])
@pytest.mark.parametrize("shared", [True, False])
def test_dropout_is_attention_over_the_positions_that_are_left(width: int, shared: bool) -> None:
    draw = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 3, width, 8, generator=draw, requires_grad=True) for _ in range(3))
    module = torch.nn.Module().train()
    mask = torch.ones(2, 1, 1 if shared else width, width, dtype=torch.bool)
    mask[1, :, :, width // 2 :] = False
    torch.manual_seed(2)
    found, _ = attention.attend(module, query, key, value, mask, dropout=0.2)
    torch.manual_seed(2)
    left = mask & (attention.hidden_positions(key.shape[:3], 0.2, torch.float32) == 0)
    left = left | (mask & ~left.any(-1, keepdim=True))  # all drawn: all seen
    scores = (query @ key.transpose(2, 3) / 8**0.5).masked_fill(~left, -float("inf"))
    assert torch.allclose(found, (scores.softmax(-1) @ value).transpose(1, 2), atol=1e-3)
    found.square().sum().backward()
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
