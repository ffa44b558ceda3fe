"""BM25 by its formula, on scripts with and without spaces, and on data whose score is known."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from oneloop.measure.lexical import BM25, bm25, terms
from oneloop.measure.ranking import ranking

DATA = Path(__file__).resolve().parents[2] / "../shared/data/quick/retrieval"


def test_scores_follow_the_formula():
    passages = ["red red house", "blue house", "a green garden far away"]
    found = BM25(passages, k1=1.5, b=0.75).scores("red house")
    mean = (3 + 2 + 5) / 3
    idf = {"red": math.log(1 + 2.5 / 1.5), "house": math.log(1 + 1.5 / 2.5)}

    def part(count: int, length: int) -> float:
        return count * 2.5 / (count + 1.5 * (0.25 + 0.75 * length / mean))

    assert found == pytest.approx([idf["red"] * part(2, 3) + idf["house"] * part(1, 3), idf["house"] * part(1, 2), 0.0])


def test_only_passages_that_share_a_word_are_hits():
    name, predictions = bm25([{"id": "1", "text": "Red house"}, {"id": "2", "title": "Blue", "text": "sea"}], ["blue", "nothing", ""])
    assert name == "BM25"
    assert [[hit["id"] for hit in one["hits"]] for one in predictions] == [["2"], [], []]
    assert predictions[0]["hits"][0].keys() == {"id", "score", "title", "text"}


def test_no_passages_no_hits():
    assert BM25([]).search("x") == [] and np.array_equal(BM25([""]).scores("x"), [0.0])


def test_scripts_without_spaces_are_searched_by_character():
    assert terms("我爱 Ｒｅｄ_house") == ["我", "爱", "red", "house"]
    assert BM25(["今天下雨", "明天晴"]).search("下雨吗")[0][0] == 0


@pytest.mark.skipif(not DATA.exists(), reason="the retrieval sets are not here")
@pytest.mark.parametrize(("name", "expected"), [("banking_faq", 0.329), ("squad_passages", 0.921)])
def test_C122_lexical_baseline_reaches_the_known_score(name: str, expected: float):
    def lines(file: str) -> list[dict]:
        return [json.loads(line) for line in (DATA / name / file).read_text(encoding="utf-8").splitlines()]

    passages = [{"id": one["_id"], "title": one["title"], "text": one["text"]} for one in lines("corpus.jsonl")]
    asked = {one["_id"]: one["text"] for one in lines("queries.jsonl")}
    judged: dict[str, dict[str, int]] = {}
    with (DATA / name / "qrels/test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            judged.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    _, predictions = bm25(passages, [asked[query] for query in judged])
    found = ranking([[hit["id"] for hit in one["hits"]] for one in predictions], list(judged.values())).metrics()
    assert found["ndcg@10"] == pytest.approx(expected, abs=0.02)
