"""The signature line: repeatable, sensitive to every input, read back as it went in."""

import pytest

from oneloop.measure.signature import differences, digest, installed, parse, signature

GIVEN = {
    "task": "token-classification",
    "model": "org/name",
    "revision": "a1b2",
    "data_hash": "ffff",
    "split": "test",
    "rows": 120,
    "seed": 1,
    "settings": {"max_length": 384, "stride": 128},
    "statistics_signature": "entities|f1:conlleval",
    "versions": {"torch": "2.13.0"},
}
CHANGED = {
    "task": "question-answering",
    "model": "org/other",
    "revision": "a1b3",
    "data_hash": "fffe",
    "split": "validation",
    "rows": 121,
    "seed": 2,
    "settings": {"max_length": 384, "stride": 64},
    "statistics_signature": "entities|f1:strict",
    "versions": {"torch": "2.13.1"},
}


def test_the_same_inputs_give_the_same_line():
    assert signature(**GIVEN) == signature(**{**GIVEN, "settings": {"stride": 128, "max_length": 384}})
    assert "\n" not in signature(**GIVEN)


@pytest.mark.parametrize("key", CHANGED)
def test_changing_any_input_changes_the_line(key: str):
    changed = signature(**{**GIVEN, key: CHANGED[key]})
    assert changed != signature(**GIVEN)
    assert len(differences(signature(**GIVEN), changed)) == 1


def test_parse_gives_back_what_went_in():
    model = "C:\\models|odd:name 100%\nnew\u2028line é"
    line = signature(**{**GIVEN, "model": model})
    assert line.isprintable() and parse(line)["model"] == model
    assert parse(line)["scorer"] == GIVEN["statistics_signature"] and parse(line)["v.torch"] == "2.13.0"
    with pytest.raises(ValueError, match="not key:value"):
        parse("task:x|nothing")
    assert parse("") == {}


def test_versions_are_those_installed_unless_given():
    assert parse(signature(task="x", model="y"))["v.numpy"] == installed(["numpy"])["numpy"]
    assert installed(["no-such-package"]) == {}


def test_digest_follows_content_and_row_order_not_key_order():
    assert digest([{"a": 1, "b": "é"}, 2]) == digest([{"b": "é", "a": 1}, 2]) != digest([2, {"a": 1, "b": "é"}])
    assert digest([{"a": 1}]) != digest([{"a": "1"}])
    assert digest([{"text": "\ud83d"}])  # a lone surrogate from broken input must not stop the run
