"""The cleaned copy: what is safe is changed and logged, the original stays, and the copy reads back."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest

from oneloop.diagnose.check import check
from oneloop.errors import RunError
from oneloop.read import read


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def reviews(count: int, start: int = 0) -> list[dict[str, str]]:
    return [
        {"text": f"review number {i} says that item {i * 7} was {('fine', 'bad')[i % 2]}", "label": ("pos", "neg")[i % 2]}
        for i in range(start, start + count)
    ]


def changes(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "changes.jsonl").read_text("utf-8").splitlines()]


def test_labels_texts_copies_and_leaks_are_mended_and_logged(tmp_path):
    source, out = tmp_path / "data", tmp_path / "out"
    source.mkdir()
    train, test = reviews(80), reviews(20, start=500)
    train[3]["label"], train[5]["text"], train[6]["text"] = "Ppos", "cafÃ© number 5 was bad\x07", "  " + train[6]["text"] + " "
    train.append(dict(train[0]))
    test[2] = {"text": train[10]["text"].upper(), "label": train[10]["label"]}
    train[3]["label"] = "POS" if train[3]["label"] == "Ppos" and train[1]["label"] == "neg" else "pos"
    write_csv(source / "train.csv", train)
    write_csv(source / "test.csv", test)
    before = digest(source)
    report = check(source, fix=out)
    assert digest(source) == before
    fixed = list(read(out / "train.csv"))
    assert (
        len(fixed) == 80
        and fixed[3]["label"] == "pos"
        and fixed[5]["text"] == "café number 5 was bad"
        and fixed[6]["text"] == train[6]["text"].strip()
    )
    assert [row["text"] for row in fixed[:3]] == [row["text"] for row in train[:3]]
    assert len(read(out / "test.csv")) == 19
    assert json.loads((out / "leaked.jsonl").read_text("utf-8"))["text"] == test[2]["text"]
    log = changes(out)
    by_row = {(Path(line["file"]).name, line["row"]): line for line in log}
    assert by_row["train.csv", 4] == {
        **by_row["train.csv", 4],
        "what": "label spelling",
        "column": "label",
        "before": "POS",
        "after": "pos",
    }
    assert {("train.csv", 4), ("train.csv", 6), ("train.csv", 7), ("train.csv", 81), ("test.csv", 3)} == set(by_row)
    assert sum(report.written["fixed"]["changes"].values()) == len(log)
    after = check({"train": out / "train.csv", "test": out / "test.csv"})
    assert not {"leaked-rows", "duplicate-rows", "label-typos", "mojibake", "control-characters"} & {f.kind for f in after.findings}


def test_C027_IOB1_becomes_IOB2_and_stays_CoNLL(tmp_path):
    path = tmp_path / "tags.conll"
    path.write_text(
        "".join(f"Ann{i} I-PER\nLee I-PER\nin O\nRome I-LOC\nOslo B-LOC\n\nnothing O\nhere{i} O\nat O\nall O\n\n" for i in range(12)),
        encoding="utf-8",
    )
    check(path, fix=tmp_path / "out")
    rows = list(read(tmp_path / "out" / "tags.conll"))
    assert rows[0]["tokens"] == ["Ann0", "Lee", "in", "Rome", "Oslo"]
    assert rows[0]["tags"] == ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"] and len(rows) == 24
    log = changes(tmp_path / "out")
    assert {line["what"] for line in log} == {"tags as IOB2"} and log[0]["before"] == ["I-PER", "I-PER", "O", "I-LOC", "B-LOC"]


def test_D14_answers_a_little_off_are_moved_and_others_left(tmp_path):
    context = "The bridge at Anford was built in 1911 by Mary Cole for the town."
    questions = [
        {"id": f"q{i}", "question": f"Where is bridge {i}?", "answers": [{"text": "Anford", "answer_start": 14}]} for i in range(20)
    ]
    questions[4]["answers"][0]["answer_start"] = 15
    questions[7]["answers"][0]["answer_start"] = 50  # it stands once
    questions[9]["answers"] = [{"text": "own", "answer_start": 3}]  # once, inside a word
    path = tmp_path / "squad.json"
    path.write_text(
        json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": questions}]}]}), encoding="utf-8"
    )
    check(path, fix=tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "squad.jsonl").read_text("utf-8").splitlines()]
    assert rows[4]["answers"] == rows[7]["answers"] == {"text": ["Anford"], "answer_start": [14]} and len(rows) == 20
    assert rows[9]["answers"] == {"text": ["own"], "answer_start": [3]}
    assert [(line["row"], line["what"]) for line in changes(tmp_path / "out")] == [(5, "answer placed"), (8, "answer placed")]


def test_spans_follow_a_text_that_is_mended(tmp_path):
    path = tmp_path / "spans.jsonl"
    text = "At the cafÃ© in Rome we met Ann"
    rows = [{"text": f"We met Ann in Rome {i} times", "spans": [{"start": 7, "end": 10, "label": "PER"}]} for i in range(20)]
    rows[2] = {"text": text, "spans": [{"start": text.index("Rome"), "end": text.index("Rome") + 4, "label": "LOC"}]}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    check(path, fix=tmp_path / "out")
    fixed = json.loads((tmp_path / "out" / "spans.jsonl").read_text("utf-8").splitlines()[2])
    span = fixed["spans"][0]
    assert "café" in fixed["text"] and fixed["text"][span["start"] : span["end"]] == "Rome"


def test_rows_the_reader_refused_are_in_the_log(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in reviews(30)) + "one,too,many\n", encoding="utf-8")
    check(path, fix=tmp_path / "out")
    assert [line["row"] for line in changes(tmp_path / "out") if line["what"].startswith("left out")] == [31]


def test_the_copy_is_never_written_among_the_originals(tmp_path):
    write_csv(tmp_path / "data.csv", reviews(30))
    with pytest.raises(RunError, match="among the original files"):
        check(tmp_path / "data.csv", fix=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_a_clean_file_comes_back_the_same(tmp_path):
    rows = [{"text": 'quotes "here", commas\nand lines', "label": "007"}, {"text": "NA", "label": "1e5"}] + reviews(30)
    write_csv(tmp_path / "data.csv", rows)
    report = check(tmp_path / "data.csv", "sequence-classification", columns={"text": "text", "label": "label"}, fix=tmp_path / "out")
    assert list(read(tmp_path / "out" / "data.csv")) == rows and report.written["fixed"]["changes"] == {}


def test_offsets_counted_in_bytes_are_converted_not_trimmed(tmp_path):
    lines, wanted = [], []
    for i in range(30):
        text = f"Müller und Söhne grüßen Anna in Köln, Brief {i}."
        places = [(text.index(word), text.index(word) + 4, kind) for word, kind in (("Anna", "PER"), ("Köln", "LOC"))]
        wanted.append([{"start": start, "end": end, "label": kind} for start, end, kind in places])
        in_bytes = [[len(text[:start].encode()), len(text[:end].encode()), kind] for start, end, kind in places]
        lines.append({"text": text, "label": in_bytes})
    source, out = tmp_path / "spans.jsonl", tmp_path / "out"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    report = check(source, fix=out)
    assert report.of("offset-unit")[0].count == 30 and not report.of("span-edge-space") and not report.of("span-inside-word")
    fixed = check(out / "spans.jsonl", "token-classification")
    assert not fixed.of("offset-unit") and fixed.splits == {"train": 30}
    assert [json.loads(line)["spans"] for line in (out / "spans.jsonl").read_text("utf-8").splitlines()] == wanted
    assert {line["what"] for line in changes(out)} == {"offsets from bytes of UTF-8 to characters"}


def test_what_a_copy_of_a_search_collection_leaves_out_is_in_the_log(tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    passages = [{"_id": f"p{i}", "title": "", "text": f"Passage {i} tells how the bridge at place {i} was built."} for i in range(30)]
    queries = [{"_id": f"q{i}", "text": f"how was the bridge at place {i} built"} for i in range(12)]
    for name, rows in (("corpus", passages), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    judged = "".join(f"q{i}\tp{i}\t1\n" for i in range(10))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged, "utf-8")
    check(folder, fix=tmp_path / "out")
    said = {line["file"].rsplit("/", 1)[-1]: line["before"] for line in changes(tmp_path / "out") if line["what"] == "left out: not judged"}
    assert said == {"corpus.jsonl": "20 of 30 rows", "queries.jsonl": "2 of 12 rows"}
