"""The naive methods: what they say, how ties fall, that they do not look at the answers."""

import math
from collections import Counter

import numpy as np
import pytest

from oneloop.measure import baseline
from oneloop.measure.classification import multi_label, regression, single_label
from oneloop.measure.entities import entities
from oneloop.measure.squad import squad


def test_majority_class_and_its_scores():
    train = [{"label": "b"}, {"label": "a"}, {"label": "b"}, {"label": "c"}]
    name, said = baseline.majority_class(train, [{"label": "a"}, {"label": "b"}])
    assert name == "majority" and [one["label"] for one in said] == ["b", "b"]
    assert said[0]["scores"] == {"b": 0.5, "a": 0.25, "c": 0.25}
    assert single_label([one["label"] for one in said], ["a", "b"], ["a", "b", "c"]).metrics()["accuracy"] == 0.5


def test_ties_do_not_depend_on_the_order_of_the_rows():
    train = [{"label": name, "labels": [name], "tokens": ["x"], "tags": [name]} for name in "cab"]
    for rows in (train, train[::-1]):
        assert baseline.majority_class(rows, [{}])[1][0]["label"] == "a"
        assert baseline.majority_labels(rows, [{}])[1][0]["labels"] == ["a"]
        assert baseline.most_frequent_tag(rows, [{"tokens": ["x", "y"]}])[1][0]["tags"] == ["a", "a"]


def test_majority_labels_says_something_even_if_most_rows_have_none():
    train = [{"labels": []}, {"labels": []}, {"labels": ["a", "b"]}, {"labels": ["b"]}]
    _, said = baseline.majority_labels(train, [{}])
    assert said == [{"labels": ["b"], "scores": {"b": 0.5, "a": 0.25}}]
    assert multi_label([said[0]["labels"]], [["b"]], ["a", "b"]).metrics()["accuracy"] == 1.0


def test_mean_value_has_the_spread_as_its_error():
    train = [{"score": value} for value in (1.0, 2.0, 3.0)]
    name, said = baseline.mean_value(train, train)
    found = regression([one["value"] for one in said], [1.0, 2.0, 3.0]).metrics()
    assert name == "mean" and found["rmse"] == pytest.approx(math.sqrt(2 / 3)) and np.isnan(found["pearson"])


def test_most_frequent_tag():
    train = [{"tokens": ["Ann", "ran", "to", "Ann"], "tags": ["B-PER", "O", "O", "B-PER"]}, {"tokens": ["Ann"], "tags": ["O"]}]
    name, said = baseline.most_frequent_tag(train, [{"tokens": ["Ann", "sat"]}, {"tokens": []}])
    assert name == "most-frequent-tag" and [one["tags"] for one in said] == [["B-PER", "O"], []]
    assert entities([one["tags"] for one in said], [["B-PER", "O"], []]).metrics()["f1"] == 1.0


CONTEXT = "The bridge was built in stone.  It was opened by Queen Maria Brandt in 1874. Two towers were added later."


def test_question_overlap_answers_with_an_exact_slice():
    train = [{"question": "Who ran?", "context": "Ann Lee Moss ran.", "answers": [{"text": "Ann Lee Moss", "start": 0}]}]
    rows = [{"question": "Who opened it?", "context": CONTEXT}, {"question": "Why?", "context": ""}]
    name, said = baseline.question_overlap(train, rows)
    assert name == "question-overlap"
    assert said[0]["answer"] == "Queen Maria Brandt" == CONTEXT[said[0]["start"] : said[0]["end"]]
    assert said[1]["answer"] == "" and said[1]["start"] is None


def test_C113_nothing_is_said_where_that_scores_better_in_training():
    train = [{"question": "Who?", "context": "Nobody knows.", "answers": []}] * 3
    name, said = baseline.question_overlap(train, [{"question": "Who?", "context": CONTEXT}])
    assert name == "no-answer" and said[0]["answer"] == ""
    assert squad([said[0]["answer"]], [[]]).metrics() == {"exact_match": 1.0, "f1": 1.0}


def test_C078_lead_three_and_copy_source():
    document = "One. Mr. Two spoke. Three! Four."
    assert baseline.lead_three([], [{"document": document}]) == ("lead-3", [{"summary_text": "One.\nMr. Two spoke.\nThree!"}])
    assert baseline.copy_source([], [{"source": "Hallo"}]) == ("copy-source", [{"translation_text": "Hallo"}])


def test_unigram_is_a_distribution_with_room_for_unseen_tokens():
    train = [[1, 1, 2], [3]]
    nll = baseline.unigram(train, [[token] for token in range(6)], vocabulary=6)
    assert np.exp(-nll).sum() == pytest.approx(1.0)
    assert nll[1] == pytest.approx(-math.log(3 / 10)) and nll[5] == pytest.approx(-math.log(1 / 10))
    assert baseline.unigram(train, [[], [1, 5]], 6) == pytest.approx([0.0, nll[1] + nll[5]])


def test_no_baseline_reads_the_rows_answers():
    class Blind(dict):
        def __getitem__(self, key):
            assert key not in {"label", "labels", "score", "tags", "answers", "summary", "target"}
            return super().__getitem__(key)

    train = [{"label": "a", "labels": ["a"], "score": 1.0, "tokens": ["x"], "tags": ["O"], "question": "q", "context": "c"}]
    train[0]["answers"] = [{"text": "c", "start": 0}]
    row = Blind(train[0], document="d", source="s")
    made = Counter()
    for method in ("majority_class", "majority_labels", "mean_value", "most_frequent_tag", "question_overlap", "lead_three", "copy_source"):
        made[len(getattr(baseline, method)(train, [row, row])[1])] += 1
    assert made == {2: 7}
