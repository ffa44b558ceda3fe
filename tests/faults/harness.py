"""Run `oneloop` for real, stop it at a chosen moment, run it again, and compare what it wrote.

Every random choice comes from one seed, ONELOOP_FAULT_SEED (default 1); a failing test prints the line that repeats it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneloop import checkpoint

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("ONELOOP_FAULT_SEED", "1"))
QUIET_ENV = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
}
KINDS = ("step", "evaluation")
# what a resumed run may say differently: durations, the id of the run, what it says about its own resumption
DIFFERS = ("time", "notes", "signature")
TIMES = ("seconds", "tokens_per_s")


@dataclass
class Child:
    """One `oneloop` process."""

    server: Server
    pid: int
    stem: Path
    code: int | None = None

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code, negative where a signal ended it. TimeoutError (and it is killed) after `timeout` seconds."""
        if self.code is None:
            late = threading.Event()

            def stop() -> None:
                late.set()
                self.send(signal.SIGKILL)

            timer = threading.Timer(timeout, stop)
            timer.start()
            self.code = int(self.server.ask({"do": "wait", "pid": self.pid})["status"])
            timer.cancel()
            if late.is_set():
                raise TimeoutError(f"no end after {timeout} s\n{self.said}")
        return self.code

    def send(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_group(self, number: int) -> None:
        """Send its whole process group a signal, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    @property
    def out(self) -> str:
        """What it printed on stdout."""
        return Path(f"{self.stem}.out").read_text(errors="replace")

    @property
    def err(self) -> str:
        """What it printed on stderr."""
        return Path(f"{self.stem}.err").read_text(errors="replace")

    @property
    def said(self) -> str:
        """Everything it printed."""
        return f"--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Server:
    """The template process that forks a Child for each job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs = 0
        command = [sys.executable, "-m", "tests.faults.server"]
        environment = os.environ | QUIET_ENV
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.read() == {"ready": True}

    def read(self) -> dict[str, Any]:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError("the template process has died")
        return dict(json.loads(line))

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(question) + "\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self.read()

    def start(self, *argv: str, plants: Sequence[tuple[str, dict[str, Any]]] = (), env: dict[str, str] | None = None) -> Child:
        """Fork a child that runs `oneloop argv…` with the faults planted."""
        self.jobs += 1
        stem = self.folder / f"job{self.jobs}"
        job = {"do": "start", "argv": argv, "plants": list(plants), "env": env or {}, "cwd": str(self.folder), "out": str(stem)}
        return Child(self, int(self.ask(job)["pid"]), stem)

    def run(self, *argv: str, timeout: float = 60.0, **more: Any) -> Child:
        """A child that has ended."""
        child = self.start(*argv, **more)
        child.wait(timeout)
        return child

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


# ---- runs ------------------------------------------------------------------------------------------
BASE = {"batch_rows": 8, "epochs": 2, "evaluate_every": 0, "save_every": 1, "learning_rate": 0.003, "precision": "fp32", "quiet": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation": {"micro_tokens": 64},
    "workers": {"workers": 1},
    "evaluation": {"evaluate_every": 2},
    "mid-epoch": {"save_every": 4},
    "tokens": {"task": "token-classification", "evaluate_every": 3},
}


@dataclass
class Bench:
    """A place to run: the template process, the sample files, folders for runs, and uninterrupted runs to compare with."""

    server: Server
    sample: Path
    folder: Path
    whole: dict[str, Path] = field(default_factory=dict)
    made: int = 0

    def new(self, name: str = "run") -> Path:
        """A folder that no run has used."""
        self.made += 1
        return self.folder / f"{name}-{self.made}"

    def argv(self, output: Path, settings: dict[str, Any]) -> list[str]:
        """The words of `oneloop train` for settings over the base."""
        found = {"model": str(self.sample / "model"), **BASE, **settings, "output": str(output)}
        found.setdefault("task", "sequence-classification")
        found.setdefault("train", str(self.sample / ("words.conll" if found["task"] == "token-classification" else "texts.csv")))
        words = ["train"]
        for key, value in found.items():
            flag = "--" + key.replace("_", "-")
            words += [flag] if value is True else [] if value is False else [flag, str(value)]
        return words

    def train(self, output: Path, settings: dict[str, Any] | None = None, **more: Any) -> Child:
        """Train into `output` and wait for the end."""
        return self.server.run(*self.argv(output, settings or {}), **more)

    def start(self, output: Path, settings: dict[str, Any] | None = None, **more: Any) -> Child:
        """Train into `output` without waiting."""
        return self.server.start(*self.argv(output, settings or {}), **more)

    def reference(self, settings: dict[str, Any]) -> Path:
        """The uninterrupted run with these settings."""
        name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
        if name not in self.whole:
            path = self.folder / f"whole-{name}"
            began = time.monotonic()
            child = self.train(path, settings)
            assert child.code == 0, child.said
            (self.folder / f"whole-{name}.seconds").write_text(str(time.monotonic() - began))
            self.whole[name] = path
        return self.whole[name]

    def seconds(self, settings: dict[str, Any]) -> float:
        """How long the uninterrupted run took."""
        path = self.reference(settings)
        return float(Path(f"{path}.seconds").read_text())


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A Bench with its template process, closed at the end."""
    from tests.faults import sample

    (folder / "jobs").mkdir(parents=True)
    made = sample.make(folder / "sample")
    server = Server(folder / "jobs")
    try:
        yield Bench(server, made, folder)
    finally:
        server.close()


# ---- what a run wrote ------------------------------------------------------------------------------
def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def log_lines(run: Path, *kinds: str) -> list[dict[str, Any]]:
    """The lines of log.jsonl of these kinds (all where none is named)."""
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in found if not kinds or line["kind"] in kinds]


def steps(run: Path) -> list[int]:
    """The step numbers in log.jsonl."""
    return [line["step"] for line in log_lines(run, "step")]


def checkpoints(run: Path, kind: str = "step") -> list[Path]:
    """The committed checkpoints, oldest step first."""
    return sorted((run / "checkpoints").glob(f"{kind}-*"))


def timeless(value: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A record without what may differ."""
    return {key: one for key, one in value.items() if key not in names}


def outcome(run: Path) -> dict[str, Any]:
    """Everything that must not depend on how often a run was interrupted."""
    last = checkpoints(run)[-1]
    return {
        "weights": sha256(run / "model" / "model.safetensors"),
        "last weights": sha256(last / "model.safetensors"),
        "moments": sha256(last / "optimizer.safetensors"),
        "steps": [timeless(line, TIMES) for line in log_lines(run, "step")],
        "evaluations": [timeless(line, TIMES) for line in log_lines(run, "evaluation")],
        "metrics": timeless(json.loads((run / "metrics.json").read_text()), DIFFERS),
        "predictions": sha256(run / "predictions.jsonl"),
        "splits": sha256(run / "splits.json"),
        "finished": json.loads((run / "run.json").read_text())["status"],
        "checkpoints": [(kind, step) for kind in ("step", "best") for step, _ in checkpoint.listed(run / "checkpoints", kind, None)[0]],
        "pages": [(run / name).stat().st_size > 0 for name in ("report.html", "README.md", "recipe.yaml")],
        "model files": sorted(path.name for path in (run / "model").iterdir()),
    }


def leftovers(run: Path) -> list[str]:
    """Unfinished and set-aside files anywhere in a run folder."""
    return [str(path.relative_to(run)) for path in run.rglob(".*") if path.name.startswith((".staging-", ".old-"))]


def differences(first: dict[str, Any], second: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The parts of two outcomes that are not equal."""
    return {key: (first[key], second[key]) for key in first if first[key] != second[key]}


def copy(run: Path, to: Path) -> Path:
    """The run folder as it stands, elsewhere."""
    shutil.copytree(run, to)
    return to
