"""What the report says of files in which something is missing: targets, marks, or half of the rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneloop.diagnose import diagnose
from oneloop.diagnose.check import Report, check
from oneloop.read import read
from oneloop.read.where import apply_where
from tests.diagnose.test_check import only, sentence, write_csv

EN = ("The house is very old and {} years are long.", "I would like {} cups of coffee, please.", "We meet again in {} weeks.")
DE = ("Das Haus ist sehr alt und {} Jahre sind lang.", "Ich hätte gern {} Tassen Kaffee, bitte.", "Wir treffen uns in {} Wochen wieder.")


def rows_named(report: Report, kind: str) -> list[int]:
    return [row for _, row in only(report, kind).rows]


def test_a_translation_without_its_target_is_named(tmp_path: Path) -> None:
    rows = [{"a": EN[i % 3].format(i), "b": DE[i % 3].format(i) if i != 9 else ""} for i in range(90)]
    report = check(write_csv(tmp_path / "pairs.csv", rows))
    assert report.task == "translation" and rows_named(report, "empty-side") == [10]
    test = [{"a": EN[i % 3].format(i + 500), "b": ""} for i in range(30)]  # to be translated: nothing is missing there
    write_csv(tmp_path / "test.csv", test)
    report = check({"train": tmp_path / "pairs.csv", "test": tmp_path / "test.csv"}, "translation")
    assert rows_named(report, "empty-side") == [10]


def test_a_document_without_its_summary_is_named(tmp_path: Path) -> None:
    documents = [" ".join(sentence(20 * i + k) + "." for k in range(8)) for i in range(60)]
    lines = [{"ruling": text, "headnote": None if i == 5 else "In short: " + text[:50]} for i, text in enumerate(documents)]
    path = tmp_path / "rulings.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    report = check(path)
    assert report.task == "summarization" and rows_named(report, "empty-summary") == [6]


def test_rows_without_a_label_are_left_out_by_the_filter_that_is_offered(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "notes.csv", [{"text": sentence(i), "label": "" if i in (3, 8) else "ab"[i % 2]} for i in range(60)])
    finding = only(check(path), "missing-labels")
    assert finding.severity == "biases" and [row for _, row in finding.rows] == [4, 9] and "where: label != ''" in finding.remedy
    table = read(path)
    rows = [{"id": str(i), "row": i + 1, "file": table.file, "text": row["text"], "label": row["label"]} for i, row in enumerate(table)]
    assert len(apply_where(rows, "label != ''", table)) == 58


def test_two_data_sets_in_one_file_are_told_apart(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = []
    for i in range(40):
        context = f"{sentence(i)}. The contract ends on day {i}. {sentence(100 + i)}."
        answers = {"text": [f"day {i}"], "answer_start": [context.index(f"day {i}")]}
        lines += [
            {"note": sentence(200 + i), "ward": "ab"[i % 2]},
            {"question": "When does it end?", "context": context, "answers": answers},
        ]
    path = tmp_path / "both.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    report = check(path)
    finding = report.findings[0]
    assert finding.kind == "mixed-rows" and finding.severity == "blocks" and finding.count == 40
    assert (
        "note, ward (first: both.jsonl row 1)" in finding.message
        and "question, context, answers (first: both.jsonl row 2)" in finding.message
    )
    assert any("2 kinds of rows" in note for note in diagnose(data=path).notes)


@pytest.mark.parametrize("gaps", [1, 30])
def test_rows_with_gaps_are_one_kind(tmp_path: Path, gaps: int) -> None:
    rows = [{"text": "" if i < gaps else sentence(i), "label": "ab"[i % 2], "remark": "late" if i % 3 else ""} for i in range(60)]
    assert not check(write_csv(tmp_path / "gaps.csv", rows), "sequence-classification").of("mixed-rows")


def test_what_is_marked_word_by_word_is_not_offered_a_label_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_csv(tmp_path / "letters.csv", [{"letter": sentence(i)} for i in range(40)])
    report = check(path, "token-classification", label_sheet=10)
    finding = only(report, "no-labels-in-file")
    assert "labelling" in report.written["label sheet"] and "Label Studio" in finding.remedy and "zero-shot" not in finding.remedy
    assert (tmp_path / "letters-to-label.csv").read_text(encoding="utf-8-sig").splitlines()[0] == "id,file,row,text"
