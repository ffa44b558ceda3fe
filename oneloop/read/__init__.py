"""Reading: any file, folder, archive, address or DataFrame becomes a Table of rows that know where they came from.

    read("reviews.csv")                     a Table: cells as they stand in the file, format found from the content
    read_splits("folder")                   {"train": Table, "validation": Table, "test": Table} as far as they are there
    sample("huge.csv", rows=200)            a Table of some rows, without reading the whole

Then roles.to_rows maps columns to a task's roles, split.make_splits makes missing splits, clean and where change and choose rows.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from oneloop.errors import DataError

if TYPE_CHECKING:
    from oneloop.read.places import Given
    from oneloop.read.sampling import sample as sample
    from oneloop.read.table import Origin as Origin
    from oneloop.read.table import Table as Table

__all__ = ["Origin", "Table", "read", "read_splits", "sample"]
PLACES = {"Origin": "table", "Table": "table", "sample": "sampling"}  # loaded when first used: a cell is read without the readers


def __getattr__(name: str) -> Any:
    """The public name, loaded now."""
    if name not in PLACES:
        raise AttributeError(f"module 'oneloop.read' has no attribute '{name}'")
    return getattr(importlib.import_module(f"oneloop.read.{PLACES[name]}"), name)


def read(
    source: Given,
    *,
    format: str | None = None,
    encoding: str | None = None,
    max_rows: int | None = None,
    max_bad: int | None = 0,
) -> Table:
    """All rows of a file, folder, archive, glob, list of files, `hf:NAME[:CONFIG][:SPLIT]` or http(s) address; also of a
    DataFrame, a Dataset, a list of dicts, or {"train": …} of these.

    format, encoding: only to overrule what is found from the content. max_rows: stop after that many rows. max_bad: rows
    that may be unusable before DataError names them all; None never raises and leaves them in `table.problems`. A source
    with several splits gives its training split.
    """
    from oneloop.read.files import Options, known_format
    from oneloop.read.places import load

    known_format(format)
    tables = load(source, Options(format, encoding, max_rows))
    name = "train" if "train" in tables else next(iter(tables))
    table = tables[name]
    others = [other for other in tables if other != name]
    if others:
        table.notes.append(f"read: {name}; also there: {', '.join(others)}")
    table.raise_problems(max_bad)
    return table


def read_splits(
    train: Given | None,
    validation: Given | None = None,
    test: Given | None = None,
    *,
    format: str | None = None,
    encoding: str | None = None,
    max_rows: int | None = None,
    max_bad: int | None = 0,
) -> dict[str, Table]:
    """Split name -> Table for what is there: files given one by one, or a folder, archive or dataset that holds several.

    A single file is {"train": table}. A source given as validation or test is read as that split, whatever splits a folder
    given as train also holds. Arguments otherwise as `read`.
    """
    from oneloop.read.files import Options, known_format
    from oneloop.read.places import load

    known_format(format)
    options = Options(format, encoding, max_rows)
    tables = load(train, options) if train is not None else {}
    for split, source in (("validation", validation), ("test", test)):
        if source is None:
            continue
        found = load(source, options, split)
        chosen = split if split in found else "train" if "train" in found else next(iter(found))
        tables[split] = found[chosen]
    raise_all(tables.values(), max_bad)
    return {split: tables[split] for split in ("train", "validation", "test") if split in tables} | tables


def raise_all(tables: Iterable[Table], allowed: int | None) -> None:
    """Raise one DataError with the problems of all tables if any of them has more than `allowed` or no row left."""
    errors: list[DataError] = []
    for table in tables:
        try:
            table.raise_problems(allowed)
        except DataError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [problem for error in errors for problem in error.problems]
        where = ", ".join(error.where for error in errors)
        raise DataError(f"{len(problems)} problems in the data", problems, where=where, fix="correct these rows")
