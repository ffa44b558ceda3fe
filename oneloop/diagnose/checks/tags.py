"""What is wrong with tags on words: sequences the scheme does not allow, schemes mixed, words and tags that do not pair up.

In:  `Data` with roles `tokens` and `tags`. Out: findings; every kind of broken sequence on its own, with its rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, SHOWN_ROWS, TRAIN, Data, Finding, about
from oneloop.measure.entities import INSIDE, LAST, PREFIXES, SINGLE, chunks, has_entities, parse, scheme_of
from oneloop.tasks.base import Row

LONG_ENTITY = 20  # words from which an entity is probably a missing O
SURE, TIMES = 0.95, 20  # a name with one type this often, this many times, is probably mislabelled where it has another
FEW_EXAMPLES = 5
ENOUGH, TOUCHING = 1000, 3  # entities, and neighbours of two types among them, from which the lack of neighbours of one type tells
MANY_ROWS = 20  # rows of which nearly all are one word: sentences were taken apart
OTHER_SCHEME = (*LAST, *SINGLE)


def tags(data: Data) -> Iterator[Finding]:
    """Everything about tags."""
    rows = [row for row in data.all_rows if "tags" in row]
    if not rows:
        return
    unequal = [row for row in rows if "tokens" in row and len(row["tokens"]) != len(row["tags"])]
    if unequal:
        shown = [f"{len(row['tokens'])} words, {len(row['tags'])} tags" for row in unequal]
        message = "{count} rows ({share}) have more words than tags or fewer"
        yield about("tags-words-mismatch", BLOCKS, unequal, len(rows), message, "give every word exactly one tag", examples=shown)
    single = [row for row in rows if len(row.get("tokens", ())) == 1]
    if len(rows) >= MANY_ROWS and len(single) > 0.95 * len(rows):
        message = "{count} rows ({share}) hold one word each: a model would see every word without its sentence"
        remedy = "write a row for each sentence, or word and tag a line with a blank line after each sentence (CoNLL)"
        yield about("one-word-rows", BIASES, single, len(rows), message, remedy)
    bad = {id(row) for row in unequal}
    rows = [row for row in rows if id(row) not in bad]
    counts = Counter(tag for row in rows for tag in row["tags"])
    if len(counts) < 2:
        what = f"all words have the tag '{next(iter(counts))}'" if counts else "no word has a tag"
        yield Finding("one-class", BLOCKS, f"{what}: there is nothing to learn", "check that this is the column of tags", len(rows), 1.0)
        return
    if not has_entities(counts):
        return
    scheme = scheme_of(row["tags"] for row in rows)
    yield from _scheme(rows, counts, scheme)
    yield from _sequences(rows, scheme)
    yield from _neighbours(rows, scheme)
    yield from _entities(data, rows)


def _scheme(rows: Sequence[Row], counts: Counter[str], scheme: str) -> Iterator[Finding]:
    """The scheme if it is not IOB2, and tags that belong to no scheme or to another."""
    inside = scheme == "IO" and any(parse(tag)[0] in INSIDE and tag != parse(tag)[1] for tag in counts)
    marked = [row for row in rows if any(tag != "O" for tag in row["tags"])]
    shown = [_around(row, next(i for i, tag in enumerate(row["tags"]) if tag != "O")) for row in marked[:SHOWN_ROWS]]
    remedy = "converted to IOB2 when trained and scored here; --fix writes them so"
    if scheme == "IOB1" or inside:
        name = "IOB1" if scheme == "IOB1" else "IOB1 (or IO: there is no B- at all)"
        message = f"the tags are written as {name}: an entity starts with I-; read as IOB2 nearly every entity would be broken"
        yield about("iob1-tags", BIASES, marked, len(rows), message, remedy, examples=shown, fixable=True)
    elif scheme == "BIOES":
        message = "the tags are written as BIOES, with tags of their own for ends and single words"
        yield about("bioes-tags", LOOK, marked, len(rows), message, remedy, examples=shown, fixable=True)
    elif scheme == "IO":
        message = "no tag starts with B-: two entities of one type that touch cannot be told apart"
        yield Finding("io-tags", LOOK, message, "write IOB2 if they occur", len(rows), 1.0)
    foreign = {tag for tag in counts if parse(tag)[0] in OTHER_SCHEME} if scheme != "BIOES" else set()
    if foreign:
        found = [row for row in rows if foreign & set(row["tags"])]
        message = f"{{count}} rows ({{share}}) have tags of BIOES ({', '.join(sorted(foreign)[:5])}) in a file written as {scheme}"
        yield about("mixed-schemes", BIASES, found, len(rows), message, "write all tags in one scheme; --fix writes IOB2", fixable=True)
    lower = {tag for tag in counts if re.fullmatch(r"[bies]-.+|o", tag)}
    no_dash = {tag for tag in counts if tag != "O" and tag not in lower and not re.fullmatch(r"[A-Za-z]-.+", tag)}
    unknown = {tag for tag in counts if re.fullmatch(r"[A-Za-z]-.+", tag) and tag not in lower and tag[0] not in PREFIXES}
    for kind, odd, what in (
        ("lower-case-tags", lower, "tags with a small prefix letter"),
        ("tags-without-prefix", no_dash if counts.total() and any("-" in tag for tag in counts) else set(), "tags without B- or I-"),
        ("unknown-prefix", unknown, "tags with a prefix of no scheme"),
    ):
        if odd:
            found = [row for row in rows if odd & set(row["tags"])]
            message = f"{{count}} rows ({{share}}) have {what}: {', '.join(repr(tag) for tag in sorted(odd)[:5])}"
            remedy = "write them as B-, I- or O with the type in one spelling"
            yield about(kind, BIASES, found, len(rows), message, remedy, fixable=kind == "lower-case-tags", tags=sorted(odd))


def _around(row: Row, place: int) -> str:
    words = row.get("tokens") or [""] * len(row["tags"])
    first, last = max(0, place - 2), place + 3
    return " ".join(f"{word}/{tag}" for word, tag in zip(words[first:last], row["tags"][first:last]))


def broken(tags: Sequence[str], scheme: str) -> list[tuple[str, int]]:
    """(kind, place) of each transition that `scheme` (IOB2 or BIOES) does not allow: inside-without-begin, type-change,
    unfinished (BIOES: no end), end-without-begin."""
    found = []
    before, kind_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = parse(tag)
        open_before = before in ("B", *INSIDE)
        if prefix in INSIDE or prefix in LAST:
            if not open_before and before == "O":
                found.append(("inside-without-begin" if prefix in INSIDE else "end-without-begin", place))
            elif not open_before:
                found.append(("inside-after-end", place))
            elif kind != kind_before:
                found.append(("type-change", place))
        elif scheme == "BIOES" and open_before:
            found.append(("unfinished-entity", place - 1))
        before, kind_before = prefix, kind
    return found


MEANINGS = {
    "inside-without-begin": "start an entity with I- after O",
    "end-without-begin": "end an entity that never began",
    "inside-after-end": "go on with an entity that has ended",
    "type-change": "change the type inside an entity (B-X I-Y)",
    "unfinished-entity": "leave an entity without its end tag",
}


def _sequences(rows: Sequence[Row], scheme: str) -> Iterator[Finding]:
    """Transitions that the scheme forbids, by kind."""
    if scheme in ("IO", "IOB1"):
        return
    found: dict[str, list[tuple[Row, int]]] = {}
    total = 0
    for row in rows:
        total += sum(parse(tag)[0] != "O" for tag in row["tags"])
        for kind, place in broken(row["tags"], scheme):
            found.setdefault(kind, []).append((row, place))
    for kind, places in found.items():
        hit = list({id(row): row for row, _ in places}.values())
        severity = BIASES if len(places) > 0.001 * total else LOOK
        message = (
            f"{len(places):,} tags {MEANINGS[kind]}, in {{count}} rows ({{share}}): strict and conlleval scores count them differently"
        )
        remedy = "correct them; --fix writes B- where conlleval starts an entity"
        shown = [_around(row, place) for row, place in places]
        yield about(kind, severity, hit, len(rows), message, remedy, examples=shown, fixable=True, tags=len(places))


def _neighbours(rows: Sequence[Row], scheme: str) -> Iterator[Finding]:
    """Tags that start every entity with B- and still never part two of one type: what a conversion from IOB1 or IO leaves."""
    if scheme not in ("IOB2", "BIOES"):
        return
    entities, of_one, others = 0, 0, []
    for row in rows:
        found = sorted(chunks(row["tags"]), key=lambda chunk: chunk[1])
        entities += len(found)
        for (kind, _, end), (kind_after, start, _) in pairwise(found):
            if end == start:
                of_one += kind == kind_after
                others += [(row, start)] if kind != kind_after else []
    if entities >= ENOUGH and not of_one and len(others) >= TOUCHING:
        message = (
            f"none of the {entities:,} entities follows one of its own type without a word between, while {len(others)} follow one of"
            " another type: probably converted from IOB1 or IO tags without B-, where such neighbours run together into one entity"
        )
        remedy = "look at entities that list several names; if the source was tagged so, its scores cannot see where one ends"
        shown = [_around(row, place) for row, place in others]
        yield about("iob1-origin", LOOK, [row for row, _ in others], len(rows), message, remedy, examples=shown, entities=entities)


def _entities(data: Data, rows: Sequence[Row]) -> Iterator[Finding]:
    """Entities that are too long, too rare, or typed unlike the same words elsewhere; rows without any."""
    kinds: dict[str, Counter[str]] = {}
    places: dict[tuple[str, str], list[Row]] = {}
    long_rows, shown = [], []
    for row in rows:
        words = row.get("tokens") or []
        for kind, start, end in chunks(row["tags"]) if words else ():
            name = " ".join(words[start:end])
            kinds.setdefault(name, Counter())[kind] += 1
            places.setdefault((name, kind), []).append(row)
            if end - start > LONG_ENTITY:
                long_rows.append(row)
                shown.append(f"{end - start} words: {name}")
    if long_rows:
        message = f"{{count}} entities are longer than {LONG_ENTITY} words"
        yield about("long-entities", LOOK, long_rows, len(rows), message, "look whether an O is missing", examples=shown)
    odd, told = [], []
    for name, counts in kinds.items():
        usual, most = counts.most_common(1)[0]
        if most >= TIMES and SURE * counts.total() <= most < counts.total():
            for kind in counts:
                if kind != usual:
                    odd += places[name, kind]
                    told.append(f"'{name}' is {usual} {most} times and {kind} {counts[kind]} times")
    if odd:
        message = "{count} entities have another type than the same words nearly always have"
        yield about("inconsistent-entities", LOOK, odd, len(rows), message, "look at these rows: probably slips", examples=told)
    train = data.splits.get(TRAIN, rows)
    totals = Counter(kind for row in train if "tags" in row for kind, _, _ in chunks(row["tags"]))
    rare = sorted(kind for kind, count in totals.items() if count < FEW_EXAMPLES)
    if rare:
        told = [f"{kind} ({totals[kind]})" for kind in rare]
        message = f"{len(rare)} of {len(totals)} entity types have fewer than {FEW_EXAMPLES} training examples"
        yield Finding(
            "rare-classes",
            LOOK,
            message,
            "collect more, or merge them; their scores will be noise",
            len(rare),
            len(rare) / len(totals),
            examples=told[:5],
        )
    if totals and sum(any(tag != "O" for tag in row["tags"]) for row in rows) == len(rows) and len(rows) >= 200:
        message = "every row holds an entity: the model never sees a row without one"
        yield Finding("no-negative-rows", LOOK, message, "add rows without entities if such texts will be read", len(rows), 1.0)
