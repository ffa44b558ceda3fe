"""All rows to features, a block of rows at a time, so that only a block's features ever stand in memory as Python objects.

In:  a task, role rows, a tokenizer
Out: the features of all rows in order, packed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneloop.read.packed import PackedRows
from oneloop.tasks.base import Row, Task

ROWS_AT_ONCE = 5000


def encode_packed(task: Task, rows: Sequence[Row], tokenizer: Any) -> PackedRows:
    """What `task.encode(rows, tokenizer)` gives; `row` counts through all rows."""
    if task.decode_together:
        return PackedRows(task.encode(rows, tokenizer))
    found = PackedRows()
    for start in range(0, len(rows), ROWS_AT_ONCE):
        for feature in task.encode(rows[start : start + ROWS_AT_ONCE], tokenizer):
            found.append(feature | {"row": start + feature["row"]})
    return found
