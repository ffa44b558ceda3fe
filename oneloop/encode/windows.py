"""Long inputs in windows that overlap, and the special tokens around them.

In:  token ids without special tokens, the longest input the model takes, and the overlap (stride).
Out: (start, end) ranges that cover every token, and complete model inputs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from oneloop.encode.tokenize import thread_copy
from oneloop.errors import ModelError, RecipeError

MAX_LENGTH = 512  # tokens of an input where neither the recipe nor the tokenizer names a limit; what BERT-like encoders take
UNKNOWN_LENGTH = 10**30  # what Hugging Face writes where the limit of a tokenizer is not known


def windows(length: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Ranges (start, end) over `length` tokens, each at most `size` wide, neighbours sharing at least `stride` tokens.

    As many windows as Hugging Face tokenizers make (`return_overflowing_tokens`), but of equal width, give or take one,
    instead of full ones and a short tail: no window is left with too little context. No tokens: one empty window.
    RecipeError if size < 1 or stride is not in [0, size).
    """
    _check(size, stride)
    if length <= size:
        return [(0, length)]
    count = -(-(length - stride) // (size - stride))
    width = -(-(length + (count - 1) * stride) // count)
    last = length - width
    return [(start, start + width) for start in (i * last // (count - 1) for i in range(count))]


def word_windows(pieces: Sequence[int], size: int, stride: int) -> list[tuple[int, int]]:
    """Ranges (first word, end word) such that the pieces of each range are at most `size` and no word is torn.

    pieces: tokens of each word, none more than `size`. Neighbours share whole words of at least `stride` tokens where the
    width allows it, else fewer. Widths are evened out as in `windows`. No words: one empty window.
    """
    _check(size, stride)
    total = sum(pieces)
    if total <= size:
        return [(0, len(pieces))]
    ends = [0]
    for count in pieces:
        ends.append(ends[-1] + count)
    found: list[tuple[int, int]] = []
    start = end = 0
    while end < len(pieces):
        limit = _even(total - ends[start], size, stride)
        reach = end
        while reach < len(pieces) and (ends[reach + 1] - ends[start] <= limit or (reach == end and ends[reach + 1] - ends[start] <= size)):
            reach += 1
        if reach == end:  # the overlap and the next word do not fit together: start later
            start += 1
            continue
        end = reach
        found.append((start, end))
        back = end
        while back > start + 1 and ends[end] - ends[back] < stride:
            back -= 1
        start = back
    return found


def _even(rest: int, size: int, stride: int) -> int:
    """The width of the next window when `rest` tokens are to be spread over as few windows as hold them."""
    if rest <= size:
        return size
    count = -(-(rest - stride) // (size - stride))
    return min(size, -(-(rest + (count - 1) * stride) // count))


def _check(size: int, stride: int) -> None:
    if size < 1:
        raise RecipeError(f"max_length leaves room for {size} tokens of text beside the special tokens", fix="raise max_length")
    if not 0 <= stride < size:
        what = f"stride is {stride} but a window holds {size} tokens of text"
        raise RecipeError(what, expected="0 <= stride < that", fix="lower stride or raise max_length")


@dataclass(frozen=True)
class Template:
    """The special tokens a tokenizer puts around one text or a pair, as parts (ids, type ids) before, between and after."""

    single: tuple[tuple[list[int], list[int]], ...]  # before, after
    pair: tuple[tuple[list[int], list[int]], ...]  # before, between, after
    types: tuple[int, int, int]  # type id of a single text, of the first and of the second of a pair
    with_types: bool

    def specials(self, pair: bool = False) -> int:
        """How many special tokens are added."""
        return sum(len(ids) for ids, _ in (self.pair if pair else self.single))

    def build(self, first: Sequence[int], second: Sequence[int] | None = None) -> dict[str, list[int]]:
        """Complete inputs from ids: {"input_ids": (T)} and "token_type_ids" (T) for models that read them."""
        texts = [first] if second is None else [first, second]
        parts, types = (self.single, self.types[:1]) if second is None else (self.pair, self.types[1:])
        ids, kinds = list(parts[0][0]), list(parts[0][1])
        for text, kind, (after, after_kinds) in zip(texts, types, parts[1:]):
            ids.extend(text)
            ids.extend(after)
            kinds.extend([kind] * len(text))
            kinds.extend(after_kinds)
        return {"input_ids": ids, "token_type_ids": kinds} if self.with_types else {"input_ids": ids}

    def start(self, sequence: int = 0, first_length: int = 0, pair: bool = False) -> int:
        """The position in `input_ids` of the first token of text 0 or 1; `first_length`: tokens of text 0 of a pair."""
        parts = self.pair if pair or sequence else self.single
        return len(parts[0][0]) + (first_length + len(parts[1][0]) if sequence else 0)


_local = threading.local()


def template(tokenizer: Any) -> Template:
    """The special tokens of a tokenizer, read off one trial text: BERT- and RoBERTa-like, XLNet (at the end), GPT (none)."""
    known = getattr(_local, "templates", None)
    if known is None:
        known = _local.templates = WeakKeyDictionary()
    size, found = known.get(tokenizer, (-1, None))
    if not isinstance(found, Template) or size != len(tokenizer):
        found = _template(tokenizer)
        known[tokenizer] = (len(tokenizer), found)
    return found


def _template(tokenizer: Any) -> Template:
    backend = thread_copy(tokenizer).text
    trial = next((text for text in _trials(backend) if backend.encode(text, add_special_tokens=False).ids), None)
    if trial is None:
        raise ModelError("the tokenizer turns every text into nothing", fix="choose a model with a working tokenizer")
    single, pair = backend.encode(trial), backend.encode(trial, trial)
    alone, (first, second) = _types(single)[0], _types(pair)
    return Template(_parts(single), _parts(pair), (alone, first, second), "token_type_ids" in tokenizer.model_input_names)


def _trials(backend: Any) -> list[str]:
    return ["a", "A", "1", ".", "the", *list(backend.get_vocab())[:100]]


def _types(encoding: Any) -> list[int]:
    """The type id of each text of an encoding."""
    kinds = dict(zip(encoding.sequence_ids, encoding.type_ids))
    return [kinds[text] for text in (0, 1) if text in kinds]


def _parts(encoding: Any) -> tuple[tuple[list[int], list[int]], ...]:
    """The special tokens before, between and after the texts of an encoding."""
    texts = 1 + max(text for text in encoding.sequence_ids if text is not None)
    parts: list[tuple[list[int], list[int]]] = [([], []) for _ in range(texts + 1)]
    place = 0
    for text, token, kind in zip(encoding.sequence_ids, encoding.ids, encoding.type_ids):
        if text is not None:
            place = text + 1
        else:
            parts[place][0].append(token)
            parts[place][1].append(kind)
    return tuple(parts)


def input_length(tokenizer: Any, max_length: int | None) -> int:
    """Tokens of one input, special tokens included: what the recipe says, but never more than the tokenizer's limit."""
    limit = getattr(tokenizer, "model_max_length", None) or UNKNOWN_LENGTH
    if max_length is None:
        return min(int(limit), MAX_LENGTH)
    return int(min(max_length, limit))
