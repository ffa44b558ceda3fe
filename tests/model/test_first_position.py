"""The last layer at the first position only: same logits, same gradients, for every kind of model that reads it so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from oneloop.model import attention, first_position
from tests.model.test_attention import SIZES, batch

FAMILIES = {
    "bert": transformers.BertConfig,
    "roberta": transformers.RobertaConfig,
    "xlm-roberta": transformers.XLMRobertaConfig,
    "camembert": transformers.CamembertConfig,
    "electra": transformers.ElectraConfig,
}


def made(family: str, head: str = "SequenceClassification", layers: int = 2) -> Any:
    """A small model with weights large enough for attention to matter, dropout off."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"num_labels": 3, "max_position_embeddings": 300, "pad_token_id": 1}
    if family == "distilbert":
        config: Any = transformers.DistilBertConfig(vocab_size=60, dim=16, n_layers=layers, n_heads=2, hidden_dim=16, **settings)
    else:
        more = {"embedding_size": 16} if family == "electra" else {}
        config = FAMILIES[family](**(SIZES | {"num_hidden_layers": layers}), **settings, **more)
    config._attn_implementation = attention.register()
    model = getattr(transformers, f"AutoModelFor{head}").from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return model.eval()


def run(model: Any, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and gradients of the parameters that have any."""
    model.zero_grad()
    logits = model(**inputs).logits
    logits.square().mean().backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", [*FAMILIES, "distilbert"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("width", [1, 7, 97])
def test_logits_and_gradients_are_the_same(family: str, side: str, width: int) -> None:
    model, inputs = made(family), batch(width, side)
    if side == "left":  # the first position must be a real token
        inputs["attention_mask"][:, 0] = 1
    logits, gradients = run(model, inputs)
    seen: list[tuple[int, ...]] = []
    assert first_position.narrow(model)
    body = model.base_model
    last = (body.transformer if family == "distilbert" else body.encoder).layer[-1]
    last.register_forward_hook(lambda module, given, result: seen.append(tuple(result.shape)))
    logits_after, gradients_after = run(model, inputs)
    assert seen == [(4, 1, 16)]
    torch.testing.assert_close(logits, logits_after, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == gradients_after.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, gradients_after[name], rtol=1e-4, atol=1e-5, msg=name)


def test_other_heads_keep_every_position() -> None:
    model = made("bert", "TokenClassification")
    assert not first_position.narrow(model)
    assert model(**batch(7, "right")).logits.shape == (4, 7, 3)
    decoder: Any = transformers.GPT2Config(vocab_size=60, n_embd=16, n_layer=1, n_head=2, num_labels=3, pad_token_id=1)
    assert not first_position.narrow(transformers.GPT2ForSequenceClassification(decoder))
