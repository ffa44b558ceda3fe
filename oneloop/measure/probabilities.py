"""From logits to probabilities, and the probability from which on a label counts as said.

In:  logits (…, L); or probabilities and truth of validation rows.
Out: probabilities (…, L); or the threshold with the best F1.
"""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """exp(logits) / sum over the last axis, (…, L), in the precision of the logits."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)) without overflow, in float64."""
    small = np.exp(-np.abs(np.asarray(logits, dtype=np.float64)))
    return np.asarray(np.where(np.asarray(logits) >= 0, 1 / (1 + small), small / (1 + small)))


def best_threshold(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """The threshold t for `probability >= t` with the highest F1, (N,) each; the one nearest 0.5 where several are best.

    0.5 where no row has the label. Candidates stand midway between neighbouring probabilities.
    """
    if not gold.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    values, right = probabilities[order], np.cumsum(gold[order])
    said = np.arange(1, len(values) + 1)
    ends = np.append(values[1:] < values[:-1], True)  # equal probabilities are said together
    f1 = np.where(ends, 2 * right / (said + gold.sum()), -1.0)
    below = np.append(values[1:], 0.0)
    candidates = np.where((below < 0.5) & (values >= 0.5), 0.5, (values + below) / 2)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(candidates[best[np.argmin(np.abs(candidates[best] - 0.5))]])
