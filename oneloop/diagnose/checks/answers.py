"""What is wrong with answers marked in a context: not there, beside their start, counted in another unit, there twice.

In:  `Data` with roles `question`, `context`, `answers` [{"text", "start"}]. Out: findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from oneloop.diagnose.checks.copies import normalise
from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, TRAIN, Data, Finding, about, percent, shorten
from oneloop.encode.repair import ABSENT, ELSEWHERE, EMPTY, Context, find_answer, find_unit, only_place
from oneloop.tasks.base import Row

LONG_ANSWER = 0.5  # share of the context from which an answer is a copy of it
SEARCHED, BY_SEARCH = 20, 0.9  # so many starts, of which so many name the first place: people mean a later one in a third of the cases
OUTCOMES = {  # what find_answer had to do: kind, severity, sentence, remedy
    EMPTY: ("empty-answer", BLOCKS, "have an answer without text", "for a question without an answer leave the list of answers empty"),
    ABSENT: (
        "answer-not-in-context",
        BLOCKS,
        "have an answer that is not in its context",
        "copy the answer from the context word for word",
    ),
    ELSEWHERE: (
        "answer-start-wrong",
        BLOCKS,
        "have an answer that is in its context, but not where its start says",
        "correct answer_start; --fix does where the answer stands in its context only once",
    ),
    "moved": (
        "answer-start-beside",
        BIASES,
        "have an answer one or two characters beside its start",
        "moved when trained here; --fix corrects the start",
    ),
    "folded": (
        "answer-other-form",
        LOOK,
        "write the answer in another Unicode form or spacing than the context",
        "matched here; --fix takes the context's form",
    ),
    "widened": (
        "answer-inside-character",
        LOOK,
        "have an answer that ends inside a visible character",
        "widened here; --fix takes the whole character",
    ),
    "UTF-16 units": (
        "offset-unit",
        BIASES,
        "count their answer's start in UTF-16 units (JavaScript, Java)",
        "converted here; --fix writes characters",
    ),
    "bytes of UTF-8": ("offset-unit", BIASES, "count their answer's start in bytes", "converted here; --fix writes characters"),
}


def answers(data: Data) -> Iterator[Finding]:
    """Everything about questions and their answers."""
    rows = [row for row in data.all_rows if "answers" in row and isinstance(row.get("context"), str)]
    if not rows:
        return
    yield from _placed(rows)
    yield from _unanswerable(data, rows)
    yield from _repeated(rows)
    yield from _shapes(rows)
    yield from _shared_contexts(data)


def _placed(rows: Sequence[Row]) -> Iterator[Finding]:
    """Answers that do not stand where their row says, by what is wrong."""
    contexts: dict[str, Context] = {}
    unit = find_unit(rows, contexts)
    hits: dict[str, list[tuple[Row, str]]] = {}
    mends: dict[str, bool] = {}  # whether --fix mends every one
    for row in rows:
        context = contexts.setdefault(row["context"], Context(row["context"]))
        for answer in row["answers"]:
            place, how = find_answer(answer["text"], answer.get("start"), context, unit)
            if how in OUTCOMES:
                only = only_place(answer["text"], row["context"]) if how == ELSEWHERE else None
                mends[how] = mends.get(how, True) and (how != ELSEWHERE or only is not None)
                there = "" if place is None else f", found at {place[0]}"
                there = there if only is None else f", stands only at {only}"
                hits.setdefault(how, []).append((row, f"'{shorten(answer['text'], 40)}' at {answer.get('start')}{there}"))
        if len(contexts) > 64:
            contexts.clear()
    for how, found in hits.items():
        kind, severity, what, remedy = OUTCOMES[how]
        several = list({id(row): row for row, _ in found}.values())
        whole = all(len(row["answers"]) == 1 for row in several)
        if severity == BLOCKS and not whole:
            severity = LOOK  # another answer of the row may do
        message = f"{{count}} questions ({{share}}) {what}"
        fixable = how not in (EMPTY, ABSENT) and mends[how]
        yield about(kind, severity, several, len(rows), message, remedy, examples=[shown for _, shown in found], fixable=fixable)


def _unanswerable(data: Data, rows: Sequence[Row]) -> Iterator[Finding]:
    """Questions without an answer: how many, and whether all splits have them."""
    shares = {}
    for name, group in data.splits.items():
        asked = [row for row in group if "answers" in row]
        if asked:
            shares[name] = sum(not row["answers"] for row in asked) / len(asked)
    without = [row for row in rows if not row["answers"]]
    if not without:
        return
    if len(without) == len(rows):
        yield Finding(
            "one-class", BLOCKS, "no question has an answer: there is nothing to learn", "check the column of answers", len(rows), 1.0
        )
        return
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    severity, remedy = LOOK, "scored by the SQuAD 2.0 rules: always saying 'no answer' scores the share"
    if TRAIN in shares and (shares[TRAIN] == 0) != all(share == 0 for share in shares.values()):
        severity, remedy = BIASES, "give every split questions without an answer, or none of them"
    yield about(
        "unanswerable", severity, without, len(rows), f"{{count}} questions ({{share}}) have no answer ({told})", remedy, shares=shares
    )


def _repeated(rows: Sequence[Row]) -> Iterator[Finding]:
    """Answers whose text stands more than once in the context: their start may name another place than was meant."""
    found, shown, first, several = [], [], 0, 0
    for row in rows:
        again = [answer for answer in row["answers"] if answer["text"] and _more_than_once(answer["text"], row["context"])]
        if again:
            found.append(row)
            shown.append(f"'{shorten(again[0]['text'], 40)}' stands {row['context'].count(again[0]['text'])} times")
            several += sum(answer.get("start") is not None for answer in again)
            first += sum(answer.get("start") == row["context"].find(answer["text"]) for answer in again)
    if not found:
        return
    message = "{count} questions ({share}) have an answer whose text stands more than once in its context: the start may name another place"
    remedy = "nothing to do for the score (it compares texts); for training look at very short answers"
    if several >= SEARCHED and first >= BY_SEARCH * several:
        message += f"; {percent(first, several)} of these starts are the first place, as a search sets them, not a reader"
    yield about("answer-repeated", LOOK, found, len(rows), message, remedy, examples=shown, first_place=first, starts=several)


def _more_than_once(text: str, context: str) -> bool:
    first = context.find(text)
    return first >= 0 and context.find(text, first + 1) >= 0


def _shapes(rows: Sequence[Row]) -> Iterator[Finding]:
    """Answers as long as their context; answers cut inside a word; several different answers in a training row."""
    long_rows = [
        row for row in rows if any(len(a["text"]) > 200 and len(a["text"]) > LONG_ANSWER * len(row["context"]) for a in row["answers"])
    ]
    if long_rows:
        message = "{count} questions ({share}) have an answer longer than half of its context"
        yield about(
            "long-answers",
            LOOK,
            long_rows,
            len(rows),
            message,
            "mark the words that answer",
            examples=[row["question"] for row in long_rows],
        )
    cut = []
    for row in rows:
        for answer in row["answers"]:
            start, end = answer.get("start"), (answer.get("start") or 0) + len(answer["text"])
            context = row["context"]
            if start is None or not context.startswith(answer["text"], start) or not answer["text"]:
                continue
            before = start > 0 and context[start - 1].isalpha() and context[start].isalpha() and context.isascii()
            after = end < len(context) and context[end - 1].isalpha() and context[end].isalpha() and context.isascii()
            if before or after:
                cut.append((row, context[max(0, start - 8) : end + 8]))
                break
    if cut:
        message = "{count} questions ({share}) have an answer that starts or ends inside a word"
        rows_cut = [row for row, _ in cut]
        yield about(
            "answer-inside-word", LOOK, rows_cut, len(rows), message, "widen it to whole words", examples=[shown for _, shown in cut]
        )
    asked = Counter((normalise(row["question"]), row["context"]) for row in rows if isinstance(row.get("question"), str))
    again = [row for row in rows if isinstance(row.get("question"), str) and asked[normalise(row["question"]), row["context"]] > 1]
    texts: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for row in again:
        texts.setdefault((normalise(row["question"]), row["context"]), set()).add(
            tuple(sorted(normalise(a["text"]) for a in row["answers"]))
        )
    torn = [row for row in again if len(texts[normalise(row["question"]), row["context"]]) > 1]
    if torn:
        message = "{count} rows ask a question of a context that another row answers otherwise"
        yield about(
            "contradicting-labels",
            LOOK,
            torn,
            len(rows),
            message,
            "put the answers of one question into one row",
            examples=[r["question"] for r in torn],
        )


def _shared_contexts(data: Data) -> Iterator[Finding]:
    """Test questions about paragraphs that training has other questions about."""
    if TRAIN not in data.splits:
        return
    known = {row["context"]: row for row in data.splits[TRAIN] if isinstance(row.get("context"), str)}
    for name, group in data.splits.items():
        same = [row for row in group if row.get("context") in known] if name != TRAIN else []
        if same:
            severity = BIASES if len(same) > 0.05 * len(group) else LOOK
            message = (
                f"{{count}} {name} questions ({{share}}) are about contexts that train asks about too ({percent(len(same), len(group))})"
            )
            message = message.rsplit(" (", 1)[0]
            remedy = "split by document, or say that the score is for known texts"
            partners = [known[row["context"]] for row in same]
            yield about("shared-contexts", severity, same, len(group), message, remedy, partners=partners, split=name)
