"""How long the rows are in tokens: what each length limit would cut, which words the tokenizer does not know.

In:  `Data`. Out: a finding with the figures, and one for rows far longer than the rest. Tokens are counted with the tokenizer
of the packaged model where it is installed (through `tokenizers` alone), else estimated from words and characters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np

from oneloop.diagnose.checks.finding import LOOK, Data, Finding, about, as_text, input_text, percent
from oneloop.keyed import generator
from oneloop.model.names import MINILM_PACKAGE
from oneloop.tasks.base import Row

LIMITS = (128, 256, 384, 512)
COUNTED = 20_000  # rows counted; more are sampled, which gives shares to about 0.7 points
READ = 20_000  # characters of a text that are counted; longer ones are scaled up
SPECIAL = 2  # tokens an encoder adds: one before, one after
PER_WORD = 1.35  # tokens a word of English prose gives with a vocabulary of 30,000 word pieces, for the estimate
UNKNOWN_WORDS = 0.01  # share of unknown tokens that is told

Count = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]


def lengths(data: Data, max_length: int | None = None) -> Iterator[Finding]:
    """Tokens of what a model reads, against the usual limits (and `max_length`)."""
    rows = data.all_rows
    picked = np.arange(len(rows))
    if len(rows) > COUNTED:
        picked = np.sort(generator("lengths", len(rows)).choice(len(rows), COUNTED, replace=False))
    counted, how = counter()
    tokens, unknown = _row_tokens([rows[i] for i in picked], data.input_roles, counted)
    if not len(tokens) or tokens.max() <= SPECIAL:
        return
    limits = sorted({*LIMITS, *([max_length] if max_length else [])})
    shares = {limit: float(np.mean(tokens > limit)) for limit in limits}
    lost = {limit: float(np.maximum(tokens - limit, 0).sum() / max(1, tokens.sum())) for limit in limits}
    told = "; ".join(
        f"{limit}: {percent(shares[limit], 1)} of the rows, {percent(lost[limit], 1)} of the tokens" for limit in limits if shares[limit]
    )
    sampled = f", in a sample of {len(picked):,} of {len(rows):,} rows" if len(picked) < len(rows) else ""
    middle, high, most = (int(value) for value in np.percentile(tokens, (50, 95, 100)))
    message = f"{middle} tokens in the median, {high} at 95 %, {most} at most ({how}{sampled})"
    message += f"; a limit would cut: {told}" if told else f"; no row is longer than {limits[0]}"
    figures: dict[str, Any] = {"median": middle, "p95": high, "max": most, "rows_cut": shares, "tokens_cut": lost, "counted": how}
    order = np.argsort(-tokens, kind="stable")
    longest = picked[order]
    over = [rows[i] for i in longest[: int((tokens > (max_length or LIMITS[-1])).sum())]]
    remedy = "choose max_length by these figures; longer rows are windowed here, not cut" if told else "nothing to do"
    yield Finding(
        "lengths",
        LOOK,
        message,
        remedy,
        len(over),
        len(over) / len(picked),
        [(str(row["file"]), int(row["row"])) for row in over],
        examples=[
            f"{int(tokens[i])} tokens, {len(input_text(rows[picked[i]], data.input_roles).split()):,} words"
            for i in order[: min(3, len(over))]
        ],
        numbers=figures,
    )
    yield from _unknown(rows, picked, tokens, unknown, how)


def _unknown(rows: Sequence[Any], picked: np.ndarray, tokens: np.ndarray, unknown: np.ndarray, how: str) -> Iterator[Finding]:
    total, lost = int(tokens.sum()), int(unknown.sum())
    bad = [rows[i] for i, part, whole in zip(picked, unknown, tokens) if part and part >= 0.2 * whole]
    if lost and (lost > UNKNOWN_WORDS * total or bad):
        message = (
            f"{percent(lost, total)} of the tokens are unknown to the vocabulary ({how}); in {{count}} rows ({{share}}) a fifth or more"
        )
        remedy = "take a model whose tokenizer knows this script: a multilingual one"
        yield about("unknown-tokens", LOOK, bad, len(picked), message, remedy)


def _row_tokens(rows: Sequence[Row], roles: Sequence[str], counted: Count) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and unknown tokens of each row; a text that many rows share (a context) is counted once."""
    tokens, unknown = np.full(len(rows), SPECIAL, np.int64), np.zeros(len(rows), np.int64)
    for role in roles:
        place: dict[str, int] = {}
        where = np.array([place.setdefault(_whole(row.get(role), role), len(place)) for row in rows], np.int64)
        sizes, missing = counted(list(place))
        tokens += sizes[where]
        unknown += missing[where]
    return tokens, unknown


def _whole(value: Any, role: str) -> str:
    """A role's value as text; of chats every turn."""
    if role == "messages" and isinstance(value, list):
        return "\n".join(str(turn.get("content", "")) for turn in value if isinstance(turn, dict))
    return as_text(value)


def counter() -> tuple[Count, str]:
    """(a function from texts to tokens and unknown tokens of each, how it counts in words)."""
    path = _tokenizer_file()
    if path is None:
        return _estimated, "estimated from words"
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return _estimated, "estimated from words"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown: Any = tokenizer.token_to_id(json.loads(path.read_text("utf-8"))["model"].get("unk_token") or "[UNK]")

    def count(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and unknown tokens of each text, in calls of 500 so that memory stays bounded."""
        sizes, missing = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
        for start in range(0, len(texts), 500):
            part = [text[:READ].encode("utf-8", "replace").decode() for text in texts[start : start + 500]]
            for i, encoding in enumerate(tokenizer.encode_batch_fast(part, add_special_tokens=False), start):
                scale = max(1.0, len(texts[i]) / READ)
                sizes[i] = round(len(encoding) * scale)
                missing[i] = encoding.ids.count(unknown)
        return sizes, missing

    return count, "tokens of minilm"


def _tokenizer_file() -> Path | None:
    try:
        listed = files(MINILM_PACKAGE) or []
    except PackageNotFoundError:
        return None
    found = [Path(str(item.locate())) for item in listed if item.name == "tokenizer.json"]
    return found[0] if found and found[0].is_file() else None


def _estimated(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Words × PER_WORD, or characters / 2 for scripts without spaces, whichever is more."""
    counts = [
        max(len(text.split()) * PER_WORD, len(text) / 2 if not text.isascii() and text.count(" ") < len(text) / 15 else 0) for text in texts
    ]
    return np.array([round(count) for count in counts], np.int64), np.zeros(len(texts), np.int64)
