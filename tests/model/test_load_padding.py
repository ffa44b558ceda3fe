"""Outputs do not depend on the rows beside a row: every family, every head, batches of several rows against one row each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import oneloop
from oneloop.model.padding import side
from tests.small_tokenizers import gpt, llama, roberta, wordpiece, xlnet

SMALL = {"vocab_size": 420, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
FAMILIES: dict[str, tuple[Any, Any]] = {
    "bert": (transformers.BertConfig(**SMALL), wordpiece),
    "gpt2": (transformers.GPT2Config(vocab_size=420, n_embd=32, n_layer=2, n_head=2, n_positions=128), gpt),
    "llama": (transformers.LlamaConfig(**SMALL), llama),
    "roberta": (transformers.RobertaConfig(**SMALL, max_position_embeddings=130), roberta),
    "distilbert": (transformers.DistilBertConfig(vocab_size=420, dim=32, n_layers=2, n_heads=2, hidden_dim=32), wordpiece),
    "xlnet": (transformers.XLNetConfig(vocab_size=420, d_model=32, n_layer=2, n_head=2, d_inner=32), xlnet),
    "deberta": (transformers.DebertaV2Config(**SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"]), wordpiece),
    "modernbert": (transformers.ModernBertConfig(**SMALL, pad_token_id=0), wordpiece),
}
TEXTS = [
    "the lamb was good",
    "bad",
    "EU rejects German call to boycott British lamb . My name is Sylvain and I work at Hugging Face in Brooklyn.",
    "He said: don't boycott the lamb",
    "the quick brown fox was bad again and again!",
]


def write(folder: Path, family: str, wrong_side: bool = False) -> Path:
    """The body of a family with random weights, wide enough for inputs to matter, and its tokenizer."""
    config, tokenizer = FAMILIES[family]
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    if wrong_side:
        path = folder / "tokenizer_config.json"
        found = json.loads(path.read_text())
        path.write_text(json.dumps({**found, "padding_side": "left" if tokenizer().padding_side == "right" else "right"}))
    return folder


def rows(path: Path, kind: str) -> dict[str, str]:
    """Training data of a kind: rows of unequal length."""
    lines = []
    for i in range(24):
        text = TEXTS[i % len(TEXTS)] + " again" * (i % 4)
        words = text.split()
        if kind == "sequence-classification":
            lines.append({"text": text, "label": "bad" if "bad" in text else "good"})
        elif kind == "token-classification":
            lines.append({"tokens": words, "tags": ["B-X" if word[0].isupper() else "O" for word in words]})
        else:
            lines.append({"question": "how", "context": text, "answers": {"text": [words[-1]], "answer_start": [text.rindex(words[-1])]}})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"train": str(path), "validation": str(path), "test": str(path)}


def inputs(kind: str) -> list[Any]:
    if kind == "question-answering":
        return [{"question": "how", "context": text} for text in TEXTS]
    return [text.split() for text in TEXTS] if kind == "token-classification" else TEXTS


def numbers(model: Any, given: list[Any]) -> list[dict[str, torch.Tensor]]:
    """The raw outputs of each row, predicted together."""
    from oneloop.measure.evaluate import run_features

    made, errors = model.rows(given)
    assert not errors
    found = run_features(model.task, model.engine, model.task.encode(made, model.engine.tokenizer), labelled=False).found
    return [{name: torch.as_tensor(value) for name, value in outputs.items()} for outputs in found]


@pytest.mark.parametrize("kind", ["sequence-classification", "token-classification", "question-answering"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_gets_the_same_numbers_alone_and_in_a_batch(family: str, kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", family)
    recipe = {"task": kind, "model": str(folder), "output": str(tmp_path / "run"), "precision": "fp32", "max_steps": 2, "batch_rows": 8}
    result = oneloop.train(**rows(tmp_path / "rows.jsonl", kind), **recipe)
    assert result.metrics["reload_check"] == "identical"
    model = oneloop.load(result.path)
    together = numbers(model, inputs(kind))
    for given, beside in zip(inputs(kind), together):
        alone = numbers(model, [given])[0]
        assert alone.keys() == beside.keys()
        for name in alone:
            assert torch.allclose(alone[name].float(), beside[name].float(), atol=1e-5), name
    assert not torch.allclose(*(outputs[next(iter(outputs))].reshape(-1)[-2:].float() for outputs in together[:2]), atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "xlnet"])
def test_a_tokenizer_that_pads_on_the_wrong_side_is_set_right_and_saved_so(family: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", family, wrong_side=True)
    kind = "sequence-classification"
    recipe = {"task": kind, "model": str(folder), "output": str(tmp_path / "run"), "precision": "fp32", "max_steps": 2, "batch_rows": 8}
    saved = oneloop.train(**rows(tmp_path / "rows.jsonl", kind), **recipe).path / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(saved)
    assert tokenizer.padding_side == ("left" if family == "xlnet" else "right")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(saved).eval()
    assert plain.config.pad_token_id is not None
    model = oneloop.load(saved)
    for text, beside in zip(TEXTS, model.predict(TEXTS)):
        alone = model.predict([text])[0]["scores"]
        assert alone == pytest.approx(beside["scores"], abs=1e-5)
        with torch.no_grad():
            shares = plain(**tokenizer([text], return_tensors="pt")).logits.softmax(-1)[0].tolist()
        assert shares == pytest.approx(list(alone.values()), abs=1e-5)


def test_a_decoder_from_elsewhere_without_a_padding_token_predicts_in_batches(tmp_path: Path) -> None:
    for family in ("gpt2", "llama"):
        config, tokenizer = FAMILIES[family]
        torch.manual_seed(0)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        assert model.config.pad_token_id is None
        model.save_pretrained(tmp_path / family)
        tokenizer().save_pretrained(tmp_path / family)
        found = oneloop.load(tmp_path / family)
        for text, beside in zip(TEXTS, found.predict(TEXTS)):
            assert found.predict([text])[0]["scores"] == pytest.approx(beside["scores"], abs=1e-5)


def test_only_a_head_that_reads_the_last_position_pads_left() -> None:
    config = FAMILIES["xlnet"][0]
    assert side(transformers.XLNetForSequenceClassification(config)) == "left"
    assert side(transformers.XLNetForTokenClassification(config)) == "right"
