"""Run folders as a training leaves them, written without training anything: one builder per shape of prediction."""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

COMPLAINTS = [
    "The parcel came late and the box was torn",
    "I was charged twice for one order",
    "Thank you, the nurse was very kind",
    "My password reset mail never arrives",
    "Where do I find the invoice for March?",
]


@pytest.fixture
def runs() -> ModuleType:
    """The builders of this file."""
    return sys.modules[__name__]


def log(epochs: int = 4, per_epoch: int = 30, start: float = 1.6, floor: float = 0.15, valley: float = 0.35) -> list[dict[str, Any]]:
    """A healthy history: training loss decays to `floor`, validation loss to `valley`."""
    rng = random.Random(3)
    lines: list[dict[str, Any]] = []
    for step in range(1, epochs * per_epoch + 1):
        fade = math.exp(-3.2 * step / (epochs * per_epoch))
        loss = floor + (start - floor) * fade + rng.uniform(-0.06, 0.06) * (0.3 + fade)
        lines.append(
            {
                "kind": "step",
                "step": step,
                "epoch": step / per_epoch,
                "loss": loss,
                "learning_rate": 5e-4,
                "grad_norm": 1.0,
                "tokens_per_s": 5200.0,
            }
        )
        if step % per_epoch == 0:
            metrics = {
                "loss": valley + (start - valley) * fade,
                "macro_f1": 0.93 - 0.6 * fade,
                "f1": 0.92 - 0.7 * fade,
                "accuracy": 0.95 - 0.5 * fade,
            }
            lines.append({"kind": "evaluation", "step": step, "split": "validation", "metrics": metrics})
    return lines


def write_run(
    folder: Path,
    task: str,
    predictions: list[dict[str, Any]],
    metrics: dict[str, Any],
    primary: str,
    baseline: tuple[str, dict[str, float]] | None = None,
    before: dict[str, float] | None = None,
    history: list[dict[str, Any]] | None = None,
    recipe: dict[str, Any] | None = None,
    **more: Any,
) -> Path:
    """Write recipe.yaml, metrics.json, predictions.jsonl and log.jsonl into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "oneloop": "0.1.0",
        "task": task,
        "split": "test",
        "rows": len(predictions),
        "primary": primary,
        "metrics": metrics,
        "baseline": {"name": baseline[0], "metrics": baseline[1]} if baseline else None,
        "before": {"metrics": before} if before else None,
        "signature": "oneloop 0.1.0 | bootstrap:1000 seed:0",
        "data": {"read": 1210, "dropped": 3, "tokens": 48210, "tokens_cut": 0, "windows": 1251},
        "time": {"train_s": 74.2, "train_tokens_per_s": 5210.4, "eval_s": 2.31},
        "reload_check": "identical",
    } | more
    settings = {
        "task": task,
        "model": "minilm",
        "train": "data/tickets.csv",
        "output": str(folder),
        "seed": 1,
        "epochs": 4,
        "batch_rows": 16,
        "learning_rate": 0.0005,
        "schedule": "linear",
        "warmup": 0.1,
        "weight_decay": 0.01,
        "columns": {"text": "message", "label": "mood"},
    }
    (folder / "metrics.json").write_text(json.dumps(document))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings | (recipe or {}), sort_keys=False))
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (log() if history is None else history)))
    (folder / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in predictions))
    return folder


def score(value: float, half: float = 0.012) -> dict[str, Any]:
    """An entry of metrics.json with an interval."""
    return {"value": value, "ci95": [value - half, value + half]}


def classification(folder: Path, labels: list[str], rows: int = 400, **more: Any) -> Path:
    """One label per row, 85 % right; a label is mostly taken for its neighbour."""
    rng = random.Random(5)
    lines = []
    for i in range(rows):
        right = labels[min(int(rng.expovariate(2.2 / len(labels))), len(labels) - 1)]
        said = right if rng.random() < 0.85 else labels[(labels.index(right) + 1) % len(labels)]
        sure = rng.uniform(0.5, 0.99)
        text = f"{rng.choice(COMPLAINTS)}, ticket {rng.randint(1000, 9999)}"
        loss = -math.log(sure if said == right else 1 - sure)
        lines.append(
            {
                "id": str(i + 1),
                "row": i + 1,
                "file": "data/tickets.csv",
                "input": {"text": text},
                "loss": loss,
                "reference": right,
                "prediction": {"label": said, "scores": {said: sure}},
                "scores": {"accuracy": float(said == right)},
            }
        )
    metrics = {"macro_f1": score(0.842), "accuracy": score(0.853)}
    return write_run(
        folder, "sequence-classification", lines, metrics, "macro_f1", ("majority", {"macro_f1": 0.133, "accuracy": 0.36}), **more
    )


def spans(folder: Path, rows: int = 120, **more: Any) -> Path:
    """Words with BIO tags; one row in three has a wrong border, type, or a missed span."""
    rng = random.Random(7)
    lines = []
    for i in range(rows):
        company, amount = rng.choice([["Larkspur", "Holdings"], ["Tern", "Ltd"]]), [str(rng.randint(2, 90)), "million", "euros"]
        tokens = [*company, "shall", "pay", *amount, "to", "the", "Supplier", "by", "1", "May", str(rng.randint(2020, 2026)), "."]
        gold = ["B-PARTY", "I-PARTY", "O", "O", "B-MONEY", "I-MONEY", "I-MONEY", "O", "O", "O", "O", "B-DATE", "I-DATE", "I-DATE", "O"]
        said, fault = list(gold), rng.randint(0, 11)
        if fault == 0:
            said[1] = "O"
        elif fault == 1:
            said[4:7] = ["B-DATE", "I-DATE", "I-DATE"]
        elif fault == 2:
            said[11:14] = ["O", "O", "O"]
        elif fault == 3:
            said[9] = "B-PARTY"
        agree = sum(a == b for a, b in zip(gold, said)) / len(gold)
        lines.append(
            {
                "id": f"c{i}",
                "row": i + 1,
                "file": "contracts.jsonl",
                "input": {"tokens": tokens},
                "reference": gold,
                "loss": 1 - agree,
                "prediction": {"tags": said, "spans": []},
                "scores": {"f1": 1.0 if fault > 3 else 0.66, "accuracy": agree},
            }
        )
    metrics = {
        "f1": score(0.912),
        "precision": score(0.9),
        "recall": score(0.925),
        "f1_strict": score(0.905),
        "accuracy": score(0.978, 0.004),
    }
    base = ("most-frequent-tag", {"f1": 0.51, "precision": 0.55, "recall": 0.47, "accuracy": 0.8})
    return write_run(folder, "token-classification", lines, metrics, "f1", base, **more)


def answers(folder: Path, rows: int = 90, **more: Any) -> Path:
    """Questions about a passage, some without an answer."""
    rng = random.Random(9)
    context = (
        "The ferry between Norrby and the island of Hult has run since 1931. " * 4 + "In winter it crosses twice a day; in July it crosses "
        "every forty minutes. The crew of six lives in Norrby, and the captain, Ines Almgren, has steered the boat for nineteen years. "
    ) * 2
    asked = [
        ("Since when has the ferry run?", "1931"),
        ("Who is the captain?", "Ines Almgren"),
        ("How often does it cross in July?", "every forty minutes"),
        ("What does a ticket cost?", ""),
        ("Why was the old boat sold?", ""),
    ]
    lines = []
    for i in range(rows):
        question, right = asked[i % len(asked)]
        said = right if rng.random() < 0.7 else rng.choice(["twice a day", "Norrby", ""])
        same = float(said == right)
        start = context.find(said)
        gold = [{"text": right, "start": context.find(right)}] if right else []
        lines.append(
            {
                "id": f"q{i}",
                "row": i + 1,
                "file": "qa.json",
                "input": {"question": question, "context": context},
                "reference": gold,
                "loss": 2 - same,
                "prediction": {"answer": said, "start": start, "end": start + len(said), "score": 0.7, "no_answer_score": 0.2},
                "scores": {"exact_match": same, "f1": same},
            }
        )
    metrics = {"exact_match": score(0.7, 0.08), "f1": score(0.733, 0.08)}
    return write_run(folder, "question-answering", lines, metrics, "f1", ("sliding-window", {"exact_match": 0.05, "f1": 0.14}), **more)


def several_labels(folder: Path, rows: int = 150, **more: Any) -> Path:
    """Rows with none to three labels."""
    rng = random.Random(11)
    names = ["billing", "delivery", "praise", "refund"]
    lines = []
    for i in range(rows):
        right = sorted(rng.sample(names, rng.randint(0, 3)))
        said = sorted({name for name in names if (name in right) != (rng.random() < 0.1)})
        lines.append(
            {
                "id": str(i),
                "row": i + 1,
                "file": "t.csv",
                "input": {"text": rng.choice(COMPLAINTS)},
                "reference": right,
                "loss": rng.random(),
                "prediction": {"labels": said, "scores": dict.fromkeys(names, 0.5)},
                "scores": {"accuracy": float(right == said)},
            }
        )
    return write_run(folder, "sequence-classification", lines, {"micro_f1": score(0.88), "macro_f1": score(0.87)}, "macro_f1", **more)


def numbers(folder: Path, rows: int = 1200, **more: Any) -> Path:
    """A number per pair of sentences."""
    rng = random.Random(13)
    lines = []
    for i in range(rows):
        right = rng.uniform(0, 5)
        said = right * 0.8 + 0.6 + rng.gauss(0, 0.4)
        lines.append(
            {
                "id": str(i),
                "row": i + 1,
                "file": "pairs.tsv",
                "input": {"text": "A man plays the flute.", "text_pair": "Someone makes music."},
                "reference": right,
                "loss": (said - right) ** 2,
                "prediction": {"value": said},
                "scores": {"rmse": abs(said - right)},
            }
        )
    metrics = {"pearson": score(0.861), "spearman": score(0.858), "rmse": score(0.52, 0.03)}
    return write_run(
        folder,
        "sequence-classification",
        lines,
        metrics,
        "spearman",
        ("mean of the training scores", {"spearman": 0.0, "rmse": 1.44}),
        **more,
    )
