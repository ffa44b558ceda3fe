"""Labels that are probably one class spelled in several ways: `Pos `, `POS` and `psitive` beside `pos` and `positive`.

In:  how often each label occurs. Out: {odd spelling: the usual one}; and the finding that lists the rows.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from oneloop.diagnose.checks.drift import labels_of
from oneloop.diagnose.checks.finding import BIASES, Data, Finding, about
from oneloop.measure.entities import has_entities
from oneloop.tasks.base import Row

TIMES = 10  # a spelling one or two letters off is taken for a slip if the other is this many times as frequent …
SHORT_TIMES = 50  # … and this many times for names of three letters, where one letter is a third of the name
PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "de", "re", "pre", "a", "anti", "mis", "sub", "up", "no", "co", "ex", "not")


def canonical(label: str) -> str:
    """A label without what is never meant: case, width, spaces at the ends, and which of space, _ and - joins its words."""
    text = unicodedata.normalize("NFKC", label).casefold()
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cc"))
    return re.sub(r"[\s_\-]+", " ", text).strip(" .,;:\"'`")


def misspelled(counts: Mapping[str, int], *, codes: bool = False) -> dict[str, str]:
    """{odd spelling: the usual one} among labels and how often each occurs. codes: the labels are codes that differ by single
    letters on purpose (NN, NNS, NNP): only case, width and spaces count as spelling."""
    found = _variants(counts)
    if codes:
        return found
    names = {label: count for label, count in counts.items() if label not in found}
    frequent = sorted((label for label, count in names.items() if count >= TIMES), key=lambda label: -names[label])
    rare = sorted((label for label in names if names[label] * TIMES <= max(names.values())), key=lambda label: names[label])[:2000]
    for label in rare:
        near = [other for other in frequent if names[other] >= TIMES * names[label] and _slip(label, other, names[other] / names[label])]
        if near:
            found[label] = min(near, key=lambda other: (edits(canonical(label), canonical(other)), -names[other]))
    return found


def _variants(counts: Mapping[str, int]) -> dict[str, str]:
    """Labels that differ in case, width, spaces and joints alone; the most frequent spelling is the usual one.
    Spellings that are about as frequent as each other are left alone where only case differs (`US` and `us`)."""
    groups: dict[str, list[str]] = {}
    for label in counts:
        if canonical(label):
            groups.setdefault(canonical(label), []).append(label)
    found = {}
    for members in groups.values():
        usual = max(members, key=lambda label: (counts[label], label == label.strip(), label))
        found.update({label: usual for label in members if label != usual})
    return found


def _slip(label: str, other: str, times: float) -> bool:
    """Whether `label` is `other` with one or two slips of the hand, and not a name of its own."""
    a, b = canonical(label), canonical(other)
    short, long = sorted((a, b), key=len)
    if len(short) < 2 or len(long) - len(short) > 2 or re.sub(r"\d+", "", a) == re.sub(r"\d+", "", b):
        return False
    if any(long == prefix + joint + short for prefix in PREFIXES for joint in ("", " ")):
        return False
    allowed = 2 if len(b) >= 8 else 1
    distance = edits(a, b)
    if distance > allowed:
        return False
    if len(b) == 3 or len(a) <= 3:
        return times >= SHORT_TIMES and len(b) >= 3
    return True


def edits(first: str, second: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other (optimal string
    alignment, Damerau 1964)."""
    before: list[int] = []
    last = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]


def are_codes(rows: Sequence[Row]) -> bool:
    """Whether the labels are parts of speech or the like: tags that mark no entities."""
    tags = {tag for row in rows for tag in row.get("tags", ())}
    return bool(tags) and not has_entities(tags)


def label_typos(data: Data) -> Iterator[Finding]:
    """Labels, tag types and span types that look like other spellings of a much more frequent one, with their rows."""
    counts = Counter(label for row in data.all_rows for label in labels_of(row))
    usual = misspelled(counts, codes=are_codes(data.all_rows))
    if not usual:
        return
    rows: list[Row] = []
    shown: Counter[str] = Counter()
    for row in data.all_rows:
        odd = [label for label in labels_of(row) if label in usual]
        if odd:
            rows.append(row)
            shown.update(f"{label!r} ({counts[label]}): did you mean {usual[label]!r} ({counts[usual[label]]})?" for label in set(odd))
    message = (
        f"{len(usual):,} labels look like misspellings of another, in {{count}} rows ({{share}}): each would become a class of its own"
    )
    remedy = "write them alike (--fix does)"
    told = [text for text, _ in shown.most_common()]
    yield about("label-typos", BIASES, rows, len(data.all_rows), message, remedy, examples=told, fixable=True, spellings=usual)
