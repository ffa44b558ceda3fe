"""Entities in tag sequences, counted as conlleval counts them, with the strict reading beside it.

In:  predicted and gold tags, one list per row (a sentence or document); prefix and type are joined by the first hyphen.
Out: Statistics: precision, recall, f1 (conlleval), f1_strict, accuracy; for tag sets without entities accuracy and macro_f1.

Two readings of a broken sequence such as `O I-PER`:
  conlleval  an entity starts wherever the tags cannot be inside the one before (Tjong Kim Sang and Buchholz, CoNLL-2000; the
             published script's startOfChunk and endOfChunk, extended to S- and E- tags as its Python ports do); seqeval's default
  strict     only what the scheme allows is an entity, the rest is O: seqeval's strict mode, seqscore's `discard`
Rows never share an entity: every row is read on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from oneloop.errors import DataError, Problem
from oneloop.measure.statistics import Statistics, ratio, require_pairs

Tags = Sequence[str]
Chunk = tuple[str, int, int]  # type, first tag, last tag + 1

OUTSIDE = ("O", ".")  # conlleval treats a lone full stop as outside
SINGLE = ("S", "U")  # BIOES says S and E where BILOU says U and L; BMES says M for I
LAST = ("E", "L")
INSIDE = ("I", "M")
PREFIXES = ("B", *INSIDE, *LAST, *SINGLE)


def parse(tag: str) -> tuple[str, str]:
    """`B-PER` as ("B", "PER"), `O` as ("O", "").

    A tag without a prefix is the inside of its own type: `PER` is ("I", "PER"), `GPE-LOC` is ("I", "GPE-LOC"). A one-letter
    prefix outside the schemes is kept (`b-PER` is ("b", "PER")): conlleval reads it as an inside, the strict reading as O.
    """
    if tag in OUTSIDE or tag == "":
        return "O", ""
    prefix, hyphen, kind = tag.partition("-")
    if hyphen and len(prefix) == 1:
        return ("O" if prefix in OUTSIDE else prefix), kind
    return "I", tag


def has_entities(tags: Iterable[str]) -> bool:
    """Whether a tag set marks entities: a tag has a prefix such as `B-`, or there is an `O` beside names longer than a letter.

    Parts of speech have neither (a few sets of one-letter tags use O for a pronoun).
    """
    names = set(tags)
    if any(len(prefix) == 1 and prefix in PREFIXES for prefix in (name.partition("-")[0] for name in names if "-" in name)):
        return True
    others = names - {"O"}
    return "O" in names and (not others or any(len(name) > 1 for name in others))


def scheme_of(rows: Iterable[Tags]) -> str:
    """`BIOES`, `IOB2`, `IOB1` or `IO`: the scheme that most entities of these rows follow.

    In BIOES every entity ends in a tag of its own; IOB1 uses B- only between two entities of one type, so there most entities
    start with I-; in IOB2 all start with B-; IO has no B-.
    """
    begun = inside = ended = 0
    for tags in rows:
        before, kind_before = "O", ""
        for tag in tags:
            prefix, kind = parse(tag)
            begun += prefix == "B"
            inside += prefix in INSIDE and (before == "O" or kind != kind_before)
            ended += prefix in SINGLE or prefix in LAST
            before, kind_before = prefix, kind
    if 2 * ended > begun + inside and ended:
        return "BIOES"
    if begun == 0:
        return "IO" if inside else "IOB2"
    return "IOB2" if begun >= inside else "IOB1"


def chunks(tags: Tags) -> list[Chunk]:
    """The entities of one row by conlleval's rules, in order."""
    found: list[Chunk] = []
    start, before, kind_before = 0, "O", ""
    open_chunk = False
    for position, tag in enumerate([*tags, "O"]):
        prefix, kind = parse(tag)
        if open_chunk and _ends(before, prefix, kind_before, kind):
            found.append((kind_before, start, position))
            open_chunk = False
        if _starts(before, prefix, kind_before, kind):
            start, open_chunk = position, True
        before, kind_before = prefix, kind
    return found


def _starts(before: str, prefix: str, kind_before: str, kind: str) -> bool:
    """conlleval's startOfChunk: does an entity start at `prefix`?"""
    if prefix == "O":
        return False
    return prefix == "B" or prefix in SINGLE or before == "O" or before in SINGLE or before in LAST or kind != kind_before


def _ends(before: str, prefix: str, kind_before: str, kind: str) -> bool:
    """conlleval's endOfChunk: did the entity that `before` belongs to end before `prefix`?"""
    if before == "O":
        return False
    return before in LAST or before in SINGLE or prefix in ("B", "O") or prefix in SINGLE or kind != kind_before


def strict_chunks(tags: Tags, scheme: str = "IOB2") -> list[Chunk]:
    """The entities of one row that are well formed under `scheme`, in order; everything else is read as O.

    IOB2: B- then I- of the same type. BIOES: S- alone, or B- then I- then E- of the same type. In IOB1 and IO every sequence is
    well formed, so these are conlleval's.
    """
    if scheme in ("IO", "IOB1"):
        return chunks(tags)
    found: list[Chunk] = []
    start, kind_open = -1, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, kind = parse(tag)
        if start >= 0 and kind == kind_open and prefix in INSIDE:
            continue
        if start >= 0 and scheme != "BIOES":
            found.append((kind_open, start, position))
        elif start >= 0 and kind == kind_open and prefix in LAST:
            found.append((kind_open, start, position + 1))
        if scheme == "BIOES" and prefix in SINGLE:
            found.append((kind, position, position + 1))
        start, kind_open = (position, kind) if prefix == "B" else (-1, "")
    return found


def entities(predicted: Sequence[Tags], gold: Sequence[Tags], *, scheme: str | None = None) -> Statistics:
    """`precision`, `recall`, `f1` (conlleval), `f1_strict` and `accuracy` (tags that are equal) of one tag list per row.

    scheme: what the strict reading calls well formed; found from the gold tags where not given. Where neither side has an entity
    the entity metrics are undefined (NaN); where only one side has, they are 0 as conlleval prints them. Additive.
    Raises DataError naming every row whose two lists differ in length.
    """
    require_tags(predicted, gold)
    scheme = scheme or scheme_of(gold)
    table = np.zeros((len(gold), 8))
    for line, said, true in zip(table, predicted, gold):
        line[0:3] = _overlap(chunks(said), chunks(true))
        line[3:6] = _overlap(strict_chunks(said, scheme), strict_chunks(true, scheme))
        line[6:8] = sum(one == other for one, other in zip(said, true)), len(true)

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        correct, said, true, strict, said_strict, true_strict, right, tags = sums.T
        nothing = said + true == 0
        return {
            "precision": np.where(nothing, np.nan, _or_zero(ratio(correct, said))),
            "recall": np.where(nothing, np.nan, _or_zero(ratio(correct, true))),
            "f1": ratio(2 * correct, said + true),
            "f1_strict": ratio(2 * strict, said_strict + true_strict),
            "accuracy": ratio(right, tags),
        }

    return Statistics(table, reduce, signature=f"entities|f1:conlleval|f1_strict:{scheme}|no-entity:undefined")


def tags(predicted: Sequence[Tags], gold: Sequence[Tags]) -> Statistics:
    """`accuracy` and `macro_f1` over tags, for tag sets without entities (parts of speech). Additive; rows are the sampling unit.

    The macro average runs over the tags that occur in gold or predictions, as scikit-learn's default does.
    """
    require_tags(predicted, gold)
    place = {tag: i for i, tag in enumerate(dict.fromkeys(tag for row in (*gold, *predicted) for tag in row))}
    width = len(place)
    table = np.zeros((len(gold), 3 * width + 2))
    for line, said, true in zip(table, predicted, gold):
        for one, other in zip(said, true):
            line[place[one]] += one == other
            line[width + place[one]] += 1
            line[2 * width + place[other]] += 1
        line[-2:] = line[:width].sum(), len(true)

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        scores = ratio(2 * sums[:, :width], sums[:, width : 2 * width] + sums[:, 2 * width : 3 * width])
        present = (~np.isnan(scores)).sum(axis=1)
        return {"accuracy": ratio(sums[:, -2], sums[:, -1]), "macro_f1": ratio(np.nansum(scores, axis=1), present)}

    return Statistics(table, reduce, signature="tags|macro:tags-that-occur")


def type_table(predicted: Sequence[Tags], gold: Sequence[Tags]) -> list[dict[str, Any]]:
    """One dict per entity type, by name: label, precision, recall, f1, support, predicted, by conlleval's counting.

    A ratio without a denominator is None.
    """
    require_tags(predicted, gold)
    counts: dict[str, list[int]] = {}
    for said, true in zip(predicted, gold):
        one, other = set(chunks(said)), set(chunks(true))
        for column, found in enumerate((one & other, one, other)):
            for kind, _, _ in found:
                counts.setdefault(kind, [0, 0, 0])[column] += 1
    return [
        {
            "label": kind,
            "precision": right / said if said else None,
            "recall": right / true if true else None,
            "f1": 2 * right / (said + true),
            "support": true,
            "predicted": said,
        }
        for kind, (right, said, true) in sorted(counts.items())
    ]


def require_tags(predicted: Sequence[Tags], gold: Sequence[Tags]) -> None:
    """Refuse rows whose predicted and gold tags differ in number, all of them in one DataError."""
    require_pairs(predicted, gold)
    problems = [
        Problem(f"{len(said)} predicted tags for {len(true)} words", "predict one tag for each word", row=number)
        for number, (said, true) in enumerate(zip(predicted, gold), 1)
        if len(said) != len(true)
    ]
    if problems:
        raise DataError(f"{len(problems)} rows have another number of predicted tags than of words", problems)


def _overlap(said: list[Chunk], true: list[Chunk]) -> tuple[int, int, int]:
    """Entities in both, predicted, gold."""
    return len(set(said) & set(true)), len(said), len(true)


def _or_zero(values: np.ndarray) -> np.ndarray:
    """0 where undefined: conlleval prints 0 for the precision of no prediction and for the recall of no gold entity."""
    filled: np.ndarray = np.nan_to_num(values, nan=0.0)
    return filled
