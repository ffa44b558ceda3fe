"""What checkpoints cost, and how long a stop takes: minilm on banking77, with the default settings.

- save: weights, optimizer moments, state, SHA-256, fsync. best: the weights alone.
- share: of the training time that goes into both when each epoch ends with one of each, as by default (evaluation every
  epoch, the best kept; a save that would cost more than 3 % of the time since the last one is left out).
- stop to saved: from SIGTERM in the middle of a step to the end of the command's own work, against the step's length.

Goals: share at most 5 %; stop to saved at most one step and 5 s; at most 2 s for each GB of hashing and syncing.

Run: python bench/checkpoint_cost.py [--steps 20] [--data FOLDER], about 40 s; --whole trains to the end with the defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "../shared/data/quick/seq_cls/banking77"
GOALS = {"share": 0.05, "stop_beyond_a_step_s": 5.0, "hash_and_sync_s_per_gb": 2.0}


class Watch:
    """Times every save of a run, and stops it in the middle of a step."""

    def __init__(self, stop_after: int | None) -> None:
        self.stop_after = stop_after
        self.saves: list[float] = []
        self.bests: list[float] = []
        self.steps: list[float] = []
        self.stopped_at = 0.0
        self.folder = Path()

    def timed(self, real: Any, into: list[float]) -> Any:
        """A method of Run that also notes how long it took."""

        def method(run: Any, *rest: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return real(run, *rest, **more)
            finally:
                into.append(time.perf_counter() - began)

        return method

    def __call__(self, event: dict[str, Any]) -> None:
        """Collect the length of each step; after `stop_after` steps ask for a stop in the middle of the next one."""
        if event["kind"] == "step":
            self.steps.append(event["seconds"])
            if event["step"] == self.stop_after:
                threading.Timer(statistics.median(self.steps) / 2, self.stop).start()
        elif event["kind"] == "saved":
            self.folder = Path(event["path"])

    def stop(self) -> None:
        """SIGTERM to this very process."""
        self.stopped_at = time.perf_counter()
        os.kill(os.getpid(), signal.SIGTERM)


def measure(data: Path, output: Path, steps: int | None) -> dict[str, Any]:
    """Train for `steps` steps (to the end where None) and return what was measured, in seconds and bytes."""
    import oneloop
    from oneloop.errors import Stopped
    from oneloop.run import Run

    watch = Watch(steps)
    Run.save = watch.timed(Run.save, watch.saves)  # type: ignore[method-assign]
    Run.save_best = watch.timed(Run.save_best, watch.bests)  # type: ignore[method-assign]
    files = {split: str(data / f"{split}.csv") for split in ("train", "validation", "test")}
    every = {} if steps is None else {"save_every": max(steps // 4, 1)}
    stopped = None
    try:
        oneloop.train(task="sequence-classification", output=str(output), on_event=watch, **files, **every)
    except Stopped:
        stopped = time.perf_counter() - watch.stopped_at
    step = statistics.median(watch.steps)
    epoch = -(-sum(1 for _ in (data / "train.csv").open()) // 16) * step
    save, best = statistics.median(watch.saves), statistics.median(watch.bests or [0.0])
    size = sum(item.stat().st_size for item in watch.folder.iterdir())
    found = {
        "step_s": step,
        "steps_measured": len(watch.steps),
        "save_s": save,
        "saves_measured": len(watch.saves),
        "checkpoint_bytes": size,
        "hash_and_sync_s_per_gb": hash_and_sync(watch.folder, output) / (size / 1e9),
        "epoch_s": epoch,
        "share": (save + (best or save / 3)) / epoch,
    }
    if stopped is not None:
        found |= {"stop_to_saved_s": stopped, "stop_beyond_a_step_s": max(0.0, stopped - step)}
    else:
        found |= {"share": (sum(watch.saves) + sum(watch.bests)) / sum(watch.steps), "best_s": best, "train_s": sum(watch.steps)}
    return found


def hash_and_sync(folder: Path, output: Path) -> float:
    """Seconds that hashing and syncing add to writing the same bytes without either."""
    from oneloop.commit import write_synced

    data = b"".join(item.read_bytes() for item in sorted(folder.iterdir()))
    began = time.perf_counter()
    (output / "plain.bin").write_bytes(data)
    plain = time.perf_counter() - began
    began = time.perf_counter()
    write_synced(output / "synced.bin", data)
    return max(0.0, time.perf_counter() - began - plain)


def main() -> None:
    """Measure, print a line for each goal, and at the end everything as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.data, Path(folder) / "run", None if given.whole else given.steps)
    for name, limit in GOALS.items():
        if name in found:
            print(f"{'holds' if found[name] <= limit else 'MISSED'}: {name} {found[name]:.4f}, goal at most {limit}")
    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}))


if __name__ == "__main__":
    main()
