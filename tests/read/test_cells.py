"""One cell to its canonical value."""

import math

import pytest

from oneloop.read import cells


@pytest.mark.parametrize("cell", ["NA", "null", "None", "nan", "true", "1e5", " x ", ""])
def test_D5_words_are_never_missing_or_numbers(cell):
    assert cells.text(cell) == cell and cells.label(cell) == cell


def test_text_from_json_values():
    assert [cells.text(value) for value in (7, 2.5, True)] == ["7", "2.5", "true"]
    for value in (None, ["a"], {"a": 1}):
        with pytest.raises(ValueError, match="text"):
            cells.text(value)


@pytest.mark.parametrize(("cell", "name"), [(3, "3"), (-1, "-1"), (True, "true"), (2.0, "2"), (["a"], "a"), ("Pos ", "Pos ")])
def test_labels_by_name(cell, name):
    assert cells.label(cell) == name


@pytest.mark.parametrize("cell", [0.37, None, ["a", "b"], {"a": 1}])
def test_D21_cells_that_are_no_class(cell):
    with pytest.raises(ValueError):
        cells.label(cell)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (["a", "b", "a"], ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ("['a', 'b']", ["a", "b"]),
        ("['a' 'b']", ["a", "b"]),
        ("a|b, c", ["a", "b, c"]),
        ("a; b", ["a", "b"]),
        ("a, b", ["a", "b"]),
        ("a", ["a"]),
        ("", []),
        ("[]", []),
        (None, []),
        ({"a": 1, "b": 0}, ["a"]),
        ([1, 2], ["1", "2"]),
    ],
)
def test_label_sets(cell, names):
    assert cells.labels(cell) == names


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("3", 3),
        ("3,5", 3.5),
        ("-0.5", -0.5),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1e-3", 0.001),
        ("12 %", 0.12),
        (4, 4),
        (" 2 ", 2),
        ("−1", -1),
    ],
)
def test_numbers(cell, value):
    assert math.isclose(cells.number(cell), value)


@pytest.mark.parametrize("cell", ["", "abc", "1.2.3", "nan", "inf", float("nan"), True, None, "1 2"])
def test_cells_that_are_no_number(cell):
    with pytest.raises(ValueError):
        cells.number(cell)


@pytest.mark.parametrize("cell", [["a", "b"], "a b", '["a", "b"]', "['a', 'b']", "('a', 'b')", [{"text": "a"}, {"text": "b"}]])
def test_words(cell):
    assert cells.tokens(cell) == ["a", "b"]


def test_words_keep_odd_ones_and_refuse_none():
    assert cells.tokens(["", "\u200b", "x y"]) == ["", "\u200b", "x y"]
    for cell in ([], "", [None], 3):
        with pytest.raises(ValueError):
            cells.tokens(cell)


SPAN = [{"start": 0, "end": 4, "label": "PER"}]


@pytest.mark.parametrize(
    "cell",
    [
        SPAN,
        [[0, 4, "PER"]],
        [["PER", 0, 4]],
        [{"start_offset": 0, "end_offset": 4, "entity_group": "PER"}],
        [{"start": 0, "end": 4, "labels": ["PER"]}],
        {"entities": [[0, 4, "PER"]]},
        '[{"start": 0, "end": 4, "label": "PER"}]',
        "[(0, 4, 'PER')]",
    ],
)
def test_spans_in_every_spelling(cell):
    assert cells.spans(cell) == SPAN


@pytest.mark.parametrize(
    "cell", [[[4, 0, "PER"]], [[0, 4]], [{"start": 0, "label": "X"}], ["PER"], "PER", [[0.5, 4, "X"]], [[-1, 4, "X"]], 7]
)
def test_C028_broken_spans(cell):
    with pytest.raises(ValueError):
        cells.spans(cell)


ANSWER = [{"text": "China", "start": 15}]


@pytest.mark.parametrize(
    "cell",
    [
        {"text": ["China"], "answer_start": [15]},
        {"text": "China", "answer_start": 15},
        [{"text": "China", "answer_start": 15}],
        [{"text": "China", "start": 15}],
        '{"text": ["China"], "answer_start": [15]}',
        "{'text': ['China'], 'answer_start': [15]}",
    ],
)
def test_answers_in_every_spelling(cell):
    assert cells.answers(cell) == ANSWER


def test_no_answer_and_answers_without_start():
    assert [cells.answers(cell) for cell in ([], "", None, {"text": [], "answer_start": []}, {})] == [[]] * 5
    assert cells.answers("China") == [{"text": "China", "start": None}]
    for cell in ({"text": ["a", "b"], "answer_start": [1]}, [{"answer_start": 1}], [{"text": "a", "start": -1}], 5):
        with pytest.raises(ValueError):
            cells.answers(cell)


def test_messages():
    assert cells.messages([{"from": "human", "value": "hi"}, {"role": "assistant", "content": "yo"}]) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yo"},
    ]
    for cell in ([], "hi", [{"role": "user"}], [1]):
        with pytest.raises(ValueError):
            cells.messages(cell)


def test_tags_are_called_tags_where_one_is_missing():
    with pytest.raises(ValueError, match="tag 2 is"):
        cells.tags(["O", None])
    with pytest.raises(ValueError, match="holds no tags"):
        cells.tags([])
