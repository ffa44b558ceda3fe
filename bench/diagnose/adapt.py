"""Fine-tune one reading of the offline encoder on statements: LoRA in the upper layers, looks at the tokens, a judgement.

In:  texts in English (or glosses) and what they ask for. Out: the blocks of oneloop/diagnose/reader.npz for one reading.
The lower layers are frozen and read once. Training goes on where it was when it is called again with the same file, so that
it can be done in pieces.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from oneloop.diagnose import vectors
from oneloop.diagnose.adapted import MAPS

FIRST, LAST = 2, 4  # layers adapted: from FIRST up to, not including, LAST; chosen by cross-validation, as is what follows
RANK, SCALE, LOOKS = 16, 1.0, 4
RATE, HEAD_RATE, EPOCHS, BATCH, WARM = 2e-3, 2e-3, 4, 32, 0.06
DROPPED_TOKENS, HEAD_DROPOUT, SMOOTHING = 0.05, 0.2, 0.1
AMBIGUOUS = 0.5  # weight of an ambiguous statement among the tasks, and of the question whether it is one
KEPT_EVERY = 20  # steps
EPSILON = vectors.EPSILON


class Adapted(torch.nn.Module):
    """The upper layers with matrices beside their dense maps. In: states (B, T, 384) and which are tokens. Out: (B, outputs)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.down, self.up = torch.nn.ParameterDict(), torch.nn.ParameterDict()
        for layer in range(FIRST, LAST):
            for name in MAPS:
                outs, ins = vectors.read(f"encoder.layer.{layer}.{name}.weight").shape
                self.down[key(layer, name)] = torch.nn.Parameter(torch.randn(RANK, ins) / math.sqrt(ins))
                self.up[key(layer, name)] = torch.nn.Parameter(torch.zeros(outs, RANK))
        self.look = torch.nn.Linear(vectors.WIDTH, LOOKS)
        self.judge = torch.nn.Linear(vectors.WIDTH * (LOOKS + 1), outputs)
        self.frozen: dict[str, torch.Tensor] = {}

    def weight(self, name: str) -> torch.Tensor:
        """A frozen weight of the encoder."""
        if name not in self.frozen:
            self.frozen[name] = torch.from_numpy(np.array(vectors.read(name)))
        return self.frozen[name]

    def dense(self, state: torch.Tensor, layer: int, name: str) -> torch.Tensor:
        """A dense map with its matrices, if it has any."""
        full = f"encoder.layer.{layer}.{name}"
        result = functional.linear(state, self.weight(f"{full}.weight"), self.weight(f"{full}.bias"))
        if key(layer, name) not in self.down:
            return result
        return result + SCALE * functional.linear(functional.linear(state, self.down[key(layer, name)]), self.up[key(layer, name)])

    def norm(self, state: torch.Tensor, name: str) -> torch.Tensor:
        """A frozen layer norm."""
        return functional.layer_norm(state, (vectors.WIDTH,), self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), EPSILON)

    def layer(self, state: torch.Tensor, real: torch.Tensor, layer: int) -> torch.Tensor:
        """One layer of BERT: (B, T, 384) to (B, T, 384)."""
        name = f"encoder.layer.{layer}"
        parts = (self.dense(state, layer, f"attention.self.{part}") for part in ("query", "key", "value"))
        query, keys, value = (part.unflatten(-1, (vectors.HEADS, -1)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(query, keys, value, attn_mask=real[:, None, None, :])
        mixed = self.dense(mixed.transpose(1, 2).flatten(2), layer, "attention.output.dense")
        state = self.norm(state + mixed, f"{name}.attention.output.LayerNorm")
        wide = functional.gelu(self.dense(state, layer, "intermediate.dense"))
        return self.norm(state + self.dense(wide, layer, "output.dense"), f"{name}.output.LayerNorm")

    def forward(self, state: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.training:
            kept = torch.rand(real.shape) >= DROPPED_TOKENS
            kept[:, 0] = True
            real = real & kept
        for layer in range(FIRST, LAST):
            state = self.layer(state, real, layer)
        shares = self.look(state).masked_fill(~real[..., None], -1e4).softmax(1)
        mean = (state * real[..., None]).sum(1, keepdim=True) / real.sum(1)[:, None, None]
        seen = torch.cat([torch.einsum("btk,btd->bkd", shares, state), mean], 1).flatten(1)
        found: torch.Tensor = self.judge(functional.dropout(seen, HEAD_DROPOUT, self.training))
        return found

    def blocks(self) -> dict[str, np.ndarray]:
        """The blocks of reader.npz for this reading, float16."""
        found = {}
        for name in MAPS:
            layers = range(FIRST, LAST)
            found[f"{name}.down"] = np.stack([self.down[key(layer, name)].detach().numpy() for layer in layers])
            found[f"{name}.up"] = np.stack([SCALE * self.up[key(layer, name)].detach().numpy() for layer in layers])
        for name, linear in (("look", self.look), ("judge", self.judge)):
            found[name] = np.hstack([linear.weight.detach().numpy(), linear.bias.detach().numpy()[:, None]])
        return {name: block.astype(np.float16) for name, block in found.items()}


def key(layer: int, name: str) -> str:
    """The name of a matrix among the parameters."""
    return f"{layer}_{name}".replace(".", "_")


@torch.no_grad()
def lower(texts: Sequence[str]) -> list[torch.Tensor]:
    """The states of each text after the frozen layers, (T, 384)."""
    entering = [vectors.embedded(text) for text in texts]
    if any(state is None for state in entering):
        raise SystemExit(f"{vectors.PACKAGE} is not installed")
    found = [torch.from_numpy(np.ascontiguousarray(state, dtype=np.float32)) for state in entering]
    model = Adapted(1).eval()
    for batch in torch.argsort(torch.tensor([len(one) for one in found]), stable=True).split(64):
        state, real = padded([found[i] for i in batch])
        for layer in range(FIRST):
            state = model.layer(state, real, layer)
        for place, i in enumerate(batch.tolist()):
            found[i] = state[place, : len(found[i])].clone()
    return found


def batches(lengths: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Places of the statements in an order that depends on the seed alone, those of like length together."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for chunk in torch.randperm(len(lengths), generator=draw).split(BATCH * 16):
        found += list(chunk[torch.argsort(lengths[chunk], stable=True)].split(BATCH))
    return [found[i] for i in torch.randperm(len(found), generator=draw).tolist()]


def padded(states: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(states (B, T, 384), which are tokens (B, T))."""
    joined = torch.nn.utils.rnn.pad_sequence(list(states), batch_first=True)
    lengths = torch.tensor([len(one) for one in states])
    return joined, torch.arange(joined.shape[1])[None] < lengths[:, None]


def loss_of(logits: torch.Tensor, shares: torch.Tensor, unclear: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with the tasks meant (an ambiguous statement's two share it), and of the question whether it is ambiguous."""
    smooth = shares * (1 - SMOOTHING) + SMOOTHING / shares.shape[1]
    tasks = -(smooth * logits[:, :-1].log_softmax(1)).sum(1) * torch.where(unclear > 0, AMBIGUOUS, 1.0)
    asks = functional.binary_cross_entropy_with_logits(logits[:, -1], unclear, pos_weight=torch.tensor(2.0))
    return tasks.mean() + AMBIGUOUS * asks


def train_reader(
    states: list[torch.Tensor], shares: np.ndarray, unclear: np.ndarray, seed: int, path: Path, seconds: float
) -> Adapted | None:
    """A reading after EPOCHS epochs; None if they are not done after `seconds`: the same call goes on from there.

    shares: (statements, tasks + 1), each row sums to 1; unclear: (statements,), 1 where two tasks are meant. `path` keeps the state."""
    wanted, asks = torch.from_numpy(shares.astype(np.float32)), torch.from_numpy(unclear.astype(np.float32))
    began, lengths = time.monotonic(), torch.tensor([len(one) for one in states])
    torch.manual_seed(seed)
    model = Adapted(shares.shape[1] + 1).train()
    heads = [*model.look.parameters(), *model.judge.parameters()]
    groups = [{"params": [*model.down.values(), *model.up.values()], "lr": RATE}, {"params": heads, "lr": HEAD_RATE}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    plan = [batch for epoch in range(EPOCHS) for batch in batches(lengths, 1000 * seed + epoch)]
    done = 0
    if path.exists():
        kept = torch.load(path)
        done = kept["done"]
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
    while done < len(plan) and time.monotonic() < began + seconds:
        torch.manual_seed(100_000 * seed + done)
        for group, rate in zip(optimizer.param_groups, (RATE, HEAD_RATE)):
            group["lr"] = rate * min((done + 1) / (WARM * len(plan)), 1 - done / len(plan))
        batch = plan[done]
        loss = loss_of(model(*padded([states[i].float() for i in batch])), wanted[batch], asks[batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        done += 1
        if done % KEPT_EVERY == 0 or done == len(plan):
            keep({"done": done, "of": len(plan), "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
            print(f"{path.name}: {done} of {len(plan)} steps, loss {loss.item():.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return model.eval() if done == len(plan) else None


def keep(stored: dict[str, Any], path: Path) -> None:
    """Write a state of the training; a stop in the middle leaves the one before."""
    torch.save(stored, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


@torch.no_grad()
def answers(model: Adapted, states: list[torch.Tensor]) -> np.ndarray:
    """Log-odds of the classes, (statements, outputs)."""
    found = np.zeros((len(states), model.judge.out_features), np.float32)
    for batch in torch.argsort(torch.tensor([len(one) for one in states]), stable=True).split(64):
        found[batch] = model(*padded([states[i].float() for i in batch])).numpy()
    return found
