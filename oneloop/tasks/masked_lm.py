"""Masked language modeling: fill in hidden words, so that an encoder learns a field's vocabulary.

In: {"text": "The patient was given 5 mg of <mask>."}   Out: {"fills": [{"token": "warfarin", "score": 0.41, "text": …}]}
"""

from __future__ import annotations

from oneloop.tasks.base import Clues, Column, Task
from oneloop.tasks.cells import text


class MaskedLM(Task):
    """Adapt an encoder to bare text, or fill in blanks."""

    name = "masked-lm"
    columns = (Column("text", text, target=True, help="documents or lines of bare text; the text is its own supervision"),)
    head = "AutoModelForMaskedLM"
    metric = "perplexity"

    aliases = ("mlm", "fill-mask")
    does = "fills in hidden words; adapts an encoder to the vocabulary of a field, from bare text"
    label_shape = "the ids of the masked tokens, -100 elsewhere"
    collator = "masks on the fly (15 %); the masks are frozen for evaluation"
    metric_limits = (
        "Perplexity compares only models with the same tokenizer and masks; it says nothing about the task the encoder is "
        "adapted for: train that task from both encoders and compare there."
    )
    family = "encoder"
    trainable = False
    greater_is_better = False
    clues = Clues(
        phrases={
            r"\bmasked[- ](lm|language|word)\w*|\bfill[- ]mask\b|\bcloze\b|\[mask\]|_{3,}": 3.0,
            r"\b(bert|roberta|distilbert|camembert|modernbert|electra|encoder|encodeur|codificador)\b.{0,80}\b(raw"
            r"|unlabel\w*|vocabulary|jargon|corpus|scratch|no labels)\b": 2.0,
            r"\b(pre-?train\w*|adapt\w*|vortrain\w*|preentren\w*)\b.{0,60}\b(bert|roberta|distilbert|camembert|modernbert"
            r"|encoder|encodeur|codificador)\b": 2.5,
            r"\b(missing|left[- ]out|blank\w*|erased|illegible|hidden|masked|lost|manquant|fehlende|unleserliche) (word"
            r"|token|wort|mot)\w*\b|\b(palabra|mot|word)s? (que falta|manquant|left out|missing)\b": 2.0,
            r"\b(fill|gap|blank|hueco|trou|lucke)s?\b.{0,30}\b(sentence|word|blank|gap|palabra|mot|wort)s?\b": 1.5,
            r"\b(next (word|token)|gpt|generate)\b": -1.5,
        },
        shape="bare text: one document, paragraph or sentence in each row or line, and nothing to predict beside it",
        example="Continue pretraining BERT on our unlabeled medical notes.",
    )
