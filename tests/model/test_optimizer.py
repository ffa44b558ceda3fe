"""C091, C092: decay groups, rates by depth, schedules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from oneloop.model import optimizer
from tests.small_tokenizers import small_bert


def gpt2(layers: int = 2) -> Any:
    config = transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=layers, n_head=2, num_labels=3, pad_token_id=0)
    return transformers.GPT2ForSequenceClassification(config)


def names(groups: list[dict[str, Any]], decayed: bool) -> set[str]:
    return {name for group in groups if bool(group["weight_decay"]) == decayed for name in group["names"]}


def test_C091_gpt2_biases_and_every_norm_are_not_decayed() -> None:
    """`ln_1`, `ln_2` and `ln_f` hold no "LayerNorm" in their names, which is how they are usually missed."""
    made = optimizer.build(gpt2(), learning_rate=1e-3, weight_decay=0.1)
    plain, decayed = names(made.param_groups, False), names(made.param_groups, True)
    norms = {
        f"transformer.{name}.{kind}" for name in ("h.0.ln_1", "h.0.ln_2", "h.1.ln_1", "h.1.ln_2", "ln_f") for kind in ("weight", "bias")
    }
    biases = {name for name, _ in gpt2().named_parameters() if name.endswith(".bias")}
    assert plain == norms | biases
    assert {"transformer.wte.weight", "transformer.h.0.attn.c_attn.weight", "score.weight"} <= decayed
    assert plain | decayed == {name for name, _ in gpt2().named_parameters()}


def test_C091_bert_is_grouped_as_transformers_groups_it() -> None:
    model = small_bert("BertForTokenClassification", 50, num_labels=5)
    made = optimizer.build(model, learning_rate=1e-3, weight_decay=0.1)
    trainer = transformers.Trainer.get_decay_parameter_names(None, model)  # type: ignore[arg-type]
    assert names(made.param_groups, True) == set(trainer)


def test_C091_decay_shrinks_what_has_no_gradient_only_where_it_applies() -> None:
    model = small_bert("BertForSequenceClassification", 50, num_labels=2)
    made = optimizer.build(model, learning_rate=0.1, weight_decay=0.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    made.step()
    for name, parameter in model.named_parameters():
        assert float(parameter.flatten()[0]) == pytest.approx(0.95 if parameter.ndim == 2 else 1.0), name


def test_frozen_weights_are_in_no_group() -> None:
    model = small_bert("BertForSequenceClassification", 50)
    model.bert.embeddings.requires_grad_(False)
    made = optimizer.build(model, learning_rate=1e-3, weight_decay=0.1)
    assert not any("embeddings" in name for group in made.param_groups for name in group["names"])


def test_head_and_depth_have_their_own_rates() -> None:
    made = optimizer.build(gpt2(3), learning_rate=1e-3, weight_decay=0.0, head_factor=5.0, layer_decay=0.5)
    rate = {name: group["peak"] for group in made.param_groups for name in group["names"]}
    assert rate["score.weight"] == pytest.approx(5e-3)
    assert rate["transformer.h.2.mlp.c_fc.weight"] == pytest.approx(1e-3)
    assert rate["transformer.h.1.ln_1.weight"] == pytest.approx(5e-4)
    assert rate["transformer.h.0.attn.c_attn.bias"] == pytest.approx(2.5e-4)
    assert rate["transformer.wte.weight"] == rate["transformer.wpe.weight"] == pytest.approx(1.25e-4)
    assert rate["transformer.ln_f.weight"] == pytest.approx(1e-3)
    shown = optimizer.set_rate(made, 0.1)
    assert shown == pytest.approx(1e-4)
    assert {group["lr"] for group in made.param_groups} == {group["peak"] * 0.1 for group in made.param_groups}


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("distilbert", ("distilbert.transformer.layer.0.ffn.lin1.weight", "distilbert.transformer.layer.1.ffn.lin1.weight")),
        ("roberta", ("roberta.encoder.layer.0.output.dense.weight", "roberta.encoder.layer.1.output.dense.weight")),
    ],
)
def test_depth_is_read_from_the_names_of_other_families(family: str, names: tuple[str, str]) -> None:
    sizes = {"vocab_size": 50, "num_labels": 2}
    if family == "distilbert":
        config: Any = transformers.DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=16, **sizes)
    else:
        config = transformers.RobertaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, **sizes)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    made = optimizer.build(model, learning_rate=1e-3, weight_decay=0.0, head_factor=2.0, layer_decay=0.5)
    rate = {name: group["peak"] for group in made.param_groups for name in group["names"]}
    assert rate[names[0]] == pytest.approx(5e-4)
    assert rate[names[1]] == pytest.approx(1e-3)
    assert rate[f"{family}.embeddings.word_embeddings.weight"] == pytest.approx(2.5e-4)
    assert {rate[name] for name in rate if "classifier" in name} == {2e-3}


def test_C092_linear_schedule_is_that_of_transformers_without_warm_up() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    for kind, theirs in (
        ("linear", transformers.get_linear_schedule_with_warmup),
        ("cosine", transformers.get_cosine_schedule_with_warmup),
    ):
        adam = torch.optim.AdamW([parameter], lr=1.0)
        schedule = theirs(adam, 0, 17)
        for step in range(18):
            assert optimizer.rate(step, 17, schedule=kind, warmup=0) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
            adam.step()
            schedule.step()


def test_C092_warm_up_by_share_and_by_count_and_its_edges() -> None:
    def rates(total: int, **more: Any) -> list[float]:
        return [optimizer.rate(step, total, **more) for step in range(total)]

    assert rates(10, schedule="linear", warmup=0.2) == rates(10, schedule="linear", warmup=2)
    assert rates(4, schedule="constant", warmup=2) == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert rates(1, schedule="linear", warmup=0.1) == [1.0]
    assert all(0 < rate <= 1 for rate in rates(3, schedule="cosine", warmup=100))  # more warm-up than steps
    assert optimizer.rate(3, 3, schedule="linear", warmup=0) == 0
