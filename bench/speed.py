"""Samples per second and scores of our loop and of HF Trainer with the course's settings (batch 8, fp32), same rows.

    python bench/speed.py quick/seq_cls/banking77                   everything
    python bench/speed.py quick/seq_cls/banking77 speed             speed alone
    python bench/speed.py quick/seq_cls/banking77 quality ours      one arm of one part, in this process
Each arm runs in a process of its own. Speed: 10 steps of warm-up, then 100 timed ones, A B A B. Quality: each arm trains once, ours
with the default recipe, the other for the course's three epochs.
The course's settings: tokenizer with truncation, dynamic padding, batch 8, AdamW 5e-5 (2e-5 and weight decay 0.01 for tokens).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WARM, STEPS = 10, 100
GOAL = 5  # times the samples/s
SPLITS = ("train", "validation", "test")
ROOT = Path(__file__).resolve().parent.parent


def prepared(folder: Path) -> Any:
    """The rows of every split as our arm reads them, and the task."""
    from oneloop.prepare import prepare
    from oneloop.recipe import load_recipe

    return prepare(load_recipe(**{split: str(next(folder.glob(f"{split}.*"))) for split in SPLITS}), lambda text: None)


def ours_speed(folder: Path) -> dict[str, Any]:
    """Rows per second of our loop with the default recipe; what it does once before its first step is spread over all steps."""
    from oneloop.loop import train
    from oneloop.prepare import build

    parts = build(prepared(folder), lambda text: None)
    spent, first, rows, tokens = 0.0, 0.0, 0, 0
    for step in train(parts):
        if step.number == 1:
            first = step.seconds
        elif step.number > WARM:
            spent, rows, tokens = spent + step.seconds, rows + len(step.rows), tokens + step.tokens
        if step.number == WARM + STEPS:
            break
    spent += first * STEPS / parts.total_steps
    return {"rows_per_s": rows / spent, "tokens_per_s": tokens / spent}


def ours_quality(folder: Path) -> dict[str, Any]:
    """Scores on test of one `oneloop train` with the default recipe, and its seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        flags = [word for split in SPLITS for word in (f"--{split}", str(next(folder.glob(f"{split}.*"))))]
        found = oneloop("train", *flags, "--output", f"{scratch}/run")
    return {"scores": values(found), "train_s": found["time"]["train_s"]}


def oneloop(*words: str) -> dict[str, Any]:
    """The metrics document that a command of ours prints."""
    done = subprocess.run([sys.executable, "-m", "oneloop", *words, "--json", "--quiet"], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return dict(json.loads(done.stdout))


def values(document: dict[str, Any]) -> dict[str, float]:
    """Metric to value, without intervals."""
    return {name: entry["value"] for name, entry in document["metrics"].items()}


def course_speed(folder: Path) -> dict[str, Any]:
    """Rows per second of HF Trainer after the warm-up."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        trainer(folder, scratch, callbacks=[clock.callback()], max_steps=WARM + STEPS)[0].train()
    return {"rows_per_s": 8 * STEPS / clock.spent}


def course_quality(folder: Path) -> dict[str, Any]:
    """Scores on test after the course's three epochs, by `oneloop evaluate` on the model it saves, and the seconds of training."""
    with tempfile.TemporaryDirectory() as scratch:
        made, task = trainer(folder, scratch, callbacks=[], num_train_epochs=3)
        began = time.perf_counter()
        made.train()
        spent = time.perf_counter() - began
        made.save_model(f"{scratch}/model")
        found = oneloop("evaluate", f"{scratch}/model", "--task", task, "--data", str(next(folder.glob("test.*"))))
    return {"scores": values(found), "train_s": spent}


def trainer(folder: Path, scratch: str, callbacks: list[Any], **length: Any) -> tuple[Any, str]:
    """HF Trainer as chapters 3 and 7 set it up, on the training rows of our arm, and the task's name."""
    import transformers
    from datasets import Dataset

    from oneloop.model.names import locate

    given = prepared(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(locate("minilm"))
    labels, rows = given.task.facts["labels"], given.rows["train"]
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: place for place, label in enumerate(labels)}}
    if "tokens" in rows[0]:
        data, rate, decay = token_data(rows, tokenizer, labels), 2e-5, 0.01
        head, collator = transformers.AutoModelForTokenClassification, transformers.DataCollatorForTokenClassification(tokenizer)
    else:
        data = Dataset.from_list([{**tokenizer(row["text"], truncation=True), "labels": labels.index(row["label"])} for row in rows])
        rate, decay = 5e-5, 0.0
        head, collator = transformers.AutoModelForSequenceClassification, transformers.DataCollatorWithPadding(tokenizer)
    transformers.set_seed(1)
    arguments = transformers.TrainingArguments(
        output_dir=scratch,
        per_device_train_batch_size=8,
        learning_rate=rate,
        weight_decay=decay,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=1,
        **length,
    )
    made = transformers.Trainer(
        model=head.from_pretrained(locate("minilm"), **names),
        args=arguments,
        train_dataset=data,
        data_collator=collator,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    return made, given.task.name


def token_data(rows: list[dict[str, Any]], tokenizer: Any, labels: list[str]) -> Any:
    """Chapter 7.2's alignment: every piece carries its word's label, B- becoming I- on later pieces."""
    from datasets import Dataset

    made = []
    for row in rows:
        encoded = tokenizer(row["tokens"], is_split_into_words=True, truncation=True)
        before, found = None, []
        for word in encoded.word_ids():
            tag = None if word is None else row["tags"][word]
            if tag is not None and word == before and tag.startswith("B-") and "I-" + tag[2:] in labels:
                tag = "I-" + tag[2:]
            found.append(-100 if tag is None else labels.index(tag))
            before = word
        made.append({**encoded, "labels": found})
    return Dataset.from_list(made)


class Clock:
    """Times the steps after the warm-up."""

    began = spent = 0.0

    def callback(self) -> Any:
        """A Trainer callback."""
        import transformers

        clock = self

        class Timer(transformers.TrainerCallback):
            """Notes the time after the warm-up and at the end."""

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                """Start or stop the clock."""
                if state.global_step == WARM:
                    clock.began = time.perf_counter()
                elif state.global_step == WARM + STEPS:
                    clock.spent = time.perf_counter() - clock.began

        return Timer()


JOBS = {
    ("speed", "ours"): ours_speed,
    ("speed", "course"): course_speed,
    ("quality", "ours"): ours_quality,
    ("quality", "course"): course_quality,
}


def alone(data: str, what: str, arm: str) -> dict[str, Any]:
    """One measurement in a process of its own."""
    done = subprocess.run([sys.executable, __file__, data, what, arm], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    print(what, arm, done.stdout.strip().splitlines()[-1], file=sys.stderr, flush=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    """The command line; see the module docstring."""
    data, *part = sys.argv[1:]
    if len(part) == 2:
        what, arm = part
        print(json.dumps(JOBS[what, arm](ROOT / "../shared/data" / data)))
        return
    rates: dict[str, list[float]] = {"ours": [], "course": []}
    for arm in ("ours", "course", "ours", "course"):
        rates[arm].append(alone(data, "speed", arm)["rows_per_s"])
    ratio = statistics.median(rates["ours"]) / statistics.median(rates["course"])
    scored = {} if part == ["speed"] else {arm: alone(data, "quality", arm) for arm in rates}
    print(json.dumps(summed_up(rates, ratio, scored)))


def summed_up(rates: dict[str, list[float]], ratio: float, scored: dict[str, Any]) -> dict[str, Any]:
    """The result with the sentence that tells it and whether the goal is met."""
    shown = {arm: ", ".join(f"{value:.1f}" for value in found) for arm, found in rates.items()}
    said = [f"{ratio:.1f} × the samples/s of HF Trainer with the course's settings (goal {GOAL} ×; A B A B)"]
    said += [f"{arm} {shown[arm]} rows/s" for arm in rates]
    result: dict[str, Any] = {"ratio": ratio, "rows_per_s": rates, "quality": scored, "met": ratio >= GOAL}
    if scored:
        metric = "f1" if "f1" in scored["ours"]["scores"] else "accuracy"
        result["met"] = result["met"] and scored["ours"]["scores"][metric] >= scored["course"]["scores"][metric]
        said += [f"{arm} test {metric} {found['scores'][metric]:.4f} in {found['train_s']:.0f} s" for arm, found in scored.items()]
    return {"summary": "; ".join(said) + ("; met" if result["met"] else "; **missed**"), **result}


if __name__ == "__main__":
    main()
