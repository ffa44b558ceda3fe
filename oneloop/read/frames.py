"""Rows that are in memory already: a DataFrame, a Dataset, a list of dicts, a Table. Told by what they can do, so that none of
the libraries is imported.

In:  what a Python user has in hand where others name a file
Out: a Table, its cells as the same rows in a file would give them: a DataFrame's as in its CSV file, without the index; a
     Dataset's as in parquet; a list's as in JSON lines
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneloop.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from oneloop.read.files import Options
    from oneloop.read.table import Table

FIELDS = ("train", "validation", "test")  # of a recipe: where rows may stand in a path's place
NOTHING = ("NAType", "NaTType")  # pandas: what is missing among numbers, texts and times


def is_rows(given: Any) -> bool:
    """Whether `given` is rows and not a path or a list of paths."""
    if isinstance(given, list | tuple):
        return bool(given) and isinstance(given[0], Mapping)
    return _is_frame(given) or _is_dataset(given) or _is_table(given)


def _is_frame(given: Any) -> bool:
    return all(hasattr(given, name) for name in ("iloc", "columns", "to_csv"))


def _is_dataset(given: Any) -> bool:
    return all(hasattr(given, name) for name in ("column_names", "features", "with_format", "select"))


def _is_table(given: Any) -> bool:
    return all(hasattr(given, name) for name in ("columns", "origin", "raise_problems"))


def name_of(given: Any, split: str = "train") -> str:
    """What messages call these rows; the path itself where a path was given."""
    if not is_rows(given):
        return str(given)
    word = "rows" if isinstance(given, list | tuple) else type(given).__name__ if not _is_table(given) else given.file
    return word if split == "train" else f"{word}-{split}"


def by_split(given: Mapping[str, Any]) -> dict[str, Any]:
    """{"train": …, "test": …} with the usual names for the splits. DataError for a key that names none."""
    from oneloop.read.folders import SPLITS

    unknown = [str(key) for key in given if str(key).lower() not in SPLITS]
    if unknown:
        what = f"'{unknown[0]}' is not the name of a split{did_you_mean(unknown[0], FIELDS)}"
        raise DataError(what, expected="train, validation or test", fix='name those that are meant: {"train": data["…"]}')
    return {SPLITS[str(key).lower()]: value for key, value in given.items() if value is not None}


def table_of(given: Any, options: Options, split: str = "train") -> Table:
    """The rows as a Table. Nested ones are laid flat as those of a file are."""
    from oneloop.read.shapes import flatten, paired

    if _is_table(given):
        found: Table = given
        return found
    table = raw_table(given, name_of(given, split), options.max_rows)
    return paired(table) if table.format == "csv" else flatten(table)


def raw_table(given: Any, name: str, max_rows: int | None = None) -> Table:
    """The rows as they stand, as a Table. DataError where two columns have one name."""
    if _is_frame(given):
        return _frame(given if max_rows is None else given.iloc[:max_rows], name)
    if _is_dataset(given):
        from oneloop.read.columnar import arrow_table

        some = given if max_rows is None else given.select(range(min(max_rows, len(given))))
        return arrow_table(some.with_format("arrow")[:], name, "hf", given.features.to_dict())
    from oneloop.read.json_rows import Collector

    rows = Collector(name)
    for row in given[:max_rows]:
        rows.add(cell(row))
    return rows.table("jsonl")


def cell(value: Any) -> Any:
    """A value as JSON holds it: numbers of numpy as Python's, times as text, None for NaN, NaT and NA."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): cell(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [cell(one) for one in value]
    if type(value).__name__ in NOTHING or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, int | float):
        return value
    if hasattr(value, "tolist") and getattr(getattr(value, "dtype", None), "kind", "M") not in "mM":
        return cell(value.tolist())
    return str(value)


def _frame(frame: Any, name: str) -> Table:
    from oneloop.read.table import ColumnRows, Table

    columns = [".".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in frame.columns]
    if twice := sorted({one for one in columns if columns.count(one) > 1}):
        raise DataError(f"two columns are called '{twice[0]}'", where=name, fix="give every column its own name")
    found = [_texts(frame.iloc[:, i]) for i in range(len(columns))]
    flat = all(isinstance(one, str) for cells in found for one in cells)
    return Table(ColumnRows(columns, found), columns, file=name, format="csv" if flat else "jsonl")


def _texts(column: Any) -> list[Any]:
    """The cells of a DataFrame's column: the text that its CSV file would hold, and lists and objects as they are."""
    values = column.tolist()
    if any(isinstance(value, list | tuple | Mapping) or getattr(value, "shape", ()) for value in values):
        return [cell(value) for value in values]
    if not any(isinstance(value, str) for value in values):
        written = column.to_csv(index=False, header=False, lineterminator="\n")
        return ["".join(record) for record in csv.reader(io.StringIO(written, newline=""))]
    return [value if type(value) is str else "" if cell(value) is None else str(value) for value in values]


# ---- a run that begins with rows --------------------------------------------------------------------------------------------
def set_aside(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings with a name where rows were given, and the rows: {"train": …}. `train` may be a dict of splits."""
    given = dict(settings)
    if isinstance(given.get("train"), Mapping):
        splits = by_split(given.pop("train"))
        given = splits | {name: value for name, value in given.items() if value is not None}
    held = {field: given[field] for field in FIELDS if is_rows(given.get(field))}
    return given | {field: name_of(value, field) for field, value in held.items()}, held


def saved(held: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Write the rows into a run's folder and return the path of each: data/train-HASH.jsonl. Other rows get another name, so that
    the file that a recipe names always holds the rows it was made with."""
    import hashlib

    from oneloop.commit import write_file

    found = {}
    for field, given in held.items():
        data = b"".join(map(_line, given.to_list() if _is_table(given) else raw_table(given, field).to_list()))
        path = folder / "data" / f"{field}-{hashlib.sha256(data).hexdigest()[:12]}.jsonl"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_file(path, data)
        found[field] = str(path)
    return found


def _line(row: Mapping[str, Any]) -> bytes:
    written = cell(row)
    try:
        return json.dumps(written, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a character
        return json.dumps(written).encode() + b"\n"
