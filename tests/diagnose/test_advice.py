"""What messages advise exists: every `oneloop WORD` in the source is a command."""

import ast
import csv
import re
import shlex
from pathlib import Path

import oneloop
from oneloop.cli import app
from oneloop.diagnose.check import check

PACKAGE = Path(oneloop.__file__).parent
ADVICE = re.compile(r"(?<![\w.-])(?<!from )(?<!import )oneloop ([a-z][a-z-]*)")


def advised(text: str) -> set[str]:
    return set(ADVICE.findall(text))


def commands() -> set[str]:
    return {str(command.name) for command in app.registered_commands}


def test_every_command_that_a_message_names_exists():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= dict.fromkeys(advised(node.value), f"{path.name}:{node.lineno}")
    assert {"check", "train", "tasks", "diagnose"} <= set(found)
    assert {word: place for word, place in found.items() if word not in commands()} == {}


def test_a_file_without_labels_is_told_what_can_be_done_with_it_now(tmp_path):
    path = tmp_path / "my mails.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(
            [("text",), *((f"the {thing} came late again, number {i}",) for i, thing in enumerate(["parcel", "letter"] * 20))]
        )
    for source in (path, [path], {"train": path}):
        (finding,) = check(source, task="sequence-classification").of("no-labels-in-file")
        assert advised(finding.remedy) == {"check", "tasks"} and "semantic search" in finding.remedy
        assert f"check {shlex.quote(str(path))} --label-sheet" in finding.remedy
