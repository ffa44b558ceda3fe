"""The project around the package: make targets, shards, the README's commands."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DRUGS = ("ibuprofen", "paracetamol", "metformin", "warfarin", "insulin", "morphine")
SAID = (
    "Gave {} at noon.",
    "Patient refused {} again.",
    "{} twice daily, no side effects.",
    "Stopped {} and told the doctor.",
    "Asked for {} at night.",
)


def collected(*arguments: str) -> set[str]:
    line = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/test_recipe.py", *arguments]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return {line for line in done.stdout.splitlines() if "::" in line}


def test_three_shards_hold_every_test_once() -> None:
    parts = [collected("--shard", f"{part}/3") for part in range(3)]
    assert all(parts) and sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) == collected()


@pytest.mark.parametrize("target", ["demo", "test", "nightly", "bench", "docs"])
def test_every_target_of_make_is_there(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_ci_script_is_one_bash_can_read() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True, timeout=60)


def write_notes(folder: Path) -> None:
    """Data as the README's reader would have it: notes with marked drugs, and reviews with a mood."""
    rng = random.Random(1)
    rows = ["text,spans"]
    for number in range(240):
        drug = rng.choice(DRUGS)
        text = f"Bed {number}: {rng.choice(SAID).format(drug)}"
        start = text.index(drug)
        spans = json.dumps([{"start": start, "end": start + len(drug), "label": "DRUG"}]).replace('"', '""')
        rows.append(f'"{text}","{spans}"')
    (folder / "notes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    moods = {
        "angry": ("waited for hours", "was shouted at", "paid twice"),
        "calm": ("was helped at once", "found it quiet", "enjoyed the tea"),
    }
    lines = ["body,mood"]
    for number in range(200):
        mood = rng.choice(sorted(moods))
        lines.append(f"On visit {number} I {rng.choice(moods[mood])}.,{mood}")
    (folder / "reviews.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.nightly
def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    write_notes(tmp_path)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    blocks = re.findall(r"```(bash|python|yaml)\n(.*?)```", README, re.S)
    assert {kind for kind, _ in blocks} == {"bash", "python", "yaml"}
    for kind, text in blocks:
        if kind == "yaml":
            (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
            continue
        if kind == "python":
            (tmp_path / "example.py").write_text(text.replace('"RUN"', '"REVIEWS"'), encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith("oneloop ")] if kind == "bash" else [f"{sys.executable} example.py"]
        for line in lines:
            done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "RUN" / "report.html").exists() and (tmp_path / "REVIEWS" / "metrics.json").exists()
