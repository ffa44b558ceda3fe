"""From a recipe to Parts: read → name the task → map columns → clean → split → learn labels → encode → load.

In:  Recipe(train="tickets.csv")
Out: Prepared(task, rows of each split, what was read, dropped and repaired), then Parts for an engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop.encode.blocks import encode_packed
from oneloop.errors import DataError, OneloopError, Problem, RecipeError
from oneloop.keyed import generator, key
from oneloop.read.packed import kept
from oneloop.recipe import LEARNING_RATE, Recipe
from oneloop.tasks import task_class
from oneloop.tasks.base import Feature, Row, Task

if TYPE_CHECKING:
    from oneloop.model.frozen import Frozen
    from oneloop.parts import Parts
    from oneloop.read.table import Table

Note = Callable[[str], None]
SPLITS = ("train", "validation", "test")
MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
FEWEST_EPOCHS = 3  # the course's number, and that of most published fine-tunings
FOREIGN = 0.05  # share of a text's words that must belong to another language before it is said


@dataclass
class Prepared:
    """Rows in the task's roles, by split, and the counts that metrics.json reports."""

    recipe: Recipe
    task: Task
    rows: dict[str, Sequence[Row]]
    columns: dict[str, Any]
    read: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    cache: dict[str, Sequence[Feature]] = field(default_factory=dict)
    set_aside: int = 0  # rows with problems that `max_bad` let pass

    def features(self, split: str, parts: Parts) -> Sequence[Feature]:
        """The features of a split, encoded once."""
        if split not in self.cache:
            self.cache[split] = encode_packed(self.task, self.rows[split], parts.tokenizer)
        return self.cache[split]

    def splits_record(self) -> dict[str, Any]:
        """Which row is in which split, and how the splits came about."""
        return {
            "made": self.made,
            "files": self.files,
            "columns": self.columns,
            "labels": self.label_counts(),
            "rows": {split: [[row["file"], row["row"]] for row in rows] for split, rows in self.rows.items()},
        }

    def label_counts(self) -> dict[str, dict[str, int]]:
        """Rows of each split that hold a label (a type of tag or span), the most frequent first; {} where nothing is a label."""
        from oneloop.read.split import label_counts

        found = {split: label_counts(rows, self.task.columns) for split, rows in self.rows.items()}
        return found if any(found.values()) else {}


def prepare(recipe: Recipe, note: Note) -> Prepared:
    """Read every split and make role rows of them. DataError with all problems of all splits at once."""
    from oneloop.read import read_splits
    from oneloop.read.explode import explode_all
    from oneloop.read.roles import separators

    tables = read_splits(recipe.train, recipe.validation, recipe.test, max_bad=None)
    for text in dict.fromkeys(text for table in tables.values() for text in table.notes):
        note(text)
    tables = {split: explode_all(table, recipe.clean, note, split) for split, table in tables.items()}
    problems = unreadable(tables, recipe)
    name, columns = choose(recipe, tables["train"], note)
    found = recipe.model_copy(update={"task": name, "columns": columns}).for_task(task_class(name))
    task = task_class(name)(found.settings())
    if not task.trainable:
        raise RecipeError(f"{name} can be diagnosed and checked, but not trained yet", fix="oneloop tasks shows those that can")
    if marks := separators(tables["train"], task, columns):
        task.facts["separators"] = marks  # of the training rows, for every split and for `evaluate`
    prepared = Prepared(found, task, {}, columns)
    for split in list(tables):
        problems += add_split(prepared, split, tables.pop(split), note)  # what was read is not kept beside what is used
    prepared.set_aside = refuse(problems, found.max_bad, note)
    split_up(prepared, note)
    learn(prepared)
    fit_epochs(prepared, note)
    return prepared


def unreadable(tables: Mapping[str, Table], recipe: Recipe) -> list[Problem]:
    """What could not be read, to be told with everything else that is wrong; at once where nothing else can be looked at: a table
    without a row, or a task that cannot be named from what is left."""
    from oneloop.read import raise_all

    problems = [problem for table in tables.values() for problem in table.problems]
    if problems and (not all(map(len, tables.values())) or (recipe.task is None and not nameable(tables["train"]))):
        raise_all(tables.values(), recipe.max_bad)
    return problems


def nameable(table: Table) -> bool:
    """Whether the data shows which task it is for, and that task can be trained."""
    from oneloop.diagnose import from_table

    found = from_table(table)
    return not found.none and bool(found.task) and task_class(found.task).trainable


def choose(recipe: Recipe, table: Table, note: Note) -> tuple[str, dict[str, Any]]:
    """The task and the column of each role: those of the recipe, else those the data shows."""
    from oneloop.diagnose.columns import map_columns

    if recipe.task is not None:
        return recipe.task, {**map_columns(table, recipe.task), **(recipe.columns or {})}
    from oneloop.diagnose import from_table

    found = from_table(table)
    if found.none or not found.task:
        raise DataError(
            "the task cannot be named from this data",
            where=table.file,
            expected="labels, tags, spans, answers or pairs",
            fix="--task NAME, or look at it with: oneloop diagnose --data " + table.file,
        )
    note(f"task: {found.task} ({'; '.join(str(reason) for reason in found.why[:3])})")
    return found.task, {**found.columns, **(recipe.columns or {})}


def add_split(prepared: Prepared, split: str, table: Table, note: Note) -> list[Problem]:
    """Turn one table into role rows, cleaned, filtered and repaired; returns what is wrong with it."""
    from oneloop.read.labelled import labelled_rows

    recipe = prepared.recipe
    rows, problems = labelled_rows(table, prepared.task, prepared.columns, where=recipe.where, clean=recipe.clean, split=split, note=note)
    prepared.read[split] = len(table)
    prepared.files[split] = list(dict.fromkeys(table.files))
    prepared.rows[split] = rows
    prepared.dropped[split] = len(table) - len(rows)
    return problems


def refuse(problems: Sequence[Problem], allowed: int, note: Note, already: int = 0) -> int:
    """DataError with every problem, unless at most `allowed` rows have one: those are set aside, named and counted.

    already: rows that were set aside before.
    """
    if not problems:
        return 0
    bad = {(problem.file, problem.row, problem.line if problem.row is None else None) for problem in problems}
    if any(problem.row is None and problem.line is None for problem in problems):
        raise DataError("the columns do not fit", problems, fix="name the right ones with --columns ROLE=COLUMN")
    if len(bad) + already > allowed:
        rows = "1 row" if len(bad) == 1 else f"{len(bad)} rows"
        raise DataError(f"{rows} cannot be used", problems, fix=f"mend them, or set them aside with --max-bad {len(bad) + already}")
    for problem in problems:
        note("set aside: " + problem.render())
    return len(bad)


def split_up(prepared: Prepared, note: Note) -> None:
    """Make the splits that are missing, keep at most `max_rows`, and say what was done."""
    from oneloop.read.split import make_splits

    recipe, task = prepared.recipe, prepared.task
    rows, made = make_splits(prepared.rows, seed=recipe.seed, shares=recipe.shares(), columns=task.columns)
    prepared.made = made.as_dict()
    if made:
        note(f"splits: {', '.join(f'{len(rows[split])} {split}' for split in SPLITS if split in rows)} ({made})")
    prepared.rows = {split: rows[split] for split in SPLITS if rows.get(split)}
    if not prepared.rows.get("train"):
        raise DataError(
            "there are no rows to train on",
            where=", ".join(prepared.files.get("train", [])),
            expected="rows with a label",
            fix="oneloop check shows what the file holds",
        )
    if recipe.max_rows:
        for split, found in prepared.rows.items():
            prepared.rows[split] = some(found, recipe.max_rows, recipe.seed, split)


def some(rows: Sequence[Row], count: int, seed: int, split: str) -> Sequence[Row]:
    """At most `count` rows, drawn by the seed, in their order."""
    if len(rows) <= count:
        return rows
    chosen = generator(seed, "max_rows", split).permutation(len(rows))[:count]
    return kept(rows, sorted(chosen.tolist()))


def fit_epochs(prepared: Prepared, note: Note) -> None:
    """Fewer epochs for more rows, where the user names none: four times the rows take half the epochs, and twice the steps."""
    recipe, full, rows = prepared.recipe, prepared.task.full_epochs_to, len(prepared.rows["train"])
    if "epochs" in recipe.model_fields_set or not full or rows <= full:
        return
    epochs = max(FEWEST_EPOCHS, round(recipe.epochs * math.sqrt(full / rows)))
    if epochs < recipe.epochs:
        prepared.recipe = recipe.model_copy(update={"epochs": float(epochs)})
        prepared.task.settings["epochs"] = float(epochs)
        note(f"{epochs} epochs for {rows} training rows (--epochs names another number)")


def learn(prepared: Prepared) -> None:
    """Learn label names from training rows; DataError for labels that only other splits have."""
    task = prepared.task
    task.learn(prepared.rows["train"])
    unknown = [problem for split in ("validation", "test") for problem in task.unknown_labels(prepared.rows.get(split, []))]
    if unknown:
        raise DataError(
            "labels that no training row has",
            unknown,
            expected="every label at least once among the training rows",
            fix="move such rows to the training data, or correct the label",
        )


def build(prepared: Prepared, note: Note) -> Parts:
    """Tokenizer, model, optimizer and features on this process's device. ModelError, NotFinite when the model is unfit."""
    import torch

    from oneloop import processes
    from oneloop.model import load, optimizer, precision
    from oneloop.parts import Parts

    recipe, task = prepared.recipe, prepared.task
    rank, world, device = processes.start()
    chosen = precision.resolve(recipe.precision, device)
    tokenizer = task.prepare_tokenizer(load.load_tokenizer(recipe.model), prepared.rows["train"])
    fit_length(prepared, tokenizer, recipe.model)
    encode(prepared, tokenizer, note)
    features = prepared.cache["train"]
    if not features:
        raise DataError("no training row has any text", expected="rows with text", fix="oneloop check shows what the file holds")
    warn_language(recipe.model, prepared, note)
    model, new, still = fitted(prepared, tokenizer, device, note)
    recipe = prepared.recipe
    made = optimizer.build(
        model,
        learning_rate=recipe.learning_rate or LEARNING_RATE,
        weight_decay=recipe.weight_decay,
        head_factor=recipe.head_factor,
        layer_decay=recipe.layer_decay,
    )
    scaler = torch.amp.GradScaler() if chosen == "fp16" else None
    return Parts(
        task=task,
        recipe=prepared.recipe,
        tokenizer=tokenizer,
        model=model,
        optimizer=made,
        rows=prepared.rows["train"],
        features=task.pack(features),
        device=device,
        precision=chosen,
        rank=rank,
        world=world,
        micro_tokens=recipe.micro_tokens,
        scaler=scaler,
        new=new,
        frozen=still,
        note=note,
    )


def fitted(prepared: Prepared, tokenizer: Any, device: str, note: Note) -> tuple[Any, tuple[str, ...], Frozen | None]:
    """The model as it is trained: its head ready, adapters added, what is not trained set apart, the learning rate settled.

    Returns the model, the names of the parameters that no file held, and its frozen layers.
    """
    import torch

    from oneloop.model import adapters, dropout, frozen, load, vocabulary
    from oneloop.model.head import rate_for

    recipe, task, features = prepared.recipe, prepared.task, prepared.cache["train"]
    torch.manual_seed(key(recipe.seed, "head"))
    loaded = load.load_model(task, recipe.model, tokenizer=tokenizer, note=note)
    if recipe.dropout is not None:
        load.set_dropout(loaded.model, recipe.dropout)
    model = loaded.model.to(device)
    as_loaded = adapters.versions(model)
    task.prepare_model(model, prepared.rows["train"], features) if loaded.new else None
    if recipe.lora:
        fresh = (*loaded.new, *adapters.changed(model, as_loaded))
        model = adapters.add(model, recipe.lora, fresh, recipe.seed, recipe.dropout)
        note(adapters.describe(model))
    if "learning_rate" not in recipe.model_fields_set:
        rate = rate_for(recipe.learning_rate or LEARNING_RATE, model)
        recipe = prepared.recipe = recipe.model_copy(update={"learning_rate": rate})
    still = None if recipe.lora or not recipe.freeze else frozen.freeze(model, recipe.freeze)
    if not task.draws:
        vocabulary.narrow(model, chain.from_iterable(feature["input_ids"] for feature in features))
    dropout.economise(model)
    return model, loaded.new, still


def encode(prepared: Prepared, tokenizer: Any, note: Note) -> None:
    """Encode every split before anything is trained; rows that cannot be encoded are named, or set aside up to `max_bad`."""
    problems: list[Problem] = []
    for split, rows in prepared.rows.items():
        try:
            prepared.cache[split] = encode_packed(prepared.task, rows, tokenizer)
        except OneloopError:
            raise
        except Exception as error:
            found = cannot_encode(prepared.task, rows, tokenizer)
            if not found:
                raise
            note(f"encoding {split} failed: {type(error).__name__}: {error}")
            problems += found
    refuse(problems, prepared.recipe.max_bad, note, prepared.set_aside)
    if "train" in prepared.cache:
        leave_out_empty(prepared, note)
    for split in [split for split in prepared.rows if split not in prepared.cache]:
        bad = {(problem.file, problem.row) for problem in problems}
        rows = prepared.rows[split]
        prepared.rows[split] = kept(rows, [i for i, row in enumerate(rows) if (row.get("file", ""), row["row"]) not in bad])
        prepared.dropped[split] = prepared.dropped.get(split, 0) + len(rows) - len(prepared.rows[split])
        prepared.cache[split] = encode_packed(prepared.task, prepared.rows[split], tokenizer)


def leave_out_empty(prepared: Prepared, note: Note) -> None:
    """Take training rows that hold nothing to read out of the training: they would teach what to say about nothing."""
    features, rows = prepared.cache["train"], prepared.rows["train"]
    empty = list(dict.fromkeys(feature["row"] for feature in features if feature.get("flag") == "no tokens"))
    if empty:
        named = ", ".join(f"{rows[i].get('file', '')} row {rows[i]['row']}".strip() for i in empty[:5])
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        note(f"training rows without any text to read are left out of training: {len(empty)} ({named}{more})")
        full = [i for i, feature in enumerate(features) if feature.get("flag") != "no tokens"]
        prepared.cache["train"] = kept(features, full)


def cannot_encode(task: Task, rows: Sequence[Row], tokenizer: Any) -> list[Problem]:
    """A Problem for every row that raises when it is encoded alone."""
    found = []
    for row in rows:
        try:
            task.encode([row], tokenizer)
        except Exception as error:
            reason = f"it cannot be encoded: {type(error).__name__}: {error}"
            found.append(Problem(reason, "mend or remove the row", file=row.get("file", ""), row=row["row"]))
    return found


def fit_length(prepared: Prepared, tokenizer: Any, model: str) -> None:
    """Settle `max_length` and `stride` within what the model can read; RecipeError when the user asked for more."""
    from oneloop.model.load import positions

    recipe, task = prepared.recipe, prepared.task
    limit = positions(model, tokenizer)
    asked = recipe.max_length or 256
    if recipe.max_length and recipe.max_length > limit:
        if "max_length" in recipe.model_fields_set:
            raise RecipeError(
                f"max_length is {recipe.max_length}, and the model reads at most {limit} tokens",
                expected=f"at most {limit}",
                fix=f"--max-length {limit}",
            )
        asked = limit
    length = min(asked, limit)
    stride = recipe.stride if recipe.stride is not None and recipe.stride < length else length // 4
    prepared.recipe = recipe.model_copy(update={"max_length": length, "stride": stride})
    task.settings.update(max_length=length, stride=stride)


def warn_language(model: str, prepared: Prepared, note: Note) -> None:
    """Say when an English, lower-casing model meets text in another script or language."""
    if model != "minilm":
        return
    from oneloop.diagnose.language import identify

    inputs = {column.role for column in prepared.task.columns if not column.target}
    cells = [value for row in prepared.rows["train"][:200] for role, value in row.items() if role in inputs]
    language, share = identify(" ".join(cell) if isinstance(cell, list) else str(cell) for cell in cells)
    if language not in {"", "en"} and share > FOREIGN:
        note(f"minilm reads English only, and this text looks like '{language}'; {MULTILINGUAL} will do better (--model {MULTILINGUAL})")


def data_name(recipe: Recipe) -> str:
    """A short name for the training data."""
    first = recipe.train[0] if isinstance(recipe.train, list) else str(recipe.train)
    return Path(first.rstrip("/")).name
