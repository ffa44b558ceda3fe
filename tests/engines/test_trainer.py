"""C005, C006: one task definition, two engines. The HF Trainer and the own loop give the same losses, weights, files, scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneloop.measure.compare import compare
from tests.engines import samples
from tests.engines.conftest import Ran

PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # a zip (torch.save), pickle protocols 2 to 5


def weights(run: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(run / "model" / "model.safetensors")


def names(run: Path) -> set[str]:
    """Files of a run, checkpoints without the random end of their name."""
    found = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    return {"/".join(part.rsplit("-", 1)[0] if part.startswith("step-") else part for part in path.parts) for path in found}


@pytest.mark.parametrize("kind", samples.KINDS)
def test_C006_first_20_losses_rates_and_final_weights_are_those_of_the_loop(ran: Ran, kind: str) -> None:
    import torch

    ours, theirs = (samples.log(ran(kind, engine)) for engine in ("loop", "trainer"))
    assert len(ours) == len(theirs) == 22
    for one, two in zip(ours, theirs):
        assert one["rows"] == two["rows"]
        assert one["learning_rate"] == pytest.approx(two["learning_rate"], rel=1e-12)
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-5)
        assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=1e-4)
    first, second = (weights(ran(kind, engine)) for engine in ("loop", "trainer"))
    assert first.keys() == second.keys()
    # Adam makes whole steps of gradients that are only rounding, so: all weights as one vector, without those that softmax cancels
    cancelled = ("self.key.bias", "qa_outputs.bias")
    kept = sorted(name for name in first if not name.endswith(cancelled))
    ours_all, theirs_all = (torch.cat([found[name].flatten() for name in kept]) for found in (first, second))
    assert float((ours_all - theirs_all).norm()) <= 1e-4 * float(ours_all.norm())


@pytest.mark.parametrize("kind", samples.KINDS)
def test_C005_both_engines_write_the_same_files_and_score_alike(ran: Ran, kind: str) -> None:
    ours, theirs = ran(kind, "loop"), ran(kind, "trainer")
    assert names(ours) == names(theirs)
    first, second = (json.loads((run / "metrics.json").read_text()) for run in (ours, theirs))
    assert first.keys() == second.keys()
    assert first["data"] == second["data"]
    assert first["baseline"] == second["baseline"]
    for name, found in first["metrics"].items():
        assert found["value"] == pytest.approx(second["metrics"][name]["value"], abs=2e-3, nan_ok=True), name
    assert first["reload_check"] == second["reload_check"] == "identical"


@pytest.mark.parametrize("kind", ["single", "regression", "tokens", "answers"])
def test_C005_the_loss_falls_and_the_baseline_is_reached(ran: Ran, kind: str) -> None:
    run = ran(kind, "trainer", epochs=8, learning_rate=2e-3, warmup=0.1)
    losses = [line["loss"] for line in samples.log(run)]
    assert sum(losses[-11:]) < 0.8 * sum(losses[:11])
    metrics = json.loads((run / "metrics.json").read_text())
    if kind != "regression":  # the mean has no correlation
        assert metrics["metrics"][metrics["primary"]]["value"] >= metrics["baseline"]["metrics"][metrics["primary"]]["value"]


def test_no_file_of_a_run_is_a_pickle(ran: Ran) -> None:
    for engine in ("loop", "trainer"):
        for path in ran("single", engine).rglob("*"):
            if path.is_file():
                assert path.suffix not in {".bin", ".pt", ".pth", ".pkl", ".pickle"}
                assert not path.read_bytes().startswith(PICKLES), path


@pytest.mark.parametrize("kind", ["single", "long", "tokens", "answers"])
def test_with_dropout_the_paired_interval_of_the_score_contains_0(ran: Ran, kind: str) -> None:
    ours, theirs = (ran(kind, engine, dropout=0.1, epochs=3, warmup=0.1) for engine in ("loop", "trainer"))
    plain = ran(kind, "loop")
    assert samples.log(ours)[0]["loss"] != pytest.approx(samples.log(plain)[0]["loss"], abs=1e-6)  # dropout is on
    found = compare(ours, theirs)
    low, high = found.metrics[found.primary]["ci95"]
    assert low <= 0 <= high
    # passes are seeded by (seed, step, pass), so even the masks are the same
    for one, two in zip(samples.log(ours), samples.log(theirs)):
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-4)


def test_micro_tokens_and_warm_up_and_decay_by_depth_reach_the_trainer(ran: Ran) -> None:
    more = {"micro_tokens": 48, "warmup": 0.2, "schedule": "cosine", "layer_decay": 0.5, "head_factor": 4.0, "clip": 0.5}
    ours, theirs = (samples.log(ran("answers", engine, **more)) for engine in ("loop", "trainer"))
    assert [line["learning_rate"] for line in ours] == pytest.approx([line["learning_rate"] for line in theirs], rel=1e-12)
    assert [line["loss"] for line in ours] == pytest.approx([line["loss"] for line in theirs], abs=1e-5)
    assert max(line["grad_norm"] for line in ours) > 0.5  # clipping had something to do


def test_the_trainer_stops_early_and_returns_to_the_best_weights(ran: Ran) -> None:
    more = {"patience": 2, "evaluate_every": 2, "epochs": 9, "learning_rate": 5e-2, "seed": 5}
    ours, theirs = (ran("single", engine, **more) for engine in ("loop", "trainer"))
    steps = [len(samples.log(run)) for run in (ours, theirs)]
    assert steps[0] == steps[1] < 99
    first, second = (samples.validations(run) for run in (ours, theirs))
    assert [line["step"] for line in first] == [line["step"] for line in second]
    assert [line["best"] for line in first] == [line["best"] for line in second]
    assert [line["best"] for line in first][-2:] == [False, False]
    assert any("the best on validation" in text for text in json.loads((theirs / "metrics.json").read_text())["notes"])


def test_C127_a_broken_trainer_run_goes_on_to_the_same_weights(world: Path, ran: Ran) -> None:
    import torch

    whole = ran("tokens", "trainer", save_every=3)
    samples.interrupted(samples.settings(world, "tokens", engine="trainer", save_every=3, output=str(world / "stopped")), 8)
    first, second = weights(whole), weights(world / "stopped")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [line["loss"] for line in samples.log(whole)] == [line["loss"] for line in samples.log(world / "stopped")]


def test_a_loss_that_is_not_finite_stops_before_the_update_and_names_its_rows(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from oneloop.engines.trainer import train as drive
    from oneloop.errors import NotFinite
    from tests.engines.test_loop import built

    parts = built(world, "single")
    loss = type(parts.task).loss

    def poisoned(task: Any, outputs: Any, batch: Any) -> Any:
        found, counts = loss(task, outputs, batch)
        return (found * float("nan"), counts) if 0 in batch["rows"] else (found, counts)

    monkeypatch.setattr(type(parts.task), "loss", poisoned)
    seen: list[Any] = []
    state = {}

    def keep(step: Any) -> bool:
        seen.append(step)
        state.update({name: tensor.clone() for name, tensor in parts.model.state_dict().items()})
        return False

    with pytest.raises(NotFinite, match="stopped before the update") as caught:
        drive(parts, 0, keep)
    assert "train.single.jsonl row 1" in caught.value.where
    assert all(parts.rows[0]["id"] not in step.rows for step in seen)
    assert not state or all(torch.equal(state[name], tensor) for name, tensor in parts.model.state_dict().items())
