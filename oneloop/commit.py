"""The one way anything is written: beside, hashed, synced, renamed. Readers accept only what the manifest confirms.

In:  bytes for a path, or a function that fills a folder.
Out: the old content or the new one, never a mixture, whatever moment the process or the machine stops at.

A committed folder holds `manifest.json`: {"files": {name: {"bytes": n, "sha256": hex}}, …what the writer adds}.
Order: write → fsync files → manifest → fsync folder → rename → fsync parent (Pillai et al., "All File Systems Are Not
Created Equal", OSDI 2014, on why each of these syncs is needed).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneloop.errors import OneloopError, RunError

MANIFEST = "manifest.json"
STAGING, OLD = ".staging-", ".old-"
CHUNK = 1 << 22  # bytes per write: large enough to be fast, small enough for a stop to be noticed between two
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Corrupt(RunError):
    """A committed folder whose files are not those of its manifest; `files` names them."""

    def __init__(self, folder: Path, files: list[str]) -> None:
        self.files = files
        super().__init__("damaged: " + "; ".join(files), where=str(folder))


def sha256(path: Path) -> str:
    """The hex SHA-256 of a file, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Windows has no such call and needs none."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, data: bytes | memoryview) -> str:
    """Write bytes to a new file and make them durable. Returns their SHA-256."""
    digest = hashlib.sha256()
    view = memoryview(data)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        done = 0
        while done < len(view):
            count = os.write(handle, view[done : done + CHUNK])
            digest.update(view[done : done + count])
            done += count
        os.fsync(handle)
    finally:
        os.close(handle)
    return digest.hexdigest()


def room_for(folder: Path, size: int) -> None:
    """Refuse before writing when `size` bytes do not fit, naming the megabytes to free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise _full(folder, size - free)


def _full(folder: Path, missing: int) -> OneloopError:
    megabytes = max(1, -(-missing // 1_000_000))
    return RunError(
        f"the disk is full: {megabytes} MB more are needed",
        where=str(folder),
        expected="room for the new files beside the old ones",
        fix=f"free {megabytes} MB and run the same command again; what was saved before is intact",
    )


@contextlib.contextmanager
def explained(folder: Path, size: int) -> Any:
    """Turn an operating system's refusal to write into a message with the megabytes that are missing."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            free = shutil.disk_usage(folder).free if folder.exists() else 0
            raise _full(folder, max(size - free, 1)) from error
        raise RunError(f"cannot write: {error.strerror or error}", where=str(error.filename or folder), fix="choose an output folder that can be written") from error


def write_file(path: str | Path, data: bytes | str) -> Path:
    """Replace the file at `path` by `data` (text is UTF-8), all or nothing. RunError when it cannot be written."""
    target = Path(path)
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    beside = target.parent / f"{STAGING}{target.name}-{secrets.token_hex(4)}"
    with explained(target.parent, len(content)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_synced(beside, content)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(target.parent)
    return target


def write_json(path: str | Path, value: Any) -> Path:
    """Replace the file at `path` by `value` as JSON; NaN and infinities become null."""
    return write_file(path, json.dumps(finite(value), indent=1, ensure_ascii=False) + "\n")


def finite(value: Any) -> Any:
    """The value with NaN and infinite floats replaced by None, which JSON can hold."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def commit_folder(path: str | Path, files: dict[str, bytes | memoryview] | Callable[[Path], None], facts: dict[str, Any] | None = None) -> Path:
    """Make the folder `path` hold exactly `files` (name to bytes, or a function that fills a folder) and a manifest.

    facts: further keys of the manifest. An existing folder is replaced; a reader sees the old or the new one.
    """
    target = Path(path)
    staging = target.parent / f"{STAGING}{target.name}-{secrets.token_hex(4)}"
    size = sum(len(data) for data in files.values()) if isinstance(files, dict) else 0
    with explained(target.parent, size):
        try:
            staging.mkdir(parents=True)
            room_for(staging, size)
            listed = _fill(staging, files)
            manifest = {"files": listed, **(facts or {})}
            write_synced(staging / MANIFEST, json.dumps(finite(manifest), indent=1).encode())
            sync_folder(staging)
            _swap(staging, target)
        finally:
            if staging.exists():
                shutil.rmtree(staging, ignore_errors=True)
    return target


def _fill(staging: Path, files: dict[str, bytes | memoryview] | Callable[[Path], None]) -> dict[str, Any]:
    """Write the files of a folder; returns the manifest's list of them."""
    if isinstance(files, dict):
        return {name: {"bytes": len(data), "sha256": write_synced(staging / name, data)} for name, data in files.items()}
    files(staging)
    listed = {}
    for item in sorted(staging.rglob("*")):
        if item.is_file():
            with item.open("rb") as stream:
                os.fsync(stream.fileno())
            listed[item.relative_to(staging).as_posix()] = {"bytes": item.stat().st_size, "sha256": sha256(item)}
    return listed


def _swap(staging: Path, target: Path) -> None:
    """Put the staged folder in the target's place. Between the two renames `recover` finds the old one."""
    if target.exists():
        aside = target.parent / f"{OLD}{target.name}-{secrets.token_hex(4)}"
        os.replace(target, aside)
        os.replace(staging, target)
        sync_folder(target.parent)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.replace(staging, target)
        sync_folder(target.parent)


def recover(folder: str | Path) -> list[str]:
    """Undo what a killed writer left in `folder`: put a set-aside folder back, remove staging. Returns what was done."""
    done = []
    root = Path(folder)
    for item in sorted(root.glob(f"{OLD}*")):
        target = root / item.name[len(OLD) : -9]
        if target.exists():
            shutil.rmtree(item, ignore_errors=True)
        else:
            os.replace(item, target)
            done.append(f"put back {target.name}")
    for item in sorted(root.glob(f"{STAGING}*")):
        shutil.rmtree(item, ignore_errors=True) if item.is_dir() else item.unlink(missing_ok=True)
        done.append(f"removed the unfinished {item.name[len(STAGING) : -9]}")
    return done


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a committed folder; Corrupt when it is missing or unreadable."""
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        if isinstance(manifest["files"], dict):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise Corrupt(Path(folder), [f"{MANIFEST} is missing or unreadable"])


def verify(folder: str | Path) -> dict[str, Any]:
    """The manifest of a folder whose files all match it; Corrupt naming each missing, foreign or changed file."""
    root = Path(folder)
    manifest = read_manifest(root)
    wrong = []
    for name, listed in manifest["files"].items():
        path = root / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif path.stat().st_size != listed["bytes"]:
            wrong.append(f"{name} has {path.stat().st_size} bytes, expected {listed['bytes']}")
        elif sha256(path) != listed["sha256"]:
            wrong.append(f"{name} has changed since it was written")
    present = {item.relative_to(root).as_posix() for item in root.rglob("*") if item.is_file()}
    wrong += [f"{name} does not belong here" for name in sorted(present - set(manifest["files"]) - {MANIFEST})]
    if wrong:
        raise Corrupt(root, wrong)
    return manifest
