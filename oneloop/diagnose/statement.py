"""Which task a statement asks for: a linear model over its words and the tasks' clues, and the adapted encoder, averaged.

In:  a statement in English, Spanish, French or German. Out: a Reading: every task with its probability, whether none fits
and what it is instead, whether two fit, and the words that decided.

Both models (statements.json, reader.npz) were trained on statements written for this project (bench/diagnose). Both read English,
or the gloss of a statement in another language; the words that are shown are the user's own. Where the encoder is not installed,
the words alone decide.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from oneloop.diagnose import adapted
from oneloop.diagnose.features import features, plain, tokens, values
from oneloop.diagnose.gloss import aligned, spoken
from oneloop.diagnose.kinds import kind_scores
from oneloop.errors import OneloopError
from oneloop.tasks import table, task_class

NONE = "none"
AMBIGUOUS = "ambiguous"
CLUES = (-3.0, 5.0)  # a task's clue score is cut to this range
CLUE_SCALE = 0.5  # level of the clues beside the words, as in training
ENCODER = 0.6  # share of the adapted encoder in the average of log-odds; chosen by cross-validation over authors
SHOWN = 5  # words of evidence
READ = 4000  # characters of a statement that are read

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass
class Reading:
    """What a statement says. `probabilities` over the tasks and "none"; `ambiguous` 0-1; `why` per task; `kind` if none."""

    probabilities: dict[str, float]
    ambiguous: float
    kind: str
    kind_words: list[str]
    why: dict[str, list[str]]

    @property
    def ranked(self) -> list[str]:
        """Task names, most probable first."""
        names = [name for name in self.probabilities if name != NONE]
        return sorted(names, key=lambda name: (-self.probabilities[name], name))

    @property
    def doubt(self) -> float:
        """How much the statement leaves open: the log-odds that it is ambiguous, less half those of its first task."""
        inside = max(1e-6, 1 - self.none)
        first = min(self.probabilities[self.ranked[0]] / inside, 1 - 1e-6)
        unclear = min(max(self.ambiguous, 1e-9), 1 - 1e-9)
        return math.log(unclear / (1 - unclear)) - 0.5 * math.log(first / (1 - first))

    @property
    def none(self) -> float:
        """The probability that none of the tasks fits."""
        return self.probabilities.get(NONE, 0.0)


@dataclass
class Weights:
    """A linear model: rows of weights for named features and for the clue scores, and what is added."""

    classes: list[str]
    rows: dict[str, int]
    words: Array
    clues: Array
    bias: Array


@cache
def weights() -> Weights:
    """The linear model as it is stored."""
    stored = json.loads(resources.files(__package__).joinpath("statements.json").read_text("utf-8"))
    names = zlib.decompress(base64.b64decode(stored["names"])).decode().split("\n")
    blocks = {name: _unpack(stored[name]) for name in ("words", "clues", "bias")}
    return Weights(stored["classes"], {name: i for i, name in enumerate(names)}, **blocks)


def _unpack(block: dict[str, Any]) -> Array:
    """Whole numbers of one byte, column by column scaled: the form the weights are stored in."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(block["data"])), dtype=np.int8)
    result: Array = raw.reshape(block["shape"]).astype(np.float32) * np.array(block["scale"], np.float32)
    return result


@cache
def clue_patterns(name: str) -> list[tuple[re.Pattern[str], float]]:
    """The clues of a task; its name and aliases speak for it too."""
    task = task_class(name)
    found = [(re.compile(pattern, re.IGNORECASE), weight) for pattern, weight in task.clues.phrases.items()]
    called = "|".join(re.escape(alias).replace(r"\-", "[- ]") for alias in sorted({name, *task.aliases}))
    return [*found, (re.compile(rf"\b(?:{called})\b"), 1.0)]


def clue_scores(statement: str) -> dict[str, tuple[float, list[str]]]:
    """Task to the sum of its clues' weights (cut to CLUES) and the words that matched; last "none" with its kinds."""
    text = plain(statement)
    found = {}
    for name in table():
        score, words = 0.0, []
        for pattern, weight in clue_patterns(name):
            match = pattern.search(text)
            if match:
                score += weight
                words += [match.group().strip()] if weight > 0 else []
        found[name] = min(max(score, CLUES[0]), CLUES[1]), words
    kinds = kind_scores(statement)
    best = max((score for score, _ in kinds.values()), default=0.0)
    found[NONE] = min(max(best, CLUES[0]), CLUES[1]), []
    return found


def in_english(statement: str) -> str:
    """What the models read: the statement, or its gloss."""
    return " ".join(english for english, _ in pieces(statement))


def pieces(statement: str) -> list[tuple[str, str]]:
    """(what the models read, what the user wrote), piece by piece; an English statement is one piece."""
    language = spoken(statement)
    return [(statement, "")] if language == "en" else aligned(statement, language)


def log_softmax(logits: Array) -> Array:
    """Logits as log-probabilities, over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def read_statement(statement: str) -> Reading:
    """What a statement asks for. OneloopError when it says nothing."""
    statement = statement[:READ]
    if not any(word[0].isalpha() or word[0] in "[_" for word in tokens(statement)):
        raise OneloopError(
            "no word of the statement can be read",
            expected="what you have and what should come out, in English, Spanish, French or German",
            fix="say it in a sentence",
        )
    model = weights()
    read = pieces(statement)
    english = " ".join(said for said, _ in read)
    named = [(word, own or word) for said, own in read for word in tokens(said)]
    words, shown = [word for word, _ in named], [own for _, own in named]
    found, clues = features(words), clue_scores(english)
    known = {name: value for name, value in values(found).items() if name in model.rows}
    logits = model.bias[0].copy()
    for name, value in known.items():
        logits += value * model.words[model.rows[name]]
    logits += np.array([clues.get(name, (0.0, []))[0] * CLUE_SCALE for name in model.classes[:-1]], np.float32) @ model.clues
    logits = averaged(logits, adapted.quietly(english) if adapted.installed() else None)
    probabilities = _softmax({name: float(logits[i]) for i, name in enumerate(model.classes[:-1])}, clues)
    contributions = {name: value * model.words[model.rows[name]] for name, value in known.items()}
    phrases = {name: said for name, (_, said) in clue_scores(statement).items()}
    why = {name: _evidence(shown, found, contributions, model.classes, name, phrases.get(name, [])) for name in probabilities}
    kinds = kind_scores(statement) or {kind: (score, []) for kind, (score, _) in kind_scores(english).items()}
    kind, (_, kind_words) = max(kinds.items(), key=lambda item: item[1][0], default=("other", (0.0, [])))
    return Reading(probabilities, 1 / (1 + math.exp(-float(logits[-1]))), kind, kind_words, why)


def averaged(words: Array, read: Array | None) -> Array:
    """Log-probabilities of the tasks and "none", then the log-odds of "ambiguous", (tasks + 2,), from those of the linear model
    and those of each reading of the encoder, (readings, tasks + 2), if there are any."""
    said: Array = np.concatenate([log_softmax(words[:-1]), words[-1:]])
    if read is None:
        return said
    seen = np.concatenate([log_softmax(read[:, :-1]), read[:, -1:]], axis=1).mean(0)
    result: Array = (1 - ENCODER) * said + ENCODER * seen
    return result


def _softmax(logits: dict[str, float], clues: dict[str, tuple[float, list[str]]]) -> dict[str, float]:
    """Probabilities; a task the model was not trained on is judged by its clues alone."""
    low = min(logits.values())
    every = logits | {name: low + score for name, (score, _) in clues.items() if name not in logits}
    top = max(every.values())
    powers = {name: math.exp(value - top) for name, value in every.items()}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}


def _evidence(
    words: list[str],
    found: dict[str, tuple[int, ...]],
    contributions: dict[str, Array],
    classes: list[str],
    name: str,
    clues: list[str],
) -> list[str]:
    """The words that speak most for task `name` against the others: matched clues, then single words by their weight."""
    phrases = [phrase for phrase in clues if phrase]
    if name not in classes:
        return phrases[:SHOWN]
    column, tasks = classes.index(name), len(classes) - 1
    share = [0.0] * len(words)
    for feature, row in contributions.items():
        positions = found[feature]
        gain = float(row[column] - row[:tasks].mean())
        for position in positions:
            share[position] += gain / len(positions)
    ranked = sorted(range(len(words)), key=lambda i: -share[i])
    single = [words[i] for i in ranked if share[i] > 0.05 and words[i].replace(" ", "").isalpha()]
    more = [word for word in single if not any(plain(word) in phrase for phrase in phrases[:3])]
    return list(dict.fromkeys([*phrases[:3], *more]))[:SHOWN]
