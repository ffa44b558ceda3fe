"""Load tokenizer and model for a task, suspiciously: safetensors only, no remote code, finite weights, right shapes.

In:  the recipe's `model` and a task whose facts are known.
Out: a Hugging Face model with the task's head, and what is new in it.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop.errors import ModelError, NotFinite
from oneloop.model import adapters, first_position, head, padding
from oneloop.model.folder import check_config, check_manifest, check_tokenizer, check_weights
from oneloop.model.names import locate

if TYPE_CHECKING:
    from oneloop.tasks.base import Task

OUR_ATTENTION = {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra"}

OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "mpnet", "data2vec-text", "longformer"}


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


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model, with offsets. Raises ModelError when there is none, it is damaged, or it makes ids that the
    model has no vector for."""
    import transformers

    folder = locate(name)
    size = check_config(folder).get("vocab_size")
    check_tokenizer(folder)
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises plain exceptions for a damaged file
        raise _cannot_load("tokenizer", name, folder, error) from error
    highest = max(tokenizer.get_vocab().values(), default=-1)
    if highest < 0:
        raise ModelError("the tokenizer has no vocabulary", where=folder, fix="restore the tokenizer files from where the model came from")
    if size and highest >= size:
        raise ModelError(
            f"the tokenizer makes ids up to {highest}, and the model has vectors for {size}",
            where=folder,
            expected="the tokenizer that the model was trained with",
            fix="restore the tokenizer files from where the model came from",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def load_model(
    task: Task, name: str, *, trained: bool = False, tokenizer: Any = None, note: Callable[[str], None] = lambda text: None
) -> Loaded:
    """The model `name` with the head of `task`, weights in float32.

    trained: the head must come from the files (evaluation, prediction); otherwise a missing head is fresh and listed, and one
    that was trained for other labels keeps its rows by label name. tokenizer: is set to pad as the model needs it. A folder
    that holds an adapter gives its base model with the adapter beside it where it was trained for this, else added into it.
    Raises ModelError (missing, refused or mismatching files) and NotFinite (NaN or infinite weights).
    """
    folder = locate(name)
    check_config(folder)
    if trained:
        _refuse_other_head(task, name, folder)
    else:
        check_manifest(folder)
    with tempfile.TemporaryDirectory() as scratch:
        if adapters.is_adapter(folder):
            model = _with_adapter(task, name, folder)
            new: tuple[str, ...] = ()
            if not trained:  # its labels may be others: the merged model is loaded like any other one
                adapters.merged(model).save_pretrained(scratch)
                model, new = _onward(task, name, scratch, note)
        elif trained:
            model, new, _ = _from_files(task, name, folder, task.head_settings())
        else:
            model, new = _onward(task, name, folder, note)
    if trained and new:
        raise ModelError(
            f"the model has no trained {task.name} head: {', '.join(new[:4])} {'is' if len(new) == 1 else 'are'} missing from its files",
            where=folder,
            expected=f"a model trained for {task.name}",
            fix=f"oneloop train --task {task.name} --model {name} --train FILE",
        )
    refuse_unfinished(model, folder)
    if tokenizer is not None and task.family == "encoder":
        padding.settle(model, tokenizer)
    first_position.narrow(model)
    return Loaded(model, new, folder)


def _refuse_other_head(task: Task, name: str, folder: str) -> None:
    """ModelError when a trained model is asked for a task that its head was not trained for."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    other = head.other_head(config, task.head)
    if other:
        raise ModelError(
            f"the model has no trained {task.name} head: it was trained as {', '.join(config.architectures)}",
            where=folder,
            expected=f"a model trained for {task.name}",
            fix=f"leave --task out, or: oneloop train --task {task.name} --model {name} --train FILE",
        )


def _onward(task: Task, name: str, folder: str, note: Callable[[str], None]) -> tuple[Any, tuple[str, ...]]:
    """A model to train on, and what is new in it; a note where its head was trained for other labels.

    A head that is in the files keeps, for every label it knows by name, that label's row; other rows are fresh.
    """
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    settings = task.head_settings()
    other, old, wanted = head.other_head(config, task.head), head.label_names(config), [str(n) for n in task.facts.get("labels") or ()]
    if other and not wanted:
        settings |= {"num_labels": 2}  # start and end of an answer
    model, new, misfits = _from_files(task, name, folder, settings)
    layer = head.output_layer(model)
    weight = f"{layer}.weight"
    number = settings.get("problem_type") == "regression" and len(old) == 1  # one output without a name worth matching
    if not layer or (weight in new and weight not in misfits) or number or not (other or (wanted and old != wanted)):
        return model, new
    rows = int(misfits[weight][1][0]) if weight in misfits else model.get_submodule(layer).out_features
    kept: list[int | None] = [None] * (len(wanted) or 2) if other or rows != len(old) else list(head.places(old, wanted))
    if weight in misfits and kept != [None] * len(kept):  # the old head has to be loaded first
        model, new, misfits = _from_files(task, name, folder, {key: settings[key] for key in settings if key == "problem_type"})
    if weight not in misfits:
        head.carry_over(model, kept)
    for key in ("id2label", "label2id") if wanted else ():
        setattr(model.config, key, settings[key])
    note(f"the model's head was trained as {other}: the head starts fresh" if other else head.carried(old, wanted, kept))
    fresh = {f"{layer}.{part}" for part, _ in model.get_submodule(layer).named_parameters()} if None in kept else set()
    return model, tuple(sorted({*new, *fresh}))


def _from_files(task: Task, name: str, folder: str, settings: dict[str, Any]) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    """The model of a folder with the head of `task`; the names of the head's weights that its files do not hold; and, of
    these, the ones they hold in another shape, {name: (name, shape there, shape here)}. ModelError unless they hold the body."""
    import torch
    import transformers

    check_weights(folder, check_config(folder))
    try:
        with quiet():
            model, info = getattr(transformers, task.head).from_pretrained(
                folder,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
                **attention_settings(folder),
                ignore_mismatched_sizes=True,  # for the head; the body is looked at below
                **settings,
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, AttributeError, ArithmeticError) as error:
        raise _cannot_load("model", name, folder, error) from error
    mismatched = {str(item[0]): item for item in info.get("mismatched_keys", ())}
    absent = _absent(model, set(info["missing_keys"]) | set(mismatched))
    body = [key for key in absent if _in_body(model, key)]
    if body:
        shown = [f"{key} {_shapes(mismatched[key])}" if key in mismatched else key for key in body[:3]]
        raise ModelError(
            f"{len(body)} weights of the model's body are missing from its files or have other shapes: {', '.join(shown)}",
            where=folder,
            expected="the weights that config.json describes",
            fix="restore config.json and the weights from the same place",
        )
    return model, tuple(absent), mismatched


def _absent(model: Any, names: set[str]) -> list[str]:
    """The names without those of buffers and of weights that are tied to one that was loaded."""
    every = dict(model.named_parameters(remove_duplicate=False))
    loaded = {id(parameter) for name, parameter in every.items() if name not in names}
    return sorted(name for name in names if name in every and id(every[name]) not in loaded)


def _in_body(model: Any, name: str) -> bool:
    """Whether a weight belongs to the body and must be in the files. A pooler need not: many bodies are published without."""
    inside = model.base_model is model or name.startswith(model.base_model_prefix + ".")
    return inside and "pooler" not in name.split(".")


def _shapes(mismatch: Any) -> str:
    """`(59, 32) in the file, (30522, 32) by config.json` for an entry of mismatched_keys."""
    held, wanted = (tuple(shape) for shape in mismatch[1:3])
    return f"{held} in the file, {wanted} by config.json"


def _with_adapter(task: Task, name: str, folder: str) -> Any:
    """The base model of an adapter with the adapter beside it, labels and all from the adapter's own config."""
    import transformers

    base = locate(adapters.base_of(folder))
    if adapters.is_adapter(base):
        raise ModelError("the base model of the adapter is an adapter too", where=folder, expected="a whole model", fix="--merge")
    check_config(base)
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    model, new, _ = _from_files(task, name, base, {"config": config})
    return adapters.attach(model, folder, new)


def positions(name: str, tokenizer: Any) -> int:
    """The most tokens the model reads at once: the smaller of its position table and its tokenizer's limit."""
    import transformers

    folder = locate(name)
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    found = [int(value) for key in ("max_position_embeddings", "n_positions") if (value := getattr(config, key, None))]
    if config.model_type in OFFSET_POSITIONS and found:
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
