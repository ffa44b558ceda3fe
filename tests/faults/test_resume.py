"""T1, T4, T12, T17: what a resumed run leaves behind, how a run is known, and a log or a record that somebody touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from oneloop import checkpoint, commit
from tests.faults.harness import Bench, checkpoints, copy, differences, leftovers, log_lines, outcome, sha256, steps
from tests.faults.test_checkpoint import DAMAGES, SHORT, damage, notes, refused

ENGINES = ("loop", "trainer")
UPDATE = "oneloop.parts:Parts.update"


def killed(shop: Bench, settings: dict[str, Any], target: str, nth: int) -> Path:
    """A run that was killed when the n-th call of a function began."""
    run = shop.new("killed")
    child = shop.train(run, settings, plants=[("signal_at", {"target": target, "nth": nth, "number": 9})])
    assert child.code == -9, child.said
    return run


def completed(shop: Bench, run: Path, settings: dict[str, Any]) -> None:
    """Run again, and end as if nothing had happened."""
    child = shop.train(run, settings)
    assert child.code == 0, child.said
    assert not differences(outcome(shop.reference(settings)), outcome(run))
    assert not leftovers(run)


@pytest.fixture(scope="module")
def stopped(shop: Bench) -> Path:
    """A run of six steps that was killed in its sixth, with the checkpoints of steps 4 and 5."""
    return killed(shop, SHORT, UPDATE, 6)


# ---- the same checkpoints as an uninterrupted run ---------------------------------------------------
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("evaluate_every", [0, 3])
def test_T1_a_kill_behind_the_last_save_leaves_no_checkpoint_too_many(shop: Bench, engine: str, evaluate_every: int) -> None:
    settings = {**SHORT, "engine": engine, "evaluate_every": evaluate_every}
    run = killed(shop, settings, "oneloop.checkpoint:prune", 6)
    assert len(checkpoints(run)) == 3
    completed(shop, run, settings)


def test_T1_best_weights_that_no_checkpoint_names_are_removed(shop: Bench) -> None:
    settings = {**SHORT, "evaluate_every": 1, "save_every": 4}
    run = killed(shop, settings, UPDATE, 4)  # best weights of steps 1 to 3, and no checkpoint yet
    assert checkpoints(run, "best") and not checkpoints(run)
    completed(shop, run, settings)


@pytest.mark.parametrize("nth", [3, 5])
def test_T8_a_checkpoint_that_only_a_stop_asked_for_is_replaced(shop: Bench, nth: int) -> None:
    settings, run = {**SHORT, "save_every": 2}, shop.new("term")
    child = shop.train(run, settings, plants=[("signal_at", {"target": UPDATE, "nth": nth, "number": 15})])
    assert child.code == 143 and checkpoints(run)[-1].name.startswith(f"step-{nth:08d}")
    completed(shop, run, settings)


# ---- a run is known by its checkpoints and a sealed record ------------------------------------------
@pytest.mark.parametrize(("how", "where"), DAMAGES)
def test_T4_a_damaged_record_is_named_and_the_run_known_by_its_checkpoints(shop: Bench, stopped: Path, how: str, where: str) -> None:
    run = copy(stopped, shop.new("record"))
    damage(run / "run.json", how, where)
    completed(shop, run, SHORT)
    said = notes(run)
    assert ("run.json is missing" if how == "remove" else "run.json has changed since it was written") in said
    assert "the run is known by its checkpoint step-00000005" in said and "going on after step 5" in said


def test_T4_another_setting_is_refused_though_the_record_is_gone(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("record"))
    (run / "run.json").unlink()
    refused(shop, run, {**SHORT, "learning_rate": 0.001}, "settings.learning_rate: 0.003 → 0.001")


def test_T4_without_record_and_checkpoints_only_force_begins_anew(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("record"))
    damage(run / "run.json", "flip", "middle")
    for path in checkpoints(run):
        damage(path / "manifest.json", "flip", "middle")
    refused(shop, run, SHORT, "run.json has changed since it was written, and no whole checkpoint says which run this is")
    assert shop.train(run, {**SHORT, "force": True}).code == 0
    assert steps(run) == [1, 2, 3, 4, 5, 6]


def test_T5_without_a_record_checkpoints_of_two_runs_are_not_guessed_between(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("record"))
    older = checkpoints(shop.reference(SHORT))[-1]
    shutil.copytree(older, run / "checkpoints" / older.name)
    (run / "run.json").unlink()
    child = shop.train(run, SHORT)
    assert child.code == 1 and "checkpoints of several runs" in child.err and older.name in child.err, child.said


@pytest.mark.parametrize("name", ["metrics.json", "predictions.jsonl", "run.json"])
@pytest.mark.parametrize(("how", "where"), DAMAGES)
def test_T3_a_damaged_result_is_named_by_whoever_reads_it(shop: Bench, name: str, how: str, where: str) -> None:
    run = copy(shop.reference(SHORT), shop.new("results"))
    damage(run / name, how, where)
    if (name, how) == ("run.json", "remove"):
        return  # then nothing says what the others should be
    for words in (("report", str(run)), ("compare", str(run), str(shop.reference(SHORT)))):
        child = shop.server.run(*words)
        assert child.code == 1, child.said
        assert "damaged: " in child.err and name in child.err and "fix:" in child.err and "Traceback" not in child.err


@pytest.mark.parametrize("name", ["recipe.yaml", "splits.json", "log.jsonl"])
def test_T3_the_report_names_every_other_file_it_reads(shop: Bench, name: str) -> None:
    run = copy(shop.reference(SHORT), shop.new("results"))
    assert shop.server.run("report", str(run)).code == 0
    damage(run / name, "flip", "middle")
    child = shop.server.run("report", str(run))
    assert child.code == 1 and f"{name} has changed since it was written" in child.err, child.said


# ---- the log ---------------------------------------------------------------------------------------
def touched(run: Path, how: str) -> None:
    """Change or shorten the log of a run behind its last checkpoint."""
    path = run / "log.jsonl"
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"shorter": data[: len(data) // 3], "empty": b"", "changed": data.replace(b'"step": 2', b'"step": 7', 1)}[how])


@pytest.mark.parametrize(
    ("how", "said"), [("shorter", "bytes shorter"), ("empty", "was gone"), ("gone", "was gone"), ("changed", "changed in line 3")]
)
def test_T4_a_log_that_was_touched_is_said_once_and_written_again(shop: Bench, stopped: Path, how: str, said: str) -> None:
    run = copy(stopped, shop.new("log"))
    touched(run, how)
    completed(shop, run, SHORT)
    found = [note for note in json.loads((run / "metrics.json").read_text())["notes"] if note.startswith("log.jsonl")]
    assert len(found) == 1 and said in found[0] and "its lines up to step 5 are written again" in found[0]


@pytest.mark.parametrize("target", ["oneloop.finish:reload_check", "oneloop.resume:write_run"])
def test_T1_a_kill_behind_the_final_evaluation_leaves_it_in_the_log_once(shop: Bench, target: str) -> None:
    settings = {**SHORT, "evaluate_every": 3}
    run = killed(shop, settings, target, 2 if target.endswith("write_run") else 1)
    assert log_lines(run)[-1]["when"] == "after training"
    completed(shop, run, settings)
    told = [(line["when"], line["split"], line["step"]) for line in log_lines(run, "evaluation")]
    during = [("during training", "validation", step) for step in (3, 6)]
    assert told == [("before training", "validation", 0), *during, ("after training", "test", 6)]


# ---- what matters to the weights ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dropout": 0.3}, "settings.dropout: null → 0.3"),
        ({"weight_decay": 0.1}, "settings.weight_decay: 0.01 → 0.1"),
        ({"schedule": "cosine"}, 'settings.schedule: "linear" → "cosine"'),
        ({"warmup": 0.5}, "settings.warmup: 0.1 → 0.5"),
        ({"clip": 0.5}, "settings.clip: 1.0 → 0.5"),
        ({"max_length": 32}, "settings.max_length: "),
        ({"head_factor": 2.0}, "settings.head_factor: 5.0 → 2.0"),
        ({"epochs": 2}, "settings.epochs: 1.0 → 2.0"),
    ],
)
def test_T17_every_setting_that_matters_to_the_weights(shop: Bench, stopped: Path, change: dict[str, Any], said: str) -> None:
    refused(shop, copy(stopped, shop.new("other")), {**SHORT, **change}, said)


def test_T17_another_dropout_in_the_model_folder_is_refused(shop: Bench, stopped: Path) -> None:
    path = shop.sample / "model" / "config.json"
    kept = path.read_text()
    try:
        path.write_text(json.dumps({**json.loads(kept), "hidden_dropout_prob": 0.3}))
        refused(shop, copy(stopped, shop.new("other")), SHORT, "config.hidden_dropout_prob: ", "0.3")
    finally:
        path.write_text(kept)


# ---- memory that Python says has run out ---------------------------------------------------------------
@pytest.mark.parametrize("engine", ENGINES)
def test_T12_a_MemoryError_in_a_step_halves_the_passes_like_any_other(shop: Bench, engine: str) -> None:
    settings, run = {**SHORT, "engine": engine, "dropout": 0}, shop.new("memory")
    plant = ("raise_at", {"target": "oneloop.loop:seed_pass", "nth": 3, "error": "builtins:MemoryError"})
    child = shop.train(run, settings, plants=[plant])
    assert child.code == 0, child.said
    assert steps(run) == [1, 2, 3, 4, 5, 6]
    assert "out of memory at step 3: forward passes of at most 4096 tokens from now on" in notes(run)
    for ours, theirs in zip(log_lines(run, "step"), log_lines(shop.reference(settings), "step")):
        assert ours["rows"] == theirs["rows"] and ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)


def test_T12_a_MemoryError_in_an_update_is_one_clear_error_and_goes_on_from_the_last_checkpoint(shop: Bench) -> None:
    run = shop.new("memory")
    plant = ("raise_at", {"target": "torch.optim.adam:adam", "nth": 11, "error": "builtins:MemoryError"})
    child = shop.train(run, SHORT, plants=[plant])
    assert child.code == 1 and "out of memory at step " in child.err and "Traceback" not in child.err, child.said
    assert checkpoints(run)
    completed(shop, run, SHORT)


@pytest.mark.parametrize("nth", [1, 2, 4])
def test_T12_a_MemoryError_in_an_evaluation_makes_its_batches_smaller(shop: Bench, nth: int) -> None:
    settings, run = {**SHORT, "evaluate_every": 2}, shop.new("memory")
    plant = ("raise_at", {"target": "oneloop.measure.evaluate:run_features", "nth": nth, "error": "builtins:MemoryError"})
    child = shop.train(run, settings, plants=[plant])
    assert child.code == 0, child.said
    assert "out of memory in an evaluation: batches of at most 4096 tokens from now on" in notes(run)
    assert sha256(run / "model" / "model.safetensors") == sha256(shop.reference(settings) / "model" / "model.safetensors")


MEMORY = {
    "reading": ("oneloop.prepare:learn", 1, 0),
    "data worker": ("oneloop.parts:Parts.passes", 3, 1),
    "batch": ("oneloop.parts:Parts.passes", 3, 0),
    "save": ("oneloop.checkpoint:tensors_of", 3, 0),
}


@pytest.mark.parametrize("place", MEMORY)
def test_T12_a_MemoryError_anywhere_else_is_one_clear_error(shop: Bench, place: str) -> None:
    target, nth, workers = MEMORY[place]
    settings, run = {**SHORT, "workers": workers}, shop.new("memory")
    child = shop.train(run, settings, plants=[("raise_at", {"target": target, "nth": nth, "error": "builtins:MemoryError"})])
    assert child.code == 1, child.said
    assert ("emory" in child.err) and "fix:" in child.err and "Traceback" not in child.err, child.said
    completed(shop, run, settings)


@pytest.mark.parametrize("place", ["reading", "save"])
def test_T12_an_out_of_memory_error_of_torch_outside_the_passes_is_one_clear_error(shop: Bench, place: str) -> None:
    (target, nth, _), run = MEMORY[place], shop.new("memory")
    child = shop.train(run, SHORT, plants=[("raise_at", {"target": target, "nth": nth, "error": "torch:OutOfMemoryError"})])
    assert child.code == 1, child.said
    assert "out of memory" in child.err and "fix:" in child.err and "Traceback" not in child.err, child.said
    completed(shop, run, SHORT)


def test_T12_fewer_tokens_in_a_pass_count_when_a_run_goes_on(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("smaller"))
    before, _ = checkpoint.newest(run / "checkpoints")
    assert before is not None and before.state.micro_tokens > 64
    child = shop.train(run, {**SHORT, "micro_tokens": 64})
    assert child.code == 0, child.said
    after, _ = checkpoint.newest(run / "checkpoints")
    assert after is not None and (after.state.step, after.state.micro_tokens) == (6, 64)
    assert [line["rows"] for line in log_lines(run, "step")] == [line["rows"] for line in log_lines(shop.reference(SHORT), "step")]


def test_T13_a_checkpoint_holds_the_log_up_to_its_step(stopped: Path) -> None:
    found, _ = checkpoint.newest(stopped / "checkpoints")
    assert found is not None
    lines = [json.loads(line) for line in (found.path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == [1, 2, 3, 4, 5]
    assert commit.verify(found.path)["files"]["log.jsonl"]["bytes"] == found.state.log_bytes
