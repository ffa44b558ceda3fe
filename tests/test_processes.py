"""C124-C128: one run on several processes. The same rows, losses, scores and files as on one; only the first process writes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.engines import samples
from tests.faults.harness import QUIET_ENV, Child, Server

SECONDS = 120.0  # a process that takes longer hangs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write(Path(tmp_path_factory.mktemp("processes")))


@pytest.fixture(scope="module")
def server(world: Path) -> Iterator[Server]:
    found = Server(world)
    yield found
    found.close()


def words(settings: dict[str, Any]) -> list[str]:
    """`oneloop train` with these settings."""
    found = ["train", "--quiet"]
    for name, value in settings.items():
        shown = ",".join(f"{role}={column}" for role, column in value.items()) if isinstance(value, dict) else str(value)
        found += ["--" + name.replace("_", "-"), shown]
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(server: Server, count: int, argv: Sequence[str], **more: Any) -> list[Child]:
    """What `accelerate launch --cpu --num_processes COUNT` starts: `count` processes that know each other's address."""
    common = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [server.start(*argv, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, **more) for rank in range(count)]


def launched(server: Server, world: Path, count: int, kind: str, name: str = "", **more: Any) -> Path:
    """The folder of a finished run on `count` processes; one process is started without a launcher."""
    run = world / "runs" / f"{kind}-{count}-{name or '-'.join(f'{key}_{value}' for key, value in more.items())}"
    if run.exists() and not name:
        return run
    argv = words(samples.settings(world, kind, output=str(run), **more))
    children = [server.start(*argv)] if count == 1 else start(server, count, argv)
    codes = [child.wait(SECONDS) for child in children]
    assert codes == [0] * count, "\n".join(child.said for child in children)
    for child in children[1:]:
        assert child.out == ""
    return run


def metrics(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "metrics.json").read_text()))


def predictions(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("kind", "count", "engine"),
    [
        ("single", 2, "loop"),
        ("tokens", 3, "trainer"),
        ("answers", 4, "loop"),
        ("long", 2, "trainer"),
        pytest.param("single", 4, "trainer", marks=pytest.mark.nightly),
        pytest.param("tokens", 4, "loop", marks=pytest.mark.nightly),
        pytest.param("answers", 2, "trainer", marks=pytest.mark.nightly),
        pytest.param("multi", 3, "loop", marks=pytest.mark.nightly),
        pytest.param("regression", 4, "trainer", marks=pytest.mark.nightly),
    ],
)
def test_C124_same_rows_losses_and_scores_as_one_process(server: Server, world: Path, kind: str, count: int, engine: str) -> None:
    """54 rows, 11 and 13 to evaluate, steps of 5 rows in passes of about two: nothing divides by anything."""
    more = {"engine": engine, "micro_tokens": 40, "dropout": 0.1, "epochs": 1, "evaluate_every": 4}
    alone, together = (launched(server, world, n, kind, **more) for n in (1, count))
    ours, theirs = samples.log(alone), samples.log(together)
    assert [line["rows"] for line in ours] == [line["rows"] for line in theirs]
    assert len(ours) == 11
    for one, two in zip(ours, theirs):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
    first, second = samples.validations(alone), samples.validations(together)
    assert [line["step"] for line in first] == [line["step"] for line in second] == [4, 8, 11]
    assert [line["metrics"]["loss"] for line in first] == pytest.approx([line["metrics"]["loss"] for line in second], abs=1e-4)
    assert [line["id"] for line in predictions(together)] == [line["id"] for line in predictions(alone)]
    assert len(predictions(together)) == metrics(together)["rows"] == 13
    assert metrics(together)["reload_check"] == "identical"
    for name, found in metrics(alone)["metrics"].items():
        assert metrics(together)["metrics"][name]["value"] == pytest.approx(found["value"], abs=5e-3), name


def score(rank: int, count: int, port: int, run: Path, data: Path, out: Path) -> None:
    """In a process of its own: score the model of a run on a file, beside `count` - 1 others."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    from accelerate import PartialState

    from oneloop import processes
    from oneloop.diagnose.columns import map_columns
    from oneloop.measure.evaluate import Engine, evaluate_rows
    from oneloop.read import read
    from oneloop.read.roles import to_rows
    from oneloop.ship.predict import load

    PartialState._reset_state()  # a Trainer in the process this one was forked from may have been on its own
    found_rank, world, _ = processes.start()
    assert (found_rank, world) == (rank, count)
    model, table, seen = load(run), read(str(data)), []
    rows = model.task.prepare_rows(to_rows(table, model.task, map_columns(table, model.task.name))[0])[0]
    forward = type(model.task).forward

    def seen_forward(task: Any, net: Any, batch: Any) -> Any:
        seen.extend(batch["rows"].tolist())
        return forward(task, net, batch)

    type(model.task).forward = seen_forward  # type: ignore[method-assign]
    engine = Engine(model.engine.model, model.engine.tokenizer, rank=rank, world=world, batch_tokens=30)
    found = evaluate_rows(model.task, engine, rows)
    out.write_text(json.dumps({"metrics": found.metrics(), "seen": seen}))


@pytest.mark.parametrize("kind", ["single", "tokens", "answers"])
def test_C124_C125_one_model_scores_the_same_on_1_2_and_4_processes(server: Server, world: Path, kind: str, tmp_path: Path) -> None:
    run = launched(server, world, 1, kind, epochs=1)
    data = world / f"validation.{samples.KINDS[kind]['data']}"
    found = {}
    for count in (1, 2, 4):
        context, port = multiprocessing.get_context("fork"), free_port()
        outs = [tmp_path / f"{count}-{rank}.json" for rank in range(count)]
        spawned = [context.Process(target=score, args=(rank, count, port, run, data, outs[rank])) for rank in range(count)]
        for process in spawned:
            process.start()
        for process in spawned:
            process.join(SECONDS)
        assert [process.exitcode for process in spawned] == [0] * count
        found[count] = [json.loads(out.read_text()) for out in outs]
        seen = [row for one in found[count] for row in one["seen"]]
        assert set(seen) == set(range(11))
        assert len(seen) == 11 or kind == "answers"  # each row once, on one process; a question's windows are counted one by one
        for one in found[count]:  # and every process knows the score
            assert one["metrics"] == pytest.approx(found[1][0]["metrics"], abs=1e-6)


def test_a_step_with_fewer_passes_than_processes_does_not_hang(server: Server, world: Path) -> None:
    """All rows of a step in one pass: three of four processes have nothing to do."""
    alone, together = (launched(server, world, count, "tokens", epochs=1, micro_tokens=8192) for count in (1, 4))
    ours, theirs = ([line["loss"] for line in samples.log(run)] for run in (alone, together))
    assert theirs == pytest.approx(ours, abs=1e-5)


def test_only_the_first_process_writes(server: Server, world: Path) -> None:
    """The same files, each log line once, one run.json, no leftovers."""
    alone, together = (launched(server, world, count, "single", epochs=1, save_every=4) for count in (1, 2))

    def files(run: Path) -> list[str]:
        found = (path.relative_to(run).parts for path in run.rglob("*") if path.is_file())
        return sorted("/".join(part.rsplit("-", 1)[0] if part.startswith("step-") else part for part in parts) for parts in found)

    assert files(alone) == files(together)
    assert [line["step"] for line in samples.log(together)] == list(range(1, 12))


@pytest.mark.parametrize("engine", ["loop", "trainer"])
def test_C039_processes_agree_when_to_stop_and_return_to_the_same_best_weights(server: Server, world: Path, engine: str) -> None:
    more = {"engine": engine, "patience": 2, "evaluate_every": 2, "epochs": 9, "learning_rate": 0.05, "seed": 5}
    alone, together = (launched(server, world, count, "single", **more) for count in (1, 2))
    assert len(samples.log(together)) < 99
    lines = samples.validations(together)
    assert [line["best"] for line in lines][-2:] == [False, False]
    assert [line["best"] for line in lines] == [line["best"] for line in samples.validations(alone)]
    best = max(line["step"] for line in lines if line["best"])
    assert any(f"weights of step {best}" in text for text in metrics(together)["notes"])
    for name, found in metrics(alone)["metrics"].items():  # a process that kept its last weights would spoil the score
        assert metrics(together)["metrics"][name]["value"] == pytest.approx(found["value"], abs=0.02), name


@pytest.mark.parametrize(("engine", "who"), [("loop", "one"), ("trainer", "all")])
def test_C127_SIGTERM_stops_all_processes_after_one_step_and_the_run_goes_on(server: Server, world: Path, engine: str, who: str) -> None:
    more = {"engine": engine, "epochs": 12, "save_every": 0}
    whole = launched(server, world, 2, "tokens", **more)
    run = world / "runs" / f"stopped-{engine}-{who}"
    argv = words(samples.settings(world, "tokens", output=str(run), **more))
    children = start(server, 2, argv)
    until(lambda: (run / "log.jsonl").exists() and len((run / "log.jsonl").read_text().splitlines()) > 6)
    for child in children if who == "all" else children[1:]:
        child.send(signal.SIGTERM)
    assert [child.wait(SECONDS) for child in children] == [143, 143], "\n".join(child.said for child in children)
    done = len(samples.log(run))
    assert 5 < done < 132
    children = start(server, 2, argv)
    assert [child.wait(SECONDS) for child in children] == [0, 0], "\n".join(child.said for child in children)
    assert any(f"going on after step {done}" in text for text in metrics(run)["notes"])
    assert [line["loss"] for line in samples.log(run)] == [line["loss"] for line in samples.log(whole)]
    assert (run / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()


def until(condition: Any, seconds: float = SECONDS) -> None:
    """Wait for something to be true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_a_run_that_began_on_two_processes_ends_on_one(server: Server, world: Path) -> None:
    more = {"epochs": 12, "save_every": 3}
    run = world / "runs" / "fewer"
    argv = words(samples.settings(world, "tokens", output=str(run), **more))
    children = start(server, 2, argv)
    until(lambda: (run / "log.jsonl").exists() and len((run / "log.jsonl").read_text().splitlines()) > 6)
    for child in children:
        child.send(signal.SIGKILL)
        child.wait()
    alone = server.run(*argv, timeout=SECONDS)
    assert alone.code == 0, alone.said
    assert [line["step"] for line in samples.log(run)] == list(range(1, 133))


def test_wrong_data_ends_every_process_with_1_and_a_message(server: Server, world: Path) -> None:
    bad = world / "bad.jsonl"
    bad.write_text('{"text": "the bed was cold", "label": "bad"}\n{"text": "the bed was warm"\n')
    settings = samples.settings(world, "single", train=str(bad), output=str(world / "runs" / "bad"))
    children = start(server, 2, words(settings))
    assert [child.wait(SECONDS) for child in children] == [1, 1]
    assert "bad.jsonl" in children[0].err
    assert "Traceback" not in children[0].err + children[1].err


# ---- C128: what a user types ----------------------------------------------------------------------------------
LAUNCHERS = {
    "accelerate": ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
                   "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"],
    "torchrun": ["-m", "torch.distributed.run", "--nproc_per_node", "2"],
}  # fmt: skip


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_C128_accelerate_launch_and_torchrun_start_the_command(server: Server, world: Path, launcher: str) -> None:
    engine = "loop" if launcher == "accelerate" else "trainer"
    run = world / "runs" / launcher
    port = ["--main_process_port" if launcher == "accelerate" else "--master_port", str(free_port())]
    argv = words(samples.settings(world, "single", epochs=1, engine=engine, output=str(run)))
    command = [sys.executable, *LAUNCHERS[launcher], *port, "-m", "oneloop", *argv]
    done = subprocess.run(command, env=os.environ | QUIET_ENV, capture_output=True, text=True, timeout=300, cwd=world)
    assert done.returncode == 0, done.stderr
    alone = launched(server, world, 1, "single", epochs=1)
    assert [line["loss"] for line in samples.log(run)] == pytest.approx([line["loss"] for line in samples.log(alone)], abs=1e-5)


NOTEBOOK = """
import sys
import accelerate
import oneloop
def run(settings):
    oneloop.train(**settings)
if __name__ == "__main__":
    accelerate.notebook_launcher(run, ({settings!r},), num_processes=2, use_port="{port}")
"""


@pytest.mark.nightly
def test_C128_a_notebook_starts_two_processes(server: Server, world: Path, tmp_path: Path) -> None:
    run = world / "runs" / "notebook"
    settings = samples.settings(world, "single", epochs=1, output=str(run))
    script = tmp_path / "cell.py"
    script.write_text(NOTEBOOK.format(settings=settings, port=free_port()))
    environment = os.environ | QUIET_ENV | {"ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone = launched(server, world, 1, "single", epochs=1)
    assert [line["loss"] for line in samples.log(run)] == pytest.approx([line["loss"] for line in samples.log(alone)], abs=1e-5)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_C124_a_rank_without_a_number_of_processes_is_a_clear_error(world: Path, rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import oneloop
    from oneloop.errors import RunError

    monkeypatch.setenv("RANK", rank)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    run = world / "runs" / f"alone-{rank}"
    with pytest.raises(RunError, match=f"RANK is {rank} and WORLD_SIZE is not set"):
        oneloop.train(**samples.settings(world, "single", output=str(run)))
    assert not (run / "run.json").exists()
