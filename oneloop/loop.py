"""THE LOOP: a generator that yields one Step per optimizer update. It prints, writes and saves nothing itself.

In:  Parts (task, model, optimizer, features, plan) and the step to start from.
Out: Steps; the caller evaluates, logs, saves and stops between two of them.

One step: `batch_rows` rows → their features → forward passes of at most `micro_tokens` → losses summed over labels →
gradients divided by the label count of the whole step, over all processes → finite? → clip → update. How a step is cut
into passes, and over how many processes, changes nothing but rounding.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oneloop.errors import NotFinite, OneloopError
from oneloop.keyed import key
from oneloop.model import optimizer as optim
from oneloop.model.precision import autocast

if TYPE_CHECKING:
    from oneloop.parts import Parts, Plan


SMALLEST_SCALE = 2.0**-10  # losses scaled down a thousand times and still no finite gradient: it is not the scale
FINE, NO_MEMORY, NOT_FINITE = 0, 1, 2  # how a process's passes went; all processes act on the highest


@dataclass(frozen=True)
class Step:
    """What one update did. `number` counts from 1; `loss` is the mean over the step's labels; `rows` are row ids."""

    number: int
    total: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    labels: float
    rows: tuple[str, ...]
    features: int
    micro_tokens: int
    seconds: float
    ends_epoch: bool


def train(parts: Parts, start: int = 0) -> Iterator[Step]:
    """Train from update `start` to the end of the plan, yielding after each update.

    Raises NotFinite before an update whose loss or gradient is not finite, naming its rows, and OneloopError when a
    single row does not fit into memory.
    """
    parts.model.train()
    began = time.perf_counter()
    for plan, batches in parts.feed(start):
        # ------------------------------------------------------------------ gradients of the whole step
        loss, labels = gradients(parts, plan, batches)
        norm = divide_and_clip(parts, plan, labels)
        # ------------------------------------------------------------------ the update
        factor = optim.rate(plan.number - 1, parts.total_steps, schedule=parts.recipe.schedule, warmup=parts.recipe.warmup)
        learning_rate = optim.set_rate(parts.optimizer, factor)
        parts.update()
        # ------------------------------------------------------------------ bookkeeping
        now = time.perf_counter()
        yield parts.step(plan, loss / max(labels, 1e-12), learning_rate, norm, labels, now - began)
        parts.model.train()
        began = time.perf_counter()


def gradients(parts: Parts, plan: Plan, batches: list[tuple[int, dict[str, Any]]] | None) -> tuple[float, float]:
    """Sum the gradients of a step's losses over this process's passes and, where there are several, all processes.

    batches: (number of the pass within the step, batch), or None to build them here. When memory runs out the passes
    are halved and the step is computed again from its start: same rows, same labels, same update up to rounding.
    Returns the summed loss and the number of labels, over all processes.
    """
    while True:
        parts.optimizer.zero_grad(set_to_none=True)
        sums, code, problem = (0.0, 0.0), FINE, None
        try:
            sums = _accumulate(parts, plan, batches if batches is not None else parts.passes(plan))
        except NotFinite as error:
            code, problem = NOT_FINITE, error
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            code = NO_MEMORY
        code = parts.worst(code)
        if code == NOT_FINITE:
            raise problem or not_finite("the loss", float("nan"), parts, plan, None)
        if code == FINE:
            return parts.reduce(sums)
        batches = None
        halve(parts, plan)


def _accumulate(parts: Parts, plan: Plan, batches: list[tuple[int, dict[str, Any]]]) -> tuple[float, float]:
    """Forward and backward over the passes of this process; (summed loss, labels)."""
    loss_sum, label_sum = 0.0, 0.0
    for number, batch in batches:
        seed_pass(parts.recipe.seed, plan.number, number)
        batch = parts.to_device(batch)
        with autocast(parts.precision, parts.device), parts.serving(batch):
            outputs = parts.task.forward(parts.model, batch)
        losses, counts = parts.task.loss({name: value.float() for name, value in outputs.items()}, batch)
        total = losses.sum()
        value = float(total.detach())
        if value - value != 0:  # NaN or infinite
            raise not_finite("the loss", value, parts, plan, batch)
        parts.backward(total)
        loss_sum += value
        label_sum += float(counts.sum())
    return loss_sum, label_sum


def seed_pass(seed: int, step: int, number: int) -> None:
    """Key dropout to (seed, step, pass), so that a resumed run or another process draws the same masks."""
    import torch

    torch.manual_seed(key(seed, "dropout", step, number))


def divide_and_clip(parts: Parts, plan: Plan, labels: float) -> float:
    """Divide the gradients by the label count, clip their norm to `clip`; returns the norm before clipping.

    Raises NotFinite, before anything is updated, when the norm is not finite.
    """
    import torch

    found = [parameter.grad for parameter in parts.model.parameters() if parameter.grad is not None]
    if not found:
        what = "no weight of the model receives a gradient"
        raise OneloopError(what, expected="at least one trainable weight", fix="remove the setting that freezes the model")
    parts.unscale()
    labels = max(labels, 1e-12)
    value = float(torch.nn.utils.get_total_norm(found)) / labels
    if value - value != 0:
        skipped(parts, plan, value)
        return value
    clip = parts.recipe.clip
    share = clip / (value + 1e-6) if clip and value > clip else 1.0  # torch.nn.utils.clip_grad_norm_'s own guard
    torch._foreach_div_(found, labels / share)  # both in one pass over memory
    return value


def skipped(parts: Parts, plan: Plan, norm: float) -> None:
    """What to do about a gradient whose norm is not finite: in fp16 the scaler lowers its scale and skips this update, as
    long as a lower scale can help; else NotFinite."""
    if parts.scaler is None or parts.scaler.get_scale() < SMALLEST_SCALE:
        raise not_finite("the gradient", norm, parts, plan, None)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that memory ran out, on a GPU or in torch's CPU allocator."""
    import torch

    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text or "not enough memory" in text


def halve(parts: Parts, plan: Plan) -> None:
    """Halve `micro_tokens` for the rest of the run; OneloopError when one feature alone is too large."""
    longest = max(len(parts.features[i]["input_ids"]) for i in plan.features)
    if parts.task.whole_steps:
        raise OneloopError(
            f"a step of {len(plan.rows)} rows does not fit into memory, and this task compares all rows of a step with each other",
            where=f"step {plan.number}",
            fix=f"--batch-rows {max(len(plan.rows) // 2, 2)}, or a shorter --max-length",
        )
    if (parts.micro_tokens <= longest and len(plan.features) <= 1) or parts.micro_tokens < 2:
        raise OneloopError(
            f"a single input of {longest} tokens does not fit into memory",
            where=f"step {plan.number}, rows {', '.join(plan.rows[:5])}",
            fix=f"--max-length {max(longest // 2, 16)}, or a smaller model",
        )
    parts.micro_tokens //= 2
    now = f"forward passes of at most {parts.micro_tokens} tokens from now on; the step itself is unchanged"
    parts.note(f"out of memory at step {plan.number}: {now}")


def not_finite(what: str, value: float, parts: Parts, plan: Plan, batch: dict[str, Any] | None) -> NotFinite:
    """The error for a loss or gradient that is NaN or infinite; names the rows it came from."""
    rows = parts.row_names(plan, batch)
    return NotFinite(
        f"{what} is {value} at step {plan.number}; stopped before the update",
        where="rows " + ", ".join(rows[:12]) + (f" and {len(rows) - 12} more" if len(rows) > 12 else ""),
        expected="finite numbers; the last good checkpoint is kept",
        fix="look at these rows, lower --learning-rate" + (", or use --precision bf16 or fp32" if parts.precision == "fp16" else ""),
    )
