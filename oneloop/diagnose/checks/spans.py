"""What is wrong with spans marked in a text: outside it, empty, inside words, overlapping, counted in another unit.

In:  `Data` with roles `text` and `spans` (characters, end exclusive). Out: findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, Data, Finding, about, shorten
from oneloop.encode.spans import split_words
from oneloop.read.offsets import UNITS, converter
from oneloop.tasks.base import Row


def spans(data: Data) -> Iterator[Finding]:
    """Everything about spans."""
    rows = [row for row in data.all_rows if "spans" in row and isinstance(row.get("text"), str)]
    if not rows:
        return
    total = sum(len(row["spans"]) for row in rows)
    if not total:
        yield Finding("one-class", BLOCKS, "no row marks any span: there is nothing to learn", "check the column of spans", len(rows), 1.0)
        return
    hits: dict[str, list[tuple[Row, str]]] = {kind: [] for kind in KINDS}
    unit, better = offset_unit(rows)
    recounted = {id(row) for row in better}
    for row in rows:
        for kind, shown in faults(row):
            if kind not in MISCOUNTED or id(row) not in recounted:
                hits[kind].append((row, shown))
    for kind, found in hits.items():
        if found:
            severity, what, remedy, fixable = KINDS[kind]
            if kind == "span-inside-word" and len(found) < 0.02 * total:
                severity = LOOK
            share = f"{len(found):,} of {total:,} spans"
            several = list({id(row): row for row, _ in found}.values())
            message = f"{share} {what}, in {{count}} rows ({{share}})"
            yield about(
                kind,
                severity,
                several,
                len(rows),
                message,
                remedy,
                examples=[shown for _, shown in found],
                fixable=fixable,
                spans=len(found),
            )
    if unit:
        message = f"in {{count}} rows ({{share}}) the spans fit words only if their offsets are counted in {unit}"
        remedy = f"--fix converts the offsets of the file from {unit} to characters"
        yield about("offset-unit", BIASES, better, len(rows), message, remedy, fixable=True, unit=unit)


MISCOUNTED = ("span-inside-word", "span-edge-space")  # not told one by one where another unit explains them
KINDS = {
    "span-out-of-text": (BLOCKS, "lie outside their text", "correct start and end (characters, from 0, end exclusive)", False),
    "empty-span": (BLOCKS, "are empty or end before they start", "remove them or correct start and end", False),
    "span-inside-word": (BIASES, "start or end inside a word", "widen them to whole words, or check how the offsets were counted", False),
    "span-edge-space": (LOOK, "start or end with a space", "--fix trims them", True),
    "overlapping-spans": (LOOK, "overlap another: a word has one tag, the longer span is kept", "keep one of them", False),
    "duplicate-spans": (LOOK, "are marked twice", "--fix keeps one", True),
    "crossing-lines": (LOOK, "cross a blank line", "look whether two marks ran together", False),
}


def faults(row: Row) -> Iterator[tuple[str, str]]:
    """(kind, the span as text) for each fault of each span of a row."""
    text = row["text"]
    words: list[tuple[int, int]] | None = None
    taken: list[tuple[int, int]] = []
    seen = set()
    for span in sorted(row["spans"], key=lambda span: (span["start"], span["end"])):
        start, end = span["start"], span["end"]
        shown = f"{start}-{end} {span['label']} {shorten(repr(text[max(0, start) : max(0, end)]), 50)}"
        if start >= end:
            yield "empty-span", shown
            continue
        if start < 0 or end > len(text):
            yield "span-out-of-text", f"{shown} in a text of {len(text)} characters"
            continue
        if (start, end, span["label"]) in seen:
            yield "duplicate-spans", shown
            continue
        seen.add((start, end, span["label"]))
        if any(start < other_end and other_start < end for other_start, other_end in taken[-20:]):
            yield "overlapping-spans", shown
        taken.append((start, end))
        if text[start].isspace() or text[end - 1].isspace():
            yield "span-edge-space", shown
        if "\n\n" in text[start:end]:
            yield "crossing-lines", shown
        inside = (start > 0 and text[start - 1].isalnum() and text[start].isalnum()) or (
            end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
        )
        if inside:
            words = split_words(text) if words is None else words
            if any(a < start < b or a < end < b for a, b in words):
                yield "span-inside-word", f"{shown} in {shorten(repr(text[max(0, start - 8) : end + 8]), 60)}"


def clean_edges(text: str, row_spans: Sequence[dict[str, object]]) -> float:
    """The share of spans that start and end at the edge of a word: high where the offsets are counted right."""
    good = 0
    for span in row_spans:
        start, end = int(str(span["start"])), int(str(span["end"]))
        if 0 <= start < end <= len(text):
            cut = (start > 0 and text[start - 1].isalnum() and text[start].isalnum()) or (
                end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
            )
            good += not cut and not text[start].isspace() and not text[end - 1].isspace()
    return good / len(row_spans)


def offset_unit(rows: Sequence[Row]) -> tuple[str, list[Row]]:
    """The unit offsets are counted in where it is not characters (UTF-16 units, bytes), and the rows that fit it better; ("", [])
    otherwise. Where texts hold wider characters, another unit cuts fewer words."""
    wide = [row for row in rows if row["spans"] and not row["text"].isascii()]
    plain = [clean_edges(row["text"], row["spans"]) for row in wide]
    for unit in UNITS:
        better, worse = [], 0
        for row, now in zip(wide, plain):
            convert = converter(row["text"], unit)
            moved = [(convert(span["start"]), convert(span["end"])) for span in row["spans"]]
            if any(place is None for pair in moved for place in pair):
                then = 0.0
            else:
                then = clean_edges(row["text"], [{"start": start, "end": end} for start, end in moved])
            if then > now:
                better.append(row)
            worse += then < now
        if len(better) >= 3 and len(better) > 3 * worse:
            return unit, better
    return "", []
