"""Delimited files: encodings, quoting, widths, delimiters; nothing changes silently."""

import csv
import gzip
import io
import random
import time
from pathlib import Path

import pytest

from oneloop.errors import DataError, RecipeError
from oneloop.read import read
from oneloop.read.blocks import blocks
from oneloop.read.flow import flowing

ROWS = [{"text": "café", "label": "x"}, {"text": "b", "label": "y"}]
TEXT = "text,label\ncafé,x\nb,y\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"])
def test_D1_encodings_are_found_and_named(write, encoding):
    table = read(write("a.csv", TEXT.encode(encoding)))
    assert list(table) == ROWS
    assert bool(table.notes) == (encoding not in ("utf-8", "utf-8-sig"))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "привет как дела мой друг,да\nвсё хорошо спасибо большое,нет\n"),
        ("cp932", "こんにちは、お元気ですか,はい\n元気です、ありがとう,いいえ\n"),
        ("cp1252", "déjà vu “quoted” – naïve façade,Ä\nGrüße aus Köln,é\n"),
    ],
)
def test_D1_other_alphabets(write, encoding, text):
    assert [row["text"] for row in read(write("a.csv", ("text,label\n" + text).encode(encoding)))] == [
        line.split(",")[0] for line in text.splitlines()
    ]


def test_D1_two_encodings_in_one_file_name_byte_and_line(problems):
    (problem,) = problems("a.csv", b"text,label\ncaf\xe9,x\ncaf\xc3\xa9,y\n")
    assert problem.line == 2 and "byte 14" in problem.reason and "0xE9" in problem.reason


def test_D1_zero_bytes_are_kept_and_said(write):
    table = read(write("a.csv", b"text,label\na\x00b,x\n"))
    assert table[0]["text"] == "a\x00b" and "NUL" in table.notes[0]


def test_a_named_encoding_wins_and_unknown_ones_are_refused(write):
    path = write("a.csv", "text,label\nпривет,x\n".encode("koi8-r"))
    assert read(path, encoding="koi8-r")[0]["text"] == "привет"
    with pytest.raises(DataError, match="no encoding called"):
        read(path, encoding="utf-9")


def test_D2_line_ends_and_breaks_inside_quotes(write):
    content = 'text,label\r\n"a\nb",x\r\nc\u2028d,y\re\x85f,z\ng\x0ch,w\n"i\r\nj",v'
    table = read(write("a.csv", content))
    oracle = list(csv.reader(io.StringIO(content, newline="")))[1:]
    assert [[row["text"], row["label"]] for row in table] == oracle
    assert [table.origin(i).line for i in range(len(table))] == [2, 4, 5, 6, 7]
    assert [table.origin(i).row for i in range(len(table))] == [1, 2, 3, 4, 5]


def test_D2_a_quote_never_closed_names_its_row_and_keeps_the_rest(write, problems):
    body = '"abc,0\n' + "".join(f"t{i},{i % 2}\n" for i in range(20000))
    (problem,) = problems("a.csv", "text,label\n" + body)
    assert (problem.row, problem.line) == (1, 2) and "never closed" in problem.reason
    table = read(write("b.csv", "text,label\n" + body), max_bad=1)
    assert len(table) == 20000 and table.origin(0).row == 2


def test_D2_text_after_a_closing_quote(problems):
    (problem,) = problems("a.csv", 'text,label\na,x\n"b" c,y\nd,z\n')
    assert (problem.row, problem.line) == (2, 3)


def test_D3_every_row_one_extra_field_is_refused(problems):
    found = problems("a.csv", "text,label\na,0,x\nb,1,y\n")
    assert [(problem.row, problem.line) for problem in found] == [(1, 2), (2, 3)]
    assert "3, the header names 2" in found[0].reason


def test_D3_is_refused_whatever_number_of_bad_rows_is_allowed(write):
    with pytest.raises(DataError):
        read(write("a.csv", "text,label\na,0,x\nb,1,y\n"), max_bad=100)


def test_D4_rows_too_long_or_short_are_named_all_at_once(write, problems):
    content = "text,label\na,0\nb,1,y\nc\nd,1\n"
    assert [(problem.row, problem.line) for problem in problems("a.csv", content)] == [(2, 3), (3, 4)]
    table = read(write("b.csv", content), max_bad=2)
    assert [table.origin(i).row for i in range(2)] == [1, 4] and len(table.problems) == 2


def test_D4_headers(write, problems):
    assert "twice" in problems("a.csv", "text,text\na,0\n")[0].reason
    assert "no rows" in problems("b.csv", "text,label\n")[0].reason
    table = read(write("c.csv", ",text\n0,a\n1,b\n"))
    assert table.columns == ["0", "text"] and "without a name" in table.notes[0]


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_D4_empty_files(write, content):
    with pytest.raises(DataError, match="empty"):
        read(write("a.csv", content))


def test_D5_D6_cells_stay_text(write):
    cells = ["NA", "null", "None", "nan", "true", "1e5", "007", "12345678901234567890123", "2020-01-01", " a ", "+1", "1.0"]
    table = read(write("a.csv", "id,text,label\n" + "".join(f"{i},{cell},x\n" for i, cell in enumerate(cells))))
    assert table.column("text") == cells and table[0]["id"] == "0"


def test_D6_json_keeps_long_numbers_and_texts(write):
    table = read(write("a.jsonl", '{"id": "007", "n": 12345678901234567890123, "d": "2020-01-01"}\n'))
    assert table[0] == {"id": "007", "n": 12345678901234567890123, "d": "2020-01-01"}


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ("text;score\nabc, d;0,5\nb;1,5\n", "csv"),
        ("text\tscore\nabc, d\t0,5\nb\t1,5\n", "tsv"),
        ("text|score\nabc, d|0,5\nb|1,5\n", "csv"),
        ("sep=;\r\ntext;score\r\nabc, d;0,5\r\nb;1,5\r\n", "csv"),
        ('text, score\n"abc, d", "0,5"\n"b", "1,5"\n', "csv"),
    ],
)
def test_D7_delimiters(write, content, format):
    for name in ("a.csv", "a.txt", "a"):
        table = read(write(name, content))
        assert list(table) == [{"text": "abc, d", "score": "0,5"}, {"text": "b", "score": "1,5"}] and table.format == format


def test_D7_one_column_is_said_or_refused(write, problems):
    table = read(write("a.csv", "text\nhello world\nfoo\n"))
    assert table.column("text") == ["hello world", "foo"] and any("one column" in note for note in table.notes)
    assert problems("b.csv", "text\nhello, world\nfoo\n")[0].row == 1


def test_quotes_of_tab_separated_text_belong_to_it_unless_a_program_wrote_them(write):
    raw = read(write("a.tsv", 'Go.\tVa !\n"Stop!" he said.\t"Halt!"\nYes.\tOui.\n'))
    assert raw[1] == {"0": '"Stop!" he said.', "1": '"Halt!"'}
    written = read(write("b.tsv", 'text\tlabel\n"a ""b"" c"\tx\nplain\ty\n'))
    assert written[0]["text"] == 'a "b" c'


@pytest.mark.parametrize(
    "content",
    [
        '"I love it, really.",positive\nBad stuff here,negative\nGreat thing,positive\n',
        "1,good movie\n0,bad movie\n1,nice one\n",
        "spam\tWin a prize now\nham\tSee you at six\nspam\tFree money\n",
    ],
)
def test_files_without_a_header_name_columns_by_position(write, content):
    table = read(write("a.csv", content))
    assert len(table) == 3 and table.columns == ["0", "1"]


@pytest.mark.parametrize("header", ["text,label", "Kundentext,Ergebnis", "sms_body,verdict", "評論,標籤", "Review Text,Stars"])
def test_headers_of_any_name_are_recognised(write, header):
    body = "The parcel never arrived and nobody answers,bad\nQuick and friendly service as always,good\nIt was fine I suppose,good\n"
    assert read(write("a.csv", f"{header}\n{body}")).columns == header.split(",")


def test_prose_with_commas_is_text(write):
    table = read(write("a.txt", "Hello, John\nGoodbye, Mary\nWell, fine\n"))
    assert table.format == "txt" and len(table) == 3


def test_a_named_format_wins_and_unknown_ones_are_refused(write):
    path = write("a.txt", "Hello, John\nGoodbye, Mary\n")
    assert len(read(path, format="txt")) == 2
    with pytest.raises(RecipeError, match="did you mean 'jsonl'"):
        read(path, format="jsnl")


def test_large_cells_are_read(write):
    table = read(write("a.csv", "text,label\n" + "x" * 1_000_000 + ",1\n"))
    assert len(table[0]["text"]) == 1_000_000


def test_max_rows_stops_early(write):
    assert len(read(write("a.csv", "text,label\n" + "a,b\n" * 50), max_rows=7)) == 7


def test_a_hundred_thousand_rows_in_two_seconds(write):
    rng = random.Random(1)
    lines = [f'{i},"some text, number {i} {"word " * rng.randint(1, 9)}",label{i % 5}\n' for i in range(100_000)]
    path = write("a.csv", "id,text,label\n" + "".join(lines))
    start = time.perf_counter()
    table = read(path)
    assert len(table) == 100_000 and time.perf_counter() - start < 4  # 0.3 s alone; the machine may be shared


def test_backslash_quotes(write):
    assert read(write("a.csv", 'text,label\n"He said \\"hi\\", then left",x\n"plain",y\n'))[0]["text"] == 'He said "hi", then left'


def test_missing_files_suggest_a_neighbour(write):
    path = write("reviews.csv", TEXT)
    with pytest.raises(DataError, match=r"did you mean 'reviews\.csv'"):
        read(path.with_name("review.csv"))


def test_blank_lines_are_counted_and_the_first_of_them_named(write):
    (note,) = [note for note in read(write("a.csv", "text,label\na,x\n\nb,y\n")).notes if "blank" in note]
    assert note.endswith("a.csv: 1 blank line skipped (line 3)")
    (note,) = [note for note in read(write("b.csv", "text,label\na,x\n" + "\n" * 7 + "b,y\n")).notes if "blank" in note]
    assert note.endswith("b.csv: 7 blank lines skipped (lines 3, 4, 5, 6, 7 and 2 more)")
    (note,) = [note for note in read(write("c.txt", "one line of text\n\nanother line of text\n")).notes if "blank" in note]
    assert note.endswith("c.txt: 1 blank line skipped (line 2)")


PARCELS = [(f"the {thing}, number {i}", "pos" if i % 2 else "neg") for i, thing in enumerate(["parcel", "letter", "printer"] * 4)]


@pytest.mark.parametrize("mark", ["^", "~", "¦"])
@pytest.mark.parametrize(("name", "header"), [("a.csv", True), ("a.txt", True), ("a.txt", False)])
def test_D7_rare_delimiters_separate_where_every_line_has_as_many(write, mark, name, header):
    table = read(write(name, (f"text{mark}label\n" if header else "") + "".join(f"{text}{mark}{label}\n" for text, label in PARCELS)))
    assert [tuple(row.values()) for row in table] == PARCELS and table.columns == (["text", "label"] if header else ["0", "1"])


def test_D7_rare_signs_in_some_lines_are_text(write):
    assert read(write("a.txt", "about ~10 of them\nnone at all\nit was ^here^ then\nyes ~ no ~ maybe\n")).format == "txt"
    table = read(write("b.csv", "text,label\nabout ~10 of them,x\nabout ~12 of them,y\nabout ~14 of them,x\n"))
    assert table.columns == ["text", "label"] and table[0]["text"] == "about ~10 of them"


@pytest.mark.parametrize(
    ("above", "lines"),
    [
        ("Customer survey 2024,,\nexported 2024-05-03,,\n,,\n", 3),
        ("Customer survey 2024\nexported 2024-05-03\n\n", 3),
        ("Customer survey 2024\n", 1),
        ("# exported 2024-05-03\nby Ann Lee, Rome\n", 2),
    ],
)
def test_D4_a_title_above_the_header_is_passed_over(write, above, lines):
    body = "id,text,label\n" + "".join(f'{i},"{text}",{label}\n' for i, (text, label) in enumerate(PARCELS))
    table = read(write("a.csv", above + body))
    assert table.columns == ["id", "text", "label"] and [(row["text"], row["label"]) for row in table] == PARCELS
    assert (table.origin(0).row, table.origin(0).line) == (1, lines + 2)
    assert any(f"{lines} line" in note and "above the header" in note for note in table.notes)


def test_D4_a_header_of_one_name_is_no_title(write):
    assert read(write("a.csv", "text,,\nfine,1,2\nbad,3,4\npoor,5,6\n")).columns == ["text", "1", "2"]


def test_D4_a_delimiter_at_the_end_of_rows_that_the_header_lacks(write, problems):
    table = read(write("a.csv", "text;label\n" + "".join(f"{text};{label};\n" for text, label in PARCELS)))
    assert [tuple(row.values()) for row in table] == PARCELS and any("left off" in note for note in table.notes)
    assert len(problems("b.csv", "text,label\na,0,x\nb,1,\nc,0,\n")) == 3


def test_D4_a_header_that_comes_again_is_no_row(write):
    lines = [f'"{text}",{label}\n' for text, label in PARCELS]
    table = read(write("a.csv", "".join(["text,label\n", *lines[:5], "text,label\n", *lines[5:]])))
    assert [tuple(row.values()) for row in table] == PARCELS and any("line 7" in note for note in table.notes)
    assert (table.origin(5).row, table.origin(5).line) == (6, 8)


def test_D2_the_end_mark_of_old_programs_is_no_row(write):
    assert len(read(write("a.csv", "text,label\na,0\nb,1\n\x1a"))) == 2


def test_D4_lines_that_were_quoted_as_a_whole_are_opened(write):
    lines = ["id,text,label", *(f'{i},""{text}"",{label}' for i, (text, label) in enumerate(PARCELS))]
    table = read(write("a.csv", "".join(f'"{line}"\n' for line in lines)))
    assert [(row["text"], row["label"]) for row in table] == PARCELS and any("quoted as a whole" in note for note in table.notes)


def test_D4_one_quoted_text_a_line_is_a_text(write):
    table = read(write("a.csv", "text\n" + "".join(f'"{text}"\n' for text, _ in PARCELS)))
    assert table.column("text") == [text for text, _ in PARCELS]


def test_D4_a_markdown_table_has_a_line_of_dashes(write):
    table = read(write("a.csv", "| text | label |\n|:---|---|\n" + "".join(f"| {text} | {label} |\n" for text, label in PARCELS)))
    assert [(row["text"].strip(), row["label"].strip()) for row in table] == PARCELS and table.origin(0).line == 3


def test_D4_marks_of_byte_order_belong_to_no_name(write):
    assert read(write("a.csv", "\ufeff\ufeffid,text\n0,a\n1,b\n")).columns == ["id", "text"]


def test_questions_of_a_form_are_a_header(write):
    rows = "".join(f'2024/05/{i % 28 + 1:02d} 10:00:00,"{text}",{label}\n' for i, (text, label) in enumerate(PARCELS * 2))
    header = ["Timestamp", "Q1. What came late?", "Q2. How do you feel about it?"]
    table = read(write("a.csv", ",".join(header) + "\n" + rows))
    assert table.columns == header and len(table) == 24
    assert read(write("b.csv", rows)).columns == ["0", "1", "2"]


def test_bars_with_spaces_have_no_header_of_data(write):
    table = read(write("a.txt", "".join(f"{label} ||| {text}\n" for text, label in PARCELS)))
    assert len(table) == len(PARCELS) and table.column("0")[0].strip() == "neg"


@pytest.mark.parametrize("late, literal", [('Say "hello', True), ('"Say hello', True), ('"Say ""hello"""', False), ('"two\nlines"', False)])
@pytest.mark.parametrize("packed", [False, True])
def test_what_quotation_marks_mean_is_judged_by_the_whole_file_however_it_is_read(
    tmp_path: Path, late: str, literal: bool, packed: bool
) -> None:
    """The first quotation mark stands far below what a glance at the file shows; nothing between it and the next one is swallowed."""
    lines = [f"line {i} of the text{' and more' * 6}\tlabel{i % 2}" for i in range(20_000)]
    lines[18_000] = f"{late}\tlabel0"
    lines[19_000] = f"{late}\tlabel0"
    text = "text\tlabel\n" + "\n".join(lines) + "\n"
    path = tmp_path / ("late.tsv.gz" if packed else "late.tsv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    table = read(path)
    assert len(table) == 20_000
    cell = table[18_000]["text"]
    assert cell == (late if literal else late[1:-1].replace('""', '"'))
    by_block = [row["text"] for one in blocks(str(path), 1000) for row in one]
    assert by_block == [row["text"] for row in table]
    assert [row["text"] for one in flowing(str(path)) for row in one] == by_block
