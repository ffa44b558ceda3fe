"""The known traps of the public sets: every one of them must be named. Skipped where the sets are absent."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from oneloop.diagnose.check import Report, check
from oneloop.read import read

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public sets are not here")


def rows(report: Report, kind: str) -> set[tuple[str, int]]:
    return {(Path(file).name, row) for finding in report.of(kind) for file, row in finding.rows}


def test_wikigold_is_IOB1():
    report = check(DATA / "bench/wikigold/all_iob1_original.conll")
    assert report.verdict == "biases the score" and "iob1-tags" in {f.kind for f in report.findings}
    other = check(DATA / "bench/wikigold/all_iob2.conll")
    assert "iob1-tags" not in {f.kind for f in other.findings} and other.verdict in ("clean", "worth a look")


def test_sec_filings_has_a_sentence_of_641_words():
    report = check(DATA / "bench/sec_filings")
    assert rows(report, "lengths") == {("test.conll", 171)} and report.figures["tokens"]["max"] > 641
    assert "641 words" in report.of("lengths")[0].examples[0]


def test_banking77_has_line_breaks_copies_and_overlaps():
    report = check(DATA / "bench/banking77")
    assert len(rows(report, "leaked-rows")) == 26 and len(rows(report, "duplicate-rows")) == 32
    assert len(rows(report, "line-breaks")) == 13 and rows(report, "contradicting-labels")
    assert not report.of("label-typos")


def test_scitldr_has_five_papers_on_both_sides_and_several_references():
    report = check(DATA / "bench/scitldr_a", "summarization", columns={"document": "source", "summary": "target"})
    titles = [finding for finding in report.of("shared-keys") if finding.split == "test"]
    assert [finding.count for finding in titles] == [5] and titles[0].numbers["column"] == "title"
    known = rows(report, "leaked-rows") | rows(report, "near-leaked-rows") | rows(report, "shared-keys")
    assert {row for file, row in known if file == "test.jsonl"} >= {row for _, row in titles[0].rows}
    assert report.of("several-references")[0].count == 525 + 618 and "up to 4 each" in report.of("several-references")[0].message


@pytest.mark.parametrize(("name", "count", "listed"), [("squad_v1.1", 1659, 1549), ("squad_v2.0", 1013, 933)])
def test_squad_answers_that_stand_more_than_once(name, count, listed):
    """All questions of which some answer stands twice are named; the list beside the file leaves out some of them."""
    folder = DATA / "bench" / name
    finding = check(folder / "dev-full.json").of("answer-repeated")[0]
    ambiguous = set(json.loads((folder / "ambiguous_start_ids.json").read_text()))
    table = list(read(folder / "dev-full.json"))
    twice = {
        row["id"] for row in table if any(len(re.findall(f"(?={re.escape(text)})", row["context"])) > 1 for text in row["answers"]["text"])
    }
    assert {table[row - 1]["id"] for _, row in finding.rows} == twice and finding.count == count
    assert len(ambiguous) == listed and ambiguous < twice
    assert finding.numbers["first_place"] > 0.95 * finding.numbers["starts"] and "as a search sets them" in finding.message


def test_tags_made_from_IOB1_are_told_from_tags_with_neighbours_of_one_type():
    said = {name: check(DATA / "bench" / name).of("iob1-origin") for name in ("sec_filings", "wikigold/all_iob2.conll", "bc5cdr")}
    assert [len(found) for found in said.values()] == [1, 1, 0]
    assert said["sec_filings"][0].numbers["entities"] == 1486 and said["sec_filings"][0].count == 7
    assert not check(DATA / "quick/token_cls/snips_slots").of("iob1-origin")


def test_tatoeba_repeats_sources_and_is_sorted(tmp_path):
    lines = (DATA / "bench/tatoeba_en_fr/fra.txt").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "fra.txt").write_text("".join(line for i, line in enumerate(lines) if i // 50 % 10 == 0), encoding="utf-8")
    report = check(tmp_path / "fra.txt", "translation", columns={"source": "0", "target": "1"})
    kinds = {f.kind: f for f in report.findings}
    assert kinds["repeated-inputs"].severity == "biases" and kinds["repeated-inputs"].count > 500
    assert "length" in kinds["sorted-rows"].message


@pytest.mark.parametrize(
    "name",
    [
        "quick/seq_cls/snips_intents",
        "quick/token_cls/snips_slots",
        "quick/token_cls/wikigold",
        "quick/qa/squad_v1",
        "quick/qa/squad_v2",
        "quick/summarization/scitldr",
        "quick/translation/en-de",
        "quick/lm/infantry_drill_1911",
        "quick/lm/tiny_shakespeare",
        "quick/retrieval/squad_passages",
        "bench/bc5cdr",
    ],
)
def test_G8_clean_sets_block_nothing_and_bias_nothing_untrue(name):
    report = check(DATA / name)
    assert not [f for f in report.findings if f.severity == "blocks"], report.render()
    assert {f.kind for f in report.findings if f.severity == "biases"} <= {"leaked-rows", "contradicting-labels"}, report.render()
