"""Exports of annotation programs become text and spans."""

import json

import pytest

from oneloop.read import read

TEXT = "Anna went to Rome."
SPANS = [{"start": 0, "end": 4, "label": "PER"}, {"start": 13, "end": 17, "label": "LOC"}]
TRIPLES = [[0, 4, "PER"], [13, 17, "LOC"]]


def plain(spans):
    return [{key: span[key] for key in ("start", "end", "label")} for span in spans]


@pytest.mark.parametrize(
    ("row", "format"),
    [
        ({"text": TEXT, "spans": [span | {"token_start": 0} for span in SPANS], "answer": "accept"}, "spans"),
        ({"text": TEXT, "entities": SPANS}, "spans"),
        ({"text": TEXT, "entities": TRIPLES}, "spans"),
        ({"id": 1, "text": TEXT, "label": TRIPLES}, "doccano"),
        ({"id": 1, "data": TEXT, "label": TRIPLES}, "doccano"),
        (
            {
                "id": 1,
                "text": TEXT,
                "relations": [],
                "entities": [{"id": 1, "label": s["label"], "start_offset": s["start"], "end_offset": s["end"]} for s in SPANS],
            },
            "doccano",
        ),
        (
            {
                "text": TEXT,
                "tokens": ["Anna"],
                "annotation": [["PER", 0, 4], ["LOC", 13, 17]],
                "annotation_agent": "me",
                "prediction": None,
            },
            "spans",
        ),
        (
            {"id": "7", "fields": {"text": TEXT}, "responses": {"marks": [{"value": SPANS}]}, "suggestions": {}},
            "spans",
        ),
    ],
)
def test_span_lines(write, row, format):
    table = read(write("a.jsonl", json.dumps(row) + "\n" + json.dumps(row) + "\n"))
    assert table.format == format and table[1]["text"] == TEXT and plain(table[1]["spans"]) == SPANS


def test_spacy_pairs_and_page(write):
    pair = [TEXT, {"entities": TRIPLES}]
    for document in ([pair, ["x", {"entities": []}]], {"classes": ["PER"], "annotations": [pair, None, ["x", {"entities": []}]]}):
        table = read(write("a.json", json.dumps(document)))
        assert table.format == "spacy" and plain(table[0]["spans"]) == SPANS and len(table) == 2


def test_spacy_training_documents(write):
    tokens = [{"id": 0, "orth": "Anna", "tag": "NNP", "ner": "U-PER"}, {"id": 1, "orth": "ran", "tag": "VBD", "ner": "O"}]
    table = read(write("a.json", json.dumps([{"id": 3, "paragraphs": [{"raw": "Anna ran", "sentences": [{"tokens": tokens}]}]}])))
    assert list(table) == [{"tokens": ["Anna", "ran"], "tags": ["S-PER", "O"], "pos": ["NNP", "VBD"], "document": "3"}]


def studio(text, *values, **more):
    result = [{"value": value, "from_name": "label", "to_name": "text", "type": "labels"} for value in values]
    return {"id": 1, "data": {"text": text}, "annotations": [{"was_cancelled": False, "result": result}]} | more


def test_label_studio_spans_and_choices(write):
    table = read(write("a.json", json.dumps([studio(TEXT, {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]})])))
    assert table.format == "label-studio" and plain(table[0]["spans"]) == SPANS[:1]
    table = read(write("b.json", json.dumps([studio(TEXT, {"choices": ["good"]}), studio("b", {"choices": ["bad"]})])))
    assert [row["label"] for row in table] == ["good", "bad"] and "spans" not in table.columns


@pytest.mark.parametrize(("unit", "offset"), [("utf-16-le", 3), ("utf-8", 5)])
def test_D13_offsets_in_other_units_are_recognised_by_their_words(write, unit, offset):
    text = "😀 Anna"
    table = read(write("a.json", json.dumps([studio(text, {"start": offset, "end": offset + 4, "text": "Anna", "labels": ["PER"]})])))
    assert plain(table[0]["spans"]) == [{"start": 2, "end": 6, "label": "PER"}] and "counted in" in table.notes[-1]


def test_broken_spans_are_named(problems):
    lines = [{"text": "abc", "label": [[0, 2, "X"]]}, {"text": "abc", "label": [[2, 1, "X"]]}, {"text": "abc", "label": [[0, 1, ""]]}]
    found = problems("a.jsonl", "\n".join(map(json.dumps, lines)))
    assert [problem.row for problem in found] == [2, 3] and "end must come after" in found[0].reason


def test_brat_folders(write, tmp_path):
    write("doc/a.txt", "Anna went to Rome and Oslo.\n")
    write("doc/a.ann", "T1\tPER 0 4\tAnna\nT2\tLOC 13 17;22 26\tRome Oslo\nR1\tLivesIn Arg1:T1 Arg2:T2\t\n")
    write("doc/b.txt", "Nothing.\n")
    write("doc/b.ann", "")
    table = read(tmp_path / "doc", max_bad=1)
    assert table.format == "brat" and plain(table[0]["spans"]) == SPANS[:1] and table[1]["spans"] == []
    assert [(p.line, "several pieces" in p.reason) for p in table.problems] == [(2, True)]
    assert any("relations" in note for note in table.notes)


def test_brat_marks_that_do_not_fit_their_text(write, tmp_path):
    write("doc/a.txt", "Anna went.\n")
    write("doc/a.ann", "T1\tPER 0 4\tOtto\nT2\tPER x y\tAnna\n")
    table = read(tmp_path / "doc", max_bad=None)
    assert sorted(problem.line for problem in table.problems) == [1, 2] and len(table) == 0
