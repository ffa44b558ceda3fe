"""One loop, eight tasks.

    task     = diagnose("find drug names", "notes.csv")   # diagnose  which task is this?
    table    = read("notes.csv")                          # read      rows as they stand in the file
    report   = check("notes.csv")                         # check     what would break or bias the training
    features = task.encode(rows, tokenizer)               # encode    text to ids, labels aligned
    model    = load_head(task.head, labels)               # model     body and the task's head
    for step in loop.train(parts): ...                    # train     the same loop for every task
    metrics  = evaluate("RUN", "new.csv")                 # evaluate  the task's metric, interval, baseline
    page     = report("RUN")                              # report    one self-contained page
    answers  = load("RUN").predict(["Take 5 mg daily"])   # ship      predict, serve, push, export, search

Names are loaded when they are first used: `import oneloop` brings in neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneloop.demo import demo as demo
    from oneloop.diagnose import diagnose as diagnose
    from oneloop.diagnose.check import check as check
    from oneloop.errors import OneloopError as OneloopError
    from oneloop.measure.compare import compare as compare
    from oneloop.read.stream import stream as stream
    from oneloop.recipe import Recipe as Recipe
    from oneloop.recipe import load_recipe as load_recipe
    from oneloop.run import train as train
    from oneloop.ship.predict import load as load
    from oneloop.ship.report import report as report

__version__ = "0.1.0"

# public name -> "module:attribute", or a module that is itself called
PLACES = {
    "diagnose": "oneloop.diagnose",
    "check": "oneloop.diagnose.check:check",
    "train": "oneloop.run:train",
    "evaluate": "oneloop.ship.evaluate:evaluate",
    "compare": "oneloop.measure.compare:compare",
    "report": "oneloop.ship.report:report",
    "load": "oneloop.ship.predict:load",
    "demo": "oneloop.demo",
    "stream": "oneloop.read.stream:stream",
    "tasks": "oneloop.tasks",
    "Recipe": "oneloop.recipe:Recipe",
    "load_recipe": "oneloop.recipe:load_recipe",
    "OneloopError": "oneloop.errors:OneloopError",
}
__all__ = [
    "OneloopError",
    "Recipe",
    "__version__",
    "check",
    "compare",
    "demo",
    "diagnose",
    "evaluate",
    "load",
    "load_recipe",
    "report",
    "stream",
    "tasks",
    "train",
]


def __getattr__(name: str) -> Any:
    """The public name, loaded now."""
    if name not in PLACES:
        raise AttributeError(f"module 'oneloop' has no attribute '{name}'")
    module, _, attribute = PLACES[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
