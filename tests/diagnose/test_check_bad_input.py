"""Files that cannot be trained on: the report says why, and nothing crashes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneloop.cli import app
from oneloop.diagnose import from_table
from oneloop.diagnose.check import check
from oneloop.errors import DataError
from oneloop.prepare import prepare
from oneloop.read import read
from oneloop.recipe import load_recipe

PASSAGES = [{"_id": f"d{i}", "text": f"passage number {i} tells of a town and its river"} for i in range(12)]
QUERIES = [{"_id": f"q{i}", "text": f"what does passage {i} tell?"} for i in range(12)]


def search_set(folder: Path, *parts: str) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"q{i}\td{i}\t1\n" for i in range(12)))
    for name, rows in (("corpus", PASSAGES), ("queries", QUERIES)):
        if name in parts:
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("parts", [(), ("corpus",), ("queries",)])
def test_C028_judgements_without_their_texts_block(tmp_path: Path, parts: tuple[str, ...]) -> None:
    folder = search_set(tmp_path / "set", *parts)
    found = check(str(folder))
    assert found.verdict == "blocks training" and found.as_dict()["blocks_training"] is True
    said = " ".join(finding.message + finding.remedy for finding in found.findings if finding.severity == "blocks")
    assert {(): "passage", ("corpus",): "no queries", ("queries",): "no corpus"}[parts] in said
    whole = search_set(tmp_path / "whole", "corpus", "queries")
    assert check(str(whole)).verdict != "blocks training"


def test_C028_qrels_alone_are_a_search_set_without_its_texts(tmp_path: Path) -> None:
    path = search_set(tmp_path / "set") / "qrels" / "test.tsv"
    assert from_table(read(path)).task == "semantic-search" and "corpus.jsonl" in str(from_table(read(path)).why)
    assert check(str(path)).verdict == "blocks training"


def test_C028_tags_that_are_all_ignored(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps({"tokens": ["Ann", "ran", str(i)], "tags": [-100] * 3}) + "\n" for i in range(30)))
    assert check(str(path)).verdict == "blocks training" and "nothing to learn" in check(str(path)).findings[0].message
    with pytest.raises(DataError, match="cannot be named"):
        prepare(load_recipe(train=str(path)), lambda text: None)


def test_C028_one_class(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\n" + "".join(f"a fine day number {i},good\n" for i in range(40)))
    with pytest.raises(DataError, match="all 32 training rows have the label 'good': there is nothing to learn"):
        prepare(load_recipe(train=str(path)), lambda text: None)
    assert check(str(path)).verdict == "blocks training"


def test_a_report_exits_with_0_whatever_it_says_and_a_missing_path_with_1(tmp_path: Path) -> None:
    run = CliRunner().invoke
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("text,label\n" + "".join(f"a {w} day in week {i} of spring,{w}\n" for i, w in enumerate(["fine", "poor"] * 20)))
    shutil.copy(good, bad)
    bad.write_text(bad.read_text() + "one,two,three\n")
    for path, blocks in ((good, False), (bad, True)):
        done = run(app, ["check", str(path), "--json", "--quiet"])
        assert done.exit_code == 0 and json.loads(done.stdout)["blocks_training"] is blocks
    assert "blocks_training" in run(app, ["check", "--help"]).stdout
    with pytest.raises(DataError):
        check(str(tmp_path / "nothing.csv"))


def test_C028_a_class_for_every_row(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\n" + "".join(f"a day number {i} of work,class{i}\n" for i in range(5000)))
    with pytest.raises(DataError, match=r"different labels in 4\d\d\d training rows.*look like ids"):
        prepare(load_recipe(train=str(path)), lambda text: None)


def unanswered(count: int) -> list[dict]:
    places = ["Oslo", "Lima", "Perth", "Turin", "Lyon"]
    return [
        {
            "id": f"q{i}",
            "question": f"Who built house number {i} in {places[i % 5]}?",
            "context": f"House number {i} stands by the river in {places[i % 5]}; Ada Lind, a builder of bridges, built it in {1900 + i}.",
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("empty", [None, [], {"text": [], "answer_start": []}, ""])
@pytest.mark.parametrize("column", ["answers", "answer"])
def test_C028_questions_that_all_lack_an_answer_are_question_answering_that_cannot_be_learned(tmp_path: Path, empty, column) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps(row | {column: empty}) + "\n" for row in unanswered(30)))
    report = check(path)
    assert report.task == "question-answering" and report.columns["question"] == "question" and report.columns["context"] == "context"
    blocking = [finding for finding in report.findings if finding.severity == "blocks"]
    assert len(blocking) == 1 and blocking[0].message.startswith("no question has an answer")
    filled = "".join(json.dumps(row | {column: f"{1900 + i}"}) + "\n" for i, row in enumerate(unanswered(30)))
    path.write_text(filled)
    assert check(path).task == "question-answering" and check(path).verdict != "blocks training"


@pytest.mark.parametrize("answers", [{"answers": None}, {"answers": []}, {}])
def test_C028_squad_without_its_answers_is_still_question_answering(tmp_path: Path, answers: dict) -> None:
    paragraphs = [{"context": row["context"], "qas": [{"id": row["id"], "question": row["question"]} | answers]} for row in unanswered(30)]
    path = tmp_path / "hidden.json"
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "Houses", "paragraphs": paragraphs}]}))
    report = check(path)
    assert report.task == "question-answering" and report.verdict == "blocks training"
    assert report.findings[0].message.startswith("no question has an answer")
