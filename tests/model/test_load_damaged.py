"""Damaged, strange and hostile model folders: one clear error each, before anything is allocated or run."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import oneloop
from oneloop.errors import ModelError, OneloopError
from oneloop.model.load import load_model, load_tokenizer
from oneloop.tasks import task_class
from tests.engines import samples
from tests.small_tokenizers import small_bert, wordpiece

LABELS = ["bad", "good"]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 12345\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in</body></html>\n"
WEIGHTS = "model.safetensors"
Damage = Callable[[Path], Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as it stands on the Hub: a head for two labels, no manifest."""
    folder = tmp_path_factory.mktemp("good") / "model"
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}
    small_bert("BertForSequenceClassification", len(wordpiece()), **labels).save_pretrained(folder)
    wordpiece().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A csv to train and to evaluate on."""
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    lines = [f"the lamb was {'good' if i % 2 else 'bad'} {i},{'good' if i % 2 else 'bad'}" for i in range(40)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    return path


def write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def cut(name: str, share: float) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[: int(share * (folder / name).stat().st_size)])


def config(**fields: Any) -> Damage:
    def change(folder: Path) -> None:
        found = json.loads((folder / "config.json").read_text()) | fields
        (folder / "config.json").write_text(json.dumps({name: value for name, value in found.items() if value is not None}))

    return change


def remove(*names: str) -> Damage:
    return lambda folder: [path.unlink() for name in names for path in folder.glob(name)]


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    def rewrite(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        held = load_file(folder / WEIGHTS)
        change(held)
        save_file(held, folder / WEIGHTS, metadata={"format": "pt"})

    return rewrite


def pickled(folder: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def sharded(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(folder, max_shard_size="10KB")
    (folder / WEIGHTS).unlink(missing_ok=True)
    sorted(folder.glob("model-*.safetensors"))[1].unlink()


def bigger_vocabulary(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"token{i}" for i in range(500)])
    tokenizer.save_pretrained(folder)


def dataset(folder: Path) -> None:
    import datasets

    shutil.rmtree(folder)
    datasets.Dataset.from_dict({"text": ["a"], "label": ["b"]}).save_to_disk(folder)


def header_end(folder: Path) -> int:
    return 8 + int.from_bytes((folder / WEIGHTS).read_bytes()[:8], "little")


def header_garbled(folder: Path) -> None:
    raw = bytearray((folder / WEIGHTS).read_bytes())
    raw[20:30] = b"\xff" * 10
    (folder / WEIGHTS).write_bytes(bytes(raw))


CONFIG: dict[str, tuple[str, Damage]] = {
    "missing": (r"no config\.json", remove("config.json")),
    "empty": (r"config\.json: the file is empty", write("config.json", b"")),
    "zeros": (r"config\.json: the file holds nothing but zeros", write("config.json", bytes(300))),
    "truncated": (r"config\.json cannot be read", cut("config.json", 0.5)),
    "not JSON": (r"config\.json cannot be read", write("config.json", b"model: bert\n")),
    "not text": (r"config\.json cannot be read", write("config.json", b"\xff\xfe\x00\x9f\x92")),
    "deep": (r"config\.json cannot be read", write("config.json", b"[" * 200_000)),
    "a list": (r"config\.json holds a list", write("config.json", b"[1, 2]")),
    "a number": (r"config\.json holds a single value", write("config.json", b"7")),
    "pointer": (r"config\.json: the file is a Git LFS pointer", write("config.json", POINTER)),
    "page": (r"config\.json: the file is a web page", write("config.json", PAGE)),
    "unknown type": (r"model type 'brte', which transformers does not know", config(model_type="brte")),
    "no type": (r"no model_type", config(model_type=None)),
    "odd type": (r"model type \['bert'\]", config(model_type=["bert"])),
    "no vocabulary": (r"no vocab_size", config(vocab_size=None)),
    "wide": (r"describes a model of .* numbers", config(hidden_size=10**7)),
    "large vocabulary": (r"and the weight files hold", config(vocab_size=10**9)),
    "larger vocabulary": (r"describes a model of .* numbers", config(vocab_size=10**12)),
    "long": (r"and the weight files hold|describes a model of", config(max_position_embeddings=10**9)),
    "deep model": (r"describes 1,000,000 layers", config(num_hidden_layers=10**6)),
    "inner": (r"and the weight files hold|describes a model of", config(intermediate_size=10**9)),
    "negative": (r"config\.json says hidden_size: -1", config(hidden_size=-1)),
    "a word for a size": (r"config\.json says vocab_size: 'many'", config(vocab_size="many")),
    "odd heads": (r"cannot be loaded", config(num_attention_heads=3)),
    "other width": (r"weights of the model's body .* other shapes: .* in the file", config(hidden_size=8)),
    "more layers": (r"weights of the model's body are missing", config(num_hidden_layers=2)),
    "other model": (r"weights of the model's body are missing", config(model_type="roberta")),
    "remote code": (r"run code of its own \('auto_map'", config(auto_map={"AutoModel": "evil.Model"})),
    "attention": (r"attention code that is not part of transformers: 'someone/kernel'", config(attn_implementation="someone/kernel")),
    "own attention": (r"attention code that is not part of transformers: 'mine'", config(_attn_implementation="mine")),
    "quantised": (r"cannot be loaded", config(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})),
    "a data set": (r"it holds data, not a model", dataset),
}
FILES: dict[str, tuple[str, Damage]] = {
    "missing": (r"there is no model\.safetensors", remove(WEIGHTS)),
    "empty": (r"model\.safetensors: the file is empty", write(WEIGHTS, b"")),
    "zeros": (r"model\.safetensors: the file holds nothing but zeros", write(WEIGHTS, bytes(5000))),
    "three bytes": (r"model\.safetensors: the file is cut off", write(WEIGHTS, b"\x10\x00\x01")),
    "cut in the header": (r"model\.safetensors: the file is cut off", cut(WEIGHTS, 0.02)),
    "cut": (r"model\.safetensors: the file is cut off: [\d,]+ of [\d,]+ bytes", cut(WEIGHTS, 0.9)),
    "last byte gone": (r"model\.safetensors: the file is cut off", lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-1])),
    "garbled": (r"model\.safetensors: the header of the file is damaged", header_garbled),
    "text": (r"model\.safetensors: the file is cut off or no safetensors file", write(WEIGHTS, b"these are no weights at all\n" * 40)),
    "pointer": (r"model\.safetensors: the file is a Git LFS pointer", write(WEIGHTS, POINTER)),
    "page": (r"model\.safetensors: the file is a web page", write(WEIGHTS, PAGE)),
    "renamed pickle": (r"a pickle or an archive under another name", lambda f: torch.save({}, f / WEIGHTS)),
    "pickle": (r"the weights are a pickle \(pytorch_model\.bin\)", pickled),
    "no shard": (r"model-00002-of-\d+\.safetensors is missing", sharded),
    "shard outside": (
        "lie outside the folder",
        lambda f: [(f / WEIGHTS).unlink(), write("model.safetensors.index.json", b'{"weight_map": {"a": "../../x.safetensors"}}')(f)],
    ),
    "index": (r"index\.json cannot be read", lambda f: [(f / WEIGHTS).unlink(), write("model.safetensors.index.json", b"{")(f)]),
    "not a number": (r"hold NaN or infinite numbers: bert\.embeddings", tensors(
        lambda held: held["bert.embeddings.word_embeddings.weight"].fill_(float("nan")))),
    "body gone": (r"body are missing", tensors(lambda held: held.pop("bert.encoder.layer.0.output.dense.weight"))),
    "nothing in it": (r"and the weight files hold 0", tensors(lambda held: held.clear())),
}  # fmt: skip
TOKENIZER: dict[str, tuple[str, Damage]] = {
    "missing": (r"no tokenizer files", remove("tokenizer*", "special*", "vocab*")),
    "truncated": (r"tokenizer\.json cannot be read", cut("tokenizer.json", 0.7)),
    "empty": (r"tokenizer\.json: the file is empty", write("tokenizer.json", b"")),
    "emptied": (r"the tokenizer .* cannot be loaded|no vocabulary", write("tokenizer.json", b"{}")),
    "pointer": (r"tokenizer\.json: the file is a Git LFS pointer", write("tokenizer.json", POINTER)),
    "page": (r"tokenizer\.json: the file is a web page", write("tokenizer.json", PAGE)),
    "odd": (r"the tokenizer .* cannot be loaded", write("tokenizer.json", b'{"version": "1.0", "model": {"type": "Other"}}')),
    "config": (r"tokenizer_config\.json cannot be read", cut("tokenizer_config.json", 0.5)),
    "code": (r"tokenizer wants to run code", write("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": ["evil.T", null]}}')),
    "too large": (r"the tokenizer makes ids up to \d+, and the model has vectors for", bigger_vocabulary),
}
KINDS = {"config": CONFIG, "weights": FILES, "tokenizer": TOKENIZER}
CASES = {f"{kind}: {name}": case for kind, cases in KINDS.items() for name, case in cases.items()}


def damaged(good: Path, folder: Path, damage: Damage) -> Path:
    shutil.copytree(good, folder)
    damage(folder)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_each_is_one_clear_error_in_training_evaluation_and_prediction(name: str, good: Path, data: Path, tmp_path: Path) -> None:
    message, damage = CASES[name]
    folder = damaged(good, tmp_path / "damaged", damage)
    for attempt in (
        lambda: oneloop.train(train=str(data), model=str(folder), output=str(tmp_path / "run"), max_steps=1, precision="fp32"),
        lambda: oneloop.evaluate(folder, str(data)),
        lambda: oneloop.load(folder),
    ):
        with pytest.raises(OneloopError, match=message) as caught:
            attempt()
        assert str(folder) in str(caught.value) and (caught.value.fix or caught.value.expected), str(caught.value)
        assert len(str(caught.value).splitlines()) <= 3


def test_the_undamaged_folder_trains_scores_and_predicts(good: Path, data: Path, tmp_path: Path) -> None:
    assert oneloop.train(train=str(data), model=str(good), output=str(tmp_path / "run"), max_steps=1).metrics["reload_check"]
    assert oneloop.load(good).predict("the lamb was good")[0]["label"] in LABELS
    assert 0 <= oneloop.evaluate(good, str(data))["metrics"]["accuracy"]["value"] <= 1


def test_no_flipped_bit_of_a_header_gives_another_model(good: Path, tmp_path: Path) -> None:
    """A flip is an error, unless it falls where it changes nothing."""
    raw = (good / WEIGHTS).read_bytes()
    task = task_class("sequence-classification")({}, {"labels": LABELS, "kind": "single"})
    whole = load_model(task, str(good), trained=True).model.state_dict()
    folder = damaged(good, tmp_path / "flipped", lambda folder: None)
    draw = random.Random(4)
    refused = 0
    for _ in range(60):
        changed = bytearray(raw)
        changed[draw.randrange(header_end(good))] ^= 1 << draw.randrange(8)
        (folder / WEIGHTS).write_bytes(bytes(changed))
        try:
            found = load_model(task, str(folder), trained=True).model.state_dict()
        except OneloopError:
            refused += 1
            continue
        assert all(torch.equal(whole[name], found[name]) for name in whole)
    assert refused > 50


def test_a_tokenizer_without_offsets_is_refused_where_a_task_needs_them(good: Path) -> None:
    class Slow:
        backend_tokenizer = None

    for name, row in (("token-classification", {"tokens": ["a"]}), ("question-answering", {"question": "a", "context": "b"})):
        task = task_class(name)({}, {"labels": ["O"], "kind": "entities"} if name.startswith("token") else {})
        with pytest.raises(ModelError, match="does not tell which characters and words"):
            task.encode([{"id": "1", "row": 1, **row}], Slow())


@pytest.mark.parametrize("other", ["token-classification", "question-answering"])
def test_a_model_of_another_task_is_refused(other: str, good: Path, tmp_path: Path) -> None:
    world = samples.write(tmp_path / "world")
    run = oneloop.train(**samples.settings(world, "single", output=str(tmp_path / "run"), max_steps=1)).path
    for folder in (good, run):
        with pytest.raises(ModelError, match=f"no trained {other} head: it was trained as BertForSequenceClassification"):
            oneloop.load(folder, task=other)


def test_an_id_beyond_the_table_is_refused_and_one_below_is_not(good: Path) -> None:
    assert max(load_tokenizer(str(good)).get_vocab().values()) < json.loads((good / "config.json").read_text())["vocab_size"]
