"""What a fresh head needs before training.

In:  a model whose classifier is new, loaded from a body that was trained for something else.
Out: the same model, its pooler usable.
"""

from __future__ import annotations

from typing import Any

REFERENCE_WIDTH = 384  # the width the tasks' default learning rates were measured at (MiniLM)


def open_pooler(model: Any) -> bool:
    """Make an untrained pooler pass the first token through: its matrix becomes the identity. Returns whether it did.

    A sentence encoder such as all-MiniLM-L6 is trained with mean pooling and leaves the pooler's weights as initialised and
    shrunk by weight decay; tanh of such a product is nearly zero, and so is every gradient behind it. A pooler whose weights
    are smaller than the config's initialiser makes them has never been trained.
    """
    import torch

    dense = getattr(getattr(model.base_model, "pooler", None), "dense", None)
    if dense is None or dense.weight.shape[0] != dense.weight.shape[1]:
        return False
    if float(dense.weight.detach().std()) >= getattr(model.config, "initializer_range", 0.02):
        return False
    with torch.no_grad():
        dense.weight.copy_(torch.eye(dense.weight.shape[0]))
        dense.bias.zero_()
    return True


def rate_for(rate: float, model: Any) -> float:
    """A default learning rate for this model: `rate` up to the reference width, less by the square of the width above it.

    Twice the width takes a quarter of the rate: 3e-4 at 384 gives 7.5e-5 at 768 and 4e-5 at 1024, inside the ranges that
    Devlin et al. (BERT, 2019, A.3) and its successors search for these sizes.
    """
    width = int(getattr(model.config, "hidden_size", 0) or getattr(model.config, "d_model", 0) or REFERENCE_WIDTH)
    return rate * min(1.0, (REFERENCE_WIDTH / width) ** 2)
