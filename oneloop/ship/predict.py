"""Use a trained model: the same encode, infer and decode as evaluation.

In:  texts, or rows in the task's roles (files: `predict_files.py`).
Out: one prediction per input, in order, with `id` and `row`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop.errors import ModelError
from oneloop.tasks import task_class

if TYPE_CHECKING:
    from oneloop.measure.evaluate import Engine
    from oneloop.tasks.base import Prediction, Row, Task


@dataclass
class Model:
    """A loaded model with its task. `predict` is safe for any input the task reads. `columns`: what the columns of the
    training data were called; `facts`: what else its folder says about its training."""

    task: Task
    engine: Engine
    path: str
    columns: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def predict(self, inputs: Any) -> list[Prediction]:
        """Predictions for texts or rows, in order: [{"id", "row", …the task's fields}].

        inputs: a text, a row ({role: value}), or a sequence of them (a DataFrame, a Dataset). An input that cannot be read gets an `error`
        and the others their predictions.
        """
        from oneloop.measure.evaluate import predict_rows
        from oneloop.read.files import Options
        from oneloop.read.frames import is_rows, table_of

        if not isinstance(inputs, str | dict | list | tuple) and is_rows(inputs):
            inputs = list(table_of(inputs, Options()))
        single = isinstance(inputs, str | dict)
        rows, errors = self.rows([inputs] if single else list(inputs))
        good = [i for i in range(len(rows)) if i not in errors]
        cut = [rows[i] for i in good]
        found = predict_rows(self.task, self.engine, cut) if cut else []
        result: list[Prediction] = [{"id": row["id"], "row": row["row"], "error": errors.get(i, "")} for i, row in enumerate(rows)]
        for i, prediction in zip(good, found):
            result[i] = {"id": rows[i]["id"], "row": rows[i]["row"], **prediction}
        return result

    def rows(self, inputs: Sequence[Any]) -> tuple[list[Row], dict[int, str]]:
        """Role rows for inputs, and what is wrong with those that cannot be used."""
        inputs_needed = [column for column in self.task.columns if not column.target] or list(self.task.columns)
        rows: list[Row] = []
        errors: dict[int, str] = {}
        for i, given in enumerate(inputs):
            row: Row = {"id": str(i + 1), "row": i + 1, "file": ""}
            try:
                row.update(read_input(given, inputs_needed))
                if isinstance(given, dict) and given.get("id") is not None:
                    row["id"] = str(given["id"])
            except ValueError as error:
                errors[i] = str(error)
            rows.append(row)
        return self.cleaned(rows), errors

    def cleaned(self, rows: list[Row]) -> list[Row]:
        """Rows after the cleaners the model was trained with; cleaners that drop or add rows are left out here."""
        names = [name for name in self.task.settings.get("clean") or [] if not name.startswith(("drop", "explode"))]
        if not names:
            return rows
        from oneloop.read.clean import apply_clean

        return list(apply_clean(rows, names, self.task.columns)[0])


def read_input(given: Any, columns: Sequence[Any]) -> dict[str, Any]:
    """One input in the task's input roles. ValueError says what is missing."""
    first = next((column for column in columns if column.required), columns[0])
    if isinstance(given, str):
        given = {"text" if any(column.role == "text" for column in columns) else first.role: given}
    elif isinstance(given, list | tuple) and any(column.role == "tokens" for column in columns):
        given = {"tokens": list(given)}
    if not isinstance(given, dict):
        raise ValueError(f"an input is a {type(given).__name__}, expected a text or a row")
    found = {column.role: column.parse(given[column.role]) for column in columns if given.get(column.role) is not None}
    needed = [column.role for column in columns if column.required and column.role not in found]
    if not found or (needed and not ({"text", "tokens"} & set(found) and {"text", "tokens"} & set(needed))):
        raise ValueError(
            f"'{(needed or [first.role])[0]}' is missing; expected "
            + ", ".join(column.role for column in columns if column.required or column.role in {"text", "tokens"})
        )
    return found


def load(name: str | Path, *, task: str | None = None, device: str | None = None, precision: str | None = None) -> Model:
    """A trained model from a run folder, a model folder or the Hub.

    task: needed only where the model does not say. precision: that of the training run by default, else fp32.
    Raises ModelError when the files are not there, damaged, or not trained for a task.
    """
    from oneloop.commit import MANIFEST
    from oneloop.measure.evaluate import Engine
    from oneloop.model import precision as formats
    from oneloop.model.folder import check_config, check_manifest
    from oneloop.model.load import load_model, load_tokenizer
    from oneloop.model.names import locate
    from oneloop.ship.save import read_facts

    folder = locate(str(name))
    check_manifest(folder)
    check_config(folder)
    facts = read_facts(folder) if Path(folder).is_dir() else {}
    if facts and not (Path(folder) / MANIFEST).is_file():  # what is saved here has both
        what, fix = f"the model folder is damaged: {MANIFEST} is missing", "train again, or restore the folder from a copy"
        raise ModelError(what, where=folder, fix=fix)
    chosen = task_class(task or facts.get("task") or task_of(folder))
    if not chosen.trainable:
        raise ModelError(f"{chosen.name} cannot be predicted or scored yet", where=folder, fix="oneloop tasks shows the tasks that can")
    found = chosen(facts.get("settings"), facts.get("facts") or None)
    if not facts:
        import transformers

        found.facts = chosen.facts_from_config(transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False))
    tokenizer = load_tokenizer(str(name))
    settle_length(found, str(name), tokenizer)
    loaded = load_model(found, str(name), trained=True, tokenizer=tokenizer)
    place = device or formats.device_name()
    kind = precision or facts.get("precision") or "fp32"
    if kind == "bf16" and not formats.fast_bf16(place):
        kind = "fp32"
    model = loaded.model.to(place)
    model.eval()
    return Model(found, Engine(model, tokenizer, place, kind), folder, facts.get("columns"), facts)


def columns_for(model: Model, table: Any, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Which column of a table plays which role: as given, else as in the training data where the inputs are called the
    same, else as the cells show. A column that was given for one role plays no other."""
    from oneloop.diagnose.columns import map_columns

    def names(column: Any) -> list[str]:
        return [column] if isinstance(column, str) else list(column)

    there, inputs = set(table.columns), [column.role for column in model.task.columns if not column.target]
    known = {role: column for role, column in (model.columns or {}).items() if set(names(column)) <= there}
    same = bool(known) and all(role in known for role in model.columns or {} if role in inputs)
    found = known if same else map_columns(table, model.task.name)
    taken = {name for column in (given or {}).values() for name in names(column)}
    return {role: column for role, column in found.items() if not taken & set(names(column))} | dict(given or {})


def settle_length(task: Task, name: str, tokenizer: Any) -> None:
    """Fill in `max_length` and `stride` for a model that was not trained here."""
    from oneloop.model.load import positions

    limit = positions(name, tokenizer)
    length = min(int(task.settings.get("max_length") or 256), limit)
    stride = task.settings.get("stride")
    task.settings.update(max_length=length, stride=stride if stride is not None and stride < length else length // 4)


def task_of(folder: str) -> str:
    """The task of a model that was not trained here, from the architecture in its config. ModelError when it has no head."""
    import transformers

    from oneloop.tasks import table

    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the model cannot be read: {str(error).splitlines()[0]}", where=folder, fix="check the name, or the folder"
        ) from error
    for architecture in config.architectures or []:
        for name in table():
            if architecture.endswith(task_class(name).head.removeprefix("AutoModel")) and task_class(name).head != "AutoModel":
                return name
    raise ModelError(
        "the model does not say which task it was trained for", where=folder, expected="a model with a task head", fix="--task NAME"
    )
