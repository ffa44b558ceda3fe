"""Train only the word vectors that the training rows use.

In:  a model with a vocabulary of its own size V, and the ids that occur in its training features.
Out: the same model, its word vectors split into those in use (trained) and the rest (kept as they are).

A vector that no training row names never gets a gradient, so Adam never moves it; computing, clipping and updating its zeros
took a quarter of a step of short texts on a CPU (11.7 million of MiniLM's 22.7 million weights). What is left out is its
weight decay: a pretrained vector is kept rather than shrunk. Files hold the whole table under its usual name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any


def narrow(model: Any, ids: Iterable[int]) -> bool:
    """Put `vectors_in_use` in place of the model's word vectors. Returns whether it did.

    Left alone: frozen vectors, vectors that a head shares (every one of them gets a gradient there), and vectors that are
    more than plain look-ups.
    """
    import torch

    old = model.get_input_embeddings()
    if type(old) is not torch.nn.Embedding or not old.weight.requires_grad or old.max_norm is not None or old.sparse:
        return False
    holders = [name for name, parameter in model.named_parameters(remove_duplicate=False) if parameter is old.weight]
    if len(holders) != 1:
        return False
    used = sorted({int(i) for i in ids} & set(range(old.num_embeddings)))
    if not used or len(used) > old.num_embeddings // 2:
        return False
    model.set_input_embeddings(_vectors_in_use()(old, used))
    return True


def parameter_name(used: list[int]) -> str:
    """A name that follows from the ids, so that moments saved for other ids are never taken for theirs."""
    return "used_" + hashlib.sha256(repr(used).encode()).hexdigest()[:8]


@cache
def _vectors_in_use() -> Any:
    """The module's class, made when torch is there."""
    import torch

    class VectorsInUse(torch.nn.Module):
        """Looks up (…,) ids in a table of V vectors of which only those in `used` are trained; gives (…, H)."""

        place: torch.Tensor  # of each id in `used`, -1 for the others, (V,)
        table: torch.Tensor  # every vector as it came, (V, H); those in `used` are read from there

        def __init__(self, old: torch.nn.Embedding, used: list[int]) -> None:
            super().__init__()
            place = torch.full((old.num_embeddings,), -1, dtype=torch.long)
            place[used] = torch.arange(len(used))
            self.num_embeddings, self.embedding_dim = old.num_embeddings, old.embedding_dim
            padding = -1 if old.padding_idx is None else int(place[old.padding_idx])
            self.padding_place = padding if padding >= 0 else None
            self.name = parameter_name(used)
            self.register_parameter(self.name, torch.nn.Parameter(old.weight.detach()[used].clone()))
            self.register_buffer("place", place.to(old.weight.device), persistent=False)
            self.register_buffer("table", old.weight.detach(), persistent=False)

        @property
        def used(self) -> torch.nn.Parameter:
            """The vectors that are trained, (ids in use, H)."""
            found: torch.nn.Parameter = getattr(self, self.name)
            return found

        @property
        def weight(self) -> torch.Tensor:
            """The whole table as it stands now, (V, H)."""
            whole: torch.Tensor = self.table.clone()
            whole[self.place >= 0] = self.used.detach()
            return whole

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            """Vectors of ids; those that are not in use come from the table."""
            place = self.place[ids]
            found = torch.nn.functional.embedding(place.clamp(min=0), self.used, padding_idx=self.padding_place)
            elsewhere = place < 0
            if elsewhere.any():
                found = torch.where(elsewhere.unsqueeze(-1), self.table[ids], found)
            return found

        def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
            destination[prefix + "weight"] = self.weight

        def _load_from_state_dict(self, state: Any, prefix: str, *rest: Any) -> None:
            missing, _, errors = rest[2:]
            whole = state.get(prefix + "weight")
            if whole is None:
                missing.append(prefix + "weight")
            elif whole.shape != self.table.shape:
                errors.append(f"{prefix}weight: {tuple(whole.shape)} for {tuple(self.table.shape)}")
            else:
                with torch.no_grad():
                    self.table.copy_(whole)
                    self.used.copy_(self.table[self.place >= 0])

    return VectorsInUse
