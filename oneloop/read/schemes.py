"""Tag schemes: which one a file uses, and everything as BIO (IOB2), by the names of the tags.

In:  tag sequences, e.g. ["I-PER", "O", "I-LOC"]
Out: the scheme ("IOB2", "IOB1", "BIOES", "IO" or "plain"), BIO tags, and what breaks the scheme

Definitions: Ramshaw and Marcus 1995 (IOB1: B- only between two neighbours of one type); Tjong Kim Sang and Veenstra 1999
(IOB2: every chunk begins with B-); BIOES adds E- for the last word and S- for a chunk of one (BILOU says L- and U-, BMES M- for I-).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from oneloop.errors import Problem

SCHEMES = ("IOB2", "IOB1", "BIOES", "IO", "plain")
ALIASES = {
    "BIO": "IOB2",
    "IOB": "IOB2",
    "BILOU": "BIOES",
    "BILUO": "BIOES",
    "BMES": "BIOES",
    "IOBES": "BIOES",
    "PLAIN": "plain",
    "POS": "plain",
}
SAME = {"L": "E", "U": "S", "W": "S", "M": "I"}  # letters of BILOU, BILUO, BIOUW and BMES
LETTERS = "BIESLUMW"
LOOKED_AT = 5000  # sequences that decide


@dataclass(frozen=True)
class Broken:
    """One tag that breaks its scheme: its position in the sequence, the tag, and why."""

    position: int
    tag: str
    reason: str


def parts(tag: str) -> tuple[str, str]:
    """Letter and type of a tag: ("B", "PER") for B-PER, ("I", "") for I, ("O", "") for O, ("", tag) for a tag without letter."""
    if tag == "O" or tag == "":
        return "O", ""
    if len(tag) > 2 and tag[1] in "-_" and tag[0] in LETTERS:
        return SAME.get(tag[0], tag[0]), tag[2:]
    if tag in ("B", "I", "E", "S"):
        return tag, ""
    return "", tag


def detect_scheme(tag_sequences: Iterable[Sequence[str]]) -> str:
    """The scheme that the sequences break least often.

    "IOB2": every chunk begins with B-. "IOB1": chunks begin with I-, B- only parts two neighbours of one type. "BIOES": with
    ends and singles. "IO": types without letters beside O, or no B- anywhere. "plain": no
    letters (part-of-speech tags). Without any chunk: "IOB2" if there are O tags, else "plain".
    """
    sequences = list(islice((tags for tags in tag_sequences if tags), LOOKED_AT))
    letters = Counter(parts(tag)[0] for tags in sequences for tag in tags)
    chunks = sum(letters[letter] for letter in "BIES")
    if not chunks or letters[""] > chunks:
        return "plain" if not letters["O"] else "IO" if letters[""] else "IOB2"
    broken = {scheme: sum(len(invalid_transitions(tags, scheme)) for tags in sequences) for scheme in ("IOB2", "IOB1", "BIOES")}
    best = min(broken, key=lambda scheme: broken[scheme])
    return "IO" if best == "IOB1" and not letters["B"] else best


def known_scheme(name: str) -> str:
    """The scheme called `name`, in any case or by another of its names (BIO, BILOU); ValueError if there is none."""
    word = name if name in SCHEMES else ALIASES.get(name.upper(), name.upper())
    if word not in SCHEMES:
        raise ValueError(f"there is no tag scheme '{name}'; known are {', '.join(SCHEMES)}")
    return word


def to_bio(tags: Sequence[str], scheme: str) -> list[str]:
    """One sequence as BIO. A chunk begins where its scheme says so or where the type changes; nothing is dropped.

    ValueError for an unknown scheme. "IOB2" repairs as conlleval reads: an I- that continues nothing becomes B-.
    """
    scheme = known_scheme(scheme)
    if scheme == "plain":
        return list(tags)
    found = []
    before = ("O", "")
    for tag in tags:
        letter, kind = parts(tag)
        if letter == "" and scheme == "IO":
            letter = "I"
        if letter == "O":
            found.append("O")
        elif letter == "":
            found.append(tag)
        else:
            continues = before[0] in ("B", "I") and before[1] == kind and letter in ("I", "E")
            found.append(_written("I" if continues else "B", kind))
        before = (letter, kind)
    return found


def _written(letter: str, kind: str) -> str:
    return f"{letter}-{kind}" if kind else letter


def invalid_transitions(tags: Sequence[str], scheme: str = "IOB2") -> list[Broken]:
    """Every tag that cannot stand where it stands in its scheme, with the reason."""
    scheme = known_scheme(scheme)
    if scheme == "plain":
        return []
    found = []
    before = ("O", "")
    for position, tag in enumerate(tags):
        letter, kind = parts(tag)
        if reason := _reason(tag, letter, kind, before, scheme):
            found.append(Broken(position, tag, reason))
        before = (letter, kind)
    if scheme == "BIOES" and before[0] in ("B", "I") and tags:
        found.append(Broken(len(tags) - 1, tags[-1], f"the chunk {before[1]} never ends with E-"))
    return found


def _reason(tag: str, letter: str, kind: str, before: tuple[str, str], scheme: str) -> str:
    """Why `tag` breaks the scheme after `before`; "" if it does not."""
    if letter == "":
        if scheme == "IO":
            return ""
        if parts(tag[:1].upper() + tag[1:])[0] or tag == "o":
            return f"{tag} is written in lower case"
        return f"{tag} has no dash between letter and type" if tag[0] in LETTERS and tag[1:].isupper() else f"{tag} has no B- or I-"
    open_before = before[0] in ("B", "I")
    if letter in ("E", "S") and scheme != "BIOES":
        return f"{tag} belongs to BIOES, the other tags to {scheme}"
    if scheme == "BIOES":
        return _bioes_reason(tag, letter, kind, before, open_before)
    if letter == "I" and scheme == "IOB2" and not open_before:
        return f"{tag} begins a chunk; in IOB2 a chunk begins with B-"
    if letter == "I" and scheme == "IOB2" and before[1] != kind:
        return f"{tag} continues a chunk of type {before[1]}"
    if letter == "B" and scheme == "IOB1" and (not open_before or before[1] != kind):
        return f"{tag} does not follow a chunk of its type; in IOB1 B- only parts two neighbours"
    return ""


def _bioes_reason(tag: str, letter: str, kind: str, before: tuple[str, str], open_before: bool) -> str:
    if letter in ("I", "E") and not (open_before and before[1] == kind):
        return f"{tag} continues nothing; a chunk begins with B- or S-"
    if letter in ("B", "S", "O") and open_before:
        return f"{tag} follows a chunk {before[1]} that never ended with E-"
    return ""


def scheme_problems(sequences: Iterable[tuple[Sequence[str], str, int, int | None]], scheme: str) -> list[Problem]:
    """A Problem for every broken tag of (tags, file, row, line of the first word) sequences, with its own line where known."""
    problems = []
    for tags, file, row, line in sequences:
        for broken in invalid_transitions(tags, scheme):
            at = None if line is None else line + broken.position
            reason = f"word {broken.position + 1}: {broken.reason}"
            problems.append(Problem(reason, "correct the tag, or let check --fix repair it", file=file, row=row, line=at, column="tags"))
    return problems
