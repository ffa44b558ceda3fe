"""JSON and JSON lines: every shape that holds rows; every fault with its line."""

import json

import pytest

from oneloop.errors import DataError
from oneloop.read import read, read_splits

BOTH = [{"text": "a", "label": 1}, {"text": "b", "label": 2}]


def test_D9_every_broken_line_is_named_and_the_rest_is_kept(write, problems):
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    lines = ['{"a": 1}', '{"a": 2, "a": 3}', '{"a": NaN}', '{"a": "\\ud83d"}', deep, '{"a": 1e999}', "[1]", '{"a": 9}', '{"a": 7']
    found = problems("a.jsonl", "\n".join(lines))
    assert [problem.line for problem in found] == [2, 3, 4, 5, 6, 7, 9]
    for problem, word in zip(found, ["twice", "NaN", "surrogate", "nested", "too large", "list", "too early"]):
        assert word in problem.reason
    assert [row["a"] for row in read(write("b.jsonl", "\n".join(lines)), max_bad=7)] == [1, 9]


def test_D9_faults_in_a_document_are_named_by_line(problems):
    found = problems("a.json", '[{"a": 1},\n{"a": 2, "a": 3},\n{"a": NaN},\n{"a": 4}]\n')
    assert [problem.line for problem in found] == [2, 3]
    found = problems("b.json", '{"data": [{"a": 1},\n{"a": 2, "a": 3},\n{"a": NaN}]}')
    assert [problem.line for problem in found] == [2, 3]


def test_D9_a_cut_document(problems):
    assert "too early" in problems("a.json", '[{"a": 1},\n{"a": 2}')[-1].reason
    assert problems("b.json", '{"data": [{"a": 1},\n{"a":')[0].line == 2


def test_surrogate_pairs_and_escapes_are_fine(write):
    assert read(write("a.jsonl", '{"a": "\\ud83d\\ude00 \\u00e9"}\n'))[0]["a"] == "😀 é"


@pytest.mark.parametrize(
    "document",
    [
        BOTH,
        {"data": BOTH},
        {"version": "1", "result": {"page": {"rows": BOTH}}},
        {"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 2}},
        {"text": ["a", "b"], "label": [1, 2]},
        {"columns": ["text", "label"], "index": [0, 1], "data": [["a", 1], ["b", 2]]},
        {"columns": {"text": ["a", "b"], "label": [1, 2]}},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_C013_documents_of_every_shape(write, document, indent):
    for name in ("a.json", "a.txt"):
        assert list(read(write(name, json.dumps(document, indent=indent)))) == BOTH


def test_objects_by_key_keep_the_key_as_id(write):
    table = read(write("a.json", '{"x7": {"text": "a"}, "x8": {"text": "b"}}'))
    assert list(table) == [{"id": "x7", "text": "a"}, {"id": "x8", "text": "b"}]


def test_several_lists_are_refused_by_path(write):
    with pytest.raises(DataError, match=r"one, deep\.two"):
        read(write("a.json", json.dumps({"one": BOTH, "deep": {"two": BOTH}})))


def test_splits_inside_a_document(write):
    splits = read_splits(write("a.json", json.dumps({"train": BOTH, "dev": BOTH[:1]})))
    assert {name: len(table) for name, table in splits.items()} == {"train": 2, "validation": 1}


def test_pretty_printed_values_one_after_the_other(write):
    assert list(read(write("a.json", "\n".join(json.dumps(row, indent=1) for row in BOTH)))) == BOTH


def test_rows_without_some_keys(write):
    table = read(write("a.jsonl", '{"text": "a"}\n\n{"text": "b", "label": null}\n'))
    assert table.columns == ["text", "label"] and table[0] == {"text": "a"} and table.column("label") == [None, None]
    assert (table.origin(1).row, table.origin(1).line) == (2, 3)


def test_lists_per_line_are_columns_by_position(write):
    assert read(write("a.jsonl", '["a", 1]\n["b", 2]\n'))[1] == {"0": "b", "1": 2}


def test_translation_rows(write):
    lines = '{"id": 1, "translation": {"en": "a", "de": "b"}}\n{"id": 2, "translation": {"de": "c", "en": "d"}}\n'
    table = read(write("a.jsonl", lines))
    assert [(row["source"], row["target"]) for row in table] == [("a", "b"), ("d", "c")]
    assert any("en, de" in note for note in table.notes)


SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Tea",
            "paragraphs": [
                {
                    "context": "Tea comes from China.",
                    "qas": [
                        {"id": "q1", "question": "Where from?", "answers": [{"text": "China", "answer_start": 15}], "is_impossible": False},
                        {"id": "q2", "question": "Who?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


def test_squad_documents_lie_flat(write):
    table = read(write("a.json", json.dumps(SQUAD)))
    assert table.format == "squad" and len(table) == 2
    assert table[0]["answers"] == {"text": ["China"], "answer_start": [15]} and table[0]["title"] == "Tea"
    assert table[1]["answers"] == {"text": [], "answer_start": []} and table[1]["is_impossible"] is True


def test_squad_questions_without_text_are_named(problems):
    broken = json.loads(json.dumps(SQUAD))
    del broken["data"][0]["paragraphs"][0]["qas"][1]["question"]
    (problem,) = problems("a.json", json.dumps(broken))
    assert problem.row == 2 and "question" in problem.reason


def test_every_fault_of_a_squad_document_is_named_at_once(problems, write):
    broken = json.loads(json.dumps(SQUAD))
    good = broken["data"][0]["paragraphs"][0]
    asked = good["qas"][0]
    broken["data"][0]["paragraphs"] = [
        {"qas": [asked, asked]},  # rows 1 and 2: no context
        good,  # rows 3 and 4
        {"context": good["context"]},  # row 5: no questions
        {"context": good["context"], "qas": [{"id": "x", "answers": "China"}, "no question", asked]},  # rows 6 to 8
    ]
    found = problems("a.json", json.dumps(broken))
    assert [problem.row for problem in found] == [1, 2, 5, 6, 7]
    assert all("its paragraph has no text" in problem.reason for problem in found[:2])
    assert "without text" in found[3].reason and "answers is not a list" in found[3].reason
    table = read(write("b.json", json.dumps(broken)), max_bad=5)
    assert [table.origin(i).row for i in range(len(table))] == [3, 4, 8]


def test_C013_rows_wrapped_in_objects_are_laid_out_by_path(write):
    rows = [{"row_idx": i, "row": {"text": f"call {i} was late", "label": "late", "notes": {"by": "Ann"}}, "cut": []} for i in range(5)]
    for name, text in (("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)), ("b.json", json.dumps({"rows": rows}))):
        table = read(write(name, text))
        assert table.columns == ["row_idx", "row.text", "row.label", "row.notes", "cut"]
        assert table[3]["row.text"] == "call 3 was late" and table[3]["row.notes"] == {"by": "Ann"} and table.origin(3).row == 4
        assert any("row.text" in note for note in table.notes)
    deep = [{"id": f"n{i}", "data": {"item": {"tokens": ["Ann", "left"], "tags": ["B-PER", "O"]}}} for i in range(5)]
    assert read(write("c.jsonl", "".join(json.dumps(row) + "\n" for row in deep))).columns == ["id", "data.item.tokens", "data.item.tags"]


def test_objects_beside_a_text_stay_as_they_are(write):
    rows = [{"text": f"call {i} was late", "meta": {"by": "Ann Lee", "nr": i}} for i in range(5)]
    assert read(write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))[2]["meta"] == {"by": "Ann Lee", "nr": 2}
