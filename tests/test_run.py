"""From one file to a trained, scored and used model, through the real command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import oneloop
from oneloop.errors import ModelError, NotFinite, RecipeError, RunError
from tests.trained_runs import classified, command, read_json, read_lines, samples, tagged

FILES = (
    "recipe.yaml",
    "metrics.json",
    "predictions.jsonl",
    "log.jsonl",
    "report.html",
    "README.md",
    "model/model.safetensors",
    "checkpoints",
)


@pytest.mark.parametrize("run", [classified, tagged])
def test_one_file_gives_a_complete_run_folder(run: Any) -> None:
    folder = run()
    assert all((folder / name).exists() for name in FILES)
    metrics = read_json(folder / "metrics.json")
    assert list(metrics)[:9] == ["oneloop", "task", "split", "rows", "primary", "metrics", "baseline", "before", "signature"]
    assert metrics["split"] == "test" and metrics["reload_check"] == "identical" and metrics["before"] is None
    assert metrics["primary"] in metrics["metrics"] and metrics["baseline"]["metrics"][metrics["primary"]]["value"] is not None
    for entry in metrics["metrics"].values():
        low, high = entry["ci95"]
        assert low is None or low <= entry["value"] <= high
    lines = read_lines(folder / "predictions.jsonl")
    assert len(lines) == metrics["rows"] == metrics["data"]["rows"]["test"]
    assert all({"id", "row", "prediction", "reference", "scores"} <= set(line) for line in lines)
    kinds = [line["kind"] for line in read_lines(folder / "log.jsonl")]
    assert kinds.count("step") == metrics["time"]["train_steps"] and "evaluation" in kinds
    assert metrics["data"]["read"] == sum(metrics["data"]["rows"].values()) + metrics["data"]["dropped"]


def test_the_log_holds_every_evaluation_with_its_split_and_step() -> None:
    folder = classified()
    metrics, lines = read_json(folder / "metrics.json"), read_lines(folder / "log.jsonl")
    found = [line for line in lines if line["kind"] == "evaluation"]
    first, during, last = found[0], found[1:-1], found[-1]
    assert lines[0] == first and lines[-1] == last
    assert [line["when"] for line in found] == ["before training", *["during training"] * len(during), "after training"]
    assert (first["step"], first["split"]) == (0, "validation") and "macro_f1" in first["metrics"]
    assert during and {line["split"] for line in during} == {"validation"}
    assert (last["step"], last["split"], last["rows"]) == (metrics["time"]["train_steps"], "test", metrics["rows"])
    assert last["metrics"] == {name: entry["value"] for name, entry in metrics["metrics"].items()}


def test_json_is_one_document_and_progress_goes_to_stderr() -> None:
    folder = classified()
    document, told = json.loads((samples() / "classified.json").read_text()), (samples() / "classified.txt").read_text()
    assert document == read_json(folder / "metrics.json")
    assert "task: sequence-classification" in told and "splits: " in told and "by hash(seed 1, content)" in told


def test_the_recipe_of_a_run_repeats_it() -> None:
    folder, copy = classified(), samples() / "again"
    text = (folder / "recipe.yaml").read_text()
    recipe = samples() / "again.yaml"
    recipe.write_text(text.replace(f"output: {folder}", f"output: {copy}").replace("output: classified", f"output: {copy}"))
    done = command("train", str(recipe), "--json")
    assert done.returncode == 0, done.stderr
    again, first = json.loads(done.stdout), read_json(folder / "metrics.json")
    assert again["metrics"] == first["metrics"] and again["baseline"] == first["baseline"]
    assert read_json(copy / "splits.json")["rows"] == read_json(folder / "splits.json")["rows"]
    assert [line["prediction"] for line in read_lines(copy / "predictions.jsonl")] == [
        line["prediction"] for line in read_lines(folder / "predictions.jsonl")
    ]


def test_evaluate_compare_report_and_predict_are_commands(tmp_path: Path) -> None:
    folder = str(classified())
    scored = command("evaluate", folder, "--data", "texts.csv", "--json")
    document = json.loads(scored.stdout)
    assert scored.returncode == 0 and document["rows"] == 60 and document["baseline"]["name"] == "not available without training rows"
    compared = command("compare", folder, folder, "--json")
    assert compared.returncode == 0 and json.loads(compared.stdout)["metrics"]["accuracy"]["difference"] == 0
    (Path(folder) / "report.html").unlink()
    assert command("report", folder).returncode == 0 and (Path(folder) / "report.html").stat().st_size
    said = command("predict", folder, "texts.csv", "--out", str(tmp_path / "p.jsonl"), "--json")
    assert said.returncode == 0 and json.loads(said.stdout) == {
        "rows": 60,
        "errors": 0,
        "out": str(tmp_path / "p.jsonl"),
        "resumed": 0,
        "notes": [],
    }
    assert [line["row"] for line in read_lines(tmp_path / "p.jsonl")] == list(range(1, 61))


def test_exit_codes_and_error_documents(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text('text,label\ngood day,a\n"too",many,fields\nbad day,b\n')
    done = command("train", "--train", str(tmp_path / "bad.csv"), "--model", "./model", "--output", str(tmp_path / "run"), "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1 and error["kind"] == "DataError" and error["problems"][0]["row"] == 2 and "Traceback" not in done.stderr
    assert command("train", "--epochz", "3").returncode in (1, 2)
    assert command("predict").returncode == 2


# ---- settings -------------------------------------------------------------------------------------------------
def train(tmp_path: Path, **settings: Any) -> oneloop.run.Result:
    folder = samples()
    made = {"train": str(folder / "texts.csv"), "model": str(folder / "model"), "output": str(tmp_path / "run"), "epochs": 1} | settings
    return oneloop.train(**made)


def test_max_rows_keeps_so_many_of_each_split(tmp_path: Path) -> None:
    result = train(tmp_path, max_rows=5)
    assert result.metrics["data"]["rows"] == {"train": 5, "validation": 5, "test": 5}


def test_given_splits_are_taken_as_they_are(tmp_path: Path) -> None:
    lines = (samples() / "texts.csv").read_text().splitlines()
    for name, part in (("train", lines[1:41]), ("validation", lines[41:51]), ("test", lines[51:])):
        (tmp_path / f"{name}.csv").write_text("\n".join([lines[0], *part]) + "\n")
    result = train(tmp_path, **{name: str(tmp_path / f"{name}.csv") for name in ("train", "validation", "test")})
    assert result.metrics["data"]["rows"] == {"train": 40, "validation": 10, "test": 10}
    assert [line["file"].rsplit("/", 1)[1] for line in read_lines(result.path / "predictions.jsonl")] == ["test.csv"] * 10


def test_a_score_on_the_rows_that_chose_the_model_says_so(tmp_path: Path) -> None:
    result = train(tmp_path, split="80/20/0")
    assert result.metrics["split"] == "validation" and any("chose the model" in note for note in result.metrics["notes"])


def test_before_is_there_when_a_trained_model_goes_on(tmp_path: Path) -> None:
    folder = classified()
    result = train(tmp_path, model=str(folder))
    before = result.metrics["before"]["metrics"]["accuracy"]["value"]
    assert before == read_json(folder / "metrics.json")["metrics"]["accuracy"]["value"]


def test_patience_stops_early_and_the_best_weights_are_used(tmp_path: Path) -> None:
    result = train(tmp_path, epochs=30, patience=1, learning_rate=1e-6, metric="accuracy")
    assert result.metrics["time"]["train_steps"] < 30 * 2


def test_a_metric_that_is_none_is_refused_with_the_names_of_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no metric 'bleu'") as found:
        train(tmp_path, metric="bleu")
    assert "accuracy" in found.value.expected


def test_a_finished_run_is_replaced_by_the_same_only(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(RunError, match="made differently"):
        train(tmp_path, learning_rate=1e-3)
    assert train(tmp_path).metrics["rows"] == 6


def test_a_foreign_body_gets_a_new_head_and_no_before(tmp_path: Path) -> None:
    assert train(tmp_path).metrics["before"] is None


def test_T11_damaged_and_unfinished_weights_are_refused_by_name(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(classified() / "model", tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    name = next(name for name in weights if "classifier.weight" in name)
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"damaged: model\.safetensors has changed"):
        oneloop.load(tmp_path / "model")
    (tmp_path / "model" / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"damaged: manifest\.json is missing"):
        oneloop.load(tmp_path / "model")
    (tmp_path / "model" / "oneloop.json").unlink()  # now it could come from elsewhere
    with pytest.raises(NotFinite, match=name):
        oneloop.load(tmp_path / "model", task="sequence-classification")
