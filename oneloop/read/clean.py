"""Named cleaners: what a recipe's `clean` does to every row, in training, evaluation and prediction alike.

In:  role rows and cleaner names
Out: cleaned rows, in order, and how many rows each cleaner changed or dropped

Spans and answers keep pointing at their words: a cleaner says where every character of the new text came from, and the
offsets move along. Where an end of a span falls inside something that changed as a whole, the row is refused.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from oneloop.errors import DataError, Problem, RecipeError, did_you_mean
from oneloop.read.explode import PREFIX, column_of, explode_row, explodes

Row = dict[str, Any]
# (start, end, replacement) in the old text, in order, without overlap
Edit = tuple[int, int, str]

ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
TAG = re.compile(r"<(?:!--.*?--|/?[A-Za-z][^<>]*|![A-Za-z][^<>]*)>", re.DOTALL)
SCRIPT = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
BLOCK = re.compile(r"</?(?:p|div|br|li|ul|ol|tr|td|th|h[1-6]|table|section|article|blockquote)\b", re.IGNORECASE)
SPACE = re.compile(r"\s+")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
# zero-width space and joiners, word joiner, byte order mark, soft hyphen, direction marks; joiners inside emoji and Indic or
# Persian words carry meaning and stay
ZERO_WIDTH = re.compile(r"[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069]|(?<![^\W\d_])[\u200c\u200d](?=[\s]|$)")
URL = re.compile(r"https?://\S+|www\.\S+")


def _pattern(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]) -> Callable[[str], list[Edit]]:
    def edits(text: str) -> list[Edit]:
        found = [(match.start(), match.end(), replace(match)) for match in pattern.finditer(text)]
        return [edit for edit in found if text[edit[0] : edit[1]] != edit[2]]

    return edits


def _strip_html(text: str) -> list[Edit]:
    found = [(match.start(), match.end(), " ") for match in SCRIPT.finditer(text)]
    taken = [(start, end) for start, end, _ in found]
    for match in TAG.finditer(text):
        if not any(start <= match.start() < end for start, end in taken):
            found.append((match.start(), match.end(), " " if BLOCK.match(match.group()) else ""))
    return sorted(found)


def _strip(text: str) -> list[Edit]:
    if not text.strip():
        return [(0, len(text), "")] if text else []
    left, right = len(text) - len(text.lstrip()), len(text.rstrip())
    return [(start, end, "") for start, end in ((0, left), (right, len(text))) if start < end]


def _normalize_space(text: str) -> list[Edit]:
    edits = []
    for match in SPACE.finditer(text):
        edge = match.start() == 0 or match.end() == len(text)
        if match.group() != ("" if edge else " "):
            edits.append((match.start(), match.end(), "" if edge else " "))
    return edits


def _clusters(form: str) -> Callable[[str], list[Edit]]:
    """Unicode normalisation, one base character with its marks at a time, so that offsets can follow."""

    def edits(text: str) -> list[Edit]:
        if unicodedata.is_normalized(form, text):  # type: ignore[arg-type]
            return []
        found, start = [], 0
        for end in [*_boundaries(text), len(text)]:
            new = unicodedata.normalize(form, text[start:end])  # type: ignore[arg-type]
            if new != text[start:end]:
                found.append((start, end, new))
            start = end
        whole = unicodedata.normalize(form, text)  # type: ignore[arg-type]
        return found if _replaced(text, found) == whole else _difference(text, whole, 0)

    return edits


def _boundaries(text: str) -> list[int]:
    """Positions where a new cluster begins: not at a combining mark, nor at a Hangul vowel or final that composes backward."""
    return [
        i for i in range(1, len(text)) if not unicodedata.combining(text[i]) and not "\u1160" <= text[i] <= "\u11ff" and text[i] not in "ﾞﾟ"
    ]


def _lower(text: str) -> list[Edit]:
    return [(i, i + 1, char.lower()) for i, char in enumerate(text) if char.lower() != char] if text.lower() != text else []


def _mojibake(text: str) -> list[Edit]:
    """ftfy's repair of wrongly decoded text, line by line; only the stretch that differs counts as changed."""
    from ftfy import fix_encoding

    found, start = [], 0
    for line in text.splitlines(keepends=True):
        fixed = fix_encoding(line) if not line.isascii() else line
        if fixed != line:
            found += _difference(line, fixed, start)
        start += len(line)
    return found


def _difference(old: str, new: str, at: int) -> list[Edit]:
    import difflib

    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(at + i, at + j, new[k:m]) for kind, i, j, k, m in matcher.get_opcodes() if kind != "equal"]


EDITS: dict[str, Callable[[str], list[Edit]]] = {
    "unescape-html": _pattern(ENTITY, lambda match: html.unescape(match.group())),
    "strip-html": _strip_html,
    "normalize-space": _normalize_space,
    "strip": _strip,
    "nfc": _clusters("NFC"),
    "nfkc": _clusters("NFKC"),
    "fix-mojibake": _mojibake,
    "strip-control": _pattern(CONTROL, lambda match: ""),
    "strip-zero-width": _pattern(ZERO_WIDTH, lambda match: ""),
    "strip-urls": _pattern(URL, lambda match: ""),
    "lowercase": _lower,
}
DROPS = ("drop-empty", "drop-duplicates", "drop-unlabelled")
CLEANERS = (*EDITS, *DROPS)
EXPLODE = PREFIX + "COLUMN"  # a cleaner too: `oneloop.read.explode`
ALIASES = {
    "unescape": "unescape-html",
    "html": "strip-html",
    "whitespace": "normalize-space",
    "spaces": "normalize-space",
    "lower": "lowercase",
}
ALIASES |= {"ftfy": "fix-mojibake", "dedupe": "drop-duplicates", "normalise-space": "normalize-space", "strip-whitespace": "strip"}
TEXTS: tuple[str, ...] = (
    "text",
    "text_pair",
    "document",
    "summary",
    "source",
    "target",
    "question",
    "context",
    "query",
    "passage",
    "anchor",
    "positive",
)
TEXTS += ("negative", "prompt", "completion", "instruction", "input", "output", "title")
MARKS = {"spans": "text", "answers": "context"}  # role with offsets -> the text that they count in
TARGETS = ("label", "labels", "score", "tags", "spans", "answers", "summary", "target")


def known(name: str) -> str:
    """The cleaner called `name`; RecipeError with a suggestion if there is none."""
    word = name.strip().lower().replace("_", "-")
    word = ALIASES.get(word, word)
    if explodes(name) and column_of(name):
        return PREFIX + column_of(name)
    if word == PREFIX[:-1] or explodes(name):
        raise RecipeError(f"'{name}' names no column", where="clean", expected="a column of lists", fix=f"{PREFIX}comments")
    if word not in CLEANERS:
        raise RecipeError(
            f"there is no cleaner '{name}'{did_you_mean(word, CLEANERS)}",
            where="clean",
            expected="some of " + ", ".join((*CLEANERS, EXPLODE)),
        )
    return word


def apply_clean(rows: Sequence[Row], names: Sequence[str], roles: Iterable[Any] = ()) -> tuple[list[Row], dict[str, int]]:
    """Cleaned copies of the rows, and for each cleaner the number of rows it changed, dropped or added. The given rows stay as they are.

    names: in the order they work. roles: the task's Columns or role names; empty for every text role that rows have.
    RecipeError for an unknown name; DataError with all rows whose spans or answers cannot follow the change.
    """
    chosen = [known(name) for name in names]
    allowed = {getattr(role, "role", role) for role in roles}
    found = [dict(row) for row in rows]
    counts = dict.fromkeys(chosen, 0)
    problems: list[Problem] = []
    for name in chosen:
        before = len(found)
        if explodes(name):
            found = [one for row in found for one in explode_row(row, column_of(name))]
            counts[name] += len(found) - before
        elif name in DROPS:
            found = _dropped(found, name, allowed)
            counts[name] += before - len(found)
        else:
            counts[name] += sum(_clean_row(row, name, allowed, problems) for row in found)
    if problems:
        raise DataError("cleaning would move marks off their words", problems, fix="leave out that cleaner, or correct the marks")
    return found, counts


def edited(text: str, name: str) -> str:
    """One text after one cleaner."""
    return _replaced(text, EDITS[known(name)](text))


def _replaced(text: str, edits: Sequence[Edit]) -> str:
    pieces, position = [], 0
    for start, end, new in edits:
        pieces += [text[position:start], new]
        position = end
    return "".join([*pieces, text[position:]])


def _clean_row(row: Row, name: str, allowed: set[str], problems: list[Problem]) -> bool:
    """Clean every text of a row in place; whether anything changed."""
    changed = False
    for role in [role for role in (*TEXTS, "tokens", "messages") if role in row and (not allowed or role in allowed)]:
        value = row[role]
        if isinstance(value, str):
            edits = EDITS[name](value)
            if edits:
                _move_marks(row, role, edits, problems, name)
                row[role] = _replaced(value, edits)
                changed = True
        elif isinstance(value, list) and value:
            new = [_clean_item(item, name) for item in value]
            changed |= new != value
            row[role] = new
    return changed


def _clean_item(item: Any, name: str) -> Any:
    """A word of `tokens` (never emptied: its tag would be left alone), a text of a list, or a message."""
    if isinstance(item, str):
        return _replaced(item, EDITS[name](item)) or item
    if isinstance(item, dict) and isinstance(item.get("content"), str):
        return item | {"content": _replaced(item["content"], EDITS[name](item["content"]))}
    return item


def _move_marks(row: Row, role: str, edits: Sequence[Edit], problems: list[Problem], name: str) -> None:
    """Move the spans or answers that count in the text `role`."""
    old, new = row[role], ""
    move = Mover(edits)
    for marks, text_role in MARKS.items():
        if text_role != role or not isinstance(row.get(marks), list):
            continue
        new = new or _replaced(old, edits)
        moved = []
        for mark in row[marks]:
            start = mark.get("start")
            if start is None:
                moved.append(mark | {"text": _replaced(mark["text"], EDITS[name](mark["text"]))})
                continue
            end = mark["end"] if "end" in mark else start + len(mark["text"])
            at = move.span(start, end)
            if at is None or not new[at[0] : at[1]].strip():
                shown = old[start:end][:40]
                reason = f"{name} changes an end of the mark {shown!r} ({start} to {end})"
                problems.append(Problem(reason, "correct the mark", file=row.get("file", ""), row=row.get("row"), column=marks))
                continue
            moved.append(mark | ({"start": at[0], "end": at[1]} if "end" in mark else {"start": at[0], "text": new[at[0] : at[1]]}))
        row[marks] = moved


class Mover:
    """Offsets of an old text in the new one, after edits."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self.edits = edits
        self.starts = [start for start, _, _ in edits]
        self.ends = [end for _, end, _ in edits]
        self.shift = [0]
        for start, end, new in edits:
            self.shift.append(self.shift[-1] + len(new) - (end - start))

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """A stretch of the old text in the new one; None if an end falls inside a replacement that is not just white space
        or nothing. An end at a dropped or blank stretch closes up to the words beside it."""
        left, right = self._start(start), self._end(end)
        return None if left is None or right is None or left >= right else (left, right)

    def _start(self, at: int) -> int | None:
        i = bisect_right(self.starts, at) - 1
        if i < 0 or at >= self.ends[i]:
            return at + self.shift[i + 1]
        if at == self.starts[i] and self.edits[i][2].strip():
            return at + self.shift[i]
        return self.ends[i] + self.shift[i + 1] if not self.edits[i][2].strip() else None

    def _end(self, at: int) -> int | None:
        i = bisect_left(self.ends, at)
        if i >= len(self.edits) or at <= self.starts[i]:
            return at + self.shift[i]
        if at == self.ends[i] and self.edits[i][2].strip():
            return at + self.shift[i + 1]
        return self.starts[i] + self.shift[i] if not self.edits[i][2].strip() else None


def _dropped(rows: list[Row], name: str, allowed: set[str]) -> list[Row]:
    if name == "drop-empty":
        return [row for row in rows if not _is_empty(row, allowed)]
    if name == "drop-unlabelled":
        return [row for row in rows if any(role in row for role in TARGETS)]
    seen: set[str] = set()
    kept = []
    for row in rows:
        content = repr(sorted((key, value) for key, value in row.items() if key not in ("id", "row", "file", "group")))
        if content not in seen:
            kept.append(row)
        seen.add(content)
    return kept


def _is_empty(row: Row, allowed: set[str]) -> bool:
    """Whether a text of the row holds nothing to read: empty, white space, zero-width and control characters only."""
    texts = [row[role] for role in (*TEXTS, "tokens") if role in row and role != "input" and (not allowed or role in allowed)]
    return any(
        not ZERO_WIDTH.sub("", CONTROL.sub("", text)).strip("\u200c\u200d \t\r\n\u00a0") if isinstance(text, str) else not text
        for text in texts
    )
