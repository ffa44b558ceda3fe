"""Answers that do not stand where their row says: found, moved and counted, or named as problems.

In:  rows with "context" and "answers" [{"text", "start"}]; a start may be None, off by one or two, counted in UTF-16 units
     or bytes, or made for a text in another Unicode form.
Out: rows whose answers are exact slices of their contexts, notes on what was changed, and one Problem for each row without
     a usable answer.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneloop.encode.spans import whole_characters
from oneloop.errors import Problem, counted, first_rows
from oneloop.read.offsets import UNITS, converter
from oneloop.tasks.base import Row

NEAR = 2  # characters by which a start may be off: counting from 1, a quote mark or a blank that was stripped
SHOWN = 40  # characters of an answer in a message
LISTED = 3  # places or rows listed in a message
KEPT = 64  # contexts whose tables are kept; the questions about one context stand together
PLAIN = "code points"

EMPTY, ABSENT, ELSEWHERE = "empty", "absent", "elsewhere"


@dataclass
class Context:
    """One context with what is worked out about it when needed."""

    text: str
    tables: dict[str, Callable[[int], int | None]] = field(default_factory=dict)
    folded: tuple[str, list[int]] | None = None

    def code_point(self, offset: int, unit: str) -> int | None:
        """An offset in `unit` in code points; None inside a character or past the end."""
        if unit == PLAIN or self.text.isascii():
            return offset
        if unit not in self.tables:
            self.tables[unit] = converter(self.text, unit)
        return self.tables[unit](offset)

    def fold(self) -> tuple[str, list[int]]:
        """`fold(text)`, once."""
        if self.folded is None:
            self.folded = fold(self.text)
        return self.folded


def repair_answers(rows: Sequence[Row]) -> tuple[list[Row], list[str], list[Problem]]:
    """(rows with exact answers, notes, problems). Rows without "answers" and unanswerable ones ([]) pass unchanged.

    An answer of several that cannot be placed is left out and counted; a row of which none can is a Problem and is left out.
    """
    contexts: dict[str, Context] = {}
    unit = find_unit(rows, contexts)
    done: dict[str, list[tuple[str, int | None]]] = {}
    kept: list[Row] = []
    problems: list[Problem] = []
    for row in rows:
        if not row.get("answers"):
            kept.append(row)
            continue
        context, at = _context(row["context"], contexts), (str(row.get("file", "")), row.get("row"))
        good, bad = [], []
        for answer in row["answers"]:
            place, how = find_answer(answer["text"], answer.get("start"), context, unit)
            if place is not None and how:
                done.setdefault(how, []).append(at)
            if place is None:
                bad.append((how, answer))
            else:
                good.append({"text": row["context"][place[0] : place[1]], "start": place[0]})
        if good:
            if bad:
                done.setdefault("left out", []).extend([at] * len(bad))
            kept.append(row if good == row["answers"] else row | {"answers": good})
        else:
            problems.append(_problem(row, *bad[0]))
    return kept, _notes(done), problems


def find_unit(rows: Sequence[Row], contexts: dict[str, Context] | None = None) -> str:
    """What the starts of these rows count: "code points", "UTF-16 units" or "bytes of UTF-8"; the one under which most
    answers read as they should, among those answers for which it makes a difference."""
    contexts = {} if contexts is None else contexts
    hits: Counter[str] = Counter()
    for row in rows:
        if row["context"].isascii() if row.get("answers") else True:
            continue
        context = _context(row["context"], contexts)
        for answer in row["answers"]:
            start = answer.get("start")
            if start is None or not answer["text"] or row["context"][:start].isascii():
                continue
            for unit in (PLAIN, *UNITS):
                place = context.code_point(start, unit)
                hits[unit] += place is not None and row["context"].startswith(answer["text"], place)
    return max((PLAIN, *UNITS), key=lambda unit: hits[unit])


def _context(text: str, contexts: dict[str, Context]) -> Context:
    if text not in contexts:
        if len(contexts) >= KEPT:
            contexts.clear()
        contexts[text] = Context(text)
    return contexts[text]


def find_answer(text: str, start: int | None, context: Context, unit: str = PLAIN) -> tuple[tuple[int, int] | None, str]:
    """((start, end), how) of an answer in code points of its context, whole visible characters; `how` says what had to be
    done, "" for nothing. (None, EMPTY | ABSENT | ELSEWHERE) when it cannot be placed."""
    words = text.strip()
    if not words:
        return None, EMPTY
    if start is not None and start >= 0:
        start += len(text) - len(text.lstrip())
        place, how = _stated(words, start, context, unit)
    else:
        place, how = _searched(words, context)
    if place is None:
        return None, how
    whole = whole_characters(context.text, *place)
    return whole, how or ("widened" if whole != place else "")


def _stated(words: str, start: int, context: Context, unit: str) -> tuple[tuple[int, int] | None, str]:
    """Where an answer with a start stands: there, there in another unit, near by, or near by in another Unicode form."""
    for name in dict.fromkeys((unit, PLAIN, *UNITS)):
        place = context.code_point(start, name)
        if place is not None and context.text.startswith(words, place):
            return (place, place + len(words)), "" if place == start else name
    stated = context.code_point(start, unit)
    stated = start if stated is None else stated
    for distance in (-1, 1, -2, 2):
        if stated + distance >= 0 and context.text.startswith(words, stated + distance):
            return (stated + distance, stated + distance + len(words)), "moved"
    places = _folded_places(words, context)
    if not places:
        return None, ABSENT
    nearest = min(places, key=lambda place: abs(place[0] - stated))
    if abs(nearest[0] - stated) <= NEAR + drift(context.text):
        return nearest, "folded"
    return None, ELSEWHERE


def _searched(words: str, context: Context) -> tuple[tuple[int, int] | None, str]:
    """Where an answer without a start stands first."""
    place = context.text.find(words)
    if place >= 0:
        return (place, place + len(words)), "several" if context.text.find(words, place + 1) >= 0 else "searched"
    places = _folded_places(words, context)
    return (places[0], "folded") if places else (None, ABSENT)


def only_place(text: str, context: str) -> int | None:
    """Where an answer stands in its context, in code points, if it stands there once and not inside a word; else None."""
    at = context.find(text) if text.strip() else -1
    if at < 0 or context.find(text, at + 1) >= 0:
        return None
    end = at + len(text)
    inside = (at > 0 and context[at - 1].isalnum() and text[0].isalnum()) or (
        end < len(context) and context[end].isalnum() and text[-1].isalnum()
    )
    return None if inside else at


def drift(text: str) -> int:
    """How far a start may be off because it was counted in another Unicode form of the same text."""
    if text.isascii():
        return 0
    return max(abs(len(text) - len(unicodedata.normalize(form, text))) for form in ("NFC", "NFD", "NFKC", "NFKD"))


def fold(text: str) -> tuple[str, list[int]]:
    """(text in a form that is the same for all Unicode forms, position in `text` of each of its characters): compatibility
    decomposition with marks in canonical order, each run of white space as one space, invisible format characters left out."""
    found: list[tuple[str, int]] = []
    marks: list[tuple[str, int]] = []
    for position, whole in enumerate(text):
        if whole.isascii():
            pieces = whole
        elif unicodedata.category(whole) == "Cf":
            continue
        else:
            pieces = unicodedata.normalize("NFKD", whole)
        for char in pieces:
            if not char.isascii() and unicodedata.combining(char):
                marks.append((char, position))
                continue
            found += sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))
            marks = []
            if not char.isspace():
                found.append((char, position))
            elif not found or found[-1][0] != " ":
                found.append((" ", position))
    found += sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))
    return "".join(char for char, _ in found), [position for _, position in found]


def _folded_places(words: str, context: Context) -> list[tuple[int, int]]:
    """Every place where the answer stands in another Unicode form, as (start, end) of the original text. A letter does not
    match the same letter with a mark."""
    wanted = fold(words)[0].strip()
    text, origins = context.fold()
    places = []
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if end == len(text) or not unicodedata.combining(text[end]):
            first, last = min(origins[at:end]), max(origins[at:end])
            places.append((first, last + 1))
        at = text.find(wanted, at + 1)
    return places


# what was done to answers: (one, several), each to follow their number
NOTES = {
    "UTF-16 units": (
        "answer had its start counted in UTF-16 units (JavaScript, Java, C#): converted to characters",
        "answers had their start counted in UTF-16 units (JavaScript, Java, C#): converted to characters",
    ),
    "bytes of UTF-8": (
        "answer had its start counted in bytes of UTF-8: converted to characters",
        "answers had their start counted in bytes of UTF-8: converted to characters",
    ),
    PLAIN: (
        "answer had its start counted in characters, unlike the others: kept",
        "answers had their start counted in characters, unlike the others: kept",
    ),
    "moved": (
        "answer stood one or two characters beside its start: moved",
        "answers stood one or two characters beside their start: moved",
    ),
    "folded": (
        "answer is written in another Unicode form or spacing than its context: matched, and taken as the context has it",
        "answers are written in another Unicode form or spacing than their context: matched, and taken as the context has them",
    ),
    "widened": (
        "answer ended inside a visible character (a letter without its accent): widened to the whole character",
        "answers ended inside a visible character (a letter without its accent): widened to the whole character",
    ),
    "searched": (
        "answer without a start: found in its context, where it occurs once",
        "answers without a start: found in their context, where each occurs once",
    ),
    "several": (
        "answer without a start occurs several times in its context: the first place is taken",
        "answers without a start occur several times in their context: the first place is taken",
    ),
    "left out": (
        "answer that does not stand in its context was left out; its row has others",
        "answers that do not stand in their context were left out; their rows have others",
    ),
}


def _notes(done: dict[str, list[tuple[str, int | None]]]) -> list[str]:
    """A sentence for everything that was done, with the first of its rows."""
    found = [(counted(len(done[how]), *texts), first_rows(done[how])) for how, texts in NOTES.items() if how in done]
    return [f"{text} ({at})" if at else text for text, at in found]


def _problem(row: Row, how: str, answer: dict[str, Any]) -> Problem:
    """The problem of a row whose answers cannot be placed."""
    text, start, context = answer["text"].strip(), answer.get("start"), row["context"]
    short = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    if how == EMPTY:
        reason, remedy = "the answer is empty", "for a question without an answer leave the list of answers empty"
    elif how == ABSENT:
        reason = f"the answer '{short}' does not stand in its context"
        remedy = "answers must be copied from the context word for word; correct it, or empty the list of answers"
    else:
        there = [str(place) for place, _ in _folded_places(text, Context(context))]
        seen = context[start : start + min(len(text), SHOWN)] if start is not None else ""
        more = f" and {len(there) - LISTED} more places" if len(there) > LISTED else ""
        reason = f"the start {start} is wrong: there the context reads '{seen}', and '{short}' stands at {', '.join(there[:LISTED])}{more}"
        remedy = "correct the start, or leave it out to have the answer searched"
    return Problem(reason, remedy, str(row.get("file", "")), row.get("row"), column="answers")
