"""Folders, globs, lists: which file is which split."""

import json

import pytest

from oneloop.errors import DataError
from oneloop.read import read, read_splits


def csv(rows):
    return "text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(rows))


def sizes(splits):
    return {name: len(table) for name, table in splits.items()}


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "validation.csv", "test.csv"),
        ("train.csv", "dev.csv", "test.csv"),
        ("my_train.csv", "my_val.csv", "my_test.csv"),
        ("train-00000-of-00001.csv", "valid-00000-of-00001.csv", "test-00000-of-00001.csv"),
        ("train/part.csv", "dev/part.csv", "test/part.csv"),
    ],
)
def test_split_files(write, tmp_path, names):
    for name, rows in zip(names, (5, 3, 2)):
        write("d/" + name, csv(rows))
    write("d/README.md", "about")
    write("d/labels.txt", "a\nb\n")
    splits = read_splits(tmp_path / "d")
    assert sizes(splits) == {"train": 5, "validation": 3, "test": 2}
    assert any("labels.txt" in note for note in splits["train"].notes)
    assert len(read(tmp_path / "d")) == 5


def test_a_file_called_like_a_split_wins(write, tmp_path):
    write("d/train.csv", csv(4))
    write("d/dev-full.csv", csv(9))
    write("d/validation.csv", csv(2))
    assert sizes(read_splits(tmp_path / "d")) == {"train": 4, "validation": 2}


def test_files_one_by_one(write):
    train, test = write("a.csv", csv(4)), write("b.csv", csv(3))
    assert sizes(read_splits(train)) == {"train": 4}
    assert sizes(read_splits(train, test=test)) == {"train": 4, "test": 3}
    assert sizes(read_splits(str(train), str(test))) == {"train": 4, "validation": 3}


def test_files_without_split_names_are_joined_and_rows_keep_their_file(write, tmp_path):
    write("d/a.csv", csv(2))
    write("d/b.jsonl", '{"text": "x", "label": "a"}\n')
    table = read(tmp_path / "d")
    assert len(table) == 3 and (table.origin(2).file, table.origin(2).row) == (str(tmp_path / "d/b.jsonl"), 1)


def test_globs_and_lists(write, tmp_path):
    paths = [write(f"part-{i}.csv", csv(2)) for i in range(3)]
    assert len(read(str(tmp_path / "part-*.csv"))) == 6
    assert len(read(paths[:2])) == 4


def test_classes_as_folders(write, tmp_path):
    for label in ("pos", "neg"):
        for i in range(2):
            write(f"d/{label}/{i}.txt", f"{label} text {i}")
    table = read(tmp_path / "d")
    assert sorted((row["label"], row["text"]) for row in table)[0] == ("neg", "neg text 0") and len(table) == 4


def test_texts_in_a_folder_are_one_row_each(write, tmp_path):
    write("d/a.txt", "one\n\ntwo\n")
    write("d/b.txt", "three")
    table = read(tmp_path / "d")
    assert table.column("text") == ["one\n\ntwo\n", "three"] and table.column("document") == ["a.txt", "b.txt"]


@pytest.mark.parametrize(("one", "other"), [("train.en", "train.de"), ("c.de-en.en", "c.de-en.de"), ("x.src", "x.tgt")])
def test_parallel_files(write, tmp_path, one, other):
    write("d/" + one, "A\n\nC\u2028c\n")
    write("d/" + other, "B\n\n\n")
    table = read(tmp_path / "d")
    assert {(row["source"], row["target"]) for row in table} in ({("A", "B"), ("C\u2028c", "")}, {("B", "A"), ("", "C\u2028c")})
    assert table.format == "parallel" and table.origin(1).line == 3
    assert read([tmp_path / "d" / one, tmp_path / "d" / other])[0] == {"source": "A", "target": "B"}


def test_D24_parallel_files_of_different_length_are_refused(write, tmp_path):
    write("d/train.en", "a\nb\nc\n")
    write("d/train.de", "a\nb\n")
    with pytest.raises(DataError, match=r"train\.en has 3"):
        read(tmp_path / "d")


def beir(write, qrels):
    write("d/corpus.jsonl", "".join(json.dumps({"_id": f"p{i}", "title": "", "text": f"passage {i}"}) + "\n" for i in range(3)))
    write("d/queries.jsonl", "".join(json.dumps({"_id": f"q{i}", "text": f"query {i}"}) + "\n" for i in range(2)))
    write("d/qrels/test.tsv", "query-id\tcorpus-id\tscore\n" + qrels)


def test_beir_folders(write, tmp_path):
    beir(write, "q0\tp1\t1\nq1\tp2\t2\n")
    table = read_splits(tmp_path / "d")["test"]
    assert table[1] == {"query_id": "q1", "query": "query 1", "passage_id": "p2", "passage": "passage 2", "title": "", "relevance": 2}
    assert len(table.related["corpus"]) == 3 and len(table.related["queries"]) == 2


def test_beir_qrels_without_documents_are_named(write, tmp_path):
    beir(write, "q0\tp1\t1\nq9\tp9\t1\nq1\tp2\tyes\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d")
    assert [(p.row, p.line) for p in caught.value.problems] == [(2, 3), (2, 3), (3, 4)]


def test_empty_folders(tmp_path, write):
    with pytest.raises(DataError, match="empty"):
        read(tmp_path)
    write("d/README.md", "x")
    with pytest.raises(DataError, match="no data files"):
        read(tmp_path / "d")


def test_problems_of_all_splits_come_together(write):
    train, test = write("a.csv", "text,label\na,x\nb,y,z\n"), write("b.csv", "text,label\nc\nd,x\n")
    with pytest.raises(DataError) as caught:
        read_splits(train, test=test)
    assert [(problem.file, problem.row) for problem in caught.value.problems] == [(str(train), 2), (str(test), 1)]
