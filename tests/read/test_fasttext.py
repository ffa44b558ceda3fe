"""fastText files: labels before the text of each line."""

import pytest

from oneloop.diagnose import diagnose
from oneloop.diagnose.check import check
from oneloop.errors import DataError
from oneloop.read import read

TEXTS = [f"the {thing} number {i} came late" for i, thing in enumerate(["parcel", "letter", "invoice", "printer"] * 10)]


def test_one_label_a_line(write):
    path = write("train.txt", "".join(f"__label__{'ab'[i % 2]} {text}\n" for i, text in enumerate(TEXTS)))
    found = read(path)
    assert found.format == "fasttext" and found.columns == ["text", "label"]
    assert found[1] == {"text": TEXTS[1], "label": "b"} and found.origin(1).line == 2
    diagnosis = diagnose(data=path)
    assert diagnosis.task == "sequence-classification" and diagnosis.columns == {"text": "text", "label": "label"}
    assert check(path).figures["labels"]["train"] == {"a": 20, "b": 20}


@pytest.mark.parametrize("mark", [" ", "\t", "  "])
def test_several_labels_a_line(write, mark):
    lines = [f"__label__{'ab'[i % 2]}{mark}" + (f"__label__c{mark}" if i % 3 == 0 else "") + text for i, text in enumerate(TEXTS)]
    path = write("cooking.train", "\n".join(lines) + "\n")
    found = read(path)
    assert found[0] == {"text": TEXTS[0], "labels": ["a", "c"]} and found[1] == {"text": TEXTS[1], "labels": ["b"]}
    assert diagnose(data=path).columns == {"text": "text", "labels": "labels"}


def test_texts_with_commas_and_labels_inside_stay_texts(write):
    found = read(
        write("t.csv", "__label__food-safety __label__eggs How long, roughly, do __label__x eggs keep?\n__label__eggs Why, oh why?\n")
    )
    assert found[0] == {"text": "How long, roughly, do __label__x eggs keep?", "labels": ["food-safety", "eggs"]}


def test_lines_without_text_or_label(write):
    lines = [f"__label__a {text}" for text in TEXTS] + ["__label__a", "", "no label here"]
    path = write("t.txt", "\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert [(problem.row, problem.line) for problem in caught.value.problems] == [(41, 41)]
    found = read(path, max_bad=1)
    assert found[40] == {"text": "no label here", "label": None} and found.origin(40).row == 42 and found.origin(40).line == 43
