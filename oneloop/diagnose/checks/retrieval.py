"""What is wrong with a search set: judgements that name nothing, queries nobody answers, passages twice.

In:  `Data` with `query`, `passage`, `relevance`, or pairs and triplets (`anchor`, `positive`, `negative`); `related` holds the
corpus and the queries of a BEIR folder. Out: findings. Judgements of unknown ids are named by the reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oneloop.diagnose.checks.copies import normalise
from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, TEST, TRAIN, Data, Finding, about
from oneloop.tasks.base import Row

Cells = Mapping[str, Any]


def retrieval(data: Data) -> Iterator[Finding]:
    """Everything about queries, passages and judgements."""
    corpus, queries = (
        [_located(table, i) for i in range(len(table))] if (table := data.related.get(name)) else [] for name in ("corpus", "queries")
    )
    if corpus:
        yield from _collection(corpus, "passages")
    if queries:
        yield from _collection(queries, "queries")
    rows = [row for row in data.all_rows if "query" in row]
    if rows:
        yield from _judgements(data, rows, queries, corpus)
    yield from _triplets(data)


def _located(table: Any, index: int) -> Row:
    at = table.origin(index)
    cells = table[index]
    name = next((cells[key] for key in ("_id", "id", "doc_id", "docid", "pid", "qid") if key in cells), at.row)
    return {"id": str(name), "row": at.row, "file": at.file, "text": str(cells.get("text") or ""), "title": str(cells.get("title") or "")}


def _collection(rows: Sequence[Row], name: str) -> Iterator[Finding]:
    """Ids given twice, texts that are empty or stand twice."""
    total = len(rows)
    empty = [row for row in rows if not row["text"].strip() and not row["title"].strip()]
    if empty:
        yield about(
            "empty-text", BIASES, empty, total, f"{{count}} {name} ({{share}}) have no text", "remove them, or fill them in", role=name
        )
    ids: dict[str, Row] = {}
    twice = [row for row in rows if ids.setdefault(row["id"], row) is not row]
    if twice:
        partners = [ids[row["id"]] for row in twice]
        message = f"{{count}} {name} ({{share}}) have an id that another has too: judgements cannot tell them apart"
        yield about(
            "duplicate-ids",
            BLOCKS,
            twice,
            total,
            message,
            "give each an id of its own",
            examples=[r["id"] for r in twice],
            partners=partners,
        )
    first: dict[str, Row] = {}
    again = []
    for row in rows:
        text = normalise(f"{row['title']} {row['text']}")
        if text and first.setdefault(text, row) is not row:
            again.append((row, first[text]))
    if again:
        found, partners = [row for row, _ in again], [other for _, other in again]
        why = "finding the copy counts as wrong" if name == "passages" else "a query in train and test is known"
        severity = BIASES if len(again) > 0.01 * total else LOOK
        message = f"{{count}} {name} ({{share}}) are copies of another: {why}"
        shown = [f"{row['id']} = {other['id']}: {row['text']}" for row, other in again]
        yield about(f"duplicate-{name}", severity, found, total, message, "keep one and judge it", examples=shown, partners=partners)


def _judgements(data: Data, rows: Sequence[Row], queries: Sequence[Row], corpus: Sequence[Row]) -> Iterator[Finding]:
    judged = {normalise(str(row["query"])) for row in rows}
    if queries:
        alone = [row for row in queries if normalise(row["text"]) not in judged]
        if alone:
            message = "{count} queries ({share}) have no judgement in any split: they are not scored"
            yield about(
                "queries-without-passages",
                LOOK,
                alone,
                len(queries),
                message,
                "judge them or leave them out",
                examples=[r["text"] for r in alone],
            )
    yield from _hopeless(data)
    if corpus and data.splits:
        known = {normalise(str(row["passage"])) for row in rows if "passage" in row}
        never = [row for row in corpus if normalise(row["text"]) not in known]
        if len(never) > 0.9 * len(corpus):
            message = "{count} passages ({share}) are never judged: a good hit among them counts as wrong"
            yield about(
                "unjudged-passages",
                LOOK,
                never,
                len(corpus),
                message,
                "usual for large collections; compare systems, do not trust the level",
            )
    yield from _torn(rows)


def _hopeless(data: Data) -> Iterator[Finding]:
    """Judgements of queries that no passage is relevant to."""
    for name, group in data.splits.items():
        positive = {normalise(str(row["query"])) for row in group if "query" in row and float(row.get("relevance", 1)) > 0}
        hopeless = [row for row in group if "query" in row and normalise(str(row["query"])) not in positive]
        if hopeless:
            message = (
                f"{{count}} {name} judgements ({{share}}) belong to queries without any relevant passage: they score 0 whatever is found"
            )
            severity = BIASES if name == TEST else LOOK
            yield about(
                "queries-without-relevant",
                severity,
                hopeless,
                len(group),
                message,
                "judge a passage as relevant, or leave them out",
                split=name,
            )


def _torn(rows: Sequence[Row]) -> Iterator[Finding]:
    """Judgements that contradict each other, and queries that are their passage."""
    pairs: dict[tuple[str, str], set[Any]] = {}
    for row in rows:
        if "passage" in row:
            pairs.setdefault((normalise(str(row["query"])), normalise(str(row["passage"]))), set()).add(row.get("relevance", 1))
    torn = {pair for pair, values in pairs.items() if len(values) > 1}
    if torn:
        found = [row for row in rows if (normalise(str(row["query"])), normalise(str(row.get("passage", "")))) in torn]
        yield about(
            "contradicting-labels",
            BIASES,
            found,
            len(rows),
            "{count} judgements ({share}) contradict another of the same query and passage",
            "keep one",
        )
    same = [row for row in rows if "passage" in row and normalise(str(row["query"])) == normalise(str(row["passage"]))]
    if same:
        severity = BIASES if len(same) > 0.01 * len(rows) else LOOK
        yield about(
            "copied-pairs",
            severity,
            same,
            len(rows),
            "{count} queries ({share}) are their passage word for word",
            "remove them: they teach copying",
        )


def _triplets(data: Data) -> Iterator[Finding]:
    """Positives that are the anchor, negatives that are the positive."""
    rows = [row for row in data.all_rows if "anchor" in row]
    for left, right, what in (
        ("anchor", "positive", "have a positive that is the anchor"),
        ("positive", "negative", "have a negative that is the positive"),
    ):
        same = [row for row in rows if left in row and right in row and normalise(str(row[left])) == normalise(str(row[right]))]
        if same:
            yield about(
                "copied-pairs",
                BIASES,
                same,
                len(rows),
                f"{{count}} rows ({{share}}) {what}",
                "remove them",
                examples=[str(r[left]) for r in same],
            )
    positives: dict[str, set[str]] = {}
    for row in rows:
        positives.setdefault(normalise(str(row["anchor"])), set()).add(normalise(str(row.get("positive", ""))))
    false = [row for row in rows if "negative" in row and normalise(str(row["negative"])) in positives[normalise(str(row["anchor"]))]]
    if false:
        message = "{count} rows ({share}) have a negative that is a positive of the same anchor elsewhere"
        yield about("false-negatives", BIASES, false, len(rows), message, "remove them", examples=[str(row["negative"]) for row in false])
    test = data.splits.get(TEST, [])
    if rows and test and TRAIN in data.splits:
        seen = {normalise(str(row["positive"])) for row in data.splits[TRAIN] if "positive" in row}
        known = [row for row in test if "positive" in row and normalise(str(row["positive"])) in seen]
        if known:
            message = "{count} test rows ({share}) have a positive that training has seen with another anchor"
            yield about("shared-passages", LOOK, known, len(test), message, "usual for questions about one collection; say so")
