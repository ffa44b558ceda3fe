"""Keyed randomness: every random choice is a function of (seed, what it is for, where), never of a global state.

So a resumed run, another process count or another batch cut sees the same order, masks and dropout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

WINDOW_STEPS = 50  # steps over which rows are grouped by length; larger saves little padding and mixes less


def key(*parts: object) -> int:
    """A 63-bit number from any parts, the same on every machine and run: SHA-256 of their text forms."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 1


def generator(*parts: object) -> np.random.Generator:
    """A numpy generator seeded by `key(*parts)`."""
    return np.random.Generator(np.random.Philox(key=key(*parts)))


def fraction(*parts: object) -> float:
    """A number in [0, 1) from any parts; used to assign rows to splits by content."""
    return key(*parts) / 2**63


def order(sizes: Sequence[int], *, seed: int, epoch: int, batch_rows: int) -> list[np.ndarray]:
    """The steps of one epoch: arrays of row positions, `batch_rows` each (the last may be smaller).

    sizes: tokens of each row, (N,). A keyed shuffle, then inside windows of `WINDOW_STEPS` steps the rows are sorted by
    size, cut into steps, and the steps shuffled: a step holds rows of like length, so padding is rare, and every row
    comes exactly once.
    """
    rng = generator(seed, "order", epoch)
    shuffled = rng.permutation(len(sizes))
    lengths = np.asarray(sizes)
    steps: list[np.ndarray] = []
    for start in range(0, len(shuffled), batch_rows * WINDOW_STEPS):
        window = shuffled[start : start + batch_rows * WINDOW_STEPS]
        window = window[np.argsort(lengths[window], kind="stable")]
        cut = [window[i : i + batch_rows] for i in range(0, len(window), batch_rows)]
        steps.extend(cut[i] for i in rng.permutation(len(cut)))
    return steps


def micro_batches(lengths: Sequence[int], groups: Sequence[int], micro_tokens: int) -> list[list[int]]:
    """Cut one step's features into forward passes of at most `micro_tokens` padded tokens.

    lengths: tokens of each feature. groups: features with the same number stay together (windows of one row, where a
    task pools them). A group larger than the limit makes a pass of its own. Order: by length, then position.
    """
    together: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        together.setdefault(group, []).append(position)
    units = sorted(together.values(), key=lambda unit: (max(lengths[i] for i in unit), unit[0]))
    passes: list[list[int]] = []
    widest = 0
    for unit in units:
        wide = max(lengths[i] for i in unit)
        if passes and max(widest, wide) * (len(passes[-1]) + len(unit)) <= micro_tokens:
            passes[-1].extend(unit)
            widest = max(widest, wide)
        else:
            passes.append(list(unit))
            widest = wide
    return passes
