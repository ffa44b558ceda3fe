"""T16: one run on one, two and four processes: the same rows in the same order, each once per epoch, the same losses."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import QUIET_ENV, ROOT, Bench, Child, log_lines, steps

UPDATE = "oneloop.parts:Parts.update"
# passes of two or three rows, so that every process has work in every step; without dropout a cut changes rounding only
SETTINGS: dict[str, Any] = {"micro_tokens": 64, "evaluate_every": 4, "epochs": 2}


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def together(
    shop: Bench, run: Path, count: int, plants: dict[int, list[tuple[str, dict[str, Any]]]] | None = None, **changed: Any
) -> list[Child]:
    """Run on `count` processes that find each other as torchrun's do, and wait for all of them."""
    port = free_port()
    started = []
    for rank in range(count):
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        env = {key: str(value) for key, value in names.items()} | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        env |= {"GLOO_SOCKET_IFNAME": "lo"}
        planted = (plants or {}).get(rank, [])
        started.append(shop.start(run, {**SETTINGS, **changed}, env=env if count > 1 else {}, plants=planted))
    for child in started:
        child.wait(60)
    return started


def stop_after(updates: int) -> dict[int, list[tuple[str, dict[str, Any]]]]:
    """SIGTERM to the first process in its n-th update."""
    return {0: [("signal_at", {"target": UPDATE, "nth": updates, "number": signal.SIGTERM})]}


def same_training(run: Path, whole: Path) -> None:
    """The same rows in the same order, each row once per epoch, losses within 1e-5."""
    ours, theirs = log_lines(run, "step"), log_lines(whole, "step")
    assert [line["rows"] for line in ours] == [line["rows"] for line in theirs]
    assert steps(run) == list(range(1, 13))
    for epoch in (ours[:6], ours[6:]):
        rows = [row for line in epoch for row in line["rows"]]
        assert len(rows) == len(set(rows)) == 48
    for one, other in zip(ours, theirs):
        assert math.isclose(one["loss"], other["loss"], rel_tol=1e-5, abs_tol=1e-6), (one, other)
        assert math.isclose(one["grad_norm"], other["grad_norm"], rel_tol=1e-3)
    for one, other in zip(log_lines(run, "evaluation"), log_lines(whole, "evaluation")):
        assert one["step"] == other["step"] and math.isclose(one["metrics"]["loss"], other["metrics"]["loss"], rel_tol=1e-5)


def test_T16_one_two_four_one_processes(shop: Bench) -> None:
    whole, run = shop.reference(SETTINGS), shop.new("elastic")
    for count, updates in ((1, 3), (2, 3), (4, 3)):
        children = together(shop, run, count, stop_after(updates))
        assert [child.code for child in children] == [143] * count, children[0].said + children[-1].said
    assert steps(run) == list(range(1, 10))
    assert [child.code for child in together(shop, run, 1)] == [0]
    same_training(run, whole)
    notes = "\n".join(json.loads((run / "metrics.json").read_text())["notes"])
    assert all(f"going on after step {step}" in notes for step in (3, 6, 9))


@pytest.mark.parametrize("engine", ["loop", "trainer"])
def test_T16_two_processes_from_begin_to_end(shop: Bench, engine: str) -> None:
    whole, run = shop.reference({**SETTINGS, "engine": engine}), shop.new("two")
    children = together(shop, run, 2, engine=engine)
    assert [child.code for child in children] == [0, 0], children[0].said + children[1].said
    same_training(run, whole)
    assert not children[1].out


def test_T12_T16_memory_that_runs_out_on_one_process_is_answered_by_all(shop: Bench) -> None:
    settings = {**SETTINGS, "dropout": 0, "micro_tokens": 128}
    run, whole = shop.new("memory"), shop.reference(settings)
    memory = ("at_step", {"step": 2, "kind": "memory", "value": "64"})
    children = together(shop, run, 2, {1: [memory]}, dropout=0, micro_tokens=128)
    assert [child.code for child in children] == [0, 0], children[0].said + children[1].said
    same_training(run, whole)
    assert any(note.startswith("out of memory at step") for note in json.loads((run / "metrics.json").read_text())["notes"])


def test_T10_T16_a_loss_that_is_not_finite_on_one_process_stops_all(shop: Bench) -> None:
    run = shop.new("nan")
    children = together(shop, run, 2, {1: [("at_step", {"step": 3, "kind": "loss"})]})
    assert [child.code for child in children] == [1, 1]
    assert all("at step 3; stopped before the update" in child.err and "Traceback" not in child.err for child in children)
    assert steps(run) == [1, 2]


def test_T1_T16_a_killed_process_ends_the_others_and_the_run_goes_on(shop: Bench) -> None:
    whole, run = shop.reference(SETTINGS), shop.new("killed")
    kill = {1: [("signal_at", {"target": UPDATE, "nth": 3, "number": signal.SIGKILL})]}
    first, second = together(shop, run, 2, kill)
    assert second.code == -signal.SIGKILL
    assert first.code == 1 and "another process of this run has ended" in first.err and "Traceback" not in first.err, first.said
    assert [child.code for child in together(shop, run, 2)] == [0, 0]
    same_training(run, whole)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "launcher", [["torch.distributed.run", "--nproc-per-node", "2"], ["accelerate.commands.launch", "--cpu", "--num_processes", "2"]]
)
def test_T16_the_launchers_of_torch_and_accelerate(shop: Bench, launcher: list[str]) -> None:
    whole, run = shop.reference(SETTINGS), shop.new("launched")
    command = [sys.executable, "-m", launcher[0], *launcher[1:], "-m", "oneloop.cli", *shop.argv(run, SETTINGS)]
    found = subprocess.run(command, cwd=ROOT, env=os.environ | QUIET_ENV, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr[-3000:]
    same_training(run, whole)
