"""What is wrong with the texts themselves: nothing in them, damaged characters, leftovers of HTML, what cannot be seen.

In:  `Data`. Out: findings, one for each kind and role, with the rows. Each text is looked at once; what costs time is looked
at only in texts that are not plain ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, TEXT_ROLES, Data, Finding, about
from oneloop.tasks.base import Row

MAY_BE_EMPTY = frozenset(
    {"input", "title", "text_pair", "summary", "target", "completion", "output"}
)  # looked at by the checks of their task
LEFT_OUT = (
    "training leaves such rows out and names them; a test or prediction keeps them, each with its line and a flag; "
    "fill them in, or drop them yourself (clean: drop-empty)"
)
WHEN_EMPTY = dict.fromkeys(
    ("question", "context"),
    "training stops at such rows: write the text or remove the row; a prediction keeps them, each with its line and a flag",
)
NULLS = frozenset(
    {"na", "n/a", "nan", "null", "none", "nil", "#n/a", "#na", "<na>", "-nan", "undefined", "(null)", "#value!", "#ref!", "#name?"}
)
SHARED = frozenset({"context", "passage", "query"})  # texts that many rows share by nature
LONG_RUN = 500  # characters without a space (outside scripts that have none): base64, minified code, a broken export
ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|mdash|ndash|hellip|[lr][sd]quo|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)
TAG = re.compile(
    r"</?(?:a|abbr|article|b|blockquote|body|br|center|code|dd|div|dl|dt|em|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input"
    r"|label|li|link|meta|nav|ol|option|p|pre|script|section|select|small|span|strong|style|sub|sup|table|tbody|td|textarea|tfoot|th|thead|title|tr|u|ul)"
    r"(?:\s[^<>]{0,300})?/?>",
    re.IGNORECASE,
)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
SPACES = re.compile(
    r"[\u200b\u2060\ufeff\u00ad\u180e]|(?<![\u0590-\u08ff\u0900-\u109f\u1780-\u17ff])[\u200c\u200d](?![\u0590-\u08ff\u0900-\u109f\u1780-\u17ff])"
)
JOINED = re.compile(r"[\u200d](?=[\u2190-\u2bff\U0001f000-\U0001faff])|(?<=[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d")
BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
ESCAPES = re.compile(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-f]{2}|=[CE][0-9A-F]=[89A-F][0-9A-F]|%[CE][0-9A-F]%[89A-F][0-9A-F]")
SPECIAL = re.compile(
    r"<\|[a-z_]{2,30}\|>|\[(?:CLS|SEP|PAD|MASK|UNK|INST)\]|</?s>|<(?:unk|pad|mask|bos|eos)>|<<SYS>>|<(?:start|end)_of_turn>"
)
LICENCE = re.compile(r"\*\*\* ?(?:START|END) OF (?:THIS|THE) PROJECT GUTENBERG|Project Gutenberg(?:-tm)? License")
RUN = re.compile(rf"[!-~]{{{LONG_RUN},}}")
# Two or three characters that UTF-8 read as cp1252 or latin-1 leaves; used where ftfy is not installed.
MOJIBAKE = re.compile(
    r"[ÃÂ][\u0080-\u00bf\u0152-\u0178\u02c6\u2013-\u203a\u20ac]|â[\u0080\u20ac][\u0080-\u00bf\u0152\u0153\u2018-\u2122]"
    r"|[ÐÑ][\u0080-\u00bf]|ï¿½|ï»¿|Ã[ -]s?"
)


@dataclass(frozen=True)
class Kind:
    """A kind of fault in a text: how it is found, how bad it is, how it is told and mended."""

    name: str
    severity: str
    test: Callable[[str], Any]
    message: str
    remedy: str
    fixable: bool = False
    ascii: bool = True  # whether plain ASCII text can have it


def is_nothing(text: str) -> bool:
    """Whether a text that is not empty shows nothing: only spaces, controls, joiners and marks without a letter."""
    return all(unicodedata.category(char)[0] in "ZCM" or char in "\u115f\u1160\u3164\uffa0\u2800" for char in text)


def is_wordless(text: str) -> bool:
    """Whether a text has neither a letter nor a digit: emoji, punctuation, symbols."""
    return not any(char.isalnum() for char in text)


@cache
def _badness() -> Callable[[str], Any]:
    """ftfy's test for mojibake where it is installed, else a pattern of the commonest damage."""
    try:
        from ftfy.badness import is_bad
    except ImportError:
        return MOJIBAKE.search
    return lambda text: is_bad(text) or MOJIBAKE.search(text)


def _mojibake(text: str) -> bool:
    """Whether ftfy both sees damage and can mend it, so that rare but right characters are not reported."""
    if not _badness()(text):
        return False
    try:
        from ftfy import fix_encoding
    except ImportError:
        return True
    return fix_encoding(text) != text


def _invisible(text: str) -> bool:
    return bool(SPACES.search(JOINED.sub("", text)))


def _long_run(text: str) -> bool:
    return len(text) >= LONG_RUN and RUN.search(text) is not None


KINDS = (
    Kind(
        "null-like-text",
        LOOK,
        lambda text: len(text) < 12 and text.strip().casefold() in NULLS,
        "read like a missing value ({role})",
        "if the cell was empty, leave the row out (where); if it is a text, nothing to do: it stays text here",
    ),
    Kind(
        "no-words",
        LOOK,
        is_wordless,
        "have no letter and no digit in {role}: emoji or punctuation alone",
        "check that the model should learn from them",
    ),
    Kind(
        "lone-surrogates",
        BLOCKS,
        SURROGATE.search,
        "have half a character in {role} (a lone surrogate), which no tokenizer takes",
        "export the data again as UTF-8; --fix replaces them by \ufffd",
        True,
        False,
    ),
    Kind(
        "control-characters", LOOK, CONTROL.search, "have control characters in {role}", "--fix removes them (clean: strip-control)", True
    ),
    Kind(
        "zero-width-characters",
        LOOK,
        _invisible,
        "have zero-width characters in {role}: words that look alike differ",
        "--fix removes them (clean: strip-zero-width)",
        True,
        False,
    ),
    Kind(
        "bidi-controls",
        LOOK,
        BIDI.search,
        "have characters in {role} that turn the reading direction: what is shown is not what is read",
        "--fix removes them; look at these rows, they can hide text",
        True,
        False,
    ),
    Kind(
        "replacement-characters",
        LOOK,
        lambda text: "\ufffd" in text,
        "have \ufffd in {role}: characters lost in an earlier conversion",
        "read the original again in its own encoding; they cannot be restored",
        False,
        False,
    ),
    Kind(
        "mojibake",
        LOOK,
        _mojibake,
        "have UTF-8 read in a wrong encoding in {role} (cafÃ© for café)",
        "--fix restores them (clean: fix-mojibake)",
        True,
        False,
    ),
    Kind("html-tags", LOOK, TAG.search, "have HTML tags in {role}", "remove them (clean: strip-html), unless the markup matters"),
    Kind(
        "html-entities",
        LOOK,
        ENTITY.search,
        "have HTML entities in {role} (&amp; for &)",
        "--fix writes the characters in texts without tags or code (clean: unescape-html writes them in all)",
        True,
    ),
    Kind(
        "escape-sequences",
        LOOK,
        ESCAPES.search,
        "have characters written as escapes in {role} (\\u00e9, %C3%A9)",
        "decode them, unless it is code",
    ),
    Kind(
        "special-tokens",
        LOOK,
        SPECIAL.search,
        "have the marks of a tokenizer in {role} ([SEP], <unk>, <|endoftext|>): they are read as commands",
        "remove them unless they are meant",
    ),
    Kind(
        "licence-text",
        LOOK,
        LICENCE.search,
        "have the licence or header of a book archive in {role}",
        "leave it out: it is not part of the work",
    ),
    Kind(
        "long-runs",
        LOOK,
        _long_run,
        f"have a run of over {LONG_RUN} characters without a space in {{role}}",
        "encoded data or a broken export: cut or remove it",
    ),
)


def texts(data: Data) -> Iterator[Finding]:
    """Every kind of fault in every text role."""
    for role in TEXT_ROLES:
        if role in data.roles:
            rows = [row for row in data.all_rows if role in row]
            yield from _role(role, first_of_each(rows, role) if role in SHARED else rows)
    if "tokens" in data.roles:
        yield from _tokens([row for row in data.all_rows if "tokens" in row])


def first_of_each(rows: Sequence[Row], role: str) -> list[Row]:
    """The first row of each different text: a context stands in the row of each of its questions."""
    return list({row[role]: row for row in reversed(rows) if isinstance(row[role], str)}.values())[::-1]


def _role(role: str, rows: Sequence[Row]) -> Iterator[Finding]:
    total = len(rows)
    filled, empty, nothing = [], [], []
    for row in rows:
        text = row[role]
        if not isinstance(text, str) or not text:
            empty.append(row)
        elif text.isspace() or (len(text) < 200 and not text.isascii() and is_nothing(text)):
            nothing.append(row)
        else:
            filled.append(row)
    if role not in MAY_BE_EMPTY:
        severity = BLOCKS if not filled and total else BIASES if len(empty) + len(nothing) > 0.05 * total else LOOK
        if empty:
            message = f"{{count}} rows ({{share}}) have nothing in {role}"
            yield about("empty-text", severity, empty, total, message, WHEN_EMPTY.get(role, LEFT_OUT), role=role)
        if nothing:
            message = f"{{count}} rows ({{share}}) have only spaces or invisible characters in {role}"
            yield about("invisible-text", severity, nothing, total, message, WHEN_EMPTY.get(role, LEFT_OUT), role=role)
    plain = [row for row in filled if row[role].isascii()]
    wide = [row for row in filled if not row[role].isascii()]
    for kind in KINDS:
        hits = [row for row in wide if kind.test(row[role])] + ([row for row in plain if kind.test(row[role])] if kind.ascii else [])
        if hits and not (kind.name == "control-characters" and role == "text" and len(hits) > 0.5 * total):
            message = "{count} rows ({share}) " + kind.message.replace("{role}", role)
            shown = [row[role] for row in hits]
            yield about(kind.name, kind.severity, hits, total, message, kind.remedy, examples=shown, fixable=kind.fixable, role=role)
    yield from _breaks(role, filled, total)
    yield from _forms(role, wide, total)


def _breaks(role: str, rows: Sequence[Row], total: int) -> Iterator[Finding]:
    """Line breaks in, and spaces around, texts of which most have none."""
    broken = [row for row in rows if "\n" in row[role] or "\r" in row[role]]
    if broken and len(broken) < 0.2 * total and len(rows) > 1:
        message = f"{{count}} rows ({{share}}) have line breaks inside {role}"
        remedy = "read the file with a real CSV reader (done here), never line by line; clean: normalize-space joins the lines"
        yield about("line-breaks", LOOK, broken, total, message, remedy, examples=[row[role] for row in broken], role=role)
    ragged = [row for row in rows if row[role] != row[role].strip()]
    if ragged and len(ragged) < 0.5 * total:
        message = f"{{count}} rows ({{share}}) have spaces or line breaks at an end of {role}"
        yield about(
            "outer-spaces",
            LOOK,
            ragged,
            total,
            message,
            "--fix removes them (clean: strip)",
            fixable=True,
            role=role,
        )


def _forms(role: str, rows: Sequence[Row], total: int) -> Iterator[Finding]:
    """Accents written as two characters in some rows and as one in others: the same word is two words."""
    split = [row for row in rows if not unicodedata.is_normalized("NFC", row[role])]
    if split and len(split) < total:
        message = f"{{count}} rows ({{share}}) write accents as letter and mark (NFD) in {role}, the others as one character"
        yield about("mixed-unicode-forms", LOOK, split, total, message, "write all in NFC (clean: nfc)", role=role)


def _tokens(rows: Sequence[Row]) -> Iterator[Finding]:
    """Words of word lists that are empty, invisible, or hold a space."""
    empty = [row for row in rows if not row["tokens"]]
    if empty:
        yield about("empty-text", LOOK, empty, len(rows), "{count} rows ({share}) have no words", "leave them out", role="tokens")
    odd = [row for row in rows if any(not word or (not word.isalnum() and is_nothing(word)) for word in row["tokens"])]
    if odd:
        message = "{count} rows ({share}) have words that are empty or invisible: no tokenizer gives them a token"
        yield about(
            "invisible-words", LOOK, odd, len(rows), message, "remove the word and its tag; in prediction such words get O", role="tokens"
        )
    spaced = [row for row in rows if any(" " in word.strip() or "\t" in word for word in row["tokens"])]
    if spaced:
        message = "{count} rows ({share}) have words with a space inside"
        yield about("spaces-in-words", LOOK, spaced, len(rows), message, "split them and their tags, or join them with _", role="tokens")
    damaged = [row for row in rows if any(not word.isascii() and _mojibake(word) for word in row["tokens"])]
    if damaged:
        shown = [" ".join(word for word in row["tokens"] if not word.isascii()) for row in damaged]
        message = "{count} rows ({share}) have UTF-8 read in a wrong encoding in tokens (cafÃ© for café)"
        yield about(
            "mojibake",
            LOOK,
            damaged,
            len(rows),
            message,
            "--fix restores them (clean: fix-mojibake)",
            examples=shown,
            fixable=True,
            role="tokens",
        )
