"""Statements in Spanish, French and German become rough English; a short statement's language is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from oneloop.diagnose.gloss import GLOSSED, Glossary, gloss, glossary, spoken

BANK = Path(__file__).resolve().parents[2] / "bench/diagnose/tuning.jsonl"


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("Resumir artículos científicos", "es", ["summarise", "articles", "scientific"]),
        ("Extraire la date, le montant et le fournisseur de chaque facture.", "fr", ["extract", "date", "amount", "supplier", "invoice"]),
        ("Die ähnlichsten alten Tickets zu einem neuen Ticket finden.", "de", ["similar", "old", "tickets", "find"]),
        ("Kundenbeschwerden übersetzen", "de", ["customer", "complaint", "translate"]),
    ],
)
def test_known_words_stand_in_english(text: str, language: str, wanted: list[str]) -> None:
    found = gloss(text, language)
    assert all(word in found for word in wanted), found


def test_accents_may_be_missing_and_capitals_do_not_matter() -> None:
    assert gloss("RESUMIR ARTICULOS", "es") == gloss("resumir artículos", "es")


def test_an_unknown_word_stays_as_it_is() -> None:
    assert "zorblax" in gloss("Resumir zorblax", "es") and "4711" in gloss("Dossier 4711", "fr")


def test_an_elided_word_stands_apart() -> None:
    assert gloss("l’article d'une page", "fr").split()[0] == "the"
    assert gloss("l'article", "fr") == gloss("l’article", "fr")


def test_the_longest_phrase_wins() -> None:
    phrases = [form for form in glossary("fr").exact if form.count(" ") == 1 and form.isascii() and form.replace(" ", "").isalpha()][:50]
    assert all(gloss(form, "fr") == glossary("fr").exact[form] for form in phrases)


def test_a_form_that_is_not_listed_is_read_by_its_beginning() -> None:
    known = Glossary("clasificar\tclassify\nruta\troute\n")
    assert "clasificar" in known.order and "clasificaran" not in glossary("es").exact
    assert "classif" in gloss("clasificaran", "es")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Sort my mail", "en"),
        ("Summarize long reports", "en"),
        ("Angry or calm?", "en"),
        ("Resumir artículos científicos", "es"),
        ("Sentencias parecidas a la mía", "es"),
        ("Quels mots manquent ici ?", "fr"),
        ("Repérer les passages sensibles", "fr"),
        ("Wütende Kunden zuerst erkennen", "de"),
        ("Namen in Briefen schwärzen", "de"),
    ],
)
def test_the_language_of_a_short_statement(text: str, language: str) -> None:
    assert spoken(text) == language


def test_the_language_of_the_bank() -> None:
    """Every third statement; of 4 to 70 words."""
    rows = [json.loads(line) for line in BANK.read_text("utf-8").splitlines()][::3]
    wrong = [row for row in rows if spoken(row["statement"]) != row["language"]]
    assert len(wrong) <= 0.005 * len(rows), [row["statement"] for row in wrong]


def test_the_glossaries_are_sound() -> None:
    for language in GLOSSED:
        found = glossary(language).exact
        assert len(found) > 3000 and all(form == form.lower().strip() for form in found)


def test_a_plain_english_statement_needs_no_glossary() -> None:
    code = (
        "from oneloop.diagnose import gloss; gloss.spoken('Tell me which of the letters is angry and why it is.');"
        "raise SystemExit(gloss.glossary.cache_info().currsize)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
