"""A model of a few thousand numbers and a few dozen rows, so that a whole run takes a second.

In:  a folder.
Out: folder/model (a BERT of two layers, 32 wide, with a tokenizer), folder/texts.csv, folder/words.conll.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

GOOD = ["lovely", "great", "quick", "friendly", "perfect", "warm"]
BAD = ["broken", "late", "rude", "cold", "awful", "dirty"]
THINGS = ["parcel", "soup", "room", "driver", "phone", "ticket", "chair", "answer", "bed", "cable"]
NAMES = ["Anna", "Bert", "Chen", "Dora", "Emil", "Fatma"]
PLACES = ["Paris", "Rome", "Oslo", "Lima", "Kyiv", "Cairo"]
FILLERS = ["the", "was", "and", "very", "again", "today", "met", "in", "with", "saw", "went", "to", "."]


def make(folder: Path) -> Path:
    """Write the model and both files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_texts(folder / "texts.csv")
    write_words(folder / "words.conll")
    write_model(folder / "model")
    return folder


def texts(rows: int = 60, seed: int = 7) -> list[tuple[str, str]]:
    """(text, label) of short reviews of unequal length."""
    draw = random.Random(seed)
    found = []
    for number in range(rows):
        words = GOOD if number % 2 else BAD
        parts = [f"the {draw.choice(THINGS)} {draw.choice(THINGS)} was {draw.choice(words)}" for _ in range(draw.randint(1, 4))]
        found.append((" and ".join(parts) + f" {number}", "good" if number % 2 else "bad"))
    return found


def write_texts(path: Path, rows: int = 60, seed: int = 7) -> Path:
    """A csv of texts with labels."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows(texts(rows, seed))
    return path


def write_words(path: Path, sentences: int = 40, seed: int = 7) -> Path:
    """A CoNLL file of sentences with people and places."""
    draw = random.Random(seed)
    lines = []
    for number in range(sentences):
        for _ in range(draw.randint(1, 3)):
            lines += [f"{draw.choice(NAMES)} B-PER", f"{draw.choice(['met', 'saw'])} O", f"{draw.choice(NAMES)} B-PER"]
            lines += ["in O", f"{draw.choice(PLACES)} B-LOC"]
        lines += [f"{number} O", ". O", ""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_model(folder: Path, dropout: float = 0.1, layers: int = 2) -> Path:
    """A BERT with random weights, the same each time, and a WordPiece tokenizer over the samples' words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({word.lower() for word in [*GOOD, *BAD, *THINGS, *NAMES, *PLACES, *FILLERS]})
    pieces = [*names, *words, *"abcdefghijklmnopqrstuvwxyz0123456789", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=marks)
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, model_input_names=inputs, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    BertModel(config).save_pretrained(folder)
    return folder
