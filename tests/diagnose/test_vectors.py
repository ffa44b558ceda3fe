"""The numpy encoder gives the states of the installed model."""

from __future__ import annotations

import numpy as np
import pytest

from oneloop.diagnose import vectors

pytestmark = pytest.mark.skipif(vectors.folder() is None, reason="the offline encoder is not installed")
TEXTS = ("Pull dates and companies out of contracts.", "Café naïve? 3,000 e-mails (weekly)!", "x", "word " * 200)


def test_states_equal_those_of_the_model() -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(vectors.folder()), AutoModel.from_pretrained(vectors.folder()).eval()
    for text in TEXTS:
        encoded = tokenizer(text, truncation=True, max_length=vectors.LIMIT, return_tensors="pt")
        assert vectors.pieces(text) == encoded["input_ids"][0].tolist()
        with torch.no_grad():
            states = model(**encoded, output_hidden_states=True).hidden_states
        wanted = [states[layer][0].mean(0) for layer in vectors.KEPT]
        flat = np.concatenate([(one / one.norm()).numpy() for one in wanted])
        assert np.abs(vectors.vector(vectors.states(text)) - flat).max() < 1e-5


def test_one_thread_gives_the_same() -> None:
    assert np.allclose(vectors.states(TEXTS[0]), vectors.quiet_states(TEXTS[0]), atol=1e-5)
