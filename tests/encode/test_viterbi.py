"""The best allowed tag sequence, against all sequences tried one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from oneloop.encode.viterbi import best_tags, may_follow

SCHEMES = {
    "IOB2": ["O", "B-A", "I-A", "B-B", "I-B"],
    "shuffled": ["I-B", "B-A", "O", "I-A", "B-B"],
    "BIOES": ["O", "B-A", "I-A", "E-A", "S-A"],
    "one type": ["O", "B-A", "I-A"],
}


def valid(sequence: tuple[int, ...], allowed: np.ndarray) -> bool:
    return all(allowed[before, after] for before, after in zip((-1, *sequence), sequence))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_allowed_sequence_scores_higher(scheme: str) -> None:
    labels = SCHEMES[scheme]
    allowed, rng = may_follow(labels), np.random.default_rng(1)
    for _ in range(30):
        lengths = rng.integers(0, 5, size=4).tolist()
        scores = np.log(rng.dirichlet(np.ones(len(labels)), size=sum(lengths)) + 1e-30)
        tags, start = best_tags(scores, lengths, allowed), 0
        for length in lengths:
            mine = scores[start : start + length]
            tried = [seq for seq in itertools.product(range(len(labels)), repeat=length) if valid(seq, allowed)]
            best = max(sum(mine[i, tag] for i, tag in enumerate(seq)) for seq in tried)
            found = tuple(tags[start : start + length].tolist())
            assert valid(found, allowed)
            assert sum(mine[i, tag] for i, tag in enumerate(found)) == pytest.approx(best, abs=1e-9)
            start += length


def test_transitions_by_name() -> None:
    labels = SCHEMES["IOB2"]
    allowed = may_follow(labels)
    assert not allowed[-1, labels.index("I-A")]
    assert not allowed[labels.index("O"), labels.index("I-A")]
    assert not allowed[labels.index("B-B"), labels.index("I-A")]
    assert allowed[labels.index("B-A"), labels.index("I-A")]
    assert allowed[labels.index("I-A"), labels.index("B-A")]


def test_many_rows_in_blocks_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from oneloop.encode import viterbi

    labels = SCHEMES["IOB2"]
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, 30, size=300).tolist()
    scores = rng.normal(size=(sum(lengths), len(labels)))
    whole = best_tags(scores, lengths, may_follow(labels))
    monkeypatch.setattr(viterbi, "BLOCK_NUMBERS", 500)
    assert best_tags(scores, lengths, may_follow(labels)).tolist() == whole.tolist()
    assert best_tags(np.zeros((0, 5)), [], may_follow(labels)).tolist() == []
    assert best_tags(np.zeros((0, 5)), [0, 0], may_follow(labels)).tolist() == []
