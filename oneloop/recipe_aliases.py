"""The Hugging Face spellings of recipe fields.

In:  {"num_train_epochs": 3, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}
Out: {"epochs": 3, "batch_rows": 32}

Names and meanings are those of `transformers.TrainingArguments` and of the example scripts `run_*.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from oneloop.errors import RecipeError
from oneloop.safeyaml import Plain

# one name for another, the same value
RENAMED = {
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "model_name_or_path": "model",
    "model_name": "model",
    "output_dir": "output",
    "train_file": "train",
    "validation_file": "validation",
    "test_file": "test",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "doc_stride": "stride",
    "lr": "learning_rate",
    "max_grad_norm": "clip",
    "save_total_limit": "keep",
    "early_stopping_patience": "patience",
    "metric_for_best_model": "metric",
    "max_train_samples": "max_rows",
    "batch_size": "batch_rows",
    "train_batch_size": "batch_rows",
    "task_name": "task",
    "dataloader_num_workers": "workers",
}
# several names that make one value together
JOINED = {
    "per_device_train_batch_size": "batch_rows",
    "gradient_accumulation_steps": "batch_rows",
    "lr_scheduler_type": "schedule",
    "warmup_steps": "warmup",
    "warmup_ratio": "warmup",
    "eval_strategy": "evaluate_every",
    "evaluation_strategy": "evaluate_every",
    "eval_steps": "evaluate_every",
    "save_strategy": "save_every",
    "save_steps": "save_every",
    "fp16": "precision",
    "bf16": "precision",
}
ALIASES = RENAMED | JOINED
# settings that need no counterpart, and why
NOT_NEEDED = {
    "logging_steps": "every step is logged in log.jsonl",
    "logging_strategy": "every step is logged in log.jsonl",
    "load_best_model_at_end": "the best model is always the one that is kept",
    "greater_is_better": "the task knows the direction of its metric",
    "group_by_length": "rows are always grouped by length",
    "per_device_eval_batch_size": "micro_tokens sizes every forward pass, in evaluation too",
    "auto_find_batch_size": "a step that does not fit memory is cut into smaller passes by itself",
    "remove_unused_columns": "`columns` names the columns that are read",
    "predict_with_generate": "evaluation always decodes what prediction decodes",
    "do_train": "`oneloop train` trains; `oneloop evaluate` only scores",
    "do_eval": "evaluation always runs",
    "do_predict": "predictions of the test rows are always written",
    "overwrite_output_dir": "`force: true` replaces a finished run",
    "text_column_name": "write it as `columns: {text: NAME}`",
    "label_column_name": "write it as `columns: {label: NAME}`",
    "text_column": "write it as `columns: {document: NAME}`",
    "summary_column": "write it as `columns: {summary: NAME}`",
    "pad_to_max_length": "batches are padded to their own longest row",
    "dataset_name": "write it as `train: hf:NAME`",
    "resume_from_checkpoint": "the same command resumes an interrupted run by itself",
}
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant", "constant_with_warmup": "constant"}
EVERY: dict[str, int | str] = {"no": 0, "epoch": "epoch"}
DEFAULT_STEPS = 500  # TrainingArguments.eval_steps falls back to logging_steps, 500; save_steps is 500


def merge(file: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """`flags` over `file`, each by any spelling: a flag replaces the field under every name the file gave it, except
    that names which make one value together (batch × accumulation) are still joined."""
    joined = {JOINED[name] for name in flags if name in JOINED}
    own = {RENAMED.get(name, name) for name in flags if name not in JOINED}
    kept = {
        name: value
        for name, value in file.items()
        if ALIASES.get(name, name) not in own and not (ALIASES.get(name, name) in joined and name not in JOINED)
    }
    return kept | flags


def translate(given: dict[str, Any], where: Callable[[str], str]) -> dict[str, Any]:
    """Fields by their own names. `where(key)` says where a key stands, for messages."""
    found = {name: value for name, value in given.items() if name not in ALIASES}
    origin = {name: name for name in found}
    for alias, name in RENAMED.items():
        if alias in given:
            put(found, origin, name, given[alias], [alias], where)
    for name, rule in RULES.items():
        names = [alias for alias in JOINED if JOINED[alias] == name and alias in given]
        if names:
            put(found, origin, name, rule({alias: given[alias] for alias in names}, where), names, where)
    if str(given.get("lr_scheduler_type")) == "constant":
        found.setdefault("warmup", 0.0)  # transformers' constant schedule has no warm-up; constant_with_warmup has
    if isinstance(found.get("metric"), str) and "metric_for_best_model" in given:
        found["metric"] = found["metric"].removeprefix("eval_")
    if str(found.get("max_steps")) == "-1":
        del found["max_steps"]  # TrainingArguments' way of saying "by epochs"
    return found


def put(found: dict[str, Any], origin: dict[str, str], name: str, value: Any, names: Iterable[str], where: Callable[[str], str]) -> None:
    """Enter `value` for the field `name`; two spellings of one field must not disagree."""
    spelled = " and ".join(names)
    if name in found and str(found[name]) != str(value):
        raise RecipeError(
            f"'{origin[name]}' and '{spelled}' set the same thing, to {found[name]} and {value}",
            where=where(spelled),
            fix=f"keep only '{name}'",
        )
    found[name] = value
    origin.setdefault(name, spelled)


def number(given: dict[str, Any], name: str, where: Callable[[str], str], default: float) -> float:
    """The number given as `name`, or RecipeError."""
    value = given.get(name, default)
    value = Plain(value).value() if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise RecipeError(f"'{name}' is {value!r}", where=where(name), expected="a number that is not negative")
    return value


def truth(given: dict[str, Any], name: str, where: Callable[[str], str]) -> bool:
    """The truth value given as `name`, False when it is absent."""
    value = given.get(name, False)
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in known:
        raise RecipeError(f"'{name}' is {value!r}", where=where(name), expected="true or false")
    return known[str(value).lower()]


def batch_rows(given: dict[str, Any], where: Callable[[str], str]) -> int:
    """Rows of one optimizer step: batch size × accumulation. TrainingArguments' default batch size is 8."""
    rows = number(given, "per_device_train_batch_size", where, 8) * number(given, "gradient_accumulation_steps", where, 1)
    if rows != int(rows) or rows < 1:
        raise RecipeError(f"{' × '.join(given)} is {rows}", where=where(next(iter(given))), expected="a whole number of rows, at least 1")
    return int(rows)


def schedule(given: dict[str, Any], where: Callable[[str], str]) -> str:
    """The schedule's own name."""
    name = str(given["lr_scheduler_type"])
    if name not in SCHEDULES:
        raise RecipeError(
            f"'lr_scheduler_type' is '{name}'",
            where=where("lr_scheduler_type"),
            expected="one of " + ", ".join(SCHEDULES),
            fix="choose one of these",
        )
    return SCHEDULES[name]


def warmup(given: dict[str, Any], where: Callable[[str], str]) -> float:
    """Steps where `warmup_steps` is positive (it wins in TrainingArguments too), else the share of all steps."""
    steps = number(given, "warmup_steps", where, 0)
    if steps:
        return steps
    ratio = number(given, "warmup_ratio", where, 0.0)
    if ratio >= 1:
        raise RecipeError(
            f"'warmup_ratio' is {ratio}", where=where("warmup_ratio"), expected="a share of the steps below 1", fix="0.1 is usual"
        )
    return ratio


def every(kind: str) -> Callable[[dict[str, Any], Callable[[str], str]], int | str]:
    """The rule for `kind`_strategy with `kind`_steps: "epoch", a number of steps, or 0 for never."""

    def rule(given: dict[str, Any], where: Callable[[str], str]) -> int | str:
        names = [name for name in given if name.endswith("strategy")]
        strategy = str(given[names[0]]).lower() if names else "steps"
        strategy = "no" if strategy == "false" else strategy
        if strategy in EVERY:
            return EVERY[strategy]
        steps = number(given, f"{kind}_steps", where, DEFAULT_STEPS)
        if strategy != "steps" or steps < 1 or steps != int(steps):
            what = f"'{names[0]}' is '{strategy}'" if strategy != "steps" else f"'{kind}_steps' is {steps}"
            raise RecipeError(what, where=where(next(iter(given))), expected="no, epoch, or steps with a whole number of steps")
        return int(steps)

    return rule


def precision(given: dict[str, Any], where: Callable[[str], str]) -> str:
    """bf16 or fp16 where one is true; fp32 where they are false."""
    chosen = [name for name in ("bf16", "fp16") if truth(given, name, where)]
    if len(chosen) == 2:
        raise RecipeError(
            "both bf16 and fp16 are true",
            where=where("bf16"),
            expected="at most one of them",
            fix="write `precision: bf16` or `precision: fp16`",
        )
    return chosen[0] if chosen else "fp32"


RULES: dict[str, Callable[[dict[str, Any], Callable[[str], str]], Any]] = {
    "batch_rows": batch_rows,
    "schedule": schedule,
    "warmup": warmup,
    "evaluate_every": every("eval"),
    "save_every": every("save"),
    "precision": precision,
}
