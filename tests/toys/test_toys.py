"""Three tasks that the package does not know, installed through the entry-point group and trained by the same loop.

One generates, one retrieves, one hides words at random: a file of at most 60 lines each, and no change outside it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import oneloop
from oneloop import recipe, tasks
from oneloop.testing import check_task
from tests.faults.sample import THINGS, write_model
from tests.toys.mask import Mask
from tests.toys.nearest import Nearest
from tests.toys.reverse import Reverse

TOYS = Path(__file__).parent
FILES = ("recipe.yaml", "metrics.json", "predictions.jsonl", "log.jsonl", "report.html", "README.md", "model/config.json")


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toys as an installed package would bring them: a dist-info folder with entry points on the path."""
    folder = tmp_path / "site" / "toys-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    lines = [f"{name} = tests.toys.{name}:{name.title()}" for name in ("reverse", "nearest", "mask")]
    (folder / "entry_points.txt").write_text("[oneloop.tasks]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for cached in (tasks.table, recipe.task_fields):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (tasks.table, recipe.task_fields):
        cached.cache_clear()


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def t5(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder-decoder of one layer with the BERT's tokenizer; [SEP] ends a text."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    tokenizer = AutoTokenizer.from_pretrained(bert)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=1,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=3,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def backwards(count: int) -> list[dict[str, str]]:
    draw = random.Random(1)
    texts = [" ".join(draw.choice(THINGS) for _ in range(draw.randint(1, 2))) for _ in range(count)]
    return [{"text": text, "backwards": " ".join(reversed(text.split()))} for text in texts]


def pairs(count: int) -> list[dict[str, str]]:
    draw = random.Random(2)
    words = [draw.sample(THINGS, 3) for _ in range(count)]
    return [{"query": " ".join(some[:2]), "passage": f"the {some[1]} and the {some[0]} was {some[2]} {i}"} for i, some in enumerate(words)]


def texts(count: int) -> list[dict[str, str]]:
    draw = random.Random(3)
    return [{"text": " and ".join(f"the {draw.choice(THINGS)} was late" for _ in range(draw.randint(1, 5)))} for _ in range(count)]


def steps(run: Path) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if line["kind"] == "step"]


def complete(result: oneloop.run.Result, split_rows: int) -> None:
    for name in FILES:
        assert (result.path / name).stat().st_size, name
    assert result.metrics["reload_check"] == "identical"
    assert result.metrics["rows"] == split_rows == len((result.path / "predictions.jsonl").read_text().splitlines())


def test_each_toy_is_a_file_of_at_most_60_lines() -> None:
    assert all(len((TOYS / f"{name}.py").read_text().splitlines()) <= 60 for name in ("reverse", "nearest", "mask"))


def test_a_task_that_generates_is_trained_scored_and_used(t5: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "backwards.jsonl", backwards(240))
    result = oneloop.train(
        task="reverse",
        model=str(t5),
        train=str(data),
        split="84/8/8",
        output=str(tmp_path / "run"),
        epochs=30,
        max_length=32,
        learning_rate=5e-3,
    )
    complete(result, result.metrics["data"]["rows"]["test"])
    metrics, before = result.metrics["metrics"], result.metrics["before"]["metrics"]
    assert metrics["loss"]["value"] < 0.7 * before["loss"]["value"]
    seen = oneloop.evaluate(result.path, str(data), train=str(data))
    assert seen["metrics"]["exact"]["value"] > seen["baseline"]["metrics"]["exact"]["value"]
    assert set(oneloop.load(result.path).predict("phone")[0]) == {"id", "row", "written"}
    assert oneloop.load(result.path).task.settings["max_new_tokens"] == 12


def test_a_task_that_retrieves_is_trained_scored_and_used(bert: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "pairs.jsonl", pairs(200))
    settings: dict[str, Any] = {"task": "nearest", "model": str(bert), "train": str(data), "epochs": 3, "max_length": 32}
    result = oneloop.train(**settings, output=str(tmp_path / "run"))
    complete(result, result.metrics["data"]["rows"]["test"])
    score, naive = result.metrics["metrics"]["mrr@10"]["value"], result.metrics["baseline"]["metrics"]["mrr@10"]["value"]
    assert score > naive + 0.1, (score, naive)
    # the loss compares the rows of a step with each other, so a step is never cut
    again = oneloop.train(**settings, output=str(tmp_path / "small"), micro_tokens=64)
    assert [line["loss"] for line in steps(again.path)] == [line["loss"] for line in steps(result.path)]


def test_random_masks_follow_from_seed_epoch_and_row_and_are_frozen_for_evaluation(bert: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "texts.jsonl", texts(120))
    settings: dict[str, Any] = {
        "task": "mask",
        "model": str(bert),
        "train": str(data),
        "epochs": 8,
        "max_length": 32,
        "save_every": 2,
        "learning_rate": 1e-2,
    }
    whole = oneloop.train(**settings, output=str(tmp_path / "whole"))
    complete(whole, whole.metrics["data"]["rows"]["test"])
    assert whole.metrics["metrics"]["perplexity"]["value"] < 30
    lines = steps(whole.path)
    assert len({line["loss"] for line in lines}) == len(lines)  # no two steps saw the same masks

    class Enough(Exception):
        pass

    def stop(event: dict[str, Any]) -> None:
        if event["kind"] == "saved" and event["step"] >= 4:
            raise Enough

    with pytest.raises(Enough):
        oneloop.train(**settings, output=str(tmp_path / "stopped"), on_event=stop)
    resumed = oneloop.train(**settings, output=str(tmp_path / "stopped"))
    assert any("going on after step" in note for note in resumed.notes)
    assert [line["loss"] for line in steps(resumed.path)] == [line["loss"] for line in lines]
    assert resumed.metrics["metrics"] == whole.metrics["metrics"]
    workers = oneloop.train(**settings, output=str(tmp_path / "workers"), workers=1)
    assert [line["loss"] for line in steps(workers.path)] == [line["loss"] for line in lines]


def test_tokens_are_counted_and_blocks_name_their_rows(bert: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "texts.jsonl", texts(120))
    found = oneloop.train(
        task="mask", model=str(bert), train=str(data), epochs=1, max_length=32, batch_rows=256, output=str(tmp_path / "run")
    )
    lines = steps(found.path)
    seen = [row for line in lines for row in line["rows"]]
    assert set(seen) == {str(row) for _, row in json.loads((found.path / "splits.json").read_text())["rows"]["train"]}
    train = found.metrics["data"]
    assert len(lines) == -(-train["train_tokens"] // 256)


@pytest.mark.parametrize(("task", "rows"), [(Reverse, backwards(12)), (Nearest, pairs(12)), (Mask, texts(12))])
def test_the_toys_keep_the_contract(task: Any, rows: Any) -> None:
    check_task(task, rows)
