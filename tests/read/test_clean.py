"""Cleaners: what they change, what they count, and that marks stay on their words."""

import html
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.errors import DataError, RecipeError
from oneloop.read.clean import CLEANERS, DROPS, EDITS, apply_clean, edited


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("unescape-html", "I&#039;m a transformer called BERT", "I'm a transformer called BERT"),
        ("unescape-html", "AT&amp;T &lt;b&gt; &copy &notit; &amp;amp;", "AT&T <b> © ¬it; &amp;"),
        ("strip-html", "<p>One</p><script>x<1</script>two <b>three</b> 1 < 2", " One  two three 1 < 2"),
        ("normalize-space", "  a \n\t b\u00a0c  ", "a b c"),
        ("nfc", "cafe\u0301", "café"),
        ("nfkc", "ﬁne Ｗｉｄｅ", "fine Wide"),
        ("fix-mojibake", "schÃ¶n und gut", "schön und gut"),
        ("strip-control", "a\x00b\x1b[0m\nc", "ab[0m\nc"),
        ("strip-zero-width", "a\u200bb\ufeffc\u00add", "abcd"),
        ("strip-zero-width", "👨\u200d👩", "👨\u200d👩"),
        ("lowercase", "ÄBC İ", "äbc i\u0307"),
        ("strip", "\u00a0 a b \n", "a b"),
        ("strip-urls", "see https://x.y/z?a=1 now", "see  now"),
    ],
)
def test_C016_cleaners(name, old, new):
    assert edited(old, name) == new
    assert edited(old, name.replace("-", "_").upper()) == new


def test_counts_and_order():
    rows = [{"id": "1", "text": " &amp; "}, {"id": "2", "text": "b"}, {"id": "3", "text": "\u200b "}, {"id": "4", "text": "b"}]
    cleaned, counts = apply_clean(rows, ["unescape-html", "strip", "drop-empty", "drop-duplicates"])
    assert [row["text"] for row in cleaned] == ["&", "b"] and rows[0]["text"] == " &amp; "
    assert counts == {"unescape-html": 1, "strip": 2, "drop-empty": 1, "drop-duplicates": 1}


def test_texts_na_are_not_empty():
    rows = [{"text": word} for word in ("NA", "null", "None")]
    assert apply_clean(rows, ["drop-empty"])[0] == rows


def test_unknown_cleaners_are_suggested():
    with pytest.raises(RecipeError, match="did you mean 'lowercase'"):
        apply_clean([], ["lowercas"])


def test_words_are_never_emptied():
    rows = [{"tokens": ["A", "\u200b", "B\u200b"], "tags": ["O", "O", "B-X"]}]
    assert apply_clean(rows, ["strip-zero-width"])[0][0]["tokens"] == ["A", "\u200b", "B"]


def test_spans_follow_their_words():
    text = "  Tom &amp; Jerry  in <b>Rome</b>\u200b, cafe\u0301 "
    words = ["Tom &amp; Jerry", "Rome", "cafe\u0301"]
    spans = [{"start": text.index(word), "end": text.index(word) + len(word), "label": "X"} for word in words]
    (row,), _ = apply_clean([{"text": text, "spans": spans}], ["unescape-html", "strip-html", "nfc", "strip-zero-width", "normalize-space"])
    assert row["text"] == "Tom & Jerry in Rome, café"
    assert [row["text"][span["start"] : span["end"]] for span in row["spans"]] == ["Tom & Jerry", "Rome", "café"]


def test_answers_follow_their_context_and_others_stay():
    row = {"question": "&lt;?", "context": "x &lt; y &gt; z", "answers": [{"text": "y &gt; z", "start": 7}, {"text": "q", "start": None}]}
    (found,), _ = apply_clean([row], ["unescape-html"])
    assert found["context"] == "x < y > z" and found["answers"][0] == {"text": "y > z", "start": 4}
    assert found["context"][4:9] == "y > z" and found["question"] == "<?"


def test_marks_that_cannot_follow_are_refused_by_row():
    rows = [{"row": 3, "file": "g", "text": "AT&amp;T", "spans": [{"start": 0, "end": 4, "label": "X"}]}]
    with pytest.raises(DataError) as caught:
        apply_clean(rows, ["unescape-html"])
    assert caught.value.problems[0].row == 3


PIECES = st.sampled_from(
    [
        "a",
        "Bc",
        " ",
        "  ",
        "&amp;",
        "&lt;",
        "<b>",
        "</b>",
        "e\u0301",
        "ﬁ",
        "\u200b",
        "\x00",
        "é",
        "İ",
        "\n",
        "한",
        "ᄒ",
        "ᅡ",
        "ᆫ",
        "গ",
        "া",
        "Ã©",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_cleaners_agree_with_their_definitions(text):
    assert edited(text, "unescape-html") == html.unescape(text)
    assert edited(text, "nfc") == unicodedata.normalize("NFC", text)
    assert edited(text, "nfkc") == unicodedata.normalize("NFKC", text)
    assert edited(text, "normalize-space") == " ".join(text.split())
    assert edited(text, "strip") == text.strip()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["word", "Tea", "x1"]), min_size=1, max_size=6), st.lists(PIECES, max_size=6), st.sampled_from(sorted(EDITS))
)
def test_a_mark_on_plain_words_always_stays_on_them(words, noise, name):
    inner = " ".join(words)
    text = " ".join(noise) + " " + inner + " " + " ".join(reversed(noise))
    start = len(" ".join(noise)) + 1
    (row,), _ = apply_clean([{"text": text, "spans": [{"start": start, "end": start + len(inner), "label": "X"}]}], [name])
    span = row["spans"][0]
    assert row["text"][span["start"] : span["end"]] == edited(inner, name)


def test_the_list_of_cleaners_is_whole():
    assert set(CLEANERS) == set(EDITS) | set(DROPS)
