"""A run: consumes the Steps of an engine; evaluates, logs, saves, stops, reloads, reports.

In:  a recipe (and, in a folder that holds an unfinished run, its checkpoints).
Out: a run folder (see DESIGN in docs/architecture.md) and a Result.

What happens at a step, in this order: log → evaluate → keep the best → save. A checkpoint is written after the
evaluation of its step, so a run that resumes has lost nothing but the steps since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop import checkpoint, commit, memory
from oneloop.errors import NotFinite, RecipeError, RunError
from oneloop.lock import RunLock, Signals
from oneloop.processes import rank_from_environment
from oneloop.read import frames
from oneloop.recipe import Recipe, load_recipe
from oneloop.runlog import BEFORE, DURING, RunLog

if TYPE_CHECKING:
    from oneloop.loop import Step
    from oneloop.measure.evaluate import Evaluation
    from oneloop.prepare import Prepared

Event = dict[str, Any]
OnEvent = Callable[[Event], None]
CHECKPOINTS, LOG = "checkpoints", "log.jsonl"
ENGINES = ("loop", "trainer")
FIRST_LOOK = 64  # rows evaluated before training, so that a broken metric fails at the start and not at the end
SAVE_SHARE = 0.03  # of the training time may go into checkpoints when `save_every` is "epoch"
SAVE_SECONDS = 600.0  # … but a run is never longer than this without one


@dataclass(frozen=True)
class Result:
    """A finished run: its folder and the contents of metrics.json."""

    path: Path
    metrics: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def predict(self, inputs: Any) -> list[dict[str, Any]]:
        """Predictions of the trained model; see `oneloop.load`."""
        from oneloop.ship.predict import load

        return load(self.path).predict(inputs)


def train(recipe: str | Path | Recipe | None = None, *, on_event: OnEvent | None = None, **settings: Any) -> Result:
    """Train as the recipe (a file or Recipe) and the settings say, and write the run folder.

    train, validation, test: a path, or rows: a DataFrame, a Dataset, a list of dicts. Rows are saved in RUN/data, where the run's
    recipe points to. Runs again where an interrupted run stopped. Raises OneloopError for everything a user can mend, Stopped after a
    signal (with everything saved).
    """
    settings, held = frames.set_aside(settings)
    found = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, **settings)
    if held:  # rows that were given in place of a path
        folder = output_folder(found)
        found = found.model_copy(update={**frames.saved(held, folder), "output": str(folder)})
    if found.seeds > 1:
        from oneloop.seeds import train_seeds

        return train_seeds(found, on_event)
    if found.engine not in ENGINES:
        raise RecipeError(f"the engine '{found.engine}' cannot train yet", expected="one of " + ", ".join(ENGINES), fix="--engine loop")
    if found.engine == "trainer" and found.precision == "fp16":
        raise RecipeError("the HF Trainer engine does not scale fp16 losses here", expected="bf16 or fp32", fix="--engine loop")
    if found.streaming:
        raise RecipeError("streaming is not there yet", expected="data that fits on this disk", fix="remove 'streaming'")
    if found.train is None:
        raise RecipeError("there is nothing to train on", expected="a file, folder or hf:NAME", fix="--train FILE")
    folder = output_folder(found)
    with Signals() as signals, _Here(folder):
        try:
            return Run(found, folder, signals, on_event or (lambda event: None)).execute()
        except RuntimeError as error:
            from oneloop.loop import out_of_memory

            if not out_of_memory(error):
                raise
            raise MemoryError(str(error).splitlines()[0]) from error


def output_folder(recipe: Recipe) -> Path:
    """The run folder, made and proved writable before anything slow happens. RunError when it cannot be used."""
    first = recipe.train[0] if isinstance(recipe.train, list) else str(recipe.train)
    folder = Path(recipe.output or Path("runs") / (Path(first.rstrip("/")).name.split(".")[0] or "run"))
    with commit.explained(folder, 0):
        if folder.is_symlink() and not folder.exists():
            raise RunError("the output folder is a link to nothing", where=str(folder), fix="remove the link or choose another --output")
        if folder.exists() and not folder.is_dir():
            raise RunError("the output is a file", where=str(folder), expected="a folder", fix="choose another --output")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        commit.sync_folder(folder.parent)
        commit.sync_folder(folder)
    if rank_from_environment() == 0:
        commit.write_file(folder / CHECKPOINTS / ".writable", b"")
        (folder / CHECKPOINTS / ".writable").unlink()
    return folder


class _Here:
    """The folder's lock, taken by the first process of a run only."""

    def __init__(self, folder: Path) -> None:
        self.lock = RunLock(folder) if rank_from_environment() == 0 else None

    def __enter__(self) -> None:
        if self.lock is not None:
            self.lock.__enter__()

    def __exit__(self, *error: object) -> None:
        if self.lock is not None:
            self.lock.__exit__(*error)


class Run:
    """The state of one run while it lasts."""

    def __init__(self, recipe: Recipe, folder: Path, signals: Signals, on_event: OnEvent) -> None:
        self.recipe, self.folder, self.signals, self.on_event = recipe, folder, signals, on_event
        self.notes: list[str] = []
        self.state = checkpoint.State()
        self.saved_at = self.began = time.monotonic()
        self.save_seconds = 0.0
        self.id = ""
        self.facts: dict[str, Any] = {}
        self.damaged: set[str] = set()  # names of checkpoints that were passed over when the run went on
        self.replaces = ""  # id of the finished run whose results this one will replace
        self.evaluating = False
        self.last: Step | None = None  # the step that was done last

    # ---- telling ---------------------------------------------------------------------------------
    def emit(self, kind: str, **what: Any) -> None:
        """Hand an event to whoever watches; a watcher that fails (a closed terminal) does not stop the run."""
        if self.leads:
            try:
                self.on_event({"kind": kind, **what})
            except OSError:
                self.on_event = lambda event: None

    def note(self, text: str) -> None:
        """Say something once, and keep it for the report."""
        if text not in self.notes:
            self.notes.append(text)
            self.emit("note", text=text)

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks for the run."""
        return rank_from_environment() == 0

    # ---- the whole story ---------------------------------------------------------------------------
    def execute(self) -> Result:
        """Prepare, train from where the folder's checkpoints stand, finish."""
        from oneloop.finish import finish
        from oneloop.prepare import build, prepare
        from oneloop.resume import join_or_begin

        for text in commit.recover(self.folder) + commit.recover(self.folder / CHECKPOINTS) if self.leads else []:
            self.note(f"after an interrupted run: {text}")
        self.emit("stage", name="read", text="reading and checking the data")
        self.prepared: Prepared = prepare(self.recipe, self.note)
        self.recipe = self.prepared.recipe
        self.emit("stage", name="model", text=f"loading {self.recipe.model}")
        self.parts = build(self.prepared, self.note)
        self.task, self.recipe = self.parts.task, self.parts.recipe  # with what only the model could settle
        self.engine = self.parts.engine(self.poll)
        join_or_begin(self)
        if self.leads:
            commit.write_file(self.folder / "recipe.yaml", self.recipe.model_copy(update={"output": str(self.folder)}).to_yaml())
            commit.write_json(self.folder / "splits.json", self.prepared.splits_record())
        self.log = RunLog(self.folder / LOG, self.state.log_bytes) if self.leads else None
        try:
            self.run_engine()
            return finish(self)
        except NotFinite as error:
            if self.log is not None:
                self.log.write({"kind": "stopped", "step": self.state.step + 1, "what": error.what, "where": error.where})
            raise
        finally:
            if self.log is not None:
                self.log.close()

    def run_engine(self) -> None:
        """First look, then every step that is left."""
        start = self.state.step
        if start == 0:
            self.room_to_save()
            self.first_look()
        self.signals.hold()
        self.parts.poll = self.poll_before_steps
        if self.state.engine.get("pending_evaluation"):
            self.after_evaluation_point(self.state.step)
        if self.finished_early():
            return
        self.emit("stage", name="train", text=f"training {self.parts.total_steps} steps", total=self.parts.total_steps, start=start)
        while True:
            try:
                return self.drive()
            except MemoryError as error:
                memory.smaller_passes(self.parts, self.state.step, error)

    def drive(self) -> None:
        """Let the engine do every step that is left."""
        if self.recipe.engine == "trainer":
            from oneloop.engines.trainer import train as drive

            drive(self.parts, self.state.step, self.consume)
        else:
            from oneloop.loop import train as steps

            for step in steps(self.parts, self.state.step):
                if self.consume(step):
                    break

    def room_to_save(self) -> None:
        """Refuse to start where the disk cannot hold the first checkpoint, the best weights and the model."""
        if self.leads:
            model = self.parts.model
            commit.room_for(self.folder, checkpoint.size_of(model) + 2 * checkpoint.weights_size(model))

    # ---- consuming a step ----------------------------------------------------------------------------
    def consume(self, step: Step) -> bool:
        """Log, evaluate, keep the best, save. Returns whether to stop (early stopping); raises Stopped after a signal."""
        self.last = step
        self.state.step = step.number
        self.state.seconds += step.seconds
        self.state.tokens += step.tokens
        self.state.micro_tokens = step.micro_tokens
        line = {
            "step": step.number,
            "epoch": round(step.epoch, 4),
            "loss": step.loss,
            "learning_rate": step.learning_rate,
            "grad_norm": step.grad_norm,
            "tokens_per_s": round(step.tokens / max(step.seconds, 1e-9), 1),
            "seconds": round(step.seconds, 4),
        }
        if self.log is not None:
            self.log.write({"kind": "step", **line, "rows": list(step.rows)})
        self.emit("step", total=step.total, **line)
        stop = False
        if self.due(self.recipe.evaluate_every, step):
            if self.asked():
                self.state.engine["pending_evaluation"] = True
            else:
                stop = self.after_evaluation_point(step.number)
        if self.asked():
            self.save(extra=not self.save_due(step))
            raise self.signals.stopped(f"after step {step.number}, which is saved")
        if self.save_due(step) or stop:
            self.save()
        return stop

    def due(self, every: str | int, step: Step) -> bool:
        """Whether something that happens every epoch or n steps happens now; the last step always counts."""
        if step.number == step.total:
            return True
        return step.ends_epoch if every == "epoch" else bool(every) and step.number % int(every) == 0

    def save_due(self, step: Step) -> bool:
        """Whether to checkpoint now. By the epoch, saves that would cost more than `SAVE_SHARE` of the time are left out."""
        every = self.recipe.save_every
        if step.number == step.total:
            return True
        if every != "epoch":
            return bool(every) and step.number % int(every) == 0
        since = time.monotonic() - self.saved_at
        decision = since > SAVE_SECONDS or (step.ends_epoch and since * SAVE_SHARE >= self.save_seconds)
        return bool(self.together(decision))

    def together(self, value: Any) -> Any:
        """The first process's value on every process: decisions that depend on a clock or a signal must not differ."""
        from oneloop.processes import broadcast

        return broadcast(value, self.parts.world)

    def asked(self) -> bool:
        """Whether any process was asked to stop."""
        from oneloop.processes import any_of

        return any_of(self.signals.asked, self.parts.world)

    def poll(self) -> None:
        """Called between the batches of an evaluation: a stop leaves the evaluation for the resumed run."""
        if self.signals.holding and self.parts.world == 1 and self.signals.asked:
            if self.evaluating:
                self.state.engine["pending_evaluation"] = True
                self.save(extra=self.last is None or not self.save_due(self.last))
            raise self.signals.stopped(f"while evaluating after step {self.state.step}, which is saved")

    def poll_before_steps(self) -> None:
        """Called while the states of untrained layers are computed: nothing has happened since the last save."""
        if self.parts.world == 1 and self.signals.asked:
            raise self.signals.stopped(f"after step {self.state.step}, before the next one")

    # ---- evaluating ------------------------------------------------------------------------------------
    def first_look(self) -> None:
        """Score a few rows before training, so that what is broken breaks now."""
        split = next(name for name in ("validation", "test", "train") if self.prepared.rows.get(name))
        rows = self.prepared.rows[split][:FIRST_LOOK]
        self.log_evaluation(step=0, split=split, when=BEFORE, rows=len(rows), metrics=self.scored(rows).metrics())

    def log_evaluation(self, **line: Any) -> None:
        """Log one evaluation: `when`, after which `step`, on which `split` and how many `rows`, its `metrics`."""
        if self.log is not None:
            self.log.write({"kind": "evaluation", **line})

    def scored(self, rows: Any, features: Any = None, *, calibrate: bool = False) -> Evaluation:
        """The model's evaluation on rows, in smaller batches where memory runs out."""
        from oneloop.measure.evaluate import evaluate_rows

        while True:
            try:
                return evaluate_rows(self.task, self.engine, rows, features, calibrate=calibrate)
            except (MemoryError, RuntimeError) as error:
                self.engine = memory.smaller_batches(self.engine, error)
                self.note(f"out of memory in an evaluation: batches of at most {self.engine.batch_tokens} tokens from now on")

    def after_evaluation_point(self, number: int) -> bool:
        """Evaluate on validation, remember the best, and say whether patience is at its end."""
        self.state.engine.pop("pending_evaluation", None)
        rows = self.prepared.rows.get("validation")
        if not rows:
            return False
        began = time.perf_counter()
        self.evaluating = True
        found = self.scored(rows, self.prepared.features("validation", self.parts), calibrate=True).metrics()
        self.evaluating = False
        name = self.recipe.metric or self.task.metric
        if name not in found:
            raise RecipeError(f"there is no metric '{name}'", expected="one of " + ", ".join(found), fix="--metric " + self.task.metric)
        value = found[name]
        better = self.better(value, name)
        if better:
            self.state.best_value, self.state.best_step, self.state.waited = value, number, 0
            self.save_best()
        else:
            self.state.waited += 1
        line = {"step": number, "split": "validation", "metrics": found, "best": better, "seconds": round(time.perf_counter() - began, 3)}
        self.log_evaluation(when=DURING, rows=len(rows), **line)
        self.emit("evaluation", **line)
        return self.finished_early()

    def better(self, value: float, name: str) -> bool:
        """Whether a value beats the best so far; an undefined one never does, unless there is none yet."""
        if self.state.best_value is None:
            return True
        if value != value:
            return False
        if self.state.best_value != self.state.best_value:
            return True
        return value > self.state.best_value if self.upward(name) else value < self.state.best_value

    def upward(self, name: str) -> bool:
        """Whether more of a metric is better."""
        return self.task.greater_is_better if name == self.task.metric else name not in {"loss", "perplexity", "rmse", "bits_per_byte"}

    def finished_early(self) -> bool:
        """Whether patience has run out."""
        return bool(self.recipe.patience) and self.state.waited >= self.recipe.patience

    # ---- saving ------------------------------------------------------------------------------------------
    def save(self, extra: bool = False) -> None:
        """Commit the complete state, then delete what is no longer needed. On a full disk the one before stays. extra: only a stop
        asked for it, and the next one replaces it."""
        began = time.monotonic()
        if self.leads:
            commit.room_for(self.folder / CHECKPOINTS, checkpoint.size_of(self.parts.model))
            self.state.log_bytes = self.log.sync() if self.log is not None else 0
            self.state.scaler = self.parts.scaler.state_dict() if self.parts.scaler is not None else None
            self.state.notes = list(self.notes)
            folder = self.folder / CHECKPOINTS
            facts = {**self.facts, "extra": extra}
            with memory.told(f"the checkpoint of step {self.state.step} cannot be made: out of memory", "free memory, and go on"):
                lines = self.log.saved() if self.log is not None else b""
                path = checkpoint.save(folder, checkpoint.STEP, self.state, self.parts.model, self.parts.optimizer, facts, lines)
            checkpoint.prune(folder, self.recipe.keep, self.state, self.id, self.damaged)
            self.damaged.clear()
            self.emit("saved", step=self.state.step, path=str(path))
        self.together(0)
        self.saved_at = time.monotonic()
        self.save_seconds = self.saved_at - began

    def save_best(self) -> None:
        """Commit the weights of the best evaluation so far. The one before stays until a checkpoint names this one."""
        if self.leads and self.state.step < self.parts.total_steps:
            checkpoint.save(self.folder / CHECKPOINTS, checkpoint.BEST, self.state, self.parts.model, None, self.facts)
        self.together(0)
