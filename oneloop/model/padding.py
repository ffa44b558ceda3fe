"""The padding that fits a head, so that a row's outputs do not depend on the rows beside it.

In:  a model with its head and the tokenizer beside it.
Out: the tokenizer pads on the right side, and a model that finds a text's end by its padding knows the padding id.
"""

from __future__ import annotations

from typing import Any


def settle(model: Any, tokenizer: Any) -> None:
    """Set the tokenizer's padding side and the config's padding id in place."""
    tokenizer.padding_side = side(model)
    config = model.config
    wanted = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)  # as the batches are filled up
    if config.pad_token_id is None or (hasattr(model, "score") and config.pad_token_id != wanted):
        config.pad_token_id = wanted


def side(model: Any) -> str:
    """ "left" where the head reads the last position, whatever stands there (XLNet's summary); else "right".

    Models with absolute positions count them from the left, padding included (GPT-2), and decoders find the last token of a
    text by the padding id: both are the same in every batch only when the text begins at the first position.
    """
    summary = getattr(model, "sequence_summary", None)
    return "left" if getattr(summary, "summary_type", None) == "last" else "right"
