"""The model folder: what is in it, and what it says about its training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import oneloop
from oneloop import commit
from oneloop.errors import ModelError
from oneloop.ship.save import read_facts
from tests.trained_runs import classified, read_json


def test_the_folder_holds_safetensors_tokenizer_and_facts_and_nothing_that_runs_code() -> None:
    folder = classified() / "model"
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "oneloop.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".py"))]
    facts = read_facts(folder)
    assert facts["task"] == "sequence-classification" and facts["facts"]["labels"] == ["bad", "good"]
    assert facts["columns"] == {"text": "text", "label": "label"} and facts["precision"] in {"fp32", "bf16"}
    assert facts["run"] == read_json(classified() / "run.json")["id"]


def test_the_folder_is_committed_and_verifies() -> None:
    assert commit.verify(classified() / "model")["files"]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "oneloop.json", "tokenizer.json"])
def test_a_missing_or_cut_file_is_named(name: str, tmp_path: Path) -> None:
    shutil.copytree(classified() / "model", tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelError, match=name):
        oneloop.load(tmp_path / "model")
    path.unlink()
    with pytest.raises(ModelError, match=name):
        oneloop.load(tmp_path / "model")


def test_a_model_from_elsewhere_has_no_facts(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == {}
