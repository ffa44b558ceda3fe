"""AdamW with decay groups, and learning rates as a function of the step.

Decay is for matrices only: biases and every normalisation weight are left out by what the parameter is, not by what it
is called (names differ between architectures: `LayerNorm.weight`, `ln_1.weight`, `norm.weight`).
"""

from __future__ import annotations

import math
import re
from typing import Any

BETAS = (0.9, 0.999)  # Kingma & Ba, Adam, 2015, as in Devlin et al., BERT, 2019
EPSILON = 1e-8


def decayed(model: Any) -> set[str]:
    """Names of the trainable parameters that weight decay applies to: those with two or more dimensions."""
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.ndim >= 2}


def head_names(model: Any) -> set[str]:
    """Names of the parameters outside the pretrained body (the head)."""
    prefix = getattr(model, "base_model_prefix", "")
    body = getattr(model, prefix, None)
    inside = {id(parameter) for parameter in body.parameters()} if body is not None and body is not model else set()
    return {name for name, parameter in model.named_parameters() if id(parameter) not in inside} if inside else set()


def depth_of(name: str, layers: int) -> int:
    """How many layers stand above a parameter of the body: 0 for the top layer, `layers` for the embeddings."""
    numbers = re.findall(r"\.(?:layer|layers|h|block|blocks)\.(\d+)\.", f".{name}")
    if numbers:
        return layers - 1 - int(numbers[0])
    return layers if "embed" in name or re.search(r"\.w[tp]e\.", f".{name}") else 0


def build(model: Any, *, learning_rate: float, weight_decay: float, head_factor: float = 1.0, layer_decay: float = 1.0) -> Any:
    """A fused AdamW with decay groups, body and head apart.

    The head learns at `learning_rate` × `head_factor`, a layer of the body with n layers above it at `learning_rate` ×
    `layer_decay`ⁿ (Howard & Ruder, ULMFiT, 2018, discriminative fine-tuning). Each group carries `peak` (its highest
    rate) and `names`, in the order of its parameters.
    """
    import torch

    decay, head = decayed(model), head_names(model)
    layers = int(getattr(model.config, "num_hidden_layers", 0) or 0)
    groups: dict[tuple[float, bool], list[str]] = {}
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name in parameters:
        factor = head_factor if name in head else layer_decay ** depth_of(name, layers)
        groups.setdefault((factor, name in decay), []).append(name)
    lists = []
    for (factor, has_decay), names in groups.items():
        peak = learning_rate * factor
        members = [parameters[name] for name in names]
        lists.append({"params": members, "names": names, "peak": peak, "lr": peak, "weight_decay": weight_decay if has_decay else 0.0})
    fused = all(parameter.device.type in {"cpu", "cuda"} for parameter in parameters.values())
    return torch.optim.AdamW(lists, lr=learning_rate, betas=BETAS, eps=EPSILON, fused=fused or None)


def rate(step: int, total: int, *, schedule: str, warmup: float) -> float:
    """The share of the peak rate for update `step` (0-based) of `total`: warm-up from 1/w to 1 over w steps, then
    linear or cosine to 0 after the last step, or constant. `warmup` below 1 is a share of `total`, else a count."""
    rise = round(warmup * total) if warmup < 1 else round(warmup)
    rise = min(rise, total)
    if step < rise:
        return (step + 1) / (rise + 1)
    if schedule == "constant":
        return 1.0
    left = max(total - step, 0) / max(total - rise, 1)
    return left if schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))


def set_rate(optimizer: Any, factor: float) -> float:
    """Set every group's learning rate to `factor` × its peak. Returns the recipe's rate × `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return float(optimizer.defaults["lr"] * factor)
