"""The model folder: what is in it, and what it says about its training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import oneloop
from oneloop import commit
from oneloop.errors import ModelError
from oneloop.ship.save import read_facts
from tests.trained_runs import classified, read_json, tagged


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


@pytest.mark.parametrize("kind", ["single", "tokens", "answers"])
@pytest.mark.parametrize("whole", [True, False])
def test_C132_a_reloaded_model_gives_the_same_logits_and_names(kind: str, whole: bool, tmp_path: Path) -> None:
    """What the training held at its end against what the folder gives, by number, whole and as an adapter."""
    import torch
    import transformers

    from oneloop.ship.save import save_model
    from tests.engines import samples
    from tests.engines.test_loop import built

    parts = built(samples.write(tmp_path), kind, **({} if whole else {"lora": 4}))
    save_model(tmp_path / "saved", parts.task, parts.model, parts.tokenizer, precision="fp32")
    again = oneloop.load(tmp_path / "saved")
    inputs = parts.tokenizer(["the bed was cold", "Anna met Bert in Oslo ."], padding=True, return_tensors="pt")
    with torch.no_grad():
        before, after = parts.model.eval()(**inputs), again.engine.model(**inputs)
    for name in (name for name in before if name.endswith("logits")):
        assert torch.allclose(before[name], after[name], rtol=1e-6, atol=1e-6)  # the last bits depend on where a tensor lies in memory
    names = parts.task.facts.get("labels")
    assert names is None or [again.engine.model.config.id2label[i] for i in range(len(names))] == names
    if whole:
        plain = getattr(transformers, parts.task.head).from_pretrained(tmp_path / "saved").eval()
        with torch.no_grad():
            theirs = plain(**transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")(
                ["the bed was cold", "Anna met Bert in Oslo ."], padding=True, return_tensors="pt"))  # fmt: skip
        for name in (name for name in theirs if name.endswith("logits")):
            assert torch.allclose(before[name], theirs[name], atol=1e-5)


def test_C132_the_pipelines_of_transformers_give_the_same_labels() -> None:
    from transformers import pipeline

    texts = ["the bed was cold", "the warm soup was lovely", "the driver was rude and the chair was dirty", "the room was perfect"]
    theirs = pipeline("text-classification", model=str(classified() / "model"), device="cpu")(texts)
    loaded = oneloop.load(classified())
    ours = loaded.predict(texts)
    assert [line["label"] for line in theirs] == [line["label"] for line in ours]
    assert {line["label"] for line in ours} == {"bad", "good"}
    near = 1e-4 if loaded.engine.precision == "fp32" else 2e-3  # ours predicts in the precision it was scored in, the pipeline in fp32
    assert [line["score"] for line in theirs] == pytest.approx([line["scores"][line["label"]] for line in ours], abs=near)
    sentences = ["Anna met Bert in Oslo .", "Chen saw Dora in Paris .", "Emil met Fatma in Cairo ."]
    tagger = pipeline("token-classification", model=str(tagged() / "model"), aggregation_strategy="first", device="cpu")
    for sentence, line in zip(sentences, oneloop.load(tagged()).predict(sentences)):
        assert line["spans"]
        said = [(found["start"], found["end"], found["entity_group"]) for found in tagger(sentence)]
        assert said == [(span["start"], span["end"], span["label"]) for span in line["spans"]]
