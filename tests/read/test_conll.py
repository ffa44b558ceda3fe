"""Column files: layouts, documents, comments, broken lines."""

import pytest

from oneloop.read import read

TWO = "EU B-ORG\nrejects O\n\nPeter B-PER\n"


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a"])
@pytest.mark.parametrize("mark", [" ", "\t", "  "])
def test_two_columns(write, name, mark):
    table = read(write(name, TWO.replace(" ", mark)))
    assert table.format == "conll"
    assert list(table) == [{"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}, {"tokens": ["Peter"], "tags": ["B-PER"]}]
    assert table.origin(1).line == 4


def test_four_columns_and_documents(write):
    text = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n-DOCSTART- -X- -X- O\n\nPeter NNP B-NP B-PER\n"
    table = read(write("a.txt", text))
    assert table.columns == ["tokens", "tags", "pos", "chunk", "document"]
    assert [row["document"] for row in table] == ["1", "2"] and table[0]["chunk"] == ["B-NP", "B-VP"]


def test_three_columns_name_the_parts_of_speech(write):
    table = read(write("a.conll", "He PRP B-NP\nran VBD B-VP\n\nShe PRP B-NP\n"))
    assert table[0] == {"tokens": ["He", "ran"], "tags": ["B-NP", "B-VP"], "pos": ["PRP", "VBD"]}


def test_universal_dependencies(write):
    lines = ["# sent_id = 1", "# text = Sie kam", "1\tSie\tsie\tPRON\tPPER\t_\t2\tnsubj\t_\t_", "2-3\tkams\t_\t_\t_\t_\t_\t_\t_\t_"]
    lines += ["2\tkam\tkommen\tVERB\tVVFIN\t_\t0\troot\t_\t_", ""]
    table = read(write("a.conllu", "\n".join(lines)))
    assert table[0]["tokens"] == ["Sie", "kam"] and table[0]["tags"] == ["PRON", "VERB"] and table[0]["lemma"] == ["sie", "kommen"]


def test_numbered_words_with_comments(write):
    text = "#\tsource [2020]\n1\tAnna\tB-PER\tO\n2\tlief\tO\tO\n\n#\tsource [2021]\n1\tBerlin\tB-LOC\tO\n"
    table = read(write("a.tsv", text).rename(write("x", "").with_name("b.conll")))
    assert [row["tokens"] for row in table] == [["Anna", "lief"], ["Berlin"]]


def test_a_hash_sign_can_be_a_word(write):
    table = read(write("a.conll", "# O\n1 B-X\n\nfoo O\n# O\n"))
    assert [row["tokens"] for row in table] == [["#", "1"], ["foo", "#"]]


def test_words_may_be_odd(write):
    table = read(write("a.conll", "a\u00a0b O\n\u200b O\n\ufffd B-X\n\nx\u2028y O\n"))
    assert [row["tokens"] for row in table] == [["a\u00a0b", "\u200b", "\ufffd"], ["x\u2028y"]]


def test_D17_a_word_without_tag_names_its_line(write, problems):
    text = "EU B-ORG\nrejects O\nGerman\n\nPeter B-PER\nsaid O\n"
    (problem,) = problems("a.conll", text)
    assert (problem.row, problem.line) == (1, 3) and "German" in problem.reason
    assert read(write("b.conll", text), max_bad=1).origin(0).row == 2


def test_D17_twelve_words_eleven_tags(problems):
    lines = [f"w{i}\tO" for i in range(12)]
    lines[7] = "w7\t"
    (problem,) = problems("a.conll", "\n".join(lines) + "\n\nx\tB-PER\n")
    assert problem.line == 8


def test_D17_spaces_where_the_file_has_tabs(problems):
    (problem,) = problems("a.conll", "a\tO\nb\tB-X\n\nc O\nd\tO\n")
    assert problem.line == 4 and "spaces" in problem.reason and "tabs" in problem.reason


def test_D17_a_line_of_blanks_ends_a_sentence(write):
    assert len(read(write("a.conll", "a O\nb B-X\n \t \nc O\n"))) == 2


def test_several_faults_come_together(problems):
    found = problems("a.conll", "a O\nb\nc\n\nd O\n\ne B-X I-X\nf O\n\ng O\n\nh O\n\ni B-X\n")
    assert [(problem.row, problem.line) for problem in found] == [(1, 2), (1, 3), (3, 7)]


def test_a_table_of_words_with_a_header_is_a_table(write):
    assert read(write("a.tsv", "text\tlabel\nfine\tA\nbad\tB\n")).format == "tsv"


@pytest.mark.parametrize("mark", ["\t", " "])
def test_a_first_line_that_names_the_columns_is_no_word(write, mark):
    lines = ["word pos tag", "Ann NNP B-PER", "runs VBZ O", "", "Bob NNP B-PER", "sings VBZ O", "", "in IN O", "Oslo NNP B-LOC", ""]
    table = read(write("a.conll", "\n".join(lines).replace(" ", mark)))
    assert [row["tokens"] for row in table] == [["Ann", "runs"], ["Bob", "sings"], ["in", "Oslo"]]
    assert table[0]["pos"] == ["NNP", "VBZ"] and table.origin(0).line == 2 and any("names the columns" in note for note in table.notes)


def test_a_sentence_may_begin_with_a_word_called_word(write):
    table = read(write("a.conll", "word O\nof O\nAnn B-PER\n\nword O\nBob B-PER\n"))
    assert [row["tokens"] for row in table] == [["word", "of", "Ann"], ["word", "Bob"]]
