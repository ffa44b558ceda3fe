"""What is wrong with pairs of texts: translations that do not belong together, summaries that do not shorten.

In:  `Data` with roles `source` and `target`, or `document` and `summary`. Out: findings.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from oneloop.diagnose.checks.copies import normalise
from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, Data, Finding, about, place, shorten
from oneloop.diagnose.checks.lengths import counter
from oneloop.diagnose.checks.text import first_of_each
from oneloop.diagnose.language import FUNCTION_WORDS, SCRIPTS, WORD, script
from oneloop.tasks.base import Row

FAR = 4.5  # robust standard deviations of the log length ratio from which a pair is odd
LEARNED = 20_000  # pairs from which the two languages are learned
RUN = 3  # characters in the features that tell the two languages apart
MARGIN = 4.0  # nats by which a text must look more like the other language, with NATS_PER_CHARACTER of its length
NATS_PER_CHARACTER = 0.15
AT_ONCE = 20_000  # texts whose letters are looked up together
WINDOW = 200  # rows over which a shift of the lines is looked for
SHIFTS = (-3, -2, -1, 1, 2, 3)
LIMIT = 512  # tokens beyond which a document is cut by a usual encoder-decoder


def translations(data: Data) -> Iterator[Finding]:
    """Everything about `source` and `target`."""
    pairs = [row for row in data.all_rows if isinstance(row.get("source"), str) and isinstance(row.get("target"), str)]
    if not pairs:
        return
    alone = _without(data, "source", "target")
    empty = alone + [row for row in pairs if not row["target"].strip() or not row["source"].strip()]
    if empty:
        message, remedy = "{count} pairs ({share}) have an empty side", "translate them or leave them out (where: target != '')"
        total = len(pairs) + len(alone)
        shown = [str(row.get("source") or row.get("target") or "") for row in empty]
        yield about("empty-side", BLOCKS if len(empty) > 0.5 * total else BIASES, empty, total, message, remedy, examples=shown)
    full = [row for row in pairs if row["target"].strip() and row["source"].strip()]
    words = [row for row in full if any(char.isalpha() for char in row["source"])]
    copied = [row for row in words if normalise(row["source"]) == normalise(row["target"])]
    if copied:
        severity = BIASES if len(copied) > 0.05 * len(pairs) else LOOK
        shown = [row["source"] for row in copied]
        message = "{count} pairs ({share}) are copies: the target is the source"
        yield about("copied-pairs", severity, copied, len(pairs), message, "remove them, unless they are names", examples=shown)
    same = {id(row) for row in copied}
    yield from _ratios(full, len(pairs))
    yield from _languages([row for row in words if id(row) not in same], len(pairs))
    for rows in data.splits.values():
        yield from _shifted([row for row in rows if row.get("source") and row.get("target")])
    yield from _repeated_targets(full)


def _without(data: Data, given: str, target: str) -> list[Row]:
    """Rows that have the text but nothing to learn from it, in splits where others have: an empty cell is left out of its row. A
    split without any is there to be predicted."""
    found: list[Row] = []
    for rows in data.splits.values():
        if any(row.get(target) for row in rows):
            found += [row for row in rows if isinstance(row.get(given), str) and row.get(target) is None]
    return found


def _ratios(rows: Sequence[Row], total: int) -> Iterator[Finding]:
    """Pairs whose length ratio is far from the usual one. Short texts vary more: the spread is scaled by length."""
    if len(rows) < 20:
        return
    a = np.array([len(row["source"]) for row in rows], float)
    b = np.array([len(row["target"]) for row in rows], float)
    ratios = np.log(b / a)
    middle = float(np.median(ratios))
    weight = np.sqrt(np.minimum(a, b))
    scaled = (ratios - middle) * weight
    spread = 1.4826 * float(np.median(np.abs(scaled))) or 1.0
    odd: list[int] = np.flatnonzero((np.abs(scaled) > FAR * spread) & (np.abs(ratios - middle) > math.log(2))).tolist()
    if len(odd):
        found = [rows[i] for i in odd]
        shown = [f"{int(a[i])} : {int(b[i])} characters: {shorten(rows[i]['source'], 30)} | {shorten(rows[i]['target'], 30)}" for i in odd]
        severity = BIASES if len(odd) > 0.05 * total else LOOK
        message = (
            f"{{count}} pairs ({{share}}) have lengths that do not fit (usual target/source {math.exp(middle):.2f}): probably not aligned"
        )
        yield about(
            "odd-length-ratio", severity, found, total, message, "look at them; remove those that are no translations", examples=shown
        )


def _languages(rows: Sequence[Row], total: int) -> Iterator[Finding]:
    """Pairs whose sides are swapped or in the language of the other side, by letter patterns learned from the columns."""
    if len(rows) < 50:
        return
    learned = rows[:: max(1, len(rows) // LEARNED)]
    table = _letter_table([row["source"] for row in learned], [row["target"] for row in learned])
    if table is None:
        return
    swapped, source_like, target_like = [], [], []
    lefts, rights = (_leanings([row[role] for row in rows], table).tolist() for role in ("source", "target"))
    for row, left, right in zip(rows, lefts, rights):
        bars = [MARGIN + NATS_PER_CHARACTER * len(row[role]) for role in ("source", "target")]
        source_is_target, target_is_source = left > bars[0], right < -bars[1]
        if source_is_target and target_is_source:
            swapped.append(row)
        elif target_is_source:
            source_like.append(row)
        elif source_is_target:
            target_like.append(row)
    for kind, found, what in (
        ("swapped-pairs", swapped, "have their sides swapped"),
        ("wrong-language", source_like, "have a target in the language of the sources"),
        ("wrong-language", target_like, "have a source in the language of the targets"),
    ):
        if found:
            shown = [f"{shorten(row['source'], 45)} | {shorten(row['target'], 45)}" for row in found]
            severity = BIASES if len(found) >= 0.005 * total else LOOK
            remedy = "swap them back" if kind == "swapped-pairs" else "translate or remove them"
            yield about(kind, severity, found, total, f"{{count}} pairs ({{share}}) {what}", remedy, examples=shown)
    yield from _third_language(rows, total)


def _third_language(rows: Sequence[Row], total: int) -> Iterator[Finding]:
    """Sides in a script that their column hardly ever has."""
    for role in ("source", "target"):
        scripts = [script(row[role][:200]) for row in rows]
        counts = Counter(name for name in scripts if name)
        japanese = {"CJK", "HIRAGANA", "KATAKANA"}
        usual = {name for name, count in counts.items() if count >= 0.2 * counts.total()}
        usual |= japanese if usual & japanese else set()
        found = [row for row, name in zip(rows, scripts) if name and name not in usual and len(row[role]) > 8]
        if found and len(found) < 0.1 * len(rows):
            message = f"{{count}} pairs ({{share}}) have a {role} in another script than the rest ({', '.join(sorted(usual)).title()})"
            yield about("wrong-language", LOOK, found, total, message, "translate or remove them", examples=[row[role] for row in found])


def _letter_table(left: Sequence[str], right: Sequence[str]) -> dict[str, float] | None:
    """{run of letters: log odds that it stands in the right column}; None if the columns cannot be told apart."""
    a, b = (Counter(run for text in texts for run in _runs(text)) for texts in (left, right))
    n, m = a.total() + 1, b.total() + 1
    table = {run: max(-3.0, min(3.0, math.log((b[run] + 0.5) / m) - math.log((a[run] + 0.5) / n))) for run in a | b if a[run] + b[run] >= 5}
    step = max(1, len(left) // 1000)
    right_way = _leanings(right[::step], table) > _leanings(left[::step], table)
    return table if len(right_way) and right_way.mean() > 0.9 else None


def _padded(text: str) -> str:
    return f" {text.casefold()[:400]} "


def _runs(text: str) -> list[str]:
    padded = _padded(text)
    return [padded[i : i + RUN] for i in range(len(padded) - RUN + 1)]


def _leanings(texts: Sequence[str], table: dict[str, float]) -> np.ndarray:
    """Log odds that each text belongs to the right column, (N,); overlapping runs count a third each."""
    known = np.array([ord(run[0]) << 42 | ord(run[1]) << 21 | ord(run[2]) for run in table] or [0], np.int64)
    order = np.argsort(known)
    known, worth = known[order], np.array(list(table.values()) or [0.0])[order]
    found = [np.zeros(0)]
    for first in range(0, len(texts), AT_ONCE):
        padded = [_padded(text) for text in texts[first : first + AT_ONCE]]
        codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
        runs = codes[:-2] << 42 | codes[1:-1] << 21 | codes[2:]
        place = np.minimum(np.searchsorted(known, runs), len(known) - 1)
        odds = np.append(np.where(known[place] == runs, worth[place], 0.0), (0.0, 0.0))
        ends = np.cumsum([len(text) for text in padded])
        odds[ends - 1] = odds[ends - 2] = 0.0  # runs that reach into the next text
        found.append(np.add.reduceat(odds, ends - [len(text) for text in padded]) / RUN)
    return np.concatenate(found)


ANCHOR = re.compile(r"\d+|\b[^\W\d_a-z][^\W\d_]{3,}")


def _shifted(rows: Sequence[Row]) -> Iterator[Finding]:
    """Stretches where the targets stand some lines too early or late: numbers and names, and lengths, agree better there."""
    if len(rows) < 20:
        return
    size = min(WINDOW, len(rows))
    sources = [set(ANCHOR.findall(row["source"])) for row in rows]
    targets = [set(ANCHOR.findall(row["target"])) for row in rows]
    a = np.array([len(row["source"]) for row in rows], float)
    b = np.array([len(row["target"]) for row in rows], float)
    found: dict[int, list[int]] = {}
    for start in range(0, len(rows) - size // 2, size):
        part = range(start, min(start + size, len(rows)))
        here = _agreement(sources, targets, a, b, part, 0)
        best, shift = max((_agreement(sources, targets, a, b, part, k), -abs(k), k) for k in SHIFTS)[::2]
        if best > max(0.5, here + 0.3):
            found.setdefault(shift, []).extend(part)
    for shift, positions in found.items():
        hit = [rows[i] for i in positions]
        way = "earlier" if shift < 0 else "later"
        lines = "line" if abs(shift) == 1 else "lines"
        where = f"{abs(shift)} {lines} {'later' if shift < 0 else 'earlier'}"
        message = f"in {{count}} rows ({{share}}) the target belongs to a source {where}: the columns are shifted"
        remedy = f"find the line that is missing or doubled before row {hit[0]['row']}; the right target stands {abs(shift)} {lines} {way}"
        shown = [f"{shorten(row['source'], 45)} | {shorten(row['target'], 45)}" for row in hit]
        yield about("shifted-pairs", BLOCKS, hit, len(rows), message, remedy, examples=shown, shift=shift)


def _agreement(sources: list[set[str]], targets: list[set[str]], a: np.ndarray, b: np.ndarray, part: range, shift: int) -> float:
    """How well sources agree with the targets `shift` lines on, 0-1: the mean of shared anchors and of correlated lengths."""
    pairs = [(i, i + shift) for i in part if 0 <= i + shift < len(targets)]
    if len(pairs) < 10:
        return 0.0
    shared = [len(sources[i] & targets[j]) / min(len(sources[i]), len(targets[j])) for i, j in pairs if sources[i] and targets[j]]
    x, y = np.log(a[[i for i, _ in pairs]]), np.log(b[[j for _, j in pairs]])
    related = float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0
    return statistics.fmean([statistics.fmean(shared), related]) if len(shared) >= 10 else related


def _repeated_targets(rows: Sequence[Row]) -> Iterator[Finding]:
    """One target for many different sources: a filler, not a translation."""
    sources: dict[str, set[str]] = {}
    for row in rows:
        sources.setdefault(row["target"], set()).add(normalise(row["source"]))
    often = {target for target, several in sources.items() if len(several) > max(10, 0.005 * len(rows))}
    if often:
        found = [row for row in rows if row["target"] in often]
        yield about(
            "repeated-targets",
            LOOK,
            found,
            len(rows),
            f"{{count}} pairs ({{share}}) share {len(often)} targets that stand with many different sources",
            "look whether they are fillers",
            examples=sorted(often),
        )


# ---- summaries --------------------------------------------------------------------------------------------------------
def summaries(data: Data) -> Iterator[Finding]:
    """Everything about `document` and `summary`."""
    pairs = [row for row in data.all_rows if isinstance(row.get("document"), str) and "summary" in row]
    if not pairs:
        return
    texts = [row["summary"] if isinstance(row["summary"], str) else (row["summary"] or [""])[0] for row in pairs]
    yield from _several(data, pairs)
    alone = _without(data, "document", "summary")
    empty = alone + [row for row, text in zip(pairs, texts) if not text.strip()]
    if empty:
        total = len(pairs) + len(alone)
        severity, remedy = BLOCKS if len(empty) > 0.5 * total else BIASES, "write them or leave the rows out (where: summary != '')"
        yield about("empty-summary", severity, empty, total, "{count} rows ({share}) have no summary", remedy)
    full = [(row, text) for row, text in zip(pairs, texts) if text.strip() and row["document"].strip()]
    longer = [row for row, text in full if len(text) >= len(row["document"]) and normalise(text) != normalise(row["document"])]
    if longer:
        severity = BIASES if len(longer) > 0.05 * len(pairs) else LOOK
        message = "{count} summaries ({share}) are not shorter than the document"
        yield about(
            "summary-not-shorter",
            severity,
            longer,
            len(pairs),
            message,
            "look whether the columns are swapped",
            examples=[r["document"] for r in longer],
        )
    copies = [row for row, text in full if normalise(text) == normalise(row["document"])]
    if copies:
        yield about("copied-pairs", BIASES, copies, len(pairs), "{count} summaries ({share}) are their document", "remove them")
    lead = [
        row
        for row, text in full
        if normalise(row["document"]).startswith(normalise(text)) and normalise(text) != normalise(row["document"])
    ]
    if len(lead) > 0.02 * len(pairs):
        message = "{count} summaries ({share}) are the first words of their document"
        yield about("lead-summaries", LOOK, lead, len(pairs), message, "compare with lead-3: copying the start may score as well")
    counts = Counter(text for _, text in full)
    again = [row for row, text in full if counts[text] > 3]
    if again:
        message = "{count} rows ({share}) share their summary with at least three others"
        yield about(
            "repeated-targets",
            LOOK,
            again,
            len(pairs),
            message,
            "look whether it is a filler",
            examples=[t for t, n in counts.most_common(5) if n > 3],
        )
    yield from _cut_documents([row for row, _ in full])


def _several(data: Data, pairs: Sequence[Row]) -> Iterator[Finding]:
    """Documents with several summaries, and how many the one with most has."""
    references = _with_references(data)
    several = [row for row in pairs if place(row) in references]
    if several:
        most = max(references.values())
        message = f"{{count}} documents ({{share}}) have several summaries, up to {most} each"
        remedy = "the best match is scored; say so, papers differ in this"
        yield about("several-references", LOOK, several, len(pairs), message, remedy, most=most)


def _with_references(data: Data) -> dict[tuple[str, int], int]:
    """Summaries of each row (by its place) that is a list of several in the file, or has further ones in a column of references."""
    found: dict[tuple[str, int], int] = {}
    for table in data.tables.values():
        for column in {str(data.mapped.get("summary", "summary")), "references"} & set(table.columns):
            for i, value in enumerate(table.column(column)):
                if isinstance(value, list) and len(value) > 1:
                    at = table.origin(i)
                    found[at.file, at.row] = len(value)
    return found


def _cut_documents(rows: Sequence[Row]) -> Iterator[Finding]:
    """How many documents a usual model would read only in part."""
    if not rows:
        return
    picked = rows[:: max(1, len(rows) // 5000)]
    count, how = counter()
    tokens, _ = count([row["document"] for row in picked])
    cut = [row for row, n in zip(picked, tokens) if n > LIMIT]
    if cut:
        share = len(cut) / len(picked)
        unseen = float(np.maximum(tokens - LIMIT, 0).sum() / tokens.sum())
        message = f"{share:.0%} of the documents are longer than {LIMIT} tokens ({how}); {unseen:.0%} of the text would go unread"
        severity = BIASES if share > 0.5 else LOOK
        remedy = "take a model for long inputs, or summarise in parts; a cut source cannot be summarised"
        yield about("truncated-documents", severity, cut, len(picked), message, remedy, unread=round(unseen, 4))


# ---- languages of single texts ------------------------------------------------------------------------------------------
def language_mix(data: Data) -> Iterator[Finding]:
    """Texts in another language or script than most of their column. Short texts are left out: they say too little."""
    for role in ("text", "document", "context", "question", "query", "passage"):
        rows = [row for row in data.all_rows if isinstance(row.get(role), str) and len(row[role]) >= 40]
        if len(rows) < 20:
            continue
        rows = first_of_each(rows, role)
        rows = rows[:: max(1, len(rows) // 20_000)]
        languages = [_language(row[role]) for row in rows]
        counts = Counter(language for language in languages if language)
        if not counts:
            continue
        usual, most = counts.most_common(1)[0]
        odd = [(row, language) for row, language in zip(rows, languages) if language and language != usual]
        if odd:
            told = ", ".join(f"{language} {count}" for language, count in counts.most_common(6))
            message = f"{{count}} texts ({{share}}) in {role} are in another language than most ({told})"
            remedy = "fine if all are wanted: take a multilingual model; else leave them out"
            found = [row for row, _ in odd]
            shown = [f"{language}: {row[role]}" for row, language in odd]
            yield about("language-mix", LOOK, found, len(rows), message, remedy, examples=shown, languages=dict(counts))
        if usual != "en" and most > 0.5 * len(rows):
            yield Finding(
                "not-english",
                LOOK,
                f"{role} is mostly in '{usual}'; the packaged model is English and lower-cases",
                "name a multilingual model of the Hub",
                most,
                most / len(rows),
            )


def _language(text: str) -> str:
    """The language of one text if it is plain, else ""."""
    found = "LATIN" if text.isascii() else script(text[:400])
    if found and found != "LATIN":
        return SCRIPTS.get(found, found.lower())
    words = WORD.findall(text[:600].lower())
    votes = Counter(language for word in words for language in _SPOKEN.get(word, ()))
    if len(words) < 10 or not votes:
        return ""
    language, most = votes.most_common(1)[0]
    second = votes.most_common(2)[1][1] if len(votes) > 1 else 0
    return language if most >= max(3, 0.25 * len(words)) and most > 1.3 * second else ""


_SPOKEN: dict[str, list[str]] = {}
for _name, _words in FUNCTION_WORDS.items():
    for _word in _words.split():
        if len(_word) > 1:
            _SPOKEN.setdefault(_word, []).append(_name)
