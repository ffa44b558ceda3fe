"""Parquet and Arrow files, and folders that `datasets` saved: read in batches, class numbers given their names.

In:  a Part, or a folder with dataset_info.json
Out: a Table whose rows are made batch by batch
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from oneloop.errors import DataError
from oneloop.read.sources import Part
from oneloop.read.table import Cells, Table, joined

BATCH = 1024  # rows turned into Python at a time


class ArrowRows(Sequence[Cells]):
    """Rows of an Arrow table; Python values are made for a batch when one of its rows is asked for."""

    def __init__(self, data: Any, names: dict[str, list[str]]) -> None:
        self.data, self.names = data, names
        self.batch: tuple[int, list[Cells]] = (-1, [])

    def __len__(self) -> int:
        return int(self.data.num_rows)

    @overload
    def __getitem__(self, index: int) -> Cells: ...
    @overload
    def __getitem__(self, index: slice) -> list[Cells]: ...
    def __getitem__(self, index: int | slice) -> Cells | list[Cells]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, offset = divmod(index, BATCH)
        cached = self.batch
        if cached[0] != number:
            cached = self.batch = (number, self._rows(number))
        return cached[1][offset]

    def _rows(self, number: int) -> list[Cells]:
        rows: list[Cells] = self.data.slice(number * BATCH, BATCH).to_pylist()
        for column, names in self.names.items():
            for row in rows:
                row[column] = named(row[column], names)
        return rows

    def __iter__(self) -> Iterator[Cells]:
        for number in range(-(-len(self) // BATCH)):
            yield from self._rows(number)


def named(cell: Any, names: Sequence[str]) -> Any:
    """Class numbers as names, inside lists too; -1 means no label."""
    if isinstance(cell, list):
        return [named(item, names) for item in cell]
    if isinstance(cell, int) and not isinstance(cell, bool):
        return names[cell] if 0 <= cell < len(names) else None if cell == -1 else cell
    return cell


def read_parquet(part: Part, *, max_rows: int | None = None) -> Table:
    """A parquet file; with max_rows only as many row groups as needed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(part.open())
        if max_rows is None:
            data = file.read()
        else:
            data = pa.Table.from_batches(_first(file.iter_batches(batch_size=min(max_rows, 65536)), max_rows), file.schema_arrow)
            data = data.slice(0, max_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(part, "parquet", error) from error
    return arrow_table(data, part.name, "parquet")


def parquet_blocks(part: Part, size: int) -> Iterator[Table]:
    """A parquet file in tables of at most `size` rows, one row group in memory at a time; rows keep their numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    done = 0
    try:
        file = pq.ParquetFile(part.open())
        for batch in file.iter_batches(batch_size=size):
            table = arrow_table(pa.Table.from_batches([batch], file.schema_arrow), part.name, "parquet")
            table._numbers = range(done + 1, done + 1 + batch.num_rows)
            done += batch.num_rows
            yield table
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(part, "parquet", error) from error


def read_arrow(part: Part, *, max_rows: int | None = None, features: dict[str, Any] | None = None) -> Table:
    """An Arrow file in file (feather 2) or stream format."""
    import pyarrow as pa

    try:
        if part.head(6) == b"ARROW1":
            reader = pa.ipc.open_file(part.open())
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        else:
            reader = pa.ipc.open_stream(part.open())
            batches = _first(reader, max_rows)
        data = pa.Table.from_batches(batches, reader.schema)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(part, "Arrow", error) from error
    return arrow_table(data if max_rows is None else data.slice(0, max_rows), part.name, "arrow", features)


def _first(batches: Iterator[Any], max_rows: int | None) -> list[Any]:
    found, rows = [], 0
    for batch in batches:
        found.append(batch)
        rows += batch.num_rows
        if max_rows is not None and rows >= max_rows:
            break
    return found


def _damaged(part: Part, kind: str, error: Exception) -> DataError:
    return DataError(f"the {kind} file is damaged ({str(error).splitlines()[0]})", where=part.name, fix="copy, download or write it again")


def arrow_table(data: Any, name: str, format: str, features: dict[str, Any] | None = None) -> Table:
    """An Arrow table as a Table; `datasets` leaves the names of class numbers in the file's metadata."""
    names = class_names(features or _features(data.schema.metadata))
    names = {column: found for column, found in names.items() if column in data.column_names}
    columns = [column for column in data.column_names if not column.startswith("__index_level_")]
    table = Table(ArrowRows(data.select(columns), names), columns, file=name, format=format)
    table.names = names
    for column, found in names.items():
        shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        table.notes.append(f"{name}: column {column} holds class numbers, read as their names ({shown})")
    return table


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    try:
        info = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return {}
    found = info.get("info", {}).get("features", {}) if isinstance(info, dict) else {}
    return found if isinstance(found, dict) else {}


def class_names(features: dict[str, Any]) -> dict[str, list[str]]:
    """Column -> names for every ClassLabel (or list of them) in the features of a `datasets` file."""
    found = {}
    for column, feature in features.items():
        while isinstance(feature, list) or (isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList")):
            feature = feature[0] if isinstance(feature, list) and feature else feature.get("feature") if isinstance(feature, dict) else None
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names"):
            found[column] = [str(name) for name in feature["names"]]
    return found


def saved_splits(folder: Path) -> dict[str, Path]:
    """Split -> folder where `datasets` saved a DatasetDict; {"train": folder} for one Dataset; {} for other folders."""
    if (folder / "dataset_dict.json").is_file():
        splits = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8")).get("splits", [])
        return {str(name): folder / str(name) for name in splits if (folder / str(name)).is_dir()}
    return {"train": folder} if (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file() else {}


def read_saved(folder: Path, *, max_rows: int | None = None) -> Table:
    """A Dataset that `datasets` saved with save_to_disk."""
    features = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8")).get("features") or {}
    files = [item["filename"] for item in json.loads((folder / "state.json").read_text(encoding="utf-8")).get("_data_files", [])]
    if not files:
        raise DataError("holds no data files", where=str(folder), expected="a folder written by save_to_disk")
    parts = [Part(str(folder / Path(name).name), folder / Path(name).name) for name in files]
    tables = []
    for part in parts:
        tables.append(read_arrow(part, max_rows=max_rows, features=features))
        part.close()
    return joined(tables)
