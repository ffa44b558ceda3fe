"""Translation: a text in, the same content in another language, style or notation out.

In: {"source": "…", "target": "…"}   Out: {"translation_text": "…"}
"""

from __future__ import annotations

from oneloop.tasks.base import Clues, Column, Task
from oneloop.tasks.cells import text
from oneloop.tasks.wording import LANGUAGE


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
    clues = Clues(
        phrases={
            r"\b(translat(e|es|ing|or|ion (of|from|system|model))|machine translation|traducir|traductor|traduire"
            r"|ubersetzen)\b": 1.5,
            r"\b(from|between|de|vom|aus dem|del) ?'?" + LANGUAGE + r"\b.{0,14}\b(to|into|and|al|vers|ins|nach|en)\b": 3.0,
            r"\b(sentence pairs|parallel (corpus|text|sentences)|bilingual|satzpaare|alineadas|alignees)\b": 2.0,
            r"\b(rewrite|rephrase|paraphrase|reescribir|reecrire|reformuler|umschreiben)\b": 1.5,
            r"\b(correct|fix|corregir|corriger|korrigieren)\b.{0,40}\b(grammar|spelling|mistakes|errors|errores|fehler)\b": 2.0,
            r"\b(plain language|leichte sprache|langage clair|lenguaje sencillo|same (content|facts|meaning))\b": 1.5,
            r"\bwhich language\b": -2.0,
        },
        shape="pairs of texts of like length that say the same in two languages or two styles",
        example="Translate English product pages into German.",
    )
