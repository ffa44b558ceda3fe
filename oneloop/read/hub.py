"""Datasets of the Hugging Face Hub, through `datasets`.

In:  `hf:NAME[:CONFIG][:SPLIT]`
Out: split name -> Table; class numbers read as their names
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oneloop.errors import DataError, require
from oneloop.read import columnar
from oneloop.read.files import Options
from oneloop.read.folders import SPLITS
from oneloop.read.shapes import flatten
from oneloop.read.table import Table


def parse_name(text: str) -> tuple[str, str | None, str | None]:
    """Name, configuration and split of `hf:NAME[:CONFIG][:SPLIT]`; a second part that names a split (train, test[:100]) is one."""
    name, _, rest = text.removeprefix("hf:").partition(":")
    if not name.strip():
        raise DataError("names no dataset", where=text, expected="hf:NAME[:CONFIG][:SPLIT], e.g. hf:glue:mrpc")
    config, _, split = rest.partition(":")
    if not split and config and config.split("[")[0].split("+")[0] in SPLITS:
        config, split = "", config
    elif config and "[" in config:
        config, split = "", rest
    return name, config or None, split or None


def read_hub(text: str, options: Options) -> dict[str, Table]:
    """The splits of a dataset of the Hub (or a local folder of one). DataError with the reason if it cannot be loaded."""
    name, config, split = parse_name(text)
    if Path(name).is_dir() and (saved := columnar.saved_splits(Path(name))):
        chosen = {key: path for key, path in saved.items() if split in (None, key)}
        return {SPLITS.get(key, key): columnar.read_saved(path, max_rows=options.max_rows) for key, path in chosen.items()}
    datasets = require("datasets", "hub")
    try:
        loaded = datasets.load_dataset(name, config, split=split)
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        fix = "check the name, the network and, for gated data, your login; several configurations are named hf:NAME:CONFIG"
        raise DataError(f"the dataset cannot be loaded: {reason}", where=text, fix=fix) from error
    if hasattr(loaded, "column_names") and not isinstance(loaded, dict):
        return {SPLITS.get((split or "train").split("[")[0], "train"): _table(loaded, text, options)}
    return {SPLITS.get(key.lower(), key): _table(part, f"{text}:{key}", options) for key, part in loaded.items()}


def _table(dataset: Any, name: str, options: Options) -> Table:
    if options.max_rows is not None:
        dataset = dataset.select(range(min(options.max_rows, len(dataset))))
    features = dataset.features.to_dict()
    data = dataset.with_format("arrow")[:]
    return flatten(columnar.arrow_table(data, name, "hf", features))
