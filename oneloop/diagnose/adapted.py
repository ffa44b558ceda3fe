"""What the adapted encoder makes of a statement: several fine-tuned readings of MiniLM, trained on the tuning bank.

In:  a statement in English (or its gloss). Out: for each reading the log-odds of the tasks, of "none" and of "ambiguous"; None
where the offline encoder is not installed. The readings share the lower layers; in the upper ones each has its own small matrices
(LoRA), its own looks at the tokens (weighted means of their states, beside the plain mean) and its own judgement of these.
reader.npz holds them as float16; bench/diagnose/train.py writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from oneloop.diagnose import vectors

FILE = "reader.npz"
MAPS = ("attention.self.query", "attention.self.value", "intermediate.dense", "output.dense")  # dense maps that are adapted

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass
class Reader:
    """One reading: matrices beside the dense maps, looks (looks, 384 + 1), judge (outputs, (looks + 1) * 384 + 1); the last
    column of both is what is added."""

    added: vectors.Added
    look: Array
    judge: Array

    def logits(self, states: Array) -> Array:
        """Log-odds of the classes from the states of the last layer, (T, 384)."""
        looks = states @ self.look[:, :-1].T + self.look[:, -1]
        shares = np.exp(looks - looks.max(0))
        shares /= shares.sum(0)
        seen = np.concatenate([shares.T @ states, states.mean(0, keepdims=True)]).reshape(-1)
        result: Array = self.judge[:, :-1] @ seen + self.judge[:, -1]
        return result


@cache
def readers() -> tuple[range, range, list[Reader]]:
    """(shared layers, adapted layers, the readings)."""
    with resources.files(__package__).joinpath(FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        blocks: dict[str, Array] = {name: stored[name].astype(np.float32) for name in stored.files}
    first, last = (int(number) for number in blocks["layers"])
    found = []
    for number in range(len(blocks["judge"])):
        added = {
            f"{layer}.{name}": (blocks[f"{name}.down"][number, layer - first], blocks[f"{name}.up"][number, layer - first])
            for layer in range(first, last)
            for name in MAPS
        }
        found.append(Reader(added, blocks["look"][number], blocks["judge"][number]))
    return range(first), range(first, last), found


def installed() -> bool:
    """Whether the offline encoder is there."""
    return vectors.folder() is not None


def judged(text: str) -> Array | None:
    """Log-odds of the classes for each reading, (readings, tasks + 2); None where the encoder is not installed."""
    state = vectors.embedded(text)
    if state is None:
        return None
    shared, adapted, found = readers()
    state = vectors.through(state, shared)
    return np.stack([reader.logits(vectors.through(state, adapted, reader.added)) for reader in found])


def quietly(text: str) -> Array | None:
    """`judged` on one thread: for so small a product, waking more threads costs ten times what it saves."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return judged(text)
