"""Load tokenizer and model for a task, suspiciously: safetensors only, no remote code, finite weights, right shapes.

In:  the recipe's `model` and a task whose facts are known.
Out: a Hugging Face model with the task's head, and what is new in it.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop.errors import ModelError, NotFinite
from oneloop.model import adapters, first_position
from oneloop.model.names import locate

if TYPE_CHECKING:
    from oneloop.tasks.base import Task

MAX_NUMBERS = 20_000_000_000  # refuse a config that would allocate more than this many weights
OUR_ATTENTION = {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra"}
REFUSED_KEYS = ("auto_map", "_attn_implementation_internal", "custom_pipelines")


@dataclass(frozen=True)
class Loaded:
    """A model and what is known about it: `new` names the parameters that no file held."""

    model: Any
    new: tuple[str, ...]
    source: str


def attention_settings(folder: str) -> dict[str, Any]:
    """The attention to load an encoder with: ours for BERT-like ones, the library's own choice for everything else."""
    import transformers

    from oneloop.model import attention

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return {"attn_implementation": attention.register()} if config.model_type in OUR_ATTENTION else {}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and load reports off the terminal: what matters is said by the run itself."""
    import transformers

    speech: Any = transformers.utils.logging

    level, bars = speech.get_verbosity(), speech.is_progress_bar_enabled()
    speech.set_verbosity_error()
    speech.disable_progress_bar()
    try:
        yield
    finally:
        speech.set_verbosity(level)
        if bars:
            speech.enable_progress_bar()


def check_config(folder: str) -> dict[str, Any]:
    """Read a local config.json and refuse what would run code or allocate without bound. Hub names pass unchanged."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"config.json cannot be read: {error}", where=str(path), fix="restore the file from where the model came from"
        ) from error
    if not isinstance(config, dict):
        raise ModelError("config.json is not an object", where=str(path), expected="what save_pretrained writes")
    for name in REFUSED_KEYS:
        if config.get(name):
            raise ModelError(
                f"the model wants to run code of its own ('{name}' in config.json)",
                where=str(path),
                expected="a model that transformers knows",
                fix="use another model, or remove the key after reading the code",
            )
    if "/" in str(config.get("attn_implementation") or config.get("_attn_implementation") or ""):
        raise ModelError("config.json names attention code to download", where=str(path), fix="remove attn_implementation from config.json")
    _check_size(config, path)
    return config


def _check_size(config: dict[str, Any], path: Path) -> None:
    """Refuse sizes that no file beside the config can fill."""
    width = int(config.get("hidden_size") or config.get("n_embd") or config.get("d_model") or 0)
    depth = int(config.get("num_hidden_layers") or config.get("n_layer") or config.get("num_layers") or 0)
    numbers = width * int(config.get("vocab_size") or 0) + depth * 4 * width * width
    if numbers > MAX_NUMBERS:
        raise ModelError(f"config.json describes a model of {numbers:.1e} numbers", where=str(path), expected=f"at most {MAX_NUMBERS:.0e}")


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model, with offsets. Raises ModelError when there is none or it has no fast backend."""
    import transformers

    folder = locate(name)
    check_config(folder)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _cannot_load("tokenizer", name, folder, error) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def load_model(task: Task, name: str, *, trained: bool = False) -> Loaded:
    """The model `name` with the head of `task`, weights in float32.

    trained: the head must come from the files (evaluation, prediction); otherwise a missing head is fresh and listed. A folder
    that holds an adapter gives its base model with the adapter beside it where it was trained for this, else added into it.
    Raises ModelError (missing, refused or mismatching files) and NotFinite (NaN or infinite weights).
    """
    folder = locate(name)
    check_config(folder)
    with tempfile.TemporaryDirectory() as scratch:
        if adapters.is_adapter(folder):
            model = _with_adapter(task, name, folder)
            new: tuple[str, ...] = ()
            if not trained:  # its labels may be others: the merged model is loaded like any other one
                adapters.merged(model).save_pretrained(scratch)
                model, new = _from_files(task, name, scratch, task.head_settings())
        else:
            model, new = _from_files(task, name, folder, task.head_settings(), strict=trained)
    if trained and new:
        raise ModelError(
            f"the model has no trained {task.name} head: {', '.join(new[:4])} {'is' if len(new) == 1 else 'are'} missing from its files",
            where=folder,
            expected=f"a model trained for {task.name}",
            fix=f"oneloop train --task {task.name} --model {name} --train FILE",
        )
    refuse_unfinished(model, folder)
    first_position.narrow(model)
    return Loaded(model, new, folder)


def _from_files(task: Task, name: str, folder: str, settings: dict[str, Any], *, strict: bool = False) -> tuple[Any, tuple[str, ...]]:
    """The model of a folder with the head of `task`, and the names of the weights its files do not hold."""
    import torch
    import transformers

    try:
        with quiet():
            model, info = getattr(transformers, task.head).from_pretrained(
                folder,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
                **attention_settings(folder),
                ignore_mismatched_sizes=not strict,
                **settings,
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _cannot_load("model", name, folder, error) from error
    mismatched = {str(item[0]) for item in info.get("mismatched_keys", ())}
    return model, tuple(sorted({key for key in info["missing_keys"] if "position_ids" not in key} | mismatched))


def _with_adapter(task: Task, name: str, folder: str) -> Any:
    """The base model of an adapter with the adapter beside it, labels and all from the adapter's own config."""
    import transformers

    base = locate(adapters.base_of(folder))
    if adapters.is_adapter(base):
        raise ModelError("the base model of the adapter is an adapter too", where=folder, expected="a whole model", fix="--merge")
    check_config(base)
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    model, new = _from_files(task, name, base, {"config": config})
    return adapters.attach(model, folder, new)


def positions(name: str, tokenizer: Any) -> int:
    """The most tokens the model reads at once: the smaller of its position table and its tokenizer's limit."""
    import transformers

    folder = locate(name)
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    found = [int(value) for key in ("max_position_embeddings", "n_positions") if (value := getattr(config, key, None))]
    if config.model_type in {"roberta", "xlm-roberta", "camembert"} and found:
        found = [found[0] - 2]  # two positions are taken by the padding offset
    limits = [limit for limit in (*found, int(tokenizer.model_max_length)) if 0 < limit < 10**9]
    return min(limits, default=512)


def set_dropout(model: Any, share: float) -> None:
    """Give every dropout layer of the model this probability, in its config too where it is named there."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share
        for name in ("dropout_prob", "attention_dropout", "attn_dropout_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, share)
    for key in (
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "resid_pdrop",
        "embd_pdrop",
        "attn_pdrop",
        "dropout",
        "attention_dropout",
    ):
        if getattr(model.config, key, None) is not None:
            setattr(model.config, key, share)


def refuse_unfinished(model: Any, where: str) -> None:
    """NotFinite when a weight is NaN or infinite, naming the parameters."""
    import torch

    bad = [name for name, parameter in model.named_parameters() if not torch.isfinite(parameter).all()]
    if bad:
        raise NotFinite(
            f"the weights hold NaN or infinite numbers: {', '.join(bad[:5])}",
            where=where,
            fix="use an earlier checkpoint or the original model",
        )


def _cannot_load(what: str, name: str, folder: str, error: Exception) -> ModelError:
    """One message for the many ways in which a model does not load."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    local = Path(folder).is_dir()
    fix = (
        "check that the folder is complete (config.json, model.safetensors, tokenizer files)"
        if local
        else "check the name and the network, or use a local folder or 'minilm'"
    )
    return ModelError(f"the {what} '{name}' cannot be loaded: {first}", where=folder if local else "", fix=fix)
