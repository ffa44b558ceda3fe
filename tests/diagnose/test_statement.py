"""Statements are given the task whose output they ask for, with the words that decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneloop.diagnose import diagnose, vectors
from oneloop.diagnose.features import plain
from oneloop.diagnose.statement import read_statement
from oneloop.errors import OneloopError
from oneloop.tasks import TASKS, task_class

BANK = Path(__file__).resolve().parents[2] / "bench/diagnose/tuning.jsonl"


@pytest.mark.parametrize(
    ("statement", "task"),
    [
        ("Pull dates and companies out of contracts.", "token-classification"),
        ("Which of our tickets are angry?", "sequence-classification"),
        ("Answer from the manual.", "question-answering"),
    ],
)
def test_C001_the_three_examples(statement: str, task: str) -> None:
    found = diagnose(statement)
    assert found.task == task and not found.none
    assert found.head == task_class(task).head and found.label_shape and found.collator and found.metric and found.metric_limits


@pytest.mark.parametrize(
    ("statement", "task"),
    [
        ("Tag each review with its sentiment.", "sequence-classification"),
        ("Find the sentence in the policy that answers the employee's question.", "question-answering"),
        ("Summarise each ticket into one of five categories.", "sequence-classification"),
        ("Mask the names in these letters.", "token-classification"),
        ("Label every word as noun, verb or something else.", "token-classification"),
        ("Turn a question in English into an SQL query.", "causal-lm"),
        ("Rewrite legal text in plain language that keeps every statement.", "translation"),
        ("We have question and answer pairs from support and want new questions to find the best existing answer.", "semantic-search"),
        ("Given a sentence with one word left out, rank the words that could stand there.", "masked-lm"),
        ("Give each long email thread a two-sentence gist.", "summarization"),
    ],
)
def test_the_requested_output_decides_not_the_surface_words(statement: str, task: str) -> None:
    assert diagnose(statement).task == task


@pytest.mark.parametrize("name", TASKS)
def test_C001_the_example_of_every_task(name: str) -> None:
    task = task_class(name)
    found = diagnose(task.clues.example)
    assert found.task == name and found.why and found.family == task.family


@pytest.mark.parametrize(
    ("statement", "task"),
    [
        ("Clasificar las reseñas en positivas o negativas.", "sequence-classification"),
        ("Extraire la date, le montant et le fournisseur de chaque facture.", "token-classification"),
        ("Lange Artikel in wenigen Sätzen zusammenfassen.", "summarization"),
        ("Traducir manuales del inglés al español.", "translation"),
        ("Die ähnlichsten alten Tickets zu einem neuen Ticket finden.", "semantic-search"),
        ("Écrire des poèmes dans le style de Verlaine.", "causal-lm"),
    ],
)
def test_other_languages(statement: str, task: str) -> None:
    assert diagnose(statement).task == task


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("Tell cats from dogs in photos.", "images"),
        ("Transcribe recorded phone calls to text.", "audio"),
        ("Forecast next month's sales from the sales figures of five years.", "forecasting"),
        ("How many orders did we ship per month? It is all in our Postgres database.", "sql"),
        ("Recommend movies to users based on what they rated before.", "recommendation"),
        ("Predict house prices from area, number of rooms and year built.", "tabular"),
    ],
)
def test_other_kinds_of_problem_are_named(statement: str, kind: str) -> None:
    found = diagnose(statement)
    assert found.none and found.kind == kind and found.instead in found.render()


def test_an_open_statement_is_asked_about_and_can_be_answered() -> None:
    found = diagnose("Train a language model on our notes.")
    assert found.ambiguous and {"masked-lm", "causal-lm"} <= set(found.options)
    assert all(f"({number})" in found.question for number in range(1, len(found.options) + 1))
    chosen = found.answer(found.options.index("masked-lm") + 1)
    assert chosen.task == "masked-lm" and not chosen.ambiguous and chosen.question == ""
    assert found.answer("mlm").task == "masked-lm"
    with pytest.raises(OneloopError):
        found.answer(9)


@pytest.mark.parametrize("statement", ["", "   ", "?!", "\x00", "これは何ですか"])
def test_a_statement_without_words_is_an_error(statement: str) -> None:
    with pytest.raises(OneloopError, match="no word"):
        diagnose(statement)


def test_a_statement_as_long_as_a_book_is_read_in_part() -> None:
    assert diagnose("Tag each review with its sentiment. " + "a" * 50_000 + " word" * 50_000).task == "sequence-classification"


def test_the_same_statement_gives_the_same_answer() -> None:
    first, second = (diagnose("Route every ticket to the right team").as_dict() for _ in range(2))
    assert first == second


def test_the_words_that_decided_stand_in_the_statement() -> None:
    reading = read_statement("Tag each review with its sentiment.")
    assert "sentiment" in reading.why["sequence-classification"]
    assert abs(sum(reading.probabilities.values()) - 1) < 1e-6


def test_the_words_of_another_language_are_the_users_own() -> None:
    said = "Die ähnlichsten alten Tickets zu einem neuen Ticket finden."
    why = read_statement(said).why["semantic-search"]
    assert why and all(plain(word) in plain(said) for word in why)
    assert len({plain(word) for word in why}) == len(why)


def test_the_bank_is_answered_with_and_without_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every twentieth statement of the tuning bank; the model was trained on them, so nearly all must be right."""
    rows = [json.loads(line) for line in BANK.read_text("utf-8").splitlines()][::20]
    clear = [row for row in rows if not row["ambiguous"]]
    for installed in (True, False):
        if not installed:
            monkeypatch.setattr(vectors, "folder", lambda: None)
        right = sum(diagnose(row["statement"]).task == (row["task"] or "") for row in clear)
        assert right >= 0.95 * len(clear)
