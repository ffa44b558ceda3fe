"""Everything one training needs, put together once and handed to whichever engine runs it.

In:  what `prepare.py` made of a recipe: task, tokenizer, model, training rows and features.
Out: the plan of steps, the batches of a step, and the few operations an update consists of.

The plan is a pure function of (seed, epoch, row sizes, batch_rows): engines, resumed runs and any number of processes
see the same rows in the same order. Pass j of a step goes to process j mod P.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oneloop import keyed
from oneloop.errors import OneloopError

if TYPE_CHECKING:
    from oneloop.loop import Step
    from oneloop.measure.evaluate import Engine
    from oneloop.model.frozen import Frozen
    from oneloop.recipe import Recipe
    from oneloop.tasks.base import Batch, Feature, Row, Task


@dataclass(frozen=True)
class Plan:
    """One step before it is done: its number (from 1), epoch (from 0), row ids and positions of its features."""

    number: int
    epoch: int
    rows: tuple[str, ...]
    features: tuple[int, ...]
    progress: float
    ends_epoch: bool


@dataclass
class Parts:
    """Task, model and training data of one run, on one process of `world`."""

    task: Task
    recipe: Recipe
    tokenizer: Any
    model: Any
    optimizer: Any
    rows: Sequence[Row]
    features: Sequence[Feature]
    device: str = "cpu"
    precision: str = "fp32"
    rank: int = 0
    world: int = 1
    micro_tokens: int = 8192
    scaler: Any = None
    new: tuple[str, ...] = ()  # parameters that no file held before training
    frozen: Frozen | None = None  # the layers that are not trained, if there are any
    note: Callable[[str], None] = field(default=lambda text: None)
    poll: Callable[[], None] = field(default=lambda: None)  # called while nothing is trained yet; may raise to stop

    # ---- the plan ------------------------------------------------------------------------------
    @cached_property
    def units(self) -> list[list[int]]:
        """What the plan shuffles, as positions of features: all windows of a row, or one block packed from several rows.
        Rows without a feature are left out."""
        found: dict[tuple[str, int], list[int]] = {}
        for position, feature in enumerate(self.features):
            found.setdefault(("block", position) if "rows" in feature else ("row", feature["row"]), []).append(position)
        return list(found.values())

    @cached_property
    def sizes(self) -> list[int]:
        """Tokens of each unit."""
        return [sum(self.task.size(self.features[i]) for i in unit) for unit in self.units]

    @cached_property
    def units_per_step(self) -> int:
        """`batch_rows` units, or as many as hold that many tokens on average where the task counts tokens."""
        if not self.task.counts_tokens:
            return self.recipe.batch_rows
        return max(1, round(self.recipe.batch_rows * len(self.units) / max(1, sum(self.sizes))))

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the training rows."""
        return max(1, math.ceil(len(self.units) / self.units_per_step))

    def rows_of(self, position: int) -> list[int]:
        """Positions of the rows that a feature was made from."""
        feature = self.features[position]
        return list(feature["rows"]) if "rows" in feature else [feature["row"]]

    @property
    def total_steps(self) -> int:
        """Updates of the whole run: `max_steps`, or epochs × steps per epoch, at least one."""
        return self.recipe.max_steps or max(1, math.ceil(self.recipe.epochs * self.steps_per_epoch - 1e-9))

    def plans(self, start: int = 0) -> Iterator[Plan]:
        """The steps after update `start`, in order."""
        for epoch in range(start // self.steps_per_epoch, math.ceil(self.total_steps / self.steps_per_epoch)):
            steps = keyed.order(self.sizes, seed=self.recipe.seed, epoch=epoch, batch_rows=self.units_per_step)
            for position, chosen in enumerate(steps):
                number = epoch * self.steps_per_epoch + position + 1
                if start < number <= self.total_steps:
                    features = tuple(i for unit in chosen for i in self.units[unit])
                    yield Plan(
                        number=number,
                        epoch=epoch,
                        rows=tuple(str(self.rows[row]["id"]) for row in dict.fromkeys(row for i in features for row in self.rows_of(i))),
                        features=features,
                        progress=number / self.steps_per_epoch,
                        ends_epoch=position + 1 == len(steps) or number == self.total_steps,
                    )

    def passes(self, plan: Plan) -> list[tuple[int, Batch]]:
        """The forward passes of a step that fall to this process: (number within the step, collated batch)."""
        chosen = [self.features[i] for i in plan.features]
        if self.task.whole_steps:
            cut = [list(range(len(chosen)))]
        else:
            groups = [feature["row"] if self.task.whole_rows else position for position, feature in enumerate(chosen)]
            cut = keyed.micro_batches([self.task.size(feature) for feature in chosen], groups, self.micro_tokens)
        mine = range(self.rank, len(cut), self.world)
        return [(number, self.collated([plan.features[i] for i in cut[number]], plan.epoch)) for number in mine]

    def collated(self, positions: Sequence[int], epoch: int) -> Batch:
        """One batch, with the positions of its rows under `rows` so that an error can name them."""
        batch = self.task.collate([self.drawn(position, epoch) for position in positions], self.tokenizer)
        if "rows" not in batch or any("rows" in self.features[position] for position in positions):
            batch["rows"] = [row for position in positions for row in self.rows_of(position)]
        batch["features"] = tuple(positions)
        batch["training"] = True  # a loss may regularise here and must not where it is a score
        return batch

    def drawn(self, position: int, epoch: int) -> Feature:
        """A feature with its random part drawn, keyed by (seed, epoch, row, window)."""
        feature = self.features[position]
        row, window = self.rows[feature["row"]], feature.get("window", 0)
        return self.task.draw(feature, keyed.key(self.recipe.seed, "draw", epoch, row["id"], window))

    def feed(self, start: int = 0) -> Iterator[tuple[Plan, list[tuple[int, Batch]] | None]]:
        """Plans with their batches, built here or ahead of time by `workers` processes."""
        if self.frozen is not None and self.keeps_states:
            self.frozen.keep(self.features, self.task, self.tokenizer, self.precision, self.poll)
        if not self.recipe.workers:
            for plan in self.plans(start):
                yield plan, self.built(plan)
            return
        plans = list(self.plans(start))
        light = replace(self, model=None, optimizer=None, scaler=None, frozen=None, note=_nothing, poll=_idle)  # can be sent
        with Workers(light, plans, self.recipe.workers) as workers:
            for position, plan in enumerate(plans):
                made_for, found = workers.take(position)
                yield plan, found if made_for == self.micro_tokens else self.built(plan)

    @property
    def keeps_states(self) -> bool:
        """Whether what the frozen layers give is kept: on a CPU, where a second epoch will ask for it. Never a matter of where
        a run resumes, so that it goes on with the same numbers."""
        return self.device == "cpu" and not self.task.draws and self.total_steps > self.steps_per_epoch

    def built(self, plan: Plan) -> list[tuple[int, Batch]]:
        """The passes of a step; a row that cannot be collated is named."""
        try:
            return self.passes(plan)
        except OneloopError:
            raise
        except Exception as error:
            raise self.poison(plan, error) from error

    def poison(self, plan: Plan, error: Exception) -> OneloopError:
        """Find the rows of a step that fail on their own and name them."""
        bad = []
        for position in plan.features:
            try:
                self.task.collate([self.features[position]], self.tokenizer)
            except Exception:
                bad.append(self.row_name(self.features[position]["row"]))
        named = list(dict.fromkeys(bad)) or [f"step {plan.number}"]
        what = f"a row cannot be made into a batch: {type(error).__name__}: {error}"
        return OneloopError(what, where=", ".join(named[:5]), fix="mend or remove the row")

    def engine(self, poll: Callable[[], None] = lambda: None) -> Engine:
        """The model ready to evaluate, on this process."""
        from oneloop.measure.evaluate import Engine

        return Engine(self.model, self.tokenizer, self.device, self.precision, self.rank, self.world, self.micro_tokens, poll)

    def serving(self, batch: Batch) -> contextlib.AbstractContextManager[None]:
        """While it lasts, layers that are not trained hand out what they gave for these features before."""
        return contextlib.nullcontext() if self.frozen is None else self.frozen.serving(batch["features"])

    # ---- the pieces of an update ------------------------------------------------------------------
    def to_device(self, batch: Batch) -> Batch:
        """The batch with every tensor on the model's device."""
        if self.device == "cpu":
            return batch
        return {
            key: self.to_device(value) if isinstance(value, dict) else value.to(self.device) if hasattr(value, "to") else value
            for key, value in batch.items()
        }

    def backward(self, loss: Any) -> None:
        """Add the gradients of a summed loss."""
        (self.scaler.scale(loss) if self.scaler is not None else loss).backward()

    def unscale(self) -> None:
        """Take the fp16 scale out of the gradients."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)

    def update(self) -> None:
        """Apply the gradients; with fp16 the scaler skips an update that overflowed."""
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def worst(self, code: int) -> int:
        """The highest of all processes' codes, so that they take the same turn."""
        if self.world == 1:
            return code
        import torch.distributed as dist

        codes: list[Any] = [None] * self.world
        with company():
            dist.all_gather_object(codes, code)
        return int(max(codes))

    def reduce(self, sums: tuple[float, float]) -> tuple[float, float]:
        """Add gradients, losses and label counts over all processes, in place for the gradients."""
        if self.world == 1:
            return sums
        import torch
        import torch.distributed as dist

        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        for parameter in trainable:  # a process without a pass in this step, or a head that a pass did not touch
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([parameter.grad.reshape(-1) for parameter in trainable])
        totals = torch.tensor(sums, dtype=torch.float64, device="cpu" if dist.get_backend() == "gloo" else self.device)
        with company():
            dist.all_reduce(flat)
            dist.all_reduce(totals)
        for parameter, part in zip(trainable, torch.split(flat, [parameter.numel() for parameter in trainable])):
            parameter.grad.copy_(part.view_as(parameter))
        return float(totals[0]), float(totals[1])

    def step(self, plan: Plan, loss: float, learning_rate: float, norm: float, labels: float, seconds: float) -> Step:
        """The record of a finished update."""
        from oneloop.loop import Step

        chosen = [self.features[i] for i in plan.features]
        return Step(
            number=plan.number,
            total=self.total_steps,
            epoch=plan.progress,
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=norm,
            tokens=sum(len(feature["input_ids"]) for feature in chosen),
            labels=labels,
            rows=plan.rows,
            features=len(chosen),
            micro_tokens=self.micro_tokens,
            seconds=seconds,
            ends_epoch=plan.ends_epoch,
        )

    def row_name(self, row: int) -> str:
        """`tickets.csv row 17` for the position of a training row."""
        found = self.rows[row]
        return f"{found.get('file', '')} row {found.get('row', found['id'])}".strip()

    def row_names(self, plan: Plan, batch: Batch | None) -> list[str]:
        """Names of the rows of a pass, or of the whole step when no pass is given or it does not say."""
        if batch is not None and "rows" in batch:
            positions = [int(row) for row in batch["rows"]]
        else:
            positions = [self.features[i]["row"] for i in plan.features]
        return [self.row_name(row) for row in dict.fromkeys(positions)]


@contextlib.contextmanager
def company() -> Iterator[None]:
    """Say in one line that another process of the run is gone; the library's own words are a stack of addresses."""
    try:
        yield
    except RuntimeError as error:
        what = "another process of this run has ended"
        fix = "see what it printed, and run the same command again to go on from the last checkpoint"
        raise OneloopError(what, where=str(error).strip().splitlines()[-1][:200], fix=fix) from error


def _nothing(text: str) -> None:
    """Say nothing: only the run speaks."""


def _idle() -> None:
    """Do not stop: only the run is asked to."""


WORKER_SECONDS = 60.0  # a data worker that gives nothing for this long is stuck (collating a step takes milliseconds)
OFTEN_MEMORY = " (by the system, when memory has run out, if by nobody else)"
Made = tuple[int, "list[tuple[int, Batch]] | None"]  # the micro_tokens a step was cut for, and its batches


class Workers:
    """Processes that build the batches of coming steps, each of them every n-th one; a full pipe makes them wait.

    One that dies or hangs is named with the rows it was preparing. One that was stopped by SIGTERM, which reaches whole
    process groups, is done without: the run itself has got the signal too and answers it.
    """

    def __init__(self, parts: Parts, plans: list[Plan], count: int) -> None:
        import multiprocessing

        fork = "fork" in multiprocessing.get_all_start_methods()
        self.context: Any = multiprocessing.get_context("fork" if fork else "spawn")
        self.parts, self.plans, self.count = parts, plans, count
        self.processes: list[Any] = []
        self.pipes: list[Any] = []

    def __enter__(self) -> Workers:
        for number in range(self.count):
            mine, theirs = self.context.Pipe(duplex=False)
            held = [*self.pipes, mine] if self.context.get_start_method() == "fork" else []
            process = self.context.Process(target=_prepare, args=(self.parts, self.plans[number :: self.count], theirs, held), daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            self.pipes.append(mine)
        return self

    def __exit__(self, *_: object) -> None:
        for process, pipe in zip(self.processes, self.pipes):
            pipe.close()
            process.kill()
            process.join()

    def take(self, position: int) -> Made:
        """What the worker of a position has built; OneloopError when it cannot."""
        from multiprocessing.connection import wait

        process, pipe = self.processes[position % self.count], self.pipes[position % self.count]
        ready = wait([pipe, process.sentinel], WORKER_SECONDS)
        if pipe in ready or pipe.poll():
            with contextlib.suppress(EOFError, ConnectionResetError):
                made = pickle.loads(pipe.recv_bytes())
                if isinstance(made, Exception):
                    raise made
                return made[0], made[1]
        if not ready:
            raise self.failed(position, f"gave nothing for {WORKER_SECONDS:.0f} s")
        process.join()
        if process.exitcode == -signal.SIGTERM:
            return 0, None
        ended = f"was killed by signal {-process.exitcode}" if process.exitcode < 0 else f"ended with exit code {process.exitcode}"
        raise self.failed(position, ended + (OFTEN_MEMORY if process.exitcode == -signal.SIGKILL else ""))

    def failed(self, position: int, what: str) -> OneloopError:
        """The error for a worker that died or hangs."""
        plan = self.plans[position]
        rows = self.parts.row_names(plan, None)
        return OneloopError(
            f"data worker {self.processes[position % self.count].pid} {what} while it prepared step {plan.number}",
            where="rows " + ", ".join(rows[:12]) + (f" and {len(rows) - 12} more" if len(rows) > 12 else ""),
            expected="a batch",
            fix="run the same command again to go on from the last checkpoint; --workers 0 shows a row's own error",
        )


def _prepare(parts: Parts, plans: list[Plan], pipe: Any, held: list[Any]) -> None:
    """A worker's life: build the batches of its plans and send them. `held`: pipe ends of the parent that a fork copied."""
    for end in held:
        end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the run decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(BrokenPipeError):
        for plan in plans:
            try:
                made: Any = parts.micro_tokens, parts.built(plan)
            except OneloopError as error:
                made = OneloopError(error.what, where=error.where, expected=error.expected, fix=error.fix)
            pipe.send_bytes(pickle.dumps(made))
