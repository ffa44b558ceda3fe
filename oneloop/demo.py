"""`oneloop demo`: the whole story on a built-in sample, from a problem in words to a model in use, in about a minute.

In:  a task's name (contract sentences, token-classification, when absent).
Out: what is said on the way, a run folder, and its Result.

The module can itself be called: `oneloop.demo("question-answering")`.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from oneloop.errors import RecipeError
from oneloop.tasks import task_class

if TYPE_CHECKING:
    from oneloop.run import Result

Say = Callable[[str], None]
SHOWN = 12  # predictions of one text that are shown
WIDTH = 116  # characters of a line
EXCERPT = 90  # characters of a text that are shown


@dataclass(frozen=True)
class Story:
    """One demo: the problem in words, the sample it is solved with, a short text, a long one (a file in samples/unseen)
    and recipe settings that suit a few hundred rows."""

    statement: str
    sample: str
    short: Any
    long: str
    wrap: Callable[[str], Any] = str
    settings: dict[str, Any] = field(default_factory=dict)


def _question(context: str) -> dict[str, str]:
    """The long text of the question-answering story as a row."""
    return {"question": "Who is the keeper of the hut?", "context": context}


STORIES = {
    "token-classification": Story(
        "Find the parties, dates, sums of money, periods and laws in our contracts and mark each of them in the text.",
        "contracts.jsonl",
        "Osprey Rail Ltd shall repay the loan of $36,500 to Ms. Tamar Levin by 30 June 2027.",
        "contract.txt",
        settings={"epochs": 5, "learning_rate": 5e-4},
    ),
    "sequence-classification": Story(
        "Label every support ticket with the mood of its writer, so that the angry and the worried ones are read first.",
        "tickets.csv",
        "Could someone please explain which of the two forms I need for my son?",
        "ticket.txt",
        settings={"epochs": 5, "learning_rate": 3e-4},
    ),
    "question-answering": Story(
        "Given a passage of our handbook and a question about it, show the words of the passage that answer the question.",
        "qa.json",
        {"question": "When was the pump replaced?", "context": "The pump in the cellar was replaced in 2019 by two men from Tarn."},
        "passage.txt",
        wrap=_question,
        settings={"epochs": 10, "learning_rate": 5e-4, "max_length": 128, "stride": 48},
    ),
}


def tell(line: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def demo(
    task: str | None = None,
    output: str | Path | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    say: Say | None = tell,
    **settings: Any,
) -> Result:
    """Tell the story of one task and return its Result. output: the run folder, `runs/demo-TASK` when absent (and then replaced).
    on_event: told each step of the training. say: given each line, None for silence. settings: recipe settings over the story's own.
    RecipeError for a task that has no story."""
    import oneloop

    name = task_class(task or "token-classification").name
    if name not in STORIES:
        raise RecipeError(f"there is no demo of {name} yet", expected="one of " + ", ".join(STORIES), fix="oneloop demo")
    story, line = STORIES[name], say or (lambda text: None)
    with as_file(files("oneloop.samples")) as samples:
        data = samples / story.sample
        _problem(story, data, line)
        _diagnose(story, data, line)
        _check(data, name, line)
        line("\n4. Training")
        folder = str(output or Path("runs") / f"demo-{name}")
        recipe = story.settings | {"force": output is None} | settings
        result = oneloop.train(task=name, train=str(data), output=folder, on_event=on_event, **recipe)
        _scores(result, line)
        _predictions(story, (samples / "unseen" / story.long).read_text(encoding="utf-8").strip(), result, line)
    _where(result, line)
    return result


def _problem(story: Story, data: Path, line: Say) -> None:
    """The statement and the first rows of the file."""
    line("1. The problem")
    line(f"   “{story.statement}”")
    line(f"   and one file, {data.name}, which begins:")
    with data.open(encoding="utf-8") as file:
        for text, _ in zip(file, range(3)):
            line("   " + _short(text.strip(), EXCERPT + 30))


def _diagnose(story: Story, data: Path, line: Say) -> None:
    """Which task it is, and why."""
    import oneloop

    line("\n2. Which task is this?")
    line(_indented(oneloop.diagnose(story.statement, data=str(data)).render()))


def _check(data: Path, task: str, line: Say) -> None:
    """What is wrong with the data."""
    import oneloop

    line("\n3. Is the data fit to train on?")
    line(_indented(oneloop.check(str(data), task=task).render()))


def _scores(result: Result, line: Say) -> None:
    """The primary score with interval and baseline, and what was said during the run."""
    from oneloop.ship.folder import open_run
    from oneloop.ship.report import headline, learning, verdict

    run = open_run(result.path)
    for note in result.notes:
        line("   " + note)
    found = headline(run)
    interval = f" ({found['interval']})" if found["interval"] else ""
    baseline = f"; {found['baseline_name']} baseline {found['baseline']}" if found["baseline"] else ""
    line("\n5. How good is it?")
    line(f"   {found['metric'].name} {found['own']}{interval}{baseline}, on {result.metrics.get('rows')} rows it had not seen.")
    line(f"   {verdict(run)['text']}")
    reading = learning(run)["reading"]
    line(f"   Learning curves: {reading.kind}. {reading.says}")
    line(f"   Saved, loaded again and scored again: {result.metrics.get('reload_check')}.")


def _predictions(story: Story, text: str, result: Result, line: Say) -> None:
    """What the model makes of two new texts, one of them longer than it can read at once."""
    import oneloop

    long = story.wrap(text)
    line("\n6. Two new texts")
    for given, found in zip((story.short, long), oneloop.load(result.path).predict([story.short, long])):
        words = len(str(given["context"] if isinstance(given, dict) else given).split())
        shown = f"{given['question']}  ({given['context']})" if isinstance(given, dict) else str(given)
        size = f", {words} words" if words > 100 else ""
        line(f"   “{_short(' '.join(shown.split()), EXCERPT)}”{size}")
        for answer in answers(found):
            line(f"      → {answer}")


def answers(prediction: dict[str, Any]) -> list[str]:
    """A prediction in words: its spans, its label with the probability, or its answer."""
    if prediction.get("error"):
        return [f"error: {prediction['error']}"]
    if "spans" in prediction:
        marked = [f"{span['label']}: {' '.join(str(span.get('text', '')).split())}" for span in prediction["spans"]]
        more = [f"… and {len(marked) - SHOWN} more"] if len(marked) > SHOWN else []
        return marked[:SHOWN] + more or ["nothing to mark"]
    if "answer" in prediction:
        sure = f"  ({prediction['score']:.0%})" if isinstance(prediction.get("score"), float) else ""
        return [f"{prediction['answer']}{sure}" if prediction["answer"] else f"the text does not say{sure}"]
    label = prediction.get("label", prediction.get("labels", prediction.get("value")))
    scores = prediction.get("scores")
    sure = f"  ({scores[label]:.0%})" if isinstance(scores, dict) and isinstance(label, str) and label in scores else ""
    return [f"{label}{sure}"]


def _where(result: Result, line: Say) -> None:
    """Where everything is, and how to do the same with other data."""
    folder = Path(result.path)
    line("\n7. What is left behind")
    line(f"   {folder / 'report.html'}   the report: open it in a browser")
    line(f"   {folder / 'model'}   the model, as AutoModel.from_pretrained loads it")
    line(f"   {folder / 'README.md'}   its card; metrics.json, predictions.jsonl and log.jsonl lie beside it")
    line("\n   The same with your own file:  oneloop train --train YOUR_FILE --output RUN")


def _indented(text: str) -> str:
    """Every line of a text three spaces to the right; long ones are broken, and go on under their own beginning."""
    lines = []
    for part in text.splitlines():
        name = re.match(r"  \w[\w ]{14} (?=\S)", part)
        under = " " * (len(part) - len(part.lstrip()) + 3) if name is None else " " * (len(name.group()) + 3)
        lines += textwrap.wrap(part, WIDTH, initial_indent="   ", subsequent_indent=under, break_long_words=False) or [""]
    return "\n".join(lines)


def _short(text: str, size: int) -> str:
    """The beginning of a text."""
    return text if len(text) <= size else text[: size - 2].rstrip() + " …"


class _Callable(ModuleType):
    """This module, which stands for its function where it has taken its name in the package."""

    def __call__(self, *given: Any, **named: Any) -> Result:
        return demo(*given, **named)


sys.modules[__name__].__class__ = _Callable
