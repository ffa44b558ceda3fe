"""T10-T12: numbers that are not finite, weights that are missing, memory that runs out."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from oneloop import checkpoint
from tests.faults.harness import Bench, checkpoints, differences, leftovers, log_lines, outcome, sha256, steps

SHORT: dict[str, Any] = {"epochs": 1}
ENGINES = ("loop", "trainer")


# ---- T10: loss and gradient ---------------------------------------------------------------------
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "value", "step"),
    [("loss", "nan", 1), ("loss", "nan", 4), ("loss", "nan", 6), ("loss", "inf", 4), ("gradient", "nan", 4), ("gradient", "inf", 6)],
)
def test_T10_a_number_that_is_not_finite_stops_before_the_update(shop: Bench, engine: str, kind: str, value: str, step: int) -> None:
    settings, run = {**SHORT, "engine": engine, "clip": 0 if kind == "gradient" else 1}, shop.new("nan")
    child = shop.train(run, settings, plants=[("at_step", {"step": step, "kind": kind, "value": value})])
    assert child.code == 1, child.said
    assert f"the {kind} is " in child.err and f"at step {step}; stopped before the update" in child.err
    assert "rows texts.csv row " in child.err.replace(f"{shop.sample}/", "") and "last good checkpoint is kept" in child.err
    assert "Traceback" not in child.err
    assert steps(run) == list(range(1, step)) if step > 1 else not log_lines(run, "step")
    assert [(line["step"], kind in line["what"]) for line in log_lines(run, "stopped")] == [(step, True)]
    found, _ = checkpoint.newest(run / "checkpoints")
    assert (found.state.step if found else 0) == step - 1
    assert not leftovers(run)
    again = shop.train(run, settings)
    assert again.code == 0, again.said
    assert not differences(outcome(shop.reference(settings)), outcome(run))


def test_T10_half_precision_that_never_becomes_finite_is_given_up(shop: Bench) -> None:
    from types import SimpleNamespace

    from oneloop.errors import NotFinite
    from oneloop.loop import skipped

    scaler = SimpleNamespace(get_scale=lambda: 2.0**-24)
    plan = SimpleNamespace(number=130, features=(0,), rows=("1",))
    parts = SimpleNamespace(scaler=scaler, precision="fp16", row_names=lambda plan, batch: ["texts.csv row 1"])
    with pytest.raises(NotFinite, match="bf16"):
        skipped(parts, plan, float("inf"))
    scaler.get_scale = lambda: 65536.0
    skipped(parts, plan, float("inf"))


# ---- T11: weights -------------------------------------------------------------------------------
def test_T11_weights_that_are_not_finite_are_refused(shop: Bench) -> None:
    from safetensors.torch import load_file, save_file

    broken = shop.folder / "broken-model"
    shutil.copytree(shop.sample / "model", broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][3, 5] = math.nan
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    run = shop.new("nan-weights")
    child = shop.train(run, {**SHORT, "model": str(broken)})
    assert child.code == 1 and "NaN or infinite" in child.err and "encoder.layer.1.output.dense.weight" in child.err, child.said
    assert "Traceback" not in child.err and not checkpoints(run)
    found = shop.server.run("predict", str(broken), "the soup was cold", "--task", "sequence-classification")
    assert found.code == 1 and "Traceback" not in found.err


def test_T11_a_head_without_weights_predicts_nothing(shop: Bench) -> None:
    child = shop.server.run("predict", str(shop.sample / "model"), "the soup was cold", "--task", "sequence-classification")
    assert child.code == 1, child.said
    assert "no trained sequence-classification head" in child.err and "classifier.weight" in child.err and "fix:" in child.err
    assert "Traceback" not in child.err and not child.out


# ---- T12: memory ----------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", ENGINES)
def test_T12_out_of_memory_halves_the_passes_and_changes_no_step(shop: Bench, engine: str) -> None:
    settings = {**SHORT, "engine": engine, "dropout": 0}
    run, room = shop.new("memory"), 40
    child = shop.train(run, settings, plants=[("at_step", {"step": 3, "kind": "memory", "value": str(room)})])
    assert child.code == 0, child.said
    notes = json.loads((run / "metrics.json").read_text())["notes"]
    halved = [note for note in notes if note.startswith("out of memory at step 3: forward passes of at most ")]
    assert halved and halved[-1].endswith("the step itself is unchanged")
    cut = int(halved[-1].split("at most ")[1].split()[0])
    assert cut < 8192 and steps(run) == [1, 2, 3, 4, 5, 6]
    small = shop.reference({**settings, "micro_tokens": cut})
    for ours, theirs in zip(log_lines(run, "step"), log_lines(small, "step")):
        assert ours["rows"] == theirs["rows"]
        assert math.isclose(ours["loss"], theirs["loss"], rel_tol=1e-5)
        assert math.isclose(ours["grad_norm"], theirs["grad_norm"], rel_tol=1e-4)


def test_T12_what_was_halved_stays_halved_and_is_still_told_after_a_kill(shop: Bench) -> None:
    memory = ("at_step", {"step": 3, "kind": "memory", "value": "40"})
    whole = shop.new("memory")
    assert shop.train(whole, SHORT, plants=[memory]).code == 0
    run = shop.new("memory-killed")
    kill = ("signal_at", {"target": "oneloop.parts:Parts.update", "nth": 5, "number": 9})
    assert shop.train(run, SHORT, plants=[memory, kill]).code == -9
    assert shop.train(run, SHORT, plants=[memory]).code == 0
    assert sha256(run / "model" / "model.safetensors") == sha256(whole / "model" / "model.safetensors")
    notes = json.loads((run / "metrics.json").read_text())["notes"]
    assert any(note.startswith("out of memory at step 3") for note in notes)
    assert any(note.startswith("going on after step 4") for note in notes)


def test_T12_an_input_that_never_fits_is_named(shop: Bench) -> None:
    run = shop.new("never")
    child = shop.train(run, SHORT, plants=[("at_step", {"step": 3, "kind": "memory", "value": "0"})])
    assert child.code == 1 and "does not fit into memory" in child.err and "step 3, rows " in child.err, child.said
    assert "Traceback" not in child.err
    assert [path.name[:13] for path in checkpoints(run)] == ["step-00000001", "step-00000002"]


def test_T12_memory_that_runs_out_in_a_worker_cut_is_cut_anew(shop: Bench) -> None:
    run = shop.new("memory-worker")
    plants = [("at_step", {"step": 3, "kind": "memory", "value": "40"})]
    assert shop.train(run, {**SHORT, "workers": 1}, plants=plants).code == 0
    plain = shop.new("memory-plain")
    assert shop.train(plain, SHORT, plants=plants).code == 0
    assert sha256(run / "model" / "model.safetensors") == sha256(plain / "model" / "model.safetensors")


def test_T10_a_checkpoint_with_a_weight_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    import torch

    from oneloop.errors import NotFinite

    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight[0, 0] = math.inf
    with pytest.raises(NotFinite, match="weight"):
        checkpoint.save(tmp_path, "step", checkpoint.State(step=3), model, None, {"run": "x"})
    assert not list(tmp_path.iterdir())


def test_T10_an_overflow_in_fp16_is_left_to_the_scaler_and_changes_no_gradient() -> None:
    from types import SimpleNamespace

    import torch

    from oneloop.loop import divide_and_clip

    model = torch.nn.Linear(2, 1)
    model.weight.grad, model.bias.grad = torch.tensor([[float("inf"), 1.0]]), torch.ones(1)
    scaler = SimpleNamespace(get_scale=lambda: 65536.0)
    parts: Any = SimpleNamespace(model=model, unscale=lambda: None, scaler=scaler, recipe=SimpleNamespace(clip=1.0))
    plan: Any = SimpleNamespace(number=1)
    assert divide_and_clip(parts, plan, 4.0) == float("inf")
    assert torch.equal(model.bias.grad, torch.ones(1))
