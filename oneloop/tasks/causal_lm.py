"""Causal language modeling: predict the next token; continue, follow instructions, turn data into text or code.

In: {"text": "…"}, {"messages": […]}, {"prompt", "completion"} or {"instruction", "input", "output"}.
Out: {"generated_text": "…"}
"""

from __future__ import annotations

from oneloop.tasks.base import Clues, Column, Task
from oneloop.tasks.cells import optional_text, text, turns


class CausalLM(Task):
    """Train a decoder on text, code, chats or instructions."""

    name = "causal-lm"
    columns = (
        Column("text", text, target=True, required=False, help="documents, lines or code"),
        Column("messages", turns, target=True, required=False, help="chats: turns with role and content"),
        Column("prompt", text, required=False, help="what the model is given"),
        Column("completion", text, target=True, required=False, help="what it should write"),
        Column("instruction", text, required=False, help="what to do"),
        Column("input", optional_text, required=False, help="what the instruction is about; may be empty"),
        Column("output", text, target=True, required=False, help="what it should write"),
        Column("chosen", text, target=True, required=False, help="the preferred answer of a preference pair; it is what is trained"),
        Column("rejected", text, required=False, help="the refused answer of a preference pair; read, not trained"),
    )
    head = "AutoModelForCausalLM"
    metric = "bits_per_byte"

    aliases = ("clm", "text-generation")
    does = "writes on: free text, code, answers to instructions, text from data"
    label_shape = "the inputs, shifted by one inside the model; only the assistant's turns for instructions"
    collator = "packs texts end to end into blocks, with an end-of-text token between them"
    metric_limits = (
        "Perplexity compares only models with the same tokenizer (bits per byte compares across tokenizers); neither sees "
        "whether what is written is true, useful, safe or follows the instruction."
    )
    family = "decoder"
    trainable = False
    greater_is_better = False
    clues = Clues(
        phrases={
            r"\b(gpt(-?\d)?|llama|mistral|decoder|causal|autoregressive|chatgpt)\b": 2.0,
            r"\b(next|siguiente|nachste\w?) (word|token|line|palabra|wort)\b|\bmot suivant\b": 2.0,
            r"\b(instruction[- ]?tun\w*|follow\w* (our |the )?instructions|supervised fine-?tuning|instrucciones|consignes"
            r"|anweisungen)\b": 2.0,
            r"\b(auto-?complet\w*|continue|completer|vervollstandigen|weiterschreiben)\b.{0,40}\b(code|stor(y|ies)|text"
            r"|sentence|cuento|histoire|geschichte|programmcode)\b": 2.0,
            r"\b(write|generate|compose|draft|invent|redactar|generar|rediger|generer|schreiben|erzeugen)\b.{0,40}\b(poems?"
            r"|stor(y|ies)|descriptions?|repl(y|ies)|letters?|code|slogans?|dialog\w*|poemas|respuestas|gedichte"
            r"|antworten)\b": 1.5,
            r"\bfrom (a |the )?(list of |table of |row of )?(attributes|keywords|bullet points|specs|data|tables?"
            r"|measurements|facts|fields)\b": 1.5,
        },
        shape="bare text or code, chats (messages), prompts with completions, or instructions with outputs",
        example="Write product descriptions from a list of attributes.",
    )
