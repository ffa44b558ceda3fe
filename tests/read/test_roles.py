"""Columns to roles: ids, missing cells, one-hot labels, answers, and all problems at once."""

from oneloop.read import cells, read
from oneloop.read.roles import mixed_types, to_rows
from oneloop.tasks.base import Column, Task


class Classify(Task):
    columns = (Column("text", cells.text), Column("label", cells.label, target=True))


class Many(Task):
    columns = (Column("text", cells.text), Column("labels", cells.labels, target=True))


class Ask(Task):
    columns = (Column("question", cells.text), Column("context", cells.text), Column("answers", cells.answers, target=True))


def test_rows_carry_id_row_and_file(write):
    path = write("a.csv", "id,body,verdict\n007,NA,good\n008,fine,bad\n")
    rows, problems = to_rows(read(path), Classify, {"text": "body", "label": "verdict"})
    assert not problems
    assert rows[0] == {"id": "007", "row": 1, "file": str(path), "text": "NA", "label": "good"}


def test_ids_that_repeat_are_not_ids(write):
    rows, _ = to_rows(read(write("a.csv", "id,text,label\n7,a,x\n7,b,y\n")), Classify, {})
    assert [row["id"] for row in rows] == ["1", "2"]


def test_row_numbers_survive_bad_rows(write):
    table = read(write("a.csv", "text,label\na,x\nb,y,z\nc,y\n"), max_bad=1)
    assert [row["row"] for row in to_rows(table, Classify, {})[0]] == [1, 3]


def test_unknown_columns_and_roles_are_named_with_what_is_there(write):
    rows, problems = to_rows(read(write("a.csv", "text,label\na,x\n")), Classify, {"text": "txt", "lable": "label"})
    assert rows == [] and "did you mean 'text'" in problems[0].reason and "'label'" in problems[1].reason


def test_an_empty_label_is_a_row_to_predict_and_a_problem_in_training(write):
    table = read(write("a.csv", "text,label\na,x\nb,\nc, \n"))
    rows, problems = to_rows(table, Classify, {})
    assert ["label" in row for row in rows] == [True, False, False] and not problems
    rows, problems = to_rows(table, Classify, {}, training=True)
    assert len(rows) == 1 and [(p.row, p.line, p.column) for p in problems] == [(2, 3, "label"), (3, 4, "label")]


def test_prediction_needs_no_label_column_and_training_does(write):
    table = read(write("a.csv", "text\na b\n"))
    assert to_rows(table, Classify, {})[0][0]["text"] == "a b"
    assert "no column for the role label" in to_rows(table, Classify, {}, training=True)[1][0].reason


def test_D21_all_wrong_labels_are_named(write):
    lines = ['{"text": "a", "label": 0}', '{"text": "b", "label": 0.5}', '{"text": "c", "label": {"x": 1}}']
    lines += ['{"text": 7, "label": 1}', '{"text": null, "label": 1}']
    rows, problems = to_rows(read(write("a.jsonl", "\n".join(lines))), Classify, {}, training=True)
    assert [row["label"] for row in rows] == ["0", "1"]
    assert [p.row for p in problems if p.column != "label" or "while" not in p.reason] == [2, 3, 5]


def test_D8_numbers_and_text_in_one_label_column_name_both_rows(write):
    lines = ['{"text": "a", "label": 1}'] * 10000 + ['{"text": "b", "label": "one"}']
    _, problems = to_rows(read(write("a.jsonl", "\n".join(lines))), Classify, {})
    (problem,) = problems
    assert problem.row == 10001 and "row 1 " in problem.reason


def test_D8_types_that_differ_between_splits(write):
    tables = {"train": read(write("a.jsonl", '{"label": 1}\n')), "test": read(write("b.jsonl", '{"label": "1"}\n'))}
    (problem,) = mixed_types(tables, ["label"])
    assert problem.file.endswith("b.jsonl") and "a.jsonl row 1" in problem.reason


def test_one_hot_columns(write):
    table = read(write("a.csv", "text,toxic,rude\na,1,0\nb,1,1\nc,0,\nd,2,0\n"))
    rows, problems = to_rows(table, Many, {"labels": ["toxic", "rude"]})
    assert [row["labels"] for row in rows] == [["toxic"], ["toxic", "rude"], []]
    assert (problems[0].row, problems[0].column) == (4, "toxic")


def test_answers_from_two_columns_or_found_in_the_context(write):
    csv = "question,context,answer,answer_start\nWho?,Anna ran.,Anna,0\nWhat?,Anna ran.,ran,\nWhy?,Anna ran.,,\n"
    rows, problems = to_rows(read(write("a.csv", csv)), Ask, {})
    assert not problems
    assert [row["answers"] for row in rows] == [[{"text": "Anna", "start": 0}], [{"text": "ran", "start": 5}], []]
    csv = "question,context,answer\nWho?,Anna and Anna.,Anna\nWho?,Anna ran.,Otto\n"
    _, problems = to_rows(read(write("b.csv", csv)), Ask, {})
    assert "2 times" in problems[0].reason and "does not stand" in problems[1].reason


def test_documents_keep_together(write):
    rows, _ = to_rows(read(write("a.csv", "case_id,text,label\n1,a,x\n1,b,y\n2,c,x\n")), Classify, {})
    assert [row["group"] for row in rows] == ["1", "1", "2"]
