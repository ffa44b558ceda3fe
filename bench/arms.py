"""Run measurements one after the other, keep each result, and write RESULTS.md from all of them.

python bench/arms.py            every arm without a result
python bench/arms.py NAME …     these arms (again)
python bench/arms.py --list
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = ROOT / ".." / "shared" / "data"
RESULTS = HERE / "results"

# name: (folder under the data, metric, goal, most seconds of training, further settings)
QUALITY: dict[str, tuple[str, str, float, float | None, list[str]]] = {
    "banking77": ("quick/seq_cls/banking77", "accuracy", 0.92, 150, []),
    "snips_slots": ("quick/token_cls/snips_slots", "f1", 0.92, 120, []),
    "wikigold": ("quick/token_cls/wikigold", "f1", 0.68, 120, []),
    "bc5cdr": ("bench/bc5cdr", "f1", 0.80, None, ["--epochs", "3"]),
    "squad_v1.1": ("bench/squad_v1.1", "f1", 0.72, None, []),
}
SEEDS = {"bc5cdr": (1,), "squad_v1.1": (1,)}


def train(folder: Path, output: Path, seed: int, extra: list[str]) -> dict[str, Any]:
    """One `oneloop train` in a process of its own; its metrics.json."""
    command = [
        sys.executable,
        "-m",
        "oneloop",
        "train",
        "--train",
        *sources(folder),
        "--output",
        str(output),
        "--seed",
        str(seed),
        "--json",
        "--quiet",
        *extra,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}\n{done.stdout}")
    return dict(json.loads((output / "metrics.json").read_text()))


def sources(folder: Path) -> list[str]:
    """The three split files of a folder as flags."""
    found = {split: next(folder.glob(f"{split}.*")) for split in ("train", "validation", "test") if list(folder.glob(f"{split}.*"))}
    flags = [str(found["train"])]
    for split in ("validation", "test"):
        if split in found:
            flags += [f"--{split}", str(found[split])]
    return flags


def quality(name: str) -> dict[str, Any]:
    """Train with each seed; the metric, its interval and the seconds of training."""
    folder, metric, goal, limit, extra = QUALITY[name]
    rows = []
    for seed in SEEDS.get(name, (1, 2, 3)):
        with tempfile.TemporaryDirectory() as scratch:
            found = train(DATA / folder, Path(scratch) / "run", seed, extra)
        value = found["metrics"][metric]
        rows.append(
            {
                "seed": seed,
                "value": value["value"],
                "ci95": value["ci95"],
                "train_s": found["time"]["train_s"],
                "reload": found["reload_check"],
            }
        )
        print(name, rows[-1], flush=True)
    return {"kind": "quality", "data": folder, "metric": metric, "goal": goal, "limit_s": limit, "extra": extra, "rows": rows}


def script(path: str, *arguments: str) -> dict[str, Any]:
    """A measuring script that prints one JSON object on its last line."""
    done = subprocess.run(
        [sys.executable, str(HERE / path), *arguments], capture_output=True, text=True, cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"}
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return {
        "kind": "script",
        "command": f"python bench/{path} {' '.join(arguments)}".strip(),
        **json.loads(done.stdout.strip().splitlines()[-1]),
    }


SCRIPTS = {
    "startup": ("startup.py",),
    "speed_sequence": ("speed.py", "quick/seq_cls/banking77"),
    "speed_token": ("speed.py", "quick/token_cls/wikigold"),
    "speed_question": ("speed_question.py",),
    "qa_decoding": ("qa_decoding.py",),
    "checkpoint_cost": ("checkpoint_cost.py",),
}


def measure(name: str) -> None:
    """Run one arm and keep its result."""
    began = time.time()
    found = quality(name) if name in QUALITY else script(*SCRIPTS[name])
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    found |= {
        "commit": commit,
        "seconds": round(time.time() - began, 1),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(name, json.dumps(found), flush=True)


def write_table() -> None:
    """RESULTS.md from every result there is; the part after the marker is written by hand and kept."""
    target = HERE / "RESULTS.md"
    marker = "<!-- by hand from here -->"
    kept = target.read_text().split(marker)[1] if target.exists() and marker in target.read_text() else "\n"
    lines = ["# Results", "", "`python bench/arms.py` wrote the tables; each row names the commit it was measured at.", ""]
    lines += [
        "## Quality, default recipe, model minilm",
        "",
        "| set | metric | goal | median | each seed (95 % interval; seconds of training) | met | commit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in QUALITY:
        path = RESULTS / f"{name}.json"
        if path.exists():
            lines.append(quality_line(name, json.loads(path.read_text())))
    lines += ["", "## Speed and cost", ""]
    for name in SCRIPTS:
        path = RESULTS / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text())
            lines += [f"**{name}** (`{found['command']}`, commit {found['commit']}): {found['summary']}", ""]
    target.write_text("\n".join(lines) + "\n" + marker + kept)


def quality_line(name: str, found: dict[str, Any]) -> str:
    """One row of the table."""
    values = [row["value"] for row in found["rows"]]
    middle = statistics.median(values)
    slow = found["limit_s"] and max(row["train_s"] for row in found["rows"]) > found["limit_s"]
    limit = f" in ≤ {found['limit_s']:g} s" if found["limit_s"] else ""
    each = "; ".join(f"{row['value']:.4f} ({row['ci95'][0]:.3f}–{row['ci95'][1]:.3f}; {row['train_s']:.0f} s)" for row in found["rows"])
    verdict = "yes" if middle >= found["goal"] and not slow else "**no**"
    return f"| {name} | {found['metric']} | ≥ {found['goal']}{limit} | {middle:.4f} | {each} | {verdict} | {found['commit']} |"


def main(names: list[str]) -> None:
    """The command line; see the module docstring."""
    arms = [*QUALITY, *SCRIPTS]
    if names == ["--list"]:
        print("\n".join(arms))
        return
    if shutil.which("git") is None or not DATA.exists():
        raise SystemExit("git and ../shared/data are needed")
    for name in names or [arm for arm in arms if not (RESULTS / f"{arm}.json").exists()]:
        if name not in arms:
            raise SystemExit(f"no arm '{name}'; one of {', '.join(arms)}")
        measure(name)
        write_table()
    write_table()


if __name__ == "__main__":
    main(sys.argv[1:])
