"""The table of tasks: names to classes, as strings, so that listing them loads nothing.

Another package adds a task through the entry-point group `oneloop.tasks` (name = "package.module:Class").
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points

from oneloop.errors import RecipeError, did_you_mean
from oneloop.tasks.base import Task

TASKS = {
    "sequence-classification": "oneloop.tasks.sequence_classification:SequenceClassification",
    "token-classification": "oneloop.tasks.token_classification:TokenClassification",
    "question-answering": "oneloop.tasks.question_answering:QuestionAnswering",
    "masked-lm": "oneloop.tasks.masked_lm:MaskedLM",
    "causal-lm": "oneloop.tasks.causal_lm:CausalLM",
    "summarization": "oneloop.tasks.summarization:Summarization",
    "translation": "oneloop.tasks.translation:Translation",
    "semantic-search": "oneloop.tasks.semantic_search:SemanticSearch",
}
ALIASES = {
    "text-classification": "sequence-classification",
    "ner": "token-classification",
    "pos": "token-classification",
    "chunking": "token-classification",
    "qa": "question-answering",
    "extractive-qa": "question-answering",
    "mlm": "masked-lm",
    "fill-mask": "masked-lm",
    "clm": "causal-lm",
    "text-generation": "causal-lm",
    "sentence-similarity": "semantic-search",
    "retrieval": "semantic-search",
}


@cache
def table() -> dict[str, str]:
    """Task name to `module:Class`, this package's own and those of installed packages."""
    found = {entry.name: entry.value for entry in entry_points(group="oneloop.tasks")}
    return TASKS | {name: target for name, target in found.items() if name not in TASKS}


def task_class(name: str) -> type[Task]:
    """The class of the task called `name` (or an alias of it); RecipeError with a suggestion if there is none."""
    name = ALIASES.get(name.strip().lower(), name.strip().lower())
    tasks = table()
    if name not in tasks:
        known = sorted(set(tasks) | set(ALIASES))
        raise RecipeError(
            f"there is no task '{name}'{did_you_mean(name, known)}", expected="one of " + ", ".join(tasks), fix="oneloop tasks"
        )
    module, _, attribute = tasks[name].partition(":")
    found: type[Task] = getattr(importlib.import_module(module), attribute)
    return found
