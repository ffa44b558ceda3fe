"""Complete state, committed at once: what a run needs to go on as if it had never stopped.

RUN/checkpoints/step-00000120-1f3a/   model.safetensors  optimizer.safetensors  state.json  manifest.json
RUN/checkpoints/best-00000090-9c2e/   model.safetensors  state.json  manifest.json

Order, masks and dropout are keyed, and the learning rate is a function of the step, so weights, optimizer moments and a
few numbers are the whole state. Checkpoints are ordered by the step in their manifest, never by name or clock, and only
those whose every file matches its hash are used.
"""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneloop import commit
from oneloop.errors import RunError

STEP, BEST = "step", "best"


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


@dataclass(frozen=True)
class Found:
    """A checkpoint on disk that is whole."""

    path: Path
    state: State
    manifest: dict[str, Any]


def tensors_of(model: Any) -> dict[str, Any]:
    """The model's parameters and buffers by name, tied ones once, on the CPU and contiguous."""
    seen: dict[int, str] = {}
    found = {}
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
        raise RunError(f"the checkpoint holds weights that this model has not: {', '.join(unknown[:4])}", fix="use the model the run was started with")
    model.load_state_dict(tensors, strict=False)


def put_moments(optimizer: Any, data: bytes) -> None:
    """Load the state written by `moments_of`, each tensor to its parameter's device and own type."""
    from safetensors.torch import load

    tensors = load(data)
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"]):
            entry = {key.rpartition("|")[2]: tensors[key] for key in (f"{name}|exp_avg", f"{name}|exp_avg_sq", f"{name}|step") if key in tensors}
            if entry:
                optimizer.state[parameter] = {key: value if key == "step" else value.to(parameter.device) for key, value in entry.items()}


def size_of(model: Any) -> int:
    """Bytes a full checkpoint needs: weights and two moments of each trainable one."""
    return sum(p.numel() * p.element_size() * (3 if p.requires_grad else 1) for p in model.parameters()) + 1_000_000


def save(folder: Path, kind: str, state: State, model: Any, optimizer: Any | None, facts: dict[str, Any]) -> Path:
    """Commit a checkpoint of `kind` under a name of its own. facts: what must match on resume (and what may be shown).

    Raises NotFinite when a weight is not finite: a broken state never replaces a good one.
    """
    from safetensors.torch import save as to_bytes

    from oneloop.model.load import refuse_unfinished

    refuse_unfinished(model, f"step {state.step}")
    files: dict[str, bytes | memoryview] = {"model.safetensors": to_bytes(tensors_of(model))}
    if optimizer is not None:
        files["optimizer.safetensors"] = to_bytes(moments_of(optimizer))
    files["state.json"] = json.dumps(state.__dict__, indent=1).encode()
    name = f"{kind}-{state.step:08d}-{secrets.token_hex(3)}"
    return commit.commit_folder(folder / name, files, {"kind": kind, "step": state.step, **facts})


def candidates(folder: Path, kind: str) -> list[tuple[int, Path]]:
    """(step, path) of the folders that have a readable manifest of this kind, newest step first."""
    found = []
    for path in folder.glob(f"{kind}-*"):
        if path.is_dir():
            try:
                manifest = commit.read_manifest(path)
            except commit.Corrupt:
                continue
            if manifest.get("kind") == kind and isinstance(manifest.get("step"), int):
                found.append((manifest["step"], path))
    return sorted(found, key=lambda item: (item[0], item[1].name), reverse=True)


def newest(folder: Path, kind: str = STEP, *, run: str | None = None, step: int | None = None) -> tuple[Found | None, list[str]]:
    """The whole checkpoint with the highest step, and a note for each one passed over.

    run: only checkpoints of the run with this id. step: only this step.
    """
    notes = []
    readable = candidates(folder, kind)
    for path in sorted(set(folder.glob(f"{kind}-*")) - {path for _, path in readable}):
        notes.append(f"ignored {path.name}: " + ("it has no readable manifest" if path.is_dir() else "it is a file, not a checkpoint"))
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
        if run is not None and manifest.get("run") != run:
            notes.append(f"ignored {path.name}: it belongs to another run")
            continue
        return Found(path, state, manifest), notes
    return None, notes


def restore(found: Found, model: Any, optimizer: Any | None) -> None:
    """Put a checkpoint's weights (and moments) into place."""
    put_model(model, (found.path / "model.safetensors").read_bytes())
    if optimizer is not None:
        put_moments(optimizer, (found.path / "optimizer.safetensors").read_bytes())


def prune(folder: Path, keep: int, best_step: int) -> None:
    """Delete all but the newest `keep` checkpoints and the best one of `best_step`. Called only after a commit."""
    for position, (_, path) in enumerate(candidates(folder, STEP)):
        if position >= max(keep, 1):
            shutil.rmtree(path, ignore_errors=True)
    kept = False
    for number, path in candidates(folder, BEST):
        if number != best_step or kept:
            shutil.rmtree(path, ignore_errors=True)
        kept = kept or number == best_step
