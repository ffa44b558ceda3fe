"""Two data sets in one file or folder: rows that fill columns which the other rows leave empty.

In:  `Data` with its tables as read. Out: at most one finding a split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oneloop.diagnose.checks.finding import BLOCKS, Data, Finding

LOOKED_AT = 2_000  # rows a split, evenly spread
LEAST = 0.05  # share of the rows from which a kind is one of its own; fewer are slips, which are named cell by cell
SHOWN_COLUMNS = 5
REMEDY = "write each kind to a file of its own, then check and train them one by one"


def mixed_rows(data: Data) -> Iterator[Finding]:
    """Kinds of rows that share no filled column: each is data for a task of its own, and neither can be trained with the other."""
    for name, table in data.tables.items():
        step, apart = kinds_of_rows(table)
        if apart:
            origins = [table.origin(i) for _, rows in apart[1:] for i in rows]
            count = min(len(origins) * step, len(table))
            message = f"{name} holds {told(table, apart)}"
            where = [(at.file, at.row) for at in origins]
            yield Finding("mixed-rows", BLOCKS, message, REMEDY, count, count / len(table), rows=where, split=name)


def kinds_of_rows(table: Any) -> tuple[int, list[tuple[frozenset[str], list[int]]]]:
    """(every how many rows one was looked at, the filled columns and rows of each kind), largest first; no kinds where all are one."""
    step = max(1, len(table) // LOOKED_AT)
    looked = range(0, len(table), step)
    kinds: dict[frozenset[str], list[int]] = {}
    for i in looked:
        filled = frozenset(column for column, cell in table[i].items() if cell not in (None, "", [], {}))
        kinds.setdefault(filled, []).append(i)
    apart = _apart({columns: rows for columns, rows in kinds.items() if columns and len(rows) >= LEAST * len(looked)})
    return step, apart if len(apart) > 1 else []


def told(table: Any, kinds: Sequence[tuple[frozenset[str], list[int]]]) -> str:
    """The kinds in words: which columns each fills, in what share of the rows, and where it begins."""
    total, lines = sum(len(rows) for _, rows in kinds), []
    for columns, rows in kinds:
        named = ", ".join([column for column in table.columns if column in columns][:SHOWN_COLUMNS])
        at = table.origin(rows[0])
        lines.append(f"{len(rows) / total:.0%} have {named} (first: {Path(at.file).name} row {at.row})")
    return f"{len(kinds)} kinds of rows that share no column: {'; '.join(lines)}"


def _apart(kinds: dict[frozenset[str], list[int]]) -> list[tuple[frozenset[str], list[int]]]:
    """The kinds with those that share a column put together, largest first."""
    found: list[tuple[frozenset[str], list[int]]] = []
    for columns, rows in kinds.items():
        alike = [kind for kind in found if kind[0] & columns]
        found = [kind for kind in found if not kind[0] & columns]
        found.append((columns.union(*(kind[0] for kind in alike)), sorted([*rows, *(i for kind in alike for i in kind[1])])))
    return sorted(found, key=lambda kind: (-len(kind[1]), kind[1][0]))
