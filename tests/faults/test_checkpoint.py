"""T2-T5, T13, T14, T17, T18, T20: what a resumed run accepts, what it names and passes over, and what it refuses."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneloop import checkpoint, commit
from tests.faults.harness import SEED, VARIANTS, Bench, checkpoints, copy, differences, log_lines, outcome

SHORT: dict[str, Any] = {"epochs": 1}
FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "log.jsonl", "manifest.json")
PLACES = ("begin", "middle", "end")


def place(size: int, where: str) -> int:
    """A position in a file of `size` bytes."""
    return {"begin": 0, "middle": size // 2, "end": size - 1}[where]


def damage(path: Path, how: str, where: str) -> None:
    """Remove a file, cut it off, or flip one bit of it."""
    data = bytearray(path.read_bytes())
    at = place(len(data), where)
    if how == "remove":
        path.unlink()
    elif how == "truncate":
        path.write_bytes(data[:at])
    else:
        data[at] ^= 1 << random.Random(f"{SEED} {path.name} {where}").randrange(8)
        path.write_bytes(data)


DAMAGES = [("remove", "begin"), *((how, where) for how in ("truncate", "flip") for where in PLACES)]


@pytest.fixture(scope="module")
def stopped(shop: Bench) -> Path:
    """A run of six steps that was killed after its fifth, with the checkpoints of steps 4 and 5."""
    run = shop.new("stopped")
    child = shop.train(run, SHORT, plants=[("signal_at", {"target": "oneloop.parts:Parts.update", "nth": 6, "number": 9})])
    assert child.code == -9
    assert [checkpoint.newest(run / "checkpoints", step=step)[0] is not None for step in (3, 4, 5)] == [False, True, True]
    return run


def notes(run: Path) -> str:
    """What the run said, as its report keeps it."""
    return "\n".join(json.loads((run / "metrics.json").read_text())["notes"])


# ---- T2, T3, T4: damaged files ------------------------------------------------------------------
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("how", "where"), DAMAGES)
def test_T2_T3_T4_every_damage_is_found_and_the_checkpoint_before_is_used(
    stopped: Path, tmp_path: Path, name: str, how: str, where: str
) -> None:
    folder = copy(stopped / "checkpoints", tmp_path / "checkpoints")
    last = checkpoints(folder.parent)[-1]
    damage(last / name, how, where)
    found, said = checkpoint.newest(folder)
    assert found is not None and found.state.step == 4
    assert any(last.name in text and name in text for text in said), said


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize(("how", "where"), DAMAGES)
def test_T3_damage_of_the_best_weights_is_found(stopped: Path, tmp_path: Path, name: str, how: str, where: str) -> None:
    found, _ = checkpoint.newest(stopped / "checkpoints")
    assert found is not None
    facts = {**{key: value for key, value in found.manifest.items() if key not in ("files", "seal")}, "kind": checkpoint.BEST}
    files: dict[str, bytes | memoryview] = {item: (found.path / item).read_bytes() for item in ("model.safetensors", "state.json")}
    best = commit.commit_folder(tmp_path / "best-00000005-abcdef", files, facts)
    assert checkpoint.newest(tmp_path, checkpoint.BEST)[0] is not None
    damage(best / name, how, where)
    none, said = checkpoint.newest(tmp_path, checkpoint.BEST)
    assert none is None and any(name in text for text in said)


@pytest.mark.parametrize(
    ("name", "how"), [("model.safetensors", "flip"), ("optimizer.safetensors", "remove"), ("manifest.json", "truncate")]
)
def test_T2_T3_T4_a_run_goes_on_from_the_checkpoint_before(shop: Bench, stopped: Path, name: str, how: str) -> None:
    run = copy(stopped, shop.new("damaged"))
    last = checkpoints(run)[-1].name
    damage(run / "checkpoints" / last / name, how, "middle")
    child = shop.train(run, SHORT)
    assert child.code == 0, child.said
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))
    assert f"ignored {last}: {name}" in notes(run)
    assert "going on after step 4" in notes(run)
    assert name == "manifest.json" or not (run / "checkpoints" / last).exists()


def test_T4_a_foreign_file_in_a_checkpoint_is_named(stopped: Path, tmp_path: Path) -> None:
    folder = copy(stopped / "checkpoints", tmp_path / "checkpoints")
    last = checkpoints(tmp_path)[-1]
    (last / "pytorch_model.bin").write_bytes(b"x")
    found, said = checkpoint.newest(folder)
    assert found is not None and found.state.step == 4
    assert "pytorch_model.bin does not belong here" in said[0]


def test_T4_without_any_whole_checkpoint_it_begins_anew_and_says_so(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("ruined"))
    for path in checkpoints(run):
        damage(path / "optimizer.safetensors", "truncate", "middle")
    assert shop.train(run, SHORT).code == 0
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))
    assert "there is no whole checkpoint: starting at step 1; steps 1 to 5 were not saved and are done again" in notes(run)


# ---- T5: what only looks like a checkpoint ------------------------------------------------------
def test_T5_what_only_looks_like_a_checkpoint_is_ignored_with_a_note(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("foreign"))
    folder = run / "checkpoints"
    for name in ("step-00000999-abcdef", "checkpoint-999"):
        (folder / name).mkdir()
    for name in ("step-00000006-abcdef", "checkpoint-5"):
        (folder / name).write_text("not a folder")
    older = checkpoints(shop.reference({}))[-1]
    assert checkpoint.newest(older.parent)[0].state.step == 12  # type: ignore[union-attr]
    shutil.copytree(older, folder / older.name)
    assert shop.train(run, SHORT).code == 0
    said = notes(run)
    for name in ("step-00000999-abcdef", "checkpoint-999", "step-00000006-abcdef", "checkpoint-5"):
        assert f"ignored {name}: " in said
        assert (folder / name).exists()
    assert f"ignored {older.name}: it belongs to another run" in said
    assert "going on after step 5" in said
    assert checkpoints(run)[0].name.startswith("step-00000005")
    shutil.rmtree(folder / older.name)
    shutil.rmtree(folder / "step-00000999-abcdef")
    (folder / "step-00000006-abcdef").unlink()
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))


def test_T5_a_run_that_replaces_a_longer_one_keeps_its_own_checkpoints(shop: Bench) -> None:
    run = copy(shop.reference({}), shop.new("replaced"))
    refused = shop.train(run, SHORT)
    assert refused.code == 1 and "settings.epochs: 2" in refused.err
    forced = {**SHORT, "force": True}
    killed = shop.train(run, forced, plants=[("signal_at", {"target": "oneloop.parts:Parts.update", "nth": 5, "number": 9})])
    assert killed.code == -9
    ours = [path.name for _, path in checkpoint.listed(run / "checkpoints", "step", json.loads((run / "run.json").read_text())["id"])[0]]
    assert [name[:13] for name in ours] == ["step-00000004", "step-00000003"]
    assert shop.train(run, forced).code == 0
    assert "going on after step 4" in notes(run)
    assert [path.name[:13] for path in checkpoints(run)] == ["step-00000005", "step-00000006"]
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))


# ---- T13, T14: from every checkpoint ------------------------------------------------------------
def resume_from(shop: Bench, settings: dict[str, Any], step: int, **more: Any) -> Path:
    """Take a run that kept everything back to the checkpoint of one step, and let it go on."""
    whole = shop.reference({**settings, "keep": 99}) if not more else more.pop("whole")
    run = copy(whole, shop.new("back"))
    for path in checkpoints(run):
        if int(path.name[5:13]) > step:
            shutil.rmtree(path)
    commit.write_sealed(run / "run.json", {**commit.read_sealed(run / "run.json"), "status": "running"})
    for name in ("metrics.json", "predictions.jsonl"):
        (run / name).unlink()
    child = shop.train(run, {**settings, "keep": 99}, **more)
    assert child.code == 0, child.said
    return run


MATRIX = [(variant, engine) for variant in VARIANTS for engine in ("loop", "trainer")]


@pytest.mark.parametrize(("variant", "engine"), MATRIX)
def test_T13_identical_from_one_checkpoint_of_each_kind_of_run(shop: Bench, variant: str, engine: str) -> None:
    settings = {**VARIANTS[variant], "engine": engine, "epochs": 1}
    whole = shop.reference({**settings, "keep": 99})
    known = [int(path.name[5:13]) for path in checkpoints(whole)][:-1]
    step = random.Random(f"{SEED} {variant} {engine}").choice(known)
    assert not differences(outcome(whole), outcome(resume_from(shop, settings, step))), f"from step {step}"


@pytest.mark.nightly
@pytest.mark.parametrize(("variant", "engine"), MATRIX)
def test_T13_identical_from_every_checkpoint(shop: Bench, variant: str, engine: str) -> None:
    settings = {**VARIANTS[variant], "engine": engine}
    whole = shop.reference({**settings, "keep": 99})
    known = [int(path.name[5:13]) for path in checkpoints(whole)]
    for step in known:
        assert not differences(outcome(whole), outcome(resume_from(shop, settings, step))), f"from step {step}"
    print(f"\nT13: {len(known)} of {len(known)} checkpoints, {variant}, engine {engine}")


def test_T13_per_epoch(shop: Bench) -> None:
    settings = {"save_every": "epoch", "evaluate_every": "epoch"}
    whole = shop.reference({**settings, "keep": 99})
    first = int(checkpoints(whole)[0].name[5:13])
    assert first == 6
    assert not differences(outcome(whole), outcome(resume_from(shop, settings, first)))


def test_T14_a_task_that_hides_words_at_random_goes_on_identically(shop: Bench) -> None:
    settings = {**SHORT, "micro_tokens": 64}
    masked = [("random_masks", {})]
    whole = shop.new("masked")
    assert shop.train(whole, {**settings, "keep": 99}, plants=masked).code == 0
    assert outcome(whole)["weights"] != outcome(shop.reference(settings))["weights"]
    for step in (1, 4):
        assert not differences(outcome(whole), outcome(resume_from(shop, settings, step, whole=whole, plants=masked)))


# ---- T17, T18: something else than before -------------------------------------------------------
def edit_record(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what run.json says the run was started with."""
    record = commit.read_sealed(run / "run.json")
    change(record["fingerprint"])
    commit.write_sealed(run / "run.json", record)


def tree(run: Path) -> dict[str, float]:
    """Every file of a run folder with the time it was written."""
    return {str(path.relative_to(run)): path.stat().st_mtime for path in run.rglob("*") if path.is_file() and not path.name.startswith(".")}


def refused(shop: Bench, run: Path, settings: dict[str, Any], *said: str) -> None:
    """The run is not taken up, every difference is named, and nothing in the folder has changed."""
    before = tree(run)
    child = shop.train(run, settings)
    assert child.code == 1, child.said
    assert all(text in child.err for text in (*said, "--force")), child.err
    assert "Traceback" not in child.err
    assert tree(run) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0.001}, "settings.learning_rate: 0.003 → 0.001"),
        ({"batch_rows": 4}, "settings.batch_rows: 8 → 4"),
        ({"seed": 2}, "settings.seed: 1 → 2"),
        ({"engine": "trainer"}, 'settings.engine: "loop" → "trainer"'),
    ],
)
def test_T17_another_setting_is_shown_and_refused(shop: Bench, stopped: Path, change: dict[str, Any], said: str) -> None:
    refused(shop, copy(stopped, shop.new("other")), {**SHORT, **change}, said)


def test_T17_another_tokenizer_label_order_or_version_is_shown_and_refused(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("other"))
    edit_record(run, lambda record: record["facts"].update(labels=["good", "bad"]))
    edit_record(run, lambda record: record["versions"].update(torch="2.0.0"))
    refused(shop, run, SHORT, 'facts.labels: ["good", "bad"] → ["bad", "good"]', 'versions.torch: "2.0.0" → ')
    again = copy(stopped, shop.new("other"))
    tokenizer = shop.sample / "model" / "tokenizer.json"
    kept = tokenizer.read_bytes()
    try:
        tokenizer.write_bytes(kept.replace(b'"lowercase": true', b'"lowercase": false'))
        assert tokenizer.read_bytes() != kept
        refused(shop, again, SHORT, "tokenizer: ")
    finally:
        tokenizer.write_bytes(kept)


def test_T17_with_force_it_goes_on_and_needs_no_second_force(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("forced"))
    changed = {**SHORT, "learning_rate": 0.001}
    kill = [("signal_at", {"target": "oneloop.parts:Parts.update", "nth": 1, "number": 9})]
    assert shop.train(run, {**changed, "force": True}, plants=kill).code == -9
    assert shop.train(run, changed).code == 0
    assert "going on after step 5" in notes(run)


def test_T17_more_threads_are_said_and_not_refused(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("threads"))
    edit_record(run, lambda record: record.update(threads=16))
    assert shop.train(run, SHORT).code == 0
    assert "going on although threads: 16 → 1" in notes(run)


def test_T18_one_byte_of_the_data_edited_is_refused(shop: Bench) -> None:
    data = shop.folder / "edited.csv"
    shutil.copy(shop.sample / "texts.csv", data)
    run, settings = shop.new("data"), {**SHORT, "train": str(data)}
    assert shop.train(run, settings, plants=[("signal_at", {"target": "oneloop.parts:Parts.update", "nth": 4, "number": 9})]).code == -9
    kept = data.read_bytes()
    data.write_bytes(kept.replace(b"the soup", b"The soup", 1))
    refused(shop, run, settings, "data.")
    data.write_bytes(kept)
    assert shop.train(run, settings).code == 0
    assert [line["step"] for line in log_lines(run, "step")] == [1, 2, 3, 4, 5, 6]


# ---- T20: clocks ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("shift", "jump"), [(-7200.0, 0.0), (365 * 86400.0, 0.0), (0.0, 3600.0)])
def test_T20_no_clock_decides_anything(shop: Bench, stopped: Path, shift: float, jump: float) -> None:
    run = copy(stopped, shop.new("clock"))
    for age, path in enumerate(checkpoints(run)):  # the newest looks oldest
        stamp = time.time() + 86400 * (400 - 300 * age)
        for item in [path, *path.iterdir()]:
            os.utime(item, (stamp, stamp))
    child = shop.train(run, {**SHORT, "evaluate_every": 0}, plants=[("clock", {"shift": shift, "jump": jump})])
    assert child.code == 0, child.said
    assert "going on after step 5" in notes(run)
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))
    assert all(line["seconds"] >= 0 for line in log_lines(run, "step"))
    assert json.loads((run / "metrics.json").read_text())["time"]["train_s"] >= 0


# ---- the primitive itself ---------------------------------------------------------------------------
def test_T3_every_byte_of_a_manifest_counts(tmp_path: Path) -> None:
    folder = commit.commit_folder(tmp_path / "thing", {"a.txt": b"hello"}, {"step": 5, "name": "caf\u00e9", "rate": 1e-05})
    path = folder / "manifest.json"
    whole = path.read_bytes()
    assert commit.verify(folder)["step"] == 5
    for position in range(len(whole)):
        for bit in range(position % 3, 8, 3):
            data = bytearray(whole)
            data[position] ^= 1 << bit
            path.write_bytes(data)
            with pytest.raises(commit.Corrupt):
                commit.verify(folder)


def test_T4_what_is_saved_after_a_new_beginning_outlives_the_damaged_ones(shop: Bench, stopped: Path) -> None:
    run = copy(stopped, shop.new("ruined"))
    for path in checkpoints(run):
        damage(path / "optimizer.safetensors", "flip", "middle")
    kill = ("signal_at", {"target": "oneloop.parts:Parts.update", "nth": 4, "number": 9})
    assert shop.train(run, SHORT, plants=[kill]).code == -9
    assert [checkpoint.newest(run / "checkpoints", step=step)[0] is not None for step in (2, 3, 4, 5)] == [True, True, False, False]
    assert shop.train(run, SHORT).code == 0
    assert "going on after step 3" in notes(run)
    assert not differences(outcome(shop.reference(SHORT)), outcome(run))
