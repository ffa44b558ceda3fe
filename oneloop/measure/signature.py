"""The line that says how a score came about.

In:  what the score depends on: task, model, data, split, seed, settings, scorer, versions.
Out: one line `key:value|key:value`, as sacrebleu prints; any change of an input changes the line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

HASH_CHARACTERS = 12  # of a SHA-256: one collision in about 10**7 lines, and the line stays readable
UNSAFE = re.compile(r"[|:%\x00-\x1f\x7f\x85\u2028\u2029]")  # what would end a key, a value or the line
PACKAGES = ("oneloop", "torch", "transformers", "tokenizers", "numpy")


def signature(
    *,
    task: str,
    model: str,
    revision: str = "",
    data_hash: str = "",
    split: str = "",
    rows: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    statistics_signature: str = "",
    versions: Mapping[str, str] | None = None,
) -> str:
    """One line naming everything a score depends on.

    revision: commit or weights hash of the model; data_hash: of the scored rows (see `digest`); settings: everything else that can
    change a prediction, given as a short hash; statistics_signature: `Statistics.signature`, kept in words; versions: package to
    version, those installed where not given.
    """
    parts: dict[str, Any] = {
        "task": task,
        "model": model,
        "revision": revision,
        "data": data_hash,
        "split": split,
        "rows": rows,
        "seed": seed,
        "settings": digest([dict(settings)]) if settings else "",
        "scorer": statistics_signature,
    }
    line = {key: str(value) for key, value in parts.items() if value not in ("", None)}
    line |= {f"v.{name}": text for name, text in (installed() if versions is None else versions).items()}
    return "|".join(f"{_safe(key)}:{_safe(value)}" for key, value in line.items())


def parse(line: str) -> dict[str, str]:
    """The keys and values of a signature line, as they went in. Raises ValueError where a part has no key."""
    found = {}
    for part in line.split("|") if line else []:
        key, colon, value = part.partition(":")
        if not colon:
            raise ValueError(f"'{part}' is not key:value")
        found[_plain(key)] = _plain(value)
    return found


def differences(first: str, second: str) -> list[tuple[str, str, str]]:
    """(key, value in the first, value in the second) for every key whose values differ; "" where a side lacks it."""
    one, two = parse(first), parse(second)
    return [(key, one.get(key, ""), two.get(key, "")) for key in dict.fromkeys([*one, *two]) if one.get(key) != two.get(key)]


def digest(rows: Iterable[Any]) -> str:
    """A short hash of JSON-like rows in their order; the order of keys does not matter."""
    found = hashlib.sha256()
    for row in rows:
        found.update(json.dumps(row, sort_keys=True, ensure_ascii=True, default=str).encode("ascii") + b"\n")
    return found.hexdigest()[:HASH_CHARACTERS]


def installed(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of the packages that are installed, read from their metadata, so nothing is imported."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _safe(text: str) -> str:
    return UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)


def _plain(text: str) -> str:
    return re.sub(r"(?:%[0-9A-F]{2})+", lambda match: bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace"), text)
