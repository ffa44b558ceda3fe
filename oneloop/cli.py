"""The command line: parses, calls the function a Python user calls, prints.

In:  `oneloop train recipe.yaml --epochs 5 --json`
Out: text or, with --json, one JSON document on stdout; progress on stderr; exit code 0, 1 (a user's error), 2 (wrong
     usage), 130 (Ctrl-C) or 143 (SIGTERM).
"""

from __future__ import annotations

import contextlib
import errno
import json as json_reader
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import oneloop
from oneloop import console
from oneloop.errors import DataError, OneloopError, Stopped
from oneloop.flags import UsageError, extra_flags, train_signature
from oneloop.processes import rank_from_environment
from oneloop.recipe import spelled
from oneloop.recipe_values import mapping, parse_set

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A run folder, a model folder or a Hub id.")]
Columns = Annotated[list[str] | None, typer.Option("--columns", metavar="ROLE=COLUMN", help="Which column holds which role.")]
TaskName = Annotated[str | None, typer.Option("--task", metavar="TASK", help="Task name or alias.")]

app = typer.Typer(
    help="Name your NLP task, and one loop does the rest.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": lambda flag: flag.replace("_", "-")},
)


def main() -> None:
    """Run the command line and leave with its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin while they wait starve each other on a busy machine
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        code = fail(error, "UsageError", 2)
    except OneloopError as error:
        code = fail(error, type(error).__name__, error.code if isinstance(error, Stopped) else 1)
    except BrokenPipeError:
        code = closed_pipe()
    except OSError as error:
        code = fail(error, "OSError", 1)
    except MemoryError as error:
        code = fail(OneloopError(f"out of memory {error}".strip(), fix="free memory, or take fewer rows"), "MemoryError", 1)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("stopped\n")
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def fail(error: Exception, kind: str, code: int) -> int:
    """Say what went wrong: on stderr for a person, on stdout as a document where --json was given."""
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    if "--json" in sys.argv:
        document: dict[str, Any] = {"kind": kind, "message": text}
        if isinstance(error, OneloopError):
            document |= {"what": error.what, "where": error.where, "expected": error.expected, "fix": error.fix}
        if isinstance(error, DataError):
            document["problems"] = [problem.as_dict() for problem in error.problems]
        say(console.dump({"error": document}))
    hint = "\n  fix: oneloop --help, or --help after a command" if code == 2 else ""
    with contextlib.suppress(OSError):
        sys.stderr.write(console.printable(f"{text}{hint}") + "\n")
    return code


def closed_pipe() -> int:
    """Whoever read our output has left (`| head`, a closed terminal); nothing is lost, so it is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def say(text: str) -> None:
    """One answer on stdout, from the first process of a run on several; characters the terminal cannot show are escaped."""
    if rank_from_environment() != 0:
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        closed_pipe()


def answer(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Print `value` as a JSON document, or as the `text` for a person."""
    say(console.dump(value) if as_json else console.printable(text()))


def version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        say(f"oneloop {oneloop.__version__}")
        raise typer.Exit(0)


@app.callback()
def everything(
    _: Annotated[bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Name your NLP task, and one loop does the rest."""


# ---- know the task ------------------------------------------------------------------------------
@app.command("tasks")
def tasks_command(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="One task to explain.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The task map; or one task explained."""
    from oneloop import explain

    found = explain.tasks(task)
    answer(found[0] if task else found, json, lambda: explain.page(found[0]) if task else explain.listing(found))


@app.command("diagnose")
def diagnose_command(
    statement: Annotated[str | None, typer.Argument(metavar="STATEMENT", help="What you want to do, in your words.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="PATH", help="A file or folder to look at.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="RECIPE.yaml", help="Write the recipe here.")] = None,
    batch: Annotated[Path | None, typer.Option("--batch", metavar="FILE.jsonl", help="Diagnose every line of a file.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Which task is this? Names it, says why, and what to run next."""
    if statement is None and data is None and batch is None:
        raise typer.BadParameter("say what you want to do, or name a file with --data", param_hint="STATEMENT")
    from oneloop.diagnose import batch as diagnose_batch
    from oneloop.diagnose import diagnose

    if batch is not None:
        for line in diagnose_batch(batch):
            say(console.dump_line(line))
        return
    found = diagnose(statement, data)
    if found.ambiguous and not (json or quiet) and sys.stdin.isatty() and sys.stderr.isatty():
        found = ask(found)
    if out is not None:
        found.write_recipe(out)
    answer(found, json, found.render)


def ask(found: Any) -> Any:
    """The diagnosis after the person's answer to its question; as it was when they give none."""
    sys.stderr.write(console.printable(f"{found.question}\n"))
    while True:
        sys.stderr.write(f"1 to {len(found.options)}, or Enter to leave it open: ")
        sys.stderr.flush()
        choice = sys.stdin.readline().strip()
        if not choice:
            return found
        try:
            return found.answer(choice)
        except OneloopError as error:
            sys.stderr.write(console.printable(f"{error}\n"))


@app.command("check")
def check_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="The data: a file, a folder, a glob, or several files.")],
    task: TaskName = None,
    columns: Columns = None,
    fix: Annotated[str | None, typer.Option("--fix", metavar="OUT", help="Write a cleaned copy and a log of every change.")] = None,
    explode: Annotated[
        str | None, typer.Option("--explode", metavar="COLUMN", help="Make a row for each item of the lists in this column first.")
    ] = None,
    label_sheet: Annotated[int | None, typer.Option("--label-sheet", metavar="N", min=1, help="Write N diverse rows to label.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Everything in the data that would break or bias training, all at once.

    Exits with 0 when a report was made, whatever it says: in a script read `blocks_training` (true or false) or `verdict` of
    --json. Exits with 1 when there is nothing to report on, such as a path that is not there.
    """
    named = mapping("columns", columns, "--columns") if columns else None
    with console.Progress(quiet) as progress:
        source = paths[0] if len(paths) == 1 else paths
        found = oneloop.check(source, task, columns=named, fix=fix, label_sheet=label_sheet, explode=explode, say=progress.doing)
    answer(found, json, found.render)


# ---- train ----------------------------------------------------------------------------------------
def train_command(recipe: list[str] | None, settings: list[str] | None, json: bool, quiet: bool, **fields: Any) -> None:
    """Train on your data: the recipe's settings, the flags over them. Writes a run folder."""
    paths, extra = extra_flags(recipe or [])
    given = {name: value for name, value in fields.items() if value not in (None, [])}
    given |= {spelled(name): value for name, value in [*extra, *map(parse_set, settings or [])]}
    with console.Progress(quiet) as progress:
        result = oneloop.train(paths[0] if paths else None, on_event=progress, **given)
    answer(result.metrics, json, lambda: f"{console.score_table(result.metrics)}\nrun: {result.path}")


train_command.__signature__ = train_signature(Json, Quiet)  # type: ignore[attr-defined]
ANY_FLAG = {"allow_extra_args": True, "ignore_unknown_options": True}  # `extra_flags` decides what is known
app.command("train", context_settings=ANY_FLAG)(train_command)


@app.command("evaluate")
def evaluate_command(
    model: Model,
    data: Annotated[str, typer.Option("--data", metavar="PATH", help="Rows with the right answers.")],
    task: TaskName = None,
    columns: Columns = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The task's metric, with interval and baseline, for any model on any data."""
    found = oneloop.evaluate(model, data, task=task, columns=mapping("columns", columns, "--columns") if columns else None)
    answer(found, json, lambda: console.score_table(found))


@app.command("compare")
def compare_command(
    first: Annotated[str, typer.Argument(metavar="RUN", help="Run A.")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="Run B, scored on the same rows.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Is run B better than run A? A paired bootstrap on the same rows."""
    found = oneloop.compare(first, second)
    answer(found, json, found.render)


@app.command("report")
def report_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")], json: Json = False, quiet: Quiet = False
) -> None:
    """Write the run's report.html again."""
    path = oneloop.report(run)
    answer({"report": str(path)}, json, lambda: str(path))


@app.command("predict")
def predict_command(
    model: Model,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT…", help="Texts, JSON objects, files, or - for lines of standard input.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write one line per input row here.")] = None,
    task: TaskName = None,
    columns: Columns = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predictions for texts or files: one for each row, in order."""
    from oneloop.ship import predict_files

    given = read_inputs(inputs)
    files = any(isinstance(one, str) and is_file(one) for one in given)
    where = mapping("columns", columns, "--columns") if columns else None
    loaded = oneloop.load(model, task=task)
    if out is None:
        lines = predict_files.predictions(loaded, [str(one) for one in given], where) if files else iter(loaded.predict(given))
        if json:
            say(console.dump(list(lines)))
            return
        for line in lines:
            say(console.dump_line(line))
        return
    if files:
        counts = predict_files.predict_file(loaded, [str(one) for one in given], out, columns=where)
    else:
        found = loaded.predict(given)
        predict_files.write(out, found)
        counts = {"rows": len(found), "errors": sum("error" in line for line in found), "out": str(out)}
    said = "".join(f"\n{note}" for note in counts.get("notes", []))
    answer(counts, json, lambda: f"{counts['rows']} rows, {counts['errors']} of them with an error: {out}{said}")


def is_file(text: str) -> bool:
    """Whether an input names a file, or looks like one that is missing; a text longer than a path can be is a text."""
    from oneloop.ship.predict_files import looks_like_path

    try:
        return Path(text).exists() or looks_like_path(text) or text.startswith(("hf:", "http://", "https://"))
    except (OSError, ValueError):
        return False


def read_inputs(inputs: list[str]) -> list[Any]:
    """Texts as they are, JSON objects as rows, `-` as the lines of standard input."""
    lines = [line for text in inputs for line in (sys.stdin.read().splitlines() if text == "-" else [text])]
    return [loads(line) if line.lstrip().startswith("{") else line for line in lines]


def loads(line: str) -> Any:
    """A JSON object, or the text itself where it only looks like one."""
    try:
        return json_reader.loads(line)
    except ValueError:
        return line


@app.command("demo")
def demo_command(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Which task's story to tell.")] = None,
    output: Annotated[str | None, typer.Option("--output", metavar="RUN", help="Run folder.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The whole story on a small sample, in about a minute."""
    with console.Progress(quiet) as progress:
        result = oneloop.demo(task, output=output, say=None if quiet or json else say, on_event=progress)
    if json:
        say(console.dump(result.metrics))


if __name__ == "__main__":
    main()
