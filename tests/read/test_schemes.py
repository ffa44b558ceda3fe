"""Tag schemes by name: which one, into IOB2, and what breaks it."""

import random

import pytest

from oneloop.read.schemes import detect_scheme, invalid_transitions, scheme_problems, to_bio


@pytest.mark.parametrize(
    ("tags", "scheme", "bio"),
    [
        ("I-PER I-PER O I-LOC B-LOC", "IOB1", "B-PER I-PER O B-LOC B-LOC"),
        ("B-PER I-PER O B-LOC B-LOC", "IOB2", "B-PER I-PER O B-LOC B-LOC"),
        ("B-PER E-PER O S-LOC S-LOC", "BIOES", "B-PER I-PER O B-LOC B-LOC"),
        ("B-PER L-PER O U-LOC U-LOC", "BIOES", "B-PER I-PER O B-LOC B-LOC"),
        ("B-PER M-PER E-PER O S-LOC", "BIOES", "B-PER I-PER I-PER O B-LOC"),
        ("I-PER I-PER O I-LOC I-PER", "IO", "B-PER I-PER O B-LOC B-PER"),
        ("PER PER O LOC PER", "IO", "B-PER I-PER O B-LOC B-PER"),
        ("NN VBD DT NN", "plain", "NN VBD DT NN"),
        ("B I O B", "IOB2", "B I O B"),
        ("O O", "IOB2", "O O"),
        ("B-a-b I-a-b", "IOB2", "B-a-b I-a-b"),
    ],
)
def test_C027_every_scheme_to_bio(tags, scheme, bio):
    assert detect_scheme([tags.split()]) == scheme
    assert to_bio(tags.split(), scheme) == bio.split()
    assert invalid_transitions(to_bio(tags.split(), scheme), "plain" if scheme == "plain" else "IOB2") == []


def written(chunks, scheme):
    """Tags of (type or None, length) chunks, after the definitions of the schemes."""
    tags, last = [], None
    for kind, length in chunks:
        if kind is None:
            tags += ["O"] * length
        elif scheme == "IOB2":
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
        elif scheme == "IOB1":
            tags += [f"{'B' if last == kind else 'I'}-{kind}"] + [f"I-{kind}"] * (length - 1)
        else:
            tags += [f"S-{kind}"] if length == 1 else [f"B-{kind}"] + [f"I-{kind}"] * (length - 2) + [f"E-{kind}"]
        last = kind
    return tags


def test_C027_generated_files_convert_exactly():
    rng = random.Random(1)
    for _ in range(200):
        chunks = [(rng.choice([None, "A", "B"]), rng.randint(1, 4)) for _ in range(60)]
        bio = written(chunks, "IOB2")
        for scheme in ("IOB2", "IOB1", "BIOES"):
            tags = written(chunks, scheme)
            assert detect_scheme([tags]) == scheme and to_bio(tags, scheme) == bio and not invalid_transitions(tags, scheme)


def test_one_stray_tag_does_not_turn_the_scheme():
    good = [["B-A", "I-A", "O"], ["B-A"], ["B-B", "I-B"]]
    assert detect_scheme([*good, ["S-A"]]) == detect_scheme([*good, ["O", "I-A"]]) == "IOB2"


@pytest.mark.parametrize(
    ("tags", "scheme", "position", "word"),
    [
        ("O I-A", "IOB2", 1, "begins a chunk"),
        ("B-A I-B", "IOB2", 1, "type A"),
        ("b-A", "IOB2", 0, "lower case"),
        ("BPER O", "IOB2", 0, "no dash"),
        ("PER O", "IOB2", 0, "no B- or I-"),
        ("B-A S-B", "IOB2", 1, "BIOES"),
        ("B-A O", "BIOES", 1, "never ended"),
        ("O E-A", "BIOES", 1, "continues nothing"),
        ("O B-A", "IOB1", 1, "IOB1"),
    ],
)
def test_D16_each_kind_of_broken_tag(tags, scheme, position, word):
    broken = invalid_transitions(tags.split(), scheme)
    assert broken[0].position == position and word in broken[0].reason


def test_D16_b_a_b_of_one_type_is_sound():
    assert invalid_transitions(["B-A", "B-A", "B-A"]) == []


def test_D16_broken_tags_name_their_line():
    (problem,) = scheme_problems([(["O", "I-A"], "a.conll", 3, 10)], "IOB2")
    assert (problem.row, problem.line, problem.column) == (3, 11, "tags")


def test_unknown_schemes():
    with pytest.raises(ValueError, match="no tag scheme"):
        to_bio(["O"], "XYZ")
    assert to_bio(["I-A"], "iob") == ["B-A"]
