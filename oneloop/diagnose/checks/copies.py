"""Which texts are copies of each other: the same but for case, spaces, width and punctuation, or nearly the same.

In:  texts. Out: keys that are equal for copies; pairs of nearly equal texts; the test rows that a training row gives away.

Nearly equal texts are found with MinHash (Broder, "On the resemblance and containment of documents", 1997) over runs of
four characters and locality-sensitive hashing, in numpy over all texts at once, then confirmed on the texts themselves.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from oneloop.diagnose.checks.finding import Data, as_text, input_text
from oneloop.keyed import generator
from oneloop.tasks.base import Row

SHINGLE = 4  # characters: one changed word of ten leaves about 3/4 of the runs, unrelated sentences share under 1/10
BANDS, WIDTH = 32, 4  # P(candidate) = 1 - (1 - J^4)^32: 0.99 at J = 0.6, 0.87 at 0.5, 0.05 at 0.2
CANDIDATE = 0.45  # share of equal MinHash values from which a pair is looked at; standard error 0.044 at 128 values
ALIKE, ALIKE_WORDS = 0.8, 0.85  # shared character runs, or shared words (Dice), from which two texts count as nearly equal:
# measured on 3,000 short questions, 0.99 of single typos, dropped, added or swapped words and 0.91 of replaced words are found
ALIKE_RUNS = 0.7  # shared character runs that shared words must come with
CHUNK = 1 << 21  # character runs hashed at once
FUNCTIONS, BINS = 8, 16  # 8 × 16 = BANDS × WIDTH values; the values of a band come from different functions
EMPTY = np.uint32(0xFFFFFFFF)
LINKS = 6  # neighbours looked at inside one bucket, so that a template of thousands of rows stays cheap
READ = 20_000  # characters of a text that are compared


class _Kept(dict[int, str | None]):
    """Characters to what they become: punctuation, spaces and controls a space, apostrophes and invisible ones nothing."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        category = unicodedata.category(char)
        if char in "'’ʼ`´" or category == "Cf":
            value: str | None = None
        else:
            value = " " if category[0] in "PZ" or category == "Cc" else char
        self[code] = value
        return value


_KEPT = _Kept()


def normalise(text: str) -> str:
    """The text in NFKC, case-folded, without punctuation, words one space apart; the stripped text if nothing is left."""
    composed = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(composed.casefold().translate(_KEPT).split()) or text.strip()


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first, end) of stretches of texts that hold about `CHUNK` characters."""
    first, size = 0, 0
    for end, text in enumerate(texts, 1):
        size += min(len(text), READ) + SHINGLE
        if size >= CHUNK or end == len(texts):
            yield first, end
            first, size = end, 0


def _hashed(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(the hash of every run of characters, uint32; the text each belongs to). A short text gives one run."""
    padded = [text[:READ].ljust(SHINGLE, "\x00") for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    ends = np.cumsum(lengths)
    hashes = np.zeros(len(codes) - SHINGLE + 1, np.uint64)
    for i in range(SHINGLE):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + codes[i : len(codes) - SHINGLE + 1 + i]
    mixed = ((hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(32)).astype(np.uint32)
    inside = np.ones(len(mixed), bool)
    for i in range(1, SHINGLE):
        inside[ends[:-1] - i] = False
    owners = np.repeat(np.arange(len(padded)), lengths)[: len(mixed)]
    return mixed[inside], owners[inside]


def signatures(texts: Sequence[str]) -> np.ndarray:
    """Signatures, (N, 128) uint32: the share of equal values of two rows estimates the Jaccard similarity of their runs.

    Each of 8 random functions sorts the runs of a text into 16 bins and keeps the smallest of each bin (one permutation hashing,
    Li, Owen and Zhang, NIPS 2012), so a run is looked at 8 times, not 128. An empty bin takes the value of the next one that is
    filled, moved by its distance (Shrivastava and Li, ICML 2014).
    """
    rng = generator("minhash")
    flips = rng.integers(0, 2**32, FUNCTIONS, dtype=np.uint32)
    factors = rng.integers(0, 2**31, FUNCTIONS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    found = np.empty((len(texts), BINS, FUNCTIONS), np.uint32)
    for first, end in _chunks(texts):
        hashes, owners = _hashed(texts[first:end])
        for k in range(FUNCTIONS):
            values = (hashes ^ flips[k]) * factors[k]
            values ^= values >> np.uint32(15)
            values *= np.uint32(0x2C1B3C6D)
            smallest = np.full((end - first) * BINS, EMPTY, np.uint32)
            np.minimum.at(smallest, owners * BINS + (values >> np.uint32(28)), values)
            found[first:end, :, k] = _filled(smallest.reshape(-1, BINS))
    return found.reshape(len(texts), BINS * FUNCTIONS)


def _filled(bins: np.ndarray) -> np.ndarray:
    """(N, BINS) with the values of empty bins borrowed from the next filled one."""
    filled = bins.copy()
    for distance in range(1, BINS):
        empty = filled == EMPTY
        if not empty.any():
            break
        borrowed = np.roll(bins, -distance, axis=1)
        filled[empty] = np.where(borrowed == EMPTY, EMPTY, borrowed + np.uint32(distance * 0x9E3779B1 & 0xFFFFFFFF))[empty]
    return filled


def _candidates(signed: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) of rows that agree in a whole band and in `CANDIDATE` of all values, first < second, each once."""
    rows = len(signed)
    found = np.empty(0, np.int64)
    for band in range(BANDS):
        keys = np.zeros(rows, np.uint64)
        for i in range(band * WIDTH, (band + 1) * WIDTH):
            keys = (keys ^ signed[:, i].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        pairs = [found]
        for step in range(1, LINKS + 1):
            same = ranked[step:] == ranked[:-step]
            if not same.any():
                break
            left, right = order[:-step][same], order[step:][same]
            near = _agreement(signed, left, right) >= CANDIDATE
            left, right = left[near].astype(np.int64), right[near].astype(np.int64)
            pairs.append(np.minimum(left, right) * rows + np.maximum(left, right))
        found = np.unique(np.concatenate(pairs))
    return np.stack(np.divmod(found, rows), axis=1) if len(found) else np.empty((0, 2), np.int64)


def _agreement(signed: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The share of equal values of each pair, (P,)."""
    shares = np.empty(len(left), np.float32)
    for start in range(0, len(left), 1 << 15):
        part = slice(start, start + (1 << 15))
        shares[part] = (signed[left[part]] == signed[right[part]]).mean(axis=1, dtype=np.float32)
    return shares


def near_pairs(texts: Sequence[str]) -> list[tuple[int, int, float]]:
    """Pairs of nearly equal texts (first < second) with their similarity, 0-1. The texts are normalised and all different."""
    if len(texts) < 2:
        return []
    found = []
    for i, j in _candidates(signatures(texts)).tolist():
        value = similarity(texts[i], texts[j])
        if value >= ALIKE:
            found.append((i, j, value))
    return found


def similarity(first: str, second: str) -> float:
    """How alike two normalised texts are, 0-1: the share of runs of three characters both have (Dice's coefficient: twice
    what is shared over what both have), or of words where that is larger and the runs agree too."""
    first, second = first[:READ], second[:READ]
    runs, more = ({text[i : i + 3] for i in range(max(1, len(text) - 2))} for text in (first, second))
    by_runs = 2 * len(runs & more) / (len(runs) + len(more))
    if by_runs < ALIKE_RUNS:
        return by_runs
    words, others = first.split(), second.split()
    shared = (Counter(words) & Counter(others)).total()
    by_words = 2 * shared / max(1, len(words) + len(others))
    return max(by_runs, by_words) if by_words >= ALIKE_WORDS else by_runs


@dataclass
class Copies:
    """Groups of equal and nearly equal texts. `ids[i]` is the number of text i's key; texts with one id are copies;
    `near` maps an id to the ids nearly equal to it and how alike they are."""

    keys: list[str]
    ids: list[int]
    near: dict[int, dict[int, float]]

    @classmethod
    def of(cls, texts: Sequence[str], within: Sequence[str] | None = None, *, nearly: bool = True) -> Copies:
        """Find the copies among `texts`; nearly: also those that differ in a few characters or words.

        within: what must be the same besides (the context of a question, the instruction of an input), one for each text.
        """
        words: dict[str, int] = {}
        of_text = [words.setdefault(normalise(text[:READ]), len(words)) for text in texts]
        keys = list(words)
        same = {other: normalise(other[:READ]) for other in set(within or ())}
        beside = [same[other] for other in within] if within is not None else [""] * len(texts)
        numbers: dict[tuple[int, str], int] = {}
        ids = [numbers.setdefault(pair, len(numbers)) for pair in zip(of_text, beside)]
        members: dict[int, list[tuple[str, int]]] = {}
        for (text, other), number in numbers.items():
            members.setdefault(text, []).append((other, number))
        near: dict[int, dict[int, float]] = {}
        for i, j, value in near_pairs(keys) if nearly else ():
            others = dict(members[j])
            for other, number in members[i]:
                if other in others:
                    near.setdefault(number, {})[others[other]] = value
                    near.setdefault(others[other], {})[number] = value
        return cls([keys[text] for text, _ in numbers], ids, near)

    def rows_of(self, rows: Sequence[int]) -> dict[int, int]:
        """For each id, the first of the given rows that has it."""
        first: dict[int, int] = {}
        for row in rows:
            first.setdefault(self.ids[row], row)
        return first


def input_parts(rows: Sequence[Row], roles: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """(the input role that differs most between rows, what the other input roles say): of question and context, prompt and
    system text, or the texts of a pair, only the first may be nearly the same while the others must be the same."""
    if len(roles) < 2:
        return [input_text(row, roles) for row in rows], None
    telling = max(roles, key=lambda role: len({as_text(row.get(role))[:200] for row in rows}))
    others = tuple(role for role in roles if role != telling)
    return [as_text(row.get(telling)) for row in rows], [input_text(row, others) for row in rows]


def leaked(test_rows: Sequence[Row], train_rows: Sequence[Row], *, nearly: bool = True, roles: Sequence[str] | None = None) -> set[int]:
    """Positions in `test_rows` of rows that a training row gives away: the same input, or (nearly) almost the same.

    roles: the input roles compared; by default all that the rows have. Score once on all rows and once without these.
    """
    both = [*train_rows, *test_rows]
    read = tuple(roles) if roles else Data({"": both}).input_roles
    copies = Copies.of(*input_parts(both, read), nearly=nearly)
    seen = set(copies.ids[: len(train_rows)])
    return {
        position
        for position, number in enumerate(copies.ids[len(train_rows) :])
        if copies.keys[number] and (number in seen or not seen.isdisjoint(copies.near.get(number, ())))
    }
