"""Faults that only some tasks know: tags, spans, answers, pairs, chats, judgements."""

from __future__ import annotations

import random
import re

import pytest

from oneloop.diagnose.checks import answers, documents, drift, labels, pairs, retrieval, spans, tags
from oneloop.diagnose.checks.finding import Data
from oneloop.encode.repair import only_place


def rows_of(rows: list[dict]) -> Data:
    return Data({"train": [{"id": str(i), "row": i, "file": "train", **row} for i, row in enumerate(rows, 1)]})


def found(family, data: Data) -> dict[str, list[int]]:
    kinds: dict[str, list[int]] = {}
    for finding in family(data):
        kinds.setdefault(finding.kind, []).extend(row for _, row in finding.rows)
    return kinds


def tagged(*sequences: str) -> Data:
    return rows_of([{"tokens": [f"w{i}" for i, _ in enumerate(line.split())], "tags": line.split()} for line in sequences])


GOOD = ["B-PER I-PER O B-LOC", "O O B-ORG I-ORG I-ORG", "B-PER O", "O B-LOC B-LOC O"] * 5


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ("O I-PER I-PER O", "inside-without-begin"),
        ("B-PER I-LOC O", "type-change"),
        ("b-PER i-PER O", "lower-case-tags"),
        ("PER PER O", "tags-without-prefix"),
        ("X-PER O", "unknown-prefix"),
        ("B-PER E-PER S-LOC O", "mixed-schemes"),
    ],
)
def test_D16_each_kind_of_broken_tags_is_named_with_its_row(bad, kind):
    assert 21 in found(tags.tags, tagged(*GOOD, bad))[kind]


def test_D16_the_scheme_is_named():
    assert "iob1-tags" in found(tags.tags, tagged(*["I-PER I-PER O I-LOC B-LOC", "O I-ORG"] * 5))
    assert "iob1-tags" in found(tags.tags, tagged(*["I-PER I-PER O I-LOC", "O I-ORG"] * 5))
    assert "io-tags" in found(tags.tags, tagged(*["PER PER O LOC", "O ORG"] * 5))
    bioes = found(tags.tags, tagged(*["B-PER E-PER O S-LOC", "O S-ORG O", "B-LOC I-LOC E-LOC"] * 5))
    assert "bioes-tags" in bioes and "mixed-schemes" not in bioes
    assert found(tags.tags, tagged(*["B-PER E-PER O S-LOC", "O S-ORG O"] * 5, "B-LOC I-LOC O"))["unfinished-entity"] == [11]
    assert set(found(tags.tags, tagged(*GOOD))) == set()


def test_D16_tags_made_from_tags_without_B_are_told_by_the_neighbours_they_lack():
    lines = ["B-PER I-PER O B-LOC", "O B-ORG I-ORG"] * 350
    touching = ["B-PER B-LOC O"] * 3
    assert found(tags.tags, tagged(*lines, *touching))["iob1-origin"] == [701, 702, 703]
    assert "iob1-origin" not in found(tags.tags, tagged(*lines, *touching, "B-PER B-PER O"))
    assert "iob1-origin" not in found(tags.tags, tagged(*lines)) and "iob1-origin" not in found(tags.tags, tagged(*lines[:20], *touching))


def test_D16_parts_of_speech_are_no_broken_entities():
    assert found(tags.tags, tagged(*["DT NN VBZ", "PRP VBD DT NN"] * 10)) == {}


def test_D17_words_and_tags_that_do_not_pair():
    data = tagged(*GOOD)
    data.splits["train"][3]["tags"].append("O")
    assert found(tags.tags, data)["tags-words-mismatch"] == [4]


def test_C027_C028_spans_that_cannot_be(text="Ann Lee lives in Berlin now"):
    good = {"text": text, "spans": [{"start": 0, "end": 7, "label": "PER"}, {"start": 17, "end": 23, "label": "LOC"}]}

    def with_span(start: int, end: int) -> dict:
        return {"text": text, "spans": [{"start": start, "end": end, "label": "PER"}]}

    twice = {"text": text, "spans": [good["spans"][0], good["spans"][0]]}
    over = {"text": text, "spans": [{"start": 0, "end": 7, "label": "PER"}, {"start": 4, "end": 13, "label": "LOC"}]}
    rows = [good] * 5 + [with_span(20, 40), with_span(5, 5), with_span(1, 7), with_span(3, 7), twice, over]
    kinds = found(spans.spans, rows_of(rows))
    assert kinds["span-out-of-text"] == [6] and kinds["empty-span"] == [7] and kinds["span-inside-word"] == [8]
    assert kinds["span-edge-space"] == [9] and kinds["duplicate-spans"] == [10] and kinds["overlapping-spans"] == [11]
    assert found(spans.spans, rows_of([good] * 5)) == {}


@pytest.mark.parametrize("unit", ["utf-16-le", "utf-8"])
def test_D13_spans_counted_in_another_unit_are_named(unit):
    size = 2 if unit == "utf-16-le" else 1
    rows = []
    for i in range(8):
        text = "🎉" * (i % 3 + 1) + f" Ann came to Berlin {i}"
        start = len(text[: text.index("Berlin")].encode(unit)) // size
        rows.append({"text": text, "spans": [{"start": start, "end": start + 6, "label": "LOC"}]})
    assert found(spans.spans, rows_of(rows))["offset-unit"] == list(range(1, 9))


CONTEXT = "The river rises in the north. In 1911 a bridge was built at Anford by Mary Cole."


def asked(text: str, start: int | None, context: str = CONTEXT) -> dict:
    return {"question": f"q {text} {start}?", "context": context, "answers": [{"text": text, "start": start}]}


def test_D14_starts_that_a_search_has_set_are_told_from_starts_of_a_reader():
    context = "A ferry left. The ferry came back, and a ferry sank. " * 2
    places = [m.start() for m in re.finditer("ferry", context)]
    first = [asked("ferry", places[0], context) | {"question": f"which {i}?"} for i in range(30)]
    mixed = [asked("ferry", places[i % 3], context) | {"question": f"which {i}?"} for i in range(30)]
    said = [next(f for f in answers.answers(rows_of(rows)) if f.kind == "answer-repeated") for rows in (first, mixed)]
    assert "100 % of these starts are the first place" in said[0].message and "first place" not in said[1].message
    assert [finding.count for finding in said] == [30, 30] and said[1].numbers == {"first_place": 10, "starts": 30}


def test_D14_answers_that_do_not_stand_where_they_should():
    at = CONTEXT.index("Anford")
    rows = [asked("Anford", at)] * 10 + [
        asked("Anford", at + 1),
        asked("Anford", at - 2),
        asked("Anfield", at),
        asked("Anford", 3),
        asked("", 0),
    ]
    kinds = found(answers.answers, rows_of(rows))
    assert kinds["answer-start-beside"] == [11, 12] and kinds["answer-not-in-context"] == [13]
    assert kinds["answer-start-wrong"] == [14] and kinds["empty-answer"] == [15]


def test_D14_a_start_elsewhere_can_be_mended_where_the_answer_stands_once():
    once, twice = asked("Anford", 3), asked("was", 0, "It was old and was sold.")
    inside = asked("ford", 3)
    for rows, mends in (([once] * 3, True), ([once, twice], False), ([inside] * 3, False)):
        said = next(f for f in answers.answers(rows_of(rows)) if f.kind == "answer-start-wrong")
        assert said.fixable is mends
        assert ("stands only at" in said.examples[0]) is (rows[0] is once)
    assert only_place("Anford", CONTEXT) == CONTEXT.index("Anford") and only_place("", CONTEXT) is None


def test_D13_answers_counted_in_utf16():
    context = "🎉🎉 The bridge at Anford was built in 1911."
    rows = [asked("Anford", context.index("Anford") + 2, context)] * 4
    assert found(answers.answers, rows_of(rows))["offset-unit"] == [1, 2, 3, 4]


def test_questions_without_answers_and_answers_twice():
    unanswerable = {"question": "who?", "context": CONTEXT, "answers": []}
    kinds = found(answers.answers, rows_of([asked("Anford", CONTEXT.index("Anford")), unanswerable, asked("The", 0), asked("r", 4)]))
    assert kinds["unanswerable"] == [2] and kinds["answer-repeated"] == [4] and kinds["answer-inside-word"] == [4]


EN = [
    "Tom went home at {n}.",
    "The {n} houses stand by the river.",
    "I have read {n} books this year.",
    "She was born in {n}.",
    "We need {n} chairs for tonight.",
]
DE = [
    "Tom ging um {n} nach Hause.",
    "Die {n} Häuser stehen am Fluss.",
    "Ich habe dieses Jahr {n} Bücher gelesen.",
    "Sie wurde {n} geboren.",
    "Wir brauchen {n} Stühle für heute Abend.",
]


def parallel(count: int = 200) -> list[dict]:
    rng = random.Random(5)
    order = [(rng.randrange(5), rng.randrange(10, 2000)) for _ in range(count)]
    return [{"source": EN[k].format(n=n), "target": DE[k].format(n=n)} for k, n in order]


def test_D24_pairs_that_do_not_belong_together():
    assert found(pairs.translations, rows_of(parallel())) == {}
    rows = parallel()
    rows[10] = {"source": rows[10]["target"], "target": rows[10]["source"]}
    rows[20]["target"] = rows[20]["source"]
    rows[30]["target"] = "  "
    rows[40]["target"] = "We need some more chairs and a table for the evening."
    rows[50]["target"] = rows[50]["target"] + " Und dann noch viel mehr, als man in einem Satz sagen kann, der hier nicht hingehört." * 3
    kinds = found(pairs.translations, rows_of(rows))
    assert kinds["swapped-pairs"] == [11] and kinds["copied-pairs"] == [21] and kinds["empty-side"] == [31]
    assert 41 in kinds["wrong-language"] and 51 in kinds["odd-length-ratio"]


@pytest.mark.parametrize("shift", [-1, 1, 2])
def test_D24_columns_shifted_by_lines(shift):
    rows = parallel(400)
    targets = [row["target"] for row in rows]
    shifted = [{"source": row["source"], "target": targets[(i - shift) % 400]} for i, row in enumerate(rows)]
    finding = next(f for f in pairs.translations(rows_of(shifted)) if f.kind == "shifted-pairs")
    assert finding.severity == "blocks" and finding.numbers["shift"] == shift and finding.count >= 390


def test_D25_summaries_that_do_not_shorten():
    document = "The bridge was built in 1911. " * 8
    rows = [{"document": f"{i} {document}", "summary": f"A bridge, {i}."} for i in range(30)]
    rows[4]["summary"] = rows[4]["document"] + " And more words than the text had."
    rows[7]["summary"] = ""
    rows[9]["summary"] = rows[9]["document"]
    long_rows = [{"document": "word " * 900, "summary": "short"} for _ in range(3)]
    kinds = found(pairs.summaries, rows_of(rows + long_rows))
    assert kinds["summary-not-shorter"] == [5] and kinds["empty-summary"] == [8] and kinds["copied-pairs"] == [10]
    assert kinds["truncated-documents"] == [31, 32, 33]


def test_D25_documents_without_an_end_and_tiny_ones():
    whole = "The bridge at Anford was built in the spring of that year by people who came from far away to work there."
    rows = (
        [{"text": f"{i} {whole}"} for i in range(20)]
        + [{"text": f"{i} {whole}"[:-9]} for i in range(5)]
        + [{"text": f"Part {i}"} for i in range(5)]
    )
    kinds = found(documents.documents, rows_of(rows))
    assert kinds["texts-without-end"] == [21, 22, 23, 24, 25] and kinds["tiny-documents"] == [26, 27, 28, 29, 30]


def test_instruction_rows_without_an_answer():
    rows = [{"instruction": f"Name a river of region {i}", "output": f"River number {i}"} for i in range(20)]
    rows[3]["output"] = " "
    rows[5]["output"] = rows[5]["instruction"]
    rows[7]["output"] = "As an AI language model, I cannot name rivers."
    kinds = found(documents.instructions, rows_of(rows))
    assert kinds == {"no-answer": [4], "answer-is-prompt": [6], "refusals": [8]}


def test_chats_with_turns_out_of_order():
    def chat(*turns: tuple[str, str]) -> dict:
        return {"messages": [{"role": role, "content": content} for role, content in turns]}

    good = [chat(("system", "Be kind."), ("user", f"q{i}"), ("assistant", f"a{i}")) for i in range(10)]
    bad = [
        chat(("user", "q"), ("assistant", "a"), ("user", "and?")),
        chat(("user", "q"), ("user", "q"), ("assistant", "a")),
        chat(("assistant", "a"), ("user", "q"), ("assistant", "a")),
        chat(("user", "q"), ("bot", "a"), ("assistant", "b")),
        chat(("user", ""), ("assistant", "a")),
        chat(("user", "q"), ("assistant", "a"), ("system", "x"), ("user", "q"), ("assistant", "a")),
    ]
    kinds = found(documents.instructions, rows_of(good + bad))
    assert kinds["chat-without-answer"] == [11] and kinds["chat-order"] == [12, 13, 16]
    assert kinds["chat-unknown-role"] == [14] and kinds["chat-empty-turn"] == [15]


def test_judgements_queries_and_triplets():
    rows = [{"query": f"question {i}", "passage": f"passage {i}", "relevance": 1.0} for i in range(10)]
    rows.append({"query": "nobody knows", "passage": "passage 3", "relevance": 0.0})
    rows.append({"query": "question 2", "passage": "passage 2", "relevance": 0.0})
    kinds = found(retrieval.retrieval, rows_of(rows))
    assert kinds["queries-without-relevant"] == [11] and kinds["contradicting-labels"] == [3, 12]
    triplets = [{"anchor": f"a{i}", "positive": f"p{i}", "negative": f"n{i}"} for i in range(10)]
    triplets[2]["negative"] = "p2"
    triplets[4]["positive"] = "A4!"
    triplets.append({"anchor": "a5", "positive": "p55", "negative": "p5"})
    kinds = found(retrieval.retrieval, rows_of(triplets))
    assert sorted(kinds["copied-pairs"]) == [3, 5] and kinds["false-negatives"] == [3, 11]


def test_drift_of_labels_lengths_and_words():
    rng = random.Random(1)

    def rows(count: int, share: float, words: range, length: int) -> list[dict]:
        made = []
        for i in range(count):
            text = " ".join(f"w{rng.choice(words)}" for _ in range(length))
            made.append({"id": str(i), "row": i, "file": "f", "text": text, "label": "a" if rng.random() < share else "b"})
        return made

    calm = Data({"train": rows(600, 0.5, range(200), 10), "test": rows(200, 0.5, range(200), 10)})
    assert found(drift.drift, calm) == {}
    moved = Data({"train": rows(600, 0.5, range(200), 10), "test": rows(200, 0.9, range(150, 400), 25)})
    assert set(found(drift.drift, moved)) == {"label-drift", "length-drift", "word-drift"}


def test_rows_sorted_by_label_or_length():
    by_label = rows_of([{"text": f"text {i * 37 % 101}", "label": "abc"[i // 50]} for i in range(150)])
    assert [f.kind for f in drift.sorted_rows(by_label)] == ["sorted-rows"]
    by_length = rows_of([{"text": "word " * (i // 3)} for i in range(150)])
    assert [f.kind for f in drift.sorted_rows(by_length)] == ["sorted-rows"]
    two_rare = rows_of([{"text": f"text {i * 37 % 101}", "label": {4: "fraud", 5: "theft"}.get(i, "fine")} for i in range(150)])
    assert list(drift.sorted_rows(two_rare)) == []


def test_scores_that_cannot_be_learned():
    rows = [{"text": f"t{i}", "score": float(i % 5)} for i in range(200)]
    rows[17]["score"] = 400.0
    assert found(labels.scores, rows_of(rows)) == {"score-outliers": [18]}
    assert [f.kind for f in labels.scores(rows_of([{"text": "t", "score": 1.0}] * 30))] == ["one-class"]
