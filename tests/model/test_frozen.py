"""Layers that are not trained: what is kept of them is what they compute, in whole batches and in part of one."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import oneloop
from oneloop import loop
from oneloop.errors import Stopped
from oneloop.model import frozen
from oneloop.prepare import build, prepare
from oneloop.recipe import load_recipe
from tests.engines import samples
from tests.model.test_first_position import made

FOUR: dict[str, Any] = {"freeze": 1, "epochs": 3}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write(tmp_path_factory.mktemp("world"), layers=3)


def parts(world: Path, kind: str, **more: Any) -> Any:
    return build(prepare(load_recipe(**samples.settings(world, kind, **FOUR, **more)), lambda text: None), lambda text: None)


def losses(found: Any, count: int = 25) -> list[float]:
    return [step.loss for _, step in zip(range(count), loop.train(found))]


@pytest.mark.parametrize("kind", ["single", "long", "tokens", "answers"])
@pytest.mark.parametrize("micro_tokens", [8192, 40])
def test_kept_states_train_as_computed_ones(world: Path, kind: str, micro_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = parts(world, kind, micro_tokens=micro_tokens)
    with_kept = losses(kept)
    assert kept.frozen.states is not None
    monkeypatch.setattr(frozen, "MOST_BYTES", 0)
    computed = parts(world, kind, micro_tokens=micro_tokens)
    without = losses(computed)
    assert computed.frozen.states is None
    assert with_kept == pytest.approx(without, abs=1e-5)
    assert min(with_kept) < with_kept[0] - 0.01


def test_frozen_weights_stay_and_the_others_move(world: Path) -> None:
    found = parts(world, "single")
    before = {name: tensor.clone() for name, tensor in found.model.state_dict().items()}
    losses(found)
    moved = {name for name, tensor in found.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not [name for name in moved if "embeddings" in name or "layer.0." in name]
    assert [name for name in moved if "layer.1." in name] and [name for name in moved if "classifier" in name]


def test_nothing_is_kept_for_a_single_epoch_and_predictions_after_training_are_computed(world: Path, tmp_path: Path) -> None:
    found = build(prepare(load_recipe(**samples.settings(world, "single", freeze=1, epochs=1)), lambda text: None), lambda text: None)
    losses(found)
    assert found.frozen.states is None
    result = oneloop.train(**samples.settings(world, "single", **FOUR, output=str(tmp_path / "run")))
    assert result.metrics["reload_check"] == "identical"


@pytest.mark.parametrize("engine", ["loop", "trainer"])
def test_T13_a_run_with_kept_states_resumes_to_the_same_weights(world: Path, tmp_path: Path, engine: str) -> None:
    settings = samples.settings(world, "tokens", **FOUR, engine=engine, save_every=4)
    oneloop.train(**settings, output=str(tmp_path / "whole"))
    samples.interrupted(settings | {"output": str(tmp_path / "broken")}, 27)  # in the last epoch
    one, two = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert one == two


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_stands_where_the_tokenizer_puts_it(side: str) -> None:
    model = made("bert", layers=3)
    found = frozen.freeze(model, 1)
    assert found is not None
    lengths = [5, 3, 7]
    found.states, found.places, found.left = torch.arange(15 * 16.0).view(15, 16), [0, 5, 8, 15], side == "left"
    found.wanted = [2, 1]
    states = found._kept(torch.zeros(2, 7, dtype=torch.long))
    assert torch.equal(states[0], found.states[8:15])
    real = slice(4, 7) if side == "left" else slice(0, 3)
    assert torch.equal(states[1, real], found.states[5:8])
    assert float(states[1].abs().sum()) == pytest.approx(float(found.states[5:8].sum()))
    assert lengths == [end - start for start, end in zip(found.places, found.places[1:])]


def test_at_most_a_third_of_the_layers_and_only_those_of_known_encoders() -> None:
    model = made("distilbert", layers=3)
    found = frozen.freeze(model, 9)
    assert found is not None and len(found.layers) == 1
    assert frozen.freeze(made("bert"), 9) is None  # of two layers none
    assert not any(p.requires_grad for p in model.distilbert.transformer.layer[0].parameters())
    assert all(p.requires_grad for p in model.distilbert.transformer.layer[1].parameters())
    decoder: Any = transformers.GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, num_labels=3, pad_token_id=1)
    assert frozen.freeze(transformers.GPT2ForSequenceClassification(decoder), 1) is None
    assert math.isfinite(model(input_ids=torch.tensor([[3, 4]])).logits.sum().item())


# ---- a stop while the states are computed -----------------------------------------------------------------
def test_T8_a_stop_is_heard_between_the_passes_that_compute_the_states(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "PASS_TOKENS", 64)
    found, heard = parts(world, "single"), []

    def poll() -> None:
        heard.append(len(heard))
        if len(heard) == 3:
            raise Stopped("stopped", 143)

    found.poll = poll
    with pytest.raises(Stopped):
        next(loop.train(found))
    assert len(heard) == 3 and found.frozen.states is None
    found.poll = lambda: None
    assert losses(found, 3) == pytest.approx(losses(parts(world, "single"), 3), abs=1e-6)


def test_T8_SIGTERM_while_the_states_are_computed_stops_before_the_first_step_and_goes_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = samples.settings(world, "single", **FOUR, max_steps=30, output=str(tmp_path / "run"))
    monkeypatch.setattr(frozen, "PASS_TOKENS", 64)
    compute, calls = frozen.Frozen._lowest, []

    def lowest(self: Any, *given: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return compute(self, *given)

    monkeypatch.setattr(frozen.Frozen, "_lowest", lowest)
    with pytest.raises(Stopped, match="before the next one") as told:
        oneloop.train(**settings)
    assert told.value.code == 143 and len(calls) == 2
    assert not samples.log(tmp_path / "run")
    oneloop.train(**settings)
    assert [line["step"] for line in samples.log(tmp_path / "run")] == list(range(1, 31))
