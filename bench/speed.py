"""Samples per second of the own loop against HF Trainer with the course's settings (batch 8, fp32), same rows.

    python bench/speed.py quick/seq_cls/banking77
Each arm runs in a process of its own: 10 steps of warm-up, then 100 timed ones, A B A B.
The course's settings: tokenizer with truncation, dynamic padding, batch 8, AdamW 5e-5 (2e-5 for tokens), fp32.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WARM, STEPS = 10, 100
ROOT = Path(__file__).resolve().parent.parent


def ours(folder: Path) -> dict[str, float]:
    """Rows per second of our loop with the default recipe; what it does once before its first step is spread over all steps."""
    from oneloop.loop import train
    from oneloop.prepare import build, prepare
    from oneloop.recipe import load_recipe

    files = {split: str(next(folder.glob(f"{split}.*"))) for split in ("train", "validation", "test")}
    parts = build(prepare(load_recipe(**files), lambda text: None), lambda text: None)
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


def course(folder: Path) -> dict[str, float]:
    """Rows per second of HF Trainer as chapters 3 and 7 set it up, on the same training rows."""
    import transformers
    from datasets import Dataset

    from oneloop.model.names import locate
    from oneloop.prepare import prepare
    from oneloop.recipe import load_recipe

    prepared = prepare(
        load_recipe(
            train=str(next(folder.glob("train.*"))),
            validation=str(next(folder.glob("validation.*"))),
            test=str(next(folder.glob("test.*"))),
        ),
        lambda text: None,
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(locate("minilm"))
    labels = prepared.task.facts["labels"]
    rows = prepared.rows["train"]
    if "tokens" in rows[0]:
        data, head, collator, rate = (
            token_data(rows, tokenizer, labels),
            transformers.AutoModelForTokenClassification,
            transformers.DataCollatorForTokenClassification(tokenizer),
            2e-5,
        )
    else:
        data = Dataset.from_list([{**tokenizer(row["text"], truncation=True), "labels": labels.index(row["label"])} for row in rows])
        head, collator, rate = transformers.AutoModelForSequenceClassification, transformers.DataCollatorWithPadding(tokenizer), 5e-5
    model = head.from_pretrained(locate("minilm"), num_labels=len(labels))
    clock = Clock()
    arguments = transformers.TrainingArguments(
        output_dir="/tmp/course",
        per_device_train_batch_size=8,
        learning_rate=rate,
        max_steps=WARM + STEPS,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    transformers.Trainer(
        model=model, args=arguments, train_dataset=data, data_collator=collator, processing_class=tokenizer, callbacks=[clock.callback()]
    ).train()
    return {"rows_per_s": 8 * STEPS / clock.spent}


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


def main() -> None:
    """A B A B, each in its own process."""
    folder = ROOT / ".." / "shared" / "data" / sys.argv[1]
    if len(sys.argv) > 2:
        print(json.dumps({"ours": ours, "course": course}[sys.argv[2]](folder)))
        return
    found: dict[str, list[float]] = {"ours": [], "course": []}
    for arm in ("ours", "course", "ours", "course"):
        done = subprocess.run([sys.executable, __file__, sys.argv[1], arm], capture_output=True, text=True, check=True, cwd=ROOT)
        found[arm].append(json.loads(done.stdout.strip().splitlines()[-1])["rows_per_s"])
    ratio = statistics.median(found["ours"]) / statistics.median(found["course"])
    shown = {arm: ", ".join(f"{value:.1f}" for value in values) for arm, values in found.items()}
    print(
        json.dumps(
            {
                "summary": f"{ratio:.1f} × the samples/s of HF Trainer with the course's settings "
                f"(ours {shown['ours']}; course {shown['course']} rows/s; A B A B)",
                "ratio": ratio,
                "rows_per_s": found,
            }
        )
    )


if __name__ == "__main__":
    main()
