"""Answers in characters, models in tokens: windows of a context beside its question, and labels by characters.

In:  rows with "question", "context" and perhaps "answers" [{"text", "start"}] (code points; [] for no answer).
Out: features with input_ids, labels [start token, end token], and what leads back: `first`, the place of the first context
     token in input_ids; `offsets` (C, 2), the characters of each context token; `null`, the place that means "no answer";
     `plain`, whether every run of context tokens is a clean piece of text.

The question stays whole in every window, the context moves. Nothing is assumed about special tokens: there may be none
(GPT-2), they may stand last (XLNet), and padding may be on either side.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oneloop.encode.tokenize import Tokens, tokenize
from oneloop.encode.windows import Template, input_length, template
from oneloop.errors import RecipeError
from oneloop.tasks.base import IGNORE, Feature, Row

MAX_LENGTH, STRIDE = 384, 128  # tokens; BERT's SQuAD settings (Devlin et al. 2019, their published run_squad.py)
QUESTION_SHARE = 2  # a question takes at most this part (a half) of a window; SQuAD's longest takes a sixth
JOINING = {"Mn", "Mc", "Me", "Cf"}  # categories of marks, and of the joiners that make one visible character of several
SKINS = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # skin tones belong to the emoji before them
STEP_SHARE = 8  # windows move by at least this part (an eighth), so a context is never read more than eight times over


def question_features(rows: Sequence[Row], tokenizer: Any, max_length: int | None = None, stride: int | None = None) -> list[Feature]:
    """Features of all rows in order, the windows of a row one after the other; `labels` for rows that have "answers".

    Neighbouring windows share exactly `stride` context tokens; where a model or a long question leaves too little room for
    that, the stride shrinks. `tokens`: tokens of the row not in an earlier window. `cut`: question tokens beyond half a
    window, and unbroken runs of letters of which only the start was read. ModelError for a tokenizer without offsets;
    RecipeError when max_length leaves no room.
    """
    built, length = template(tokenizer), input_length(tokenizer, max_length or MAX_LENGTH)
    room = length - built.specials(pair=True)
    if room < 2:
        raise RecipeError(
            f"max_length leaves room for {room} tokens of question and context", expected="at least 2", fix="raise max_length"
        )
    questions = tokenize([row["question"].strip() for row in rows], tokenizer, offsets=False)
    contexts = list(dict.fromkeys(row["context"] for row in rows))  # SQuAD asks five questions about each
    read = {context: _read(context, tokens) for context, tokens in zip(contexts, tokenize(contexts, tokenizer))}
    features: list[Feature] = []
    for position, (row, question) in enumerate(zip(rows, questions)):
        context, places, plain = read[row["context"]]
        answer = _answer(row, places)
        for number, feature in enumerate(_windows(question, context, places, built, room, STRIDE if stride is None else stride, tokenizer)):
            feature["plain"] = plain
            if "answers" in row:
                feature["labels"] = _labels(feature, answer)
            features.append(feature | {"row": position, "window": number})
    return features


def _read(context: str, tokens: Tokens) -> tuple[Tokens, np.ndarray, bool]:
    """A context's tokens, their characters (C, 2), and whether spans of them need no care: tokens apart from each other, no white
    space at their edges, no marks or joiners anywhere."""
    places = np.array(tokens.offsets, dtype=np.int32).reshape(-1, 2)
    letters = set() if context.isascii() else set(context)
    if not len(places) or any(unicodedata.category(letter) in JOINING or letter in SKINS for letter in letters):
        return tokens, places, False
    starts, ends = places.T
    codes = np.frombuffer(context.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    blank = np.array([ord(letter) for letter in set(context) if letter.isspace()], dtype=np.uint32)
    apart = (starts < ends).all() and (starts[1:] >= ends[:-1]).all()
    return tokens, places, bool(apart and not np.isin(codes[starts], blank).any() and not np.isin(codes[ends - 1], blank).any())


def _windows(
    question: Tokens, context: Tokens, places: np.ndarray, built: Template, room: int, stride: int, tokenizer: Any
) -> Iterator[Feature]:
    """One row's windows. `begin`, the first context token of a window, is kept for the labels."""
    asked = question.ids[: room // QUESTION_SHARE]
    dropped = len(question.ids) - len(asked)
    size = room - len(asked)
    passage_first = context_first(built, tokenizer)
    for begin, end in context_windows(len(context.ids), size, stride):
        passage = context.ids[begin:end]
        pair = (passage, asked) if passage_first else (asked, passage)
        made: Feature = built.build(*pair)
        if not made["input_ids"]:  # nothing asked about nothing, without special tokens: models need one token
            made = {name: [stand_in(tokenizer) if name == "input_ids" else 0] for name in made}
        yield made | {
            "first": built.start(0, pair=True) if passage_first else built.start(1, len(asked)),
            "offsets": places[begin:end],
            "begin": begin,
            "null": null_place(built, tokenizer, len(pair[0]), len(pair[1])),
            "tokens": len(asked) + end if begin == 0 else end - begin - shared(size, stride),
            "cut": dropped + question.cut + context.cut if begin == 0 else 0,
        }


def shared(size: int, stride: int) -> int:
    """Tokens that neighbouring windows of `size` tokens share: `stride`, at most seven eighths of a window."""
    return max(0, min(stride, size - -(-size // STEP_SHARE)))


def context_windows(length: int, size: int, stride: int) -> list[tuple[int, int]]:
    """(begin, end) over `length` tokens: full windows with exactly the shared tokens between them, the last one shorter, as
    Hugging Face tokenizers make them (`return_overflowing_tokens`), so that published models see what they were trained on."""
    step = size - shared(size, stride)
    count = 1 if length <= size else 1 + -(-(length - size) // step)
    return [(number * step, min(number * step + size, length)) for number in range(count)]


def context_first(built: Template, tokenizer: Any) -> bool:
    """Whether the context comes before the question: where CLS is the last token (XLNet; Yang et al. 2019). With padding
    on the left alone the question stays first, because a causal model must have read it before the context."""
    after = built.pair[-1][0]
    return bool(after) and tokenizer.cls_token_id is not None and after[-1] == tokenizer.cls_token_id


def null_place(built: Template, tokenizer: Any, first: int, second: int) -> int:
    """The position that stands for "no answer" in a pair of `first` and `second` tokens: CLS, else the beginning-of-text
    token, wherever the tokenizer puts it; the first token where it adds neither."""
    before, between, after = (ids for ids, _ in built.pair)
    starts = (0, len(before) + first, len(before) + first + len(between) + second)
    for special in (tokenizer.cls_token_id, tokenizer.bos_token_id):
        for start, ids in zip(starts, (before, between, after)):
            if special is not None and special in ids:
                return start + ids.index(special)
    return 0


def stand_in(tokenizer: Any) -> int:
    """A token that says nothing: the end of the text, padding, or the first of the vocabulary."""
    return int(next((token for token in (tokenizer.eos_token_id, tokenizer.pad_token_id) if token is not None), 0))


def token_span(places: np.ndarray, start: int, end: int) -> tuple[int, int] | None:
    """(first, last) token that overlaps the characters [start, end); None where no token does. places: (T, 2)."""
    ends = np.maximum.accumulate(places[:, 1])  # rising already, but for tokens of zero width
    starts = np.minimum.accumulate(places[::-1, 0])[::-1]
    first = int(np.searchsorted(ends, start, side="right"))
    last = int(np.searchsorted(starts, end, side="left")) - 1
    return (first, last) if first <= last else None


def _answer(row: Row, places: np.ndarray) -> tuple[int, int] | None:
    """The token span of the row's first answer in the whole context; (-1, -1) for a question without one, None for an
    answer that the tokenizer drops whole or that does not stand there."""
    answers = row.get("answers")
    if not answers:
        return -1, -1
    text, start = answers[0]["text"], answers[0]["start"]
    start = row["context"].find(text) if start is None else start
    return token_span(places, start, start + len(text)) if start >= 0 else None


def _labels(feature: Feature, answer: tuple[int, int] | None) -> list[int]:
    """[start, end] in input_ids: the answer if it is wholly inside this window, else the null place; IGNORE for an answer
    without a token."""
    if answer is None:
        return [IGNORE, IGNORE]
    begin, width = feature["begin"], len(feature["offsets"])
    if begin <= answer[0] and answer[1] < begin + width:
        return [feature["first"] + token - begin for token in answer]
    return [feature["null"], feature["null"]]
