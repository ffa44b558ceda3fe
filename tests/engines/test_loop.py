"""The loop against plain PyTorch, the stock HF Trainer, and itself cut in other ways (C091-C095)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneloop import loop
from oneloop.model import optimizer as optim
from oneloop.parts import Parts
from oneloop.prepare import Prepared, build, prepare
from oneloop.recipe import load_recipe
from tests.engines import samples


def ready(world: Path, kind: str, **more: Any) -> tuple[Prepared, Parts]:
    prepared = prepare(load_recipe(**samples.settings(world, kind, **more)), lambda text: None)
    return prepared, build(prepared, lambda text: None)


def built(world: Path, kind: str, **more: Any) -> Parts:
    """The Parts of a kind, its model fresh."""
    return ready(world, kind, **more)[1]


# ---- the reference: a training loop as a textbook writes it ----------------------------------------------
def plain_losses(parts: Parts, loss_of: Callable[[Any, Any, tuple[str, ...]], Any]) -> Iterator[float]:
    """Losses of a loop that shares only the order of the rows, the fresh weights and the settings with ours."""
    import torch
    import transformers

    model = getattr(transformers, parts.task.head).from_pretrained(
        parts.recipe.model, attn_implementation="eager", **parts.task.head_settings()
    )
    model.load_state_dict(parts.model.state_dict())
    plain = [p for name, p in model.named_parameters() if "bias" in name or "LayerNorm" in name]
    others = [p for name, p in model.named_parameters() if "bias" not in name and "LayerNorm" not in name]
    groups = [{"params": plain, "weight_decay": 0.0}, {"params": others, "weight_decay": 0.01}]
    optimizer = torch.optim.AdamW(groups, lr=parts.recipe.learning_rate)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 0, parts.total_steps)
    model.eval()  # no dropout
    for plan in list(parts.plans()):
        loss = loss_of(model, parts, plan.rows)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield float(loss.detach())


def chosen(parts: Parts, ids: tuple[str, ...]) -> list[Any]:
    by_id = {row["id"]: row for row in parts.rows}
    return [by_id[name] for name in ids]


def text_loss(model: Any, parts: Parts, ids: tuple[str, ...]) -> Any:
    """The head's own mean loss over one padded batch."""
    import torch

    rows, labels = chosen(parts, ids), parts.task.facts["labels"]
    batch = parts.tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
    if "score" in rows[0]:
        target = torch.tensor([row["score"] for row in rows])
    elif "labels" in rows[0]:
        target = torch.tensor([[float(name in row["labels"]) for name in labels] for row in rows])
    else:
        target = torch.tensor([labels.index(row["label"]) for row in rows])
    return model(**batch, labels=target).loss


def long_loss(model: Any, parts: Parts, ids: tuple[str, ...]) -> Any:
    """Row by row: the logits of the windows, averaged by their tokens, then cross-entropy."""
    import torch

    losses = []
    for row in chosen(parts, ids):
        windows = [feature["input_ids"] for feature in parts.features if parts.rows[feature["row"]] == row]
        assert sum(map(len, windows)) - 2 * len(windows) >= len(parts.tokenizer(row["text"], add_special_tokens=False)["input_ids"])
        logits = sum(model(torch.tensor([list(window)])).logits[0] * (len(window) - 2) for window in windows)
        mean = logits / sum(len(window) - 2 for window in windows)
        losses.append(torch.nn.functional.cross_entropy(mean, torch.tensor(parts.task.facts["labels"].index(row["label"]))))
    return torch.stack(losses).mean()


def tag_loss(model: Any, parts: Parts, ids: tuple[str, ...]) -> Any:
    """The head's own mean loss over all labelled words of one padded batch."""
    import torch

    rows, labels = chosen(parts, ids), parts.task.facts["labels"]
    batch = parts.tokenizer([row["tokens"] for row in rows], is_split_into_words=True, padding=True, return_tensors="pt")
    target = torch.full(batch["input_ids"].shape, -100)
    for i, row in enumerate(rows):
        before = None
        for position, word in enumerate(batch.word_ids(i)):
            if word is not None and word != before:
                target[i, position] = labels.index(row["tags"][word])
            before = word
    return model(**batch, labels=target).loss


def answer_loss(model: Any, parts: Parts, ids: tuple[str, ...]) -> Any:
    """The head's own loss of each window alone, without any padding; their mean."""
    import torch

    losses = []
    for row in chosen(parts, ids):
        windows = parts.tokenizer(
            row["question"], row["context"], truncation="only_second", max_length=parts.recipe.max_length, stride=parts.recipe.stride,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        for i, offsets in enumerate(windows["offset_mapping"]):
            sides = windows.sequence_ids(i)
            start = end = 0
            for answer in row["answers"][:1]:
                first = [t for t, side in enumerate(sides) if side == 1 and offsets[t][0] == answer["start"]]
                last = [t for t, side in enumerate(sides) if side == 1 and offsets[t][1] == answer["start"] + len(answer["text"])]
                start, end = (first[0], last[0]) if first and last else (0, 0)
            inputs = {name: torch.tensor([windows[name][i]]) for name in ("input_ids", "token_type_ids", "attention_mask")}
            losses.append(model(**inputs, start_positions=torch.tensor([start]), end_positions=torch.tensor([end])).loss)
    return torch.stack(losses).mean()


REFERENCES = {
    "single": text_loss,
    "multi": text_loss,
    "regression": text_loss,
    "long": long_loss,
    "tokens": tag_loss,
    "answers": answer_loss,
}


@pytest.mark.parametrize("kind", samples.KINDS)
def test_C006_losses_are_those_of_a_plain_loop(world: Path, kind: str) -> None:
    parts = built(world, kind, max_steps=20)
    reference = list(plain_losses(parts, REFERENCES[kind]))
    ours = [step.loss for step in loop.train(parts)]
    assert len(ours) == 20
    assert ours == pytest.approx(reference, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("kind", ["single", "tokens"])
def test_C005_losses_are_those_of_the_stock_trainer(world: Path, kind: str, tmp_path: Path) -> None:
    """Here the Trainer's own loss is right: one forward pass a step, labels counted by `num_items_in_batch`."""
    import transformers
    from datasets import Dataset

    parts = built(world, kind, batch_rows=6, max_steps=9)  # 9 steps of 6 rows are an epoch
    labels, lines = parts.task.facts["labels"], []
    for plan in parts.plans():
        for row in chosen(parts, plan.rows):
            words = {"is_split_into_words": True} if kind == "tokens" else {}
            encoded = parts.tokenizer(row["tokens"] if words else row["text"], **words)
            if not words:
                lines.append({**encoded, "labels": labels.index(row["label"])})
                continue
            ids = encoded.word_ids()
            firsts = [word is not None and word not in ids[:position] for position, word in enumerate(ids)]
            lines.append({**encoded, "labels": [labels.index(row["tags"][w]) if first else -100 for w, first in zip(ids, firsts)]})
    model = getattr(transformers, parts.task.head).from_pretrained(parts.recipe.model, **parts.task.head_settings())
    model.load_state_dict(parts.model.state_dict())
    for module in model.modules():
        if module.__class__.__name__ == "Dropout":
            module.p = 0.0
    model.config.attention_probs_dropout_prob = 0.0
    for layer in model.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.0
    collator = transformers.DataCollatorForTokenClassification if kind == "tokens" else transformers.DataCollatorWithPadding

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return None

    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=9, per_device_train_batch_size=6, learning_rate=parts.recipe.learning_rate, weight_decay=0.01,
        logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = InOrder(model=model, args=arguments, train_dataset=Dataset.from_list(lines), data_collator=collator(parts.tokenizer))
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    theirs = [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]
    ours = [step.loss for step in loop.train(parts)]
    assert ours == pytest.approx(theirs, abs=1e-5)


# ---- C093: one step cut in other ways -----------------------------------------------------------------------
def step_gradients(parts: Parts, plan: Any) -> dict[str, Any]:
    parts.model.train()
    _, labels = loop.gradients(parts, plan, None)
    return {name: p.grad.clone() / labels for name, p in parts.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", samples.KINDS)
def test_C093_one_pass_two_passes_and_many_give_the_same_gradients(world: Path, kind: str) -> None:
    import torch

    parts = built(world, kind)
    for first in (0, 8, 16):  # steps of 8 rows in the order of the file, so of unequal length
        features = tuple(i for i, feature in enumerate(parts.features) if first <= feature["row"] < first + 8)
        plan = replace(next(iter(parts.plans())), features=features)
        lengths = [len(parts.features[i]["input_ids"]) for i in features]
        assert len(set(lengths)) > 1
        found, passes = [], []
        for micro_tokens in (8192, max(lengths) * 3, max(lengths), 1):
            cut = replace(parts, micro_tokens=micro_tokens)
            passes.append(len(cut.passes(plan)))
            found.append(step_gradients(cut, plan))
        assert passes[0] == 1 < passes[1] <= passes[2] <= passes[3]
        assert passes[3] == (8 if kind == "long" else len(features))
        for other in found[1:]:
            assert found[0].keys() == other.keys()
            assert all(torch.allclose(found[0][name], other[name], atol=1e-5) for name in other)


def test_C093_the_last_step_of_an_epoch_is_applied_though_it_is_smaller(world: Path) -> None:
    parts = built(world, "single", epochs=1)
    before = {name: p.detach().clone() for name, p in parts.model.named_parameters()}
    steps, seen = [], []
    for step in loop.train(parts):
        steps.append(step)
        seen += step.rows
        before = {name: p.detach().clone() for name, p in parts.model.named_parameters()} if step.number == 10 else before
    assert sorted(len(step.rows) for step in steps) == [4] + [5] * 10
    assert sorted(seen) == sorted(row["id"] for row in parts.rows)
    small = next(step for step in steps if len(step.rows) == 4)
    assert small.labels == 4
    assert steps[-1].ends_epoch
    assert any(not bool((before[name] == p).all()) for name, p in parts.model.named_parameters())


def test_memory_that_runs_out_halves_the_passes_and_changes_nothing_else(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = built(world, "tokens", max_steps=6)
    reference = [step.loss for step in loop.train(roomy)]
    tight, notes = built(world, "tokens", max_steps=6), []
    tight.note = notes.append
    forward = type(tight.task).forward

    def cramped(task: Any, model: Any, batch: Any) -> Any:
        if batch["inputs"]["input_ids"].numel() > 64:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")
        return forward(task, model, batch)

    monkeypatch.setattr(type(tight.task), "forward", cramped)
    steps = list(loop.train(tight))
    assert [step.loss for step in steps] == pytest.approx(reference, abs=1e-5)
    assert steps[-1].micro_tokens <= 64
    assert "out of memory at step" in notes[0]


# ---- C094, C091, C092 ------------------------------------------------------------------------------------------
def test_C094_the_clipped_norm_is_at_most_clip_and_keeps_its_direction(world: Path) -> None:
    import torch

    parts = built(world, "regression", clip=0.1)
    plan = next(iter(parts.plans()))
    raw = step_gradients(parts, plan)
    _, labels = loop.gradients(parts, plan, None)
    norm = loop.divide_and_clip(parts, plan, labels)
    clipped = {name: p.grad for name, p in parts.model.named_parameters() if p.grad is not None}
    assert norm == pytest.approx(float(torch.linalg.vector_norm(torch.cat([g.flatten() for g in raw.values()]))), rel=1e-5)
    assert norm > 0.1
    assert float(torch.linalg.vector_norm(torch.cat([g.flatten() for g in clipped.values()]))) <= 0.1 + 1e-6
    name = max(raw, key=lambda key: float(raw[key].abs().max()))
    assert torch.allclose(clipped[name] / clipped[name].norm(), raw[name] / raw[name].norm(), atol=1e-5)


def test_C094_clip_0_turns_clipping_off(world: Path) -> None:
    parts = built(world, "regression", clip=0.0)
    plan = next(iter(parts.plans()))
    raw = step_gradients(parts, plan)
    _, labels = loop.gradients(parts, plan, None)
    loop.divide_and_clip(parts, plan, labels)
    name = max(raw, key=lambda key: float(raw[key].abs().max()))
    assert float((dict(parts.model.named_parameters())[name].grad - raw[name]).abs().max()) < 1e-6


@pytest.mark.parametrize(("schedule", "warmup"), [("linear", 0.0), ("linear", 0.2), ("cosine", 0.1), ("cosine", 4)])
def test_C092_the_rate_ends_where_the_updates_end(world: Path, schedule: str, warmup: float) -> None:
    parts = built(world, "single", schedule=schedule, warmup=warmup, micro_tokens=40)
    rates = [step.learning_rate for step in loop.train(parts)]
    peak = parts.recipe.learning_rate
    assert len(rates) == parts.total_steps == 22
    assert 0 < rates[-1] < 0.1 * peak
    assert optim.rate(22, 22, schedule=schedule, warmup=warmup) == pytest.approx(0, abs=1e-12)
    rise = round(warmup * 22) if warmup < 1 else int(warmup)
    assert max(rates) == rates[rise] == pytest.approx(peak)
    assert rates[: rise + 1] == sorted(set(rates[: rise + 1]))
    assert rates[rise:] == sorted(set(rates[rise:]), reverse=True)


def test_C095_evaluates_logs_and_saves_at_the_steps_asked_for(world: Path) -> None:
    import oneloop

    saved: list[int] = []
    watch: Callable[[dict[str, Any]], None] = lambda event: saved.append(event["step"]) if event["kind"] == "saved" else None  # noqa: E731
    run = world / "runs" / "by-steps"
    settings = samples.settings(world, "tokens", evaluate_every=4, save_every=5, max_steps=18, output=str(run))
    oneloop.train(**settings, on_event=watch)
    assert [line["step"] for line in samples.log(run)] == list(range(1, 19))
    assert [line["step"] for line in samples.validations(run)] == [4, 8, 12, 16, 18]
    assert saved == [5, 10, 15, 18]


def test_C129_the_same_seed_gives_the_same_numbers_and_another_one_others(world: Path) -> None:
    first, second, other = (
        [step.loss for step in loop.train(built(world, "tokens", max_steps=5, seed=seed, dropout=0.1))] for seed in (4, 4, 5)
    )
    assert first == second
    assert first != other


def test_C131_batches_hold_what_the_model_takes_and_features_what_decoding_needs(world: Path) -> None:
    for kind in ("tokens", "answers"):
        parts = built(world, kind)
        plan = next(iter(parts.plans()))
        (_, batch), *_ = parts.passes(plan)
        assert set(batch["inputs"]) <= set(parts.tokenizer.model_input_names)
        assert {"row"} < set(parts.features[0]) - set(batch["inputs"])
