"""T1: killed at any moment, a run goes on to the same weights, bit for bit; every score and line of its log with them.

Moments: drawn from the length of the uninterrupted run, and every call that changes a file during one save. A kill counts where it
ended a run. What N successes prove: the failure rate is below about 3/N (95 %): 30 kills 10 %, 300 kills 1 %.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oneloop import checkpoint
from tests.faults.harness import SEED, VARIANTS, Bench, checkpoints, differences, leftovers, log_lines, outcome, steps

ENGINES = ("loop", "trainer")
ONE_SAVE: dict[str, Any] = {"epochs": 1, "evaluate_every": 2}
AT_STEP = 4
ALL_PHASES = ("reading", "step", "evaluation", "save", "finishing")


def saved_step(run: Path) -> int:
    """The step of the newest whole checkpoint, 0 where there is none."""
    found, _ = checkpoint.newest(run / "checkpoints")
    return found.state.step if found else 0


def logged_step(run: Path) -> int:
    """The last step in log.jsonl, which may end in the middle of a line; 0 where there is none."""
    if not (run / "log.jsonl").exists():
        return 0
    lines = (run / "log.jsonl").read_text().split("\n")[:-1]
    return max((json.loads(line)["step"] for line in lines), default=0)


def goes_on(shop: Bench, run: Path, settings: dict[str, Any], told: str) -> None:
    """Run again what was killed, and compare with the uninterrupted run."""
    lost = logged_step(run) - saved_step(run)
    assert lost <= settings.get("save_every", 1), f"{lost} steps lost: {told}"
    child = shop.train(run, settings)
    assert child.code == 0, f"{told}\n{child.said}"
    assert not differences(outcome(shop.reference(settings)), outcome(run)), told
    assert not leftovers(run), told
    assert len(checkpoints(run)) <= 2, told


def kill_once(shop: Bench, settings: dict[str, Any], draw: random.Random) -> str:
    """Kill a run with these settings at a moment drawn at random, and let it go on; returns the phase the kill fell in. A run that has
    ended before its kill comes counts for nothing: another moment is drawn."""
    whole, phase = shop.seconds(settings), shop.folder / "phase"
    for _ in range(30):
        phase.unlink(missing_ok=True)
        run, after = shop.new("killed"), draw.uniform(0.0, whole)
        child = shop.start(run, settings, plants=[("phases", {"path": str(phase)})])
        time.sleep(after)
        child.send(signal.SIGKILL)
        if child.wait() != -signal.SIGKILL:
            assert child.code == 0, child.said
            continue
        where = phase.read_text().strip() if phase.exists() else "reading"
        goes_on(shop, run, settings, f"killed after {after:.3f} of {whole:.3f} s while {where}, settings {settings}, seed {SEED}")
        return where
    raise AssertionError(f"30 runs with {settings} ended before they were killed")


def many_kills(shop: Bench, engine: str, count: int) -> tuple[Counter[str], str]:
    """Kill `count` runs of an engine, every kind of run in turn; the phases the kills fell in, and one line about it."""
    draw, names = random.Random(f"{SEED} {engine} {count}"), list(VARIANTS)
    found = Counter(kill_once(shop, {**VARIANTS[names[number % len(names)]], "engine": engine}, draw) for number in range(count))
    told = ", ".join(f"{found[name]} in {name}" for name in ALL_PHASES)
    proved = f"failure rate below {3 / count:.1%} (95 %)"
    return found, f"T1: {count} of {count} kills went on to the same sha256, engine {engine}, seed {SEED}: {told}; {proved}"


def points_of_one_save(shop: Bench, settings: dict[str, Any]) -> list[tuple[int, bool, str]]:
    """(number of the call, in the middle of it?, what it does) for all calls from one step's log line to the next one's."""
    run, journal = shop.new("counted"), shop.folder / "journal"
    child = shop.train(run, settings, plants=[("count_calls", {"root": str(run), "journal": str(journal)})])
    assert child.code == 0, child.said
    calls = [line.split(" ", 2) for line in journal.read_text().splitlines()]
    logged = [line["kind"] == "step" and line["step"] for line in log_lines(run)]
    writes = [i for i, (_, call, path) in enumerate(calls) if call == "write" and path == str(run / "log.jsonl")]
    begin, end = writes[logged.index(AT_STEP)], writes[logged.index(AT_STEP + 1)]
    found = []
    for number, call, path in calls[begin : end + 1]:
        found.append((int(number), False, f"{call} {path}"))
        if call == "write":
            found.append((int(number), True, f"half of {call} {path}"))
    return found


def kill_at_point(shop: Bench, settings: dict[str, Any], number: int, half: bool, told: str) -> None:
    """Kill a run at one call, and let it go on."""
    run = shop.new("point")
    plant = {"root": str(run), "journal": str(shop.folder / "journal"), "kill_at": number, "half": half}
    child = shop.train(run, settings, plants=[("count_calls", plant)])
    assert child.code == -signal.SIGKILL, child.said
    goes_on(shop, run, settings, f"killed at call {number}: {told}, seed {SEED}")


def test_T1_the_uninterrupted_run_is_the_same_twice(shop: Bench) -> None:
    settings = {**VARIANTS["evaluation"], "engine": "loop"}
    again = shop.new()
    assert shop.train(again, settings).code == 0
    assert not differences(outcome(shop.reference(settings)), outcome(again))
    assert steps(again) == list(range(1, 13))


@pytest.mark.parametrize(("engine", "kills"), [("loop", 18), ("trainer", 12)])
def test_T1_thirty_kills_at_random_moments(shop: Bench, engine: str, kills: int, capsys: pytest.CaptureFixture[str]) -> None:
    found, told = many_kills(shop, engine, kills)
    assert found.total() == kills
    with capsys.disabled():
        print("\n" + told)


@pytest.mark.parametrize("engine", ENGINES)
def test_T1_kill_at_some_points_of_one_save(shop: Bench, engine: str) -> None:
    settings = {**ONE_SAVE, "engine": engine}
    points = points_of_one_save(shop, settings)
    assert len(points) >= 25
    for point in sorted(random.Random(f"{SEED} {engine}").sample(points, 12 if engine == "loop" else 6)):
        kill_at_point(shop, settings, *point)


@pytest.mark.nightly
@pytest.mark.parametrize("engine", ENGINES)
def test_T1_kill_at_every_point_of_one_save(shop: Bench, engine: str) -> None:
    settings = {**ONE_SAVE, "engine": engine}
    points = points_of_one_save(shop, settings)
    for point in points:
        kill_at_point(shop, settings, *point)
    print(f"\nT1: {len(points)} of {len(points)} points of one save, engine {engine}")


@pytest.mark.nightly
@pytest.mark.parametrize(("engine", "kills"), [("loop", 300), ("trainer", 100)])
def test_T1_many_kills_at_random_moments(shop: Bench, engine: str, kills: int, capsys: pytest.CaptureFixture[str]) -> None:
    found, told = many_kills(shop, engine, kills)
    assert found.total() == kills
    assert all(found[name] for name in ALL_PHASES), told
    with capsys.disabled():
        print("\n" + told)


def test_T1_a_run_killed_again_and_again_ends_the_same(shop: Bench) -> None:
    settings = {**VARIANTS["evaluation"], "engine": "loop"}
    draw, run, kills, wait = random.Random(f"{SEED} again"), shop.new("again"), 0, shop.seconds(settings)
    while kills < 6:
        child = shop.start(run, settings)
        time.sleep(draw.uniform(0.3, 1.0) * wait)
        child.send(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
        if (run / "run.json").exists() and json.loads((run / "run.json").read_text())["status"] == "finished":
            if kills:
                break
            run, wait = shop.new("again"), wait / 2  # faster than the run it was measured on: kill the next one earlier
    assert kills
    goes_on(shop, run, settings, f"{kills} kills of one run, seed {SEED}")
