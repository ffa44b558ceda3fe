"""Write the pages of docs/ that are made from the code: recipe.md, tasks.md, commands.md, errors.md, coverage.md.

`python docs/generate.py` writes them; `--check` only says which are out of date, and exits 1 if one is.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS, TESTS = ROOT / "docs", ROOT / "tests"
sys.path.insert(0, str(ROOT))

from oneloop import errors, explain  # noqa: E402
from oneloop.read.clean import CLEANERS  # noqa: E402
from oneloop.read.where import FUNCTIONS, OPERATORS  # noqa: E402
from oneloop.recipe import Recipe, accepts, field_names, task_fields  # noqa: E402
from oneloop.recipe_aliases import JOINED, NOT_NEEDED, RENAMED  # noqa: E402

MADE = "<!-- made by `make docs`; change the code, not this page -->\n"
ROW_TEST = re.compile(r"test_((?:[A-Z]\d{1,3}_)+)")
NAMED_TEST = re.compile(r"`(tests/[\w/.]+)::(\w+)`")


def cell(value: object) -> str:
    """A value inside a Markdown table."""
    return str(value).replace("|", "\\|").replace("\n", " ")


def table(head: list[str], rows: list[list[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell(one) for one in line) + " |" for line in lines) + "\n"


def default(value: object) -> str:
    """A default as it would stand in a recipe."""
    if value is None or value == []:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def recipe_page() -> str:
    """Every setting: the fields all tasks have, those of single tasks, and the other spellings."""
    fields = [
        [f"`{name}`", accepts(name), default(info.default), info.description]
        for name, info in Recipe.model_fields.items()
        if name in field_names()
    ]
    own = [
        [f"`{name}`", f"`{task}`", default(item.default), item.help]
        for task, items in task_fields().items()
        for name, item in items.items()
    ]
    renamed = [[f"`{alias}`", f"`{name}`"] for alias, name in (RENAMED | JOINED).items()]
    needless = [[f"`{name}`", why] for name, why in NOT_NEEDED.items()]
    return f"""# The recipe

{MADE}
A recipe is flat YAML. The same names are flags of `oneloop train` (`--batch-rows 32`, with `-` or `_`) and keywords of
`oneloop.train(batch_rows=32)`. What is not given is filled in: defaults, then the defaults of the task, then the file, then
the flags; the later one wins. `RUN/recipe.yaml` holds every setting of a run, and `oneloop train RUN/recipe.yaml` repeats it.

    task: ner
    train: notes.conll
    epochs: 5
    columns: {{tokens: word, tags: label}}

A key that is no setting is an error that names the file, the line and the nearest key that is one. YAML is read without
surprises: `no`, `1e-4` and `007` mean what the setting takes, tags are refused, a key stands once.

## Settings

{table(["setting", "takes", "default", "what it does"], fields)}
## Settings of single tasks

{table(["setting", "task", "default", "what it does"], own)}
## Cleaning and filtering

`clean` names cleaners; they work in the order given, in training, evaluation and prediction alike, and the rows each of them
changed or dropped are counted. Spans and answers move along with their words. There are {", ".join(f"`{name}`" for name in CLEANERS)}.
`explode:COLUMN` makes a row for each item of the lists in a column, before the columns are named; rows that come from one row stay in
one split (a prediction has one row for each input, and is not exploded).

`where` keeps the rows for which an expression is true:

    words(text) > 30 and label != 'spam'
    lang in ['en', 'de'] or not (contains(lower(title), 'draft') or len(text) < 20)

Values are fields (in backquotes where they hold spaces), 'text', numbers and {", ".join(f"`{name}(…)`" for name in FUNCTIONS)}; they are
compared with {" ".join(f"`{sign}`" for sign in OPERATORS)} (`~` finds a regular expression), `in [...]`, `contains`, `is empty`, and
joined with `and`, `or`, `not` and brackets.

## Hugging Face spellings

These names are understood too. `per_device_train_batch_size` times `gradient_accumulation_steps` is `batch_rows`;
`eval_strategy` and `eval_steps` together are `evaluate_every`.

{table(["name", "the same as"], renamed)}
These have no counterpart, and the message says why:

{table(["name", "why"], needless)}"""


def tasks_page() -> str:
    """The task map and a section for each task."""
    found = explain.tasks()
    overview = [
        [f"[{f['task']}](#{f['task']})", ", ".join(f["also"]), f["head"], f["label_shape"], f["collator"], f["metric"]] for f in found
    ]
    parts = [f"# The tasks\n\n{MADE}", table(["task", "also", "head", "label shape", "collator", "metric"], overview)]
    for facts in found:
        parts.append(f"## {facts['task']}\n\n{facts['does']}\n")
        rows = [["model family", facts["family"]], ["metric", facts["metric"]], ["what the metric does not see", facts["metric_limits"]]]
        rows += [["the hard part", facts["wrinkle"]], ["data looks like", facts["data"]], ["asked for as", facts["example"]]]
        rows += [["next", f"`{facts['command']}`" if facts["trainable"] else "diagnosed and checked; not trained here yet"]]
        parts.append(table(["", ""], [row for row in rows if row[1]]))
        roles = [
            [f"`{r['role']}`", "to be predicted" if r["target"] else "input", "" if r["required"] else "optional", r["help"]]
            for r in facts["rows"]
        ]
        parts.append(table(["column", "is", "", "holds"], roles))
    return "\n".join(parts)


def commands_page() -> str:
    """What every command says of itself."""
    from typer.testing import CliRunner

    from oneloop.cli import app

    parts = [f"# The commands\n\n{MADE}"]
    for command in app.registered_commands:
        shown = CliRunner().invoke(app, [str(command.name), "--help"], prog_name="oneloop", terminal_width=100).stdout
        parts.append(f"## oneloop {command.name}\n\n```text\n{shown.strip()}\n```\n")
    return "\n".join(parts)


def errors_page() -> str:
    """The tree of errors and what each of them means."""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.OneloopError)]
    order = sorted(found, key=lambda kind: inspect.getsourcelines(kind)[1])
    parts = [f"# Errors\n\n{MADE}", "Every message says what happened and where, what was expected, and how to fix it. The command line"]
    parts[-1] += " exits with 1; in Python all of them are `oneloop.OneloopError`.\n"
    for kind in order:
        parts.append(f"## {kind.__name__}\n\n{inspect.getdoc(kind)}\n")
    return "\n".join(parts)


def row_tests() -> dict[str, list[str]]:
    """Row id to the tests that carry it in their names, as file::test."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (match := ROW_TEST.match(node.name)):
                for row in match[1].strip("_").split("_"):
                    found.setdefault(row, []).append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def coverage_page() -> str:
    """Which test shows each capability (C) and each fault (T, D, E, X, …)."""
    lines = [line.split("\t") for line in (DOCS / "rows.tsv").read_text(encoding="utf-8").splitlines() if line]
    tests = row_tests()
    cells: list[list[object]] = []
    for row, title, *more in lines:
        note = more[0] if more else ""
        for file, name in NAMED_TEST.findall(note):
            if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8"):
                raise SystemExit(f"rows.tsv, {row}: there is no test {name} in {file}")
        cells.append([row, title, "<br>".join([*(f"`{one}`" for one in tests.get(row, [])), *([note] if note else [])])])
    shown = sum(row in tests for row, *_ in lines)
    return f"""# What is shown by which test

{MADE}
{shown} of {len(lines)} rows have a test that carries their id; others name one or say what is missing. C: what a user can do.
T, D, E, S, I, H, X: faults in training, data, evaluation, serving, the index, the Hub, and security.

{table(["row", "what", "tests"], cells)}"""


PAGES = {
    "recipe.md": recipe_page,
    "tasks.md": tasks_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "coverage.md": coverage_page,
}


def main(arguments: list[str]) -> int:
    """Write or check the pages; the exit code."""
    names = [argument for argument in arguments if not argument.startswith("-")] or list(PAGES)
    stale = []
    for name in names:
        text = re.sub(r"[ \t]+\n", "\n", PAGES[name]()).rstrip() + "\n"
        path = DOCS / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(("out of date, run `make docs`: " if "--check" in arguments else "written: ") + ", ".join(stale))
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
