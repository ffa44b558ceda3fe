"""The numpy encoder gives the states of the installed model, with and without matrices beside its dense maps."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from oneloop.diagnose import adapted, vectors

pytestmark = pytest.mark.skipif(vectors.folder() is None, reason="the offline encoder is not installed")
BENCH = Path(__file__).resolve().parents[2] / "bench/diagnose"
TEXTS = ("Pull dates and companies out of contracts.", "Café naïve? 3,000 e-mails (weekly)!", "x", "word " * 200)


def states(text: str, layers: range, added: vectors.Added | None = None) -> np.ndarray:
    state = vectors.embedded(text)
    assert state is not None
    return vectors.through(state, layers, added)


def test_states_equal_those_of_the_model() -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(vectors.folder()), AutoModel.from_pretrained(vectors.folder()).eval()
    for text in TEXTS:
        encoded = tokenizer(text, truncation=True, max_length=vectors.LIMIT, return_tensors="pt")
        assert vectors.pieces(text) == encoded["input_ids"][0].tolist()
        with torch.no_grad():
            wanted = model(**encoded, output_hidden_states=True).hidden_states
        for last in (0, 2, 6):
            assert np.abs(states(text, range(last)) - wanted[last][0].numpy()).max() < 1e-4


def test_matrices_beside_a_map_equal_a_changed_map(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    down, up = (0.05 * draw.normal(size=shape).astype(np.float32) for shape in ((4, 384), (1536, 4)))
    found = states(TEXTS[0], range(2), {"1.intermediate.dense": (down, up)})
    plain, read = states(TEXTS[0], range(2)), vectors.read
    monkeypatch.setattr(
        vectors, "read", lambda name: read(name) + (up @ down if name == "encoder.layer.1.intermediate.dense.weight" else 0)
    )
    assert np.abs(found - states(TEXTS[0], range(2))).max() < 1e-4 < np.abs(found - plain).max()


def test_one_thread_gives_the_same() -> None:
    found = adapted.judged(TEXTS[0])
    assert found is not None and np.allclose(found, adapted.quietly(TEXTS[0]), atol=1e-4)


def test_the_stored_readings_differ_and_are_finite() -> None:
    shared, upper, found = adapted.readers()
    assert shared.stop == upper.start and upper.stop <= 6
    logits = adapted.judged(TEXTS[1])
    assert logits is not None and logits.shape[0] == len(found) and np.isfinite(logits).all()
    assert len(found) == 1 or np.abs(logits[0] - logits[1]).max() > 1e-3


def test_the_numpy_reading_equals_the_trained_one() -> None:
    """A reading as bench/diagnose/adapt.py trains it, and the same from its stored blocks."""
    torch = pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("adapt", BENCH / "adapt.py")
    assert spec is not None and spec.loader is not None
    adapt = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adapt)
    torch.manual_seed(0)
    model = adapt.Adapted(10).eval()
    for matrix in model.up.values():
        torch.nn.init.normal_(matrix, std=0.05)
    blocks = {name: block.astype(np.float32) for name, block in model.blocks().items()}
    with torch.no_grad():
        wanted = adapt.answers(model, adapt.lower([TEXTS[0]]))[0]
    added = {
        f"{layer}.{name}": (blocks[f"{name}.down"][layer - adapt.FIRST], blocks[f"{name}.up"][layer - adapt.FIRST])
        for layer in range(adapt.FIRST, adapt.LAST)
        for name in adapted.MAPS
    }
    reading = adapted.Reader(added, blocks["look"], blocks["judge"])
    assert np.abs(reading.logits(states(TEXTS[0], range(adapt.LAST), added)) - wanted).max() < 1e-2
