"""ROUGE, BLEU and chrF: hand values, equality with the published scorers, scripts other than Latin."""

import random

import numpy as np
import pytest
from rouge_score import rouge_scorer
from rouge_score.tokenizers import DefaultTokenizer
from sacrebleu.metrics import BLEU, CHRF

from oneloop.errors import DataError
from oneloop.measure.generation import ROUGE, UnicodeWords, bleu, chrf, rouge, tokenizer_for, translation
from oneloop.measure.interval import interval
from oneloop.measure.sentences import words

TEXT = "the a cat dog sat ran on over mat hill, quickly; and then home. It was red (very)."


def texts(rng: random.Random, count: int, longest: int = 15) -> list[str]:
    return [" ".join(rng.choice(TEXT.split()) for _ in range(rng.randint(1, longest))) for _ in range(count)]


def test_C072_course_values():
    gold = ["This plugin allows you to automatically translate web pages between several languages."]
    said = ["This plugin lets you translate web pages between several languages automatically.", "This This This This", "This plugin"]
    found = [bleu([text], [gold]).metrics()["bleu"] for text in said]
    assert found == pytest.approx([46.75, 1.68, 0.0], abs=0.005)
    assert bleu(said[:1], [gold]).table[0].tolist()[:6] == [12, 13, 11, 6, 4, 3]


@pytest.mark.parametrize("seed", range(8))
def test_C072_bleu_and_chrf_equal_sacrebleu(seed: int):
    rng = random.Random(seed)
    gold = [[*texts(rng, rng.randint(1, 3))] for _ in range(30)]
    said = [rng.choice(row) if rng.random() < 0.3 else texts(rng, 1)[0] for row in gold]
    streams = [[row[i] if i < len(row) else None for row in gold] for i in range(3)]
    found = translation(said, gold).metrics()
    assert found["bleu"] == pytest.approx(BLEU().corpus_score(said, streams).score, abs=1e-9)
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(said, streams).score, abs=1e-9)


def test_short_and_empty_texts_equal_sacrebleu():
    for said, gold in ((["a"], ["a"]), ([""], ["a b"]), (["a b c"], [""]), (["x", "y"], ["a", "b"]), (["The cat"], ["the cat sat"])):
        found = translation(said, gold).metrics()
        assert found["bleu"] == pytest.approx(BLEU().corpus_score(said, [gold]).score, abs=1e-9)
        assert found["chrf"] == pytest.approx(CHRF().corpus_score(said, [gold]).score, abs=1e-9)


def test_any_set_of_rows_equals_sacrebleu_on_those_rows():
    rng = random.Random(1)
    gold, said = texts(rng, 20), texts(rng, 20)
    rows = [0, 3, 3, 17, 9]
    found = bleu(said, gold).metrics(rows)["bleu"]
    assert found == pytest.approx(BLEU().corpus_score([said[i] for i in rows], [[gold[i] for i in rows]]).score, abs=1e-9)


def test_interval_of_corpus_scores():
    rng = random.Random(2)
    gold = texts(rng, 60)
    said = [text if rng.random() < 0.5 else texts(rng, 1)[0] for text in gold]
    for found in interval(translation(said, gold), samples=200).values():
        assert found["ci95"][0] < found["value"] < found["ci95"][1]


def test_E2_signature_names_the_tokenizer():
    signatures = {language: bleu(["x"], ["x"], language=language).signature for language in ("de", "zh-CN", "th")}
    assert "tok:13a" in signatures["de"] and "tok:zh" in signatures["zh-CN"] and "tok:char" in signatures["th"]
    assert "tok:intl" in bleu(["x"], ["x"], tokenize="intl").signature
    assert "version:" in signatures["de"] and "nrefs:1" in signatures["de"]
    assert tokenizer_for("ja") in ("ja-mecab", "char") and tokenizer_for("") == "13a"


def test_E2_chinese_needs_its_own_tokenizer():
    gold, said = ["我今天去学校上课了。"], ["我今天去学校上学了。"]
    assert bleu(said, gold, language="zh").metrics()["bleu"] > 40 > bleu(said, gold).metrics()["bleu"]


def test_E3_two_predictions_one_reference_is_an_error():
    for score in (bleu, chrf, rouge):
        with pytest.raises(DataError, match="2 predictions for 1 references"):
            score(["a", "b"], ["a"])
        with pytest.raises(DataError, match="no reference"):
            score(["a"], [[]])


IDENTICAL = ["Привет, мир.", "我今天去学校。", "これはペンです。", "مرحبا بالعالم", "สวัสดีชาวโลก", "नमस्ते दुनिया", "Γειά σου", "오늘은 맑다"]


@pytest.mark.parametrize("text", IDENTICAL)
def test_E4_identical_texts_score_one_in_every_script(text: str):
    found = rouge([text], [text]).metrics()
    assert found == {"rouge1": 100, "rouge2": 100 if len(words(text)) > 1 else 0, "rougeL": 100, "rougeLsum": 100}


def test_E4_other_texts_in_those_scripts_do_not_score_one():
    assert rouge(["Привет, мир."], ["Прощай, дом."]).metrics()["rouge1"] == 0
    assert 0 < rouge(["我今天去学校"], ["他今天去医院"]).metrics()["rouge1"] < 100


def test_E4_lsum_compares_sentences_and_the_rule_is_stated():
    gold, said = "The cat sat. The dog ran.", "The dog ran. The cat sat."
    found = rouge([said], [gold])
    assert found.metrics()["rougeL"] == pytest.approx(50.0)
    assert found.metrics()["rougeLsum"] == pytest.approx(100.0)
    assert rouge([said.replace(". ", ".\n")], [gold.replace(". ", ".\n")]).metrics() == found.metrics()
    assert "lsum:lines-else-sentences" in found.signature and "words:unicode" in found.signature


def test_C079_course_values():
    said, gold = "I absolutely loved reading the Hunger Games", "I loved reading the Hunger Games"
    found = rouge([said], [gold]).metrics()
    assert [found[name] / 100 for name in ROUGE] == pytest.approx([0.923, 0.727, 0.923, 0.923], abs=0.0005)
    verbose = "I really really loved reading the Hunger Games so much"
    scorer = rouge_scorer.RougeScorer(["rouge1"], tokenizer=UnicodeWords())
    assert scorer.score(gold, verbose)["rouge1"].precision == pytest.approx(0.6)


@pytest.mark.parametrize("stem", [False, True])
def test_C079_equals_rouge_score_on_english(stem: bool):
    rng = random.Random(3)
    gold, said = texts(rng, 40, 30), texts(rng, 40, 30)
    broken = [text.replace(". ", ".\n") for text in gold], [text.replace(". ", ".\n") for text in said]
    scorer = rouge_scorer.RougeScorer(list(ROUGE), use_stemmer=stem)
    scores = [scorer.score(one, other) for one, other in zip(*broken)]
    found = rouge(broken[1], broken[0], stem=stem).metrics()
    for name in ("rouge1", "rouge2", "rougeL"):
        assert found[name] == pytest.approx(100 * np.mean([score[name].fmeasure for score in scores]), abs=1e-9)


def test_words_equal_the_default_tokenizer_on_ascii():
    rng = random.Random(4)
    for _ in range(300):
        text = "".join(chr(rng.randint(32, 126)) for _ in range(60))
        assert words(text) == DefaultTokenizer(False).tokenize(text)
        assert UnicodeWords(stem=True).tokenize(text) == DefaultTokenizer(True).tokenize(text)


def test_composed_and_decomposed_accents_are_the_same_word():
    assert words("Cafe\u0301") == words("caf\u00e9") == ["café"]


def test_rouge_takes_the_best_of_several_references():
    assert rouge(["red house"], [["blue car", "red house"]]).metrics()["rouge1"] == 100
