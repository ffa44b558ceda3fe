"""The words of a row, where they stand, and what is marked on them.

In:  a row with tokens (and tags), or with text (and spans).
Out: words with their places in a text; gold and predicted tags on the same words, for scoring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oneloop.encode.spans import (
    OUTSIDE,
    Place,
    as_iob2,
    cover,
    find_words,
    join_words,
    level_for,
    split_words,
    tag_words,
    without_overlaps,
)
from oneloop.errors import DataError, Problem, counted, first_rows
from oneloop.measure.entities import INSIDE, LAST, SINGLE, has_entities, parse, scheme_of
from oneloop.read.schemes import invalid_transitions
from oneloop.tasks.base import Row


@dataclass(frozen=True)
class Words:
    """The words of a row and their places in `text`: the row's own, else the words joined by single spaces."""

    words: list[str]
    places: list[Place]
    text: str


def words_of(row: Row, level: str = "words") -> Words:
    """The row's tokens, else its text split into words at `level` (see `spans.split_words`); never by looking at its spans,
    so that a text gives the same words in training, evaluation and prediction."""
    if "tokens" in row:
        words = list(row["tokens"])
        places = find_words(row["text"], words) if row.get("text") else None
        if places is not None:
            return Words(words, places, row["text"])
        text, places = join_words(words)
        return Words(words, places, text)
    places = split_words(row["text"], level)
    return Words([row["text"][start:end] for start, end in places], places, row["text"])


def gold_tags(row: Row, marked: Words, known: Sequence[str]) -> list[str] | None:
    """The tags of the row's words in IOB2, as a model learns them; None where the row has neither tags nor spans.

    Tags that are in `known` stay as they are; other spellings of entities (IOB1, BIOES, lower case) are read by
    conlleval's rules. A word that a span covers in part takes its tag whole.
    """
    if "tags" in row:
        return list(row["tags"]) if set(known).issuperset(row["tags"]) else as_iob2(row["tags"])
    if "spans" in row:
        return cover(marked.places, without_overlaps(marked.text, row["spans"])[0])
    return None


def tags_to_score(row: Row, level: str, predicted: Sequence[str], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """(predicted, gold) tags on the same words. Words are split where a gold span starts or ends inside one, so that an
    entity counts as found only if its characters are exactly those of the span."""
    marked = words_of(row, level)
    if "tags" in row:
        return list(predicted), gold_tags(row, marked, known) or []
    pieces, gold = tag_words(marked.text, without_overlaps(marked.text, row["spans"])[0], marked.places)
    said, position = [], -1
    for start, _ in pieces:
        if position + 1 < len(predicted) and marked.places[position + 1][0] == start:
            position += 1
            said.append(predicted[position])
        else:
            said.append("I" + predicted[position][1:] if predicted[position][:2] == "B-" else predicted[position])
    return said, gold


def other_scheme(tags: Sequence[str]) -> bool:
    """Whether the tags use prefixes that IOB2 does not have (S- and E-, U- and L-, M-)."""
    return any(parse(tag)[0] in (*SINGLE, *LAST, *INSIDE[1:]) for tag in set(tags))


def misfits(rows: Sequence[Row]) -> list[Problem]:
    """Rows without words, with another number of tags than of words, and spans that do not lie inside their text."""
    found = []
    for row in rows:
        file, number = str(row.get("file", "")), row.get("row")
        if "tokens" not in row and "text" not in row:
            found.append(Problem("there are neither words nor a text", "fill in tokens or text", file, number))
        if "tokens" in row and "tags" in row and len(row["tokens"]) != len(row["tags"]):
            what = f"{len(row['tokens'])} words but {len(row['tags'])} tags"
            found.append(Problem(what, "give every word exactly one tag", file, number, column="tags"))
        for span in row.get("spans", ()) if "text" in row else ():
            if not 0 <= span["start"] < span["end"] <= len(row["text"]):
                what = f"span {span['start']}-{span['end']} ({span['label']}) does not lie inside its text of {len(row['text'])} characters"
                found.append(Problem(what, "correct start and end (characters, from 0, end exclusive)", file, number, column="spans"))
    return found


def odd_tags(rows: Sequence[Row]) -> list[str]:
    """A sentence on tags that cannot stand where they stand in IOB2, with the first of them; empty where all can."""
    broken = [(row, found) for row in rows if "tags" in row for found in invalid_transitions(row["tags"], "IOB2")]
    if not broken:
        return []
    row, first = broken[0]
    at = f"{row.get('file', '')} row {row.get('row')} word {first.position + 1}".strip()
    count = f"{len(broken)} {'tag' if len(broken) == 1 else 'tags'}"
    return [f"{count} out of place are read as conlleval reads them (first: {at}: {first.reason}); oneloop check lists them"]


def prepared(rows: Sequence[Row]) -> tuple[list[Row], list[str], list[Problem]]:
    """Rows with IOB2 tags and spans on whole characters without overlaps; sentences on what was changed; what does not fit."""
    problems = misfits(rows)
    bad = {(problem.file, problem.row) for problem in problems}
    rows = [row for row in rows if (str(row.get("file", "")), row.get("row")) not in bad]
    notes = []
    tagged = [row["tags"] for row in rows if "tags" in row]
    scheme = scheme_of(tagged)
    if tagged and has_entities(tag for tags in tagged for tag in tags) and (scheme != "IOB2" or any(map(other_scheme, tagged))):
        rows = [row | {"tags": as_iob2(row["tags"])} if "tags" in row else row for row in rows]
        notes.append(f"tags are written as {scheme}: the same entities are learned and scored as IOB2")
    elif scheme == "IOB2":
        notes += odd_tags(rows)
    moved: list[tuple[str, int | None]] = []
    dropped: list[tuple[str, int | None]] = []
    found = []
    for row in rows:
        if row.get("spans") and "text" in row:
            kept, over = without_overlaps(row["text"], row["spans"])
            place = (str(row.get("file", "")), row.get("row"))
            dropped += [place] * len(over)
            moved += [place] * sum(span not in row["spans"] for span in kept)
            row = row | {"spans": kept}
        found.append(row)
    if dropped:
        verbs = "overlaps a longer one and is" if len(dropped) == 1 else "overlap a longer one and are"
        notes.append(f"{counted(len(dropped), 'span')} {verbs} left out: a word has one tag ({first_rows(dropped)})")
    if moved:
        verbs, whose = ("starts and ends", "its") if len(moved) == 1 else ("start and end", "their")
        rows_of = first_rows(moved)
        notes.append(f"{counted(len(moved), 'span')} now {verbs} at whole characters, without white space at {whose} edges ({rows_of})")
    return found, notes, problems


def tag_facts(rows: Sequence[Row]) -> dict[str, Any]:
    """labels, kind ("entities" or "pos"), scheme, usual (the tag of words that give the model nothing to read), and the level
    at which texts are split. DataError when no word has a tag, or all have the same."""
    tagged = [row["tags"] for row in rows if "tags" in row]
    marked = [(row["text"], row["spans"]) for row in rows if "spans" in row and "tokens" not in row]
    counts = Counter(tag for tags in tagged for tag in tags)
    if not marked and not has_entities(counts):
        if len(counts) < 2:
            what = f"all words have the tag {next(iter(counts))!r}" if counts else "no row has tags or spans"
            raise DataError(
                f"{what}: there is nothing to learn", expected="rows with tokens and tags, or text and spans", fix="check the columns"
            )
        return {"labels": sorted(counts), "kind": "pos", "scheme": "plain", "usual": counts.most_common(1)[0][0]}
    types = {parse(tag)[1] for tag in counts} | {span["label"] for _, spans in marked for span in spans}
    types.discard("")
    if not types:
        raise DataError(
            "no training row marks any entity: there is nothing to learn",
            expected="tags such as B-PER, or spans",
            fix="check the tags column",
        )
    labels = [OUTSIDE, *(prefix + kind for kind in sorted(types) for prefix in ("B-", "I-"))]
    return {"labels": labels, "kind": "entities", "scheme": "IOB2", "usual": OUTSIDE, "level": level_for(marked) if marked else "words"}
