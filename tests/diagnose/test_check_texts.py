"""Faults of texts, lengths, copies and spellings, each planted and each absent from its clean neighbour."""

from __future__ import annotations

import random

import pytest

from oneloop.diagnose.checks import lengths, noise, pairs, spelling, text
from oneloop.diagnose.checks.copies import Copies, near_pairs, normalise, similarity
from oneloop.diagnose.checks.finding import Data, one, shorten
from oneloop.diagnose.checks.splits import duplicates


def data(*texts: str, role: str = "text", **splits: list[str]) -> Data:
    given = {"train": list(texts)} if texts else splits
    return Data(
        {name: [{"id": str(i), "row": i, "file": f"{name}.csv", role: t} for i, t in enumerate(group, 1)] for name, group in given.items()}
    )


def found(family, rows: Data) -> dict[str, list[int]]:
    return {finding.kind: [row for _, row in finding.rows] for finding in family(rows)}


PLAIN = "The parcel came on Monday, and everything was in it."


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ("cafÃ© and rÃ©sumÃ© by the sea", "mojibake"),
        ("it was â€œfineâ€\x9d he said", "mojibake"),
        ("Tom &amp; Anna went &#39;home&#39;", "html-entities"),
        ("<p>Dear <b>Sir</b>,<br/>the box is open</p>", "html-tags"),
        ("the word is in\u200bvisible here", "zero-width-characters"),
        ("soft\u00adhyphens in mid\u00addle", "zero-width-characters"),
        ("a bell \x07 and a null \x00", "control-characters"),
        ("safe \u202egnirts\u202c here", "bidi-controls"),
        ("lost \ufffd character", "replacement-characters"),
        ("half \ud83d a character", "lone-surrogates"),
        ("[CLS] a text for <unk> [SEP]", "special-tokens"),
        ("caf\\u00e9 in S\\u00e3o Paulo", "escape-sequences"),
        ("N/A", "null-like-text"),
        ("nan", "null-like-text"),
        ("🎉 !!! 🎉", "no-words"),
        ("cafe\u0301 beside the sea", "mixed-unicode-forms"),
        ("A" * 600, "long-runs"),
        ("*** START OF THE PROJECT GUTENBERG EBOOK ***", "licence-text"),
        ("two\nlines in one cell", "line-breaks"),
        (" a space before", "outer-spaces"),
    ],
)
def test_damaged_texts_are_named_by_kind(bad, kind):
    rows = data(*[PLAIN] * 10, bad, *[PLAIN] * 10)
    assert found(text.texts, rows).get(kind) == [11]


@pytest.mark.parametrize(
    "good",
    [
        PLAIN,
        "Ça coûte 5 € à Zürich, naïve façade",
        "Это обычный текст на русском языке",
        "می‌خواهم به خانه بروم",
        "क्‍षेत्र में",
        "👩‍👩‍👧 came by",
        "if a < b and c > d: return",
        "R&D at AT&T; see section 3",
        "今日は天気がいいですね",
        "שלום עולם",
        "a [citation] in square brackets",
        "C:\\users\\new and 50% off",
    ],
)
def test_G8_right_texts_are_left_alone(good):
    assert found(text.texts, data(*[PLAIN] * 10, good, *[PLAIN] * 10)) == {}


def test_D11_texts_with_nothing_in_them():
    rows = data(*[PLAIN] * 40, "", "   ", "\u200b\u200d", "\u2800\u3164")
    kinds = found(text.texts, rows)
    assert kinds["empty-text"] == [41] and kinds["invisible-text"] == [42, 43, 44]


@pytest.mark.parametrize(("role", "said"), [("text", "training leaves such rows out"), ("context", "training stops at such rows")])
def test_D11_what_training_and_prediction_do_with_empty_texts_is_said(role, said):
    rows = [{"id": str(i), "row": i, "file": "x", role: f"{PLAIN} {i}" if i > 3 else " " * (i - 1)} for i in range(1, 40)]
    told = [finding for finding in text.texts(Data({"train": rows})) if finding.kind in ("empty-text", "invisible-text")]
    assert [finding.count for finding in told] == [1, 2]
    assert all(said in finding.remedy and "prediction keeps them" in finding.remedy for finding in told)


def test_D12_copies_are_seen_through_case_width_marks_and_punctuation():
    same = ["Café au lait, please!", "cafe\u0301 AU lait please", "ｃａｆé au\u200b lait - please", "  Café  au lait please. "]
    assert len({normalise(one_text) for one_text in same}) == 1
    assert normalise("किताब") != normalise("कताब") and normalise("???") == "???" and normalise("C++") != normalise("C")


def test_near_pairs_find_edits_and_not_strangers():
    rng = random.Random(3)
    words = [f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i * 7 % 26)}er" for i in range(400)]
    texts = [" ".join(rng.sample(words, 10)) for _ in range(300)]
    edited = []
    for i in range(0, 100, 2):
        parts = texts[i].split()
        parts[i % 10] = rng.choice(words) if i % 4 else parts[i % 10][::-1]
        edited.append(" ".join(parts))
    pairs_found = {(i, j) for i, j, _ in near_pairs(texts + edited)}
    wanted = {(i, 300 + i // 2) for i in range(0, 100, 2) if similarity(texts[i], edited[i // 2]) < 1}
    assert len(wanted & pairs_found) >= 0.95 * len(wanted)
    assert pairs_found <= {(i, 300 + i // 2) for i in range(0, 100, 2)}


def test_questions_about_one_context_are_not_copies():
    context = "The river rises in the north and flows two hundred miles through the valley to the sea. " * 5
    rows = [
        {"id": str(i), "row": i, "file": "a", "question": q, "context": context}
        for i, q in enumerate(["Where does it rise?", "How long is it?"])
    ]
    assert not [f for f in duplicates(Data({"train": rows})) if "duplicate" in f.kind]
    same = [*rows, {**rows[0], "row": 9}]
    assert any(f.kind == "duplicate-rows" for f in duplicates(Data({"train": same})))
    assert len(Copies.of(["a b c", "a b c"], ["one", "two"]).keys) == 2


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"pos": 500, "neg": 400, "Pos ": 1}, {"Pos ": "pos"}),
        ({"positive": 500, "negative": 400, "postive": 2, "negitvie": 3}, {"postive": "positive", "negitvie": "negative"}),
        ({"card_lost": 50, "card lost": 2, "Card-Lost": 1}, {"card lost": "card_lost", "Card-Lost": "card_lost"}),
        ({"PER": 900, "LOC": 800, "ORG": 700, "PRE": 2, "L0C": 1}, {"PRE": "PER", "L0C": "LOC"}),
        ({"lawful": 100, "unlawful": 5}, {}),
        ({"relevant": 100, "irrelevant": 9}, {}),
        ({"level 1": 100, "level 2": 3}, {}),
        ({"en": 100, "es": 2}, {}),
        ({"male": 100, "female": 90}, {}),
    ],
)  # fmt: skip
def test_D18_slips_are_told_from_names(counts, expected):
    assert spelling.misspelled(counts) == expected


def test_D18_part_of_speech_tags_are_codes_not_slips():
    counts = {"NN": 5000, "NNS": 40, "NNP": 3, "VBZ": 2000, "VBG": 9, "VBP": 4, "nn": 2}
    assert spelling.misspelled(counts, codes=True) == {"nn": "NN"}
    rows = [{"id": "1", "row": 1, "file": "a", "tokens": ["w"] * 9, "tags": ["NN"] * 8 + ["NNS"]}] * 90
    assert spelling.are_codes(rows) and not spelling.are_codes([{"tags": ["B-PER", "O"]}])


def test_D18_edits_count_swaps_as_one():
    assert [spelling.edits("positive", other) for other in ("positive", "postive", "psoitive", "psotive", "negative")] == [0, 1, 1, 2, 4]


def test_D10_D25_lengths_say_what_each_limit_cuts():
    rows = data(*["one two three"] * 8, "word " * 300, "word " * 1000)
    finding = next(f for f in lengths.lengths(rows, max_length=200) if f.kind == "lengths")
    assert finding.numbers["rows_cut"] == {128: 0.2, 200: 0.2, 256: 0.2, 384: 0.1, 512: 0.1}
    assert [row for _, row in finding.rows] == [10, 9] and 1000 <= finding.numbers["max"] <= 1400


def test_unknown_scripts_are_counted_where_the_tokenizer_is_there():
    if lengths.counter()[1] != "tokens of minilm":
        pytest.skip("the packaged tokenizer is not installed")
    rows = data(*[PLAIN] * 10, "ᚠᚢᚦᚨᚱᚲ ᚠᚢᚦ ᚨᚱᚲ ᚠᚢᚦᚨᚱᚲ")
    assert found(lengths.lengths, rows)["unknown-tokens"] == [11]


def test_label_errors_are_found_by_the_other_rows():
    rng = random.Random(0)
    topics = {
        "sport": ["goal", "match", "team", "coach", "league", "season", "score"],
        "food": ["soup", "bread", "salt", "oven", "taste", "cook", "plate"],
    }
    rows = []
    for i in range(300):
        label = ("sport", "food")[i % 2]
        rows.append({"id": str(i), "row": i, "file": "a", "text": " ".join(rng.choices(topics[label], k=8)), "label": label})
    flipped = {17, 100, 203}
    for i in flipped:
        rows[i]["label"] = "food" if rows[i]["label"] == "sport" else "sport"
    finding = next(iter(noise.label_errors(Data({"train": rows}))))
    assert finding.kind == "likely-label-errors" and {row for _, row in finding.rows} == flipped
    labels = __import__("numpy").array([row["label"] == "food" for row in rows]).astype(int)
    odds = noise.out_of_fold([row["text"] for row in rows], labels)
    assert set(noise.confident_learning(odds, labels).tolist()) == flipped


def test_label_errors_are_not_guessed_where_words_say_nothing():
    rng = random.Random(0)
    rows = [
        {"id": str(i), "row": i, "file": "a", "text": " ".join(rng.choices("abcdefgh", k=6)) + f" w{i % 50}", "label": rng.choice("xy")}
        for i in range(400)
    ]
    assert [f.kind for f in noise.label_errors(Data({"train": rows}))] == ["labels-unrelated"]


def test_language_mix_names_the_odd_rows():
    english = "The parcel came on Monday and everything was in it, but the box had been opened by someone on the way"
    german = "Das Paket kam am Montag und es war alles da, aber die Schachtel ist auf dem Weg von jemand geöffnet worden"
    russian = "Посылка пришла в понедельник, и всё было на месте, но коробка была открыта кем-то"
    rows = data(*[f"{english} {i}" for i in range(30)], german, russian)
    assert found(pairs.language_mix, rows) == {"language-mix": [31, 32]}


def test_sentences_about_one_row_and_odd_characters():
    assert one("1 rows (3 %) have nothing") == "1 row (3 %) has nothing" and one("1 queries (1 %) are alone") == "1 query (1 %) is alone"
    assert shorten("a\u200bb\nc") == "a\\u200bb⏎c" and len(shorten("x" * 500)) == 100
