"""Look into a model folder before anything is loaded from it, so that what is damaged or strange is said in one message.

In:  a local folder that should hold config.json, weights in safetensors format and a tokenizer.
Out: its config as a dict, and the number of weights its files hold; ModelError naming file, fault and remedy.

Only headers are read, never weights. Names on the Hub pass unchanged.
"""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import Any

from oneloop.commit import MANIFEST, Corrupt, verify
from oneloop.errors import ModelError

MAX_NUMBERS = 20_000_000_000  # refuse a config that would allocate more than this many weights
MAX_DEPTH = 5_000  # layers; the deepest published language models have a few hundred
SLACK = 32  # a config may describe this many times the weights that are held: models that share layers hold far fewer
LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format
REFUSED_KEYS = ("auto_map", "_attn_implementation_internal", "custom_pipelines")
ATTENTION = {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention"}
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "tekken.json")
TOKENIZER_JSON = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
RESTORE = "restore the file from where the model came from"
SIZES = {
    "width": ("hidden_size", "n_embd", "d_model", "dim"),
    "depth": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "inner": ("intermediate_size", "n_inner", "d_inner", "d_ff", "hidden_dim"),
    "positions": ("max_position_embeddings", "n_positions"),
    "embedding": ("embedding_size", "word_embed_proj_dim"),
    "vocabulary": ("vocab_size",),
    "types": ("type_vocab_size",),
}


def check_config(folder: str) -> dict[str, Any]:
    """The config.json of a local folder. ModelError for one that cannot be read, would run code, names a model that is not
    known, or describes sizes beyond all bounds. Empty for a name on the Hub."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        return {}
    config = read_object(path)
    for name in REFUSED_KEYS:
        if config.get(name):
            raise ModelError(
                f"the model wants to run code of its own ('{name}' in config.json)",
                where=str(path),
                expected="a model that transformers knows",
                fix="use another model, or remove the key after reading the code",
            )
    for name in ("attn_implementation", "_attn_implementation"):
        if config.get(name) and config[name] not in ATTENTION:
            raise ModelError(
                f"config.json names attention code that is not part of transformers: {config[name]!r}",
                where=str(path),
                expected=f"one of {', '.join(sorted(ATTENTION))}",
                fix=f"remove {name} from config.json",
            )
    _check_kind(config, path)
    numbers = described(config, path)
    if numbers > MAX_NUMBERS:
        raise ModelError(
            f"config.json describes a model of {numbers:.1e} numbers", where=str(path), expected=f"at most {MAX_NUMBERS:.0e}", fix=RESTORE
        )
    return config


def _check_kind(config: dict[str, Any], path: Path) -> None:
    """ModelError when the config names no model type that transformers knows, or lacks what every text model has."""
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        what = f"config.json names the model type {kind!r}, which transformers does not know" if kind else "config.json has no model_type"
        fix = RESTORE + ", or update transformers"
        raise ModelError(what, where=str(path), expected="a model that transformers knows, e.g. bert", fix=fix)
    nested = any(isinstance(value, dict) and "model_type" in value for value in config.values())
    if config.get("vocab_size") is None and not nested and hasattr(CONFIG_MAPPING[kind], "vocab_size"):
        raise ModelError("config.json has no vocab_size", where=str(path), expected="what save_pretrained writes", fix=RESTORE)


def described(config: dict[str, Any], path: Path) -> int:
    """About how many numbers a config describes. ModelError for a size that is no whole number above zero."""
    size = {}
    for what, names in SIZES.items():
        found = next((name for name in names if config.get(name) is not None), None)
        value = config[found] if found else 0
        if isinstance(value, list):  # some models name a width for each layer
            value = max((item for item in value if isinstance(item, int)), default=0)
        if isinstance(value, bool) or not isinstance(value, int) or value < (1 if found and what not in {"types", "positions"} else 0):
            raise ModelError(f"config.json says {found}: {value!r}", where=str(path), expected="a whole number above zero", fix=RESTORE)
        size[what] = value
    if size["depth"] > MAX_DEPTH:
        raise ModelError(f"config.json describes {size['depth']:,} layers", where=str(path), expected=f"at most {MAX_DEPTH:,}", fix=RESTORE)
    width = size["width"]
    table = (size["vocabulary"] + size["types"]) * (size["embedding"] or width) + size["positions"] * width
    return table + size["depth"] * (4 * width * width + 2 * width * size["inner"])


def check_manifest(folder: str) -> None:
    """ModelError when a folder that was committed with a manifest has changed since, naming the files."""
    if not (Path(folder) / MANIFEST).is_file():
        return
    try:
        verify(folder)
    except Corrupt as error:
        wrong = [text for text in error.files if "does not belong" not in text]
        if wrong:
            what, fix = "the model folder is damaged: " + "; ".join(wrong), "train again, or restore the folder from a copy"
            raise ModelError(what, where=folder, fix=fix) from error


def check_weights(folder: str, config: dict[str, Any]) -> None:
    """ModelError when the weights of a local folder are missing, pickled, cut off, damaged, or far fewer than its config says."""
    root = Path(folder)
    if not root.is_dir():
        return
    held = sum(prod(tensor["shape"]) for path in weight_files(root) for tensor in header(path).values())
    table = (config.get("vocab_size") or 0) * next((config[name] for name in (*SIZES["embedding"], *SIZES["width"]) if config.get(name)), 0)
    if table > held or described(config, root / "config.json") > SLACK * (held + 1_000_000):
        raise ModelError(
            f"config.json describes at least {max(table, described(config, root / 'config.json') // SLACK):,} numbers, "
            f"and the weight files hold {held:,}",
            where=str(root / "config.json"),
            expected="the config that was saved with these weights",
            fix="restore config.json and the weights from the same place",
        )


def weight_files(root: Path) -> list[Path]:
    """The safetensors files of a model folder, all of its shards. ModelError when there are none or one is missing."""
    if (root / WEIGHTS).is_file():
        return [root / WEIGHTS]
    if (root / INDEX).is_file():
        named = read_object(root / INDEX).get("weight_map")
        if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
            raise ModelError("the index of the weights names no files", where=str(root / INDEX), expected="a weight_map", fix=RESTORE)
        shards = sorted(set(named.values()))
        outside = [name for name in shards if Path(name).name != name]
        absent = [name for name in shards if not (root / name).is_file()]
        if outside or absent:
            what = f"the weights are in {len(shards)} files, and {', '.join((outside or absent)[:5])} "
            what += "lie outside the folder" if outside else "is missing" if len(absent) == 1 else "are missing"
            raise ModelError(what, where=str(root), expected="every file that model.safetensors.index.json names", fix="download the rest")
        return [root / name for name in shards]
    pickled = sorted(path.name for pattern in PICKLED for path in root.glob(pattern))
    if pickled:
        raise ModelError(
            f"the weights are a pickle ({pickled[0]}), which can run code when it is opened",
            where=str(root),
            expected=WEIGHTS,
            fix="convert it where that does no harm: model = AutoModel….from_pretrained(folder, use_safetensors=False), "
            "then model.save_pretrained(folder)",
        )
    foreign = ("tf_model*", "flax_model*", "*.gguf", "*.onnx", "*.safetensors")
    others = sorted(path.name for pattern in foreign for path in root.glob(pattern))
    what = f"there is no {WEIGHTS} in the model folder" + (f", only {', '.join(others[:3])}" if others else "")
    raise ModelError(what, where=str(root), expected="weights in safetensors format", fix="restore the weights, or save the model again")


def header(path: Path) -> dict[str, Any]:
    """The tensors a safetensors file declares, {name: {"dtype", "shape", "data_offsets"}}. ModelError when it is not whole."""
    from safetensors import SafetensorError, safe_open

    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(512)
        refuse_foreign(path, first)
        length = int.from_bytes(first[:8], "little")
        if length > min(size - 8, LONGEST_HEADER):
            what = "the file is cut off or no safetensors file" if length > LONGEST_HEADER or size < 4096 else "the file is cut off"
            raise ModelError(f"{what}: its header should be {length:,} bytes long, and the file has {size:,}", where=str(path), fix=RESTORE)
        stream.seek(8)
        raw = stream.read(length)
    try:
        found = {name: tensor for name, tensor in json.loads(raw).items() if name != "__metadata__"}
        end = 8 + length + max((int(tensor["data_offsets"][1]) for tensor in found.values()), default=0)
        if end > size:
            raise ModelError(f"the file is cut off: {size:,} of {end:,} bytes are there", where=str(path), fix=RESTORE)
        with safe_open(path, framework="pt") as file:
            file.keys()
    except (SafetensorError, ValueError, RecursionError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"the header of the file is damaged: {_line(error)}", where=str(path), fix=RESTORE) from error
    return found


def check_tokenizer(folder: str) -> None:
    """ModelError when the tokenizer's files are missing from a local folder, or are not what their names say."""
    root = Path(folder)
    if not root.is_dir():
        return
    found = sorted(path for pattern in TOKENIZERS for path in root.glob(pattern) if path.is_file())
    if not found:
        raise ModelError(
            "there are no tokenizer files in the model folder",
            where=folder,
            expected="tokenizer.json, or vocab.txt, vocab.json, a sentencepiece model",
            fix="copy them from where the model came from: tokenizer.save_pretrained(folder)",
        )
    for path in found:
        with path.open("rb") as stream:
            refuse_foreign(path, stream.read(512))
    for name in TOKENIZER_JSON:
        if (root / name).is_file() and read_object(root / name).get("auto_map"):
            raise ModelError("the tokenizer wants to run code of its own ('auto_map')", where=str(root / name), fix="use another model")


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. ModelError when the file is not there, is something else, or is damaged."""
    try:
        raw = path.read_bytes()
        refuse_foreign(path, raw[:512])
        found = json.loads(raw.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} cannot be read: {_line(error)}", where=str(path), expected="a JSON object", fix=RESTORE) from error
    if not isinstance(found, dict):
        kind = "a list" if isinstance(found, list) else "a single value"
        raise ModelError(f"{path.name} holds {kind}", where=str(path), expected="a JSON object, as save_pretrained writes it", fix=RESTORE)
    return found


def refuse_foreign(path: Path, first: bytes) -> None:
    """ModelError when the first bytes of a file show that something else was saved in its place."""
    if not first.strip(b"\0 \t\r\n"):
        what, fix = ("the file holds nothing but zeros" if first.strip() else "the file is empty"), RESTORE
    elif first.startswith(b"version https://git-lfs"):
        what, fix = "the file is a Git LFS pointer that stands for the real one", "run `git lfs pull` in the folder, or download the file"
    elif re.match(rb"\s*<(!doctype|html|\?xml|head|body)", first, re.IGNORECASE):
        what, fix = "the file is a web page (a login or error page)", "download the file again, signed in where the model asks for it"
    elif path.suffix == ".safetensors" and first[:2] in {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x1f\x8b"}:
        what, fix = "the file is a pickle or an archive under another name", "use weights in safetensors format"
    else:
        return
    raise ModelError(what, where=str(path), expected=f"the real {path.name}", fix=fix)


def _line(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
