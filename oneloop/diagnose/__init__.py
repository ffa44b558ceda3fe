"""Which task is this? From a statement, from data, or from both; without a network and without a model library.

    diagnose("tag each review with its sentiment")            from words
    diagnose(data="reviews.csv")                              from data: a path, a DataFrame, a list of dicts
    diagnose("find the angry ones", "tickets.csv")            from both: the words decide the task, the data the columns
    from_table(table), map_columns(table, "ner"), batch("questions.jsonl")

The package itself can be called: `oneloop.diagnose(...)` is `oneloop.diagnose.diagnose(...)`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from oneloop.diagnose.diagnosis import Diagnosis
from oneloop.diagnose.lines import batch
from oneloop.diagnose.together import diagnose

if TYPE_CHECKING:
    from oneloop.diagnose.columns import map_columns as map_columns
    from oneloop.diagnose.data import from_table as from_table

__all__ = ["Diagnosis", "batch", "diagnose", "from_table", "map_columns"]
PLACES = {"map_columns": "columns", "from_table": "data"}  # loaded when first used: a statement needs no reader of data


def __getattr__(name: str) -> Any:
    """The public name, loaded now."""
    if name not in PLACES:
        raise AttributeError(f"module 'oneloop.diagnose' has no attribute '{name}'")
    return getattr(importlib.import_module(f"oneloop.diagnose.{PLACES[name]}"), name)


class _Callable(ModuleType):
    """A module that is called like the function it is named after."""

    def __call__(self, statement: str | None = None, data: Any = None) -> Diagnosis:
        return diagnose(statement, data)


sys.modules[__name__].__class__ = _Callable
