"""Loss, perplexity and bits per byte from sums.

In:  per row the summed negative log-likelihood in nats, the number of predicted tokens and the number of UTF-8 bytes.
Out: Statistics. Sums are divided once, over all rows, so batch size, padding and process count cannot change the number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from oneloop.measure.statistics import Statistics, ratio, require_pairs


def loss(loss_sum: Sequence[float], count: Sequence[float]) -> Statistics:
    """`loss` = sum of the losses / number of labels. loss_sum (N,) in nats, count (N,) labels of each row."""
    require_pairs(loss_sum, count)
    table = np.column_stack([np.asarray(loss_sum, dtype=np.float64), np.asarray(count, dtype=np.float64)]).reshape(-1, 2)
    return Statistics(table, lambda sums: {"loss": ratio(sums[:, 0], sums[:, 1])}, signature="loss:token-weighted")


def language_model(nll: Sequence[float], tokens: Sequence[float], byte_counts: Sequence[float] | None = None) -> Statistics:
    """`loss` = nll / tokens, `perplexity` = exp(loss), and with `byte_counts` `bits_per_byte` = nll / ln 2 / bytes.

    nll (N,): summed negative log-likelihood of each row in nats; tokens (N,): predicted tokens; byte_counts (N,): UTF-8 bytes of
    the text those tokens stand for. Perplexity is infinite where exp overflows; all are undefined (NaN) without tokens.
    Bits per byte compares models with different vocabularies (Gao et al., The Pile, 2020, section 3.1).
    """
    require_pairs(nll, tokens)
    columns = [nll, tokens]
    if byte_counts is not None:
        require_pairs(nll, byte_counts)
        columns.append(byte_counts)
    table = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns]).reshape(-1, len(columns))

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        mean = ratio(sums[:, 0], sums[:, 1])
        with np.errstate(over="ignore"):
            found = {"loss": mean, "perplexity": np.exp(mean)}
        if sums.shape[1] == 3:
            found["bits_per_byte"] = ratio(sums[:, 0], sums[:, 2]) / math.log(2)
        return found

    return Statistics(table, reduce, signature="loss:token-weighted|perplexity:exp(nll/tokens)|bits_per_byte:nll/ln2/utf8-bytes")
