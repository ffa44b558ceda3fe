"""Summarization: a long text in, a short text that keeps what matters out.

In: {"document": "…", "summary": "…"}   Out: {"summary_text": "…"}
"""

from __future__ import annotations

from oneloop.tasks.base import Clues, Column, Task
from oneloop.tasks.cells import text
from oneloop.tasks.wording import NUMBER


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
    clues = Clues(
        phrases={
            r"\b(summari[sz]\w*|summary|summaries|resumir|resumen|resumer|zusammenfass\w*|kurzfassung)\b": 1.5,
            r"\b(tl;?dr|gist|synopsis|abridg\w*|condens\w*|digest|shorten\w*|boil\w* down|takeaways|acortar|raccourcir"
            r"|kurzen)\b": 2.0,
            r"\b(in|into|to|en|dans|auf) (at most )?"
            + NUMBER
            + r"[- ](short |bullet )?(lines?|sentences?|words|points|paragraphs?|lineas|frases|lignes|phrases|zeilen"
            r"|satze\w?)\b": 2.0,
            r"\b(short|shorter|brief|kurze?|courte|breve) (version|note|paragraph|form|description)\w*\b": 1.8,
            r"\b(too long|zu lang|trop longs?|demasiado largos)\b|\blong (articles?|reports?|texts?|documents?|transcripts?"
            r"|threads?)\b": 1.2,
            r"\bone of (\w+ )?(categor\w+|classes|labels|buckets|topics)\b": -3.0,
        },
        shape="long texts, each with a short one in mostly the same words",
        example="Shorten meeting transcripts to five lines.",
    )
