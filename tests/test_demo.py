"""The demo tells its story from beginning to end, and the samples behind it are what they say they are."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import oneloop
from oneloop.demo import STORIES, answers
from oneloop.errors import RecipeError
from tests.small_tokenizers import wordpiece

SAMPLES = Path(oneloop.__file__).resolve().parent / "samples"


def jsonl(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]


# ---- the story ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A two-layer BERT with untrained weights, as a folder."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("model")
    tokenizer = wordpiece()
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("task", sorted(STORIES))
def test_the_whole_story(task: str, small_model: str, tmp_path: Path) -> None:
    said: list[str] = []
    events: list[dict[str, Any]] = []
    run = tmp_path / "run"
    settings = {"model": small_model, "max_steps": 3, "precision": "fp32"}
    result = oneloop.demo(task, output=run, say=said.append, on_event=events.append, **settings)
    told = "\n".join(said)
    assert re.findall(r"^(\d)\. ", told, re.M) == list("1234567")
    assert STORIES[task].statement in told
    assert f"   {task}" in told and "baseline" in told and "95 % interval" in told
    assert len(re.findall(r"^   “.*”(, \d{3} words)?$", told, re.M)) == 3, "the statement and two new texts"
    assert ", 3" in re.findall(r"^   “.*”(, \d{3} words)$", told, re.M)[0]
    assert len([event for event in events if event["kind"] == "step"]) == 3
    assert result.metrics["task"] == task
    for name in ("report.html", "README.md", "metrics.json", "model"):
        assert (run / name).exists()
    assert str(run / "report.html") in told


def test_silence_and_a_task_without_a_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RecipeError, match="no demo of translation yet"):
        oneloop.demo("translation", output=tmp_path / "run", say=None)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "run").exists()


def test_the_module_is_the_function() -> None:
    import oneloop.demo

    assert callable(oneloop.demo)
    assert oneloop.demo.STORIES is STORIES


def test_predictions_in_words() -> None:
    span = {"label": "DATE", "text": "3\nMay", "start": 0, "end": 5}
    assert answers({"spans": [span]}) == ["DATE: 3 May"]
    assert answers({"spans": []}) == ["nothing to mark"]
    assert answers({"spans": [span] * 20})[-1] == "… and 8 more"
    assert answers({"label": "calm", "scores": {"calm": 0.93, "angry": 0.07}}) == ["calm  (93%)"]
    assert answers({"answer": "", "score": 0.5}) == ["the text does not say  (50%)"]
    assert answers({"error": "the text is empty"}) == ["error: the text is empty"]


@pytest.mark.parametrize("task", sorted(STORIES))
def test_each_story_has_a_sample_and_a_long_text(task: str) -> None:
    assert (SAMPLES / STORIES[task].sample).is_file()
    assert len((SAMPLES / "unseen" / STORIES[task].long).read_text(encoding="utf-8").split()) > 300


@pytest.mark.parametrize("task", sorted(STORIES))
def test_the_statement_and_the_sample_are_diagnosed_as_the_task(task: str) -> None:
    found = oneloop.diagnose(STORIES[task].statement, data=str(SAMPLES / STORIES[task].sample))
    assert found.task == task and not found.ambiguous
    assert oneloop.check(str(SAMPLES / STORIES[task].sample), task=task).verdict != "blocks training"


# ---- the samples --------------------------------------------------------------------------------


def test_contract_spans_are_whole_words_in_order() -> None:
    rows = jsonl("contracts.jsonl")
    assert len({row["text"] for row in rows}) == len(rows)
    for row in rows:
        text, end = row["text"], 0
        for span in row["spans"]:
            assert end <= span["start"] < span["end"] <= len(text), row
            assert not re.search(r"\w$", text[: span["start"]]) and not re.match(r"\w", text[span["end"] :]), row
            assert text[span["start"] : span["end"]].strip() == text[span["start"] : span["end"]]
            end = span["end"]
    labels = Counter(span["label"] for row in rows for span in row["spans"])
    assert set(labels) == {"PARTY", "DATE", "MONEY", "DURATION", "LAW"} and min(labels.values()) >= 60
    assert sum(not row["spans"] for row in rows) >= 50


def test_tickets_are_balanced_and_differ() -> None:
    with (SAMPLES / "tickets.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    moods = Counter(row["mood"] for row in rows)
    assert set(moods) == {"angry", "calm", "confused", "grateful", "worried"} and min(moods.values()) >= 55
    assert len({row["message"] for row in rows}) == len(rows) == len({row["ticket"] for row in rows})


def test_answers_stand_where_they_say() -> None:
    data = json.loads((SAMPLES / "qa.json").read_text(encoding="utf-8"))["data"]
    asked = [(paragraph["context"], item) for article in data for paragraph in article["paragraphs"] for item in paragraph["qas"]]
    for context, item in asked:
        assert item["is_impossible"] == (not item["answers"])
        for answer in item["answers"]:
            assert context[answer["answer_start"] :].startswith(answer["text"]), item
    assert len({item["id"] for _, item in asked}) == len(asked) > 180
    assert sum(item["is_impossible"] for _, item in asked) >= 15


def test_search_judgements_name_what_exists() -> None:
    passages, queries = {row["_id"] for row in jsonl("faq/corpus.jsonl")}, {row["_id"] for row in jsonl("faq/queries.jsonl")}
    with (SAMPLES / "faq/qrels/test.tsv").open(encoding="utf-8") as file:
        judged = list(csv.DictReader(file, delimiter="\t"))
    assert {row["corpus-id"] for row in judged} <= passages
    assert {row["query-id"] for row in judged} == queries


def test_the_other_samples_are_complete() -> None:
    assert all(
        set(row) == {"instruction", "input", "output"} and row["instruction"] and row["output"] for row in jsonl("instructions.jsonl")
    )
    assert all(len(row["summary"]) < 0.6 * len(row["document"]) for row in jsonl("summaries.jsonl"))
    with (SAMPLES / "translation.tsv").open(encoding="utf-8") as file:
        pairs = list(csv.reader(file, delimiter="\t"))
    assert pairs[0] == ["en", "de"] and all(len(pair) == 2 and all(pair) for pair in pairs) and len(pairs) > 140
    assert len((SAMPLES / "notes.txt").read_text(encoding="utf-8").strip().split("\n\n")) == 40


def test_the_table_of_samples_counts_right() -> None:
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    counts = {name: int(count) for name, count in re.findall(r"^\| (\S+) \| [^|]+ \| (\d+) ", readme, re.M)}
    assert counts["contracts.jsonl"] == len(jsonl("contracts.jsonl"))
    assert counts["instructions.jsonl"] == len(jsonl("instructions.jsonl")) and counts["summaries.jsonl"] == len(jsonl("summaries.jsonl"))
    assert counts["faq/"] == len(jsonl("faq/corpus.jsonl")) and f"{len(jsonl('faq/queries.jsonl'))} queries" in readme
    with (SAMPLES / "tickets.csv").open(encoding="utf-8", newline="") as file:
        assert counts["tickets.csv"] == len(list(csv.DictReader(file)))
    assert counts["translation.tsv"] == len((SAMPLES / "translation.tsv").read_text(encoding="utf-8").splitlines()) - 1
