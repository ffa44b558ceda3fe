"""Folders, archives and lists of files: which file is which split, which files belong together.

In:  Parts with their paths inside the folder
Out: split name -> Table
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from oneloop.errors import DataError
from oneloop.read import plain
from oneloop.read.alike import say_the_same
from oneloop.read.detect import detect
from oneloop.read.files import Options, read_part
from oneloop.read.sources import Part, packing, unpacked
from oneloop.read.table import Table, joined

SPLITS = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "validation": "validation",
    "valid": "validation",
    "validate": "validation",
    "val": "validation",
    "dev": "validation",
    "development": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
}
ASIDE = re.compile(r"(readme|license|licence|copying|notice|changelog|citation|labels?|classes|categories|_.*|\..*)(\..*)?$", re.IGNORECASE)
NOT_DATA = (".md", ".rst", ".py", ".yaml", ".yml", ".toml", ".sh", ".cfg", ".ini", ".lock", ".log", ".png", ".jpg", ".svg", ".pkl")
LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?$")
SIDES = {"src": 0, "source": 0, "tgt": 1, "trg": 1, "target": 1}


@dataclass
class Item:
    """One file of a folder: its path inside, its Part."""

    path: PurePosixPath
    part: Part

    @property
    def stem(self) -> str:
        """The name without its endings: `train` for `train.csv.gz`."""
        return self.path.name.split(".", 1)[0].lower()

    def split(self) -> str | None:
        """The split that the file's name, else the nearest folder above, names."""
        for name in reversed(self.path.parts):
            for word in re.split(r"[^a-z]+", name.lower()):
                if word in SPLITS:
                    return SPLITS[word]
        return None


@dataclass
class Sorted:
    """The files of each split; `aside` are those not read."""

    splits: dict[str, list[Item]] = field(default_factory=dict)
    aside: list[Item] = field(default_factory=list)


def sort_items(items: Sequence[Item]) -> Sorted:
    """Which files belong to which split. Without any name of a split, all are training data. A file called exactly like a
    split leaves out others that only contain the word."""
    found = Sorted()
    data: list[Item] = []
    for item in items:
        keep = not ASIDE.match(item.path.name) and item.path.suffix.lower() not in NOT_DATA
        (data if keep else found.aside).append(item)
    named: dict[str, list[Item]] = {}
    rest = []
    for item in data:
        split = item.split()
        if split:
            named.setdefault(split, []).append(item)
        else:
            rest.append(item)
    if not named:
        found.splits = {"train": data} if data else {}
        return found
    found.aside += rest
    for split in ("train", "validation", "test"):
        members = named.get(split, [])
        exact = [item for item in members if item.stem in SPLITS]
        if exact and len(exact) < len(members):
            found.aside += [item for item in members if item not in exact]
            members = exact
        if members:
            found.splits[split] = members
    return found


def read_folder(items: Sequence[Item], name: str, options: Options) -> dict[str, Table]:
    """All splits of a folder. DataError if it holds no data."""
    try:
        return _read_folder(items, name, options)
    finally:
        for item in items:
            item.part.close()


def _read_folder(items: Sequence[Item], name: str, options: Options) -> dict[str, Table]:
    from oneloop.read import beir

    if beir.is_beir([item.path for item in items]):
        return beir.read_beir(items, name, options)
    if any(item.path.suffix == ".ann" for item in items):
        return _brat_splits(items, name, options)
    sorted_items = sort_items(items)
    if not sorted_items.splits:
        raise DataError("holds no data files", where=name, expected="csv, tsv, jsonl, json, parquet, CoNLL, txt, …")
    tables = {split: read_together(members, options) for split, members in sorted_items.splits.items()}
    if sorted_items.aside:
        first = next(iter(tables.values()))
        first.notes.append(f"{name}: not read as data: {', '.join(sorted(str(item.path) for item in sorted_items.aside)[:10])}")
    return tables


def _brat_splits(items: Sequence[Item], name: str, options: Options) -> dict[str, Table]:
    from oneloop.read.brat import read_brat

    named = {split: [item for item in items if item.split() == split] for split in ("train", "validation", "test")}
    if not any(named.values()):
        return {"train": read_brat(list(items), name, options)}
    return {split: read_brat(members, name, options) for split, members in named.items() if members}


def read_together(items: Sequence[Item], options: Options, *, ordered: bool = False) -> Table:
    """Files of one split as one table: a parallel pair, texts sorted into folders by class, a row for each text file, or
    one after the other. ordered: the order was given by the user, and of a pair the first is the source."""
    items = list(items) if ordered else sorted(items, key=lambda item: str(item.path))
    if len(items) == 1:
        return read_part(items[0].part, options)
    if pair := parallel_pair(items, ordered) or _rewritten_pair(items, options):
        (source, target), languages = pair
        one, other = (unpacked(item.part)[0] for item in (source, target))
        return plain.read_parallel(one, other, languages, encoding=options.encoding, max_rows=options.max_rows)
    if all(_is_text(item, options) for item in items):
        parts = [unpacked(item.part)[0] for item in items]
        parents = [item.path.parent.name for item in items]
        labels = parents if len(set(parents)) > 1 and not set(map(str.lower, parents)) & set(SPLITS) else None
        count = options.max_rows if options.max_rows is not None else len(parts)
        return plain.read_documents(parts[:count], labels and labels[:count], encoding=options.encoding)
    tables: list[Table] = []
    for item in items:
        left = options.rows(sum(map(len, tables)))
        if left.max_rows == 0:
            break
        tables.append(read_part(item.part, left))
    return joined(tables)


def _is_text(item: Item, options: Options) -> bool:
    if options.format in ("txt", "text"):
        return True
    if item.path.name.lower().split(".", 1)[-1] not in ("txt", "text", "txt.gz") and item.path.suffix:
        return False
    try:
        if packing(item.part.head(512)):
            return item.path.suffix == ".gz"
        return detect(item.part, options.encoding).format == "txt"
    except DataError:
        return True  # an empty document among others
    finally:
        item.part.release()


def _rewritten_pair(items: Sequence[Item], options: Options) -> tuple[tuple[Item, Item], tuple[str, ...]] | None:
    """Two text files of one folder with as many lines, each line of which says what its partner says (informal.txt, formal.txt;
    train.orig, train.corrected); no languages."""
    if len(items) != 2 or options.format not in (None, "txt", "text", "parallel") or items[0].path.parent != items[1].path.parent:
        return None
    one, other = (item.path.name for item in items)
    named = bool(items[0].path.suffix) and one.split(".")[0] == other.split(".")[0]
    if any(packing(item.part.head(512)) for item in items) or not say_the_same(items[0].part, items[1].part, named, options.encoding):
        return None
    return (items[0], items[1]), ()


def parallel_pair(items: Sequence[Item], ordered: bool = False) -> tuple[tuple[Item, Item], tuple[str, ...]] | None:
    """Two files of the same name whose endings are languages (train.en, train.de) or sides (train.src, train.tgt), with their
    languages; the order of languages in a name like `corpus.en-de.de` decides which is the source, else the alphabet does."""
    if len(items) != 2:
        return None
    names = [re.sub(r"\.(txt|gz|zst|bz2|xz)$", "", item.path.name.removesuffix(".gz").removesuffix(".zst")) for item in items]
    stems, ends = zip(*((name.rpartition(".")[0], name.rpartition(".")[2]) for name in names))
    if stems[0] != stems[1] or not stems[0] or ends[0] == ends[1]:
        return None
    if all(end in SIDES for end in ends) and SIDES[ends[0]] != SIDES[ends[1]]:
        order = sorted((0, 1), key=lambda i: SIDES[ends[i]])
    elif all(LANGUAGE.match(end) and end not in ("csv", "tsv", "txt", "ann", "xml", "tmx", "tab", "zip", "pdf", "htm") for end in ends):
        order = [0, 1]
        if f"{ends[1]}-{ends[0]}" in stems[0] and not ordered:
            order = [1, 0]
    else:
        return None
    one, other = order
    return (items[one], items[other]), (ends[one], ends[other])
