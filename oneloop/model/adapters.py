"""LoRA by one recipe field: small trainable matrices beside frozen ones (Hu et al., LoRA, 2021).

In:  a model with a task head, `lora: true` or its rank.
Out: the same model with adapters; head and other new weights stay trainable and are saved with it.
"""

from __future__ import annotations

from typing import Any

from oneloop.errors import require
from oneloop.keyed import key

RANK = 16
SCALE = 2  # alpha = 2 × rank, the usual setting; the update is scaled by alpha / rank
DROPOUT = 0.05


def add(model: Any, lora: int | bool, new: tuple[str, ...], seed: int) -> Any:
    """Freeze the body and add adapters of rank `lora` to every linear layer of it. MissingExtra without peft.

    new: names of fresh parameters; the modules that hold them stay fully trainable.
    """
    import torch

    peft = require("peft", "lora")
    rank = RANK if lora is True else int(lora)
    head = sorted({name.split(".")[0] for name in new if not name.startswith(getattr(model, "base_model_prefix", "?") + ".")})
    deeper = sorted({name.rpartition(".")[0].split(".")[-2] for name in new if name.startswith(getattr(model, "base_model_prefix", "?") + ".") and name.count(".") > 2})
    linear = sorted({name.split(".")[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and name.split(".")[0] not in head and not set(name.split(".")) & set(deeper)})
    torch.manual_seed(key(seed, "lora"))
    config = peft.LoraConfig(r=rank, lora_alpha=SCALE * rank, lora_dropout=DROPOUT, target_modules=linear, modules_to_save=head + deeper or None)
    return peft.get_peft_model(model, config)


def is_adapted(model: Any) -> bool:
    """Whether a model carries adapters."""
    return hasattr(model, "merge_and_unload")


def describe(model: Any) -> str:
    """`training 0.7 of 22.7 million weights (3.2 %)`."""
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    return f"LoRA: training {trainable / 1e6:.2f} of {total / 1e6:.1f} million weights ({trainable / total:.1%})"


def merged(model: Any) -> Any:
    """The plain model with the adapters added into its weights."""
    return model.merge_and_unload() if is_adapted(model) else model
