"""Layouts that people export: one label in a list, crosses in a sheet, categories in an object, two files of sentences."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from oneloop.diagnose import diagnose
from oneloop.diagnose.check import check

THINGS = ["invoice", "parcel", "contract", "tenant", "dosage", "printer", "garden", "refund", "password", "letter", "policy", "meeting"]


def sentence(i: int) -> str:
    rng = random.Random(i)
    return f"The {rng.choice(THINGS)} and the {rng.choice(THINGS)} of case {i} came late, please look at the {rng.choice(THINGS)}."


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def one_in_a_list() -> str:
    return lines([{"id": i, "text": sentence(i), "label": [["tenant", "landlord"][i % 2]]} for i in range(40)])


def categories() -> str:
    return lines([{"text": sentence(i), "cats": {"URGENT": float(i % 3 == 0), "ROUTINE": float(i % 3 != 0)}} for i in range(40)])


def crosses() -> str:
    return "note,fall,pain\n" + "".join(f'"{sentence(i)}",{"x" if i % 2 else ""},{"X" if i % 3 == 0 else ""}\n' for i in range(60))


def yes_and_no() -> str:
    return "note,fall,pain\n" + "".join(f'"{sentence(i)}",{["yes", "no"][i % 2]},{["no", "yes"][i % 3 == 0]}\n' for i in range(60))


def nested_names() -> str:
    return json.dumps({"tickets": [{"id": i, "body": {"en": sentence(i)}, "queue": {"name": ["IT", "HR"][i % 2]}} for i in range(40)]})


def two_hypotheses() -> str:
    claims = ["The patient has a fever.", "The patient is in pain."]
    kinds = ["entailment", "neutral", "contradiction"]
    return "premise,hypothesis,relation\n" + "".join(f'"{sentence(i)}",{claims[i % 2]},{kinds[i % 3]}\n' for i in range(60))


@pytest.mark.parametrize(
    ("name", "write", "columns"),
    [
        ("doccano.jsonl", one_in_a_list, {"text": "text", "label": "label"}),
        ("cats.jsonl", categories, {"text": "text", "labels": "cats"}),
        ("crosses.csv", crosses, {"text": "note", "labels": ["fall", "pain"]}),
        ("yes.csv", yes_and_no, {"text": "note", "labels": ["fall", "pain"]}),
        ("nested.json", nested_names, {"text": "body.en", "label": "queue.name"}),
        ("claims.csv", two_hypotheses, {"text": "premise", "text_pair": "hypothesis", "label": "relation"}),
    ],
)
def test_labels_as_people_write_them(tmp_path: Path, name: str, write: Callable[[], str], columns: dict) -> None:
    (tmp_path / name).write_text(write(), encoding="utf-8")
    found = diagnose(data=tmp_path / name)
    assert found.task == "sequence-classification" and not found.ambiguous and found.columns == columns
    report = check(tmp_path / name)
    assert report.columns == columns and report.verdict != "blocks training"


def test_one_column_of_yes_and_no_is_one_label(tmp_path: Path) -> None:
    rows = "".join(f'"{sentence(i)}",{["yes", "no"][i % 2]}\n' for i in range(40))
    (tmp_path / "one.csv").write_text("note,urgent\n" + rows, encoding="utf-8")
    assert diagnose(data=tmp_path / "one.csv").columns == {"text": "note", "label": "urgent"}


def test_a_label_of_several_words_is_no_second_text(tmp_path: Path) -> None:
    kinds, ways = ["very late delivery", "lost in the mail"], ["web", "shop"]
    rows = "".join(f'"{sentence(i)}",{kinds[i % 2]},{ways[i % 3 == 0]}\n' for i in range(60))
    (tmp_path / "long.csv").write_text("note,category,channel\n" + rows, encoding="utf-8")
    assert diagnose(data=tmp_path / "long.csv").columns == {"text": "note", "label": "category"}


def test_two_files_named_for_their_languages_are_parallel_however_few_sentences_they_hold(tmp_path: Path) -> None:
    (tmp_path / "train.en").write_text("Good morning.\nThank you very much.\n" * 10, encoding="utf-8")
    (tmp_path / "train.de").write_text("Guten Morgen.\nVielen Dank.\n" * 10, encoding="utf-8")
    found = diagnose(data=tmp_path)
    assert found.task == "translation" and found.columns == {"source": "source", "target": "target"}


def test_a_table_of_words_in_which_nothing_tells_the_sentences_apart_is_named(tmp_path: Path) -> None:
    rows = ["Word,Tag"]
    for i in range(40):
        person, place = random.Random(i).choice(THINGS).title(), random.Random(-i - 1).choice(THINGS).upper()
        rows += [f"{person}{i},B-PER", "works,O", "near,O", f"{place},B-LOC", "now,O"]
    (tmp_path / "words.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = diagnose(data=tmp_path / "words.csv")
    assert found.columns == {"tokens": "Word", "tags": "Tag"} and any("one word" in note for note in found.notes)
    finding = next(finding for finding in check(tmp_path / "words.csv").findings if finding.kind == "one-word-rows")
    assert finding.count == 200


def in_two_styles(count: int = 24) -> list[tuple[str, str]]:
    verbs, rest = ["mange", "parle", "chante", "arrive", "dessine", "marche"], ["vite", "bien", "demain", "ici", "souvent", "avec lui"]
    return [(f"Tu {verbs[i % 6]} {rest[i // 6 % 6]}.", f"Vous {verbs[i % 6]}z {rest[i // 6 % 6]}.") for i in range(count)]


@pytest.mark.parametrize("names", [("tu", "vous"), ("a", "b")])
def test_short_sentences_in_two_styles_are_a_rewriting(tmp_path: Path, names: tuple[str, str]) -> None:
    rows = "".join(f"{a},{b}\n" for a, b in in_two_styles())
    (tmp_path / "style.csv").write_text(",".join(names) + "\n" + rows, encoding="utf-8")
    found = diagnose(data=tmp_path / "style.csv")
    assert found.task == "translation" and found.columns == {"source": names[0], "target": names[1]}


def test_a_few_questions_in_two_styles_that_come_again_are_a_rewriting(tmp_path: Path) -> None:
    verbs, rest = ["Hast du", "Brauchst du"], ["das Buch gelesen?", "noch etwas Zeit?", "den Brief gesehen?", "heute etwas vor?"]
    polite = ["Haben Sie", "Brauchen Sie"]
    rows = "".join(f"{verbs[i % 2]} {rest[i % 4]},{polite[i % 2]} {rest[i % 4]}\n" for i in range(8))
    rows += "".join(f"{verbs[i % 2]} {rest[(i + 1) % 4]},{polite[i % 2]} {rest[(i + 1) % 4]}\n" for i in range(8))
    (tmp_path / "du.csv").write_text("du,sie\n" + rows, encoding="utf-8")
    found = diagnose(data=tmp_path / "du.csv")
    assert found.task == "translation" and found.columns == {"source": "du", "target": "sie"}


def test_questions_asked_in_other_words_are_pairs_for_search(tmp_path: Path) -> None:
    rows = "".join(f"How do I reset the {THINGS[i % 12]} {i}?,What is the way to restore my {THINGS[i % 12]} {i}?\n" for i in range(30))
    (tmp_path / "ask.csv").write_text("question1,question2\n" + rows, encoding="utf-8")
    assert diagnose(data=tmp_path / "ask.csv").task == "semantic-search"


@pytest.mark.parametrize("names", [("informal.txt", "formal.txt"), ("train.orig", "train.corrected"), ("before", "after")])
def test_two_files_whose_lines_say_the_same_are_a_rewriting(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, side in zip(names, zip(*in_two_styles())):
        (tmp_path / name).write_text("\n".join(side) + "\n", encoding="utf-8")
    found = diagnose(data=tmp_path)
    assert found.task == "translation" and found.columns == {"source": "source", "target": "target"}
    assert any("line by line" in note for note in found.notes)
    assert check(tmp_path).splits == {"train": 24}


def test_two_files_of_as_many_unlike_lines_are_texts(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("".join(sentence(i) + "\n" for i in range(20)), encoding="utf-8")
    (tmp_path / "two.txt").write_text("".join(sentence(i + 100) + "\n" for i in range(20)), encoding="utf-8")
    assert diagnose(data=tmp_path).task != "translation"


def test_dates_beside_numbers_are_a_series_not_ratings(tmp_path: Path) -> None:
    rows = "".join(f"2024-{1 + i // 28:02d}-{1 + i % 28:02d},{100 + i * 7 % 90},{i * 13 % 97 + 0.5}\n" for i in range(80))
    (tmp_path / "sales.csv").write_text("date,units,price\n" + rows, encoding="utf-8")
    found = diagnose(data=tmp_path / "sales.csv")
    assert found.none and found.kind == "forecasting"


def test_measurements_with_a_running_number_are_no_ratings(tmp_path: Path) -> None:
    rows = "".join(f"{i};{10 + i * 7 % 20},{i % 10};{900 + i * 37 % 200};0,{i * 13 % 97:02d}\n" for i in range(50))
    (tmp_path / "sensor.csv").write_text("id;temperature;pressure;flow\n" + rows, encoding="utf-8")
    found = diagnose(data=tmp_path / "sensor.csv")
    assert found.none and found.kind == "tabular"


@pytest.mark.parametrize("answers", ["0123", "ABCD"])
def test_multiple_choice_is_said_to_be_no_classification_of_the_question(tmp_path: Path, answers: str) -> None:
    options = [[f"the {thing}" for thing in random.Random(i).sample(THINGS, 4)] for i in range(40)]
    rows = [{"question": sentence(i), "choices": options[i], "answer": answers[i % 4]} for i in range(40)]
    (tmp_path / "exam.jsonl").write_text(lines(rows), encoding="utf-8")
    assert any("multiple choice" in note for note in diagnose(data=tmp_path / "exam.jsonl").notes)
    for task in (None, "sequence-classification"):
        report = check(tmp_path / "exam.jsonl", task)
        assert any("multiple choice" in note for note in report.notes) and "multiple choice" in report.render()


def test_labels_beside_a_list_of_words_are_no_multiple_choice(tmp_path: Path) -> None:
    rows = [{"text": sentence(i), "keywords": sentence(i).split()[:4], "label": ["late", "lost"][i % 2]} for i in range(40)]
    (tmp_path / "mail.jsonl").write_text(lines(rows), encoding="utf-8")
    assert not any("multiple choice" in note for note in diagnose(data=tmp_path / "mail.jsonl").notes)


def test_words_that_the_data_overrules_are_not_given_as_its_reason(tmp_path: Path) -> None:
    rows = "".join(f'"{sentence(i)}",{["high", "low"][i % 2]}\n' for i in range(40))
    (tmp_path / "mail.csv").write_text("mail,priority\n" + rows, encoding="utf-8")
    found = diagnose("translate our leaflets", tmp_path / "mail.csv")
    assert found.task == "sequence-classification"
    assert not any("translate" in why for why in found.why) and any("read as translation" in note for note in found.notes)


def test_fix_unescapes_plain_text_and_leaves_markup_and_code(tmp_path: Path) -> None:
    texts = ["Tom &amp; Anna came late", "<b>Fish &amp; chips</b> for all", "if (a &lt; b) { return b; }"]
    rows = [{"text": text if i < 3 else sentence(i), "label": "ab"[i % 2]} for i, text in enumerate(texts + [""] * 30)]
    (tmp_path / "mail.jsonl").write_text(lines(rows), encoding="utf-8")
    report = check(tmp_path / "mail.jsonl", fix=tmp_path / "fixed")
    fixed = [json.loads(line)["text"] for line in (tmp_path / "fixed" / "mail.jsonl").read_text(encoding="utf-8").splitlines()]
    assert fixed[:3] == ["Tom & Anna came late", *texts[1:]]
    assert "unescape-html 1" in report.render() and "{'" not in report.render()


def test_one_of_a_kind_is_told_in_the_singular(tmp_path: Path) -> None:
    good = "Anna B-PER\nlives O\nin O\nNew B-LOC\nYork I-LOC\n\n"
    (tmp_path / "tags.conll").write_text(good * 8 + "He O\nsaw O\nParis I-PER\n\n", encoding="utf-8")
    finding = next(finding for finding in check(tmp_path / "tags.conll").findings if finding.kind == "inside-without-begin")
    assert finding.message.startswith("1 tag starts an entity with I- after O, in 1 row (")
