"""Any bytes either become rows or a DataError; nothing crashes, nothing is lost without a word."""

import csv
import io
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneloop.errors import OneloopError
from oneloop.read import cells, read
from oneloop.read.decoding import Found
from oneloop.read.delimited import read_delimited
from oneloop.read.dialect import Dialect
from oneloop.read.json_rows import Collector, collect_lines
from oneloop.read.sources import Part
from oneloop.read.where import compile_where

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCRAPS = [
    "a",
    ",",
    ";",
    "\t",
    '"',
    '""',
    "\n",
    "\r\n",
    "\r",
    "text",
    "label",
    " ",
    "{",
    "}",
    "[",
    "]",
    ":",
    '"a"',
    "1",
    "O",
    "B-X",
    "\x00",
    "é",
    "\u2028",
]
SCRAPS += ["null", "<html>", "T1\t", "-DOCSTART-", "#", "|", "\ufeff", "-", "NaN", "\\u", "\\"]
scraps = st.lists(st.sampled_from(SCRAPS), max_size=40).map("".join)
cell = st.text(alphabet=st.sampled_from('ab,"\n\r; \t\u2028é'), max_size=8)


@QUICK
@given(st.one_of(scraps.map(str.encode), st.binary(max_size=200), scraps.map(lambda text: text.encode("utf-16"))))
def test_any_file_gives_rows_or_one_clear_error(tmp_path, content):
    path = tmp_path / "f"
    path.write_bytes(content)
    try:
        table = read(path, max_bad=None)
    except OneloopError as error:
        assert str(error)
        return
    for i, row in enumerate(table):
        assert isinstance(row, dict) and table.origin(i).row >= 1


@QUICK
@given(st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(rows):
    for delimiter in ",;\t|":
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("x", "y", "z"), *rows])
        part = Part("f.csv", file=io.BytesIO(buffer.getvalue().encode()))
        table = read_delimited(part, Found("utf-8"), dialect=Dialect(delimiter, width=3))
        assert [tuple(row.values()) for row in table] == rows


@QUICK
@given(st.lists(st.one_of(scraps, st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3)).map(json.dumps)), max_size=10))
def test_every_line_of_json_is_a_row_or_a_problem(lines):
    lines = [line.replace("\n", " ").replace("\r", " ") for line in lines]
    rows = Collector("f")
    collect_lines(enumerate(lines, 1), rows)
    told = {problem.line for problem in rows.problems} | set(rows.lines)
    assert told == {number for number, line in enumerate(lines, 1) if line.strip()}


@QUICK
@given(
    st.one_of(
        scraps,
        st.none(),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.recursive(
            st.text(max_size=3) | st.integers(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ),
    )
)
def test_parsers_give_their_value_or_say_why_not(value):
    for parse in (
        cells.text,
        cells.label,
        cells.labels,
        cells.number,
        cells.tokens,
        cells.tags,
        cells.spans,
        cells.answers,
        cells.messages,
    ):
        try:
            parse(value)
        except ValueError as error:
            assert str(error)


@QUICK
@given(
    st.lists(
        st.sampled_from(
            ["and", "or", "not", "(", ")", "x", "'a'", "1", "==", ">", "in", "[", "]", ",", "words", "contains", "is", "empty", "~"]
        ),
        max_size=12,
    )
)
def test_any_filter_compiles_or_says_why_not(words):
    try:
        where = compile_where(" ".join(words))
    except OneloopError:
        return
    assert where.test({"x": "a"}) in (True, False)
