"""Small finished runs, trained once per test process and removed at its end."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.faults.sample import make

ROOT = Path(__file__).resolve().parents[1]
QUIET = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONPATH": str(ROOT),
}


@cache
def samples() -> Path:
    """A folder with model/, texts.csv and words.conll."""
    folder = Path(tempfile.mkdtemp(prefix="oneloop-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make(folder)


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`oneloop` as a process of its own."""
    line = [sys.executable, "-m", "oneloop", *map(str, arguments)]
    return subprocess.run(line, cwd=cwd or samples(), capture_output=True, text=True, timeout=400, env=os.environ | QUIET)


@cache
def classified() -> Path:
    """A run of sequence classification, trained by the command line from one csv file."""
    done = command(
        "train",
        "--train",
        "texts.csv",
        "--model",
        "./model",
        "--output",
        "classified",
        "--epochs",
        "36",
        "--learning-rate",
        "5e-3",
        "--json",
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    (samples() / "classified.json").write_text(done.stdout)
    (samples() / "classified.txt").write_text(done.stderr)
    return samples() / "classified"


@cache
def tagged() -> Path:
    """A run of token classification from one CoNLL file."""
    import oneloop

    folder = samples()
    settings: dict[str, Any] = {"epochs": 6, "learning_rate": 5e-3}
    return oneloop.train(train=str(folder / "words.conll"), model=str(folder / "model"), output=str(folder / "tagged"), **settings).path


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[Any]:
    """The lines of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
