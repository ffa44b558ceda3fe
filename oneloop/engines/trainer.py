"""The same Parts through the HF Trainer (or Seq2SeqTrainer): same plan, same loss, same files out.

In:  Parts, the step to start from, and `consume`, which is handed a Step after every update and may stop the run.
Out: the trained model inside Parts.

What the Trainer does: the epoch loop, its callbacks, the optimizer and scheduler steps, clipping. What is overridden, and
why its public arguments do not reach:
- batches: one item of its dataloader is one whole step of the plan, because the number of forward passes varies by step
  and `gradient_accumulation_steps` cannot;
- loss: `training_step` sums losses over labels and divides by the label count of the step. The Trainer's own
  `num_items_in_batch` counts `labels` that are not -100, which question answering has not, and a model's internal loss
  is a mean over each forward pass;
- checkpoints: none of its own (they hold pickles); the run saves through `checkpoint.py`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from oneloop.loop import gradients, skipped
from oneloop.model import optimizer as optim

if TYPE_CHECKING:
    from oneloop.loop import Step
    from oneloop.parts import Parts, Plan

SEQ2SEQ = "encoder-decoder"


class Feed:
    """The rest of the plan as the Trainer's dataloader: one item per step."""

    def __init__(self, parts: Parts, start: int) -> None:
        self.parts, self.start = parts, start

    def __len__(self) -> int:
        return self.parts.total_steps - self.start

    def __iter__(self) -> Iterator[tuple[Plan, Any]]:
        return self.parts.feed(self.start)


def train(parts: Parts, start: int, consume: Callable[[Step], bool]) -> None:
    """Drive the steps after update `start` with the HF Trainer. Raises what `consume` raises, and NotFinite."""
    import transformers

    if start >= parts.total_steps:
        return
    base = transformers.Seq2SeqTrainer if parts.task.family == SEQ2SEQ else transformers.Trainer
    kind = transformers.Seq2SeqTrainingArguments if parts.task.family == SEQ2SEQ else transformers.TrainingArguments
    arguments = kind(
        output_dir=tempfile.gettempdir(),  # nothing is written: the run saves
        max_steps=parts.total_steps - start,
        per_device_train_batch_size=parts.recipe.batch_rows,
        max_grad_norm=parts.recipe.clip,
        seed=parts.recipe.seed % 2**32,
        use_cpu=parts.device == "cpu",
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    for group in parts.optimizer.param_groups:
        group["lr"] = group["peak"]
        group.pop("initial_lr", None)
    trainer = made(base)(
        model=parts.model,
        args=arguments,
        processing_class=parts.tokenizer,
        optimizers=(parts.optimizer, scheduler(parts, start)),
    )
    trainer.parts, trainer.start = parts, start
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(reporter(trainer, consume))
    trainer.train()
    for group in parts.optimizer.param_groups:
        group.pop("initial_lr", None)


def scheduler(parts: Parts, start: int) -> Any:
    """Our schedule as a torch LambdaLR that begins at update `start`."""
    from torch.optim.lr_scheduler import LambdaLR

    recipe = parts.recipe

    def factor(done: int) -> float:
        return optim.rate(done + start, parts.total_steps, schedule=recipe.schedule, warmup=recipe.warmup)

    return LambdaLR(parts.optimizer, factor)


def made(base: type) -> Any:
    """The Trainer class with the overrides this module's docstring explains."""

    class StepTrainer(base):  # type: ignore[misc]
        """A Trainer whose batches are whole steps of a plan."""

        parts: Parts
        start: int
        plan: Plan
        record: tuple[float, float, float]

        def get_train_dataloader(self) -> Any:
            """The rest of the plan."""
            return Feed(self.parts, self.start)

        def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], None]:
            """The next step; its labels are counted in `training_step`."""
            self.began = time.perf_counter()
            return [item for item in [next(epoch_iterator, None)] if item is not None], None

        def training_step(self, model: Any, inputs: tuple[Plan, Any], num_items_in_batch: Any = None) -> Any:
            """Gradients of one whole step, divided by its label count. Returns the mean loss."""
            import torch

            self.plan, batches = inputs
            self.parts.model.train()
            loss, labels = gradients(self.parts, self.plan, batches)
            self.parts.unscale()
            torch._foreach_div_([p.grad for p in self.parts.model.parameters() if p.grad is not None], max(labels, 1e-12))
            self.record = (loss / max(labels, 1e-12), labels, 0.0)
            return torch.tensor(self.record[0], device=self.args.device)

        def _clip_grad_norm(self, model: Any) -> Any:
            """The Trainer's clipping, on the model the gradients belong to."""
            return super()._clip_grad_norm(self.parts.model)

        def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
            """The norm before clipping; NotFinite here stops the run before the update."""
            import torch

            if grad_norm is None:
                grad_norm = torch.nn.utils.get_total_norm([p.grad for p in self.parts.model.parameters() if p.grad is not None])
            norm = float(grad_norm)
            if norm - norm != 0:
                skipped(self.parts, self.plan, norm)
            self.record = (*self.record[:2], norm)
            return grad_norm

        def floating_point_ops(self, inputs: Any) -> int:
            """Not counted."""
            return 0

    return StepTrainer


def reporter(trainer: Any, consume: Callable[[Step], bool]) -> Any:
    """A callback that hands every finished step to the run."""
    import transformers

    class Report(transformers.TrainerCallback):
        """Turns the Trainer's end of a step into a Step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            """Build the Step and let the run evaluate, log and save; stop when it says so."""
            parts: Parts = trainer.parts
            loss, labels, norm = trainer.record
            factor = optim.rate(trainer.plan.number - 1, parts.total_steps, schedule=parts.recipe.schedule, warmup=parts.recipe.warmup)
            rate = parts.optimizer.defaults["lr"] * factor
            step = parts.step(trainer.plan, loss, rate, norm, labels, time.perf_counter() - trainer.began)
            control.should_training_stop = consume(step) or control.should_training_stop
            return control

    return Report()
