"""Where data lies: paths, globs, lists, archives, folders, the Hub, addresses.

In:  what a user wrote as train, validation, test or --data, or holds in memory
Out: split name -> Table
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from oneloop.errors import DataError, did_you_mean
from oneloop.read import columnar
from oneloop.read.files import Options, read_part
from oneloop.read.folders import SPLITS, Item, read_folder, read_together
from oneloop.read.frames import by_split, is_rows, table_of
from oneloop.read.sources import ARCHIVE, MAX_ENTRIES, Part, is_office, packing, unpacked
from oneloop.read.table import Table

Source = str | os.PathLike[str]
Given = Source | Sequence[Source] | Any  # what users give: also rows in memory, and {"train": …} of any of these


def load(source: Given, options: Options, split: str = "train") -> dict[str, Table]:
    """All splits of a source; nothing is raised for bad rows, only for sources that cannot be read at all.

    split: which one rows in memory are, for their name in messages."""
    if is_rows(source):
        return {"train": table_of(source, options, split)}
    if isinstance(source, Mapping):
        found = {name: load(one, options, name) for name, one in by_split(source).items()}
        return {name: tables[name if name in tables else next(iter(tables))] for name, tables in found.items()}
    if not isinstance(source, str | os.PathLike):
        return _load_list(list(source), options)
    text = os.fspath(source)
    if text.startswith("hf:"):
        from oneloop.read.hub import read_hub

        return read_hub(text, options)
    if text.startswith(("http://", "https://")):
        from oneloop.read.web import fetched

        return load_part(fetched(text), options)
    path = Path(text).expanduser()
    if path.is_dir():
        return _load_folder(path, options)
    if path.exists():
        return load_part(Part(text, path), options)
    matches = sorted(glob.glob(str(path), recursive=True))
    if matches:
        return read_folder(_items([Path(match) for match in matches if Path(match).is_file()], _common(matches)), text, options)
    raise missing(path, text)


def load_part(part: Part, options: Options) -> dict[str, Table]:
    """The splits in one file: those of an archive's members, of a JSON document {"train": …}, or the one table."""
    if packing(part.head(512)) in ARCHIVE and not is_office(part):
        members = unpacked(part)
        part.close()
        if len(members) == 1:
            part = members[0]
        else:
            items = [Item(PurePosixPath(member.name.removeprefix(part.name).lstrip("/")), member) for member in members]
            return read_folder(_without_top(items), part.name, options)
    table = read_part(part, options)
    inside = {SPLITS[key]: found for key, found in table.related.items() if key in SPLITS}
    return inside or {"train": table}


def _without_top(items: list[Item]) -> list[Item]:
    """Paths without the one folder that an archive often wraps everything in."""
    tops = {item.path.parts[0] for item in items if len(item.path.parts) > 1}
    if len(tops) == 1 and all(len(item.path.parts) > 1 for item in items):
        return [Item(PurePosixPath(*item.path.parts[1:]), item.part) for item in items]
    return items


def _load_list(sources: list[Source], options: Options) -> dict[str, Table]:
    paths = [Path(source) for source in sources]
    gone = [path for path in paths if not path.is_file()]
    if gone or not paths:
        raise missing(gone[0], str(gone[0])) if gone else DataError("the list of files is empty", fix="name at least one file")
    return {"train": read_together(_items(paths, _common([str(path) for path in paths])), options, ordered=True)}


def _common(paths: list[str]) -> Path:
    return Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))


def _items(paths: list[Path], root: Path) -> list[Item]:
    return [Item(PurePosixPath(Path(os.path.abspath(path)).relative_to(root).as_posix()), Part(str(path), path)) for path in paths]


def _load_folder(folder: Path, options: Options) -> dict[str, Table]:
    if saved := columnar.saved_splits(folder):
        return {split: columnar.read_saved(path, max_rows=options.max_rows) for split, path in saved.items()}
    paths = []
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(top) / name for name in sorted(names) if not name.startswith(".")]
        if len(paths) > MAX_ENTRIES:
            raise DataError(f"holds more than {MAX_ENTRIES} files", where=str(folder), fix="name the files or a smaller folder")
    if not paths:
        raise DataError("the folder is empty", where=str(folder), expected="data files")
    return read_folder(_items(paths, Path(os.path.abspath(folder))), str(folder), options)


def missing(path: Path, name: str) -> DataError:
    """The error for a path that is not there, with what was probably meant."""
    try:
        near = did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        near = f"; the folder {path.parent} does not exist either" if not path.parent.exists() else ""
    return DataError(f"there is no such file or folder{near}", where=name, fix="check the path; it is taken from the current folder")
