"""Texts beside texts: translation, summary, question and answer, instruction and output, pairs for search, bare text.

In: the Profiles of a table. Out: Candidates. The relation between the two columns decides: language, length, shared words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from oneloop.diagnose.labels import bookkeeping, namelike, separator_of
from oneloop.diagnose.language import WORDS
from oneloop.diagnose.names import sounds_like
from oneloop.diagnose.profile import Profile
from oneloop.diagnose.relations import Relation
from oneloop.diagnose.shapes import NAMED, Candidate
from oneloop.read.alike import SAME

SAME_QUESTION = 0.65  # likeness from which two questions are one in other words, not two that people asked
FEW_PHRASES = 6  # different texts that a column of repeated ones must have to be no label
WIDEST = 5  # text columns compared with each other, the longest ones


def prose_columns(profiles: Sequence[Profile]) -> list[Profile]:
    """Columns of written text; names of people and labels left out where anything else is there."""
    prose = [p for p in profiles if (p.prose or (p.kind == "text" and p.code > 0.5)) and not p.few and not separator_of(p)]
    full = [p for p in prose if not namelike(p) or sounds_like(p.name, "summary") or p.code > 0.5]
    return full if len(full) >= 2 or not prose else prose


def _phrases(profiles: Sequence[Profile]) -> list[Profile]:
    """Columns of a few short texts that are repeated."""
    return [p for p in profiles if p.kind == "text" and p.few and p.words >= 1.8 and p.distinct >= FEW_PHRASES and not bookkeeping(p)]


def _one_to_one(a: Profile, b: Profile) -> bool:
    pairs = {(str(x), str(y)) for x, y in zip(a.cells, b.cells)}
    return len(pairs) <= 1.2 * min(a.distinct, b.distinct)


def paired(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """Every way to read the table as texts beside texts."""
    for a, b in permutations(_phrases(profiles), 2):  # a few sentences that come again: no labels where each has its rewriting
        relation = Relation(a, b)
        if relation.spelling > SAME and _one_to_one(a, b):
            yield from (candidate.named() for candidate in _rewriting(relation))
    longest = sorted(prose_columns(profiles), key=lambda p: -p.median_words)[:WIDEST]
    prose = [p for p in profiles if any(p is one for one in longest)]
    for a, b in permutations(prose, 2):
        relation = Relation(a, b)
        for finder in (_parallel, _summary, _rewriting, _asked, _instructed, _alike):
            yield from (candidate.named() for candidate in finder(relation))
    if len(prose) >= 3:
        yield from (candidate.named() for finder in (_triplets, _instruction_rows, _preferred) for candidate in finder(prose))
    yield from (candidate.named() for candidate in _judged(profiles, prose))


def _parallel(relation: Relation) -> Iterator[Candidate]:
    """Two languages; of the two orders the one that names or columns suggest comes first."""
    a, b = relation.a, relation.b
    if (
        not relation.languages_differ
        or max(a.share(_structured), b.share(_structured)) > 0.5
        or a.code > 0.5
        or b.code > 0.5
        or not 0.2 < relation.ratio < 5
    ):
        return
    left, right = (p.language[0] or f"the language of {p.name}" for p in (a, b))
    why = f"columns {a.name} and {b.name} hold texts of like length in two languages ({left}, {right})"
    yield Candidate("source target", {"source": a.name, "target": b.name}, 0.93, [why])


def _summary(relation: Relation) -> Iterator[Candidate]:
    """b is clearly shorter than a, mostly in a's own words, and does not ask."""
    a, b = relation.a, relation.b
    if relation.languages_differ or relation.ratio > 0.8 or relation.shorter < 0.8 or a.median_words < 8 or b.asks > 0.5 or a.code > 0.5:
        return
    called = sounds_like(b.name, "summary")
    score = 0.62 + 0.5 * min(0.5, max(0.0, relation.lift)) + 0.1 * (a.median_words > 40) - 0.2 * (relation.ratio > 0.6) + 0.08 * called
    score -= 0.1 * (relation.lift < 0.1)
    why = f"column {b.name} has {relation.ratio:.0%} of the length of column {a.name} and {relation.overlap:.0%} of its words stand there"
    yield Candidate("document summary", {"document": a.name, "summary": b.name}, min(0.95, score), [why])


def _rewriting(relation: Relation) -> Iterator[Candidate]:
    """Same language, same length, nearly the same words: b says a again in other words (corrected, simplified, polite)."""
    a, b = relation.a, relation.b
    asks = b.asks > 0.5 and (a.asks < 0.5 or relation.spelling < SAME_QUESTION)
    if relation.languages_differ or not 0.6 < relation.ratio < 1.7 or a.code > 0.5 or asks:
        return
    called = sounds_like(a.name, "source") + sounds_like(b.name, "target")
    alike = max(relation.jaccard, relation.spelling if relation.spelling > SAME else 0.0)
    score = 0.45 + 0.45 * min(0.9, alike) + 0.12 * called
    why = f"columns {a.name} and {b.name} say the same in like length, {relation.jaccard:.0%} of their words in common: a rewriting"
    if relation.lift > 0.1 or alike > relation.jaccard:
        yield Candidate("source target", {"source": a.name, "target": b.name}, min(0.92, score), [why])


def _asked(relation: Relation) -> Iterator[Candidate]:
    """a asks, b is a text that answers, and no passage is there."""
    a, b = relation.a, relation.b
    if a.asks > 0.45 and b.asks < 0.4 and a.median_words < 40 and not relation.languages_differ and b.code < 0.5:
        score = 0.66 + 0.16 * a.asks + 0.3 * min(0.4, max(0.0, relation.lift)) + 0.06 * (relation.ratio > 1.5)
        why = f"column {a.name} asks ({a.asks:.0%} of its rows), column {b.name} answers, and no passage is there to find the answer in"
        yield Candidate("query passage", {"query": a.name, "passage": b.name}, min(0.94, score), [why])


def _instructed(relation: Relation) -> Iterator[Candidate]:
    """a tells what to write and b is what was written: instructions, data or comments turned into text or code."""
    a, b = relation.a, relation.b
    data = a.share(_structured)
    if relation.languages_differ and b.code < 0.5 and data < 0.6:
        return
    told = a.share(_instructs)
    called = sounds_like(a.name, "prompt") + sounds_like(b.name, "completion")
    writes_code = b.code > 0.5 and a.code < 0.5
    if not (told > 0.3 or called == 2 or writes_code or data > 0.6):
        return
    score = 0.60 + 0.25 * told + 0.12 * called / 2 + 0.3 * writes_code + 0.25 * data
    why = f"column {a.name} says what to write and column {b.name} is what was written"
    yield Candidate("prompt completion", {"prompt": a.name, "completion": b.name}, min(0.95, score), [why])


IMPERATIVES = frozenset(WORDS["imperatives"].split())


def _instructs(text: str) -> bool:
    first = text.strip().split(maxsplit=2)[:2]
    return any(word.lower().strip(",.:") in IMPERATIVES for word in first)


def _structured(text: str) -> bool:
    """Fields and values, not sentences: key: value | key: value, name[value], key=value."""
    marks = text.count("|") + text.count("[") + text.count("=") + text.count(": ") + text.count("<")
    return marks >= 3 and marks >= 0.12 * len(text.split())


def _alike(relation: Relation) -> Iterator[Candidate]:
    """Two texts that belong together, neither a summary nor a translation of the other."""
    a, b = relation.a, relation.b
    called = sounds_like(a.name, "anchor") + sounds_like(b.name, "positive")
    searched = sounds_like(a.name, "query") + sounds_like(b.name, "passage")
    if relation.languages_differ or (relation.lift < 0.08 and not called and searched < 2):
        return
    if 0.45 < relation.ratio < 2.2:
        score = 0.60 + 0.2 * min(0.5, max(0.0, relation.lift)) + 0.08 * called
        why = f"columns {a.name} and {b.name} hold pairs of texts that speak of the same thing"
        yield Candidate("anchor positive", {"anchor": a.name, "positive": b.name}, score, [why])
    elif relation.ratio >= 2.2 and a.median_words < 25:
        score = 0.62 + 0.2 * min(0.5, max(0.0, relation.lift)) + 0.07 * searched
        why = f"column {a.name} holds short queries and column {b.name} the longer text that belongs to each"
        yield Candidate("query passage", {"query": a.name, "passage": b.name}, score, [why])


def _triplets(prose: Sequence[Profile]) -> Iterator[Candidate]:
    """A text, one that fits and one that does not: the first two share more than the first and third."""
    for a, good, bad in permutations(prose, 3):
        near, far = Relation(a, good), Relation(a, bad)
        called = sounds_like(good.name, "positive") + sounds_like(bad.name, "negative")
        alike = 0.5 < Relation(good, bad).ratio < 2
        if alike and not near.languages_differ and (called == 2 or near.lift > far.lift + 0.08) and (called or near.lift > 0.12):
            columns = {"anchor": a.name, "positive": good.name, "negative": bad.name}
            pool, other = (len(set(bad.texts) & set(column.texts)) for column in (good, a))
            score = 0.78 + 0.2 * min(0.4, near.lift - far.lift) + 0.06 * called + 0.05 * (pool > other) - 0.05 * (pool < other)
            why = f"column {good.name} speaks of the same as column {a.name}, column {bad.name} does not"
            yield Candidate("anchor positive", columns, score, [why])


def _instruction_rows(prose: Sequence[Profile]) -> Iterator[Candidate]:
    """instruction, input (often empty), output."""
    for a, b, c in permutations(prose, 3):
        told = a.share(_instructs)
        names = sounds_like(a.name, "instruction") + sounds_like(b.name, "input") + sounds_like(c.name, "output")
        sparse = b.filled < 0.9 and a.filled > 0.95 and c.filled > 0.9
        if (told > 0.4 or names == 3) and (sparse or names >= 2):
            columns = {"instruction": a.name, "input": b.name, "output": c.name}
            why = f"column {a.name} gives instructions, {b.name} what they are about, {c.name} the wanted output"
            yield Candidate("instruction output", columns, 0.86 + 0.1 * told + 0.05 * names / 3, [why])


def _preferred(prose: Sequence[Profile]) -> Iterator[Candidate]:
    """prompt, chosen, rejected."""
    for a, b, c in permutations(prose, 3):
        if sounds_like(b.name, "chosen") and sounds_like(c.name, "rejected") and not sounds_like(a.name, "chosen"):
            columns = {"prompt": a.name, "chosen": b.name, "rejected": c.name}
            yield Candidate(
                "chosen rejected",
                columns,
                0.97,
                [f"columns {b.name} and {c.name} hold a preferred and a refused answer to column {a.name}"],
            )


def _judged(profiles: Sequence[Profile], prose: Sequence[Profile]) -> Iterator[Candidate]:
    """A query, a passage and a graded judgement: each query stands with several passages."""
    grades = [
        p for p in profiles if p.kind == "number" and p.whole and 2 <= p.distinct <= 6 and min(p.numbers) >= -1 and max(p.numbers) <= 10
    ]
    for query, passage in permutations(prose, 2):
        for grade in grades:
            called = sounds_like(grade.name, "relevance") + (sounds_like(query.name, "query") + sounds_like(passage.name, "passage")) / 2
            repeated = query.variety < 0.6 and passage.variety > query.variety
            if (repeated or called > 1.5) and query.median_words < passage.median_words and query.median_words < 25:
                columns = {"query": query.name, "passage": passage.name, "relevance": grade.name}
                score = 0.74 + 0.20 * repeated + 0.08 * called
                yield Candidate(
                    "query passage",
                    columns,
                    score,
                    [f"each query in {query.name} stands with several passages in {passage.name}, graded in {grade.name}"],
                )


def judged_pairs(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """The columns a reader makes of a search test set: ids and texts of query and passage, and the judgement."""
    names = {profile.name for profile in profiles}
    if {"query_id", "query", "passage_id", "passage", "relevance"} <= names:
        columns = {"query": "query", "passage": "passage", "relevance": "relevance"} | ({"title": "title"} if "title" in names else {})
        yield Candidate("query passage", columns, 1.1, ["the folder holds a corpus, queries and which passages answer them"])


def passages(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """Passages to search in: an id, a text, and the title of what each is taken from."""
    ids = [p for p in profiles if p.identifies and sounds_like(p.name, "id")]
    titles = [p for p in profiles if sounds_like(p.name, "title") and (p.variety < 0.6 or p.words < 4)]
    texts = [p for p in profiles if p.prose and p not in titles]
    if ids and titles and len(texts) == 1:
        columns = {"passage": texts[0].name, "title": titles[0].name}
        why = f"columns {ids[0].name}, {titles[0].name} and {texts[0].name} hold passages with id and title, and nothing to predict"
        yield Candidate("passage", columns, 0.90, [why])


def bare(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """One column of text and nothing to predict."""
    written = [p for p in profiles if p.kind == "text" and not bookkeeping(p) and (p.prose or p.code > 0.5 or p.median_words > 5)]
    if not written:
        written = [p for p in profiles if p.kind == "text" and not bookkeeping(p) and not p.codes and not p.few and not p.media]
    for column in written:
        size = min(1.0, column.median_words / 100)
        score = 0.40 + 0.1 * size + NAMED * sounds_like(column.name, "text") + 0.2 * (column.code > 0.5)
        alone = len([p for p in profiles if not bookkeeping(p)]) == 1
        yield Candidate(
            "text", {"text": column.name}, score + 0.05 * alone, [f"column {column.name} holds text and no column says what to predict"]
        )
