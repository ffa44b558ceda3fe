"""Take up what a folder holds: an unfinished run goes on, a finished one is repeated, an empty folder begins.

In:  a Run whose data and model are prepared.
Out: the Run with its id, its facts and, where it goes on, the state of its newest whole checkpoint.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from oneloop import checkpoint, commit, fingerprint, runlog
from oneloop.commit import RUN
from oneloop.errors import RunError

if TYPE_CHECKING:
    from oneloop.run import Run

# the files of a finished run that other commands read
CONFIRMED = ("metrics.json", "predictions.jsonl", "recipe.yaml", "splits.json", "log.jsonl", "model/oneloop.json", "model/manifest.json")
# may differ without a refusal: they change no row and no order, only the last digits of a sum
MAY_DIFFER = ("threads",)


def join_or_begin(run: Run) -> None:
    """Take up the folder's unfinished run, or begin one. RunError, with every difference, when the settings, the data or
    the versions are not those it was started with, unless the recipe says `force`."""
    now = fingerprint.of_run(run.parts, run.prepared.rows)
    before = run.together(read_run(run))  # what the first process read: it may write the file before another one has read it
    going_on = before is not None and before.get("status") != "finished"
    changed = fingerprint.differences(before.get("fingerprint", {}), now) if before is not None else []
    refused = [text for text in changed if not text.startswith(MAY_DIFFER)]
    if before is not None and refused and not run.recipe.force:
        raise refusal(run, refused, going_on)
    if before is not None and going_on:
        run.id, run.replaces = str(before["id"]), str(before.get("replaces", ""))
        for text in changed:
            run.note(f"going on with --force although {text}" if text in refused else f"going on although {text}")
        take_up(run)
    elif before is not None:
        run.note("repeating the finished run of this folder; its results stay until the new ones are complete")
        run.replaces = str(before.get("id", ""))
    begun = bool(run.id) and before is not None and "wrong" not in before
    run.id = run.together(run.id or secrets.token_hex(8))
    run.facts = {"run": run.id, "replaces": run.replaces, "fingerprint": now}
    if run.leads and (not begun or changed):
        write_run(run, "running")
    run.together(0)


def refusal(run: Run, changed: list[str], going_on: bool) -> RunError:
    """The error for a folder whose run was made with something else, each difference on its own line."""
    differences = "\n    ".join(changed)
    if going_on:
        return RunError(
            f"this folder holds an unfinished run that was started differently:\n    {differences}",
            where=str(run.folder),
            expected="the same settings, data and versions",
            fix="undo the change, choose another --output, or go on all the same with --force",
        )
    return RunError(
        f"this folder holds a finished run that was made differently:\n    {differences}",
        where=str(run.folder),
        fix="choose another --output, or replace it with --force",
    )


def read_run(run: Run) -> dict[str, Any] | None:
    """run.json, or what the checkpoints say where it is gone or damaged; None where no run has begun. RunError where it is damaged and
    no checkpoint knows the run, unless the recipe says `force`. `wrong`: why it is to be written again."""
    path = run.folder / RUN
    try:
        found = commit.read_sealed(path)
        if isinstance(found.get("id"), str) and isinstance(found.get("fingerprint"), dict):
            return found
        wrong = f"{RUN} holds no run"
    except commit.Corrupt as error:
        wrong = error.files[0]
    known = checkpoint.known_run(run.folder / "checkpoints")
    if known is not None:
        run.note(f"{wrong}; the run is known by its checkpoint {known.path.name}")
        facts = known.manifest
        known_by = {name: facts.get(name, "") for name in ("replaces", "fingerprint")}
        return {"id": str(facts["run"]), "status": "running", **known_by, "wrong": wrong}
    if path.exists() and not run.recipe.force:
        what = f"{wrong}, and no whole checkpoint says which run this is"
        raise RunError(what, where=str(path), fix="choose another --output, or begin anew with --force")
    return None


def write_run(run: Run, status: str) -> None:
    """Commit run.json, sealed. status: running, or finished, and then with the size and hash of each file that was written."""
    record = {"id": run.id, "status": status, "replaces": run.replaces, "fingerprint": run.facts["fingerprint"], "notes": run.notes}
    if status == "finished":
        record["files"] = commit.listing(run.folder, CONFIRMED)
    commit.write_sealed(run.folder / RUN, record)


def take_up(run: Run) -> None:
    """Load the newest whole checkpoint of this run, if there is one, and say what is done again."""
    from oneloop.run import CHECKPOINTS, LOG

    found, notes = checkpoint.newest(run.folder / CHECKPOINTS, run=run.id)
    for text in notes:
        run.note(text)
    again = runlog.steps_after(run.folder / LOG, found.state.step if found else 0)
    redone = f"; steps {again[0]} to {again[-1]} were not saved and are done again" if again else ""
    if found is None:
        run.note(f"there is no whole checkpoint: starting at step 1{redone}")
        if run.leads:  # what is damaged must not outlive what will be saved, nor old best weights be taken for new ones
            checkpoint.clear(run.folder / CHECKPOINTS, run.id)
        return
    checkpoint.restore(found, run.parts.model, run.parts.optimizer)
    run.damaged = {path.name for _, path in checkpoint.listed(run.folder / CHECKPOINTS, checkpoint.STEP, run.id)[0]} & {
        text.split()[1].rstrip(":") for text in notes
    }
    run.state = found.state
    run.notes = list(dict.fromkeys([*found.state.notes, *run.notes]))
    run.parts.micro_tokens = min(found.state.micro_tokens or run.parts.micro_tokens, run.parts.micro_tokens)
    if run.parts.scaler is not None and found.state.scaler:
        run.parts.scaler.load_state_dict(found.state.scaler)
    run.note(f"going on after step {found.state.step} ({found.path.name}){redone}")
    if run.leads:
        wrong = runlog.mended(run.folder / LOG, (found.path / checkpoint.LOG).read_bytes()[: found.state.log_bytes])
        if wrong:
            run.note(f"{wrong}; its lines up to step {found.state.step} are written again from {found.path.name}")
        # what a kill behind the last save left: the one before the oldest, best weights that no checkpoint names
        checkpoint.prune(run.folder / CHECKPOINTS, run.recipe.keep, run.state, run.id, run.damaged)
        run.damaged.clear()
