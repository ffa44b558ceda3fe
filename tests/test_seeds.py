"""Several seeds: every value listed, the median chosen, an interrupted call goes on."""

from __future__ import annotations

import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import oneloop
from oneloop.errors import RecipeError
from oneloop.seeds import median_seed
from tests.trained_runs import read_json, samples


def settings(tmp_path: Path, **more: Any) -> dict[str, Any]:
    folder = samples()
    return {
        "train": str(folder / "texts.csv"),
        "model": str(folder / "model"),
        "output": str(tmp_path / "run"),
        "epochs": 1,
        "seeds": 3,
    } | more


def test_seeds_are_trained_listed_and_summarised(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(event: dict[str, Any]) -> None:
        if "seed 3 " in str(event.get("text")):
            raise Enough

    with pytest.raises(Enough):
        oneloop.train(**settings(tmp_path), on_event=stop)
    harmed = tmp_path / "run" / "seed-1" / "metrics.json"  # a changed result is not taken as it is: its seed is trained again
    harmed.write_bytes(harmed.read_bytes().replace(b"0.", b"1.", 1))
    said: list[str] = []
    result = oneloop.train(**settings(tmp_path), on_event=lambda event: said.append(str(event.get("text"))))
    assert [text for text in said if "taken as it is" in text] == ["seed 2 is finished and taken as it is"]
    found = read_json(tmp_path / "run" / "seeds.json")
    runs = [read_json(tmp_path / "run" / f"seed-{seed}" / "metrics.json") for seed in (1, 2, 3)]
    for name, entry in found["metrics"].items():
        values = [run["metrics"][name]["value"] for run in runs]
        assert entry["values"] == values and entry["median"] == statistics.median(values)
        assert entry["ci95"] == [run["metrics"][name]["ci95"] for run in runs]
    assert found["seeds"] == [1, 2, 3] and found["status"] == "finished" and found["split"] == "test"
    assert result.path.name == found["median_run"]
    assert result.metrics["metrics"][found["primary"]]["value"] == found["metrics"][found["primary"]]["median"]
    assert result.metrics["seeds"]["metrics"] == found["metrics"]


def test_the_median_run_is_the_worse_of_two_in_the_middle() -> None:
    def results(primary: str, *values: float | None) -> Any:
        return {
            seed: SimpleNamespace(metrics={"primary": primary, "metrics": {primary: {"value": value}}})
            for seed, value in enumerate(values, 1)
        }

    assert median_seed(results("f1", 0.9, 0.5, 0.7)) == 3
    assert median_seed(results("f1", 0.9, 0.5, 0.7, 0.8)) == 3
    assert median_seed(results("loss", 0.9, 0.5, 0.7, 0.8)) == 4
    assert median_seed(results("f1", None, 0.5, 0.7)) == 2


def test_seeds_end_where_seeds_end(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the last seed would be"):
        oneloop.train(**settings(tmp_path, seed=2**32 - 2))
