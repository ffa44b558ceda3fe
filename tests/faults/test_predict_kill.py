"""S15: predicting a file, killed at any moment, gives the same bytes; one writer per file; nothing is gone on with unverified."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from oneloop import commit
from tests.faults.harness import SEED, Bench, Child
from tests.faults.sample import write_texts
from tests.faults.test_checkpoint import DAMAGES, SHORT, damage
from tests.faults.test_stop import until

ADD = "oneloop.ship.predict_files:add"
SMALL = ("small_blocks", {"rows": 40})


class Job:
    """One prediction: model, input, and what an uninterrupted call writes."""

    def __init__(self, shop: Bench) -> None:
        self.shop = shop
        self.model = shop.reference(SHORT)
        self.input = write_texts(shop.folder / "to-predict.csv", rows=600, seed=3)
        self.whole = shop.folder / "whole.jsonl"
        began = time.monotonic()
        assert self.run(self.whole).code == 0
        self.seconds = time.monotonic() - began

    def start(self, out: Path, *plants: tuple[str, dict[str, Any]]) -> Child:
        """Begin, or go on."""
        return self.shop.server.start("predict", str(self.model), str(self.input), "--out", str(out), plants=[SMALL, *plants])

    def run(self, out: Path, *plants: tuple[str, dict[str, Any]]) -> Child:
        """Begin or go on, and wait for the end."""
        child = self.start(out, *plants)
        child.wait()
        return child

    def cut(self, out: Path, nth: int = 5) -> Path:
        """An output that was killed when its n-th block was written: the blocks before stand in its part."""
        assert self.run(out, ("signal_at", {"target": ADD, "nth": nth, "number": 9})).code == -9
        return out

    def completed(self, out: Path, said: str) -> None:
        """Go on to the end, with the same bytes, and nothing left beside the output."""
        child = self.run(out)
        assert child.code == 0 and said in child.out, child.said
        assert out.read_bytes() == self.whole.read_bytes()
        assert [path.name for path in out.parent.glob(f"*{out.name}*")] == [out.name]


@pytest.fixture(scope="module")
def job(shop: Bench) -> Job:
    return Job(shop)


def kills(job: Job, count: int) -> str:
    """Kill predictions `count` times, each at a moment drawn anew, and let them go on; only kills that ended a process count."""
    draw, done, tries, finished = random.Random(f"{SEED} predict {count}"), 0, 0, 0
    out = job.shop.new("out").with_suffix(".jsonl")
    while done < count:
        tries += 1
        assert tries < 6 * count + 20, "the moments are drawn too late"
        child = job.start(out)
        time.sleep(draw.uniform(0.0, job.seconds))
        child.send(signal.SIGKILL)
        if child.wait() == -signal.SIGKILL:
            done += 1
        else:
            assert child.code == 0, child.said
        part = out.with_name(out.name + ".part")
        if out.exists():
            finished += 1
            assert out.read_bytes() == job.whole.read_bytes()
            out.unlink()
        elif part.exists():
            assert job.whole.read_bytes().startswith(part.read_bytes()[: len(part.read_bytes()) // 200 * 100])
    job.completed(out, "600 rows")
    return f"S15: {done} of {done} kills of a prediction, {finished} outputs, all the same bytes, seed {SEED}"


def test_S15_kills_at_random_moments(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    said = kills(job, 8)
    with capsys.disabled():
        print("\n" + said)


@pytest.mark.nightly
def test_S15_a_hundred_kills_at_random_moments(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    said = kills(job, 100)
    with capsys.disabled():
        print("\n" + said)


def test_S15_what_is_done_is_not_done_again_and_said(job: Job, shop: Bench) -> None:
    out = job.cut(shop.new("out"))
    assert job.whole.read_bytes().startswith(out.with_name(out.name + ".part").read_bytes())
    job.completed(out, "going on after row 160")


@pytest.mark.parametrize("name", [".part", ".part.json"])
@pytest.mark.parametrize(("how", "where"), DAMAGES)
def test_S15_what_was_touched_since_is_begun_anew(job: Job, shop: Bench, name: str, how: str, where: str) -> None:
    out = job.cut(shop.new("out"), nth=3)
    damage(out.with_name(out.name + name), how, where)
    job.completed(out, "" if (name, how) == (".part.json", "remove") else "is not as it was written: begun anew")


def test_S15_another_input_of_the_same_size_and_time_is_not_gone_on_with(job: Job, shop: Bench) -> None:
    out, kept, times = job.cut(shop.new("out")), job.input.read_bytes(), job.input.stat()
    try:
        job.input.write_bytes(kept.replace(b"the ", b"teh ", 1))
        os.utime(job.input, ns=(times.st_atime_ns, times.st_mtime_ns))
        child = job.run(out)
        assert child.code == 0 and "an interrupted call had another inputs: begun anew" in child.out, child.said
        assert out.read_bytes() != job.whole.read_bytes()
    finally:
        job.input.write_bytes(kept)


def test_S15_another_model_is_not_gone_on_with(job: Job, shop: Bench) -> None:
    out, kept = job.cut(shop.new("out")), job.model
    job.model = shop.reference({**SHORT, "learning_rate": 0.001})
    child = job.run(out)
    job.model = kept
    assert child.code == 0 and "an interrupted call had another model: begun anew" in child.out, child.said


def test_S15_a_second_writer_is_refused_and_a_dead_ones_file_taken_over(job: Job, shop: Bench) -> None:
    out, flag = shop.new("out"), shop.folder / "writer-is-here"
    first = job.start(out, ("pause_at", {"target": ADD, "nth": 4, "flag": str(flag)}))
    until(flag.exists)
    second = job.run(out)
    assert second.code == 1 and "Traceback" not in second.err, second.said
    assert f"another process writes this file: process {first.pid} on {os.uname().nodename}" in second.err
    first.send(signal.SIGKILL)
    first.wait()
    job.completed(out, "going on after row 120")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_S15_a_stop_keeps_what_is_done(job: Job, shop: Bench, number: int, code: int) -> None:
    out = shop.new("out")
    child = job.run(out, ("signal_at", {"target": ADD, "nth": 4, "number": number}))
    assert child.code == code and "after row 120; the rows so far are kept" in child.err and "Traceback" not in child.err, child.said
    job.completed(out, "going on after row 120")


def test_S15_the_record_of_what_is_done_is_sealed(job: Job, shop: Bench) -> None:
    out = job.cut(shop.new("out"))
    record = commit.read_sealed(out.with_name(out.name + ".part.json"))
    part = out.with_name(out.name + ".part")
    assert (record["rows"], record["bytes"], record["sha256"]) == (160, part.stat().st_size, commit.sha256(part))
