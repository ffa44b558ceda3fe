"""T6, and everything else that is written: a full disk, and a kill at any write of the end of a run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneloop import checkpoint, commit
from tests.faults.harness import SEED, Bench, checkpoints, copy, differences, leftovers, outcome, sha256, steps

SHORT: dict[str, Any] = {"epochs": 1}
WRITTEN = ("model", "predictions.jsonl", "metrics.json", "report.html", "README.md", "run.json", "recipe.yaml", "splits.json")


def steps_or_none(run: Path) -> list[int]:
    """The steps in log.jsonl, none where it is not there."""
    return steps(run) if (run / "log.jsonl").exists() else []


# ---- T6: a full disk ------------------------------------------------------------------------------
@contextlib.contextmanager
def small_disk(path: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes at `path`; skips where it cannot be mounted."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def fill(path: Path, leave: int) -> Path:
    """A file that leaves `leave` bytes on the disk of `path`."""
    big = path / "somebody-elses.bin"
    usage = os.statvfs(path)
    with big.open("wb") as stream:
        stream.write(b"\0" * max(0, usage.f_bavail * usage.f_frsize - leave))
    return big


def sizes(shop: Bench) -> int:
    """Bytes of one checkpoint of the sample model."""
    return sum(item.stat().st_size for item in checkpoints(shop.reference(SHORT))[-1].iterdir())


def test_T6_without_room_for_a_checkpoint_nothing_begins(shop: Bench) -> None:
    with small_disk(shop.new("disk"), 1_000_000) as disk:
        child = shop.train(disk / "run", SHORT)
        assert child.code == 1 and re.search(r"the disk is full: \d+ MB more are needed", child.err), child.said
        assert "Traceback" not in child.err and not checkpoints(disk / "run")


@pytest.mark.parametrize("when", ["oneloop.checkpoint:save", "oneloop.runlog:RunLog.write"])
def test_T6_a_disk_that_fills_up_in_training_keeps_the_last_good_checkpoint(shop: Bench, when: str) -> None:
    with small_disk(shop.new("disk"), 8_000_000) as disk:
        run = disk / "run"
        leave = 0 if when.endswith("write") else sizes(shop) // 2
        nth = 5 if when.endswith("write") else 4  # the first line of the log is the evaluation before training
        plants = [("fill_at", {"target": when, "nth": nth, "folder": str(disk), "leave": leave})]
        child = shop.train(run, SHORT, plants=plants)
        assert child.code == 1, child.said
        assert re.search(r"the disk is full: \d+ MB more are needed", child.err) and "what was saved before is intact" in child.err
        assert "Traceback" not in child.err
        assert not leftovers(run)
        found, _ = checkpoint.newest(run / "checkpoints")
        assert found is not None and found.state.step == 3
        (disk / "somebody-elses.bin").unlink()
        assert shop.train(run, SHORT).code == 0
        assert not differences(outcome(shop.reference(SHORT)), outcome(run))


@pytest.mark.parametrize("when", ["oneloop.ship.save:save_model", "oneloop.finish:write_predictions", "oneloop.finish:describe"])
def test_T6_a_disk_that_fills_up_at_the_end_is_finished_later(shop: Bench, when: str) -> None:
    with small_disk(shop.new("disk"), 8_000_000) as disk:
        run = disk / "run"
        plants = [("fill_at", {"target": when, "nth": 1, "folder": str(disk), "leave": 8192 if "save" in when else 0})]
        child = shop.train(run, SHORT, plants=plants)
        assert child.code == 1, child.said
        assert re.search(r"the disk is full: \d+ MB more are needed", child.err) and "Traceback" not in child.err
        assert not leftovers(run)
        assert json.loads((run / "run.json").read_text())["status"] == "running"
        (disk / "somebody-elses.bin").unlink()
        again = shop.train(run, SHORT)
        assert again.code == 0
        assert not differences(outcome(shop.reference(SHORT)), outcome(run))
        assert "going on after step 6" in "\n".join(json.loads((run / "metrics.json").read_text())["notes"])


def test_T6_a_limit_on_the_size_of_files_is_named(shop: Bench) -> None:
    run = shop.new("limit")
    child = shop.train(run, SHORT, plants=[("small_files", {"size": 60_000})])
    assert child.code == 1 and "ulimit -f" in child.err and "Traceback" not in child.err, child.said
    assert not leftovers(run) and not checkpoints(run)
    assert shop.train(run, SHORT).code == 0
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))


# ---- the end of a run: old or new, and the same command completes it --------------------------------
@pytest.fixture(scope="module")
def ended(shop: Bench) -> Path:
    """A run whose steps are done and saved, killed before anything of its results was written."""
    run = shop.new("ended")
    child = shop.train(run, SHORT, plants=[("signal_at", {"target": "oneloop.finish:restore_best", "nth": 1, "number": 9})])
    assert child.code == -9 and checkpoints(run)[-1].name.startswith("step-00000006")
    return run


def points_of_the_end(shop: Bench, ended: Path, plants: list[tuple[str, dict[str, Any]]]) -> list[tuple[int, bool, str]]:
    """(number of the call, in the middle of it?, what it does) for all calls after the last checkpoint."""
    run, journal = copy(ended, shop.new("counted")), shop.folder / "journal"
    child = shop.train(run, SHORT, plants=[*plants, ("count_calls", {"root": str(run), "journal": str(journal)})])
    assert child.code == 0, child.said
    calls = [line.split(" ", 2) for line in journal.read_text().splitlines()]
    first = next(i for i, (_, call, path) in enumerate(calls) if call == "mkdir" and ".staging-model" in path)
    found = [(int(number), False, f"{call} {path}") for number, call, path in calls[first:]]
    return found + [(number, True, f"half of {told}") for number, _, told in found if told.startswith("write")]


def contents(run: Path) -> dict[str, Any]:
    """Each part of a run folder: the hash of a file, the manifest of the model (None where it is not there)."""
    parts: dict[str, Any] = {}
    for name in WRITTEN:
        path = run / name
        if name == "model":
            parts[name] = commit.verify(path)["files"] if path.exists() else None
        else:
            parts[name] = sha256(path) if path.exists() else None
    return parts


def kill_at_the_end(shop: Bench, start: Path, number: int, half: bool, told: str, plants: list[tuple[str, dict[str, Any]]]) -> None:
    """Kill at one call; every part is the old one or the new one, and the same command completes the run."""
    run = copy(start, shop.new("end"))
    old = contents(run)
    plant = {"root": str(run), "journal": str(shop.folder / "journal"), "kill_at": number, "half": half}
    child = shop.train(run, SHORT, plants=[*plants, ("count_calls", plant)])
    assert child.code == -signal.SIGKILL, f"{told}\n{child.said}"
    if plants:  # a file system without a swap: until the next run the model may be set aside, whole
        commit.recover(run)
    now = contents(run)
    whole = outcome(shop.reference(SHORT))
    for name in ("metrics.json", "run.json"):
        json.loads((run / name).read_text()) if now[name] else None
    if now["model"] != old["model"]:
        assert now["model"]["model.safetensors"]["sha256"] == whole["weights"], told
    if now["predictions.jsonl"] != old["predictions.jsonl"]:
        assert now["predictions.jsonl"] == whole["predictions"], told
    if now["report.html"] != old["report.html"]:
        assert (run / "report.html").read_text().rstrip().endswith("</html>"), told
    assert old["model"] is None or now["model"] is not None, told
    assert shop.train(run, SHORT).code == 0, told
    assert not differences(whole, outcome(run)), told
    assert not leftovers(run), told


def test_T1_kill_at_some_writes_of_the_end(shop: Bench, ended: Path) -> None:
    points = points_of_the_end(shop, ended, [])
    assert len(points) >= 40
    for point in random.Random(f"{SEED} end").sample(points, 8):
        kill_at_the_end(shop, ended, *point, plants=[])


@pytest.mark.nightly
@pytest.mark.parametrize("plants", [[], [("two_renames", {})]], ids=["swap", "two renames"])
def test_T1_kill_at_every_write_of_the_end_over_older_results(
    shop: Bench, ended: Path, plants: list[tuple[str, dict[str, Any]]]
) -> None:
    older = copy(ended, shop.new("older"))
    other = shop.reference({**SHORT, "learning_rate": 0.001})
    for name in ("predictions.jsonl", "metrics.json", "report.html", "README.md"):
        (older / name).write_bytes((other / name).read_bytes())
    copy(other / "model", older / "model")
    points = points_of_the_end(shop, older, plants)
    for point in points:
        kill_at_the_end(shop, older, *point, plants=plants)
    print(f"\nT1: {len(points)} of {len(points)} points of the end")


def test_T1_a_set_aside_model_is_put_back(shop: Bench, ended: Path) -> None:
    older = copy(ended, shop.new("aside"))
    copy(shop.reference({**SHORT, "learning_rate": 0.001}) / "model", older / "model")
    points = points_of_the_end(shop, older, [("two_renames", {})])
    between = [point for point in points if point[2].startswith("replace") and ".staging-model" in point[2]]
    assert between
    kill_at_the_end(shop, older, *between[0], plants=[("two_renames", {})])


def test_T6_a_line_of_the_log_is_whole_or_not_there(shop: Bench) -> None:
    from oneloop.errors import RunError
    from oneloop.runlog import RunLog

    with small_disk(shop.new("disk"), 65536) as disk:
        log = RunLog(disk / "log.jsonl")
        log.write({"step": 1})
        fill(disk, 0)
        with pytest.raises(RunError, match="the disk is full"):
            for number in range(2000):
                log.write({"step": number + 2, "text": "x" * 200})
        log.close()
        lines = (disk / "log.jsonl").read_bytes().split(b"\n")
        assert lines[-1] == b"" and all(json.loads(line) for line in lines[:-1])
