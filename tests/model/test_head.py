"""A pooler that was never trained is opened, one that was is left alone; default rates follow the width."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

from oneloop.model.head import open_pooler, rate_for


def small(kind: type = BertForSequenceClassification, width: int = 32) -> torch.nn.Module:
    return kind(BertConfig(vocab_size=50, hidden_size=width, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64))


def test_an_untrained_pooler_becomes_the_identity() -> None:
    model = small()
    model.bert.pooler.dense.weight.data.normal_(std=0.009)
    assert open_pooler(model)
    assert torch.equal(model.bert.pooler.dense.weight, torch.eye(32)) and not model.bert.pooler.dense.bias.any()


def test_a_trained_pooler_stays() -> None:
    model = small()
    before = model.bert.pooler.dense.weight.data.normal_(std=0.04).clone()
    assert not open_pooler(model) and torch.equal(model.bert.pooler.dense.weight, before)
    assert not open_pooler(small(BertForTokenClassification))


@pytest.mark.parametrize(("width", "rate"), [(32, 3e-4), (384, 3e-4), (768, 7.5e-5)])
def test_twice_the_width_takes_a_quarter_of_the_rate(width: int, rate: float) -> None:
    assert rate_for(3e-4, small(width=width)) == pytest.approx(rate)
