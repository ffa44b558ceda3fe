"""What a diagnosis says, writes and prints; statement and data together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import oneloop
from oneloop.diagnose import diagnose
from oneloop.errors import OneloopError
from oneloop.safeyaml import read_yaml
from oneloop.tasks import TASKS, task_class


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "letters.csv"
    rows = (f"The {'bill' if i % 2 else 'parcel'} of week {i} is wrong and late again,{'money' if i % 2 else 'post'}\n" for i in range(60))
    path.write_text("Schreiben,Amt\n" + "".join(rows), encoding="utf-8")
    return path


def test_the_package_is_called_like_the_function(letters: Path) -> None:
    assert oneloop.diagnose("Mask the names in letters.").task == "token-classification"
    assert oneloop.diagnose(data=str(letters)).task == "sequence-classification"


def test_words_decide_the_task_and_data_the_columns(letters: Path) -> None:
    found = diagnose("Send each letter to the right office.", letters)
    assert found.task == "sequence-classification" and found.columns == {"text": "Schreiben", "label": "Amt"}
    assert f"--train {letters}" in found.command and "--columns text=Schreiben" in found.command


@pytest.mark.parametrize("words", ["x", "I have this file", "what can I do with this?", "Here is my spreadsheet, what now?", "help"])
def test_words_that_say_nothing_leave_the_task_to_data_that_holds_a_target(letters: Path, tmp_path: Path, words: str) -> None:
    tagged = tmp_path / "tagged.conll"
    tagged.write_text("".join(f"Anna B-PER\nmoved O\nto O\nOslo B-LOC\n{i} O\n\n" for i in range(40)), encoding="utf-8")
    found = diagnose(words, letters)
    assert found.task == "sequence-classification" and found.columns == {"text": "Schreiben", "label": "Amt"} and not found.question
    assert diagnose(words, tagged).columns == {"tokens": "tokens", "tags": "tags"}


def test_open_words_for_bare_text_and_a_file_with_labels_are_asked_about_with_both(letters: Path) -> None:
    found = diagnose("train a model", letters)
    assert found.ambiguous and {"causal-lm", "sequence-classification"} <= set(found.options)
    answered = found.answer("sequence-classification")
    assert answered.columns == {"text": "Schreiben", "label": "Amt"} and "oneloop train" in answered.command


def test_what_neither_words_nor_bare_text_decide_is_asked_about(tmp_path: Path) -> None:
    bare = tmp_path / "notes.csv"
    bare.write_text("body\n" + "".join(f"The patient of bed {i} slept well and asked for water.\n" for i in range(60)), encoding="utf-8")
    words = diagnose("adapt a language model to our field's texts")
    found = diagnose("adapt a language model to our field's texts", bare)
    assert found.ambiguous and found.task == words.task and set(found.options) == {"masked-lm", "causal-lm"}


def test_what_has_nothing_to_train_on_is_sent_to_the_check(letters: Path) -> None:
    found = diagnose("Find the names of people in these letters.", letters)
    assert found.task == "token-classification" and found.command == f"oneloop check {letters} --task token-classification"


def test_a_contradiction_is_said(letters: Path) -> None:
    found = diagnose("Translate these letters from German to English.", letters)
    assert found.task == "translation" and any("no column for target" in note for note in found.notes)


def test_data_answers_an_open_question(letters: Path) -> None:
    found = diagnose("Tag our articles.", letters)
    assert found.task == "sequence-classification" and not found.ambiguous


def test_the_recipe_is_written_and_read_back(letters: Path, tmp_path: Path) -> None:
    found = diagnose(data=letters)
    found.write_recipe(tmp_path / "recipe.yaml")
    values, _ = read_yaml(tmp_path / "recipe.yaml")
    assert (
        values
        == found.to_recipe()
        == {"task": "sequence-classification", "train": str(letters), "columns": {"text": "Schreiben", "label": "Amt"}}
    )


@pytest.mark.parametrize("statement", ["Tell cats from dogs in photos.", "Train a language model on our notes."])
def test_no_recipe_while_the_task_is_open(statement: str) -> None:
    with pytest.raises(OneloopError, match="no recipe"):
        diagnose(statement).to_recipe()


@pytest.mark.parametrize("name", TASKS)
def test_C002_every_family_has_its_reason(name: str) -> None:
    found = diagnose(task_class(name).clues.example)
    wanted = {"encoder": "both directions", "decoder": "left to right", "encoder-decoder": "writes another"}
    assert wanted[found.family] in found.family_reason
    assert found.wrinkle == task_class(name).wrinkle


def test_everything_is_ready_for_json_and_for_a_terminal(letters: Path) -> None:
    found = diagnose("Sort letters by office", letters)
    facts = json.loads(json.dumps(found.as_dict()))
    assert facts["task"] == "sequence-classification" and facts["runner_up"] and facts["runner_up_if"]
    shown = found.render()
    assert all(word in shown for word in ("sequence-classification", "why", "head", "collator", "metric", "next: oneloop train"))


def test_a_task_that_cannot_be_trained_says_so() -> None:
    found = next(
        found for found in map(diagnose, (task_class(name).clues.example for name in TASKS)) if not task_class(found.task).trainable
    )
    assert found.trainable in found.render() and found.command.startswith("oneloop check")


def test_nothing_to_diagnose() -> None:
    with pytest.raises(OneloopError, match="nothing to diagnose"):
        diagnose()


def test_numbers_and_several_labels_have_their_own_metric_and_shape(tmp_path: Path) -> None:
    rated, tagged = tmp_path / "rated.jsonl", tmp_path / "tagged.jsonl"
    things = ("the room was cold", "breakfast came late", "a quiet street and kind people", "we would come again", "the lift was broken")
    rated.write_text(
        "".join(json.dumps({"words": f"{things[i % 5]}, stay {i}", "mark": round(0.37 * i % 5, 2)}) + "\n" for i in range(60)), "utf-8"
    )
    several = (["staff"], ["room", "price"], ["price"], ["staff", "room"])
    tagged.write_text(
        "".join(json.dumps({"words": f"{things[i % 5]}, stay {i}", "about": several[i % 4]}) + "\n" for i in range(60)), "utf-8"
    )
    number, labels = diagnose(data=rated), diagnose(data=tagged)
    assert (number.task, number.metric, number.label_shape) == ("sequence-classification", "spearman", "one float per text")
    assert "RMSE" in number.metric_limits and number.as_dict()["metric"] == "spearman"
    assert labels.metric == "macro_f1" and "multi-hot" in labels.label_shape and "class id" not in labels.label_shape


@pytest.mark.parametrize("text", ["words,kind\n", "words,words,kind\nhello there,how are you,a\n"])
def test_a_file_without_a_usable_row_is_an_error_and_no_task(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(OneloopError, match="0 rows are usable") as found:
        diagnose(data=path)
    assert "line 1" in str(found.value)


@pytest.mark.parametrize(
    "sentences", [["This text is about sport.", "This text is about food.", "This text is about money."], ["A man eats", "It rains again"]]
)
def test_a_second_text_that_repeats_is_still_one_of_a_pair(tmp_path: Path, sentences: list[str]) -> None:
    path, verdicts = tmp_path / "nli.tsv", ("entailment", "neutral", "contradiction")
    things = ("the cook cut the bread", "two boys kicked a ball", "rates rose again", "a dog slept in the sun")
    lines = [f"{things[i % 4]} on day {i}\t{sentences[i % len(sentences)]}\t{verdicts[i * 7 % 3]}" for i in range(90)]
    path.write_text("premise\thypothesis\tgold\n" + "\n".join(lines) + "\n", "utf-8")
    found = diagnose(data=path)
    assert found.task == "sequence-classification"
    assert found.columns == {"text": "premise", "text_pair": "hypothesis", "label": "gold"}


def test_short_repeated_answers_stay_the_label(tmp_path: Path) -> None:
    """A column called response may hold the second text of a pair, or what people chose."""
    path, chosen = tmp_path / "survey.csv", ("very satisfied", "not satisfied")
    path.write_text("comment,response\n" + "".join(f"the room was fine on visit {i},{chosen[i % 2]}\n" for i in range(60)), "utf-8")
    assert diagnose(data=path).columns == {"text": "comment", "label": "response"}
