"""The data report as a user calls it: files in, one report out."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from oneloop.diagnose.check import Report, check, leaked
from oneloop.errors import DataError, RecipeError

WORDS = "the order came late and box was open please send another one to my home I paid twice for shoes but got none".split()  # noqa: SIM905


def sentence(i: int) -> str:
    rng = random.Random(i)
    return " ".join(rng.choice(WORDS) for _ in range(12)) + f" {rng.randrange(10**6)}"


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def labelled(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"text": sentence(start + i), "label": ("pos", "neg", "mixed")[i % 3]} for i in range(count)]


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def only(report: Report, kind: str):
    found = report.of(kind)
    assert len(found) == 1, [f.kind for f in report.findings]
    return found[0]


def places(finding) -> list[tuple[str, int]]:
    return [(Path(file).name, row) for file, row in finding.rows]


def test_D22_leaks_duplicates_and_contradictions_are_named_with_both_rows(tmp_path):
    train, test = labelled(60), labelled(20, start=1000)
    test[3] = {"text": train[7]["text"].upper() + "!!", "label": train[7]["label"]}
    test[5]["text"] = train[9]["text"].replace("the", "teh", 1) if "the" in train[9]["text"] else train[9]["text"] + " now"
    train.append(dict(train[0]))
    train.append({"text": train[1]["text"], "label": "pos" if train[1]["label"] != "pos" else "neg"})
    write_csv(tmp_path / "train.csv", train)
    write_csv(tmp_path / "test.csv", test)
    report = check(tmp_path)
    leak = only(report, "leaked-rows")
    assert places(leak) == [("test.csv", 4)] and leak.partners[0][1] == 8 and leak.severity == "biases"
    near = only(report, "near-leaked-rows")
    assert ("test.csv", 6) in places(near)
    assert ("train.csv", 61) in places(only(report, "duplicate-rows"))
    assert set(places(only(report, "contradicting-labels"))) == {("train.csv", 2), ("train.csv", 62)}
    assert report.verdict == "biases the score"


def test_D22_leaked_gives_the_positions_to_score_without():
    train = [{"text": sentence(i), "label": "a"} for i in range(50)]
    test = [{"text": sentence(100 + i), "label": "a"} for i in range(20)]
    test[2]["text"] = "  " + train[5]["text"].title() + " ?"
    test[4]["text"] = train[6]["text"] + " thanks"
    assert leaked(test, train, nearly=False) == {2}
    assert leaked(test, train) == {2, 4}


def test_D22_duplicate_ids(tmp_path):
    rows = [{"id": f"r{i}", **row} for i, row in enumerate(labelled(30))]
    rows[20]["id"] = "r3"
    report = check(write_csv(tmp_path / "data.csv", rows), task="sequence-classification", columns={"text": "text", "label": "label"})
    assert places(only(report, "duplicate-ids")) == [("data.csv", 21)]


def test_D18_misspelled_labels_are_named_with_the_usual_spelling(tmp_path):
    rows = labelled(900)
    rows[4]["label"], rows[10]["label"], rows[13]["label"] = "Pos ", "mixd", "NEG"
    finding = only(check(write_csv(tmp_path / "data.csv", rows)), "label-typos")
    assert {odd.strip(): usual for odd, usual in finding.numbers["spellings"].items()} == {"mixd": "mixed", "NEG": "neg", "Pos": "pos"}
    assert {row for _, row in finding.rows} == {5, 11, 14}
    assert any("did you mean 'mixed'" in example for example in finding.examples)


def test_D19_labels_of_one_split_only(tmp_path):
    train, test = labelled(60), labelled(30, start=500)
    test[2]["label"] = "angry"
    write_csv(tmp_path / "train.csv", train)
    write_csv(tmp_path / "test.csv", test)
    finding = only(check(tmp_path), "labels-only-outside-train")
    assert finding.severity == "biases" and places(finding) == [("test.csv", 3)] and finding.examples == ["angry"]


@pytest.mark.parametrize(
    ("name", "labels", "kind", "severity"),
    [
        ("one_class", ["pos"] * 60, "one-class", "blocks"),
        ("one_example", ["pos"] * 30 + ["neg"] * 29 + ["odd"], "single-example-classes", "look"),
        ("overwhelming", ["pos"] * 298 + ["neg"] * 2, "imbalance", "biases"),
        ("ids", [f"user-{i}" for i in range(60)], "ids-as-labels", "blocks"),
    ],
)
def test_D20_classes_that_cannot_be_learned(tmp_path, name, labels, kind, severity):
    rows = [{"text": sentence(i), "label": label} for i, label in enumerate(labels)]
    report = check(write_csv(tmp_path / "data.csv", rows), "sequence-classification", columns={"text": "text", "label": "label"})
    assert only(report, kind).severity == severity


def test_D21_labels_that_mean_no_label(tmp_path):
    rows = [{"text": sentence(i), "label": str(i % 4)} for i in range(400)]
    rows[7]["label"] = "-1"
    rows[9]["label"] = "None"
    report = check(write_csv(tmp_path / "data.csv", rows), "sequence-classification", columns={"text": "text", "label": "label"})
    named = {
        row
        for kind in ("label-minus-one", "null-like-labels", "missing-labels", "mixed-labels")
        for f in report.of(kind)
        for _, row in f.rows
    }
    assert {8, 10} <= named


def test_D23_columns_that_differ_between_splits(tmp_path):
    write_csv(tmp_path / "train.csv", labelled(60))
    test = [{"review": row["text"], "label": row["label"]} for row in labelled(30, start=500)]
    write_csv(tmp_path / "test.csv", test)
    report = check(tmp_path)
    assert only(report, "columns-renamed").severity == "blocks" and "text = review" in only(report, "columns-renamed").message
    assert "'text' is missing" in only(report, "column-differences").message
    assert report.splits == {"train": 60, "test": 30}


def test_D3_what_the_reader_refuses_is_a_finding_with_its_row(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(
        "text,label\n" + "".join(f"{sentence(i)},pos\n" for i in range(20)) + "one,too,many\n" + f"{sentence(99)},neg\n", encoding="utf-8"
    )
    report = check(path)
    blocked = [finding for finding in report.findings if finding.severity == "blocks"]
    assert any(("data.csv", 21) in places(finding) for finding in blocked)


def test_D4_an_empty_file_is_a_finding_and_a_missing_one_an_error(tmp_path):
    for name, content in (("empty.csv", ""), ("header.csv", "text,label\n")):
        (tmp_path / name).write_text(content)
        report = check(tmp_path / name)
        assert report.verdict == "blocks training" and name in report.render()
    with pytest.raises(DataError, match="no such file"):
        check(tmp_path / "gone.csv")


def test_D11_texts_with_nothing_to_read_are_counted(tmp_path):
    rows = labelled(60)
    rows[3]["text"], rows[5]["text"], rows[8]["text"] = "", "\u200b\u200d", "🎉🎉"
    report = check(write_csv(tmp_path / "data.csv", rows), "sequence-classification", columns={"text": "text", "label": "label"})
    found = {row: finding.kind for finding in report.findings for _, row in finding.rows if row in (4, 6, 9)}
    assert set(found) == {4, 6, 9}


def test_unlabelled_data_says_what_to_do_and_writes_a_sheet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"text": sentence(i)} for i in range(100)] + [{"text": "=SUM(A1:A9) is what the last cell says, why is that so"}] * 3
    path = write_csv(tmp_path / "mails.csv", rows)
    report = check(path, task="sequence-classification", label_sheet=50)
    finding = only(report, "no-labels-in-file")
    assert finding.severity == "blocks" and "zero-shot" in finding.remedy and "--label-sheet" in finding.remedy
    sheet = list(csv.DictReader((tmp_path / "mails-to-label.csv").open(encoding="utf-8-sig", newline="")))
    assert len(sheet) == 50 and all(row["label"] == "" for row in sheet)
    assert len({row["text"] for row in sheet}) == 50
    again = check(path, task="sequence-classification", label_sheet=50)
    assert (tmp_path / "mails-to-label-2.csv").read_bytes() == (tmp_path / "mails-to-label.csv").read_bytes()
    assert "mails-to-label-2.csv" in again.written["label sheet"]


def test_X8_the_sheet_holds_no_formula(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    starts = ["=1+1", "+41 call", "-5 degrees", "@home", "\tindent"]
    path = write_csv(tmp_path / "m.csv", [{"text": f"{start} {sentence(i)}"} for i, start in enumerate(starts)])
    check(path, task="sequence-classification", label_sheet=5)
    with (tmp_path / "m-to-label.csv").open(encoding="utf-8-sig", newline="") as stream:
        cells = [row["text"] for row in csv.DictReader(stream)]
    assert len(cells) == 5 and all(cell[0] == "'" for cell in cells)


def test_C023_figures_equal_a_hand_count(tmp_path):
    rows = [{"text": "one two three", "label": "a"}] * 3 + [{"text": "one two three four five six seven eight", "label": "b"}] * 2
    report = check(write_csv(tmp_path / "data.csv", rows), "sequence-classification", columns={"text": "text", "label": "label"})
    assert report.figures["labels"]["train"] == {"a": 3, "b": 2}
    assert report.figures["words"]["train"] == {"2-3": 3, "8-15": 2}


def test_a_clean_set_is_clean(tmp_path):
    write_csv(tmp_path / "train.csv", labelled(120))
    write_csv(tmp_path / "test.csv", labelled(60, start=5000))
    report = check(tmp_path)
    assert not [f for f in report.findings if f.severity != "look"], report.render()


def test_the_report_is_json_and_text(tmp_path):
    rows = labelled(60)
    rows[3]["label"] = "Pos "
    report = check(write_csv(tmp_path / "data.csv", rows))
    document = json.loads(json.dumps(report.as_dict()))
    assert document["verdict"] == "biases the score" and document["splits"] == {"train": 60}
    finding = next(f for f in document["findings"] if f["kind"] == "label-typos")
    assert finding["rows"] == [{"file": str(tmp_path / "data.csv"), "row": 4}] and finding["count"] == 1 and finding["remedy"]
    text = report.render()
    assert "BIASES THE SCORE" in text and "data.csv 4" in text and "did you mean 'pos'" in text


def test_an_unknown_task_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="no task 'clasify'"):
        check(write_csv(tmp_path / "data.csv", labelled(10)), task="clasify")


def test_splits_may_be_given_one_by_one(tmp_path):
    paths = {"train": write_csv(tmp_path / "a.csv", labelled(30)), "test": write_csv(tmp_path / "b.csv", labelled(12, start=99))}
    assert check(paths).splits == {"train": 30, "test": 12}


def test_nothing_heavy_is_imported_for_the_module():
    heavy = ("torch", "transformers", "sklearn", "datasets", "pandas", "cleanlab")
    code = f"import sys, oneloop.diagnose.check; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
