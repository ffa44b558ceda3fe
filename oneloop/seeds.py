"""The same training with several seeds: how much of a score is luck.

In:  a recipe with `seeds: N`
Out: OUTPUT/seed-S for S = seed, seed + 1, … (N run folders) and OUTPUT/seeds.json; the Result of the median run.

seeds.json:

    {"oneloop": version, "task": id, "split": "test", "primary": "f1", "seeds": [1, 2, 3], "status": "finished",
     "metrics": {"f1": {"median": 0.91, "values": [0.90, 0.92, 0.91], "ci95": [[…], […], […]]}, …},
     "median_run": "seed-3", "runs": [{"seed": 1, "path": "seed-1", "rows": 500, "notes": […]}, …]}

Nothing is chosen among the seeds: every value is listed, and the median stands for them. With an even number of runs the
median run is the worse of the two in the middle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop import __version__, commit
from oneloop.errors import RecipeError, RunError

if TYPE_CHECKING:
    from oneloop.recipe import Recipe
    from oneloop.run import Result

SUMMARY = "seeds.json"
LOWER_IS_BETTER = frozenset({"loss", "perplexity", "rmse"})


def train_seeds(recipe: Recipe, on_event: Callable[[dict[str, Any]], None] | None = None) -> Result:
    """Train `recipe.seeds` times and summarise. Interrupted, the same command goes on: finished seeds are taken as they are.

    Raises what `train` raises.
    """
    from oneloop.recipe import LARGEST_SEED
    from oneloop.run import Result, output_folder, train

    if recipe.train is None:
        raise RecipeError("there is nothing to train on", expected="a file, folder or hf:NAME", fix="--train FILE")
    if recipe.seed + recipe.seeds - 1 > LARGEST_SEED:
        raise RecipeError(
            f"the last seed would be {recipe.seed + recipe.seeds - 1}", expected=f"at most {LARGEST_SEED}", fix="a smaller --seed"
        )
    folder = output_folder(recipe)
    with contextlib.suppress(OSError):
        (folder / "checkpoints").rmdir()  # only the runs inside have checkpoints
    asked = hashlib.sha256(recipe.model_copy(update={"output": None}).to_yaml().encode()).hexdigest()
    finished = finished_seeds(folder, asked)
    results: dict[int, Result] = {}
    for seed in range(recipe.seed, recipe.seed + recipe.seeds):
        place = folder / f"seed-{seed}"
        if seed in finished:
            results[seed] = Result(place, json.loads((place / "metrics.json").read_text(encoding="utf-8")))
            if on_event is not None:
                on_event({"kind": "note", "text": f"seed {seed} is finished and taken as it is"})
            continue
        if on_event is not None:
            on_event({"kind": "note", "text": f"seed {seed} ({len(results) + 1} of {recipe.seeds}): {place}"})
        results[seed] = train(recipe.model_copy(update={"seeds": 1, "seed": seed, "output": str(place)}), on_event=on_event)
        last = len(results) == recipe.seeds
        summary = summarise(folder, results) | {"asked": asked, "status": "finished" if last else "running"}
        commit.write_sealed(folder / SUMMARY, summary)
    chosen = results[median_seed(results)]
    return Result(chosen.path, chosen.metrics | {"seeds": summarise(folder, results)}, chosen.notes)


def finished_seeds(folder: Path, asked: str) -> set[int]:
    """The seeds that an interrupted call with the same recipe has finished; none after one that came to its end."""
    try:
        found = commit.read_sealed(folder / SUMMARY)
        if found["asked"] != asked or found["status"] != "running":
            return set()
        return {int(seed) for seed in found["seeds"] if whole(folder / f"seed-{seed}")}
    except (commit.Corrupt, KeyError):
        return set()


def whole(place: Path) -> bool:
    """Whether the results of a finished run are as it wrote them; if not, it is done again."""
    try:
        return commit.verify_run(place, ("metrics.json", "predictions.jsonl"))
    except RunError:
        return False


def summarise(folder: Path, results: dict[int, Result]) -> dict[str, Any]:
    """The contents of seeds.json for the runs so far."""
    first = next(iter(results.values())).metrics
    names = [name for name in first["metrics"] if all(name in result.metrics["metrics"] for result in results.values())]
    metrics = {}
    for name in names:
        entries = [result.metrics["metrics"][name] for result in results.values()]
        known = [entry["value"] for entry in entries if entry["value"] is not None]
        metrics[name] = {
            "median": statistics.median(known) if known else None,
            "values": [entry["value"] for entry in entries],
            "ci95": [entry["ci95"] for entry in entries],
        }
    return {
        "oneloop": __version__,
        "task": first["task"],
        "split": first["split"],
        "primary": first["primary"],
        "seeds": list(results),
        "metrics": metrics,
        "median_run": results[median_seed(results)].path.name,
        "runs": [
            {"seed": seed, "path": str(result.path.relative_to(folder)), "rows": result.metrics["rows"], "notes": result.metrics["notes"]}
            for seed, result in results.items()
        ],
    }


def median_seed(results: dict[int, Result]) -> int:
    """The seed whose primary metric is the median; of two in the middle the worse, undefined values worst of all."""
    sign = -1 if next(iter(results.values())).metrics["primary"] in LOWER_IS_BETTER else 1

    def goodness(seed: int) -> tuple[float, int]:
        metrics = results[seed].metrics
        value = metrics["metrics"][metrics["primary"]]["value"]
        return (float("-inf") if value is None else sign * value, -seed)

    ordered = sorted(results, key=goodness)
    return ordered[(len(ordered) - 1) // 2]
