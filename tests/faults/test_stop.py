"""T7-T9, T19, T21-T23: signals, lost terminals, output folders, second runs, data workers, poison rows, exit codes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from oneloop import checkpoint
from tests.faults.harness import QUIET_ENV, ROOT, Bench, checkpoints, differences, leftovers, log_lines, outcome, steps

SHORT: dict[str, Any] = {"epochs": 1, "evaluate_every": 2}
UPDATE = "oneloop.parts:Parts.update"
ROOT_ONLY = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")


def last_saved(run: Path) -> int:
    """The step of the newest whole checkpoint, 0 where there is none."""
    found, _ = checkpoint.newest(run / "checkpoints")
    return found.state.step if found else 0


def finishes(shop: Bench, run: Path, settings: dict[str, Any]) -> None:
    """Run again, and end as if nothing had happened."""
    child = shop.train(run, settings)
    assert child.code == 0, child.said
    assert not differences(outcome(shop.reference(settings)), outcome(run))
    assert not leftovers(run)


def until(condition: Any, seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


# ---- T7: output folders -------------------------------------------------------------------------
def refused_at_once(shop: Bench, output: Path, said: str, **more: Any) -> None:
    """The output is refused before anything is loaded (the model does not exist) and within two seconds."""
    began = time.monotonic()
    child = shop.train(output, {"model": "/nowhere"}, **more)
    assert time.monotonic() - began < 2.0
    assert child.code == 1 and said in child.err and "fix:" in child.err, child.said
    assert "Traceback" not in child.err and "nowhere" not in child.err


def test_T7_an_output_that_is_a_file_or_lies_in_one(shop: Bench) -> None:
    path = shop.new("file")
    path.write_text("x")
    refused_at_once(shop, path, "the output is a file")
    refused_at_once(shop, path / "run", "cannot write: Not a directory")


def test_T7_an_output_that_is_a_link_to_nothing(shop: Bench) -> None:
    path = shop.new("link")
    path.symlink_to("/nowhere/at/all")
    refused_at_once(shop, path, "a link to nothing")


@ROOT_ONLY
@pytest.mark.parametrize("mode", [0o555, 0o666, 0o000])
def test_T7_an_output_without_the_right_to_write_or_enter(shop: Bench, mode: int) -> None:
    shop.folder.chmod(0o755)
    for folder in [shop.folder, *shop.folder.parents][:4]:
        folder.chmod(folder.stat().st_mode | 0o055)
    shop.server.folder.chmod(0o777)
    inside = shop.new("locked")
    inside.mkdir()
    inside.chmod(mode)
    refused_at_once(shop, inside / "run", "Permission denied", plants=[("as_nobody", {})])
    refused_at_once(shop, inside, "Permission denied", plants=[("as_nobody", {})])
    inside.chmod(0o755)


@ROOT_ONLY
def test_T7_an_output_on_a_read_only_disk(shop: Bench) -> None:
    path = shop.new("mounted")
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(path)], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        refused_at_once(shop, path / "run", "Read-only file system")
    finally:
        subprocess.run(["umount", str(path)], check=True)


# ---- T8: SIGTERM ----------------------------------------------------------------------------------
HOOKS = {
    "data": ("oneloop.prepare:learn", 1),
    "encoding": ("oneloop.tasks.sequence_classification:SequenceClassification.encode", 1),
    "first look": ("oneloop.measure.evaluate:run_features", 1),
    "first batch": ("oneloop.parts:Parts.passes", 1),
    "step": (UPDATE, 4),
    "evaluation": ("oneloop.measure.evaluate:run_features", 3),
    "save": ("oneloop.checkpoint:save", 5),
    "end": ("oneloop.finish:reload_check", 1),
}


@pytest.mark.parametrize("engine", ["loop", "trainer"])
@pytest.mark.parametrize("hook", HOOKS)
def test_T8_SIGTERM_saves_at_most_one_step_later(shop: Bench, hook: str, engine: str) -> None:
    target, nth = HOOKS[hook]
    if (hook, engine) == ("step", "trainer"):
        target = "torch.optim:AdamW.step"
    settings, run = {**SHORT, "engine": engine}, shop.new("term")
    child = shop.train(run, settings, plants=[("signal_at", {"target": target, "nth": nth})])
    assert child.code == 143, child.said
    assert "stopped by SIGTERM" in child.err and "run the same command again to go on" in child.err
    done = steps(run)[-1] if (run / "log.jsonl").exists() and steps(run) else 0
    assert last_saved(run) == done
    expected = {"first batch": 1, "step": 4, "evaluation": 4, "end": 6}
    assert done == expected.get(hook, done)
    finishes(shop, run, settings)


def test_T8_SIGTERM_to_the_whole_group_with_data_workers(shop: Bench) -> None:
    settings, run = {"workers": 2, "epochs": 4}, shop.new("group")
    child = shop.start(run, settings)
    until(lambda: (run / "log.jsonl").exists() and len(steps(run)) >= 3)
    child.send_group(signal.SIGTERM)
    assert child.wait() == 143, child.said
    assert last_saved(run) == steps(run)[-1]
    finishes(shop, run, settings)


def test_T8_the_command_itself_leaves_with_143(shop: Bench) -> None:
    run = shop.new("command")
    argv = shop.argv(run, {"epochs": 200, "save_every": 0})
    words = [sys.executable, "-m", "oneloop.cli", *argv]
    with subprocess.Popen(words, cwd=ROOT, env=os.environ | QUIET_ENV, stderr=subprocess.PIPE) as command:
        until(lambda: (run / "log.jsonl").exists() and len(steps(run)) > 0)
        began = time.monotonic()
        command.send_signal(signal.SIGTERM)
        command.wait(30)
        assert command.returncode == 143
        assert time.monotonic() - began < 5
        assert command.stderr is not None and b"which is saved" in command.stderr.read()
    assert last_saved(run) == steps(run)[-1] > 0


# ---- T9: Ctrl-C, lost terminals --------------------------------------------------------------------
def test_T9_ctrl_c_once_saves_and_leaves_with_130(shop: Bench) -> None:
    run = shop.new("once")
    child = shop.train(run, SHORT, plants=[("signal_at", {"target": UPDATE, "nth": 3, "number": signal.SIGINT})])
    assert child.code == 130 and "stopped by Ctrl-C after step 3, which is saved" in child.err
    assert last_saved(run) == 3
    finishes(shop, run, SHORT)


@pytest.mark.parametrize("target", [UPDATE, "oneloop.checkpoint:save", "oneloop.commit:sync_folder", "oneloop.ship.save:save_model"])
def test_T9_ctrl_c_twice_stops_at_once_and_breaks_nothing(shop: Bench, target: str) -> None:
    run, nth = shop.new("twice"), {"oneloop.commit:sync_folder": 20, "oneloop.ship.save:save_model": 1}.get(target, 3)
    began = time.monotonic()
    child = shop.train(run, SHORT, plants=[("signal_at", {"target": target, "nth": nth, "number": signal.SIGINT, "times": 2})])
    assert child.code == 130, child.said
    assert time.monotonic() - began < 10
    finishes(shop, run, SHORT)


def test_T9_a_closed_pipe_is_no_error(shop: Bench) -> None:
    run = shop.new("pipe")
    child = shop.train(run, {**SHORT, "quiet": False}, plants=[("closed_pipe", {})])
    assert child.code == 0, child.said
    assert "Traceback" not in child.err
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))


def test_T9_hanging_up_is_no_crash(shop: Bench) -> None:
    run = shop.new("hup")
    child = shop.train(run, SHORT, plants=[("signal_at", {"target": UPDATE, "nth": 3, "number": signal.SIGHUP})])
    assert child.code == 0, child.said
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))


def test_T9_a_terminal_that_goes_away_is_no_crash(shop: Bench) -> None:
    run = shop.new("terminal")
    child = shop.train(run, {**SHORT, "quiet": False}, plants=[("lost_terminal", {"target": UPDATE, "nth": 3})])
    assert child.code == 0, child.said
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))


# ---- T19: two runs in one folder ---------------------------------------------------------------------
SECOND = """
import sys, resource
from oneloop.cli import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.stderr.write(f"torch {'torch' in sys.modules} seconds {used.ru_utime + used.ru_stime:.2f}")
"""


def test_T19_a_second_run_is_refused_before_torch_is_imported(shop: Bench) -> None:
    run, flag = shop.new("shared"), shop.folder / "first-is-here"
    first = shop.start(run, SHORT, plants=[("pause_at", {"target": UPDATE, "nth": 3, "flag": str(flag)})])
    until(flag.exists)
    command = [sys.executable, "-c", SECOND, *shop.argv(run, {**SHORT, "seed": 2})]
    second = subprocess.run(command, cwd=ROOT, env=os.environ | QUIET_ENV, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"another run writes into this folder: process {first.pid} on {os.uname().nodename}" in second.stderr
    assert "torch False" in second.stderr
    assert float(second.stderr.rsplit(" ", 1)[1]) < 1.5  # of processor time, most of it Python's and pydantic's start
    first.send(signal.SIGKILL)
    first.wait()
    finishes(shop, run, SHORT)


def test_T19_the_lock_of_a_killed_owner_is_free_though_its_workers_live(shop: Bench) -> None:
    run, flag = shop.new("orphans"), shop.folder / "owner-is-here"
    settings = {**SHORT, "workers": 2}
    plants = [("worker_fault", {"row": 30, "kind": "hang"}), ("pause_at", {"target": UPDATE, "nth": 2, "flag": str(flag)})]
    first = shop.start(run, settings, plants=plants)
    until(flag.exists)
    first.send(signal.SIGKILL)
    first.wait()
    again = shop.train(run, settings)
    first.send_group(signal.SIGKILL)
    assert again.code == 0, again.said
    assert not differences(outcome(shop.reference(settings)), outcome(run))


# ---- T21: data workers ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "said"), [("exit", "ended with exit code 7"), ("hang", "gave nothing for 2 s"), ("raise", "ValueError: planted poison")]
)
def test_T21_a_data_worker_that_fails_is_named_with_its_rows(shop: Bench, kind: str, said: str) -> None:
    run, settings = shop.new("worker"), {**SHORT, "workers": 1}
    began = time.monotonic()
    child = shop.train(run, settings, plants=[("worker_fault", {"row": 30, "kind": kind, "seconds": 2.0})])
    assert child.code == 1, child.said
    assert time.monotonic() - began < 20
    assert said in child.err and "texts.csv row " in child.err and "Traceback" not in child.err
    if kind != "raise":
        assert "data worker " in child.err and "step " in child.err
    finishes(shop, run, settings)


# ---- T22: poison rows ----------------------------------------------------------------------------
def poisoned(shop: Bench) -> tuple[Path, list[int]]:
    """A copy of the texts with two rows that a plant refuses to encode, and their row numbers."""
    path = shop.folder / "poisoned.csv"
    lines = (shop.sample / "texts.csv").read_text().splitlines()
    for line in (7, 23):
        lines[line] = lines[line].replace("the ", "poison ", 1)
    path.write_text("\n".join(lines) + "\n")
    return path, [7, 23]


def test_T22_rows_that_cannot_be_encoded_are_named_all_at_once(shop: Bench) -> None:
    path, rows = poisoned(shop)
    child = shop.train(shop.new("poison"), {**SHORT, "train": str(path)}, plants=[("encode_fault", {"text": "poison"})])
    assert child.code == 1, child.said
    assert "2 rows cannot be used" in child.err and "--max-bad 2" in child.err and "Traceback" not in child.err
    assert all(f"poisoned.csv row {row}: it cannot be encoded: ValueError: planted poison" in child.err for row in rows)


def test_T22_up_to_max_bad_they_are_set_aside_and_counted(shop: Bench) -> None:
    path, rows = poisoned(shop)
    run = shop.new("quarantine")
    child = shop.train(run, {**SHORT, "train": str(path), "max_bad": 2}, plants=[("encode_fault", {"text": "poison"})])
    assert child.code == 0, child.said
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["data"]["dropped"] == 2
    assert all(any(f"set aside: {path}" in note or f"row {row}:" in note for note in metrics["notes"]) for row in rows)
    used = [row for line in log_lines(run, "step") for row in line["rows"]]
    assert len(used) == len(set(used)) and not {str(row) for row in rows} & set(used)


def test_T22_a_row_that_cannot_be_collated_is_named(shop: Bench) -> None:
    run = shop.new("collate")
    child = shop.train(run, SHORT, plants=[("worker_fault", {"row": 30, "kind": "raise"})])
    assert child.code == 1 and "texts.csv row " in child.err and "planted poison" in child.err and "Traceback" not in child.err
    assert len(child.err.split("texts.csv row ")) == 2, "exactly the one row is named"
    finishes(shop, run, SHORT)


# ---- T23: exit codes -------------------------------------------------------------------------------
FAILING = {
    UPDATE: "builtins:RuntimeError",
    "oneloop.prepare:learn": "builtins:KeyError",
    "oneloop.checkpoint:save": "builtins:AssertionError",
    "oneloop.finish:describe": "builtins:RuntimeError",
    "oneloop.measure.evaluate:run_features": "builtins:ValueError",
}


@pytest.mark.parametrize(("target", "error"), FAILING.items())
def test_T23_an_error_in_training_is_never_exit_code_0(shop: Bench, target: str, error: str) -> None:
    run = shop.new("error")
    child = shop.train(run, SHORT, plants=[("raise_at", {"target": target, "nth": 1, "error": error})])
    assert child.code == 1, child.said
    assert "planted" in child.err
    if target in (UPDATE, "oneloop.finish:describe"):
        finishes(shop, run, SHORT)


def test_T23_the_command_itself_leaves_with_1(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "rows.csv")
    command = [sys.executable, "-m", "oneloop.cli", "train", "--train", str(tmp_path / "nothing.csv"), "--output", str(tmp_path / "run")]
    found = subprocess.run(command, cwd=ROOT, env=os.environ | QUIET_ENV, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1 and "nothing.csv" in found.stderr and "Traceback" not in found.stderr


def test_T8_T9_nothing_of_a_child_is_left_behind(shop: Bench) -> None:
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_nsignals == 0
    assert not [path for path in shop.folder.glob("*/checkpoints/.staging-*") if path.parent.parent.name.startswith("whole")]
    assert all(checkpoints(run) for run in shop.whole.values())
