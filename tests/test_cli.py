"""The command line: what it parses, what it prints where, and how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oneloop import cli, console
from oneloop.errors import DataError, Problem, RunError, Stopped
from oneloop.flags import extra_flags
from oneloop.recipe import field_names, load_recipe, task_fields

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """run("tasks", "ner") -> (exit code, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["oneloop", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `oneloop train` hands to `oneloop.train`, kept instead of trained."""
    seen: dict[str, Any] = {}

    def train(recipe: Any = None, *, on_event: Any = None, **fields: Any) -> SimpleNamespace:
        load_recipe(recipe, **fields)
        seen.update(recipe=recipe, fields=fields)
        on_event({"kind": "note", "text": "a \x1b[31mnote"})
        on_event({"kind": "stage", "name": "train", "text": "training 3 steps", "total": 3, "start": 0})
        on_event({"kind": "step", "step": 1, "total": 3, "loss": 0.5})
        on_event({"kind": "evaluation", "step": 1, "metrics": {"f1": 0.25}, "best": True})
        on_event({"kind": "something new"})
        metrics = {
            "task": "token-classification",
            "split": "test",
            "rows": 3,
            "primary": "f1",
            "metrics": {"f1": {"value": 0.5, "ci95": [0.25, 0.75]}},
        }
        return SimpleNamespace(metrics=metrics | {"baseline": {"name": "most-frequent-tag", "metrics": {"f1": 0.1}}}, path=Path("RUN"))

    monkeypatch.setattr("oneloop.run.train", train)
    return seen


# ---- help and wrong usage -------------------------------------------------------------------------------
def test_help_names_every_command(run: Any) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in ("tasks", "diagnose", "check", "train", "evaluate", "compare", "report", "predict", "demo"):
        assert f"\n  {name} " in out


@pytest.mark.parametrize("name", [command.name for command in cli.app.registered_commands])
def test_every_command_takes_json_and_quiet(run: Any, name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0 and "--json" in out and "--quiet" in out


def test_every_field_of_the_recipe_is_a_flag(run: Any) -> None:
    _, out, _ = run("train", "--help")
    for name in field_names():
        assert f"--{name.replace('_', '-')} " in out, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--trian", "x.csv"], "there is no flag '--trian'; did you mean '--train'?"),
        (["train", "--learning_rat=3"], "did you mean '--learning-rate'?"),
        (["train", "--logging_steps", "5"], "every step is logged"),
        (["train", "a.yaml", "b.yaml"], "expected one recipe, got 2: a.yaml b.yaml"),
        (["train", "--epochs"], "--epochs"),
        (["train", "-x"], "there is no flag '-x'"),
        (["trian"], "train"),
        (["tasks", "--jsn"], "--json"),
        (["compare", "only-one"], "RUN"),
        (["diagnose"], "say what you want to do"),
        (["check", "x.csv", "--label-sheet", "0"], "label-sheet"),
        (["predict", "RUN"], "INPUT"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_right(run: Any, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2 and out == "" and message in err and "Traceback" not in err


def test_wrong_usage_with_json_is_a_document(run: Any) -> None:
    code, out, err = run("train", "--trian", "x.csv", "--json")
    assert code == 2 and json.loads(out)["error"]["kind"] == "UsageError" and "did you mean" in err


# ---- a user's errors --------------------------------------------------------------------------------------
def test_a_users_error_exits_with_1_on_stderr_without_traceback(run: Any) -> None:
    code, out, err = run("train", "--epochs", "-3", "--batch-rows", "x")
    assert code == 1 and out == ""
    assert "'epochs' is '-3'" in err and "'batch_rows' is 'x'" in err and "Traceback" not in err


def test_a_users_error_with_json_is_a_document(run: Any) -> None:
    code, out, err = run("tasks", "nerd", "--json")
    error = json.loads(out)["error"]
    assert code == 1 and error["kind"] == "RecipeError" and error["expected"].startswith("one of") and error["fix"] and "nerd" in err


def test_every_problem_of_a_file_is_in_the_document(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise DataError(
            "two rows cannot be used", [Problem("no label", "add one", "a.csv", 3), Problem("no text", "", "a.csv", 9, column="text")]
        )

    monkeypatch.setattr("oneloop.run.train", fails)
    code, out, err = run("train", "--train", "a.csv", "--json")
    assert (
        code == 1 and [one["row"] for one in json.loads(out)["error"]["problems"]] == [3, 9] and "a.csv row 9, column text: no text" in err
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_T9_a_stopped_run_exits_with_its_signals_code(run: Any, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    def stops(*_: Any, **__: Any) -> None:
        raise Stopped("stopped after step 7, which is saved", 128 + number)

    monkeypatch.setattr("oneloop.run.train", stops)
    found, _, err = run("train", "--train", "a.csv")
    assert found == code and "after step 7" in err


def test_ctrl_c_anywhere_exits_with_130(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("oneloop.explain.tasks", interrupted)
    assert run("tasks")[0] == 130


def test_what_the_system_refuses_is_no_traceback(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("oneloop.explain.tasks", full)
    code, _, err = run("tasks")
    assert code == 1 and "No space left on device" in err and "Traceback" not in err


def test_S14_a_message_cannot_drive_the_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RunError("bad \x1b[2J\u202ename")

    monkeypatch.setattr("oneloop.explain.tasks", fails)
    _, _, err = run("tasks")
    assert "\x1b" not in err and "\u202e" not in err and "\\x1b[2J\\u202ename" in err


# ---- train ------------------------------------------------------------------------------------------------
def test_flags_become_the_keywords_of_train(run: Any, trained: dict[str, Any], tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("task: ner\nepochs: 9\n")
    arguments = ["--train", "a.conll", "--learning_rate", "1e-4", "--batch-rows=8", "--force", "--no-streaming", "--lora", "4"]
    arguments += ["--columns", "text=body", "--columns", "label=x", "--set", "epochs=2", "--num_train_epochs", "2", "--clean", "html,space"]
    code, out, err = run("train", str(recipe), *arguments)
    assert (code, err.count("Traceback")) == (0, 0)
    found = load_recipe(trained["recipe"], **trained["fields"])
    assert (found.task, found.train, found.learning_rate, found.batch_rows) == ("token-classification", "a.conll", 1e-4, 8)
    assert (found.force, found.streaming, found.lora, found.epochs, found.clean) == (True, False, 4, 2.0, ["html", "space"])
    assert found.columns == {"text": "body", "label": "x"}
    assert "0.5000" in out and "[0.2500, 0.7500]" in out and "most-frequent-tag 0.1000" in out and "run: RUN" in out
    assert "a \\x1b[31mnote" in err and "f1 0.2500 (best)" in err


def test_a_value_may_begin_with_a_dash(run: Any, trained: dict[str, Any]) -> None:
    assert run("train", "--train", "a.csv", "--max_steps", "-1", "--where", "-x")[0] == 0
    assert trained["fields"]["max_steps"] == "-1" and trained["fields"]["where"] == "-x"


def test_train_with_json_prints_the_metrics_and_nothing_else(run: Any, trained: dict[str, Any]) -> None:
    code, out, _ = run("train", "--train", "a.csv", "--json")
    assert code == 0 and json.loads(out)["metrics"]["f1"]["value"] == 0.5


def test_quiet_train_says_nothing_on_stderr(run: Any, trained: dict[str, Any]) -> None:
    assert run("train", "--train", "a.csv", "--quiet")[2] == ""


def test_several_files_for_one_split(run: Any, trained: dict[str, Any]) -> None:
    run("train", "--train", "a.csv", "--train", "b.csv", "--test", "c.csv")
    found = load_recipe(**trained["fields"])
    assert found.train == ["a.csv", "b.csv"] and found.test == "c.csv"


def test_the_fields_of_every_task_are_flags() -> None:
    for task, fields in task_fields().items():
        for name in fields:
            flag = f"--{name.replace('_', '-')}"
            assert extra_flags([flag, "1"]) == ([], [(flag[2:], "1")]), task
            assert extra_flags(["r.yaml", f"{flag}=a=b"]) == (["r.yaml"], [(flag[2:], "a=b")])


def test_a_switch_in_hugging_face_spelling_needs_no_value() -> None:
    assert extra_flags(["r.yaml", "--bf16", "--warmup_ratio", "0.1"]) == (["r.yaml"], [("bf16", "true"), ("warmup_ratio", "0.1")])
    assert extra_flags(["--bf16"]) == ([], [("bf16", "true")])


def test_train_without_data_says_what_is_missing(run: Any) -> None:
    code, _, err = run("train")
    assert code == 1 and "--train" in err


def test_data_in_the_place_of_the_recipe_gets_a_hint(run: Any, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("text,label\na,b\n")
    code, _, err = run("train", str(tmp_path / "data.csv"))
    assert code == 1 and f"--train {tmp_path / 'data.csv'}" in err


# ---- tasks --------------------------------------------------------------------------------------------------
def test_tasks_lists_all_eight(run: Any) -> None:
    code, out, _ = run("tasks", "--json")
    assert code == 0 and len(json.loads(out)) == 8
    for name in json.loads(out):
        assert (
            name["head"].startswith("AutoModel") and name["label_shape"] and name["collator"] and name["metric"] and name["metric_limits"]
        )


def test_one_task_explained(run: Any) -> None:
    code, out, _ = run("tasks", "ner")
    assert (
        code == 0
        and out.startswith("token-classification  (also: ")
        and "AutoModelForTokenClassification" in out
        and "next: oneloop train" in out
    )


# ---- output -----------------------------------------------------------------------------------------------
def test_a_closed_pipe_is_no_error() -> None:
    line = f"{sys.executable} -m oneloop tasks --json | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""


def test_a_terminal_of_another_encoding_shows_escapes() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "oneloop", "tasks", "x\u00e9"], cwd=ROOT, capture_output=True, env=environment, timeout=60)
    assert done.returncode == 1 and b"Traceback" not in done.stderr and b"there is no task" in done.stderr


def test_T9_sigterm_before_anything_happens_leaves_with_its_code(tmp_path: Path) -> None:
    read, write = os.pipe()
    program = subprocess.Popen([sys.executable, "-m", "oneloop", "predict", str(tmp_path), "-"], cwd=ROOT, stdin=read)
    time.sleep(1)
    program.send_signal(signal.SIGTERM)
    assert program.wait(30) in (143, -signal.SIGTERM)
    os.close(read)
    os.close(write)


def test_json_has_no_nan() -> None:
    given = {"a": float("nan"), "b": [float("inf"), 1.5], "c": Path("x"), 1: (2,)}
    assert json.loads(console.dump(given)) == {"a": None, "b": [None, 1.5], "c": "x", "1": [2]}


def test_a_score_that_is_undefined_is_said() -> None:
    assert "undefined" in console.score_table({"metrics": {"f1": {"value": None, "ci95": None}}})
    assert "undefined" in console.score_table({"metrics": {"f1_answerable": {"value": None, "ci95": [None, None]}}})


def test_a_progress_display_that_lost_its_terminal_goes_on_silently() -> None:
    progress = console.Progress()

    def gone(_: Any) -> None:
        raise OSError(5, "Input/output error")

    progress.show = gone  # type: ignore[method-assign]
    progress({"kind": "note", "text": "x"})
    progress({"kind": "note", "text": "y"})
    assert progress.bar is None


def test_predict_reads_texts_rows_files_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))
    assert cli.read_inputs(["-", '{"text": "a"}', "{not json", "plain"]) == ["one", "two", {"text": "a"}, "{not json", "plain"]
    (tmp_path / "a.csv").write_text("text\nx\n")
    assert cli.is_file(str(tmp_path / "a.csv")) and cli.is_file("missing.csv")
    assert not cli.is_file("Where is it?") and not cli.is_file("x" * 10_000) and not cli.is_file("a\0b")


def test_an_open_question_can_be_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    from oneloop.diagnose import Diagnosis

    options = ["token-classification", "question-answering"]
    found = Diagnosis(options, ["both fit"], ambiguous=True, options=options)
    monkeypatch.setattr(sys, "stdin", io.StringIO("7\n2\n"))
    assert cli.ask(found).task == "question-answering"
    assert "there is no option '7'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert cli.ask(found).ambiguous


def test_diagnose_prints_a_document_and_writes_a_recipe_that_loads(run: Any, tmp_path: Path) -> None:
    data = ROOT / "oneloop" / "samples" / "tickets.csv"
    code, out, _ = run("diagnose", "Which mood is each ticket in?", "--data", str(data), "--out", str(tmp_path / "r.yaml"), "--json")
    found = json.loads(out)
    assert code == 0 and found["task"] == "sequence-classification" and found["columns"] == {"text": "message", "label": "mood"}
    assert load_recipe(tmp_path / "r.yaml").columns == found["columns"]


def test_diagnose_batch_prints_one_line_for_each(run: Any, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"id": "a", "statement": "translate letters into French"}\nnot json\n{"id": 3}\n')
    code, out, _ = run("diagnose", "--batch", str(tmp_path / "b.jsonl"))
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [line["id"] for line in lines] == ["a", 2, 3]
    assert lines[0]["tasks"][0] == "translation" and "not JSON" in lines[1]["error"] and "nothing to diagnose" in lines[2]["error"]


def test_check_prints_a_verdict_and_writes_a_cleaned_copy(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "text,label\n" + "".join(f"letter number {i} of today,{'good' if i % 2 else 'bad'}\n" for i in range(40)) + ",good\n"
    )
    code, out, _ = run("check", str(tmp_path / "a.csv"), "--task", "sequence-classification", "--fix", str(tmp_path / "fixed"), "--json")
    assert code == 0 and json.loads(out)["findings"] and list((tmp_path / "fixed").iterdir())
