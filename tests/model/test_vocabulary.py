"""Word vectors in use: the same logits, gradients, files and updates as the whole table, whichever ids come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from oneloop import checkpoint
from oneloop.model import optimizer, vocabulary

USED = [0, 2, 3, 5, 8, 13, 21]
OTHERS = [1, 4, 59]


def made() -> Any:
    """A small classifier with a table of 60 vectors."""
    torch.manual_seed(1)
    config: Any = transformers.BertConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, num_labels=3, pad_token_id=0,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def batch(number: int, ids: list[int]) -> dict[str, torch.Tensor]:
    """Five inputs of six ids drawn from `ids`, the last position padding."""
    draw = torch.Generator().manual_seed(number)
    drawn = torch.tensor(ids)[torch.randint(0, len(ids), (5, 6), generator=draw)]
    drawn[:, -1] = 0
    return {"input_ids": drawn, "attention_mask": (torch.arange(6) < 5).long().expand(5, 6), "labels": torch.tensor([0, 1, 2, 0, 1])}


def table(model: Any) -> torch.Tensor:
    """The word vectors as a file would hold them."""
    found: torch.Tensor = model.state_dict()["bert.embeddings.word_embeddings.weight"]
    return found.detach().clone()


def test_it_computes_and_learns_what_the_whole_table_does() -> None:
    plain, narrow = made(), made()
    assert vocabulary.narrow(narrow, USED)
    before = table(plain)
    optimizers = [optimizer.build(model, learning_rate=1e-2, weight_decay=0.0) for model in (plain, narrow)]
    for number in range(6):
        losses = []
        for model, updates in zip((plain, narrow), optimizers):
            updates.zero_grad()
            loss = model(**batch(number, USED)).loss
            loss.backward()
            updates.step()
            losses.append(float(loss.detach()))
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    torch.testing.assert_close(table(plain), table(narrow))
    moved = (table(narrow) != before).any(dim=1).nonzero().flatten().tolist()
    assert moved == USED[1:]  # all but the padding, whose vector gets no gradient
    plain.eval(), narrow.eval()
    mixed = batch(9, USED + OTHERS)
    torch.testing.assert_close(plain(**mixed).logits, narrow(**mixed).logits)


def test_weight_decay_spares_what_is_not_in_use() -> None:
    model = made()
    vocabulary.narrow(model, USED)
    before = table(model)
    updates = optimizer.build(model, learning_rate=1e-2, weight_decay=0.5)
    model(**batch(0, USED)).loss.backward()
    updates.step()
    moved = (table(model) != before).any(dim=1).nonzero().flatten().tolist()
    assert moved == USED[1:] or moved == USED  # decay reaches the padding vector too


def test_fewer_numbers_are_trained() -> None:
    model = made()
    vocabulary.narrow(model, USED)
    names = dict(model.named_parameters())
    assert [tuple(p.shape) for name, p in names.items() if "word_embeddings.used_" in name] == [(len(USED), 16)]
    assert "bert.embeddings.word_embeddings.weight" not in names


def test_files_hold_the_usual_names_and_load_anywhere(tmp_path: Path) -> None:
    model = made()
    vocabulary.narrow(model, USED)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.used.add_(1.0)
    model.save_pretrained(tmp_path)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    model.eval()
    mixed = batch(3, USED + OTHERS)
    torch.testing.assert_close(again(**mixed).logits, model(**mixed).logits)


def test_checkpoints_go_both_ways() -> None:
    from safetensors.torch import save

    one, other = made(), made()
    vocabulary.narrow(one, USED)
    vocabulary.narrow(other, USED)
    with torch.no_grad():
        one.bert.embeddings.word_embeddings.used.mul_(-2.0)
        one.classifier.bias.add_(1.0)
    checkpoint.put_model(other, save(checkpoint.tensors_of(one)))
    torch.testing.assert_close(table(one), table(other), rtol=0, atol=0)
    torch.testing.assert_close(other.bert.embeddings.word_embeddings.used, one.bert.embeddings.word_embeddings.used, rtol=0, atol=0)
    plain = made()
    checkpoint.put_model(plain, save(checkpoint.tensors_of(one)))
    torch.testing.assert_close(table(plain), table(one), rtol=0, atol=0)


def test_it_leaves_alone_what_it_must() -> None:
    config: Any = transformers.BertConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )  # fmt: skip
    shared = transformers.BertForMaskedLM(config)
    assert not vocabulary.narrow(shared, USED)
    frozen = made()
    frozen.get_input_embeddings().weight.requires_grad_(False)
    assert not vocabulary.narrow(frozen, USED)
    assert not vocabulary.narrow(made(), range(60))  # nothing to gain


def test_T17_moments_of_other_ids_are_not_taken() -> None:
    from safetensors.torch import save

    first, more, others = (made() for _ in range(3))
    vocabulary.narrow(first, USED)
    vocabulary.narrow(more, [*USED, 34])
    vocabulary.narrow(others, [1, 4, 6, 7, 9, 10, 11])
    saved = optimizer.build(first, learning_rate=1e-2, weight_decay=0.0)
    first(**batch(0, USED)).loss.backward()
    saved.step()
    for model in (more, others):
        updates = optimizer.build(model, learning_rate=1e-2, weight_decay=0.0)
        checkpoint.put_moments(updates, save(checkpoint.moments_of(saved)))
        assert model.bert.embeddings.word_embeddings.used not in updates.state
        assert model.classifier.weight in updates.state
        model(**batch(1, [1, 4, 6] if model is others else USED)).loss.backward()
        updates.step()
