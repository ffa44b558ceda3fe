"""Complete state, committed at once: what a run needs to go on as if it had never stopped.

RUN/checkpoints/step-00000120-1f3a/   model.safetensors  optimizer.safetensors  state.json  log.jsonl  manifest.json
RUN/checkpoints/best-00000090-9c2e/   model.safetensors  state.json  manifest.json

Order, masks and dropout are keyed, and the learning rate is a function of the step, so weights, optimizer moments and a
few numbers are the whole state. Checkpoints are ordered by the step in their manifest, never by name or clock, and only
those whose every file matches its hash are used. A checkpoint of another run in the same folder is never used.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from oneloop import commit
from oneloop.errors import RunError

STEP, BEST = "step", "best"
LOG = "log.jsonl"


@dataclass
class State:
    """The numbers of a run between two updates, JSON-ready."""

    step: int = 0
    micro_tokens: int = 0
    best_value: float | None = None
    best_step: int = 0
    waited: int = 0  # evaluations since the best one
    log_bytes: int = 0  # length of log.jsonl at this step
    seconds: float = 0.0  # spent training so far
    tokens: int = 0
    scaler: dict[str, Any] | None = None
    engine: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what has been said so far, for the report of a run that was interrupted


@dataclass(frozen=True)
class Found:
    """A checkpoint on disk that is whole."""

    path: Path
    state: State
    manifest: dict[str, Any]


def tensors_of(model: Any) -> dict[str, Any]:
    """The model's parameters and buffers by name, tied ones once, on the CPU and contiguous."""
    seen: dict[int, str] = {}
    found: dict[str, Any] = {}
    for name, tensor in model.state_dict().items():
        storage = tensor.data_ptr() if tensor.numel() else id(tensor)
        if storage in seen and found[seen[storage]].shape == tensor.shape:
            continue
        seen[storage] = name
        found[name] = tensor.detach().cpu().contiguous()
    return found


def moments_of(optimizer: Any) -> dict[str, Any]:
    """The optimizer's state as named tensors: `parameter|exp_avg` and so on."""
    import torch

    found = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"]):
            for key, value in optimizer.state.get(parameter, {}).items():
                tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value)
                found[f"{name}|{key}"] = tensor.detach().cpu().contiguous()
    return found


def put_model(model: Any, data: bytes) -> None:
    """Load parameters written by `tensors_of`; every one of the file must have its place, tied ones follow."""
    from safetensors.torch import load

    tensors = load(data)
    own = model.state_dict()
    unknown = [name for name in tensors if name not in own or own[name].shape != tensors[name].shape]
    if unknown:
        what = f"the checkpoint holds weights that this model has not: {', '.join(unknown[:4])}"
        raise RunError(what, fix="use the model the run was started with")
    model.load_state_dict(tensors, strict=False)


def put_moments(optimizer: Any, data: bytes) -> None:
    """Load the state written by `moments_of`, each tensor to its parameter's device and own type."""
    from safetensors.torch import load

    tensors = load(data)
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"]):
            held = [tensors[f"{name}|{key}"] for key in ("exp_avg", "exp_avg_sq") if f"{name}|{key}" in tensors]
            if any(tensor.shape != parameter.shape for tensor in held):
                what = f"the optimizer's state of {name} in the checkpoint has another shape than the weight"
                raise RunError(what, fix="choose another --output")
            entry = {key: tensors[f"{name}|{key}"] for key in ("exp_avg", "exp_avg_sq", "step") if f"{name}|{key}" in tensors}
            if entry:
                on_device = group.get("fused") or group.get("capturable")  # only then does torch keep the count beside the weight
                optimizer.state[parameter] = {
                    key: value if key == "step" and not on_device else value.to(parameter.device) for key, value in entry.items()
                }


def size_of(model: Any) -> int:
    """Bytes a full checkpoint needs: weights and two moments of each trainable one."""
    moments = 2 * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return weights_size(model) + int(moments) + 1_000_000


def weights_size(model: Any) -> int:
    """Bytes of a model's weights, those included that are kept beside its parameters."""
    return int(sum(tensor.numel() * tensor.element_size() for tensor in chain(model.parameters(), model.buffers())))


def save(
    folder: Path, kind: str, state: State, model: Any, optimizer: Any | None, facts: dict[str, Any], log: bytes | None = None
) -> Path:
    """Commit a checkpoint of `kind` under a name of its own. facts: what must match on resume (and what may be shown). log: the
    lines of log.jsonl so far.

    Raises NotFinite when a weight is not finite: a broken state never replaces a good one.
    """
    from safetensors.torch import save as to_bytes

    from oneloop.model.load import refuse_unfinished

    refuse_unfinished(model, f"step {state.step}")
    files: dict[str, bytes | memoryview] = {"model.safetensors": to_bytes(tensors_of(model))}
    if optimizer is not None:
        files["optimizer.safetensors"] = to_bytes(moments_of(optimizer))
    files["state.json"] = json.dumps(state.__dict__, indent=1).encode()
    if log is not None:
        files[LOG] = log
    name = f"{kind}-{state.step:08d}-{secrets.token_hex(3)}"
    return commit.commit_folder(folder / name, files, {"kind": kind, "step": state.step, **facts})


def listed(folder: Path, kind: str, run: str | None) -> tuple[list[tuple[int, Path]], list[str]]:
    """(step, path) of the checkpoints of a run that have a readable manifest, newest step first; a note on everything else.

    run: the id of the run, or None for any.
    """
    found, notes = [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith((".", BEST if kind == STEP else STEP)):
            continue
        if not path.is_dir():
            notes.append(f"ignored {path.name}: it is a file, not a checkpoint")
            continue
        try:
            manifest = commit.read_manifest(path)
        except commit.Corrupt as error:
            notes.append(f"ignored {path.name}: {'; '.join(error.files)}")
            continue
        if manifest.get("kind") != kind or not isinstance(manifest.get("step"), int):
            notes.append(f"ignored {path.name}: it is not a checkpoint")
        elif run is not None and manifest.get("run") != run:
            notes.append(f"ignored {path.name}: it belongs to another run")
        else:
            found.append((manifest["step"], path))
    return sorted(found, key=lambda item: (item[0], item[1].name), reverse=True), notes


def newest(folder: Path, kind: str = STEP, *, run: str | None = None, step: int | None = None) -> tuple[Found | None, list[str]]:
    """The whole checkpoint with the highest step, and a note for each one passed over.

    run: only checkpoints of the run with this id. step: only this step.
    """
    readable, notes = listed(folder, kind, run)
    for number, path in readable:
        if step is not None and number != step:
            continue
        try:
            manifest = commit.verify(path)
            state = State(**json.loads((path / "state.json").read_bytes()))
        except (commit.Corrupt, OSError, ValueError, TypeError) as error:
            what = "; ".join(error.files) if isinstance(error, commit.Corrupt) else str(error)
            notes.append(f"ignored {path.name}: {what}")
            continue
        return Found(path, state, manifest), notes
    return None, notes


def restore(found: Found, model: Any, optimizer: Any | None) -> None:
    """Put a checkpoint's weights (and moments) into place."""
    put_model(model, (found.path / "model.safetensors").read_bytes())
    if optimizer is not None:
        put_moments(optimizer, (found.path / "optimizer.safetensors").read_bytes())


def prune(folder: Path, keep: int, state: State, run: str, damaged: Collection[str] = ()) -> None:
    """Delete what a run no longer needs: all but its newest `keep` checkpoints (older ones that only a stop asked for do not count),
    those named in `damaged`, and all best ones but that of `state.best_step`. Called only after a commit, or when the newest one has
    been found whole. Nothing of another run is touched."""
    whole = [path for _, path in listed(folder, STEP, run)[0] if path.name not in damaged]
    extra = [path for path in whole[1:] if commit.read_manifest(path).get("extra")]
    kept = [path for path in whole if path not in extra][: max(keep, 1)]
    for path in [*(path for path in whole if path not in kept), *(folder / name for name in damaged)]:
        commit.discard(path)
    best = listed(folder, BEST, run)[0]
    named = [path for number, path in best if number == state.best_step][:1]
    for _, path in best:
        if path not in named:
            commit.discard(path)


def known_run(folder: Path) -> Found | None:
    """The newest whole checkpoint of the one run that a folder's checkpoints tell of; runs that another one says it replaces do not
    count. None where there is no whole one. RunError where there are several runs and nothing says which is meant."""
    manifests = {path: commit.read_manifest(path) for _, path in listed(folder, STEP, None)[0]}
    replaced = {manifest.get("replaces") for manifest in manifests.values()}
    runs = {str(manifest["run"]) for manifest in manifests.values() if manifest.get("run") and manifest["run"] not in replaced}
    if len(runs) > 1:
        told = ", ".join(f"{path.name} of run {manifest.get('run')}" for path, manifest in manifests.items())
        raise RunError(f"run.json is gone and there are checkpoints of several runs: {told}", where=str(folder), fix="remove the others")
    return newest(folder, run=runs.pop())[0] if runs else None


def clear(folder: Path, run: str) -> None:
    """Delete every checkpoint of a run whose results have been replaced."""
    for kind in (STEP, BEST):
        for _, path in listed(folder, kind, run)[0]:
            commit.discard(path)
