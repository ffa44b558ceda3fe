"""Question answering against HF Trainer with the course's settings (chapter 7.7), on the same questions: F1, seconds, rows/s.

    python bench/speed_question.py                                  everything
    python bench/speed_question.py --what speed --arm ours          one arm of one part
    python bench/speed_question.py --rows 40 --warm 1 --steps 2     a small trial
Each arm runs in a process of its own. Speed: warm-up steps, then timed ones, A B A B. Quality: one epoch each, scored on the
test questions by the SQuAD 1.1 rules.
The course's settings: windows of 384 tokens with 128 shared, padded to 384, batch 8, AdamW 2e-5, weight decay 0.01, fp32.
Ours: the default recipe with one epoch. A window is not a question; the course's windows/s are turned into questions/s by the
share of questions among its windows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "../shared/data/bench/squad_v1.1"
ARMS = ("ours", "course")
WIDTH, STRIDE, BATCH = 384, 128, 8
GOAL = 4  # a quarter of the time


def settings(chosen: argparse.Namespace) -> dict[str, Any]:
    """The recipe of our arm; its rows are those of both arms."""
    files = {split: str(next(chosen.data.glob(f"{split}.*"))) for split in ("train", "validation", "test")}
    return {**files, "max_rows": chosen.rows, "epochs": 1.0}


def prepared(chosen: argparse.Namespace) -> Any:
    """The rows of every split, read and drawn as our arm does it."""
    from oneloop.prepare import prepare
    from oneloop.recipe import load_recipe

    return prepare(load_recipe(**settings(chosen)), lambda text: None)


# ---- our arm -----------------------------------------------------------------------------------------
def ours_speed(chosen: argparse.Namespace) -> dict[str, float]:
    """Questions per second of the loop; what it does once before its first step is spread over all steps."""
    from oneloop.loop import train
    from oneloop.prepare import build

    parts = build(prepared(chosen), lambda text: None)
    spent, first, rows = 0.0, 0.0, 0
    for step in train(parts):
        if step.number == 1:
            first = step.seconds
        if step.number > chosen.warm:
            spent, rows = spent + step.seconds, rows + len(step.rows)
        if step.number == chosen.warm + chosen.steps:
            break
    else:
        raise SystemExit(f"{parts.total_steps} steps are fewer than --warm and --steps ask for; raise --rows or lower these")
    if chosen.warm:
        spent += first * chosen.steps / parts.total_steps
    return {"rows_per_s": rows / spent}


def ours_quality(chosen: argparse.Namespace) -> dict[str, float]:
    """F1 on the test questions and seconds of one `oneloop train`: of its steps, as the other arm, and with its evaluations."""
    with tempfile.TemporaryDirectory() as scratch:
        flags = [word for name, value in settings(chosen).items() for word in (f"--{name.replace('_', '-')}", str(value))]
        command = [sys.executable, "-m", "oneloop", "train", *flags, "--output", str(Path(scratch) / "run"), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        found = json.loads((Path(scratch) / "run" / "metrics.json").read_text())
        logged = [json.loads(line) for line in (Path(scratch) / "run" / "log.jsonl").read_text().splitlines()]
    steps = [line["seconds"] for line in logged if line["kind"] == "step"]
    return {"f1": found["metrics"]["f1"]["value"], "train_s": sum(steps), "with_evaluations_s": found["time"]["train_s"]}


# ---- the course's arm --------------------------------------------------------------------------------
def windows(rows: Sequence[dict[str, Any]], tokenizer: Any) -> tuple[Any, list[int], list[list[tuple[int, int]]]]:
    """The course's windows of all rows: the encoding, the row of each window and the offsets of its tokens."""
    found = tokenizer(
        [row["question"].strip() for row in rows],
        [row["context"] for row in rows],
        max_length=WIDTH,
        truncation="only_second",
        stride=STRIDE,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding="max_length",
    )
    return found, found.pop("overflow_to_sample_mapping"), found.pop("offset_mapping")


def training_windows(rows: Sequence[dict[str, Any]], tokenizer: Any) -> Any:
    """Windows with the places of the answer's first and last token; both are CLS where the answer is not wholly inside."""
    from datasets import Dataset

    found, row_of, offsets = windows(rows, tokenizer)
    starts, ends = [], []
    for number, (position, places) in enumerate(zip(row_of, offsets)):
        answer = rows[position]["answers"][0]
        first, last = answer["start"], answer["start"] + len(answer["text"])
        inside = [token for token, side in enumerate(found.sequence_ids(number)) if side == 1]
        if places[inside[0]][0] > first or places[inside[-1]][1] < last:
            starts.append(0)
            ends.append(0)
        else:
            starts.append(max(token for token in inside if places[token][0] <= first))
            ends.append(min(token for token in inside if places[token][1] >= last))
    return Dataset.from_dict({**found, "start_positions": starts, "end_positions": ends})


def trainer(data: Any, scratch: str, callbacks: Sequence[Any], **steps: Any) -> Any:
    """HF Trainer as the chapter sets it up."""
    import transformers

    from oneloop.model.names import locate

    arguments = transformers.TrainingArguments(
        output_dir=scratch,
        per_device_train_batch_size=BATCH,
        learning_rate=2e-5,
        weight_decay=0.01,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=1,
        **steps,
    )
    transformers.set_seed(1)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(locate("minilm"))
    return transformers.Trainer(model=model, args=arguments, train_dataset=data, callbacks=list(callbacks))


def course_tokenizer() -> Any:
    """minilm's tokenizer, as transformers loads it."""
    import transformers

    from oneloop.model.names import locate

    return transformers.AutoTokenizer.from_pretrained(locate("minilm"))


def course_speed(chosen: argparse.Namespace) -> dict[str, float]:
    """Questions per second of HF Trainer on the training rows."""
    import transformers

    times: list[float] = []

    class Timer(transformers.TrainerCallback):
        """Notes when each step begins and ends."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """The first timed step begins."""
            if state.global_step == chosen.warm:
                times.append(time.perf_counter())

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """The last timed step ends."""
            if state.global_step == chosen.warm + chosen.steps:
                times.append(time.perf_counter())

    rows = prepared(chosen).rows["train"]
    data = training_windows(rows, course_tokenizer())
    with tempfile.TemporaryDirectory() as scratch:
        trainer(data, scratch, [Timer()], max_steps=chosen.warm + chosen.steps).train()
    return {"rows_per_s": BATCH * chosen.steps / (times[1] - times[0]) * len(rows) / len(data)}


def course_quality(chosen: argparse.Namespace) -> dict[str, float]:
    """F1 on the test questions after one epoch of HF Trainer, answers found the course's way, and its seconds."""
    from datasets import Dataset

    sys.path.insert(0, str(ROOT))
    from bench.qa_decoding import course
    from oneloop.measure.squad import squad

    rows, tokenizer = prepared(chosen).rows, course_tokenizer()
    with tempfile.TemporaryDirectory() as scratch:
        found = trainer(training_windows(rows["train"], tokenizer), scratch, [], num_train_epochs=1)
        began = time.perf_counter()
        found.train()
        spent = time.perf_counter() - began
        test, row_of, offsets = windows(rows["test"], tokenizer)
        starts, ends = found.predict(Dataset.from_dict(dict(test))).predictions
    places = [[place if side == 1 else None for place, side in zip(line, test.sequence_ids(number))] for number, line in enumerate(offsets)]
    features = Dataset.from_dict({"example_id": [rows["test"][position]["id"] for position in row_of], "offset_mapping": places})
    examples = Dataset.from_list([{"id": row["id"], "context": row["context"]} for row in rows["test"]])
    accepted = [[answer["text"] for answer in row["answers"]] for row in rows["test"]]
    return {"f1": float(squad(course(starts, ends, examples, features), accepted).metrics()["f1"]), "train_s": spent}


# ---- both --------------------------------------------------------------------------------------------
JOBS = {
    ("speed", "ours"): ours_speed,
    ("speed", "course"): course_speed,
    ("quality", "ours"): ours_quality,
    ("quality", "course"): course_quality,
}


def alone(what: str, arm: str) -> dict[str, float]:
    """One arm in a process of its own, with the flags of this one."""
    command = [sys.executable, __file__, *sys.argv[1:], "--what", what, "--arm", arm, "--here"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    print(what, arm, done.stdout.strip().splitlines()[-1], file=sys.stderr, flush=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def measured(arms: Sequence[str], parts: Sequence[str]) -> dict[str, Any]:
    """Every asked measurement and the sentence that sums it up."""
    speed: dict[str, list[float]] = {arm: [] for arm in arms if "speed" in parts}
    for arm in list(speed) * 2:
        speed[arm].append(alone("speed", arm)["rows_per_s"])
    quality = {arm: alone("quality", arm) for arm in arms if "quality" in parts}
    said = [f"{arm} {', '.join(f'{value:.2f}' for value in values)} questions/s" for arm, values in speed.items()]
    said += [f"{arm} test F1 {found['f1']:.4f} in {found['train_s']:.0f} s" for arm, found in quality.items()]
    result: dict[str, Any] = {"rows_per_s": speed, "quality": quality}
    if set(speed) == set(ARMS):
        result["ratio"] = statistics.median(speed["ours"]) / statistics.median(speed["course"])
        result["met"] = result["ratio"] >= GOAL
        said.insert(0, f"{result['ratio']:.1f} × the questions/s of HF Trainer with the course's settings (A B A B)")
    if set(quality) == set(ARMS):
        times = quality["course"]["train_s"] / quality["ours"]["train_s"]
        result["met"] = times >= GOAL and quality["ours"]["f1"] >= quality["course"]["f1"]
        said.append(
            f"{times:.1f} × as fast over the whole epoch (goal {GOAL} × and no lower F1): {'met' if result['met'] else '**missed**'}"
        )
    return {"summary": "; ".join(said), **result}


def main() -> None:
    """The command line; see the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="a folder with train, validation and test in SQuAD's format")
    parser.add_argument("--rows", type=int, default=2000, help="training questions of both arms, and the most of every other split")
    parser.add_argument("--warm", type=int, default=10, help="steps before the timed ones")
    parser.add_argument("--steps", type=int, default=40, help="timed steps")
    parser.add_argument("--arm", choices=ARMS, help="only this one")
    parser.add_argument("--what", choices=("speed", "quality"), help="only this part")
    parser.add_argument("--here", action="store_true", help="one arm, one part, in this process")
    chosen = parser.parse_args()
    if chosen.here:
        print(json.dumps(JOBS[chosen.what, chosen.arm](chosen)))
        return
    arms, parts = [chosen.arm] if chosen.arm else ARMS, [chosen.what] if chosen.what else ("speed", "quality")
    print(json.dumps(measured(arms, parts)))


if __name__ == "__main__":
    main()
