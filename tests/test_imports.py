"""What starts fast stays fast: no heavy package before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "sklearn",
    "scipy",
    "pandas",
    "evaluate",
    "accelerate",
    "peft",
    "pyarrow",
    "tokenizers",
    "nltk",
    "keras",
}
LIGHT = [
    "oneloop",
    "oneloop.cli",
    "oneloop.recipe",
    "oneloop.errors",
    "oneloop.explain",
    "oneloop.tasks",
    "oneloop.diagnose",
    "oneloop.read",
]


def loaded(code: str) -> set[str]:
    """The heavy packages that a fresh Python has loaded after `code`."""
    line = f"{code}\nimport sys, json; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    assert not loaded(f"import {module}")


def test_every_task_class_loads_nothing_heavy() -> None:
    assert not loaded("from oneloop.tasks import table, task_class\nfor name in table(): task_class(name)()")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["tasks"], ["tasks", "ner"], ["--version"], ["train", "--trian", "x"]]
)
def test_commands_that_need_no_model_load_nothing_heavy(arguments: list[str]) -> None:
    run = f"import sys, contextlib, io\nsys.argv = ['oneloop', *{arguments!r}]\nfrom oneloop.cli import main\n"
    run += (
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()): main()"
    )
    assert not loaded(run)


def test_diagnose_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"I am number {i},{'even' if i % 2 else 'odd'}\n" for i in range(50)))
    assert not loaded(f"import oneloop\noneloop.diagnose('sort letters by mood')\noneloop.diagnose(data={str(tmp_path / 'a.csv')!r})")


def test_help_is_quick() -> None:
    """At most 0.4 s of processor time; waiting for a busy machine does not count."""
    spent = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "oneloop", "--help"], capture_output=True, check=True, cwd=ROOT, timeout=60)
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(spent) <= 0.4


def test_importing_the_package_is_quick() -> None:
    began = time.process_time()
    done = subprocess.run(
        [sys.executable, "-c", "import time; t = time.process_time(); import oneloop; print(time.process_time() - t)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    assert float(done.stdout) <= 0.15 and time.process_time() >= began
