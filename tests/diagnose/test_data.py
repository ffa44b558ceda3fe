"""Tables of every shape are given their task and their columns, whatever the columns are called."""

from __future__ import annotations

import csv
import json
import random
import time
from pathlib import Path

import pytest

from oneloop.diagnose import Diagnosis, diagnose, from_table
from oneloop.diagnose.check import check
from oneloop.read import read
from oneloop.read.roles import to_rows
from oneloop.tasks import task_class
from tests.diagnose.made_tables import MadeTable, cases, laid, outside

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
EVERY = [(naming, rows, what) for naming in ("roles", "foreign", "blind") for rows in (30, 200) for what, *_ in cases(random.Random(0), 2)]


def right_columns(found: Diagnosis, wanted: dict[str, str]) -> bool:
    """The roles asked for; answers and answer are one role, the order of two languages is not told without names."""
    named = {("answer" if role == "answers" else role): column for role, column in found.columns.items()}
    return named == {("answer" if role == "answers" else role): column for role, column in wanted.items()}


@pytest.mark.parametrize(("naming", "rows", "what"), EVERY)
def test_a_table_is_given_its_task_and_columns(naming: str, rows: int, what: str) -> None:
    rng = random.Random(f"{naming} {rows}")
    task, columns = next((task, columns) for name, task, columns in cases(rng, rows) if name == what)
    table, wanted = laid(columns, naming, rng)
    found = from_table(table)
    assert not found.none and found.task == task
    if what == "two languages" and naming == "blind":
        assert set(found.columns.values()) == set(wanted.values())
    else:
        assert right_columns(found, wanted)
    assert found.why and any(str(column) in " ".join(found.why) for column in wanted.values())


@pytest.mark.parametrize("kind", ["forecasting", "tabular", "recommendation", "images", "audio"])
def test_a_table_without_text_is_named_for_what_it_is(kind: str) -> None:
    rng = random.Random(3)
    table, _ = laid(dict(outside(rng, 120))[kind], "roles", rng)
    found = from_table(table)
    assert found.none and found.kind == kind and found.task == "" and found.instead


def test_bare_text_is_asked_about() -> None:
    table = MadeTable(
        {"line": f"The {i}th recruit stands in the {word} rank and waits for the word of command."}
        for i, word in enumerate(["first", "second"] * 40)
    )
    table.columns = ["line"]
    found = from_table(table)
    assert found.ambiguous and set(found.options) == {"masked-lm", "causal-lm"} and found.columns == {"text": "line"}
    assert "masked-lm" in found.question and "causal-lm" in found.question


def test_one_hot_columns_are_several_labels() -> None:
    rng = random.Random(5)
    table = MadeTable(
        {
            "note": f"Parcel {i} came late and wet, please call me back soon.",
            **{name: str(rng.randint(0, 1)) for name in ("late", "wet", "call")},
        }
        for i in range(80)
    )
    table.columns = ["note", "late", "wet", "call"]
    found = from_table(table)
    assert found.task == "sequence-classification" and found.columns == {"text": "note", "labels": ["late", "wet", "call"]}


def test_a_pair_of_texts_with_a_label() -> None:
    rng = random.Random(6)
    things = ["lamp", "kettle", "saddle", "carpet", "radio", "mirror"]
    rows = [(rng.choice(things), rng.choice(things), rng.randint(1950, 2020), rng.choice(["Oslo", "Lima", "Perth"])) for _ in range(90)]
    table = MadeTable(
        {
            "a": f"Is the {x} of {year} still under guarantee?",
            "b": f"Do you in {place} still give a guarantee on a {y}, year {year}?",
            "same": str(int(x == y)),
        }
        for x, y, year, place in rows
    )
    table.columns = ["a", "b", "same"]
    assert from_table(table).columns == {"text": "a", "text_pair": "b", "label": "same"}


def offers(count: int) -> list[dict[str, str]]:
    rng = random.Random(11)
    kinds = {"wood": ["oak", "pine", "plank"], "cloth": ["linen", "wool", "felt"], "iron": ["nail", "hinge", "anvil"]}
    found = []
    for i in range(count):
        kind = rng.choice(sorted(kinds))
        words = " and ".join(rng.sample(kinds[kind], 2))
        found.append({"x1": f"We offer {words} from the {i}th lot, to be fetched soon.", "x2": kind, "x3": f"{rng.uniform(20, 900):.2f}",
                      "x4": rng.choice(["Ann Lee", "Bo Dahl", "Cy Fox"])})  # fmt: skip
    return found


def test_a_price_that_the_text_does_not_foretell_is_not_what_is_predicted() -> None:
    table = MadeTable(offers(120))
    table.columns = ["x1", "x2", "x3", "x4"]
    assert from_table(table).columns == {"text": "x1", "label": "x2"}
    bare = MadeTable({"x1": row["x1"], "x3": row["x3"], "author": row["x4"]} for row in offers(120))
    bare.columns = ["x1", "x3", "author"]
    assert from_table(bare).columns == {"text": "x1"}
    heavy = {row["x1"]: 300 * ("nail" in row["x1"] or "hinge" in row["x1"]) for row in offers(120)}
    told = MadeTable({"x1": text, "x3": f"{20.5 + weight + 0.7 * i:.2f}"} for i, (text, weight) in enumerate(heavy.items()))
    told.columns = ["x1", "x3"]
    assert from_table(told).columns == {"text": "x1", "score": "x3"}


@pytest.mark.parametrize("name", ["label", "x2"])
def test_ten_rows_of_ten_classes(name: str) -> None:
    labels = ["refund", "card_lost", "top_up", "pin", "fees", "limits", "address", "passcode", "transfer", "closing"]
    table = MadeTable(
        {"x1": f"Please tell me what I should do about the {label.replace('_', ' ')} thing.", name: label} for label in labels
    )
    table.columns = ["x1", name]
    assert from_table(table).columns == {"text": "x1", "label": name}


def test_the_names_say_the_opposite_of_the_cells() -> None:
    """Columns called `text` and `label` whose cells are the other way round: the cells decide."""
    rng = random.Random(7)
    _, columns = next((task, columns) for name, task, columns in cases(rng, 60) if name == "labels as words")
    table = MadeTable({"text": label, "label": text} for text, label in zip(columns["text"], columns["label"]))
    table.columns = ["text", "label"]
    assert from_table(table).columns == {"text": "label", "label": "text"}


def test_data_from_a_file_by_its_content(tmp_path: Path) -> None:
    rng = random.Random(8)
    _, columns = next((task, columns) for name, task, columns in cases(rng, 40) if name == "labels as words")
    path = tmp_path / "mystery.dat"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Beschwerde", "Gruppe"])
        writer.writerows(zip(columns["text"], columns["label"]))
    found = diagnose(data=path)
    assert found.task == "sequence-classification" and found.columns == {"text": "Beschwerde", "label": "Gruppe"}
    assert str(path) in found.command


def test_a_broken_line_is_named_with_row_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": f"Call number {i} was about the late delivery.", "label": "late" if i % 2 else "lost"}) for i in range(30)]
    lines[16] = '{"text": "cut off here'
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = diagnose(data=path)
    assert found.task == "sequence-classification"
    assert len(found.problems) == 1 and "17" in found.problems[0] and "problem" in found.render()


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
@pytest.mark.parametrize(
    ("place", "task"),
    [
        ("quick/seq_cls/banking77", "sequence-classification"),
        ("quick/seq_cls/snips_intents/train.csv", "sequence-classification"),
        ("quick/token_cls/wikigold", "token-classification"),
        ("quick/token_cls/snips_slots/train.conll", "token-classification"),
        ("quick/qa/squad_v1", "question-answering"),
        ("quick/qa/squad_v2/train.json", "question-answering"),
        ("quick/summarization/scitldr", "summarization"),
        ("quick/summarization/scitldr_titles", "summarization"),
        ("bench/scitldr_a", "summarization"),
        ("quick/translation/en-de", "translation"),
        ("bench/tatoeba_en_fr/fra.txt", "translation"),
        ("quick/retrieval/banking_faq", "semantic-search"),
        ("quick/retrieval/squad_passages", "semantic-search"),
        ("quick/lm/tiny_shakespeare", "causal-lm"),
        ("bench/snips_full", "token-classification"),
        ("bench/sec_filings", "token-classification"),
    ],
)
def test_real_sets(place: str, task: str) -> None:
    assert diagnose(data=SHARED / place).task == task


# ---- words and tags of unequal number -----------------------------------------------------------------------------------
NAMES = {"anna": "B-PER", "bert": "B-PER", "dora": "B-PER", "emil": "B-ORG", "paris": "B-LOC", "rome": "B-LOC", "near": "I-LOC"}
PLAIN = ["went", "to", "with", "and", "saw", "in", "on", "while", "the", "dog", "slept", "long", "cold", "day", "under", "green", "trees"]


def torn(layout: str, number: int = 24) -> list[dict[str, object]]:
    """Rows of words and tags, three of four of them with one tag too few."""
    draw = random.Random(3)
    rows: list[dict[str, object]] = []
    for i in range(number):
        words = [draw.choice([*NAMES, *PLAIN]) for _ in range(draw.randint(5, 9))]
        tags = [NAMES.get(word, "O") for word in words][: None if i % 4 == 0 else -1]
        if layout == "spaced":
            rows.append({"sentence": " ".join(words), "marks": " ".join(tags)})
        elif layout == "ids":
            rows.append({"tokens": words, "ner_tags": [sorted({"O", *NAMES.values()}).index(tag) for tag in tags]})
        else:
            rows.append({"a": words, "b": tags})
    return rows


@pytest.mark.parametrize(("layout", "columns"), [("lists", ("a", "b")), ("spaced", ("sentence", "marks")), ("ids", ("tokens", "ner_tags"))])
def test_tags_and_words_of_unequal_number_are_still_tags_and_words(layout: str, columns: tuple[str, str]) -> None:
    found = from_table(torn(layout))
    assert (found.task, tuple(found.columns[role] for role in ("tokens", "tags"))) == ("token-classification", columns)
    assert "of unequal length in 75% of the rows" in found.why[0]


def test_lists_that_only_stand_beside_each_other_are_no_words_and_tags() -> None:
    draw = random.Random(5)
    rows = [{"words": draw.sample(PLAIN, 9), "tags": draw.sample(["red", "big", "new"], draw.randint(1, 2))} for _ in range(30)]
    assert from_table(rows).task != "token-classification"


def test_rows_with_too_few_tags_are_named_in_training(tmp_path: Path) -> None:
    from oneloop.errors import DataError
    from oneloop.prepare import prepare
    from oneloop.recipe import load_recipe

    path = tmp_path / "torn.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in torn("lists")))
    with pytest.raises(DataError) as told:
        prepare(load_recipe(train=str(path)), lambda text: None)
    assert [problem.row for problem in told.value.problems] == [row for row in range(1, 25) if row % 4 != 1]
    assert all(" words but " in problem.reason for problem in told.value.problems)


def test_a_shortened_list_of_tags_says_that_there_are_more() -> None:
    rows = [{"a": row["a"], "b": [NAMES.get(word, "O") for word in row["a"]]} for row in torn("lists")]  # type: ignore[attr-defined]
    assert from_table(rows).why[0].endswith(", …)")
    few = [{"a": row["a"], "b": ["O" if tag == "O" else "B-X" for tag in row["b"]]} for row in rows]
    assert from_table(few).why[0].endswith(("(O, B-X)", "(B-X, O)"))


def test_measured_whole_numbers_are_not_taken_for_the_ids_of_who_liked_what(tmp_path: Path) -> None:
    rng = random.Random(3)
    wards = tmp_path / "wards.csv"
    rows = (f"{i},2024-01-{i % 28 + 1:02d},{36 + 3 * rng.random():.1f},{rng.randint(95, 190)},{rng.randint(50, 110)}\n" for i in range(200))
    wards.write_text("id,date,temp,bp_sys,bp_dia\n" + "".join(rows), encoding="utf-8")
    found = diagnose(data=wards)
    assert found.none and found.kind == "forecasting" and "bp_sys" in found.why[0]
    liked = tmp_path / "liked.csv"
    rows = (f"{rng.randint(1, 943)},{rng.randint(1, 1682)},{rng.randint(1, 5)},{rng.randint(8, 9)}000{i}\n" for i in range(300))
    liked.write_text("userId,movieId,rating,timestamp\n" + "".join(rows), encoding="utf-8")
    assert diagnose(data=liked).kind == "recommendation"


def test_rows_that_are_all_alike_are_told_so(tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    path.write_text("text,label\n" + "same text here,a\n" * 50, encoding="utf-8")
    found = diagnose(data=path)
    assert found.none and "says the same in every row" in found.why[0] and "text" in found.why[0]


@pytest.mark.parametrize("front", [True, False])
def test_a_label_among_thousands_of_number_columns_is_found_at_once(tmp_path: Path, front: bool) -> None:
    rng = random.Random(4)
    names, texts = [f"c{i}" for i in range(4000)], ["the patient slept well", "the bill came too late", "no answer to my letter"]
    path = tmp_path / "wide.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", *names] if front else [*names, "text", "label"])
        for i in range(40):
            numbers, said = [str(rng.randrange(9)) for _ in names], [f"{texts[i % 3]} and so on, number {i}", "ab"[i % 3 == 0]]
            writer.writerow([*said, *numbers] if front else [*numbers, *said])
    before = time.process_time()
    found = diagnose(data=path)
    assert found.columns == {"text": "text", "label": "label"}
    assert time.process_time() - before < 5


def test_the_semicolon_of_an_entity_separates_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "mail.csv"
    rows = (f"The {('motor', 'price', 'desk')[i % 3]} of order {i} is late,{('R&amp;D', 'Sales', 'HR')[i % 3]}\n" for i in range(60))
    path.write_text("text,team\n" + "".join(rows), encoding="utf-8")
    assert diagnose(data=path).columns == {"text": "text", "label": "team"}


@pytest.mark.parametrize("off", [0, 1])
def test_starts_in_a_column_of_their_own_are_used_whatever_it_is_called(tmp_path: Path, off: int) -> None:
    path, out = tmp_path / "policies.csv", tmp_path / "out"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frage", "police", "antwort", "ab"])
        for i in range(60):
            text = f"{'The first clause speaks of fire and water. ' * (i % 3 + 1)}Policy {i} ends in May {1900 + i}. May {1900 + i} it is."
            writer.writerow([f"When does policy {i} end?", text, f"May {1900 + i}", text.index("May") + off * (i % 2)])
    columns = diagnose(data=path).columns
    assert columns == {"question": "frage", "context": "police", "answers": "antwort", "answer_start": "ab"}
    report = check(path, fix=out)
    assert "blocks" not in {finding.severity for finding in report.findings}  # each answer stands twice: only its start tells which
    assert [finding.count for finding in report.of("answer-start-beside")] == [30] * off
    rows, _ = to_rows(read(next(out.glob("policies.*"))), task_class("question-answering")(), columns)
    assert all(row["answers"][0]["start"] == row["context"].index("May") for row in rows) and len(rows) == 60
