"""Span decoding of the SQuAD development set: this package against the way the Hugging Face course does it (chapter 7.7).

Both get the same features (minilm's tokenizer, windows of 384 tokens, 128 shared) and the same logits, shaped as those of a
half-trained model: low outside the context, noise inside it, bumps at the true answer, at wrong places and at CLS. All answers
must be equal. The arms run in turn, A B A B; the numbers are processor seconds, because other programs may run beside it.
"rows in memory" gives the course's loops plain Python lists in place of the `datasets.Dataset` it uses, to show what part the
loops themselves take. "whole predictions" are answers with probabilities, no-answer scores and the five best spans.

Run: python bench/qa_decoding.py [--data FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oneloop.encode.answers import best_texts, find_spans
from oneloop.tasks.question_answering import QuestionAnswering

DATA = Path(__file__).resolve().parents[1] / "../shared/data/bench/squad_v1.1/dev-full.json"
N_BEST, MAX_TOKENS, WIDTH = 20, 30, 384
ROUNDS = 2


def load(path: Path) -> list[dict[str, Any]]:
    """The questions of a SQuAD file as role rows."""
    rows: list[dict[str, Any]] = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = [{"text": answer["text"], "start": answer["answer_start"]} for answer in asked["answers"]]
                rows.append(
                    {
                        "id": asked["id"],
                        "row": len(rows) + 1,
                        "question": asked["question"],
                        "context": paragraph["context"],
                        "answers": answers,
                    }
                )
    return rows


def logits(features: Sequence[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    """Start and end logits (T) of each feature, float32: low outside the context, noise inside it, bumps around a few spans."""
    rng = np.random.default_rng(7)
    found = []
    for feature in features:
        width, first, count = len(feature["input_ids"]), feature["first"], len(feature["offsets"])
        output = {name: rng.normal(-9, 1, width).astype(np.float32) for name in ("start_logits", "end_logits")}
        spans = [(feature["labels"][0], feature["labels"][1], 10.0), (feature["null"], feature["null"], 5.0)]
        for line in output.values():
            line[first : first + count] += rng.normal(3, 1.5, count)
        for start in rng.integers(0, max(count, 1), 4).tolist():
            spans.append((first + start, first + min(count - 1, start + int(rng.integers(0, 6))), 7.0))
        for start, end, height in spans:
            for name, place in (("start_logits", start), ("end_logits", end)):
                output[name][place] += rng.normal(height, 2)
                output[name][place + 1 : place + 4] += rng.normal(2, 1)
        found.append(output)
    return found


def course(starts: np.ndarray, ends: np.ndarray, examples: Any, features: Any) -> list[str]:
    """The course's search: two Python loops over the best starts and ends of every window of an example."""
    of_example: dict[str, list[int]] = defaultdict(list)
    for position, example_id in enumerate(features["example_id"]):
        of_example[example_id].append(position)
    said = []
    for example in examples:
        context = example["context"]
        candidates = []
        for feature in of_example[example["id"]]:
            start_logits, end_logits, places = starts[feature], ends[feature], features[feature]["offset_mapping"]
            best_starts = np.argsort(start_logits)[-1 : -N_BEST - 1 : -1].tolist()
            best_ends = np.argsort(end_logits)[-1 : -N_BEST - 1 : -1].tolist()
            for start in best_starts:
                for end in best_ends:
                    if places[start] is None or places[end] is None:
                        continue
                    if end < start or end - start + 1 > MAX_TOKENS:
                        continue
                    text = context[places[start][0] : places[end][1]]
                    candidates.append({"text": text, "logit_score": start_logits[start] + end_logits[end]})
        said.append(max(candidates, key=lambda item: item["logit_score"])["text"] if candidates else "")
    return said


class InMemory(list[dict[str, Any]]):
    """Rows that answer `rows["column"]` as a Dataset does, without its cost."""

    def __getitem__(self, key: Any) -> Any:
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)


def as_course(rows: Sequence[dict[str, Any]], features: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Examples and features with the columns they have in the course, padded to 384 tokens."""
    made = []
    for feature in features:
        rest = WIDTH - len(feature["input_ids"])
        made.append(
            {
                "input_ids": feature["input_ids"] + [0] * rest,
                "token_type_ids": feature["token_type_ids"] + [0] * rest,
                "attention_mask": [1] * (WIDTH - rest) + [0] * rest,
                "offset_mapping": with_none(feature),
                "example_id": rows[feature["row"]]["id"],
            }
        )
    return [
        {"id": row["id"], "title": "", "context": row["context"], "question": row["question"], "answers": row["answers"]} for row in rows
    ], made


def padded(outputs: Sequence[dict[str, np.ndarray]], name: str) -> np.ndarray:
    """The (F, 384) table that the course's predictions are; padding reads like the question."""
    rng = np.random.default_rng(8)
    table = rng.normal(-9, 1, (len(outputs), WIDTH)).astype(np.float32)
    for line, output in zip(table, outputs):
        line[: len(output[name])] = output[name]
    return table


def with_none(feature: dict[str, Any]) -> list[list[int] | None]:
    """The course's offsets of a feature: None for every token outside the context."""
    places = feature["offsets"].tolist()
    return [None] * feature["first"] + places + [None] * (WIDTH - feature["first"] - len(places))


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    path = parser.parse_args().data
    if not path.exists():
        sys.exit(f"{path} is not there")
    from datasets import Dataset

    from oneloop.model.load import load_tokenizer

    rows = load(path)
    task = QuestionAnswering({"n_best": N_BEST, "max_answer_length": MAX_TOKENS, "max_length": WIDTH}, {"unanswerable": False})
    features = task.encode(rows, load_tokenizer("minilm"))
    outputs = logits(features)
    contexts = [row["context"] for row in rows]
    starts, ends = padded(outputs, "start_logits"), padded(outputs, "end_logits")
    examples, windows = as_course(rows, features)
    stored = Dataset.from_list(examples), Dataset.from_list(windows)
    arms: dict[str, Callable[[], list[str]]] = {
        "course": lambda: course(starts, ends, *stored),
        "course, rows in memory": lambda: course(starts, ends, examples, InMemory(windows)),
        "oneloop, answers": lambda: best_only(outputs, features, contexts),
        "oneloop, whole predictions": lambda: [prediction["answer"] for prediction in task.decode(outputs, features, rows)],
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    answers: dict[str, list[str]] = {}
    gc.collect()
    gc.freeze()  # the garbage collector should not walk the benchmark's own tables
    for _ in range(ROUNDS):
        for name, arm in arms.items():
            began = time.process_time()
            answers[name] = arm()
            seconds[name].append(time.process_time() - began)
    report(len(rows), len(features), seconds, answers)


def best_only(outputs: Sequence[dict[str, np.ndarray]], features: Sequence[dict[str, Any]], contexts: Sequence[str]) -> list[str]:
    """What the course's function returns, and no more: the best answer of each example."""
    spans = find_spans(outputs, features, len(contexts), n_best=N_BEST, max_tokens=MAX_TOKENS, keep=1)
    return best_texts(spans, contexts)


def report(rows: int, features: int, seconds: dict[str, list[float]], answers: dict[str, list[str]]) -> None:
    """Print times, ratios and differing answers, and at last all of it as one JSON line."""
    print(f"{rows} questions, {features} windows, {ROUNDS} rounds in turn, processor seconds")
    reference = answers["course"]
    differing = {name: sum(one != other for one, other in zip(reference, found)) for name, found in answers.items()}
    for name, times in seconds.items():
        listed = " ".join(f"{value:.2f}" for value in times)
        print(f"{name:36} {listed:>14}   answers that differ from the course's: {differing[name]}")
    slow, fast = list(seconds)[:2], list(seconds)[2:]
    ratios = {f"{f} against {s}": statistics.median(seconds[s]) / statistics.median(seconds[f]) for s in slow for f in fast}
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.1f} times faster")
    if any(differing.values()):
        sys.exit("the answers differ")
    summary = f"{rows} questions, same answers; " + "; ".join(f"{name} {ratio:.1f} ×" for name, ratio in ratios.items())
    print(json.dumps({"summary": summary, "ratios": ratios, "processor_s": seconds, "differing": differing}))


if __name__ == "__main__":
    main()
