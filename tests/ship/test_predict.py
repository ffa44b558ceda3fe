"""Predicting: one output for each input, in order, whatever the input is; in files resumably."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import oneloop
from oneloop.errors import DataError, ModelError, RecipeError
from oneloop.ship import predict_files
from oneloop.ship.predict import Model
from oneloop.ship.predict_files import predict_file
from tests.faults.test_checkpoint import DAMAGES, damage
from tests.trained_runs import QUIET, classified, read_lines, samples, tagged

MODEL_FILES = ("config.json", "manifest.json", "model.safetensors", "oneloop.json", "tokenizer.json", "tokenizer_config.json")


@cache
def moods() -> Model:
    return oneloop.load(classified())


@cache
def names() -> Model:
    return oneloop.load(tagged())


# ---- in Python --------------------------------------------------------------------------------------------------
def test_texts_rows_and_broken_inputs_keep_their_order() -> None:
    given = ["lovely soup", {"text": "cold bed", "id": "b7"}, 3, {"message": "x"}, "", {"text": ["a", "b"]}, "late"]
    found = moods().predict(given)
    assert [line["id"] for line in found] == ["1", "b7", "3", "4", "5", "6", "7"] and [line["row"] for line in found] == list(range(1, 8))
    assert ["error" in line for line in found] == [False, False, True, True, False, True, False]
    assert found[4]["flag"] == "no tokens" and "text" in found[3]["error"]
    assert moods().predict("lovely soup")[0]["label"] == found[0]["label"]
    assert moods().predict([]) == []


def test_a_document_of_10_000_words_gets_10_000_tags() -> None:
    words = [["Anna", "met", "Bert", "in", "Paris"][i % 5] for i in range(10_000)]
    said = names().predict([words, {"tokens": words[:7]}])
    assert len(said[0]["tags"]) == 10_000 and len(said[1]["tags"]) == 7
    text = names().predict("Anna met Bert in Paris . " * 50)[0]
    assert all(set(span) == {"start", "end", "label", "score", "text"} for span in text["spans"])


def test_D15_words_without_a_token_keep_their_place() -> None:
    words = ["Anna", "\u200b", "", "\ufffd", "met", "\x00", "\xad", "Bert"]
    assert len(names().predict([words])[0]["tags"]) == 8


# ---- files ------------------------------------------------------------------------------------------------------
def out_of(model: Model, path: Path, **settings: Any) -> list[dict[str, Any]]:
    counts = predict_file(model, [str(path)], path.parent / "out.jsonl", **settings)
    lines = read_lines(path.parent / "out.jsonl")
    told = {"rows": len(lines), "errors": sum("error" in line for line in lines), "out": str(path.parent / "out.jsonl")}
    assert counts == told | {"resumed": 0, "notes": []}
    assert not list(path.parent.glob("*.part*"))
    return lines


def test_csv_rows_keep_their_place_bad_ones_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('text,note\nlovely soup,x\n,empty text\ntoo,many,fields\n"cold\nbed",y\nfew\nwarm,z\n')
    lines = out_of(moods(), path)
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line.get("error", "").split(":")[0] for line in lines] == ["", "", "too many fields", "", "too few fields", ""]
    assert lines[1]["flag"] == "no tokens"


def test_blocks_of_any_size_give_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("".join(["text,note\n", *(f"the soup {i} was great,{i}\n" if i % 7 else "a,b,c\n" for i in range(1, 60))]))
    whole = out_of(moods(), path)
    for size in (1, 2, 7, 58, 59):
        lines = out_of(moods(), path, block_rows=size)
        assert [(line["row"], line.get("label"), line.get("error")) for line in lines] == [
            (line["row"], line.get("label"), line.get("error")) for line in whole
        ]
    assert [line["row"] for line in whole] == list(range(1, 60))


def test_every_line_of_a_text_file_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("lovely soup\n\nthe bed was cold\n \nlate")
    lines = out_of(moods(), path, block_rows=2)
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5] and not any("error" in line for line in lines)


def test_conll_and_json_lines(tmp_path: Path) -> None:
    lines = out_of(names(), samples() / "words.conll")
    assert len(lines) == 40 and all(line["tags"] for line in lines)
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "lovely", "id": "a"}\n{"text": \n{"text": 5, "id": "b"}\n{"txt": "x", "id": "c"}\n[1]\n')
    found = out_of(moods(), path)
    assert [line["row"] for line in found] == [1, 2, 3, 4, 5]
    assert ["error" in line for line in found] == [False, True, False, True, True]


def test_wrong_answers_in_the_input_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"tokens": ["Anna", "met"], "tags": ["O"]}\n{"tokens": ["Bert"], "tags": ["X-Y"]}\n')
    assert [len(line["tags"]) for line in out_of(names(), path)] == [2, 1]


def test_parquet_is_read_by_blocks(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [f"soup {i}" for i in range(25)]}), tmp_path / "in.parquet")
    assert [line["row"] for line in out_of(moods(), tmp_path / "in.parquet", block_rows=10)] == list(range(1, 26))


def test_ids_are_the_files_own_where_they_are_unique(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text\nx1,lovely\nx2,late\nx3,cold\n")
    assert [line["id"] for line in out_of(moods(), path, block_rows=2)] == ["x1", "x2", "x3"]
    path.write_text("id,text\nx1,lovely\nx2,late\nx1,cold\n")
    assert [line["id"] for line in out_of(moods(), path, block_rows=2)] == ["1", "2", "3"]


def test_several_inputs_follow_each_other_with_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("lovely soup\nlate again\n")
    counts = predict_file(moods(), [str(tmp_path / "a.txt"), "the bed was cold", str(tmp_path / "b.txt")], tmp_path / "out.jsonl")
    lines = read_lines(tmp_path / "out.jsonl")
    assert counts["rows"] == 5 and len({line["id"] for line in lines}) == 5
    assert [line["row"] for line in lines] == [1, 2, 2, 1, 2]


def test_csv_output_is_safe_for_spreadsheets(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text\n=1+1,lovely\n@x,\nb,late\nq,a,b\n")
    predict_file(moods(), [str(path)], tmp_path / "out.csv", block_rows=2)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["'=1+1", "'@x", "b", "4"] and rows[1]["flag"] == "no tokens" and rows[3]["error"]
    assert set(json.loads(rows[0]["scores"])) == {"good", "bad"}
    assert not list(tmp_path.glob("*.part*"))


def test_columns_are_those_of_the_training_or_those_given(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("title,body\nabc,lovely soup and a long text beside it\ndef,late again and again and again\n")
    given = out_of(moods(), path, columns={"text": "title"})
    assert [line["label"] for line in given] == [line["label"] for line in moods().predict(["abc", "def"])]
    with pytest.raises(RecipeError, match="there is no column 'txt'"):
        out_of(moods(), path, columns={"text": "txt"})


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        predict_file(moods(), [str(tmp_path / "missing.csv")], tmp_path / "out.jsonl")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="empty"):
        predict_file(moods(), [str(tmp_path / "empty.csv")], tmp_path / "out.jsonl")


def test_S15_a_file_that_was_interrupted_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.csv"
    path.write_text("".join(["text\n", *(f"the soup {i} was {'great' * (i % 5)}\n" for i in range(50))]))
    out_of(moods(), path, block_rows=10)
    whole = (tmp_path / "out.jsonl").read_bytes()
    real, calls = predict_files.predict_table, 0

    def failing(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(predict_files, "predict_table", failing)
    out = tmp_path / "second.jsonl"
    with pytest.raises(KeyboardInterrupt):
        predict_file(moods(), [str(path)], out, block_rows=10)
    assert not out.exists()
    with (tmp_path / "second.jsonl.part").open("ab") as stream:  # what was being written when it died
        stream.write(b'{"id": "31", "ro')
    assert predict_file(moods(), [str(path)], out, block_rows=10) == {
        "rows": 50,
        "errors": 0,
        "out": str(out),
        "resumed": 30,
        "notes": ["going on after row 30"],
    }
    assert calls == 4 + 2 and out.read_bytes() == whole
    # another input is not gone on with
    with pytest.raises(KeyboardInterrupt):
        calls = 3
        predict_file(moods(), [str(path)], out, block_rows=10)
    path.write_text("text\nlovely\n")
    assert predict_file(moods(), [str(path)], out, block_rows=10)["rows"] == 1 and len(read_lines(out)) == 1


def test_S15_killed_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("".join(["text\n", *(f"the soup {i} was great and the bed was {i % 9}\n" for i in range(6000))]))
    line = [sys.executable, "-m", "oneloop", "predict", str(classified()), str(path), "--out", str(tmp_path / "out.jsonl")]
    program = subprocess.Popen(line, env=os.environ | QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record, end = tmp_path / "out.jsonl.part.json", time.monotonic() + 300
    while time.monotonic() < end and program.poll() is None and not record.exists():
        time.sleep(0.01)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert record.exists() or (tmp_path / "out.jsonl").exists()
    assert subprocess.run(line, env=os.environ | QUIET, capture_output=True, timeout=400).returncode == 0
    predict_file(oneloop.load(classified()), [str(path)], tmp_path / "whole.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert [line["row"] for line in read_lines(tmp_path / "out.jsonl")] == list(range(1, 6001))


# ---- damaged folders --------------------------------------------------------------------------------------------
def damages() -> list[tuple[str, str, str]]:
    return [(name, how, where) for name in MODEL_FILES for how, where in DAMAGES]


@pytest.mark.parametrize(("name", "how", "where"), damages())
def test_T3_every_damage_of_a_saved_model_is_named(tmp_path: Path, name: str, how: str, where: str) -> None:
    shutil.copytree(classified() / "model", tmp_path / "model")
    damage(tmp_path / "model" / name, how, where)
    for use in (oneloop.load, lambda folder: oneloop.evaluate(folder, str(samples() / "texts.csv"))):
        with pytest.raises(ModelError, match=name):
            use(tmp_path)


def test_the_files_of_a_saved_model_are_all_damaged_above() -> None:
    assert {path.name for path in (classified() / "model").iterdir()} == set(MODEL_FILES)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("where", ["begin", "middle"])
def test_T2_a_half_written_folder_from_elsewhere_is_named(tmp_path: Path, name: str, where: str) -> None:
    folder = foreign(tmp_path / "m", "BertForSequenceClassification", ["good", "bad"])
    damage(folder / name, "truncate", where)
    for words in (["predict", str(folder), "lovely"], ["evaluate", str(folder), "--data", str(samples() / "texts.csv")]):
        line = [sys.executable, "-m", "oneloop", *words]
        found = subprocess.run(line, env=os.environ | QUIET, capture_output=True, text=True, timeout=60) if where == "begin" else None
        assert found is None or (found.returncode == 1 and name in found.stderr and "Traceback" not in found.stderr), found
    with pytest.raises(ModelError, match=name):
        oneloop.load(folder)


# ---- models from elsewhere --------------------------------------------------------------------------------------
def foreign(folder: Path, head: str, labels: list[str]) -> Path:
    import transformers

    config = transformers.AutoConfig.from_pretrained(
        samples() / "model", id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)}
    )
    getattr(transformers, head)._from_config(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(samples() / "model").save_pretrained(folder)
    return folder


def test_a_folder_that_save_pretrained_wrote_is_predicted_and_evaluated(tmp_path: Path) -> None:
    folder = foreign(tmp_path / "m", "BertForSequenceClassification", ["good", "bad"])
    assert set(oneloop.load(folder).predict("lovely")[0]["scores"]) == {"good", "bad"}
    found = oneloop.evaluate(folder, str(samples() / "texts.csv"), train=str(samples() / "texts.csv"))
    assert found["rows"] == 60 and found["baseline"]["name"] == "majority" and found["metrics"]["accuracy"]["value"] >= 0
    tags = foreign(tmp_path / "t", "BertForTokenClassification", ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    assert len(oneloop.load(tags).predict([["Anna", "met", "Bert"]])[0]["tags"]) == 3
    assert oneloop.evaluate(tags, str(samples() / "words.conll"))["rows"] == 40


def test_a_body_without_a_head_is_not_predicted_with() -> None:
    with pytest.raises(ModelError, match="does not say which task"):
        oneloop.load(samples() / "model")
    with pytest.raises(ModelError, match="no trained sequence-classification head"):
        oneloop.load(samples() / "model", task="sequence-classification")
