"""The end of a run: best weights, thresholds, score, baseline, model folder, reload check, report and card.

In:  a Run whose steps are done.
Out: RUN/model, metrics.json, predictions.jsonl, report.html, README.md, each committed; a Result.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop import __version__, checkpoint, commit, fingerprint
from oneloop.measure.evaluate import Evaluation, evaluate_rows, predict_rows
from oneloop.measure.interval import interval
from oneloop.measure.signature import signature
from oneloop.runlog import AFTER, BEFORE, scores

if TYPE_CHECKING:
    from oneloop.run import Result, Run
    from oneloop.tasks.base import Feature, Row, Task

TOLERANCE = {"fp32": 1e-6, "bf16": 1e-3, "fp16": 1e-3}
CLOSE = 0.02  # logits nearer than this may swap places in half precision


def finish(run: Run) -> Result:
    """Score the best weights on the test rows and write everything the run folder holds."""
    from oneloop.resume import write_run
    from oneloop.run import Result

    run.signals.release("while finishing; the training is done and saved")
    restore_best(run)
    plain = unwrapped(run)  # before it is scored: what is saved is what the score is about
    run.emit("stage", name="evaluate", text="scoring")
    calibrate(run)
    split = "test" if run.prepared.rows.get("test") else "validation" if run.prepared.rows.get("validation") else "train"
    began = time.perf_counter()
    found = run.scored(run.prepared.rows[split], run.prepared.features(split, run.parts))
    seconds = time.perf_counter() - began
    if not run.leads:  # the first process writes; the others wait, and know what it found
        return Result(run.folder, run.together(None), run.notes)
    run.log_evaluation(
        step=run.state.step, split=split, when=AFTER, rows=len(found.rows), metrics=found.metrics(), seconds=round(seconds, 3)
    )
    metrics = record(run, split, found, seconds)
    from oneloop.ship.save import save_model

    facts = {"run": run.id, "columns": run.prepared.columns, **base_model(run)}
    save_model(run.folder / "model", run.task, plain, run.parts.tokenizer, precision=run.parts.precision, facts=facts)
    run.emit("stage", name="reload", text="reloading the saved model")
    metrics["reload_check"] = reload_check(run, found)
    write_predictions(run, found)
    commit.write_json(run.folder / "metrics.json", metrics)
    describe(run)
    if run.replaces:
        checkpoint.clear(run.folder / "checkpoints", run.replaces)
    if run.log is not None:
        run.log.sync()
    write_run(run, "finished")  # last: until then the same command finishes the run without training again
    run.emit("done", path=str(run.folder), metrics=metrics)
    return Result(run.folder, run.together(metrics), run.notes)


def restore_best(run: Run) -> None:
    """Put the weights of the best evaluation back where they are not the last ones."""
    best = run.state.best_step
    if not best or best == run.state.step:
        return
    kept, told = checkpoint.newest(run.folder / "checkpoints", checkpoint.BEST, run=run.id, step=best)
    for text in told if kept is None else ():
        run.note(text)
    if kept is None:
        kept, _ = checkpoint.newest(run.folder / "checkpoints", checkpoint.STEP, run=run.id, step=best)
    if kept is None:
        kept = next_best(run)
        if kept is None:
            run.note(f"the weights of step {best}, the best on validation, are gone; the last ones are used")
            return
        run.note(f"the weights of step {best}, the best on validation, are gone; of those left, step {kept.state.step} scored best")
    checkpoint.restore(kept, run.parts.model, None)
    run.note(f"using the weights of step {kept.state.step}" + (", the best on validation" if kept.state.step == best else ""))


def next_best(run: Run) -> checkpoint.Found | None:
    """The whole checkpoint whose step scored best on validation; None where no other one scored more than the last step did."""
    from oneloop.run import CHECKPOINTS, LOG

    folder, last = run.folder / CHECKPOINTS, run.state.step
    name = run.recipe.metric or run.task.metric
    scored = scores(run.folder / LOG, name)
    sign = 1.0 if run.upward(name) else -1.0
    kinds = [(number, kind) for kind in (checkpoint.STEP, checkpoint.BEST) for number, _ in checkpoint.listed(folder, kind, run.id)[0]]
    better = [(number, kind) for number, kind in kinds if number in scored and number != last]
    if last in scored:
        better = [(number, kind) for number, kind in better if sign * scored[number] > sign * scored[last]]
    for number, kind in sorted(better, key=lambda item: (-sign * scored[item[0]], item[0])):
        found, _ = checkpoint.newest(folder, kind, run=run.id, step=number)
        if found is not None:
            return found
    return None


def calibrate(run: Run) -> None:
    """Let the task choose its thresholds on validation rows."""
    rows = run.prepared.rows.get("validation")
    if rows and type(run.task).calibrate is not _base().calibrate:
        from oneloop.measure.evaluate import run_features

        features = run.prepared.features("validation", run.parts)
        outputs = run_features(run.task, run.engine, features, labelled=False)
        run.task.calibrate(outputs.found, features, rows)


def _base() -> type[Task]:
    from oneloop.tasks.base import Task

    return Task


def unwrapped(run: Run) -> Any:
    """The model to save: adapters merged unless the recipe keeps them apart."""
    from oneloop.model.adapters import is_adapted, merged

    if is_adapted(run.parts.model) and run.recipe.merge:
        run.parts.model = merged(run.parts.model)
        run.engine = run.parts.engine(run.poll)
    return run.parts.model


def base_model(run: Run) -> dict[str, str]:
    """What a saved adapter is to be put beside, in words that hold in another working directory."""
    from oneloop.model.adapters import is_adapted

    name = run.recipe.model
    return {"base": str(Path(name).resolve()) if Path(name).is_dir() else name} if is_adapted(run.parts.model) else {}


def record(run: Run, split: str, found: Evaluation, seconds: float) -> dict[str, Any]:
    """The contents of metrics.json, but for the reload check."""
    rows = run.prepared.rows[split]
    chosen = split == "validation" and run.state.best_step > 0
    if chosen:
        run.note("there are no test rows: this score is on the validation rows that chose the model, and is too good")
    elif split == "train":
        run.note("there are no validation or test rows: this score is on the rows the model learned from")
    return {
        "oneloop": __version__,
        "task": run.task.name,
        "split": split,
        "rows": len(rows),
        "primary": run.task.metric,
        "metrics": interval(found.statistics),
        "baseline": baseline(run, rows),
        "before": before(run, split, rows, run.prepared.features(split, run.parts)),
        "signature": sign(run, split, found),
        "data": counts(run, split, found),
        "time": timings(run, seconds),
        "reload_check": "not done",
        "chosen_on_these_rows": chosen,
        **leaks(run, split, found),
        "notes": run.notes,
    }


def leaks(run: Run, split: str, found: Evaluation) -> dict[str, Any]:
    """`without_leaked`: the score without rows that training saw too; nothing where there are none."""
    from oneloop.measure.leaked import told, without_leaked
    from oneloop.read.leaks import exact

    rows, train = run.prepared.rows[split], run.prepared.rows["train"]
    left = without_leaked(found.statistics, exact(rows, train, run.task.columns)) if split != "train" else None
    if left is None:
        return {}
    run.note(told(left, run.task.metric, split))
    return {"without_leaked": left}


def baseline(run: Run, rows: Sequence[Row]) -> dict[str, Any] | None:
    """The naive method's score on the same rows, by the same scorer."""
    found = run.task.baseline(run.prepared.rows["train"], rows)
    if found is None:
        return None
    name, predictions = found
    return {"name": name, "metrics": interval(run.task.score(predictions, rows))}


def before(run: Run, split: str, rows: Sequence[Row], features: Sequence[Feature]) -> dict[str, Any] | None:
    """The score of the model before training; None where its head is new."""
    if run.parts.new:
        return None
    from oneloop.model.load import load_model

    model = load_model(run.task, run.recipe.model).model.to(run.parts.device)
    engine = run.parts.engine(run.poll)
    found = evaluate_rows(run.task, type(engine)(**{**engine.__dict__, "model": model, "rank": 0, "world": 1}), rows, features)
    run.log_evaluation(step=0, split=split, when=BEFORE, rows=len(rows), metrics=found.metrics())
    return {"metrics": interval(found.statistics)}


def sign(run: Run, split: str, found: Evaluation) -> str:
    """The line that makes the score repeatable."""
    settings = {name: run.task.settings.get(name) for name in ("max_length", "stride", "clean", "where", *run.task.fields)}
    return signature(
        task=run.task.name,
        model=run.recipe.model,
        revision=run.id,
        data_hash=run.facts["fingerprint"]["data"].get(split, ""),
        split=split,
        seed=run.recipe.seed,
        settings={**settings, "precision": run.parts.precision},
        statistics_signature=found.statistics.signature,
        versions=fingerprint.versions(),
    )


def counts(run: Run, split: str, found: Evaluation) -> dict[str, Any]:
    """What was read, dropped, cut and windowed on the way to the score."""
    features = found.features
    train = run.prepared.cache.get("train", [])
    return {
        "read": sum(run.prepared.read.values()),
        "dropped": sum(run.prepared.dropped.values()),
        "rows": {name: len(rows) for name, rows in run.prepared.rows.items()},
        "tokens": int(sum(feature.get("tokens", len(feature["input_ids"])) for feature in features)),
        "tokens_cut": int(sum(feature.get("cut", 0) for feature in features)),
        "windows": len(features),
        "train_tokens": int(sum(feature.get("tokens", len(feature["input_ids"])) for feature in train)),
        "train_tokens_cut": int(sum(feature.get("cut", 0) for feature in train)),
        "train_windows": len(train),
        "files": run.prepared.files,
    }


def timings(run: Run, seconds: float) -> dict[str, Any]:
    """How long training and the final evaluation took, and how fast training was."""
    return {
        "train_s": round(run.state.seconds, 3),
        "train_steps": run.state.step,
        "train_tokens_per_s": round(run.state.tokens / max(run.state.seconds, 1e-9), 1),
        "train_rows_per_s": round(run.state.step * run.recipe.batch_rows / max(run.state.seconds, 1e-9), 2),
        "eval_s": round(seconds, 3),
        "precision": run.parts.precision,
    }


def reload_check(run: Run, found: Evaluation) -> str:
    """Load RUN/model as a user would, predict the same rows, and compare: `identical`, or what differs.

    Numbers are the same where they agree to 1e-6 in fp32 and to 1e-3 in half precision: the last bits depend on where a tensor
    happens to lie in memory. In half precision a label may differ where two logits are close.
    """
    from oneloop.ship.predict import load

    model = load(run.folder / "model", device=run.parts.device)
    limit = run.task.reload_rows
    rows = list(found.rows[:limit]) if limit else list(found.rows)
    again = evaluate_rows(model.task, model.engine, rows) if limit is None else None
    predictions = again.predictions if again is not None else predict_rows(model.task, model.engine, rows)
    tolerance = TOLERANCE[run.parts.precision]
    differing = sum(not alike(first, second, tolerance) for first, second in zip(found.predictions, predictions))
    if differing == 0 and (again is None or alike(again.losses.tolist(), found.losses.tolist(), tolerance)):
        return "identical"
    score = model.task.score(predictions, rows).metrics()[run.task.metric]
    was = run.task.score(found.predictions[: len(rows)], rows).metrics()[run.task.metric]
    verdict = "within tolerance" if abs(score - was) <= tolerance * max(abs(was), 1.0) else "DIFFERENT"
    text = f"{verdict}: {differing} of {len(rows)} rows differ, {run.task.metric} {was:.6f} → {score:.6f} ({run.parts.precision})"
    if verdict == "DIFFERENT":
        run.note("the reloaded model does not give the same score: " + text)
    return text


def alike(first: Any, second: Any, tolerance: float) -> bool:
    """Whether two predictions are the same, their numbers up to `tolerance`, relative or absolute."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(alike(first[name], second[name], tolerance) for name in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(alike(one, two, tolerance) for one, two in zip(first, second))
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance) or (first != first and second != second)
    return bool(first == second)


def write_predictions(run: Run, found: Evaluation) -> None:
    """predictions.jsonl: one line for each evaluated row."""
    roles = [column.role for column in run.task.columns if not column.target]
    per_row = found.statistics.per_row() if run.task.row_metrics else {}
    cut = [0] * len(found.rows)
    for feature in found.features:
        cut[feature["row"]] += feature.get("cut", 0)
    lines = []
    for i, (row, prediction) in enumerate(zip(found.rows, found.predictions)):
        line = {
            "id": row["id"],
            "row": row["row"],
            "file": row.get("file", ""),
            "input": {role: row[role] for role in roles if role in row},
            "prediction": prediction,
            "reference": run.task.reference(row),
            "loss": float(found.losses[i]),
            "scores": {name: float(per_row[name][i]) for name in run.task.row_metrics if name in per_row},
        }
        if cut[i]:
            line["cut"] = cut[i]
        lines.append(json.dumps(commit.finite(line), ensure_ascii=False))
    commit.write_file(run.folder / "predictions.jsonl", "\n".join(lines) + "\n")


def describe(run: Run) -> None:
    """report.html and README.md from the files of the run folder."""
    from oneloop.ship.card import card
    from oneloop.ship.report import report

    report(run.folder)
    card(run.folder)
