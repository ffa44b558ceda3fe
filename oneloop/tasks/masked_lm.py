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
    clues = Clues()
