"""Order, passes and keys: every row once, like lengths together, the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneloop.keyed import WINDOW_STEPS, fraction, generator, key, micro_batches, order

SIZES = st.lists(st.integers(1, 300), max_size=200)


def test_keys_are_the_same_everywhere_and_always() -> None:
    assert key("a", 1) != key("a1") and key("a", "b") != key("ab") and key(1) == key("1")
    assert 0 <= key("\ud800") < 2**63 and 0 <= fraction("x", 3) < 1
    assert generator(1, "x").random() == generator(1, "x").random() != generator(2, "x").random()


def test_a_key_is_pinned() -> None:
    """Runs of other versions and machines are resumed by these numbers: they must not change."""
    import hashlib

    assert key(3, "mask") == int.from_bytes(hashlib.sha256(b"3\x1fmask").digest()[:8], "big") >> 1


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 17), st.integers(0, 3), st.integers(0, 2))
def test_every_row_comes_exactly_once(sizes: list[int], batch_rows: int, seed: int, epoch: int) -> None:
    steps = order(sizes, seed=seed, epoch=epoch, batch_rows=batch_rows)
    assert sorted(int(row) for step in steps for row in step) == list(range(len(sizes)))
    assert all(len(step) <= batch_rows for step in steps) and len(steps) == -(-len(sizes) // batch_rows)
    assert sum(len(step) < batch_rows for step in steps) <= 1


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    sizes = list(np.random.default_rng(0).integers(5, 90, 2000))

    def flat(**given: int) -> list[int]:
        return [int(row) for step in order(sizes, batch_rows=16, **given) for row in step]

    assert flat(seed=1, epoch=0) == flat(seed=1, epoch=0)
    assert len({tuple(flat(seed=seed, epoch=epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    assert len(order([], seed=1, epoch=0, batch_rows=4)) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_like_lengths_stand_together_so_that_nine_tenths_are_not_padding(seed: int) -> None:
    """Lengths as of sentences and short documents: log-normal, median 20, cut at 256."""
    sizes = np.clip(np.random.default_rng(seed).lognormal(3.0, 0.7, 20_000), 3, 256).astype(int)
    steps = order(sizes, seed=seed, epoch=0, batch_rows=16)
    padded = sum(len(step) * int(sizes[step].max()) for step in steps)
    assert sizes.sum() / padded >= 0.9
    plain = sum(16 * int(sizes[i : i + 16].max()) for i in range(0, len(sizes), 16))
    assert sizes.sum() / plain < 0.6  # what a plain shuffle wastes


def test_rows_are_mixed_over_a_window_of_steps_and_steps_are_not_in_order_of_length() -> None:
    sizes = np.arange(1, 16 * WINDOW_STEPS * 3 + 1)
    steps = order(sizes, seed=1, epoch=0, batch_rows=16)
    means = np.array([sizes[step].mean() for step in steps])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3
    assert len({int(row) // (16 * WINDOW_STEPS) for step in steps[:WINDOW_STEPS] for row in step}) == 3


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=50), st.integers(1, 400))
def test_passes_hold_every_feature_once_within_the_limit_and_groups_together(features: list[tuple[int, int]], limit: int) -> None:
    lengths, groups = [length for length, _ in features], [group for _, group in features]
    passes = micro_batches(lengths, groups, limit)
    assert sorted(i for one in passes for i in one) == list(range(len(features)))
    for one in passes:
        padded = max(lengths[i] for i in one) * len(one)
        assert padded <= limit or len({groups[i] for i in one}) == 1
    for group in set(groups):
        assert sum(any(groups[i] == group for i in one) for one in passes) == 1


def test_a_smaller_limit_only_cuts_finer() -> None:
    lengths = list(np.random.default_rng(1).integers(3, 60, 64))
    counts = [len(micro_batches(lengths, range(64), limit)) for limit in (10_000, 1000, 200, 60, 1)]
    assert counts[0] == 1 and counts == sorted(counts) and counts[-1] == 64
