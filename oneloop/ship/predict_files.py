"""Predict whole files: one output line for each input row, in order, in constant memory, and resumable.

In:  a model and files, folders, addresses or texts.
Out: OUT (.jsonl, or .csv by its ending), written whole or not at all.

While it runs, OUT.part holds the finished lines and OUT.part.json, sealed, says how far they go and what they were made from. After a
kill the same command goes on there, if the finished lines, the model and the input are what they were: blocks begin at the same rows,
so the file is the same, byte for byte. A second process is refused meanwhile. A row that cannot be read keeps its place with an `error`.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from oneloop import commit
from oneloop.errors import DataError, Problem, RecipeError
from oneloop.lock import OutputLock, Signals
from oneloop.ship.predict import Model, columns_for, load

if TYPE_CHECKING:
    from oneloop.read.table import Table
    from oneloop.tasks.base import Prediction, Row

BLOCK_ROWS = 1000  # rows predicted and committed at a time: lengths are sorted inside, and a kill costs at most this much work
ENDINGS = {".csv", ".tsv", ".json", ".jsonl", ".txt", ".conll", ".conllu", ".parquet", ".arrow", ".gz", ".zst", ".xlsx"}
FORMULA = tuple("=+-@\t\r")  # a cell that begins so is run by spreadsheets
WHOLE = 1 << 62


@dataclass
class Done:
    """How far a file of predictions has got: blocks, rows, rows with an error, bytes of the part file and their SHA-256."""

    blocks: int = 0
    rows: int = 0
    errors: int = 0
    bytes: int = 0
    sha256: str = ""


def predict_file(
    model: str | Path | Model,
    inputs: Sequence[str],
    out: str | Path,
    *,
    columns: Mapping[str, Any] | None = None,
    task: str | None = None,
    block_rows: int = BLOCK_ROWS,
) -> dict[str, Any]:
    """Write the predictions for all rows of `inputs` to `out`: {"rows", "errors", "out", "resumed": rows that an interrupted call had
    done, "notes": what was found on the way}.

    inputs: files, folders, addresses, or texts. Raises DataError when an input cannot be read at all, RecipeError when no
    column holds the input, RunError when `out` cannot be written or another process is writing it, Stopped after a signal.
    """
    loaded = model if isinstance(model, Model) else load(model, task=task)
    target = Path(out)
    part, record = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.json")
    with commit.explained(target.parent, 0):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise RecipeError(
                "the output is a folder", where=str(target), expected="a file", fix="--out " + str(target / "predictions.jsonl")
            )
    with OutputLock(target) as lock, Signals() as signals:
        commit.sweep(target, part, record, lock.owner)
        identity = fingerprint_of(loaded, inputs, columns, block_rows)
        done, digest, note = taken_up(part, record, identity)
        resumed = done.rows
        with commit.explained(target.parent, 0), part.open("r+b" if done.bytes else "wb") as stream:
            stream.truncate(done.bytes)
            stream.seek(done.bytes)
            for number, block in enumerate(blocks_of(loaded, inputs, columns, block_rows, skip=done.blocks), 1):
                if number > done.blocks:
                    add(stream, block, done, digest)
                    commit.write_sealed(record, {"identity": identity, **asdict(done)})
                    signals.where = f"after row {done.rows}; the rows so far are kept"
        completed(part, record, target, done)
    return {"rows": done.rows, "errors": done.errors, "out": str(target), "resumed": resumed, "notes": [note] if note else []}


def completed(part: Path, record: Path, target: Path, done: Done) -> None:
    """Give the finished lines their name, as csv where it ends so."""
    with commit.explained(target.parent, done.bytes):
        if target.suffix.lower() == ".csv":
            as_csv(part, target)
            part.unlink()
        else:
            os.replace(part, target)
        commit.sync_folder(target.parent)
        record.unlink(missing_ok=True)


def predictions(model: Model, inputs: Sequence[str], columns: Mapping[str, Any] | None = None) -> Iterator[Prediction]:
    """The predictions for all rows of `inputs`, one by one; memory holds one block of them."""
    for block in blocks_of(model, inputs, columns, BLOCK_ROWS):
        yield from block


# ---- one block after the other ----------------------------------------------------------------------------
def blocks_of(
    model: Model, inputs: Sequence[str], columns: Mapping[str, Any] | None, size: int, skip: int = 0
) -> Iterator[list[Prediction]]:
    """Predictions block by block, inputs in order; the first `skip` blocks are read but not predicted (empty lists).
    With several inputs each prediction names its `file`, and ids without a column of their own begin with it."""
    number = 0
    for place, source in enumerate(inputs, 1):
        several = len(inputs) > 1
        if not is_source(source):
            number += 1
            said = [] if number <= skip else model.predict([source])
            yield [line | ({"id": str(place), "row": place} if several else {}) for line in said]
            continue
        for table, mapped, column in tables_of(model, source, columns, size):
            number += 1
            if number <= skip:
                yield []
                continue
            lines = predict_table(model, table, mapped, column)
            for line in lines if several else []:
                line |= {"file": source} | ({} if column else {"id": f"{source}:{line['row']}"})
            yield lines


def is_source(text: str) -> bool:
    """Whether an input names data rather than being a text. DataError for a file that is meant and not there."""
    if text.startswith(("hf:", "http://", "https://")):
        return True
    try:
        if Path(text).exists():
            return True
    except (OSError, ValueError):
        return False
    if looks_like_path(text):
        raise DataError("there is no such file", where=text, fix="check the path; a text with a file's ending can be given in Python")
    return False


def looks_like_path(text: str) -> bool:
    """Whether an input that is not there was meant as a file."""
    return " " not in text and Path(text).suffix.lower() in ENDINGS


def tables_of(model: Model, source: str, given: Mapping[str, Any] | None, size: int) -> Iterator[tuple[Table, dict[str, Any], str | None]]:
    """The blocks of a source with the columns of their roles, found once, and the column of ids if every row has its own."""
    from oneloop.read import sample
    from oneloop.read.blocks import blocks

    look = sample(source)
    mapped = input_columns(model, look, source, given)
    whole = WHOLE if model.task.decode_together else size
    column = id_column(source, look.columns, size)
    for table in blocks(source, whole):
        unplaced = [problem for problem in table.problems if problem.row is None]
        if unplaced:
            raise DataError(f"{len(unplaced)} problems in the data", unplaced, where=source, fix="correct the file")
        yield table, mapped, column


def input_columns(model: Model, look: Table, source: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Which column plays which input role. RecipeError when none does, or a named one is not there."""
    roles = [column.role for column in model.task.columns if not column.target] or [column.role for column in model.task.columns]
    mapped = {role: column for role, column in columns_for(model, look, given).items() if role in roles}
    missing = [name for column in mapped.values() for name in ([column] if isinstance(column, str) else column) if name not in look.columns]
    if not mapped or missing:
        raise RecipeError(
            f"there is no column '{missing[0]}'" if missing else "no column holds the input",
            where=source,
            expected=f"one of {', '.join(look.columns)}" if missing else "a column for " + ", ".join(roles),
            fix=f"--columns {roles[0]}=COLUMN",
        )
    return mapped


def id_column(source: str, names: Sequence[str], size: int) -> str | None:
    """The column whose cells identify the rows: named so, never empty, all different (found with 8 bytes a row)."""
    from oneloop.keyed import key
    from oneloop.read.blocks import blocks
    from oneloop.read.cells import is_missing
    from oneloop.read.roles import IDS

    lower = {name.lower(): name for name in reversed(names)}
    found = next((lower[name] for name in IDS if name in lower), None)
    if found is None:
        return None
    seen = []
    for table in blocks(source, size):
        cells = [row.get(found) for row in table]
        if any(is_missing(cell) or isinstance(cell, list | dict) for cell in cells):
            return None
        seen.append(np.array([key(cell) for cell in cells], dtype=np.uint64))
    every = np.concatenate(seen) if seen else np.zeros(0, dtype=np.uint64)
    return found if len(np.unique(every)) == len(every) else None


def predict_table(model: Model, table: Table, mapped: Mapping[str, Any], column: str | None) -> list[Prediction]:
    """Predictions for the rows of one block and the errors of its unusable rows, in order of their numbers."""
    from oneloop.measure.evaluate import predict_rows
    from oneloop.read.roles import to_rows

    rows, problems = to_rows(table, model.task, mapped, inputs_only=True) if len(table) else ([], [])
    whole = [problem for problem in problems if problem.row is None]
    if whole:
        raise DataError("the rows cannot be read", whole, where=table.file)
    ids = {table.origin(i).row: str(cells[column]) for i, cells in enumerate(table)} if column else {}
    rows = model.cleaned([row | {"id": ids.get(row["row"], str(row["row"]))} for row in rows])
    found = safely(model, rows, predict_rows) if rows else []
    made = [{"id": row["id"], "row": row["row"], **prediction} for row, prediction in zip(rows, found)]
    return in_place(made, [*problems, *table.problems], ids)


def safely(model: Model, rows: list[Row], predict: Any) -> list[Prediction]:
    """Predictions of all rows together; where that fails, of each alone, with an error in place of those that fail."""
    try:
        return list(predict(model.task, model.engine, rows))
    except (ValueError, TypeError, KeyError, IndexError):
        if model.task.decode_together:
            raise
    found: list[Prediction] = []
    for row in rows:
        try:
            found += predict(model.task, model.engine, [row])
        except (ValueError, TypeError, KeyError, IndexError) as error:
            found.append({"error": f"it cannot be predicted: {type(error).__name__}: {error}"})
    return found


def in_place(made: list[Prediction], problems: Sequence[Problem], ids: Mapping[int, str]) -> list[Prediction]:
    """Predictions and the errors of unusable rows, in the order of their row numbers."""
    reasons: dict[int, list[str]] = {}
    present = {prediction["row"] for prediction in made}
    for problem in problems:
        if problem.row is not None and problem.row not in present:
            reasons.setdefault(problem.row, []).append(problem.reason)
    errors: list[Prediction] = [{"id": ids.get(row, str(row)), "row": row, "error": "; ".join(found)} for row, found in reasons.items()]
    return sorted(made + errors, key=lambda line: int(line["row"]))


# ---- the file ---------------------------------------------------------------------------------------------
def fingerprint_of(model: Model, inputs: Sequence[str], columns: Mapping[str, Any] | None, size: int) -> dict[str, Any]:
    """What must be the same for a half-written file to be gone on with: model, data, columns, versions, blocks."""
    from oneloop.measure.signature import installed

    sources = [hashes(Path(text)) if is_source(text) and Path(text).exists() else text for text in inputs]
    config = getattr(model.engine.model, "config", None)
    return {
        "model": hashes(Path(model.path)) if Path(model.path).is_dir() else [model.path, getattr(config, "_commit_hash", None)],
        "precision": model.engine.precision,
        "inputs": sources,
        "columns": dict(columns or {}),
        "versions": installed(),
        "block_rows": size,
    }


def hashes(path: Path) -> list[Any]:
    """The content of a file or folder: what the manifest of a folder says, which `load` has verified, else the hash of each file."""
    if (path / commit.MANIFEST).is_file():
        return [[commit.MANIFEST, commit.sha256(path / commit.MANIFEST)]]
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [[file.relative_to(path).as_posix(), commit.sha256(file)] for file in files if file.is_file()]


def taken_up(part: Path, record: Path, identity: dict[str, Any]) -> tuple[Done, Any, str]:
    """How far a part file goes that was written for the same model and data, the running SHA-256 of its lines, and a note on it;
    nothing done where there is none, or where anything has changed since."""
    digest = hashlib.sha256()
    if not record.exists():
        return Done(), digest, ""
    try:
        found = commit.read_sealed(record)
        before = found.pop("identity")
        done = Done(**found)
    except (commit.Corrupt, KeyError, TypeError):
        return Done(), digest, f"{record.name} is not as it was written: begun anew"
    now = json.loads(json.dumps(identity))
    changed = [name for name in now if now[name] != before.get(name)]
    if changed:
        return Done(), digest, f"an interrupted call had another {' and another '.join(changed)}: begun anew"
    left = done.bytes
    with contextlib.suppress(OSError), part.open("rb") as stream:
        while left and (data := stream.read(min(left, commit.CHUNK))):
            digest.update(data)
            left -= len(data)
    if left or digest.hexdigest() != done.sha256:
        return Done(), hashlib.sha256(), f"{part.name} is not as it was written: begun anew"
    return done, digest, f"going on after row {done.rows}"


def add(stream: BinaryIO, block: Sequence[Prediction], done: Done, digest: Any) -> None:
    """Append the lines of a block and force them to disk. digest: the running SHA-256 of all lines."""
    data = "".join(line_of(prediction) for prediction in block).encode("utf-8", "backslashreplace")
    stream.write(data)
    stream.flush()
    os.fsync(stream.fileno())
    done.blocks, done.rows, done.bytes = done.blocks + 1, done.rows + len(block), done.bytes + len(data)
    done.errors += sum("error" in prediction for prediction in block)
    digest.update(data)
    done.sha256 = digest.hexdigest()


def line_of(prediction: Prediction) -> str:
    """One prediction as a line of JSON."""
    return json.dumps(commit.finite(prediction), ensure_ascii=False) + "\n"


def write(path: Path, found: Sequence[Prediction]) -> None:
    """Write predictions that are in memory, as JSON lines, or as csv where the name ends so."""
    data = "".join(map(line_of, found))
    if path.suffix.lower() != ".csv":
        commit.write_file(path, data)
        return
    part = path.with_name(path.name + ".part")
    with OutputLock(path):
        commit.write_file(part, data)
        as_csv(part, path)
        part.unlink()


def as_csv(part: Path, target: Path) -> None:
    """JSON lines as csv, line by line: the columns are all fields that occur, in the order in which they do."""
    names: dict[str, None] = {}
    for prediction in lines_of(part):
        names |= dict.fromkeys(prediction)
    staging = commit.beside(target)
    try:
        with staging.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(names)
            for prediction in lines_of(part):
                writer.writerow([cell_of(prediction.get(name)) for name in names])
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(staging, target)
    finally:
        staging.unlink(missing_ok=True)


def lines_of(part: Path) -> Iterator[Prediction]:
    """The predictions of a file of JSON lines."""
    with part.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            yield json.loads(line)


def cell_of(value: Any) -> str:
    """A field as a csv cell; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(FORMULA) else value
    return json.dumps(value, ensure_ascii=False)
