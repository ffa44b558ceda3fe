"""Translation: a text in, the same content in another language, style or notation out.

In: {"source": "…", "target": "…"}   Out: {"translation_text": "…"}
"""

from __future__ import annotations

from oneloop.tasks.base import Clues, Column, Task
from oneloop.tasks.cells import text


class Translation(Task):
    """Rewrite a text and keep its content: another language, simpler, corrected, more polite."""

    name = "translation"
    columns = (
        Column("source", text, help="the text as it is"),
        Column("target", text, target=True, help="the same content, rewritten"),
    )
    head = "AutoModelForSeq2SeqLM"
    metric = "bleu"

    does = "rewrites a text and keeps its content: into another language, simpler, corrected"
    label_shape = "the token ids of the target, -100 where padded"
    collator = "seq2seq: pads inputs and labels apart, decoder inputs are the labels shifted"
    metric_limits = (
        "BLEU and chrF compare with one reference: a right translation in other words loses, a fluent one with the wrong number "
        "or a missing 'not' hardly does. Scores of different test sets, languages or tokenizations cannot be compared."
    )
    family = "encoder-decoder"
    wrinkle = "sequence-to-sequence tools"
    trainable = False
    clues = Clues()
