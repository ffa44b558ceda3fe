"""One answer line for each question line, in order; a broken line says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneloop.diagnose import batch
from oneloop.errors import OneloopError

FIELDS = {"id", "tasks", "none", "ambiguous", "question", "columns"}


def test_every_line_is_answered_in_order(tmp_path: Path) -> None:
    (tmp_path / "mail.csv").write_text(
        "body,mood\n" + "".join(f"I am {'glad' if i % 2 else 'sad'} about parcel {i},{'good' if i % 2 else 'bad'}\n" for i in range(40))
    )
    lines = [
        json.dumps({"id": "a", "statement": "Mask the names in letters."}),
        "{broken",
        json.dumps({"id": "b", "data": "mail.csv"}),
        json.dumps({"id": "c", "statement": "Tell cats from dogs in photos."}),
        json.dumps(["no object"]),
        json.dumps({"id": "d", "data": "absent.csv"}),
        json.dumps({"id": "e"}),
        json.dumps({"id": "f", "statement": 7}),
        json.dumps({"id": 9, "statement": "Is it good or bad?", "data": "mail.csv"}),
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = list(batch(path))
    assert [answer["id"] for answer in answers] == ["a", 2, "b", "c", 5, "d", "e", "f", 9]
    assert all(set(answer) >= FIELDS for answer in answers) and json.dumps(answers)
    assert answers[0]["tasks"][0] == "token-classification" and "error" not in answers[0]
    assert answers[2]["tasks"][0] == "sequence-classification" and answers[2]["columns"] == {"text": "body", "label": "mood"}
    assert answers[3]["none"]
    assert [bool(answer.get("error")) for answer in answers] == [False, True, False, False, True, True, True, True, False]
    assert answers[8]["columns"] == {"text": "body", "label": "mood"}


def test_lines_need_not_be_a_file() -> None:
    assert next(batch([{"id": 1, "statement": "Translate manuals into Spanish."}]))["tasks"][0] == "translation"


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(OneloopError, match="cannot be read"):
        next(batch("nowhere.jsonl"))
