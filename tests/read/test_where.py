"""The filter expression."""

import pytest

from oneloop.errors import RecipeError
from oneloop.read import read
from oneloop.read.where import apply_where, compile_where

ROWS = [
    {"text": "a b c", "label": "spam", "n": 3, "tags": ["x"]},
    {"text": "a b", "label": "ham", "n": "7", "tags": []},
    {"text": "", "label": "ham"},
]


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("words(text) > 2", [0]),
        ("words(text) >= 2 and label != 'spam'", [1]),
        ('label == "ham"', [1, 2]),
        ("label = 'ham'", [1, 2]),
        ("label in ['spam', 'eggs']", [0]),
        ("label not in ('spam')", [1, 2]),
        ("not (label == 'spam')", [1, 2]),
        ("NOT label == 'spam' AND text IS NOT EMPTY", [1]),
        ("text contains 'c'", [0]),
        ("contains(lower(text), 'b')", [0, 1]),
        ("text not contains 'c'", [1, 2]),
        ("tags contains 'x'", [0]),
        ("n > 5", [1]),
        ("n == 7", [1]),
        ("n != 7", [0, 2]),
        ("n is empty", [2]),
        ("len(text) >= 3", [0, 1]),
        ("text ~ '^a b$'", [1]),
        ("text startswith 'a' or n is empty", [0, 1, 2]),
        ("label == 'ham' or label == 'spam' and n == 99", [1, 2]),
        ("(label == 'ham' or label == 'spam') and n == 3", [0]),
        ("`label` == 'spam'", [0]),
        ("label < 'i'", [1, 2]),
        ("label", [0, 1, 2]),
    ],
)
def test_expressions(expression, kept):
    assert [ROWS.index(row) for row in apply_where(ROWS, expression)] == kept


@pytest.mark.parametrize(("limit", "field"), [(30, "review"), (15, "comment"), (2, "title")])
def test_C017_C018_word_limits_are_strict(limit, field):
    rows = [{field: " ".join(["w"] * count)} for count in (limit - 1, limit, limit + 1)]
    assert apply_where(rows, f"words({field}) > {limit}") == rows[2:]
    assert apply_where(rows, f"words({field}) >= {limit}") == rows[1:]


@pytest.mark.parametrize(
    "expression",
    [
        "words(text) >",
        "(label == 'a'",
        "label == 'a' b",
        "label == 'a",
        "label ==",
        "and label",
        "",
        "%",
        "label in 'a'",
        "nothere(text) > 1",
        "text ~ '('",
        "not " * 500 + "label",
        "(" * 5000 + "label" + ")" * 5000,
        "x" * 20000,
    ],
)
def test_expressions_that_cannot_be_read(expression):
    with pytest.raises(RecipeError):
        compile_where(expression)


@pytest.mark.parametrize(
    "expression", ["__import__('os').system('x')", "text.__class__", "().__class__", "eval('1')", "lambda: 1", "text[0]"]
)
def test_nothing_is_ever_executed(expression):
    with pytest.raises(RecipeError):
        apply_where(ROWS, expression)


def test_unknown_fields_are_suggested():
    with pytest.raises(RecipeError, match="did you mean 'label'"):
        apply_where(ROWS, "lable == 'x'")


def test_C018_columns_beside_the_roles(write):
    table = read(write("a.csv", "text,label,lang\na,x,en\nb,y,de\nc,x,en\n"))
    rows = [{"id": "1", "row": i + 1, "file": table.file, "text": row["text"]} for i, row in enumerate(table)]
    assert [row["text"] for row in apply_where(rows, "lang == 'en' and text != 'a'", table)] == ["c"]


def test_a_comparison_with_the_empty_text_takes_cells_that_are_missing_for_empty():
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": ""}, {"text": "c", "label": None}, {"text": "d"}]
    assert [row["text"] for row in apply_where(rows, "label != ''")] == ["a"]
    assert [row["text"] for row in apply_where(rows, "label == ''")] == ["b", "c", "d"]
    assert [row["text"] for row in apply_where(rows, "label != 'x'")] == ["b", "c", "d"]
