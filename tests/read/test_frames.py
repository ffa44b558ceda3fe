"""Rows in memory stand wherever a path does: DataFrames, Datasets, lists of dicts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import oneloop
from oneloop.errors import DataError, RecipeError
from oneloop.prepare import prepare
from oneloop.read import read, read_splits, sample
from oneloop.read.clean import apply_clean, known
from oneloop.read.explode import exploded
from oneloop.recipe import load_recipe
from tests.trained_runs import command, samples

ISSUES = [
    {"title": "Crash on load", "comments": ["Same here", "Which version?", "2.1", "Fixed"], "label": "bug"},
    {"title": "Dark mode", "comments": ["Yes please"], "label": "wish"},
    {"title": "Typo", "comments": [], "label": "docs"},
]
REVIEWS = [{"text": f"the {word} number {i} was fine to me", "label": word} for i in range(30) for word in ("film", "meal")]


@pytest.fixture(scope="module")
def pandas() -> Any:
    return pytest.importorskip("pandas")


def odd_frame(pandas: Any) -> Any:
    """A cell of every kind, some of each missing, and an index that counts otherwise."""
    return pandas.DataFrame(
        {
            "text": ["one, two", None, 'say "x"\r and\ny'],
            "whole": [1, 2, 3],
            "real": [1.5, float("nan"), 1e-7],
            "holes": [1, None, 3],
            "truth": [True, False, True],
            "kind": pandas.Categorical([3, 4, None]),
            "word": pandas.Categorical(["a", None, "b"]),
            "day": pandas.to_datetime(["2024-01-02", None, "2024-03-04"]),
            "time": pandas.to_datetime(["2024-01-02 10:00", None, "2024-03-04 00:00"]),
            "zone": pandas.to_datetime(["2024-01-02 10:00", None, "2024-03-04 11:00"]).tz_localize("UTC"),
            "null": pandas.array([1, None, 3], dtype="Int64"),
            "mixed": ["x", 1, 2.5],
        },
        index=[7, 8, 9],
    )


def test_C025_a_data_frame_reads_as_its_csv_file(pandas: Any, tmp_path: Path) -> None:
    frame = odd_frame(pandas)
    frame.to_csv(tmp_path / "frame.csv", index=False)
    table, file = read(frame), read(tmp_path / "frame.csv")
    assert table.columns == file.columns and list(table) == list(file)
    assert [table.origin(i).row for i in range(3)] == [1, 2, 3]


def test_C025_rows_go_back_to_a_data_frame(pandas: Any) -> None:
    frame = pandas.DataFrame(REVIEWS)
    back = pandas.DataFrame(read(frame).to_list())
    assert back.equals(frame)
    assert pandas.DataFrame(read([{"a": 1}, {"b": ["x"]}]).to_list()).columns.tolist() == ["a", "b"]


def test_C025_lists_stay_lists_and_numbers_of_numpy_become_pythons(pandas: Any) -> None:
    numpy = pytest.importorskip("numpy")
    frame = pandas.DataFrame({"tokens": [numpy.array(["a", "b"]), ["c"]], "ids": [numpy.array([1, 2]), numpy.array([3])], "n": [1, 2]})
    assert list(read(frame)) == [{"tokens": ["a", "b"], "ids": [1, 2], "n": "1"}, {"tokens": ["c"], "ids": [3], "n": "2"}]
    rows = read([{"a": numpy.int64(3), "b": float("nan"), "c": pandas.Timestamp("2024-01-02"), "d": pandas.NaT, "e": pandas.NA}])[0]
    assert rows == {"a": 3, "b": None, "c": "2024-01-02 00:00:00", "d": None, "e": None} and type(rows["a"]) is int


def test_C025_two_columns_of_one_name_are_refused(pandas: Any) -> None:
    with pytest.raises(DataError, match="two columns are called 'a'"):
        read(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


def test_C025_a_dataset_and_its_splits() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    one = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, -1]}, features=features)
    assert [row["label"] for row in read(one.select([2, 1]))] == [None, "yes"]
    tables = read_splits(datasets.DatasetDict({"train": one, "dev": one.select([0])}))
    assert {split: len(table) for split, table in tables.items()} == {"train": 3, "validation": 1}
    with pytest.raises(DataError, match="'tset' is not the name of a split; did you mean 'test'"):
        read_splits({"train": one, "tset": one})


def test_C025_check_counts_the_values_of_a_data_frame(pandas: Any, tmp_path: Path) -> None:
    frame = pandas.DataFrame([*REVIEWS, REVIEWS[0]])
    report = oneloop.check(frame, fix=tmp_path / "fixed")
    assert report.figures["labels"]["train"] == frame["label"].value_counts().to_dict() == {"film": 31, "meal": 30}
    assert len(pandas.read_csv(tmp_path / "fixed" / "DataFrame.csv")) == 60
    found = (
        oneloop.check({"train": frame, "test": frame.head(2)}).of("leakage")
        or oneloop.check({"train": frame, "test": frame.head(2)}).findings
    )
    assert any(file == "DataFrame-test" for finding in found for file, _ in finding.rows)


def test_C025_diagnose_and_samples_take_rows(pandas: Any) -> None:
    for data in (pandas.DataFrame(REVIEWS), REVIEWS):
        found = oneloop.diagnose(data=data)
        assert found.task == "sequence-classification" and found.columns == {"text": "text", "label": "label"}
    assert len(sample(pandas.DataFrame(REVIEWS), 10)) == 10


def test_C025_training_and_evaluation_take_rows_and_the_recipe_repeats_them(pandas: Any, tmp_path: Path) -> None:
    frame = pandas.DataFrame(REVIEWS)
    settings: dict[str, Any] = {"model": str(samples() / "model"), "epochs": 1, "output": str(tmp_path / "run")}
    first = oneloop.train(train=frame, **settings)
    (data,) = (tmp_path / "run" / "data").iterdir()
    recipe = load_recipe(tmp_path / "run" / "recipe.yaml")
    assert recipe.train == str(data) and pandas.read_json(data, lines=True).equals(frame)
    second = oneloop.train(tmp_path / "run" / "recipe.yaml", output=str(tmp_path / "again"))
    assert second.metrics["metrics"] == first.metrics["metrics"]
    scored = oneloop.evaluate(first.path, frame, train=REVIEWS)
    assert scored["rows"] == 60 and scored["without_leaked"] is not None
    assert len(first.predict(frame)) == 60 and "label" in first.predict(frame.head(1))[0]
    oneloop.train(train=REVIEWS[2:], force=True, **settings)
    assert data.exists() and len(list(data.parent.iterdir())) == 2  # what the first recipe named is still there


def test_C025_pandas_is_never_imported() -> None:
    code = """
import sys, oneloop
rows = [{"text": f"a text number {i} of some words", "label": "ab"[i % 2]} for i in range(20)]
oneloop.check(rows); oneloop.diagnose(data=rows)
assert not {"pandas", "datasets", "torch"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# ---- explode ----------------------------------------------------------------------------------------------------------------
def test_C025_an_issue_with_four_comments_gives_four_rows(pandas: Any) -> None:
    frame = pandas.DataFrame(ISSUES)
    table = exploded(read(frame), "comments")
    theirs = frame.explode("comments").fillna("")
    assert [row["comments"] for row in table] == theirs["comments"].tolist()
    assert [row["title"] for row in table].count("Crash on load") == 4
    assert [row["source_row"] for row in table] == (theirs.index + 1).tolist() == [1, 1, 1, 1, 2, 3]
    assert [table.origin(i).row for i in range(6)] == [1, 2, 3, 4, 5, 6]
    assert table.notes[-1] == "explode:comments: 3 rows in, 6 out"


def test_C025_lists_written_as_text_and_lists_of_objects_explode(write: Any) -> None:
    path = write("a.csv", 'title,comments\nCrash,"[""x"", ""y""]"\nTypo,"[""z""]"\n')
    assert [row["comments"] for row in exploded(read(path), "comments")] == ["x", "y", "z"]
    rows = exploded(read([{"t": "A", "comments": [{"body": "x", "by": "me"}, {"body": "y"}]}]), "comments")
    assert rows.columns == ["t", "comments.body", "comments.by", "source_row"] and rows[1]["comments.body"] == "y"


def test_C025_explode_names_what_is_wrong() -> None:
    with pytest.raises(DataError, match="no column 'comment' to explode; did you mean 'comments'"):
        exploded(read(ISSUES), "comment")
    with pytest.raises(DataError, match="'title' holds no lists"):
        exploded(read(ISSUES), "title")
    for name in ("explode", "explode:"):
        with pytest.raises(RecipeError, match="names no column"):
            known(name)
    assert known(" explode:My Comments ") == "explode:My Comments"


def test_C025_explode_is_a_cleaner_of_rows_of_a_recipe_and_of_check(write: Any, tmp_path: Path) -> None:
    rows, counts = apply_clean(ISSUES, ["explode:comments", "lowercase"])
    assert len(rows) == 6 and counts["explode:comments"] == 3
    many = [
        {"comments": [f"the {word} {i}.{j} is what I wanted to say" for j in range(4)], "kind": word, "n": i}
        for i in range(20)
        for word in ("bug", "wish")
    ]
    path = write("issues.jsonl", "".join(json.dumps(row) + "\n" for row in many))
    notes: list[str] = []
    recipe = load_recipe(task="sequence-classification", train=str(path), clean=["explode:comments", "strip"], columns={"label": "kind"})
    prepared = prepare(recipe, notes.append)
    assert prepared.columns["text"] == "comments" and sum(map(len, prepared.rows.values())) == 160
    assert "explode:comments: 40 rows in, 160 out (train)" in notes
    sides = {split: {row["group"] for row in rows} for split, rows in prepared.rows.items()}
    assert not sides["train"] & sides["test"] and not sides["train"] & sides["validation"]
    report = oneloop.check(path, explode="comments", fix=tmp_path / "fixed")
    assert report.splits == {"train": 160} and report.columns == {"text": "comments", "label": "kind"}
    told = command("check", str(path), "--explode", "comments", "--json")
    assert json.loads(told.stdout)["splits"] == {"train": 160}, told.stderr
    lines = (tmp_path / "fixed" / "issues.jsonl").read_text().splitlines()
    assert Counter(json.loads(line)["source_row"] for line in lines) == dict.fromkeys(range(1, 41), 4)
