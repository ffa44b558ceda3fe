"""Text to token ids and back to characters: safe for any text, any length and any number of threads.

In:  texts, or lists of words, and a Hugging Face tokenizer.
Out: ids without special tokens and never truncated, each with its place in the text (code points) or its word.

The tokenizer itself is never changed: each thread works on a copy of its own, without the padding and truncation that a
saved tokenizer may carry. Long texts are cut into stretches at white space before they reach the tokenizer, because the
time of a single call grows faster than its text.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from oneloop.errors import ModelError

STRETCH = 10_000  # characters handed to the tokenizer at once; measured flat in time from 5,000 to 100,000
WORD_START = 1_000  # characters read of a run of ASCII letters and digits that is longer than a stretch (base64, hex)
WORD_CHARACTERS = 2_000  # characters read of one given word
CALL_CHARACTERS = 4_000_000  # characters in one batch call, so that its memory stays bounded

_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s")
_BREAK = re.compile(r"[^A-Za-z0-9+/=_-]")  # a place to cut a run without white space: after anything but these


@dataclass
class Tokens:
    """The tokens of one text: `ids` (T), `offsets` (T) as (start, end) code points of the text, end exclusive (empty when
    not asked for). `cut` counts unbroken runs of letters or digits of which only the start was read."""

    ids: list[int]
    offsets: list[tuple[int, int]] = field(default_factory=list)
    cut: int = 0


@dataclass
class WordTokens:
    """The tokens of one list of words: `ids` (T) and, for each, the position of its word, `word_ids` (T), rising.
    A word may have no token at all. `cut` counts words of which only the start was read."""

    ids: list[int]
    word_ids: list[int]
    cut: int = 0


@dataclass
class _Copy:
    """One thread's copy of a tokenizer and what was found out about it."""

    size: int  # of the vocabulary when copied: tokens added later make a new copy
    text: Any  # tokenizers.Tokenizer
    words: Any  # the same, but every word of a list starts like a word inside a text
    keeps_space: bool  # a stretch starts with the space before its first word
    wide: bool  # offsets include the space before a word

    @classmethod
    def of(cls, tokenizer: Any) -> _Copy:
        """A copy without truncation and padding; three trial texts tell how it treats spaces."""
        from tokenizers import Tokenizer

        state = json.loads(tokenizer.backend_tokenizer.to_str())
        state["truncation"] = state["padding"] = None
        text = Tokenizer.from_str(json.dumps(state))
        words = Tokenizer.from_str(json.dumps(state)) if _prefix_spaces(state.get("pre_tokenizer")) else text
        for copy in (text, words):
            copy.encode_special_tokens = bool(getattr(tokenizer, "split_special_tokens", False))
        whole = text.encode("he saw it", add_special_tokens=False)
        dropped = text.encode("he", add_special_tokens=False).ids + text.encode("saw it", add_special_tokens=False).ids
        kept = text.encode("he", add_special_tokens=False).ids + text.encode(" saw it", add_special_tokens=False).ids
        wide = any(start < end and "he saw it"[start] == " " for start, end in whole.offsets)
        return cls(len(tokenizer), text, words, kept == whole.ids or dropped != whole.ids, wide)


def _prefix_spaces(pre_tokenizer: Any) -> bool:
    """Make byte-level pre-tokenizers write ` word` for every given word, as within a text; whether there was one to change."""
    found = False
    if isinstance(pre_tokenizer, dict):
        if pre_tokenizer.get("type") == "ByteLevel" and not pre_tokenizer.get("add_prefix_space"):
            pre_tokenizer["add_prefix_space"] = found = True
        for part in pre_tokenizer.get("pretokenizers") or ():
            found = _prefix_spaces(part) or found
    return found


_local = threading.local()


def thread_copy(tokenizer: Any) -> _Copy:
    """This thread's copy of a tokenizer. ModelError for tokenizers that cannot say where in the text a token stands."""
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ModelError(
            f"the tokenizer {type(tokenizer).__name__} does not tell which characters and words its tokens come from",
            expected="a fast tokenizer, one with a tokenizer.json",
            fix="choose a model whose tokenizer loads as a fast one (tokenizer.is_fast is true)",
        )
    copies = getattr(_local, "copies", None)
    if copies is None:
        copies = _local.copies = WeakKeyDictionary()
    copy = copies.get(tokenizer)
    if copy is None or copy.size != len(tokenizer):
        copy = copies[tokenizer] = _Copy.of(tokenizer)
    return copy


def without_surrogates(text: str) -> str:
    """The text with each lone surrogate (half of a broken \\ud83d escape) replaced by U+FFFD, so that offsets still hold."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def tokenize(texts: Sequence[str], tokenizer: Any, *, offsets: bool = True) -> list[Tokens]:
    """The tokens of each text, without special tokens and without truncation. offsets=False is faster.

    Raises ModelError for a tokenizer without offsets (even if they are not asked for: one path for all).
    """
    copy = thread_copy(tokenizer)
    found = [Tokens([]) for _ in texts]
    owners: list[tuple[int, int]] = []  # text, offset of its stretch
    stretches: list[str] = []
    for position, text in enumerate(texts):
        if len(text) <= STRETCH:
            owners.append((position, 0))
            stretches.append(without_surrogates(text))
            continue
        for start, end, shortened in _stretches(text, copy.keeps_space):
            owners.append((position, start))
            stretches.append(without_surrogates(text[start:end]))
            found[position].cut += shortened
    for first, encodings in _in_calls(copy.text, stretches, offsets=offsets):
        for (position, shift), encoding in zip(owners[first:], encodings):
            _append(found[position], encoding, shift, offsets)
    if offsets and copy.wide:
        for text, tokens in zip(texts, found):
            tokens.offsets = _without_space(text, tokens.offsets)
    return found


def _append(tokens: Tokens, encoding: Any, shift: int, offsets: bool) -> None:
    tokens.ids.extend(encoding.ids)
    if offsets:
        places = encoding.offsets
        if shift:
            places = [(start + shift, end + shift) for start, end in places]
        tokens.offsets.extend(places)


def _in_calls(backend: Any, items: Sequence[Any], *, offsets: bool = True, pretokenized: bool = False) -> Iterator[tuple[int, list[Any]]]:
    """Encode items in batches of bounded size; yields (position of the first, encodings)."""
    encode = backend.encode_batch if offsets or pretokenized else backend.encode_batch_fast
    start = total = 0
    for position, item in enumerate(items):
        total += sum(map(len, item)) + len(item) if pretokenized else len(item)
        if total >= CALL_CHARACTERS or position == len(items) - 1:
            yield start, encode(items[start : position + 1], is_pretokenized=pretokenized, add_special_tokens=False)
            start, total = position + 1, 0


def _stretches(text: str, keeps_space: bool) -> Iterator[tuple[int, int, bool]]:
    """Cut a long text at white space, else after a character that is no part of a plain word, into (start, end, shortened).
    A plain word longer than a stretch gives its start only; then `shortened` is true."""
    start = 0
    while len(text) - start > STRETCH:
        end = text.rfind(" ", start + 1, start + STRETCH)
        if end < 0:
            end = next((i for i in range(start + STRETCH - 1, start, -1) if _may_cut(text, i)), -1)
        if end > 0:
            yield start, end, False
            start = end if keeps_space or text[end] != " " else end + 1
            continue
        after = _BREAK.search(text, start + 1)
        yield start, start + WORD_START, True
        start = after.start() if after else len(text)
    if start < len(text):
        yield start, len(text), False


def _may_cut(text: str, place: int) -> bool:
    """Whether a text may be cut before `place` without tearing a plain word or a character from its marks."""
    if _SPACE.match(text, place):
        return True
    here = text[place]
    return bool(_BREAK.match(text, place - 1)) and not unicodedata.combining(here) and here not in "\u200d\ufe0e\ufe0f"


def _without_space(text: str, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets without the white space that some tokenizers count to the word after it."""
    trimmed = []
    for start, end in places:
        while start < end - 1 and text[start].isspace():
            start += 1
        trimmed.append((start, end))
    return trimmed


def tokenize_words(rows: Sequence[Sequence[str]], tokenizer: Any) -> list[WordTokens]:
    """The tokens of each list of words and the word of each token. Words that a tokenizer drops (empty, U+200B, …) have none.

    Raises ModelError for a tokenizer without word ids.
    """
    copy = thread_copy(tokenizer)
    clean = [_readable(words) for words in rows]
    found: list[WordTokens] = []
    for _, encodings in _in_calls(copy.words, clean, pretokenized=True):
        found.extend(WordTokens(encoding.ids, encoding.word_ids) for encoding in encodings)
    for words, read, tokens in zip(rows, clean, found):
        if read is not words:
            tokens.cut = sum(len(word) > WORD_CHARACTERS for word in words)
    return found


def _readable(words: Sequence[str]) -> Sequence[str]:
    """The words as a tokenizer can read them: without lone surrogates, of overlong ones the start. The same list if all are."""
    if max(map(len, words), default=0) <= WORD_CHARACTERS and "".join(words).isascii():
        return words
    return [without_surrogates(word[:WORD_CHARACTERS]) for word in words]
