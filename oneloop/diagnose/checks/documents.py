"""What is wrong with texts to learn writing from: bare documents, prompts with answers, chats.

In:  `Data` with a bare `text`, or `prompt` and `completion`, `instruction` and `output`, or `messages`. Out: findings.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from oneloop.diagnose.checks.copies import normalise
from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, Data, Finding, about, brief, shorten
from oneloop.diagnose.profile import looks_like_code
from oneloop.tasks.base import Row

TINY = 5  # words under which a document teaches little
ENDS = re.compile(r"[.!?…:;。！？\"'”’»)\]}>*=_-]\s*$|</\w+>\s*$|```\s*$")
BOILERPLATE = 0.05  # share of documents that hold the same line
REFUSAL = re.compile(
    r"\b(?:as an? (?:AI|artificial intelligence)(?: language)?(?: model| assistant)?|I(?:'m| am) sorry, but I (?:can(?:no|')t|am not able)|"
    r"my knowledge cutoff|I do not have personal (?:opinions|experiences))",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(
    r"\{\{\s*\w+\s*\}\}|<(?:your|insert)[^<>]{1,40}>|\[(?:your|insert)[^\[\]]{1,40}\]|\bTODO\b|\blorem ipsum\b", re.IGNORECASE
)
ROLES = ("system", "user", "assistant", "tool", "function", "developer")


def documents(data: Data) -> Iterator[Finding]:
    """Bare texts: tiny ones, ones without an end, lines that come back in many."""
    if not data.learns_text or data.roles - {"text", "title"} or "text" not in data.roles:
        return
    rows = [row for row in data.all_rows if isinstance(row.get("text"), str) and row["text"].strip()]
    if not rows:
        return
    tiny = [row for row in rows if len(row["text"].split()) < TINY and len(row["text"]) < 30]
    if len(tiny) > 0.1 * len(rows):
        message = f"{{count}} texts ({{share}}) have fewer than {TINY} words: lines rather than documents"
        remedy = "they are packed end to end; if each file is one document, read it as one (documents, not lines)"
        yield about("tiny-documents", LOOK, tiny, len(rows), message, remedy, examples=[row["text"] for row in tiny])
    sizes = sorted(len(row["text"]) for row in rows)
    if sum(sizes) < 100_000:
        yield Finding("little-text", LOOK, f"{sum(sizes):,} characters in all: a model trained from scratch on so little only repeats it",
                      "adapt a trained model, or collect more; 1 MB is a start", len(rows))  # fmt: skip
    long_rows = [row for row in rows if len(row["text"].split()) >= 3 * TINY and not looks_like_code(row["text"][:2000])]
    open_end = [row for row in long_rows if not ENDS.search(row["text"][-40:])]
    if open_end and len(open_end) > 0.02 * len(long_rows):
        message = "{count} texts ({share} of the longer ones) stop without an end: no full stop, no closing mark"
        remedy = "look whether they were cut; a model learns to stop where its texts do (an end-of-text token is added to each)"
        shown = ["…" + row["text"].rstrip()[-60:] for row in open_end]
        yield about("texts-without-end", LOOK, open_end, len(long_rows), message, remedy, examples=shown)
    yield from _boilerplate(rows)


def _boilerplate(rows: Sequence[Row]) -> Iterator[Finding]:
    """Lines that many documents share: headers, footers, notices."""
    lines = Counter(
        line for row in rows if "\n" in row["text"] for line in {part.strip() for part in row["text"].split("\n")} if len(line) >= 20
    )
    whole = sum("\n" in row["text"] for row in rows)
    often = {line: count for line, count in lines.items() if whole >= 20 and count >= max(5, BOILERPLATE * whole)}
    if often:
        found = [
            row for row in rows if "\n" in row["text"] and not often.keys().isdisjoint(part.strip() for part in row["text"].split("\n"))
        ]
        told = [f"{count} × {line}" for line, count in sorted(often.items(), key=lambda item: -item[1])]
        message = f"{{count}} texts ({{share}}) share {len(often)} lines: headers, footers or notices"
        yield about("boilerplate", LOOK, found, len(rows), message, "remove these lines; they are learned first", examples=told)


# ---- prompts and answers ------------------------------------------------------------------------------------------------
PAIRS = (("prompt", "completion"), ("instruction", "output"), ("prompt", "chosen"))


def instructions(data: Data) -> Iterator[Finding]:
    """Prompts without answers, answers that repeat the prompt, chats in the wrong order."""
    for asked, said in PAIRS:
        rows = [row for row in data.all_rows if asked in row]
        if rows and said in data.roles:
            yield from _prompts(rows, asked, said)
    chats = [row for row in data.all_rows if isinstance(row.get("messages"), list)]
    if chats:
        yield from _chats(chats)
    if {"chosen", "rejected"} <= data.roles:
        same = [row for row in data.all_rows if row.get("chosen") and row.get("chosen") == row.get("rejected")]
        if same:
            message = "{count} rows ({share}) prefer an answer to itself: chosen and rejected are the same"
            yield about("no-preference", BIASES, same, len(data.all_rows), message, "remove them")


def _prompts(rows: Sequence[Row], asked: str, said: str) -> Iterator[Finding]:
    total = len(rows)
    without = [row for row in rows if not str(row.get(said) or "").strip()]
    if without:
        severity = BLOCKS if len(without) == total else BIASES
        message = (
            f"{{count}} rows ({{share}}) have an {asked} but no {said}"
            if asked[0] in "aeiou"
            else f"{{count}} rows ({{share}}) have a {asked} but no {said}"
        )
        yield about(
            "no-answer",
            severity,
            without,
            total,
            message,
            "write the answers or leave the rows out",
            examples=[str(r[asked]) for r in without],
        )
    full = [row for row in rows if str(row.get(said) or "").strip()]
    echoed = [row for row in full if normalise(str(row[asked])) == normalise(str(row[said]))]
    if echoed:
        yield about(
            "answer-is-prompt",
            BIASES,
            echoed,
            total,
            f"{{count}} rows ({{share}}) repeat the {asked} as {said}",
            "remove them",
            examples=[str(r[asked]) for r in echoed],
        )
    yield from _answer_texts([(row, str(row[asked]), str(row[said])) for row in full], total)


def _answer_texts(found: Sequence[tuple[Row, str, str]], total: int) -> Iterator[Finding]:
    refused = [row for row, _, text in found if REFUSAL.search(text)]
    if refused:
        message = "{count} answers ({share}) talk of being an AI or refuse"
        yield about(
            "refusals",
            LOOK,
            refused,
            total,
            message,
            "leave them out unless the model should say so",
            examples=[t for _, _, t in found if REFUSAL.search(t)],
        )
    blank = [row for row, asked, text in found if PLACEHOLDER.search(text) or PLACEHOLDER.search(asked)]
    if blank:
        message = "{count} rows ({share}) hold a placeholder that nobody filled in"
        matches = [PLACEHOLDER.search(text) or PLACEHOLDER.search(asked) for _, asked, text in found]
        yield about(
            "placeholders",
            LOOK,
            blank,
            total,
            message,
            "fill them in or remove the rows",
            examples=[match[0] for match in matches if match],
        )
    counts = Counter(text for _, _, text in found)
    often = {text for text, count in counts.items() if count > max(3, 0.01 * total) and len(text.split()) > 2}
    if often:
        again = [row for row, _, text in found if text in often]
        message = f"{{count}} rows ({{share}}) share {len(often)} answers word for word"
        yield about("repeated-targets", LOOK, again, total, message, "look whether they are fillers", examples=sorted(often))
    cut = [row for row, _, text in found if len(text.split()) > 30 and not ENDS.search(text[-40:]) and not looks_like_code(text)]
    if len(cut) > 0.02 * total:
        shown = ["…" + text.rstrip()[-60:] for _, _, text in found if len(text.split()) > 30 and not ENDS.search(text[-40:])]
        yield about(
            "texts-without-end",
            LOOK,
            cut,
            total,
            "{count} answers ({share}) stop without an end",
            "look whether they were cut",
            examples=shown,
        )


def chat_faults(turns: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    """(kind, what) of each thing wrong with the order or content of a chat's turns."""
    found = []
    names = [turn.get("role", "") for turn in turns]
    spoken = [name for name in names if name in ("user", "assistant")]
    if "assistant" not in names:
        found.append(("chat-without-answer", "no assistant turn"))
    elif names[-1] not in ("assistant", "tool", "function"):
        found.append(("chat-without-answer", f"ends with {names[-1]}"))
    if spoken and spoken[0] == "assistant":
        found.append(("chat-order", "starts with the assistant"))
    before = ""
    for i, name in enumerate(names):
        if name not in ROLES:
            found.append(("chat-unknown-role", f"role '{shorten(name, 20)}'"))
        if name == "system" and i > 0:
            found.append(("chat-order", f"system turn at place {i + 1}"))
        if name == before and name in ("user", "assistant"):
            found.append(("chat-order", f"two {name} turns in a row at place {i + 1}"))
        before = name
    found += [
        ("chat-empty-turn", f"empty {t.get('role')} turn at place {i}")
        for i, t in enumerate(turns, 1)
        if not str(t.get("content", "")).strip()
    ]
    return found


CHAT_KINDS = {
    "chat-without-answer": (BIASES, "do not end with an answer: the last question teaches nothing", "add the answer or drop the last turn"),
    "chat-order": (BIASES, "have turns out of order", "let user and assistant take turns, after at most one system turn"),
    "chat-unknown-role": (BIASES, "have turns of an unknown role", "use system, user, assistant and tool"),
    "chat-empty-turn": (BIASES, "have an empty turn", "fill it in or remove the chat"),
}


def _chats(rows: Sequence[Row]) -> Iterator[Finding]:
    hits: dict[str, dict[int, tuple[Row, str]]] = {}
    for row in rows:
        for kind, what in chat_faults(row["messages"]):
            hits.setdefault(kind, {}).setdefault(id(row), (row, what))
    for kind, found in hits.items():
        severity, what, remedy = CHAT_KINDS[kind]
        if kind == "chat-without-answer" and len(found) == len(rows):
            severity = BLOCKS
        several = [row for row, _ in found.values()]
        shown = [f"{brief(row)[0]} {brief(row)[1]}: {told}" for row, told in found.values()]
        yield about(kind, severity, several, len(rows), f"{{count}} chats ({{share}}) {what}", remedy, examples=shown)
    said = []
    for row in rows:
        turns = row["messages"]
        said += [
            (row, str(a.get("content", "")), str(b.get("content", "")))
            for a, b in itertools.pairwise(turns)
            if b.get("role") == "assistant"
        ]
    yield from _answer_texts(said, len(said))
