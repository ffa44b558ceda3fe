"""Tables of one word a row: joined into sentences by what tells them apart."""

import csv
import io
import json

import pytest

from oneloop.diagnose import diagnose
from oneloop.diagnose.check import check
from oneloop.errors import DataError
from oneloop.read import read, sample
from oneloop.read.blocks import blocks
from oneloop.read.roles import to_rows
from oneloop.tasks import task_class

NAMES = ["Ann", "Bob", "Cleo", "Dan", "Eve", "Finn"]
PLACES = ["Rome", "Oslo", "Lima", "Kyiv"]
SENTENCES = [
    [(NAMES[i % 6], "NNP", "B-PER"), ("lives", "VBZ", "O"), ("in", "IN", "O"), (PLACES[i % 4], "NNP", "B-LOC")]
    + [(".", ".", "O")] * (i % 2)
    for i in range(12)
]
WORDS = [[word for word, _, _ in sentence] for sentence in SENTENCES]
TAGS = [[tag for _, _, tag in sentence] for sentence in SENTENCES]
FIRST = [sum(map(len, SENTENCES[:i])) + 1 for i in range(12)]  # the row of each sentence's first word


def table(header, rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def numbered(name, every=True):
    return [
        (name(i) if every or j == 0 else "", word, pos, tag)
        for i, sentence in enumerate(SENTENCES)
        for j, (word, pos, tag) in enumerate(sentence)
    ]


def parted(between):
    return [row for sentence in SENTENCES for row in [*((word, tag) for word, _, tag in sentence), between]]


def joined(found):
    return [row["tokens"] for row in found] == WORDS and [row["tags"] for row in found] == TAGS


def test_the_name_of_a_sentence_stands_at_its_first_word(write):
    rows = numbered(lambda i: f"Sentence: {i + 1}", every=False)
    path = write("ner.csv", table(["Sentence #", "Word", "POS", "Tag"], rows))
    found = read(path)
    assert joined(found) and found.columns == ["Sentence #", "tokens", "POS", "tags"] and found[1]["Sentence #"] == "Sentence: 2"
    assert [found.origin(i).row for i in range(12)] == FIRST and [found.origin(i).line for i in range(12)] == [row + 1 for row in FIRST]
    assert any("12 sentences by column Sentence #" in note for note in found.notes)
    diagnosis = diagnose(data=path)
    assert diagnosis.task == "token-classification" and diagnosis.columns == {"tokens": "tokens", "tags": "tags"}
    report = check(path)
    assert report.splits == {"train": 12} and not report.of("one-word-rows") and report.task == "token-classification"


@pytest.mark.parametrize("header", [("sentence_id", "word", "pos", "tag"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("name", [str, lambda i: f"doc7-s{i}", lambda i: f"{i}.0"])
def test_a_running_name_is_told_by_its_cells(write, header, name):
    found = read(write("ner.csv", table(header, numbered(name))))
    assert joined(found) and found[3][header[0]] == name(3) and found[0][header[2]][:2] == ["NNP", "VBZ"]


@pytest.mark.parametrize("between", [(), ("", "")])
def test_blank_rows_part_sentences(write, between):
    found = read(write("ner.csv", table(["word", "tag"], parted(between))))
    assert joined(found) and found.origin(1).line == len(WORDS[0]) + 3


def test_words_that_are_counted_begin_a_sentence_at_the_first(write):
    rows = [(j, word, tag) for sentence in SENTENCES for j, (word, _, tag) in enumerate(sentence)]
    assert joined(read(write("ner.csv", table(["i", "w", "t"], rows))))


def test_documents_that_hold_sentences_are_named_once(write):
    rows = [(f"d{i // 4}", i % 4, word, tag) for i, sentence in enumerate(SENTENCES) for word, _, tag in sentence]
    found = read(write("ner.csv", table(["doc", "sent", "word", "tag"], rows)))
    assert joined(found) and [row["doc"] for row in found] == [f"d{i // 4}" for i in range(12)]


def test_other_formats(write):
    rows = [dict(zip(("sentence", "token", "pos", "ner"), row)) for row in numbered(int)]
    assert joined(read(write("ner.jsonl", "".join(json.dumps(row) + "\n" for row in rows))))
    assert joined(read(write("ner.tsv", table(["s", "token", "pos", "ner"], numbered(str), "\t"))))


def test_parts_of_speech_alone_are_tags(write):
    found = read(write("pos.csv", table(["s", "form", "upos"], [row[:3] for row in numbered(str)])))
    assert [row["tokens"] for row in found] == WORDS and found[0]["tags"] == ["NNP", "VBZ", "IN", "NNP"]


def test_columns_choose_and_the_names_in_the_file_hold(write):
    found = read(write("ner.csv", table(["Sentence #", "Word", "POS", "Tag"], numbered(str))))
    task = task_class("token-classification")
    by_name, problems = to_rows(found, task, {"tokens": "Word", "tags": "Tag"})
    assert not problems and by_name[0]["tags"] == TAGS[0]
    chosen, _ = to_rows(found, task, {"tokens": "Word", "tags": "POS"})
    assert chosen[0]["tags"] == ["NNP", "VBZ", "IN", "NNP"]


def test_max_rows_counts_sentences_and_blocks_hold_whole_ones(write):
    path = write("ner.csv", table(["s", "word", "pos", "tag"], numbered(str)))
    assert [row["tokens"] for row in read(path, max_rows=2)] == WORDS[:2]
    assert [row["tokens"] for row in sample(path, 5)][:2] == WORDS[:2]
    assert [row["tokens"] for block in blocks(path, 5) for row in block] == WORDS


def test_a_faulty_line_leaves_its_sentence_out_and_is_named(write):
    lines = table(["s", "word", "pos", "tag"], numbered(str)).splitlines()
    lines[6] += ",too much"
    lines[11] = lines[11].rsplit(",", 1)[0] + ","
    path = write("ner.csv", "\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert [problem.line for problem in caught.value.problems] == [7, 12]
    kept = read(path, max_bad=2)
    assert [row["tokens"] for row in kept] == [words for i, words in enumerate(WORDS) if i not in (1, 2)]


def test_fix_writes_rows_of_tokens_and_tags(write, tmp_path):
    path = write("ner.csv", table(["Sentence #", "Word", "POS", "Tag"], numbered(lambda i: f"Sentence: {i}", every=False)))
    check(path, fix=tmp_path / "fixed")
    written = read(tmp_path / "fixed" / "ner.jsonl")
    assert joined(written)


def test_words_without_tags_are_joined_where_their_sentences_are_named(write):
    rows = [row[:2] for row in numbered(lambda i: f"Sentence: {i}", every=False)]
    found = read(write("ner.csv", table(["Sentence #", "Word"], rows)))
    assert [row["tokens"] for row in found] == WORDS and found.columns == ["Sentence #", "tokens"]
    assert [found.origin(i).row for i in range(12)] == FIRST


@pytest.mark.parametrize(
    "rows",
    [
        [(i // 5, f"word{i}", "AB"[i % 2]) for i in range(40)],  # labels of single words
        [(1990 + i // 8, NAMES[i % 6], ["NY", "CA", "TX", "WA"][i * 7 % 4]) for i in range(40)],  # names, years and states
        [(i // 5, f"a text of {i} words", ["B-X", "O"][i % 2]) for i in range(40)],  # texts, not words
    ],
)
def test_other_tables_stay_as_they_are(write, rows):
    found = read(write("t.csv", table(["a", "b", "c"], rows)))
    assert len(found) == len(rows) and found.columns == ["a", "b", "c"]
