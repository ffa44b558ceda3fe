"""The lowest layers of an encoder, not trained, and computed once for every training feature instead of once an epoch.

In:  a model and how many of its layers are to stay as they are; then the training features.
Out: the same model; while a batch of known features runs, its lowest layers hand out what they gave the first time.

Lower layers of a pretrained encoder hold what texts have in common: a few of them can stay as they are at no cost in quality
(Lee et al., What Would Elsa Do?, 2019). What is not trained needs no gradient, and what has no dropout and no update gives the
same states in every epoch. The states are computed before the first step in an order of their own, so that a run that resumes
computes the same numbers again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneloop.tasks.base import Feature, Task

MOST_BYTES = 2 << 30  # of kept states; a larger training set computes its lowest layers in every epoch
PASS_TOKENS = 8192  # padded tokens computed at once


class _Enough(Exception):
    """Ends a forward pass behind the last frozen layer, with its states."""

    def __init__(self, states: Any) -> None:
        super().__init__()
        self.states = states


def layers_of(model: Any) -> tuple[Any, Any] | None:
    """The embeddings and the list of layers of a BERT-like or DistilBERT-like encoder; None for anything else."""
    body = model.base_model
    embeddings = getattr(body, "embeddings", None)
    stack = getattr(body, "encoder", None) or getattr(body, "transformer", None)
    layers = getattr(stack, "layer", None)
    if embeddings is None or layers is None or hasattr(body, "embeddings_project") or getattr(model.config, "is_decoder", False):
        return None
    return embeddings, layers


def freeze(model: Any, count: int) -> Frozen | None:
    """Stop training the embeddings and the `count` lowest layers, at most a third of all; None where that is none."""
    import torch

    found = layers_of(model)
    if found is None or count < 1:
        return None
    embeddings, layers = found
    count = min(count, len(layers) // 3)
    if count < 1:
        return None
    lowest = [embeddings, *layers[:count]]
    for part in lowest:
        part.requires_grad_(False)
        for module in part.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    return Frozen(model, embeddings, list(layers[:count]))


class Frozen:
    """The frozen part of a model; `states`, (tokens of all features, H), once `keep` has been called."""

    def __init__(self, model: Any, embeddings: Any, layers: list[Any]) -> None:
        self.model, self.layers = model, layers
        self.states: Any = None
        self.places: list[int] = []  # where the states of each feature begin, and the end
        self.left = False  # padded on the left
        self.wanted: Sequence[int] | None = None  # the features of the batch that runs
        self.served = False  # whether its states were handed out, so that the layers have nothing to do
        compute = embeddings.forward

        def embed(*args: Any, **kwargs: Any) -> Any:
            ids = kwargs.get("input_ids", args[0] if args else None)
            self.served = self.wanted is not None and ids is not None and len(ids) == len(self.wanted)
            return self._kept(ids) if self.served else compute(*args, **kwargs)

        embeddings.forward = embed
        for layer in layers:
            layer.forward = self._stand_in(layer.forward)

    def _stand_in(self, compute: Any) -> Any:
        def forward(hidden: Any, *args: Any, **kwargs: Any) -> Any:
            return hidden if self.served else compute(hidden, *args, **kwargs)

        return forward

    def keep(self, features: Sequence[Feature], task: Task, tokenizer: Any, precision: str, poll: Callable[[], None]) -> bool:
        """Compute and keep the states of every feature; False where that would take more than MOST_BYTES. `poll` is called before
        each pass and may raise to stop."""
        import torch

        from oneloop.keyed import micro_batches

        lengths = [len(feature["input_ids"]) for feature in features]
        width = int(self.model.config.hidden_size)
        if sum(lengths) * width * 4 > MOST_BYTES:
            return False
        self.places, self.left = [0, *accumulate(lengths)], tokenizer.padding_side == "left"
        states = torch.empty(self.places[-1], width)
        training = self.model.training
        self.model.eval()
        hook = self.layers[-1].register_forward_hook(_stop)
        try:
            for chosen in micro_batches(lengths, list(range(len(features))), PASS_TOKENS):
                poll()
                batch = task.collate([features[i] for i in chosen], tokenizer)["inputs"]
                for i, hidden in zip(chosen, self._lowest(batch, precision)):
                    states[self.places[i] : self.places[i + 1]] = hidden[self._real(lengths[i], len(hidden))]
        finally:
            hook.remove()
            self.model.train(training)
        self.states = states
        return True

    def _lowest(self, inputs: dict[str, Any], precision: str) -> Any:
        """The states behind the last frozen layer, (B, T, H)."""
        import torch

        from oneloop.model.precision import autocast

        with torch.no_grad(), autocast(precision, "cpu"):
            try:
                self.model(**inputs)
            except _Enough as reached:
                return reached.states.float()
        raise TypeError("the frozen layers were passed by")

    def _real(self, length: int, width: int) -> slice:
        """Where the tokens of a feature stand in a row padded to `width`."""
        return slice(width - length, width) if self.left else slice(0, length)

    @contextlib.contextmanager
    def serving(self, positions: Sequence[int]) -> Iterator[None]:
        """While it lasts, a forward pass of exactly these features takes their kept states."""
        self.wanted = positions if self.states is not None else None
        try:
            yield
        finally:
            self.wanted, self.served = None, False

    def _kept(self, ids: Any) -> Any:
        """The kept states of the batch, padded as its ids are, (B, T, H)."""
        import torch

        found = torch.zeros(*ids.shape, self.states.shape[1])
        for row, i in zip(found, self.wanted or ()):
            start, end = self.places[i], self.places[i + 1]
            row[self._real(end - start, ids.shape[1])] = self.states[start:end]
        return found


def _stop(module: Any, given: Any, result: Any) -> None:
    raise _Enough(result)
