"""What is wrong with the data is said before anything is trained: file, row, reason and remedy, all at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneloop.errors import DataError, OneloopError, Problem, RecipeError
from oneloop.prepare import Prepared, prepare
from oneloop.recipe import load_recipe

GOOD = "".join(f"a {'fine' if i % 2 else 'poor'} day number {i},{'good' if i % 2 else 'bad'}\n" for i in range(40))


def prepared(tmp_path: Path, content: str, name: str = "data.csv", **settings: Any) -> tuple[Prepared, list[str]]:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    notes: list[str] = []
    return prepare(load_recipe(train=str(path), **settings), notes.append), notes


def problems(tmp_path: Path, content: str, name: str = "data.csv", **settings: Any) -> list[Problem]:
    with pytest.raises(DataError) as found:
        prepared(tmp_path, content, name, **settings)
    return found.value.problems


def test_an_unknown_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(OneloopError) as found:
        prepared(tmp_path, "text,label\n" + GOOD, task="sequence-classification", columns={"text": "texxt", "label": "label"})
    assert "texxt" in str(found.value) and "text" in str(found.value) and "did you mean" in str(found.value)


def test_a_label_only_in_test_is_named_with_its_rows(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\na fine day,goood\na poor day,bad\nanother,ugly\n")
    found = problems(tmp_path, "text,label\n" + GOOD, test=str(tmp_path / "test.csv"), task="sequence-classification")
    assert [(Path(one.file).name, one.row) for one in found] == [("test.csv", 1), ("test.csv", 3)]
    assert "'goood' occurs in no training row; did you mean 'good'?" in found[0].reason and all(one.remedy for one in found)


def test_D3_tags_and_tokens_of_different_length_are_all_named(tmp_path: Path) -> None:
    rows = ['{"tokens": ["Ann", "ran"], "tags": ["B-PER", "O"]}'] * 12
    rows[3] = '{"tokens": ["Ann", "ran"], "tags": ["B-PER"]}'
    rows[7] = '{"tokens": ["Ann"], "tags": ["B-PER", "O", "O"]}'
    found = problems(tmp_path, "\n".join(rows) + "\n", "data.jsonl", task="ner")
    assert [one.row for one in found] == [4, 8] and all("data.jsonl" in one.file and one.reason for one in found)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file is empty"):
        prepared(tmp_path, "")
    with pytest.raises(DataError, match="a header and no rows"):
        prepared(tmp_path, "text,label\n", task="sequence-classification")


def test_every_broken_json_line_is_named(tmp_path: Path) -> None:
    lines = [f'{{"text": "day {i}", "label": "{"ab"[i % 2]}"}}' for i in range(30)]
    lines[4], lines[9] = '{"text": "day", "label": ', "not json"
    found = problems(tmp_path, "\n".join(lines) + "\n", "data.jsonl", task="sequence-classification")
    assert [(one.row, one.line) for one in found] == [(5, 5), (10, 10)] and all(one.reason and one.remedy for one in found)


def test_a_cell_NA_is_a_label_like_any_other(tmp_path: Path) -> None:
    found, _ = prepared(tmp_path, "text,label\n" + GOOD + "".join(f"North day {i},NA\n" for i in range(10)), task="sequence-classification")
    assert found.task.facts["labels"] == ["NA", "bad", "good"]
    assert sum(row["label"] == "NA" for rows in found.rows.values() for row in rows) == 10


def test_D3_rows_with_too_many_fields_are_named_all_at_once(tmp_path: Path) -> None:
    content = "text,label\n" + GOOD + "one, two,good\nfine day,good\nthree, four,bad\n"
    found = problems(tmp_path, content, task="sequence-classification")
    assert [(one.row, one.line) for one in found] == [(41, 42), (43, 44)] and all("too many fields" in one.reason for one in found)


def test_max_bad_sets_rows_aside_and_names_them(tmp_path: Path) -> None:
    content = "text,label\n" + GOOD + "one, two,good\n"
    found, notes = prepared(tmp_path, content, task="sequence-classification", max_bad=1)
    assert sum(map(len, found.rows.values())) == 40
    rows = ['{"text": {"a": 1}, "label": "a"}'] + [f'{{"text": "day {i}", "label": "{"ab"[i % 2]}"}}' for i in range(30)]
    found, notes = prepared(
        tmp_path, "\n".join(rows), "d.jsonl", task="sequence-classification", max_bad=1, columns={"text": "text", "label": "label"}
    )
    assert any("set aside" in note and "row 1" in note for note in notes)


def test_rows_without_an_answer_are_counted(tmp_path: Path) -> None:
    found, notes = prepared(tmp_path, "text,label\n" + GOOD + "unknown day,\nanother,\n", task="sequence-classification")
    assert found.dropped["train"] == 2 and any("2 rows without an answer are left out" in note for note in notes)


def test_splits_are_made_printed_and_the_same_again(tmp_path: Path) -> None:
    first, notes = prepared(tmp_path, "text,label\n" + GOOD, task="sequence-classification")
    again, _ = prepared(tmp_path, "text,label\n" + GOOD, task="sequence-classification")
    other, _ = prepared(tmp_path, "text,label\n" + GOOD, task="sequence-classification", seed=2)
    assert first.splits_record() == again.splits_record() != other.splits_record()
    assert sum(map(len, first.rows.values())) == 40 and any(note.startswith("splits: ") for note in notes)
    ids = [row["id"] for rows in first.rows.values() for row in rows]
    assert len(set(ids)) == 40


def test_where_and_clean_say_how_many_rows_and_leave_the_cells_alone(tmp_path: Path) -> None:
    content = "text,label\n" + GOOD + "<b>x</b>  y  &amp; z,good\n"
    plain, _ = prepared(tmp_path, content, task="sequence-classification")
    assert "<b>x</b>  y  &amp; z" in {row["text"] for rows in plain.rows.values() for row in rows}
    found, notes = prepared(tmp_path, content, task="sequence-classification", where="words(text) > 4", clean=["normalize-space"])
    assert any(note.startswith("where: 41 rows in, 40 out") for note in notes) and any(
        note.startswith("clean: 40 rows in") for note in notes
    )
    assert sum(map(len, found.rows.values())) == 40


def test_the_task_is_named_from_the_data_and_said(tmp_path: Path) -> None:
    found, notes = prepared(tmp_path, "text,label\n" + GOOD)
    assert found.task.name == "sequence-classification" and any(note.startswith("task: sequence-classification") for note in notes)


def test_a_task_that_cannot_be_trained_yet_says_so(tmp_path: Path) -> None:
    from oneloop.tasks import table, task_class

    for name in [name for name in table() if not task_class(name).trainable][:1]:
        with pytest.raises(RecipeError, match="not trained yet"):
            prepared(tmp_path, "text,label\n" + GOOD, task=name)


def test_C021_the_record_of_splits_counts_labels(tmp_path: Path) -> None:
    from collections import Counter

    found, _ = prepared(tmp_path, "text,label\n" + GOOD + "a sad day,rare\n", task="sequence-classification")
    counts = found.splits_record()["labels"]
    assert counts == {split: dict(Counter(row["label"] for row in rows)) for split, rows in found.rows.items()}
    assert counts["train"]["rare"] == 1 and counts["test"] == {"bad": 2, "good": 2} == counts["validation"]
    several = "text,labels\n" + "".join(f"day {i} of many words,{'a|b' if i % 2 else 'b'}\n" for i in range(40))
    found, _ = prepared(tmp_path, several, task="sequence-classification", columns={"text": "text", "labels": "labels"})
    counts = found.splits_record()["labels"]
    assert sum(part["b"] for part in counts.values()) == 40 and sum(part["a"] for part in counts.values()) == 20
    found, _ = prepared(tmp_path, "text,score\n" + "".join(f"day {i},{i / 7:.2f}\n" for i in range(40)), task="sequence-classification")
    assert found.splits_record()["labels"] == {}


def test_C021_the_record_of_splits_counts_types_of_tags(tmp_path: Path) -> None:
    rows = "".join(f'{{"tokens": ["Ann", "ran", "{i}"], "tags": ["B-PER", "O", "{"B-NUM" if i % 4 else "O"}"]}}\n' for i in range(40))
    counts = prepared(tmp_path, rows, "words.jsonl", task="ner")[0].splits_record()["labels"]
    assert {name: sum(part[name] for part in counts.values()) for name in ("PER", "NUM")} == {"PER": 40, "NUM": 30}


def test_C019_a_keyword_filter_says_what_share_it_keeps(tmp_path: Path) -> None:
    found, notes = prepared(tmp_path, "text,label\n" + GOOD, task="sequence-classification", where="contains(text, 'number 1')")
    kept = sum("number 1" in line for line in GOOD.splitlines())
    assert f"where: 40 rows in, {kept} out, {100 * kept / 40:.1f} % kept (train)" in notes and sum(map(len, found.rows.values())) == kept


def test_C015_columns_renamed_rows_without_text_dropped_and_lower_cased(tmp_path: Path) -> None:
    content = "Body,mood\n" + GOOD.replace("a ", "A ") + " ,good\n"
    columns = {"text": "Body", "label": "mood"}
    found, notes = prepared(tmp_path, content, task="sequence-classification", columns=columns, clean=["lowercase", "drop-empty"])
    texts = [row["text"] for rows in found.rows.values() for row in rows]
    assert len(texts) == 40 and all(text == text.lower() and text.startswith("a ") for text in texts)
    assert any(note.startswith("clean: 41 rows in, 40 out (train); lowercase changed 40") for note in notes)


@pytest.mark.parametrize(
    ("rows", "given", "epochs"), [(40, {}, 5.0), (90, {}, 4.0), (180, {}, 3.0), (900, {}, 3.0), (900, {"epochs": 7}, 7.0)]
)
def test_more_rows_take_fewer_epochs_unless_the_user_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, given: dict[str, Any], epochs: float
) -> None:
    from oneloop.tasks.token_classification import TokenClassification

    monkeypatch.setattr(TokenClassification, "full_epochs_to", 50)
    for split, count in (("train", rows), ("validation", 5), ("test", 5)):
        lines = [f"Ada B-PER\nsaw O\nplace{split}{i} B-LOC\n" for i in range(count)]
        (tmp_path / f"{split}.conll").write_text("\n".join(lines))
    notes: list[str] = []
    files = {split: str(tmp_path / f"{split}.conll") for split in ("train", "validation", "test")}
    prepared = prepare(load_recipe(task="ner", **files, **given), notes.append)
    assert prepared.recipe.epochs == epochs
    assert any("epochs for" in text for text in notes) == (epochs in (3.0, 4.0))


def test_what_cannot_be_read_and_what_cannot_be_used_are_told_together(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"a {kind} day number {i}", "label": kind}) + "\n" for i in range(10) for kind in ("fine", "poor")]
    lines[6:6] = ['{"text": "broken\n']
    lines[17:17] = ['{"text": "no sense", "label": {"a": [1]}}\n']
    found = problems(tmp_path, "".join(lines), "mixed.jsonl", task="sequence-classification")
    assert {problem.row for problem in found} == {7, 18}
    _, notes = prepared(tmp_path, "".join(lines), "mixed.jsonl", task="sequence-classification", max_bad=2)
    assert sum(note.startswith("set aside: ") for note in notes) == len(found)
    with pytest.raises(DataError, match="2 rows cannot be used"):
        prepared(tmp_path, "".join(lines), "mixed.jsonl", task="sequence-classification", max_bad=1)


def test_a_column_that_is_not_there_is_no_row_to_set_aside(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the columns do not fit") as found:
        prepared(tmp_path, "words,label\n" + GOOD, columns={"text": "body"}, task="sequence-classification", max_bad=5)
    assert "--columns" in str(found.value) and "max-bad" not in str(found.value)


def test_tags_out_of_place_are_said_with_the_first_of_them(tmp_path: Path) -> None:
    good = "".join(f"Ada B-PER\nLovelace I-PER\nsaw O\nplace{i} B-LOC\n\n" for i in range(30))
    _, notes = prepared(tmp_path, good + "Bob B-PER\nin O\nParis I-LOC\n", "words.conll", task="ner", split="80/10/10")
    said = [note for note in notes if "out of place" in note]
    assert len(said) == 1 and said[0].startswith("1 tag out of place") and "row 31 word 3" in said[0]
    assert not [note for note in prepared(tmp_path, good, "words.conll", task="ner")[1] if "out of place" in note]


def test_D11_training_rows_without_text_are_left_out_and_named(tmp_path: Path) -> None:
    from oneloop.prepare import build
    from tests.faults.sample import write_model

    write_model(tmp_path / "model")
    found, notes = prepared(tmp_path, "text,label\n" + GOOD + "\u200b,good\n", task="sequence-classification", split="100/0/0",
                            model=str(tmp_path / "model"))  # fmt: skip
    parts = build(found, notes.append)
    assert any("left out of training: 1 (" in note and "row 41" in note for note in notes)
    assert len(parts.features) == len(found.rows["train"]) - 1


def squad(ids: list[str]) -> str:
    context = "Ada Lovelace wrote the first program in London in 1843 for the engine of Babbage."
    qas = [
        {"id": name, "question": f"Who wrote program number {i}?", "answers": [{"text": "Ada Lovelace", "answer_start": 0}]}
        for i, name in enumerate(ids)
    ]
    return json.dumps({"version": "1.1", "data": [{"title": "Ada", "paragraphs": [{"context": context, "qas": qas}]}]})


def test_question_ids_that_stand_twice_are_named_with_their_rows_and_train_all_the_same(tmp_path: Path) -> None:
    found, notes = prepared(tmp_path, squad(["a", "b", "a", "c", "d", "e", "f", "b", "a", "a", "g", "h"]), "squad.json")
    assert sum(map(len, found.rows.values())) == 12
    (told,) = [note for note in notes if "an earlier row has too" in note]
    assert told.startswith("4 rows have an id in 'id'") and "and 1 more" in told
    assert all(f"squad.json rows {rows}" in told for rows in ("1 and 3", "2 and 8", "1 and 9"))
    (told,) = [note for note in prepared(tmp_path, squad([*"abcdefghij", "c"]), "squad.json")[1] if "an earlier row" in note]
    assert told.startswith("1 row has") and "squad.json rows 3 and 11)" in told
    assert not [note for note in prepared(tmp_path, squad([*"abcdefghijk"]), "squad.json")[1] if "an earlier row" in note]


def test_a_column_of_ids_that_hardly_tells_the_rows_apart_is_not_told_of(tmp_path: Path) -> None:
    lines = [f"{i % 4},{line}" for i, line in enumerate(GOOD.splitlines())]
    notes = prepared(tmp_path, "\n".join(["id,text,label", *lines]) + "\n", task="sequence-classification")[1]
    assert not [note for note in notes if "an earlier row" in note]


@pytest.mark.parametrize(("count", "told"), [(1, "1 span overlaps a longer one and is"), (2, "2 spans overlap a longer one and are")])
def test_spans_that_overlap_are_counted_and_their_rows_named(tmp_path: Path, count: int, told: str) -> None:
    rows = [{"text": f"Ada Lovelace met number {i}", "spans": [{"start": 0, "end": 12, "label": "PER"}]} for i in range(20)]
    for row in rows[4 : 4 + count]:
        row["spans"] += [{"start": 4, "end": 12, "label": "PER"}]  # type: ignore[operator]
    notes = prepared(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "data.jsonl")[1]
    (said,) = [note for note in notes if "longer one" in note]
    assert said.startswith(told) and f"data.jsonl {'row 5' if count == 1 else 'rows 5, 6'})" in said
