"""Texts with a label, several labels or a number: which column is the text and which is to be predicted.

In: the Profiles of a table. Out: Candidates for "text label", "text labels" and "text score".
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from oneloop.diagnose.language import CODES
from oneloop.diagnose.names import SPLITS, sounds_like
from oneloop.diagnose.profile import Profile, kind_of, number
from oneloop.diagnose.relations import Relation, foretells
from oneloop.diagnose.shapes import Candidate
from oneloop.read.separators import ENTITY

HANDFUL = 20  # rows in which every one of dozens of classes may be another
ENOUGH = 40  # rows from which what the text foretells tells a target from what only stands beside the text
WIDE = 100  # columns that could be the label, of which only the first, the last and those called a label are weighed where there are more
LATER = 20  # places from the left: a later column is a little likelier to be the label, up to here
YES = frozenset({"1", "1.0", "true", "yes", "x", "y", "t"})  # as `oneloop.read.cells.truth` reads them
NO = frozenset({"0", "0.0", "false", "no", "n", "f"})
LETTERS = ("A", "B", "C", "D", "E", "F", "G", "H")  # as options are called
SEPARATORS = ("|", ";", ",", "/")  # as `oneloop.read.separators` tries them


def namelike(profile: Profile) -> bool:
    """Whether the cells are names of people or things: few words, all capitalised."""
    return (
        profile.words <= 4
        and profile.share(lambda text: all(word[:1].isupper() or word in ("de", "van", "von", "of", "&") for word in text.split())) > 0.8
    )


def bookkeeping(profile: Profile) -> bool:
    """Whether the column keeps the books of a table (split names, language codes, one value, ids, dates) and is no label."""
    values = {text.strip().lower() for text in profile.texts}
    split = len(values) <= 4 and values <= SPLITS
    language = values <= CODES and sounds_like(profile.name, "language") > 0
    return profile.distinct < 2 or profile.identifies or profile.dates or profile.links or split or language


def text_columns(profiles: Sequence[Profile]) -> list[Profile]:
    """Columns that can be the text, best first: prose by its length; without any, the most varied column of words."""
    prose = [p for p in profiles if p.prose and not namelike(p) and not p.few]
    if not prose:
        prose = [p for p in profiles if p.kind == "text" and not bookkeeping(p) and not p.few and not p.codes]
    if not prose:
        prose = [p for p in profiles if p.kind == "text" and not bookkeeping(p)]
    return sorted(prose, key=lambda p: -(min(p.median_words, 60) + 4 * sounds_like(p.name, "text") + 5 * p.variety))


def labelled(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """Every way to read the table as texts with something to predict, best score first within a kind."""
    texts = text_columns(profiles)
    if not texts:
        return
    text = _text_of(texts)
    pair = _pair(text, [p for p in texts if p is not text]) or _repeated_pair(text, profiles)
    if pair is not None:
        first, second = sorted((text, pair), key=lambda p: (sounds_like(p.name, "text_pair"), profiles.index(p)))
        text, pair = first, second
    chosen = {"text": text.name} | ({"text_pair": pair.name} if pair else {})
    rest = [p for p in profiles if p is not text and p is not pair]
    for finder in (_one_hot, _weighed, _several, _single, _listed, _graded):
        yield from finder(chosen, text, pair, rest)


def _text_of(texts: Sequence[Profile]) -> Profile:
    """The longest text, unless one at least a quarter as long is called a text and the longest is not."""
    named = [p for p in texts if sounds_like(p.name, "text") and p.median_words >= texts[0].median_words / 4]
    return texts[0] if sounds_like(texts[0].name, "text") or not named else named[0]


def _pair(text: Profile, others: Sequence[Profile]) -> Profile | None:
    """A second text that belongs to the first as an equal: of like length, a question about it, or called so; not its title."""
    for other in others:
        title = sounds_like(other.name, "title") > 0 or (other.median_words < text.median_words / 5 and other.asks < 0.5)
        if title or other.words < 1.8 or _annotation(other):
            continue
        relation = Relation(text, other)
        if (
            relation.lift > 0.04
            or relation.languages_differ
            or sounds_like(other.name, "text_pair")
            or 0.4 < relation.ratio < 2.5
            or other.asks > 0.5
        ):
            return other
    return None


def _repeated_pair(text: Profile, profiles: Sequence[Profile]) -> Profile | None:
    """A second text of a few sentences that come again and again (hypotheses such as "This text is about sport."): called so, and
    beside another column that can be the label."""
    for other in profiles:
        sentences = other is not text and other.kind == "text" and other.words >= 3 and not bookkeeping(other)
        if sentences and sounds_like(other.name, "text_pair") and any(p.few for p in profiles if p is not other and not bookkeeping(p)):
            return other
    return None


def _annotation(profile: Profile) -> bool:
    """Remarks beside the text (notes, explanations, sources), filled only now and then or called so."""
    return profile.filled < 0.6 or bool(re.search(r"note|remark|explan|comment_by|author|source|reason|url", profile.name, re.IGNORECASE))


def _combined(text: Profile, pair: Profile | None) -> list[frozenset[str]]:
    second = pair.word_sets if pair else [frozenset()] * len(text.word_sets)
    return [a | b for a, b in zip(text.word_sets, second)]


def _single(chosen: dict[str, str], text: Profile, pair: Profile | None, rest: Sequence[Profile]) -> Iterator[Candidate]:
    """One label a row: few short values; the column the text foretells best, or that is called so."""
    able = [p for p in rest if (p.few or _many_classes(p)) and not bookkeeping(p) and p.filled > 0.3]
    if len(able) > WIDE:  # a table of thousands of numbers beside a text
        able = [p for i, p in enumerate(able) if sounds_like(p.name, "label") or not WIDE // 2 <= i < len(able) - WIDE // 2]
    words = _combined(text, pair)
    places = {id(column): min(place, LATER) for place, column in enumerate(rest)}
    listed = [p for p in rest if p.kind == "strings" and p.variety > 0.5]
    for column in able:
        told = foretells(words, column.cells) if len(able) > 1 or _beside(column) else 0.3
        texty = 0.03 if column.kind == "text" and not column.codes else 0.0
        score = 0.72 + 0.12 * told + texty + 0.12 * sounds_like(column.name, "label") + 0.002 * places[id(column)]
        score -= 0.1 * (_beside(column) and len(column.values) >= ENOUGH and told < _by_chance(text))
        score -= 0.3 * (1 - min(1.0, 2 * told)) * _beside(column) + 0.08 * (not column.few) + 0.1 * (text.code > 0.5)
        values = sorted({text.strip() for text in column.texts})
        why = (
            f"column {column.name} gives each text one of {len(values)} values ({', '.join(values[:4])}{', …' if len(values) > 4 else ''})"
        )
        yield Candidate("text label", chosen | {"label": column.name}, score, [why], _chosen_among(column, listed))


def _chosen_among(label: Profile, listed: Sequence[Profile]) -> list[str]:
    """What is said where the label is the number or letter of one of the options that each row lists: multiple choice."""
    for options in listed:
        pairs = [(str(cell).strip(), value) for cell, value in zip(label.cells, options.cells) if cell is not None]
        several = all(isinstance(v, list) and len(v) > 1 for _, v in pairs)
        if several and all((cell.isdecimal() and int(cell) <= len(v)) or cell.upper() in LETTERS[: len(v)] for cell, v in pairs):
            return [
                f"column {label.name} seems to name one of the options in column {options.name}: multiple choice. A classifier of the text "
                "alone does not see the options; write a row for each option (the text, the option as second text, right or wrong)"
            ]
    return []


def _many_classes(profile: Profile) -> bool:
    """Short values of which most occur once in a small sample, as with dozens of classes: one word each, or called a label.
    In a handful of rows all may differ."""
    if profile.kind != "text" or profile.codes or profile.dates or profile.links or profile.distinct < 2:
        return False
    if len(profile.values) <= HANDFUL:
        return not profile.identifies and profile.words <= (4 if sounds_like(profile.name, "label") else 1.2)
    if profile.variety > 0.97:
        return False
    return (profile.words <= 1.2 and profile.variety <= 0.9) or (sounds_like(profile.name, "label") > 0 and profile.words <= 4)


def _beside(column: Profile) -> bool:
    """Whether the column tells of the text's circumstances (who wrote it, where, how long it is) by its name or as names do."""
    if sounds_like(column.name, "label"):
        return False
    return sounds_like(column.name, "metadata") + sounds_like(column.name, "title") > 0 or (
        column.kind == "text" and column.words > 1.5 and namelike(column)
    )


def _graded(chosen: dict[str, str], text: Profile, pair: Profile | None, rest: Sequence[Profile]) -> Iterator[Candidate]:
    """One number a row: not whole, or of many different values that are no ids."""
    for column in rest:
        graded = column.kind == "number" and column.distinct >= 3 and not column.few and column.filled > 0.3
        if not graded or (column.identifies and not _bounded(column)):
            continue
        called = sounds_like(column.name, "score")
        counts = column.whole and not _bounded(column) and not called
        score = 0.70 + (0.05 if not column.whole else 0.0) + 0.12 * called + 0.03 * _bounded(column) - 0.28 * counts
        score -= 0.36 * (_beside(column) or _unrelated(column, text, pair)) * (not called)
        low, high = min(column.numbers), max(column.numbers)
        yield Candidate(
            "text score",
            chosen | {"score": column.name},
            score,
            [f"column {column.name} gives each text a number from {low:g} to {high:g}"],
        )


def _unrelated(column: Profile, text: Profile, pair: Profile | None) -> bool:
    """Whether a number on no scale people use (a price, a size) has nothing to do with the words of the text."""
    if pair is not None or _bounded(column) or len(column.values) < ENOUGH:
        return False
    middle = statistics.median(column.numbers)
    high = [None if kind_of(cell) != "number" else number(cell) > middle for cell in column.cells[: len(text.word_sets)]]
    return foretells(text.word_sets, high) < _by_chance(text)


def _by_chance(text: Profile) -> float:
    """What `foretells` gives for a column that has nothing to do with the text: two standard errors of a share, on its scale."""
    return 2 / math.sqrt(max(1, len(text.word_sets)))


def _bounded(column: Profile) -> bool:
    """Numbers on a scale people use: 0-1, -1-1, 0-5, 0-10, 0-100."""
    low, high = min(column.numbers), max(column.numbers)
    return low >= -1 and (high <= 10 or (high <= 100 and not column.whole))


def _one_hot(chosen: dict[str, str], text: Profile, pair: Profile | None, rest: Sequence[Profile]) -> Iterator[Candidate]:
    """Several columns of 0 and 1, yes and no, or of crosses and empty cells."""
    flags = [p for p in rest if _flag(p)]
    if len(flags) >= 2 and sum(1 for p in flags if p.distinct == 2 or _crosses(p)) >= 2:
        names = [p.name for p in flags]
        why = f"columns {', '.join(names[:5])}{', …' if len(names) > 5 else ''} say yes or no of each text"
        yield Candidate("text labels", chosen | {"labels": names}, 0.80 + 0.02 * min(5, len(flags)), [why])


def _flag(profile: Profile) -> bool:
    """Whether every cell says yes or no in a way that is read as such."""
    if profile.kind not in ("number", "text") or profile.distinct > 2:
        return False
    return _crosses(profile) or (profile.filled > 0.9 and {text.strip().lower() for text in profile.texts} <= YES | NO)


def _crosses(profile: Profile) -> bool:
    """Whether the cells are one mark for yes where they are filled, and empty elsewhere."""
    return 0 < profile.filled < 1 and len(marks := {text.strip().lower() for text in profile.texts}) == 1 and marks <= YES


def _weighed(chosen: dict[str, str], text: Profile, pair: Profile | None, rest: Sequence[Profile]) -> Iterator[Candidate]:
    """An object that says yes or no to each label by name: {"URGENT": 1.0, "ROUTINE": 0.0}."""
    for column in rest:
        if column.kind != "object":
            continue
        pairs = [pair for value in column.values if isinstance(value, dict) for pair in value.items()]
        names = Counter(name for name, _ in pairs)
        plain = all(isinstance(weight, int | float) and weight in (0, 1) for _, weight in pairs)
        both = {float(weight) for _, weight in pairs} == {0, 1} if plain else False
        if both and len(names) >= 2 and min(names.values()) >= 0.8 * len(column.values):
            why = f"column {column.name} says yes or no to {len(names)} labels for each text ({', '.join(sorted(names)[:4])})"
            yield Candidate("text labels", chosen | {"labels": column.name}, 0.92, [why])


def _listed(chosen: dict[str, str], text: Profile, pair: Profile | None, rest: Sequence[Profile]) -> Iterator[Candidate]:
    """A list with exactly one label in every row, as annotation programs write a single choice."""
    for column in rest:
        alone = column.kind == "strings" and all(isinstance(value, list) and len(value) == 1 for value in column.values)
        if alone and column.filled > 0.3 and 2 <= len(column.items) <= 0.6 * column.items.total() + 4 and column.tagged < 0.9:
            score = 0.84 + 0.05 * sounds_like(column.name, "label")
            why = f"column {column.name} lists one label for each text, {len(column.items)} different ones"
            yield Candidate("text label", chosen | {"label": column.name}, score, [why])


def _several(chosen: dict[str, str], text: Profile, pair: Profile | None, rest: Sequence[Profile]) -> Iterator[Candidate]:
    """A list of labels a row, as a list or with a separator."""
    for column in rest:
        items = column.items if column.kind in ("strings", "numbers") else None
        lengths = {len(value) for value in column.values if isinstance(value, list)}
        if items and len(lengths) > 1 and 2 <= len(items) <= 0.6 * items.total() + 4 and column.tagged < 0.9:
            score = 0.86 + 0.05 * sounds_like(column.name, "label")
            why = f"column {column.name} lists labels: {len(items)} different ones, {min(lengths)} to {max(lengths)} a text"
            yield Candidate("text labels", chosen | {"labels": column.name}, score, [why])
        elif column.kind == "text" and (separator := separator_of(column)):
            why = f"column {column.name} lists labels separated by '{separator}'"
            yield Candidate("text labels", chosen | {"labels": column.name}, 0.88 + 0.05 * sounds_like(column.name, "label"), [why])
    for column in rest:
        lengths = {len(value) for value in column.values if isinstance(value, list)}
        if column.kind == "numbers" and len(lengths) == 1 and set(column.items) <= {0, 1} and len(column.items) == 2:
            why = f"column {column.name} says yes or no to {lengths.pop()} labels for each text"
            yield Candidate("text labels", chosen | {"labels": column.name}, 0.9, [why])


def separator_of(column: Profile) -> str:
    """The sign that separates short labels which repeat across rows, "" if there is none."""
    texts = [ENTITY.sub("&", text) if "&" in text else text for text in column.texts]
    for separator in SEPARATORS:
        lists = [[part.strip() for part in text.split(separator)] for text in texts]
        several = sum(1 for parts in lists if len(parts) > 1)
        items = {part for parts in lists for part in parts}
        total = sum(len(parts) for parts in lists)
        counts = {len(parts) for parts in lists}
        if (
            several >= 0.15 * len(lists)
            and len(counts) > 1
            and len(items) <= 0.4 * total
            and max(len(item) for item in items) <= 40
            and "" not in items
        ):
            return separator
    return ""
