"""The recipe: one definition, every spelling, nothing unsafe, messages that help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oneloop.errors import RecipeError
from oneloop.recipe import LEARNING_RATE, NOT_IN_FINGERPRINT, Recipe, accepts, field_names, load_recipe, task_fields
from oneloop.recipe_aliases import ALIASES, NOT_NEEDED
from oneloop.recipe_values import parse_set
from oneloop.tasks import table, task_class
from oneloop.tasks.base import Field, Task

ROOT = Path(__file__).resolve().parents[1]


class Toy(Task):
    """A task that declares fields of several types."""

    name = "token-classification"
    fields = {
        "pieces": Field(str, "first", "which pieces carry the label"),
        "n_best": Field(int, 20, "answers listed"),
        "weights": Field(dict[str, float], {}, "weight of each label"),
        "threshold": Field(float | None, None, "score from which a label holds"),
        "names": Field(list[str], [], "label names"),
        "loose": Field(dict, {}, "anything"),
    }
    defaults = {"learning_rate": 3e-4, "epochs": 9.0, "n_best": 10}


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error(*args: object, **flags: object) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(*args, **flags)
    return str(caught.value)


def test_every_field_of_the_design_is_there() -> None:
    named = """task model train validation test split columns clean where output seed engine metric epochs max_steps batch_rows micro_tokens
    learning_rate schedule warmup weight_decay clip precision max_length stride evaluate_every save_every keep patience streaming lora"""
    assert set(named.split()) <= field_names()


def test_every_field_says_what_it_is_and_what_it_takes() -> None:
    for name in field_names():
        assert Recipe.model_fields[name].description and accepts(name), name


def test_an_alias_leads_to_a_field_and_is_none_itself() -> None:
    assert set(ALIASES.values()) <= field_names()
    assert not (set(ALIASES) | set(NOT_NEEDED)) & field_names()
    assert not set(ALIASES) & set(NOT_NEEDED)


# ---- precedence -------------------------------------------------------------------------------------
def test_defaults_then_task_then_file_then_flags(tmp_path: Path) -> None:
    path = write(tmp_path, "task: ner\nlearning_rate: 1e-3\nbatch_rows: 4\n")
    assert load_recipe(path).for_task(Toy).settings() | {"epochs": 9.0, "learning_rate": 1e-3, "batch_rows": 4, "seed": 1} == load_recipe(
        path
    ).for_task(Toy).settings()
    assert load_recipe(path, learning_rate=2e-3).for_task(Toy).learning_rate == 2e-3
    assert load_recipe(path, learning_rate=None).for_task(Toy).learning_rate == 1e-3
    assert load_recipe(task="ner").for_task(Toy).options["n_best"] == 10


def test_a_task_without_a_rate_gets_the_general_one() -> None:
    class Silent(Task):
        name = "token-classification"

    assert load_recipe(task="ner").for_task(Silent).learning_rate == LEARNING_RATE


def test_a_flag_equal_to_the_default_still_wins_over_the_task() -> None:
    assert load_recipe(task="ner", epochs=3).for_task(Toy).epochs == 3.0


def test_a_flag_replaces_the_field_under_any_name_the_file_gave_it(tmp_path: Path) -> None:
    path = write(tmp_path, "num_train_epochs: 7\nper_device_train_batch_size: 8\ngradient_accumulation_steps: 4\neval_strategy: 'no'\n")
    assert load_recipe(path).epochs == 7 and load_recipe(path).batch_rows == 32 and load_recipe(path).evaluate_every == 0
    assert load_recipe(path, epochs="2").epochs == 2
    assert load_recipe(path, batch_rows=5).batch_rows == 5
    assert load_recipe(path, per_device_train_batch_size=2).batch_rows == 8
    assert load_recipe(path, evaluate_every="epoch").evaluate_every == "epoch"


def test_for_task_twice_changes_nothing() -> None:
    once = load_recipe(task="ner").for_task(Toy)
    assert once.for_task(Toy) == once


def test_an_option_of_another_task_is_refused_by_for_task() -> None:
    with pytest.raises(RecipeError, match="'first_pieces' is not a setting; did you mean 'pieces'"):
        Recipe(task="token-classification", options={"first_pieces": "x"}).for_task(Toy)


def test_task_fields_take_the_type_they_declare() -> None:
    given = {"n_best": "1e1", "weights": {"a": "2.5"}, "threshold": "0.5", "names": "no, yes", "pieces": 7}
    found = Recipe(options=given).for_task(Toy).options
    assert found == {"pieces": "7", "n_best": 10, "weights": {"a": 2.5}, "threshold": 0.5, "names": ["no", "yes"], "loose": {}}
    with pytest.raises(RecipeError, match=r"'n_best' is 'many'\n  expected: a whole number"):
        Recipe(options={"n_best": "many"}).for_task(Toy)


def test_a_task_whose_defaults_fit_no_field_is_named() -> None:
    class Wrong(Task):
        name = "wrong"
        defaults = {"epoch": 3}

    class Clash(Task):
        name = "clash"
        fields = {"epochs": Field(int, 3, "")}

    with pytest.raises(RecipeError, match="no field: epoch"):
        load_recipe().for_task(Wrong)
    with pytest.raises(RecipeError, match="exist already: epochs"):
        load_recipe().for_task(Clash)


# ---- files --------------------------------------------------------------------------------------------
def test_a_written_recipe_reads_back_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneloop.recipe.task_fields", lambda: {Toy.name: Toy.fields})
    fields = {"train": ["a.csv", "007"], "clean": "html, space", "lora": "8", "evaluate_every": "50", "epochs": "1e-1", "model": "1e5"}
    odd = {"where": "text != 'no' # not a comment", "columns": {"text": "no", "label": ["a: b", "null", "é\u2028"]}}
    options = {"pieces": "null", "threshold": "0.25", "names": ["no", "1e3", ""], "weights": {"1": 2}}
    options["loose"] = {"a": [1, 0.5, True, None, "2"]}
    resolved = load_recipe(task="ner", **fields, **odd, **options).for_task(Toy)
    again = load_recipe(write(tmp_path, resolved.to_yaml()))
    assert again == resolved == again.for_task(Toy)
    assert set(again.settings()) == field_names() | set(Toy.fields)


def test_the_resolved_recipe_of_every_task_reads_back_equal(tmp_path: Path) -> None:
    for name in table():
        resolved = load_recipe(task=name, train="x.csv").for_task(task_class(name))
        again = load_recipe(write(tmp_path, resolved.to_yaml()))
        assert again == resolved == again.for_task(task_class(name))


@pytest.mark.parametrize("key", ["learning-rate", "learning_rate"])
def test_dash_and_underscore_are_alike(tmp_path: Path, key: str) -> None:
    assert load_recipe(write(tmp_path, f"{key}: 1e-4")).learning_rate == 1e-4
    assert load_recipe(**{key: "1e-4"}).learning_rate == 1e-4


def test_a_key_spelled_both_ways_is_refused(tmp_path: Path) -> None:
    assert "stands twice, with - and with _" in error(write(tmp_path, "learning-rate: 1e-4\nlearning_rate: 1e-4"))


def test_X9_scalars_mean_what_their_field_says(tmp_path: Path) -> None:
    text = """
task: ner
model: no
output: 1e3
train: 007
where: on
seed: 0010
batch_rows: 1e1
learning_rate: 1e-4
weight_decay: 1
lora: no
streaming: yes
columns: {text: no, label: 3, text_pair: 1e5}
evaluate_every: 100
validation: ~
test: "null"
"""
    found = load_recipe(write(tmp_path, text))
    assert (found.model, found.output, found.train, found.where) == ("no", "1e3", "007", "on")
    assert (found.seed, found.batch_rows, found.learning_rate, found.weight_decay) == (10, 10, 1e-4, 1.0)
    assert (found.lora, found.streaming, found.evaluate_every) == (False, True, 100)
    assert found.columns == {"text": "no", "label": "3", "text_pair": "1e5"}
    assert found.validation is None and found.test == "null"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{k}: &{k} [{','.join([f'*{p}'] * 10)}]\n" for p, k in zip("abcdefgh", "bcdefghi"))
BAD_YAML = {
    "a python object": ("!!python/object/apply:os.system ['touch CANARY']", "not a list of settings"),
    "a python name": ("task: !!python/name:os.system x", "line 1: the tag .*python/name:os.system is not allowed"),
    "a python object in a value": ("train: a\nmodel: !!python/object/new:os.system [x]", "line 2: the tag"),
    "a foreign tag": ("model: !secret x", "line 1: the tag !secret is not allowed"),
    "an alias bomb": (BOMB, "too large"),
    "a structure inside itself": ("columns: &a {text: *a}", "too large"),
    "a duplicate key": ("task: ner\nseed: 1\ntask: qa", "line 3: the key 'task' stands twice"),
    "a duplicate key further in": ("columns: {text: a, text: b}", "line 1: the key 'text' stands twice"),
    "two documents": ("task: ner\n---\ntask: qa", "line 2: this is not YAML"),
    "a list": ("- task: ner", "not a list of settings"),
    "a word": ("ner", "not a list of settings"),
    "a tab": ("task:\n\tner", "line 2: this is not YAML"),
    "an open bracket": ("task: [ner", "not YAML"),
    "a nul": ("task: n\0er", "not YAML"),
    "deep nesting": ("task: " + "[" * 5000, "nested too deeply|not YAML"),
    "a key that is a list": ("? [a, b]\n: c", "a key is a list"),
}


@pytest.mark.parametrize("name", BAD_YAML)
def test_X9_yaml_that_is_refused(tmp_path: Path, name: str) -> None:
    text, message = BAD_YAML[name]
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text.replace("CANARY", str(tmp_path / "canary")).encode())
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "canary").exists()


def test_X9_a_merge_key_is_just_an_unknown_key(tmp_path: Path) -> None:
    assert "'<<' is not a setting" in error(write(tmp_path, "columns: &a {text: b}\n<<: *a"))


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    assert "there is no such file" in error(tmp_path / "none.yaml")
    assert "this is a folder" in error(tmp_path)
    (tmp_path / "data.csv").write_text("text,label\n")
    assert "--train" in error(tmp_path / "data.csv")
    (tmp_path / "latin.yaml").write_bytes("task: caf\xe9".encode("latin-1"))
    assert "byte 9 is not UTF-8" in error(tmp_path / "latin.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * 1_000_001)
    assert "more than 1,000,000 bytes" in error(tmp_path / "big.yaml")


def test_empty_files_and_marks_of_order_are_fine(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, "# nothing yet\n")) == load_recipe()
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfseed: 3\r\n")
    assert load_recipe(tmp_path / "bom.yaml").seed == 3


# ---- messages -----------------------------------------------------------------------------------------
def test_unknown_keys_all_at_once_with_file_line_and_guess(tmp_path: Path) -> None:
    path = write(tmp_path, "task: ner\nlearning_rat: 1\nepoch: 2\nlogging_steps: 10\n")
    text = error(path)
    assert f"{path} line 2: 'learning_rat' is not a setting; did you mean 'learning_rate'?" in text
    assert f"{path} line 3: 'epoch' is not a setting; did you mean 'epochs'?" in text
    assert f"{path} line 4: 'logging_steps' is not a setting; every step is logged" in text


def test_values_out_of_range_all_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "epochs: -1\nbatch_rows: some\nprecision: fp8\nsave_every: sometimes\n")
    text = error(path, seed=True)
    for part in ("line 1: 'epochs' is '-1'", "line 2: 'batch_rows' is 'some'", "line 3: 'precision' is 'fp8'", "'seed' is True"):
        assert part in text
    assert "precision: auto, fp32, bf16 or fp16" in text and "epochs: a number above 0" in text


BAD_VALUES = {
    "seed": [-1, 2**32, 1.5, "x", True],
    "epochs": [0, -1, "inf", "nan", "", "1e999", float("nan")],
    "learning_rate": [0, 2, "nan", -1e-5],
    "batch_rows": [0, 2.5, "16x"],
    "max_length": [3, -1],
    "stride": [-1],
    "warmup": [-0.1, "inf"],
    "dropout": [1, -0.1],
    "keep": [0],
    "patience": [-1],
    "lora": [-2, "big", 2.5],
    "evaluate_every": [-1, 2.5, "never", True],
    "split": ["80/20", "80/30/10", "a/b/c", "0/50/50", "", "nan/1/0"],
    "columns": ["text", "=x", "text="],
    "engine": ["torch"],
    "model": [""],
    "task": ["", "nerd", 3],
    "max_steps": [0, -2],
    "train": [{"a": 1}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values])
def test_a_value_out_of_range_is_named_with_what_is_expected(name: str, value: object) -> None:
    text = error(**{name: value})
    assert str(value) in text and name in text and "expected: " in text


def test_settings_that_contradict() -> None:
    assert "'stride' is 128 and 'max_length' is 128" in error(stride=128, max_length=128)
    assert "'merge' merges an adapter" in error(merge=True)
    assert "'patience' counts evaluations" in error(patience=2, evaluate_every=0)
    assert "'epochs' and 'num_train_epochs' set the same thing, to 1 and 2" in error(epochs=1, num_train_epochs=2)
    assert load_recipe(epochs=1, num_train_epochs=1).epochs == 1


def test_a_task_that_is_none_gets_a_guess() -> None:
    assert "there is no task 'token-clasification'; did you mean 'token-classification'?" in error(task="token-clasification")
    assert load_recipe(task=" NER ").task == load_recipe(task="token_classification").task == "token-classification"


# ---- Hugging Face spellings ---------------------------------------------------------------------------
ALIASED = {
    "epochs": ({"num_train_epochs": "2.5"}, 2.5),
    "batch_rows": ({"per_device_train_batch_size": 8, "gradient_accumulation_steps": "4"}, 32),
    "schedule": ({"lr_scheduler_type": "constant_with_warmup"}, "constant"),
    "clip": ({"max_grad_norm": 0.5}, 0.5),
    "model": ({"model_name_or_path": "bert-base-uncased"}, "bert-base-uncased"),
    "output": ({"output_dir": Path("runs") / "a"}, "runs/a"),
    "max_length": ({"max_seq_length": 384}, 384),
    "stride": ({"doc_stride": 128}, 128),
    "train": ({"train_file": "a.csv"}, "a.csv"),
    "validation": ({"validation_file": "b.csv"}, "b.csv"),
    "test": ({"test_file": "c.csv"}, "c.csv"),
    "keep": ({"save_total_limit": 3}, 3),
    "patience": ({"early_stopping_patience": 3}, 3),
    "metric": ({"metric_for_best_model": "eval_f1"}, "f1"),
    "max_steps": ({"max_steps": -1}, None),
}


@pytest.mark.parametrize("name", ALIASED)
def test_hugging_face_spellings(name: str) -> None:
    given, expected = ALIASED[name]
    assert getattr(load_recipe(**given), name) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"warmup_steps": 100}, 100),
        ({"warmup_ratio": "0.06"}, 0.06),
        ({"warmup_steps": 0, "warmup_ratio": 0.2}, 0.2),
        ({"warmup_steps": 10, "warmup_ratio": 0.2}, 10),
        ({"lr_scheduler_type": "constant"}, 0.0),
        ({"lr_scheduler_type": "constant_with_warmup"}, 0.1),
    ],
)
def test_warmup_as_training_arguments_mean_it(given: dict[str, object], expected: float) -> None:
    assert load_recipe(**given).warmup == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"eval_strategy": "steps", "eval_steps": "50"}, 50),
        ({"evaluation_strategy": "steps"}, 500),
        ({"eval_steps": 20}, 20),
        ({"eval_strategy": "epoch", "eval_steps": 20}, "epoch"),
        ({"eval_strategy": "no"}, 0),
    ],
)
def test_evaluation_as_training_arguments_mean_it(given: dict[str, object], expected: object) -> None:
    assert load_recipe(**given).evaluate_every == expected


@pytest.mark.parametrize(
    ("given", "expected"), [({"fp16": True}, "fp16"), ({"bf16": "true", "fp16": False}, "bf16"), ({"fp16": "no"}, "fp32"), ({}, "auto")]
)
def test_precision_as_training_arguments_mean_it(given: dict[str, object], expected: str) -> None:
    assert load_recipe(**given).precision == expected


@pytest.mark.parametrize(
    "given",
    [
        {"fp16": True, "bf16": True},
        {"lr_scheduler_type": "polynomial"},
        {"warmup_ratio": 1.5},
        {"eval_strategy": "sometimes"},
        {"eval_steps": 0.1},
        {"gradient_accumulation_steps": 0},
        {"save_steps": "x"},
        {"fp16": "maybe"},
    ],
)
def test_hugging_face_values_that_have_no_counterpart_are_refused(given: dict[str, object]) -> None:
    assert next(iter(given)) in error(**given)


# ---- what others rely on --------------------------------------------------------------------------------
def test_columns_in_every_form() -> None:
    assert load_recipe(columns="text=body, label=intent").columns == {"text": "body", "label": "intent"}
    assert load_recipe(columns=["text=body", "labels=a|b"]).columns == {"text": "body", "labels": ["a", "b"]}
    assert load_recipe(columns={"text": 0}).columns == {"text": "0"}
    assert load_recipe(columns=["text=price, in euro", "label=a=b"]).columns == {"text": "price, in euro", "label": "a=b"}
    assert load_recipe(columns="text=price, in euro,label=x,").columns == {"text": "price, in euro", "label": "x"}


def test_split_shares() -> None:
    assert load_recipe().shares() == pytest.approx((0.8, 0.1, 0.1))
    assert load_recipe(split="0.7 / 0.3 / 0").shares() == pytest.approx((0.7, 0.3, 0))
    assert load_recipe(split="60%/20%/20%").shares() == pytest.approx((0.6, 0.2, 0.2))


def test_set_reads_its_value_as_yaml() -> None:
    assert load_recipe(**dict([parse_set("epochs=5"), parse_set("columns={text: a=b}")])).columns == {"text": "a=b"}
    assert load_recipe(**dict([parse_set("where=a: b: c")])).where == "a: b: c"
    with pytest.raises(RecipeError, match="not KEY=VALUE"):
        parse_set("epochs")


def test_the_fingerprint_holds_what_changes_the_weights() -> None:
    found = load_recipe(task="ner").for_task(Toy).fingerprint()
    assert set(found) == (field_names() | set(Toy.fields)) - NOT_IN_FINGERPRINT
    changed = load_recipe(task="ner", output="x", keep=9, force=True, micro_tokens=1, save_every=7, workers=3).for_task(Toy).fingerprint()
    assert changed == found
    assert load_recipe(task="ner", evaluate_every=7).for_task(Toy).fingerprint() != found


def test_a_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError):
        load_recipe().epochs = 5


def test_fields_of_installed_tasks_are_settings() -> None:
    for name, fields in task_fields().items():
        defaults = {field: item.default for field, item in fields.items()}
        assert load_recipe(task=name, **{key: value for key, value in defaults.items() if value is not None}).task == name


def test_docs_recipe_is_current() -> None:
    subprocess.run([sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], check=True, timeout=60)
