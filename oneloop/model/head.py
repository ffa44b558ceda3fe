"""The head of a model that goes into training: its rows in the order of the labels, its pooler usable.

In:  a model whose classifier is new, or was trained for labels that may be others.
Out: the same model; what was learned for a label stays with that label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEADS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
)  # endings of class names whose output layers may have the same name and shape, and mean something else
SHOWN = 12  # labels spelled out in a note
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


def other_head(config: Any, wanted: str) -> str:
    """The head a model was trained with where it is another one than `wanted` ("AutoModelForTokenClassification"), e.g.
    "ForSequenceClassification"; empty where it is the same, or the model has none of these heads."""
    trained = next((name for made in getattr(config, "architectures", None) or () for name in HEADS if name in str(made)), "")
    return trained if trained and any(name in wanted for name in HEADS) and trained not in wanted else ""


def label_names(config: Any) -> list[str]:
    """The label names of a Hugging Face config, in the order of the model's outputs."""
    names = getattr(config, "id2label", None) or {}
    return [str(names[i]) for i in sorted(names)]


def places(old: Sequence[str], new: Sequence[str]) -> list[int | None]:
    """For each new label the place it has among the old ones, None where it is not there.

    Names that are the same but for capitals count as the same where that is unambiguous (POSITIVE and positive).
    """
    exact = {name: place for place, name in enumerate(old)}
    folded = {name.casefold(): place for place, name in enumerate(old)}
    clear = len(folded) == len(old) and len({name.casefold() for name in new}) == len(new)
    return [exact.get(name, folded.get(name.casefold()) if clear else None) for name in new]


def output_layer(model: Any) -> str:
    """The name of the layer that gives the logits: the last linear one outside the body; empty when there is none."""
    import torch

    body = getattr(model, "base_model_prefix", "") + "."
    found = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and not name.startswith(body)]
    return found[-1] if found else ""


def carry_over(model: Any, kept: Sequence[int | None]) -> None:
    """Give the output layer one row for each of `kept`: a copy of that old row, a fresh one for None."""
    import torch

    name = output_layer(model)
    old = model.get_submodule(name)
    new = torch.nn.Linear(old.in_features, len(kept), bias=old.bias is not None).to(old.weight)
    model._init_weights(new)
    with torch.no_grad():
        for row, place in enumerate(kept):
            if place is not None:
                new.weight[row] = old.weight[place]
                if old.bias is not None:
                    new.bias[row] = old.bias[place]
    model.set_submodule(name, new)
    model.num_labels = len(kept)


def carried(old: Sequence[str], new: Sequence[str], kept: Sequence[int | None]) -> str:
    """What `carry_over` did with the head, for people."""
    fresh = [name for name, place in zip(new, kept) if place is None]
    if len(fresh) == len(new):
        return f"the model's head was trained for other labels ({_listed(old)}): the head starts fresh"
    gone = [name for place, name in enumerate(old) if place not in kept]
    if not fresh and not gone:
        return f"the model's head has these labels in another order ({_listed(old)}): its rows were put in the order of the data's labels"
    said = [f"rows of {_listed([name for name, place in zip(new, kept) if place is not None])} kept by label name"]
    said += [f"{_listed(fresh)} fresh"] if fresh else []
    said += [f"{_listed(gone)} dropped"] if gone else []
    return f"the model's head was trained for other labels: {', '.join(said)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
