"""C103, C104: LoRA by one field: what is trained, what is saved, and what comes back."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import oneloop
from oneloop.errors import ModelError
from oneloop.model import adapters
from oneloop.model.load import load_model
from tests.engines import samples
from tests.small_tokenizers import small_bert

TASKS = ("single", "multi", "tokens", "answers")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples, and a second model whose pooler was never trained."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = samples.write(Path(tmp_path_factory.mktemp("adapters")))
    shutil.copytree(folder / "model", folder / "unpooled")
    tensors = load_file(folder / "unpooled" / "model.safetensors")
    tensors["pooler.dense.weight"] = tensors["pooler.dense.weight"] * 0.01
    assert torch.isfinite(tensors["pooler.dense.weight"]).all()
    save_file(tensors, folder / "unpooled" / "model.safetensors", metadata={"format": "pt"})
    return folder


def train(world: Path, kind: str, name: str, **more: Any) -> oneloop.Result:
    return oneloop.train(**samples.settings(world, kind, output=str(world / "runs" / name), **{"lora": 4, "epochs": 1, **more}))


def texts(kind: str) -> list[Any]:
    if kind == "answers":
        return [{"question": "where was anna today", "context": "Anna met Bert in Oslo . Chen met Dora in Lima ."}]
    return ["the bed was cold", "Anna met Bert in Oslo .", "the very warm soup was lovely and the driver was rude"]


@pytest.mark.parametrize("kind", TASKS)
def test_C104_a_saved_adapter_is_small_holds_the_head_and_predicts_as_scored(world: Path, kind: str) -> None:
    from safetensors.torch import load_file

    result = train(world, kind, f"apart-{kind}")
    folder = world / "runs" / f"apart-{kind}" / "model"
    assert result.metrics["reload_check"] == "identical"
    held = load_file(folder / adapters.WEIGHTS)
    head = "qa_outputs" if kind == "answers" else "classifier"
    assert {f"base_model.model.{head}.weight", f"base_model.model.{head}.bias"} <= set(held)
    assert all("lora_" in name or head in name for name in held)
    assert not (folder / "model.safetensors").exists()
    assert not (folder / "README.md").exists()
    again = oneloop.load(world / "runs" / f"apart-{kind}")
    assert again.engine.model.config.num_labels == (2 if kind == "answers" else len(again.task.facts["labels"]))
    assert all("error" not in line or not line["error"] for line in again.predict(texts(kind)))


@pytest.mark.parametrize("kind", TASKS)
def test_C104_merged_predicts_what_the_adapter_predicts_and_loads_without_peft(world: Path, kind: str) -> None:
    import torch
    import transformers

    from oneloop.tasks import task_class

    apart = train(world, kind, f"apart2-{kind}").path
    whole = train(world, kind, f"merged-{kind}", merge=True)
    assert whole.metrics["reload_check"] == "identical"
    head = getattr(transformers, task_class(samples.KINDS[kind]["task"]).head)
    plain = head.from_pretrained(whole.path / "model").eval()
    assert not (whole.path / "model" / adapters.CONFIG).exists()
    model = oneloop.load(apart)
    batch = model.engine.tokenizer(["the bed was cold", "Anna met Bert in Oslo ."], padding=True, return_tensors="pt")
    with torch.no_grad():
        beside, inside = model.engine.model(**batch), plain(**batch)
    for name in (name for name in inside if name.endswith("logits")):
        assert torch.allclose(beside[name], inside[name], atol=1e-5)


def test_C103_base_weights_do_not_change_and_all_adapters_do(world: Path) -> None:
    import torch

    from oneloop import loop
    from tests.engines.test_loop import built

    parts = built(world, "single", lora=4, max_steps=6)
    before = {name: parameter.detach().clone() for name, parameter in parts.model.named_parameters()}
    trainable = {name for name, parameter in parts.model.named_parameters() if parameter.requires_grad}
    assert trainable == {name for group in parts.optimizer.param_groups for name in group["names"]}
    list(loop.train(parts))
    for name, parameter in parts.model.named_parameters():
        assert torch.equal(before[name], parameter) == (name not in trainable), name
    assert all("lora_" in name or "classifier.modules_to_save" in name for name in trainable)


def test_C103_at_least_90_percent_fewer_weights_are_trained_and_the_share_is_said(world: Path) -> None:
    import transformers

    config = transformers.BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    for head in ("BertForSequenceClassification", "BertForTokenClassification", "BertForQuestionAnswering"):
        model = getattr(transformers, head)(config)
        whole = sum(parameter.numel() for parameter in model.parameters())
        adapted = adapters.add(model, 8, ["classifier.weight"], seed=1)
        trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
        assert trained <= 0.1 * whole
        assert f"({trained / sum(p.numel() for p in adapted.parameters()):.1%})" in adapters.describe(adapted)
    assert any(note.startswith("LoRA: training") for note in train(world, "single", "said").notes)


def test_a_pooler_opened_before_training_is_saved_with_the_adapter(world: Path) -> None:
    """The identity put into an untrained pooler is in no file of the base model; left out, the reloaded model is another one."""
    result = train(world, "single", "pooler", model=str(world / "unpooled"))
    assert result.metrics["reload_check"] == "identical"
    config = json.loads((result.path / "model" / adapters.CONFIG).read_text())
    assert "bert.pooler.dense" in config["modules_to_save"]
    assert not any("pooler" in name for name in config["target_modules"])


@pytest.mark.parametrize("engine", ["loop", "trainer"])
def test_C127_a_broken_run_with_adapters_goes_on_to_the_same_weights(world: Path, engine: str) -> None:
    from safetensors.torch import load_file
    from torch import equal

    more = {"engine": engine, "save_every": 3, "dropout": 0.1}
    whole = train(world, "tokens", f"whole-{engine}", **more).path
    samples.interrupted(samples.settings(world, "tokens", lora=4, epochs=1, output=str(world / "runs" / f"broken-{engine}"), **more), 8)
    first, second = (load_file(run / "model" / adapters.WEIGHTS) for run in (whole, world / "runs" / f"broken-{engine}"))
    assert first.keys() == second.keys()
    assert all(equal(first[name], second[name]) for name in first)


def test_an_adapter_can_be_trained_on_and_given_other_labels(world: Path) -> None:
    apart = train(world, "single", "first").path
    further = train(world, "single", "further", model=str(apart), lora=False)
    assert further.metrics["before"] is not None  # the head came from the adapter
    other = train(world, "multi", "other", model=str(apart), lora=False)
    assert other.metrics["before"] is None
    assert other.metrics["reload_check"] == "identical"


def test_the_adapter_finds_its_base_from_another_working_directory(world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(world)
    train(world, "single", "relative", model="model")
    monkeypatch.chdir(tmp_path)
    assert oneloop.load(world / "runs" / "relative").predict("the bed was cold")[0]["label"] in {"good", "bad"}


def test_damaged_adapters_are_refused_with_one_message(world: Path, tmp_path: Path) -> None:
    task = oneloop.load(train(world, "single", "good").path).task
    original = world / "runs" / "good" / "model"
    cases: dict[str, tuple[str, Any]] = {
        "no weights": (r"no adapter_model\.safetensors", lambda folder: (folder / adapters.WEIGHTS).unlink()),
        "pickle": (
            r"no adapter_model\.safetensors",
            lambda folder: (folder / adapters.WEIGHTS).rename(folder / "adapter_model.bin"),
        ),
        "cut": ("does not fit", lambda folder: (folder / adapters.WEIGHTS).write_bytes((folder / adapters.WEIGHTS).read_bytes()[:900])),
        "no base": ("no model folder", lambda folder: rewrite(folder / "oneloop.json", base="/nowhere/model")),
        "base unnamed": ("does not name its base", lambda folder: [rewrite(folder / name, base=None, base_model_name_or_path=None)
                                                                   for name in ("oneloop.json", adapters.CONFIG)]),
        "adapter on adapter": ("is an adapter too", lambda folder: rewrite(folder / "oneloop.json", base=str(original))),
    }  # fmt: skip
    for name, (message, damage) in cases.items():
        folder = tmp_path / name
        shutil.copytree(original, folder)
        damage(folder)
        with pytest.raises(ModelError, match=message):
            load_model(task, str(folder), trained=True)


def rewrite(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_an_adapter_without_its_head_is_no_trained_model(world: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    loaded = oneloop.load(train(world, "single", "beheaded").path)
    shutil.copytree(world / "runs" / "beheaded" / "model", tmp_path / "model")
    tensors = {name: tensor for name, tensor in load_file(tmp_path / "model" / adapters.WEIGHTS).items() if "classifier" not in name}
    save_file(tensors, tmp_path / "model" / adapters.WEIGHTS)
    with pytest.raises(ModelError, match=r"saved without its head: classifier\.bias, classifier\.weight are missing"):
        load_model(loaded.task, str(tmp_path / "model"), trained=True)


def test_which_modules_are_trained_whole() -> None:
    model = small_bert("BertForSequenceClassification", 40, num_labels=3)
    assert adapters.whole_modules(model, []) == ["classifier"]
    fresh = ["classifier.weight", "bert.pooler.dense.weight", "bert.embeddings.word_embeddings.weight"]
    assert adapters.whole_modules(model, fresh) == ["bert.embeddings.word_embeddings", "bert.pooler.dense", "classifier"]


def test_changed_weights_are_found_by_their_writes() -> None:
    import torch

    model = small_bert("BertForTokenClassification", 40)
    before = adapters.versions(model)
    assert adapters.changed(model, before) == ()
    with torch.no_grad():
        model.classifier.bias.zero_()
    assert adapters.changed(model, before) == ("classifier.bias",)


@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra", "gpt2"])
def test_every_linear_layer_of_other_families_gets_an_adapter_and_the_head_stays_whole(family: str) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": 60, "num_labels": 3, "pad_token_id": 1}
    configs = {
        "roberta": lambda: transformers.RobertaConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, **sizes
        ),
        "distilbert": lambda: transformers.DistilBertConfig(dim=16, n_layers=1, n_heads=2, hidden_dim=16, **sizes),
        "electra": lambda: transformers.ElectraConfig(
            embedding_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, **sizes
        ),
        "gpt2": lambda: transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, **sizes),
    }
    model = transformers.AutoModelForSequenceClassification.from_config(configs[family]()).eval()
    ids = torch.randint(3, 60, (2, 9), generator=torch.Generator().manual_seed(1))
    plain = model(input_ids=ids).logits.detach()
    whole = copy.deepcopy(model)
    body = model.base_model_prefix + "."
    adapted = adapters.add(model, 4, [name for name, _ in model.named_parameters() if not name.startswith(body)], seed=1)
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert any("modules_to_save" in name for name in trained)
    assert not any("lora_" in name and ("classifier" in name or "score" in name) for name in trained)
    layers = [name for name, module in whole.base_model.named_modules() if type(module).__name__ in {"Linear", "Conv1D"}]
    assert len(layers) >= 4
    assert sum("lora_A" in name for name in trained) == len(layers)
    adapted.eval()
    assert torch.allclose(adapted(input_ids=ids).logits, plain, atol=1e-6)  # B starts at zero: nothing is changed yet
