"""Columns of text are told apart by language."""

from __future__ import annotations

import pytest

from oneloop.diagnose.language import identify, likeness, words

SENTENCES = {
    "en": "The ship that left the harbour in the morning was not seen again by any of them.",
    "de": "Das Schiff, das am Morgen aus dem Hafen lief, wurde von keinem von ihnen mehr gesehen und ist nicht zurück.",
    "fr": "Le bateau qui est parti le matin n'a pas été revu et personne ne sait dans quelle mer il est.",
    "es": "El barco que salió del puerto por la mañana no fue visto más y nadie sabe en qué mar está.",
    "it": "La nave che è partita la mattina non si è più vista e nessuno di loro sa in che mare sia.",
    "nl": "Het schip dat in de ochtend uit de haven vertrok is niet meer gezien en niemand van hen weet waar het is.",
    "ru": "Корабль, который вышел утром, больше никто не видел.",
    "ja": "朝に港を出た船はもう見られなかった。",
    "zh": "早上离开港口的船再也没有人见过。",
    "el": "Το πλοίο που έφυγε το πρωί δεν το ξαναείδε κανείς.",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_identify(language: str) -> None:
    assert identify([SENTENCES[language]] * 3)[0] == language


def test_no_words_no_language() -> None:
    assert identify(["", "123 456", "??"]) == ("", 0.0)


def test_likeness_needs_no_known_language() -> None:
    invented = ["zo brel mak ti dun", "ti dun zo frap mak", "mak zo ti lorn brel"]
    other = ["qua nes pli ort ven", "ven qua pli sul ort", "ort nes qua ven pli"]
    rows = [[words(text) for text in column] for column in (invented, other)]
    assert likeness(rows[0], rows[0]) == pytest.approx(1.0) and likeness(rows[0], rows[1]) == 0.0
