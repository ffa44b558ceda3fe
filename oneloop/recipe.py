"""The recipe: every setting of a run, defined once.

In:  recipe.yaml and flags, e.g. `task: ner`, `train: notes.conll`, `--epochs 5`
Out: Recipe(task="token-classification", train="notes.conll", epochs=5.0, …)

The class `Recipe` is the only definition of a field: the flags of `oneloop train`, the keywords of `oneloop.train`, the
keys of the file and the table in docs/recipe.md are made from it. Fields that a task declares (`Task.fields`) are flat
keys beside them and live in `Recipe.options`. Precedence: defaults < defaults of the task < file < flags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, ValidationError

from oneloop.errors import RecipeError, did_you_mean
from oneloop.recipe_aliases import ALIASES, NOT_NEEDED, merge, translate
from oneloop.recipe_values import coerce, mapping, prepare, shown, split_shares, words
from oneloop.safeyaml import read_yaml, write_yaml
from oneloop.tasks import ALIASES as TASK_NAMES
from oneloop.tasks import table, task_class
from oneloop.tasks.base import Task

Where = Callable[[str], str]  # where a key stands, for messages: "recipe.yaml line 3", or "" for a flag
Paths = str | list[str]
Every = int | Literal["epoch"]

LEARNING_RATE = 5e-5  # for tasks that name none: in the grid of Devlin et al. 2019, appendix A.3, and TrainingArguments' default
LARGEST_SEED = 2**32 - 1  # what numpy and `transformers.set_seed` take
# what may differ between a run and its resumption without changing the weights
NOT_IN_FINGERPRINT = frozenset({"output", "keep", "save_every", "force", "micro_tokens", "seeds", "max_bad", "workers"})


def setting(default: Any, description: str, values: str, **bounds: Any) -> Any:
    """A field: its default, one line of help, and in words what it accepts (for messages and the table of fields)."""
    return pydantic.Field(default, description=description, json_schema_extra={"values": values}, **bounds)


class Recipe(BaseModel):
    """All settings of one run."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, protected_namespaces=())

    # ---- what, and from where
    task: str | None = setting(None, "Task name or alias; named from the data when absent.", "a name from `oneloop tasks`")
    model: str = setting("minilm", "Model to start from.", "minilm, scratch, a Hub id or a folder", min_length=1)
    train: Paths | None = setting(None, "Training data.", "a file, folder, glob, URL or hf:NAME")
    validation: Paths | None = setting(None, "Data that chooses the best model.", "as for train")
    test: Paths | None = setting(None, "Data for the final score.", "as for train")
    split: str = setting("80/10/10", "Shares of training, validation and test made from one file.", "three shares, such as 80/10/10")
    columns: dict[str, str | list[str]] | None = setting(
        None, "Which column holds which role; found from the data when absent.", "a mapping, or ROLE=COLUMN,ROLE=COLUMN"
    )
    clean: list[str] = setting([], "Cleaners for every row, in training and prediction alike.", "names, separated by commas")
    where: str | None = setting(None, "Filter; rows that do not match are left out.", "an expression, such as words(text) > 2")
    max_rows: int | None = setting(None, "Use at most this many training rows.", "a whole number, at least 1", ge=1)
    max_bad: int = setting(0, "Go on when at most this many rows cannot be used; they are named.", "a whole number, at least 0", ge=0)
    streaming: bool = setting(False, "Read Hub and http data as a stream.", "true or false")

    # ---- where to
    output: str | None = setting(None, "Run folder; made under runs/ when absent.", "a folder")
    force: bool = setting(False, "Replace a finished run, or resume although settings differ.", "true or false")
    keep: int = setting(2, "Checkpoints kept.", "a whole number, at least 1", ge=1)

    # ---- how it trains
    engine: Literal["loop", "trainer", "keras"] = setting("loop", "What drives the training.", "loop, trainer or keras")
    seed: int = setting(1, "Seed of split, order, masks and dropout.", f"a whole number from 0 to {LARGEST_SEED}", ge=0, le=LARGEST_SEED)
    seeds: int = setting(1, "Train this many times, with seed, seed + 1, …", "a whole number, at least 1", ge=1)
    epochs: float = setting(3.0, "Passes over the training rows.", "a number above 0", gt=0, allow_inf_nan=False)
    max_steps: int | None = setting(None, "Stop after this many optimizer steps.", "a whole number, at least 1", ge=1)
    batch_rows: int = setting(16, "Rows of one optimizer step (tokens for language models).", "a whole number, at least 1", ge=1)
    micro_tokens: int = setting(8192, "Padded tokens of one forward pass; sets memory, nothing else.", "a whole number, at least 1", ge=1)
    learning_rate: float | None = setting(
        None, "Peak learning rate; the task's own when absent.", "a number above 0, at most 1", gt=0, le=1, allow_inf_nan=False
    )
    schedule: Literal["linear", "cosine", "constant"] = setting("linear", "How the learning rate ends.", "linear, cosine or constant")
    warmup: float = setting(
        0.1, "Warm-up: below 1 a share of all steps, from 1 on a number of steps.", "a number, at least 0", ge=0, allow_inf_nan=False
    )
    weight_decay: float = setting(0.01, "Decay of weights; biases and norms have none.", "a number, at least 0", ge=0, allow_inf_nan=False)
    clip: float = setting(1.0, "Largest gradient norm; 0 turns clipping off.", "a number, at least 0", ge=0, allow_inf_nan=False)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", "Number format; auto is bf16 where the processor has it.", "auto, fp32, bf16 or fp16"
    )
    max_length: int | None = setting(
        None, "Tokens of one window; the task's or model's own when absent.", "a whole number, at least 4", ge=4
    )
    stride: int | None = setting(None, "Tokens that neighbouring windows share.", "a whole number below max_length", ge=0)
    head_factor: float = setting(1.0, "The head learns at this times the learning rate.", "a number above 0", gt=0, allow_inf_nan=False)
    layer_decay: float = setting(
        1.0,
        "Each layer below learns at this times the rate of the one above.",
        "a number above 0, at most 1",
        gt=0,
        le=1,
        allow_inf_nan=False,
    )
    freeze: int = setting(
        0, "The embeddings and this many of the lowest layers are not trained, at most a third of all.", "a whole number, at least 0", ge=0
    )
    dropout: float | None = setting(
        None, "Dropout of the whole model; its own when absent.", "a number from 0, below 1", ge=0, lt=1, allow_inf_nan=False
    )
    workers: int = setting(0, "Processes that prepare batches beside the training.", "a whole number, at least 0", ge=0)
    lora: int | bool = setting(False, "Train a LoRA adapter.", "false, true or its rank")
    merge: bool = setting(False, "Merge the adapter into the saved model.", "true or false")

    # ---- when it looks
    metric: str | None = setting(None, "Metric that chooses the best model; the task's own when absent.", "a key of metrics.json")
    evaluate_every: Every = setting(
        "epoch", "Evaluate on validation every epoch or this many steps; 0: only at the end.", "epoch, or a number of steps"
    )
    save_every: Every = setting("epoch", "Checkpoint every epoch or this many steps; 0: only at the end.", "epoch, or a number of steps")
    patience: int = setting(0, "Stop after this many evaluations without a better score; 0: off.", "a whole number, at least 0", ge=0)

    options: dict[str, Any] = pydantic.Field({}, exclude=True)

    def for_task(self, task: type[Task]) -> Recipe:
        """The recipe with what `task` leaves to be filled in: its defaults and its own fields, checked."""

        def where(key: str) -> str:
            return f"task {task.name}"

        check_defaults(task)
        unknown = [name for name in self.options if name not in task.fields]
        if unknown:
            raise unknown_keys(unknown, field_names() | set(task.fields), where, task.name)
        options = {name: task.defaults.get(name, item.default) for name, item in task.fields.items()}
        options |= {
            name: coerce(name, value, task.fields[name].type, where(name)) for name, value in self.options.items() if value is not None
        }
        defaults = {"learning_rate": LEARNING_RATE} | {name: value for name, value in task.defaults.items() if name not in task.fields}
        return make(self.given() | {"task": task.name}, options, where, defaults)

    def given(self) -> dict[str, Any]:
        """The fields that were set rather than filled in by a default."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set and name != "options"}

    def settings(self) -> dict[str, Any]:
        """Every field and every option, flat: what a Task is configured with."""
        return self.model_dump() | self.options

    def to_yaml(self) -> str:
        """The recipe as flat YAML with nothing left to defaults; `load_recipe` reads back the same recipe."""
        return write_yaml(self.settings(), "every setting of this run; `oneloop train` with this file repeats it")

    def fingerprint(self) -> dict[str, Any]:
        """The settings that must match when a run is resumed."""
        return {name: value for name, value in self.settings().items() if name not in NOT_IN_FINGERPRINT}

    def shares(self) -> tuple[float, float, float]:
        """`split` as three fractions that add up to 1: training, validation, test."""
        return split_shares(self.split)


def field_names() -> set[str]:
    """The names of the fields that every task has."""
    return set(Recipe.model_fields) - {"options"}


@cache
def task_fields() -> dict[str, dict[str, Any]]:
    """Task name to the fields it declares, for every installed task."""
    return {name: dict(task_class(name).fields) for name in table()}


def load_recipe(path: str | Path | None = None, **flags: Any) -> Recipe:
    """The recipe in the file at `path` (if any) with `flags` over it; a flag that is None counts as not given.

    Raises RecipeError naming the file, line and key of everything that is unknown, out of range or contradictory.
    """
    file: dict[str, Any] = {}
    lines: dict[str, int] = {}
    if path is not None:
        file, lines = read_yaml(check_path(Path(path)))
    file, lines = by_name(file, str(path)), {spelled(key): line for key, line in lines.items()}
    given = by_name({key: value for key, value in flags.items() if value is not None}, "flags")

    def where(key: str) -> str:
        name = key.split(" and ")[0]
        return f"{path} line {lines[name]}" if name in lines and name not in given else ""

    return resolve(merge(file, given), where)


def check_path(path: Path) -> Path:
    """`path` where it can be a recipe; RecipeError that says what to write instead where it cannot."""
    if path.is_dir():
        inside = path / "recipe.yaml"
        raise RecipeError(
            "this is a folder", where=str(path), expected="a recipe file", fix=f"{inside}, or --train {path} if it holds data"
        )
    if not path.exists():
        raise RecipeError("there is no such file", where=str(path), expected="a recipe such as recipe.yaml", fix="check the path")
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise RecipeError(
            "this is not a recipe", where=str(path), expected="a file that ends in .yaml", fix=f"--train {path} if it holds data"
        )
    return path


def spelled(key: str) -> str:
    """A key with - and _ alike."""
    return key.strip().replace("-", "_")


def by_name(given: dict[str, Any], where: str) -> dict[str, Any]:
    """Keys spelled with _. None means "not set"; it stays only for the fields of a task, where it may be the default."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        if spelled(key) in found:
            raise RecipeError(f"'{spelled(key)}' stands twice, with - and with _", where=where, fix="remove one of the two")
        if value is not None or spelled(key) not in field_names() | set(ALIASES):
            found[spelled(key)] = value
    return found


def resolve(given: dict[str, Any], where: Where) -> Recipe:
    """The recipe from keys in any accepted spelling."""
    named = translate(given, where)
    task = task_name(named.pop("task", None), where)
    known = task_fields()
    declared = set(known[task]) if task else {name for fields in known.values() for name in fields}
    options = {name: value for name, value in named.items() if name not in field_names()}
    unknown = [name for name in options if name not in declared]
    if unknown:
        raise unknown_keys(unknown, field_names() | declared | set(ALIASES), where, task)
    if task:
        options = {name: coerce(name, value, known[task][name].type, where(name)) for name, value in options.items()}
    own = {name: value for name, value in named.items() if name in field_names()}
    return make(own | ({"task": task} if task else {}), options, where)


def task_name(given: Any, where: Where) -> str | None:
    """The canonical name of a task; RecipeError when there is no such task."""
    if given is None:
        return None
    name = str(given).strip().lower().replace("_", "-")
    name = TASK_NAMES.get(name, name)
    if name not in table():
        hint = did_you_mean(name, sorted(set(table()) | set(TASK_NAMES)))
        raise RecipeError(
            f"there is no task '{given}'{hint}", where=where("task"), expected="one of " + ", ".join(table()), fix="oneloop tasks"
        )
    return name


def unknown_keys(names: Iterable[str], known: Iterable[str], where: Where, task: str | None) -> RecipeError:
    """The error for keys that are no setting, each with its place and what was probably meant."""
    choices, lines = sorted(known), []
    for name in names:
        others = [other for other, fields in task_fields().items() if name in fields and other != task]
        hint = (
            f"; {NOT_NEEDED[name]}"
            if name in NOT_NEEDED
            else f"; it belongs to {', '.join(others)}"
            if others
            else did_you_mean(name, choices)
        )
        lines.append(placed(name, where, f"'{name}' is not a setting{hint}"))
    return RecipeError(
        "\n".join(lines), expected="the settings in docs/recipe.md", fix="correct or remove " + ", ".join(f"'{name}'" for name in names)
    )


def make(own: dict[str, Any], options: dict[str, Any], where: Where, defaults: dict[str, Any] | None = None) -> Recipe:
    """A checked Recipe; `defaults` fill fields without counting as set."""
    merged = (defaults or {}) | own
    ready = {name: field_value(name, value, where) for name, value in merged.items()}
    try:
        recipe = Recipe(**ready, options=options)
    except ValidationError as error:
        raise out_of_range(error, merged, where) from error
    check_together(recipe, where)
    recipe.model_fields_set.intersection_update({*own, "options"})
    return recipe


def field_value(name: str, value: Any, where: Where) -> Any:
    """`value` for the field `name` as pydantic should see it."""
    if name == "columns":
        return mapping(name, value, where(name))
    if name == "clean":
        return words(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        if len(value) == 1:
            return field_value(name, value[0], where)
        return [str(item) if isinstance(item, Path) else item for item in value]
    return prepare(value, Recipe.model_fields[name].annotation)


def out_of_range(error: ValidationError, given: dict[str, Any], where: Where) -> RecipeError:
    """The message for values that do not fit their fields, all of them at once."""
    names = list(dict.fromkeys(str(item["loc"][0]) for item in error.errors()))
    what = "\n".join(placed(name, where, f"'{name}' is {shown(given[name])}") for name in names)
    return RecipeError(
        what, expected="; ".join(f"{name}: {accepts(name)}" for name in names), fix="change " + ", ".join(f"'{name}'" for name in names)
    )


def placed(key: str, where: Where, text: str) -> str:
    """`text` after the place of `key`, where that is known."""
    return f"{where(key)}: {text}" if where(key) else text


def accepts(name: str) -> str:
    """What the field `name` accepts, in words."""
    extra = Recipe.model_fields[name].json_schema_extra
    return str(extra["values"]) if isinstance(extra, dict) else ""


def check_together(recipe: Recipe, where: Where) -> None:
    """RecipeError for settings that are fine alone and cannot both hold, and for shares that are none."""
    split_shares(recipe.split, where("split"))
    for name, value in (("evaluate_every", recipe.evaluate_every), ("save_every", recipe.save_every), ("lora", recipe.lora)):
        if isinstance(value, int) and value < 0:
            raise RecipeError(f"'{name}' is {value}", where=where(name), expected=accepts(name), fix=f"change '{name}'")
    if recipe.max_length is not None and recipe.stride is not None and recipe.stride >= recipe.max_length:
        what = f"'stride' is {recipe.stride} and 'max_length' is {recipe.max_length}"
        expected = "windows that share fewer tokens than they hold"
        raise RecipeError(what, where=where("stride"), expected=expected, fix=f"stride: {recipe.max_length // 3}")
    if recipe.merge and not recipe.lora:
        raise RecipeError("'merge' merges an adapter, and 'lora' is false", where=where("merge"), expected="an adapter", fix="lora: true")
    if recipe.patience and recipe.evaluate_every == 0:
        what = "'patience' counts evaluations, and 'evaluate_every' is 0"
        raise RecipeError(what, where=where("patience"), expected="evaluations while training", fix="evaluate_every: epoch")


def check_defaults(task: type[Task]) -> None:
    """RecipeError when a task's fields or defaults do not fit the recipe; for those who write a task."""
    clash = sorted(field_names() & set(task.fields))
    stray = sorted(set(task.defaults) - field_names() - set(task.fields))
    if clash or stray:
        what = f"declares fields that exist already: {', '.join(clash)}" if clash else f"has defaults for no field: {', '.join(stray)}"
        raise RecipeError(f"task {task.name} {what}", expected="new fields, and defaults of existing ones", fix=f"change {task.__name__}")
