"""A tokenizer and a model of a few thousand numbers, built in memory.

In:  a text whose words the tokenizer is to know; a task
Out: a WordPiece tokenizer; a model with the task's head and random weights
"""

from __future__ import annotations

from typing import Any

from oneloop.tasks.base import Task


def tiny_tokenizer(text: str) -> Any:
    """A WordPiece tokenizer like BERT's over the words of a text."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator([text], trainers.WordPieceTrainer(vocab_size=400, special_tokens=specials, show_progress=False))
    marks = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=marks)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    kind: Any = transformers.PreTrainedTokenizerFast
    return kind(tokenizer_object=backend, model_max_length=512, model_input_names=inputs, **names)


def tiny_model(task: Task, tokenizer: Any) -> Any:
    """A model of one narrow layer with the head of `task` and random weights, the same each time."""
    import torch
    import transformers

    torch.manual_seed(0)
    shared: dict[str, Any] = {"vocab_size": len(tokenizer), "pad_token_id": 0, "eos_token_id": 3}
    if task.family == "encoder-decoder":
        small: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
        config: Any = transformers.T5Config(**shared, **small)
    elif task.family == "decoder":
        config = transformers.GPT2Config(**shared, n_embd=16, n_layer=1, n_head=2, n_positions=512, bos_token_id=2)
    else:
        small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        config = transformers.BertConfig(**shared, **small, **task.head_settings())
    return getattr(transformers, task.head).from_config(config)
