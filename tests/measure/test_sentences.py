"""Sentences by rule."""

import pytest

from oneloop.measure.sentences import as_lines, lead, sentences

TEXT = (
    "Envoys of the U.S. and the U.N. signed the treaty on Friday. Dr. J. K. Moss, who led the U.S. Geological Survey, called it "
    'a "turning point." The vote takes place on Jan. 5 at 3 p.m. in Geneva. Nobody objected.'
)


def test_C078_lead_three_is_not_misled_by_abbreviations():
    assert lead(TEXT).split("\n") == [
        "Envoys of the U.S. and the U.N. signed the treaty on Friday.",
        'Dr. J. K. Moss, who led the U.S. Geological Survey, called it a "turning point."',
        "The vote takes place on Jan. 5 at 3 p.m. in Geneva.",
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("She lives in the U.S. The move was easy.", 2),
        ("It costs 3.50 euros. Really? Yes! Fine...", 4),
        ("See Fig. 3 and p. 12 for details, e.g. the U.N. Charter.", 1),
        ("1. Introduction to the topic", 1),
        ("No. That is wrong. It was No. 5.", 3),
        ("So did I. Then we left (quickly). He stayed.", 3),
        ("one line\nbroken in two. Another.", 2),
        ("A heading without a stop\n\nThe text begins.", 2),
        ("今天下雨。我们在家！你呢？", 3),
        ("Das ist z.B. ein Test. Er gelingt.", 2),
        ("¿Qué hora es? ¡Es tarde!", 2),
        ("यह एक वाक्य है। यह दूसरा है।", 2),
        ("The cat sat. Bob wed. Ann ate a fig. Carl laughed at Plan B. So did we.", 5),
        ("It was made by Smith et al. in May. Acme Inc. Chairman Lee agreed.", 2),
        ("", 0),
        ("   \n\n ", 0),
    ],
)
def test_sentences(text: str, count: int):
    assert len(sentences(text)) == count


def test_nothing_but_white_space_is_lost():
    assert "".join("".join(sentences(TEXT)).split()) == "".join(TEXT.split())


def test_own_lines_win_over_sentences():
    assert as_lines("first. Still first\nsecond") == "first. Still first\nsecond"
    assert as_lines("One. Two.") == "One.\nTwo."
