"""Entities: conlleval's counting, transcribed here on its own, seqscore's readings, and the traps of the course."""

import random

import numpy as np
import pytest
from seqscore.scoring import score_label_sequences

from oneloop.errors import DataError
from oneloop.measure.entities import chunks, entities, has_entities, scheme_of, strict_chunks, tags, type_table
from oneloop.measure.interval import interval


# ---- conlleval's two rules and its counting loop, transcribed from the published script's logic
def start_of_chunk(prev_tag, tag, prev_type, kind):
    start = (prev_tag, tag) in {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I"), ("E", "E"), ("E", "I"), ("O", "E")}
    return start or (tag not in ("O", ".") and prev_type != kind)


def end_of_chunk(prev_tag, tag, prev_type, kind):
    end = (prev_tag, tag) in {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O"), ("E", "E"), ("E", "I"), ("E", "O")}
    return end or (prev_tag not in ("O", ".") and prev_type != kind)


def split(tag):
    left, hyphen, right = tag.partition("-")
    return (left, right) if hyphen else (tag, "")


def conlleval(said_rows, gold_rows):
    """Found-correct, found-guessed and right chunks, right tags, tags, by the script's state machine."""
    correct_chunk = found_correct = found_guessed = correct_tags = count = 0
    in_correct = False
    last_correct = last_guessed = ("O", "")
    pairs = [pair for said, gold in zip(said_rows, gold_rows) for pair in [*zip(said, gold), (None, None)]]
    for guess, truth in pairs:
        boundary = guess is None
        guessed, correct = (("O", ""), ("O", "")) if boundary else (split(guess), split(truth))
        if in_correct:
            end_c = end_of_chunk(last_correct[0], correct[0], last_correct[1], correct[1])
            end_g = end_of_chunk(last_guessed[0], guessed[0], last_guessed[1], guessed[1])
            if end_c and end_g and last_guessed[1] == last_correct[1]:
                in_correct = False
                correct_chunk += 1
            elif end_c != end_g or guessed[1] != correct[1]:
                in_correct = False
        start_c = start_of_chunk(last_correct[0], correct[0], last_correct[1], correct[1])
        start_g = start_of_chunk(last_guessed[0], guessed[0], last_guessed[1], guessed[1])
        if start_c and start_g and guessed[1] == correct[1]:
            in_correct = True
        found_correct += start_c
        found_guessed += start_g
        if not boundary:
            correct_tags += guessed == correct
            count += 1
        last_correct, last_guessed = correct, guessed
    return correct_chunk, found_guessed, found_correct, correct_tags, count


def conlleval_scores(said, gold):
    right, guessed, correct, right_tags, count = conlleval(said, gold)
    precision = right / guessed if guessed else 0.0
    recall = right / correct if correct else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "accuracy": right_tags / count}


def random_rows(rng, tagset, rows, longest=12):
    return [[rng.choice(tagset) for _ in range(rng.randint(1, longest))] for _ in range(rows)]


def noisy(rng, gold, tagset, share):
    return [[rng.choice(tagset) if rng.random() < share else tag for tag in row] for row in gold]


IOB = ["O", "O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-ORG", "B-x-y", "I-x-y"]


@pytest.mark.parametrize("seed", range(10))
def test_C045_entity_scores_equal_conlleval_on_random_broken_sequences(seed):
    rng = random.Random(seed)
    for _ in range(300):
        gold = random_rows(rng, IOB, rng.randint(1, 8))
        said = noisy(rng, gold, IOB, rng.choice([0.1, 0.4, 1.0]))
        found = entities(said, gold).metrics()
        expected = conlleval_scores(said, gold)
        if conlleval(said, gold)[1:3] == (0, 0):
            assert np.isnan(found["f1"])
            continue
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-9), (name, said, gold)


def test_chunks_equal_conlleval_on_io_tags_and_on_end_tags():
    rng = random.Random(3)
    for tagset in (["O", "I-A", "I-B"], ["O", "B-A", "I-A", "I-B", "B-B"], ["O", "I-A", "E-A", "I-B", "E-B"]):
        for _ in range(500):
            row = [rng.choice(tagset) for _ in range(rng.randint(1, 10))]
            assert len(chunks(row)) == conlleval([row], [row])[1]


def test_chunks_of_well_formed_tags_are_the_same_in_every_scheme():
    rng = random.Random(4)
    for _ in range(500):
        spans, position = [], 0
        while position < 12:
            size = rng.randint(1, 3)
            if rng.random() < 0.6:
                spans.append((rng.choice("AB"), position, position + size))
            position += size
        length = position
        iob2, bioes, bilou = (["O"] * length for _ in range(3))
        for kind, start, end in spans:
            iob2[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
            one = end - start == 1
            bioes[start:end] = [f"S-{kind}"] if one else [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 2) + [f"E-{kind}"]
            bilou[start:end] = [f"U-{kind}"] if one else [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 2) + [f"L-{kind}"]
        iob1 = list(iob2)
        for i, tag in enumerate(iob2):
            if tag.startswith("B-") and (i == 0 or iob2[i - 1][2:] != tag[2:]):
                iob1[i] = "I" + tag[1:]
        assert chunks(iob2) == chunks(iob1) == chunks(bioes) == chunks(bilou) == spans
        assert strict_chunks(iob2) == strict_chunks(bioes, "BIOES") == strict_chunks(iob1, "IOB1") == spans


def seqscore_counts(said, gold, repair):
    result = score_label_sequences(said, gold, "BIO", repair=repair)
    return result.classification_score if hasattr(result, "classification_score") else result[0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("repair", "metric"), [("conlleval", "f1"), ("discard", "f1_strict")])
def test_E1_both_readings_equal_seqscore(seed, repair, metric):
    rng = random.Random(seed)
    tagset = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    gold = []
    for row in random_rows(rng, tagset, 300):
        fixed = []
        for tag in row:
            valid = tag[0] != "I" or (fixed and fixed[-1][1:] == tag[1:])
            fixed.append(tag if valid else "B" + tag[1:])
        gold.append(fixed)
    said = noisy(rng, gold, tagset, 0.3)
    found = entities(said, gold, scheme="IOB2").metrics()
    assert found[metric] == pytest.approx(seqscore_counts(said, gold, repair).f1, abs=1e-9)
    if repair == "conlleval":
        assert found["precision"] == pytest.approx(seqscore_counts(said, gold, repair).precision, abs=1e-9)
        assert found["recall"] == pytest.approx(seqscore_counts(said, gold, repair).recall, abs=1e-9)


def test_E1_the_two_readings_stand_side_by_side():
    gold, said = [["B-LOC", "I-LOC", "O", "B-PER"]], [["I-LOC", "I-LOC", "O", "B-PER"]]
    statistics = entities(said, gold)
    assert statistics.metrics()["f1"] == 1.0
    assert statistics.metrics()["f1_strict"] == pytest.approx(2 / 3)
    assert "f1:conlleval" in statistics.signature and "f1_strict:IOB2" in statistics.signature


def test_E1_no_entity_at_all_is_undefined():
    found = interval(entities([["O", "O"]], [["O", "O"]]))
    assert [found[name]["value"] for name in ("precision", "recall", "f1", "f1_strict")] == [None] * 4
    assert found["accuracy"]["value"] == 1.0


def test_entities_on_one_side_only_score_zero_as_conlleval_prints():
    assert entities([["O"]], [["B-A"]]).metrics() == {"precision": 0, "recall": 0, "f1": 0, "f1_strict": 0, "accuracy": 0}
    assert entities([["B-A"]], [["O"]]).metrics()["recall"] == 0


def test_C045_course_example():
    gold = [["B-MISC", "O", "O", "O", "B-ORG", "O", "O", "O", "B-MISC"]]
    said = [["B-MISC", "O", "O", "O", "B-ORG", "O", "O", "O", "O"]]
    found = entities(said, gold).metrics()
    assert found["precision"] == 1.0
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(0.8)
    assert found["accuracy"] == pytest.approx(8 / 9)
    assert [(row["label"], row["support"], row["recall"]) for row in type_table(said, gold)] == [("MISC", 2, 0.5), ("ORG", 1, 1.0)]


def test_C046_entities_do_not_cross_rows():
    gold = [["O", "B-PER"], ["I-PER", "O"]]
    said = [["O", "B-PER"], ["B-PER", "O"]]
    assert entities(said, gold).metrics()["f1"] == 1.0  # flattened, gold would hold one entity of two words


def test_C047_precision_and_recall_are_not_exchanged():
    found = entities([["B-A", "O", "O"]], [["B-A", "B-A", "B-A"]]).metrics()
    assert found["precision"] == 1.0 and found["recall"] == pytest.approx(1 / 3)


def test_statistics_add_up_over_rows():
    rng = random.Random(9)
    gold = random_rows(rng, IOB, 40)
    statistics = entities(noisy(rng, gold, IOB, 0.3), gold)
    half = entities([[*row] for row in noisy(random.Random(1), gold, IOB, 0.0)], gold).metrics(range(20))
    assert half["f1"] == 1.0
    assert statistics.metrics([0, 0, 1]) == pytest.approx(Double(statistics, [0, 0, 1]).metrics(), nan_ok=True)


class Double:
    """The same metrics from rows picked by hand."""

    def __init__(self, statistics, rows):
        self.found = {k: float(v[0]) for k, v in statistics.reduce(sum(statistics.table[i] for i in rows)[None]).items()}

    def metrics(self):
        return self.found


def test_schemes_are_recognised():
    assert scheme_of([["B-A", "I-A", "O", "B-A"]]) == "IOB2"
    assert scheme_of([["I-A", "I-A", "O", "I-A", "B-A"]]) == "IOB1"
    assert scheme_of([["I-A", "O", "I-B"]]) == "IO"
    assert scheme_of([["B-A", "E-A", "S-B"]]) == scheme_of([["B-A", "L-A", "U-B"]]) == "BIOES"
    assert scheme_of([["B-A", "I-A"], ["B-A"], ["B-B"], ["S-A"]]) == "IOB2"  # one stray tag does not turn the scheme
    assert scheme_of([["O"]]) == "IOB2"


def test_strict_reading_drops_what_the_scheme_does_not_allow():
    assert strict_chunks(["I-A", "B-A", "I-B", "I-B"]) == [("A", 1, 2)]
    assert strict_chunks(["B-A", "I-A", "S-A", "B-A", "I-A", "E-A", "E-A", "B-A"], "BIOES") == [("A", 2, 3), ("A", 3, 6)]


def test_C048_tag_sets_with_and_without_entities():
    assert has_entities(["O", "B-NP", "I-NP"]) and has_entities(["O", "PER", "LOC"]) and has_entities(["O"])
    assert not has_entities(["NOUN", "VERB", "-LRB-", "PRP$", ","])
    assert not has_entities(["N", "V", "O", "^", "A"])
    assert chunks(["PER", "PER", "O", "LOC", "PER"]) == [("PER", 0, 2), ("LOC", 3, 4), ("PER", 4, 5)]


def test_C048_parts_of_speech_have_accuracy_and_macro_f1():
    from sklearn.metrics import f1_score

    rng = random.Random(5)
    gold = random_rows(rng, ["NOUN", "VERB", "DET", "ADJ"], 50)
    said = noisy(rng, gold, ["NOUN", "VERB", "DET", "X"], 0.3)
    found = tags(said, gold).metrics()
    flat_gold, flat_said = [t for row in gold for t in row], [t for row in said for t in row]
    assert set(found) == {"accuracy", "macro_f1"}
    assert found["accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(flat_gold, flat_said)]))
    assert found["macro_f1"] == pytest.approx(f1_score(flat_gold, flat_said, average="macro", zero_division=0), abs=1e-9)


def test_E3_every_row_with_another_number_of_tags_is_named():
    with pytest.raises(DataError) as caught:
        entities([["O"], ["O"], ["O", "O"]], [["O"], ["O", "O"], ["O"]])
    assert [problem.row for problem in caught.value.problems] == [2, 3]
