"""Missing splits: sizes, strata, leaks, order."""

import random
from collections import Counter

import pytest

from oneloop.errors import DataError
from oneloop.read.split import fold, make_splits


def rows(count, labels="ab", **more):
    return [
        {"id": str(i), "row": i, "file": "f", "text": f"text {i} {i * i}", "label": labels[i % len(labels)]} | more for i in range(count)
    ]


def label(row):
    return row["label"]


def sizes(splits):
    return {name: len(members) for name, members in splits.items()}


def test_C021_one_file_becomes_80_10_10():
    splits, record = make_splits({"train": rows(1000)}, seed=1, label_of=label)
    assert sizes(splits) == {"train": 800, "validation": 100, "test": 100} and record.made.startswith("80/10/10")
    assert Counter(map(label, splits["test"])) == {"a": 50, "b": 50}
    assert sorted(row["row"] for members in splits.values() for row in members) == list(range(1000))


def test_C021_what_is_given_stays():
    test = rows(50)
    splits, _ = make_splits({"train": rows(1000), "test": test}, seed=1)
    assert sizes(splits) == {"train": 900, "validation": 100, "test": 50} and splits["test"] == test
    given = {"train": rows(10), "validation": rows(5)}
    splits, record = make_splits(given, seed=1)
    assert splits == given and not record
    with pytest.raises(DataError):
        make_splits({"test": rows(3)}, seed=1)


def test_C021_depends_on_content_and_seed_and_not_on_order():
    first, _ = make_splits({"train": rows(300)}, seed=1, label_of=label)
    shuffled = rows(300)
    random.Random(3).shuffle(shuffled)
    again, _ = make_splits({"train": shuffled}, seed=1, label_of=label)
    other, _ = make_splits({"train": rows(300)}, seed=2, label_of=label)
    names = [{row["id"] for row in split["test"]} for split in (first, again, other)]
    assert names[0] == names[1] != names[2]


def test_near_identical_texts_are_on_one_side():
    found = rows(200)
    found += [row | {"id": "c" + row["id"], "text": f"  TEXT\u00a0{row['row']}, {row['row'] ** 2}! "} for row in found]
    splits, record = make_splits({"train": found}, seed=1, label_of=label)
    side = {row["id"]: name for name, members in splits.items() for row in members}
    assert all(side[str(i)] == side[f"c{i}"] for i in range(200))
    assert sizes(splits) == {"train": 320, "validation": 40, "test": 40} and "repeat" in record.notes[0]


def test_rows_of_one_document_are_on_one_side():
    found = [row | {"group": str(row["row"] // 10)} for row in rows(400)]
    splits, _ = make_splits({"train": found}, seed=1, label_of=label)
    groups = [{row["group"] for row in members} for members in splits.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert 30 <= len(splits["test"]) <= 60 and 30 <= len(splits["validation"]) <= 60


def test_one_large_document_does_not_swallow_a_split():
    found = [row | {"group": "big" if row["row"] < 500 else str(row["row"])} for row in rows(1000)]
    splits, _ = make_splits({"train": found}, seed=1)
    assert sizes(splits) == {"train": 800, "validation": 100, "test": 100}


def test_a_single_document_is_split_by_row():
    splits, record = make_splits({"train": [row | {"group": "1"} for row in rows(100)]}, seed=1)
    assert sizes(splits) == {"train": 80, "validation": 10, "test": 10} and "one or two documents" in record.notes[0]


@pytest.mark.parametrize("count", range(3, 21))
def test_D20_tiny_files_give_every_split_a_row(count):
    splits, _ = make_splits({"train": rows(count)}, seed=count, label_of=label)
    assert set(splits) == {"train", "validation", "test"} and sum(map(len, splits.values())) == count
    assert len(splits["train"]) >= count - 4


@pytest.mark.parametrize(("count", "expected"), [(1, {"train"}), (2, {"train", "validation"})])
def test_D20_one_or_two_rows(count, expected):
    splits, record = make_splits({"train": rows(count)}, seed=1, label_of=label)
    assert set(splits) == expected and any("too few" in note for note in record.notes)


def test_D20_a_class_with_one_example_stays_in_train():
    found = rows(100)
    found[17]["label"] = "rare"
    for seed in range(10):
        splits, record = make_splits({"train": found}, seed=seed, label_of=label)
        assert "rare" in map(label, splits["train"]) and "rare" in record.notes[-1]


def test_D20_every_class_of_two_is_in_train():
    found = rows(100, [str(i) for i in range(50)])
    splits, _ = make_splits({"train": found}, seed=1, label_of=label)
    assert set(map(label, splits["train"])) == {str(i) for i in range(50)}


def test_D20_ids_as_labels_are_not_stratified():
    found = rows(100, [str(i) for i in range(100)])
    splits, record = make_splits({"train": found}, seed=1, label_of=label)
    assert sizes(splits) == {"train": 80, "validation": 10, "test": 10} and "not stratified" in record.notes[0]


def test_D20_one_class_of_999():
    found = rows(1000, "a")
    found[5]["label"] = found[6]["label"] = "b"
    splits, _ = make_splits({"train": found}, seed=1, label_of=label)
    assert "b" in map(label, splits["train"])


def test_several_labels_stratify_by_the_rarest():
    found = [row | {"label": ["common", "rare"] if row["row"] % 20 == 0 else ["common"]} for row in rows(400)]
    splits, _ = make_splits({"train": found}, seed=1, label_of=label)
    assert sum("rare" in row["label"] for row in splits["test"]) == 2


def test_other_shares():
    splits, record = make_splits({"train": rows(200)}, seed=1, shares=(0.7, 0.2, 0.1))
    assert sizes(splits) == {"train": 140, "validation": 40, "test": 20} and record.made.startswith("70/20/10")
    assert sizes(make_splits({"train": rows(200)}, seed=1, shares=(0.9, 0.1, 0))[0]) == {"train": 180, "validation": 20}


def test_repeats_and_labels_with_one_example_are_named_by_row():
    found = rows(40)
    found[7]["text"] = found[3]["text"]
    found[9]["label"] = "rare"
    notes = make_splits({"train": found}, seed=1, label_of=label)[1].notes
    assert "1 row repeats the text of another; it is on the same side as it (f row 7)" in notes
    assert "1 label has one example (or one group of repeats); it stays in train: rare (f row 9)" in notes
    found[11]["text"], found[12]["label"] = found[2]["text"], "odd"
    notes = make_splits({"train": found}, seed=1, label_of=label)[1].notes
    assert "2 rows repeat the text of another; they are on the same side as it (f rows 7, 11)" in notes
    assert "2 labels have one example (or one group of repeats); it stays in train: odd (f row 12), rare (f row 9)" in notes


def test_folding():
    assert fold("  Ｈello,\n WORLD!! ") == fold("hello world") == "hello world"
    assert fold("!!!") != fold("???") and fold("Äpfel") != fold("Apfel")
