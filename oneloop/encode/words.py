"""Labels of words on the tokens of words, and back.

In:  one label for each word, and for each token the position of its word (None for special tokens).
Out: one label for each token; or, for people, the labels printed under their words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from oneloop.tasks.base import IGNORE


def continuations(labels: Sequence[str]) -> list[int]:
    """For each label id the id that the later tokens of a word get: B-X gives I-X where the set has it, others themselves.

    By name, never by position: part-of-speech tags and shuffled label lists stay what they are.
    """
    place = {name: i for i, name in enumerate(labels)}
    return [place.get("I" + name[1:], i) if name[:2] in ("B-", "B_") else i for i, name in enumerate(labels)]


def align(word_labels: Sequence[int], word_ids: Sequence[int | None], later: Sequence[int] | None) -> list[int]:
    """One label for each token: special tokens IGNORE, the first token of a word its label, later ones `later[label]`.

    later: from `continuations`; None trains and scores first tokens only (the others are IGNORE). A word labelled IGNORE
    stays IGNORE.
    """
    found, previous = [], None
    for word in word_ids:
        if word is None:
            found.append(IGNORE)
        elif word != previous:
            found.append(word_labels[word])
        elif later is None or word_labels[word] == IGNORE:
            found.append(IGNORE)
        else:
            found.append(later[word_labels[word]])
        previous = word
    return found


def first_tokens(word_ids: Sequence[int | None], words: int) -> list[int]:
    """For each of `words` words the position of its first token, -1 where it has none."""
    found = [-1] * words
    for position in range(len(word_ids) - 1, -1, -1):
        word = word_ids[position]
        if word is not None:
            found[word] = position
    return found


def label_lines(words: Sequence[str], labels: Sequence[str]) -> str:
    """Two lines: the words, and each label under its word. Wide (East Asian) characters count as two columns."""
    columns = [max(_width(word), _width(label)) for word, label in zip(words, labels)]
    return "\n".join(
        " ".join(cell + " " * (column - _width(cell)) for cell, column in zip(cells, columns)).rstrip() for cells in (words, labels)
    )


def _width(text: str) -> int:
    """Columns that a terminal needs for a text."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
