"""Summarization: a long text in, a short text that keeps what matters out.

In: {"document": "…", "summary": "…"}   Out: {"summary_text": "…"}
"""

from __future__ import annotations

from oneloop.tasks.base import Clues, Column, Task
from oneloop.tasks.cells import text


class Summarization(Task):
    """Write the short version of a text: a summary, a headline, minutes."""

    name = "summarization"
    columns = (
        Column("document", text, help="the long text"),
        Column("summary", text, target=True, help="its short version"),
    )
    head = "AutoModelForSeq2SeqLM"
    metric = "rougeL"

    does = "writes a short version of a text"
    label_shape = "the token ids of the summary, -100 where padded"
    collator = "seq2seq: pads inputs and labels apart, decoder inputs are the labels shifted"
    metric_limits = (
        "ROUGE counts shared words: it does not see invented facts, wrong negations or good paraphrase, and it rewards "
        "copying. Compare with the first three sentences (lead-3), and read twenty summaries."
    )
    family = "encoder-decoder"
    wrinkle = "sequence-to-sequence tools"
    trainable = False
    clues = Clues()
