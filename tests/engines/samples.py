"""Small data of every kind that can be trained, and a model for it, so that a whole run takes a second or two.

In:  a folder.
Out: KINDS: name -> the recipe settings of that kind, its files lying in the folder.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.faults.sample import BAD, GOOD, NAMES, PLACES, THINGS, write_model, write_words

Line = dict[str, Any]
# fp32, no dropout, no warm-up: what a plain loop does too. 54 training rows in steps of 5: 11 steps an epoch, the last of 4 rows
BASE: dict[str, Any] = {
    "precision": "fp32", "dropout": 0.0, "warmup": 0.0, "batch_rows": 5, "epochs": 2, "learning_rate": 1e-3, "seed": 3,
    "head_factor": 1.0, "evaluate_every": 0,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "single": {"task": "sequence-classification", "data": "single.jsonl", "label_smoothing": 0.0},
    "multi": {"task": "sequence-classification", "data": "multi.jsonl", "columns": {"labels": "topics"}},
    "regression": {"task": "sequence-classification", "data": "regression.jsonl", "columns": {"score": "stars"}},
    "long": {"task": "sequence-classification", "data": "long.jsonl", "max_length": 16, "stride": 4, "label_smoothing": 0.0},
    "tokens": {"task": "token-classification", "data": "words.conll"},
    "answers": {"task": "question-answering", "data": "answers.jsonl", "max_length": 32, "stride": 8},
}  # fmt: skip
ROWS = {"train": 54, "validation": 11, "test": 13}


def write(folder: Path, layers: int = 2) -> Path:
    """Write the model (without dropout in its config) and the three splits of every kind; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_model(folder / "model", dropout=0.1, layers=layers)
    widen(folder / "model")
    for number, (split, rows) in enumerate(ROWS.items()):
        for kind, make in (("single", single), ("multi", multi), ("regression", regression), ("long", long), ("answers", answers)):
            draw = random.Random(100 * number + 7)
            lines = [make(draw, i) for i in range(rows)]
            (folder / f"{split}.{kind}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        write_words(folder / f"{split}.words.conll", rows, seed=number)
    return folder


def widen(model: Path, factor: float = 4.0) -> None:
    """Multiply the matrices: with weights this near zero the first token hears little of the others, and gradients are rounding."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    wide = {name: tensor * factor if tensor.ndim == 2 else tensor for name, tensor in tensors.items()}
    save_file(wide, model / "model.safetensors", metadata={"format": "pt"})


def settings(folder: Path, kind: str, **more: Any) -> dict[str, Any]:
    """The recipe of a kind."""
    own = {name: value for name, value in KINDS[kind].items() if name != "data"}
    files = {split: str(folder / f"{split}.{KINDS[kind]['data']}") for split in ROWS}
    return {**BASE, "model": str(folder / "model"), **files, **own, **more}


def clause(draw: random.Random, words: list[str]) -> str:
    """`the driver was rude`."""
    return f"the {draw.choice(THINGS)} was {draw.choice(words)}"


def single(draw: random.Random, number: int) -> Line:
    """A review of one to three clauses, good or bad."""
    words = GOOD if number % 3 else BAD
    return {"text": " and ".join(clause(draw, words) for _ in range(draw.randint(1, 3))), "label": "good" if number % 3 else "bad"}


def multi(draw: random.Random, number: int) -> Line:
    """A review with the things it is about as labels, sometimes none."""
    things = draw.sample(THINGS[:4], draw.randint(0, 3))
    return {"text": " and ".join(f"the {thing} was {draw.choice(GOOD + BAD)}" for thing in things) or "today", "topics": things}


def regression(draw: random.Random, number: int) -> Line:
    """A review whose stars count its good clauses."""
    good, bad = draw.randint(0, 3), draw.randint(1, 2)
    clauses = [clause(draw, GOOD) for _ in range(good)] + [clause(draw, BAD) for _ in range(bad)]
    draw.shuffle(clauses)
    return {"text": " and ".join(clauses), "stars": 1.5 * good + 1}


def long(draw: random.Random, number: int) -> Line:
    """One to eight clauses of the same mind: up to a few windows of 16 tokens."""
    words = GOOD if number % 2 else BAD
    return {"text": " and ".join(clause(draw, words) for _ in range(draw.randint(1, 8))), "label": "good" if number % 2 else "bad"}


def answers(draw: random.Random, number: int) -> Line:
    """Who met whom where; every fifth question has no answer."""
    people, places = draw.sample(NAMES, 4), draw.sample(PLACES, 3)
    said = [f"{people[i]} met {draw.choice(NAMES)} in {places[i]} ." for i in range(draw.randint(1, 3))]
    context = " ".join(said)
    if number % 5 == 0:
        return {"question": f"where was {people[3]} today", "context": context, "answers": {"text": [], "answer_start": []}}
    asked = draw.randrange(len(said))
    start = context.index(places[asked])
    gold = {"text": [places[asked]], "answer_start": [start]}
    return {"question": f"where was {people[asked]} today", "context": context, "answers": gold}


def log(run: Path, kind: str = "step") -> list[Line]:
    """The lines of a kind in RUN/log.jsonl."""
    return [line for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if line["kind"] == kind]


def validations(run: Path) -> list[Line]:
    """The lines of the evaluations on validation rows during training."""
    return [line for line in log(run, "evaluation") if line["when"] == "during training"]


def interrupted(settings: dict[str, Any], step: int) -> None:
    """Train until something breaks before `step` is logged, then run the same again."""
    import oneloop
    from oneloop.run import Run

    usual = Run.consume

    def break_off(run: Run, done: Any) -> bool:
        if done.number == step:
            raise KeyboardInterrupt
        return usual(run, done)

    Run.consume = break_off  # type: ignore[method-assign]
    try:
        oneloop.train(**settings)
    except KeyboardInterrupt:
        pass
    finally:
        Run.consume = usual  # type: ignore[method-assign]
    assert not (Path(settings["output"]) / "metrics.json").exists()
    oneloop.train(**settings)
