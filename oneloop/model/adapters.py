"""LoRA by one recipe field: small trainable matrices beside frozen ones (Hu et al., LoRA, 2021).

In:  a model with a task head, `lora: true` or its rank.
Out: the same model with adapters; head and other new weights stay trainable and are saved with it. A saved adapter holds
     the name of its base model and is put beside it again when it is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oneloop.errors import ModelError, require
from oneloop.keyed import key

RANK = 16
SCALE = 2  # alpha = 2 × rank, the usual setting; the update is scaled by alpha / rank
DROPOUT = 0.05
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
INSIDE = "base_model.model."  # what peft puts before the names of the model's own weights


def versions(model: Any) -> dict[str, int]:
    """How often each weight has been written to, by torch's own count; two of these show what was changed in between."""
    return {name: parameter._version for name, parameter in model.named_parameters()}


def changed(model: Any, before: dict[str, int]) -> tuple[str, ...]:
    """Names of the weights that are new or were written to since `before`: no file holds them as they are now."""
    return tuple(name for name, version in versions(model).items() if before.get(name) != version)


def add(model: Any, lora: int | bool, fresh: Sequence[str], seed: int, dropout: float | None = None) -> Any:
    """Freeze the body and add adapters of rank `lora` to every linear layer of it. MissingExtra without peft.

    fresh: names of weights that no file holds as they are; the modules around them are trained and saved whole.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    peft = require("peft", "lora")
    rank = RANK if lora is True else int(lora)
    whole = whole_modules(model, fresh)
    head = {name for name, _ in model.named_children()} - {getattr(model, "base_model_prefix", "")}
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
        and name.split(".")[0] not in head
        and not any(name == one or name.startswith(one + ".") for one in whole)
    ]
    torch.manual_seed(key(seed, "lora"))
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=SCALE * rank,
        lora_dropout=DROPOUT if dropout is None else dropout,
        target_modules=linear,
        modules_to_save=whole or None,
    )
    return peft.get_peft_model(model, config)


def whole_modules(model: Any, fresh: Sequence[str]) -> list[str]:
    """The modules to train and save whole: the head, and in the body every module that holds a fresh weight itself."""
    prefix = getattr(model, "base_model_prefix", "")
    parts = [name for name, _ in model.named_children() if name != prefix and any(True for _ in getattr(model, name).parameters())]
    return sorted({*parts, *(name.rpartition(".")[0] for name in fresh if name.startswith(prefix + "."))})


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


# ---- on disk ------------------------------------------------------------------------------------
def save(model: Any, folder: Path) -> None:
    """Write the adapter, the whole modules and the model's own config into `folder`; nothing of the base model."""
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's blank card; the run has its own
    plain = model.get_base_model()
    plain.config.architectures = [type(plain).__name__]  # which head it is, as save_pretrained writes it for whole models
    plain.config.save_pretrained(folder)


def is_adapter(folder: str) -> bool:
    """Whether a model folder holds an adapter in place of a whole model."""
    return (Path(folder) / CONFIG).is_file()


def base_of(folder: str) -> str:
    """The base model of an adapter: as the recipe named it, else as peft does. ModelError when neither says."""
    for name, field in (("oneloop.json", "base"), (CONFIG, "base_model_name_or_path")):
        path = Path(folder) / name
        try:
            found = json.loads(path.read_text(encoding="utf-8")).get(field) if path.is_file() else None
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError(f"{name} cannot be read: {error}", where=folder, fix="restore the file, or train again") from error
        if found:
            return str(found)
    raise ModelError("the adapter does not name its base model", where=folder, expected=f"base_model_name_or_path in {CONFIG}")


def attach(model: Any, folder: str, new: Sequence[str]) -> Any:
    """The base model with the adapter of `folder` beside its weights. new: names of the weights the base model's files do not
    hold, which the adapter must. ModelError when it does not, does not fit the model, or is not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    peft = require("peft", "lora")
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise ModelError(f"there is no {WEIGHTS} beside {CONFIG}", where=folder, expected="an adapter in safetensors format")
    try:
        with safe_open(path, framework="pt") as file:
            held = set(file.keys())
        absent = [name for name in new if INSIDE + name not in held]
        if absent:
            what = f"the adapter was saved without its head: {', '.join(absent[:4])} {'is' if len(absent) == 1 else 'are'} missing"
            raise ModelError(what, where=folder, expected="an adapter with modules_to_save", fix="train again")
        return peft.PeftModel.from_pretrained(model, folder, use_safetensors=True)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        what = f"the adapter does not fit its base model: {str(error).strip().splitlines()[0]}"
        raise ModelError(what, where=folder, expected="the base model it was trained on", fix="train again") from error
