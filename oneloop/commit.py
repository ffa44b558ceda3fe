"""The one way anything is written: beside, hashed, synced, renamed. Readers accept only what the manifest confirms.

In:  bytes for a path, or a function that fills a folder.
Out: the old content or the new one, never a mixture, whatever moment the process or the machine stops at.

A committed folder holds `manifest.json`: {"files": {name: {"bytes": n, "sha256": hex}}, …what the writer adds, "seal": the
SHA-256 of the manifest without its seal}, so that a flipped bit is found in the manifest as in every file it lists.
Order: write → fsync files → manifest → fsync folder → rename → fsync parent (Pillai et al., "All File Systems Are Not
Created Equal", OSDI 2014, on why each of these syncs is needed).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from oneloop.errors import OneloopError, RunError

MANIFEST = "manifest.json"
RUN = "run.json"  # the sealed record of a run: which one it is, what it was started with, and the files it finished with
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
def explained(folder: Path, size: int) -> Iterator[None]:
    """Turn a refusal to write `size` bytes into a message: with the megabytes that are missing, or with the reason."""
    try:
        yield
    except OneloopError:
        raise
    except Exception as error:
        number = _system_error(error)
        if number is None:
            raise
        if number == errno.EFBIG:
            raise RunError(
                f"a file of {max(1, size // 1_000_000)} MB is larger than this account may write",
                where=str(folder),
                fix="raise the limit (`ulimit -f`) and run the same command again; what was saved before is intact",
            ) from error
        if number in _NO_SPACE:
            free = shutil.disk_usage(folder).free if folder.exists() else 0
            raise _full(folder, max(size - free, 1)) from error
        name = str(getattr(error, "filename", None) or folder)
        raise RunError(f"cannot write: {os.strerror(number)}", where=name, fix="choose an output folder that can be written") from error


def _system_error(error: Exception) -> int | None:
    """The operating system's error number; libraries written in Rust give it only in their text, as `(os error 28)`."""
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def write_file(path: str | Path, data: bytes | str) -> Path:
    """Replace the file at `path` by `data` (text is UTF-8), all or nothing. RunError when it cannot be written."""
    target = Path(path)
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    staging = beside(target)
    with explained(target.parent, len(content)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_synced(staging, content)
            os.replace(staging, target)
        finally:
            staging.unlink(missing_ok=True)
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


def commit_folder(
    path: str | Path, files: dict[str, bytes | memoryview] | Callable[[Path], None], facts: dict[str, Any] | None = None, size: int = 0
) -> Path:
    """Make the folder `path` hold exactly `files` (name to bytes, or a function that fills a folder) and a manifest.

    facts: further keys of the manifest. size: about how many bytes a function will write. An existing folder is replaced;
    a reader sees the old or the new one. RunError when there is no room or no right to write.
    """
    target = Path(path)
    staging = beside(target)
    size = sum(len(data) for data in files.values()) if isinstance(files, dict) else size
    with explained(target.parent, size):
        try:
            staging.mkdir(parents=True)
            room_for(staging, size)
            write_synced(staging / MANIFEST, manifest_bytes({"files": _fill(staging, files), **(facts or {})}))
            sync_folder(staging)
            _swap(staging, target)
        finally:
            if staging.exists():
                shutil.rmtree(staging, ignore_errors=True)
    return target


def beside(target: Path, mark: str = STAGING) -> Path:
    """A name of its own in the folder of `target`, for what is not (or no longer) to be seen under that name."""
    return target.parent / f"{mark}{target.name}-{secrets.token_hex(4)}"


def manifest_bytes(record: dict[str, Any]) -> bytes:
    """A manifest as it stands in its file, sealed."""
    plain = finite(record)
    seal = hashlib.sha256(json.dumps(plain, indent=1).encode()).hexdigest()
    return json.dumps({**plain, "seal": seal}, indent=1).encode()


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
    """Put the staged folder in the target's place, in one step where the system can.

    Elsewhere there are two renames, and between them `recover` finds the old folder.
    """
    if not target.exists():
        os.replace(staging, target)
        sync_folder(target.parent)
    elif _exchange(staging, target):
        sync_folder(target.parent)
        shutil.rmtree(staging, ignore_errors=True)
    else:
        aside = beside(target, OLD)
        os.replace(target, aside)
        os.replace(staging, target)
        sync_folder(target.parent)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names at once; False where the system or the file system cannot.

    Linux: renameat2 with RENAME_EXCHANGE (2) relative to AT_FDCWD (-100). macOS: renamex_np with RENAME_SWAP (2).
    """
    names = os.fsencode(first), os.fsencode(second)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, 2) == 0)
        return bool(library.renameat2(-100, names[0], -100, names[1], 2) == 0)
    except (AttributeError, OSError, TypeError):
        return False


def discard(path: Path) -> None:
    """Delete a committed folder: its name goes first, so that no moment shows half of it under that name."""
    aside = beside(path)
    with contextlib.suppress(OSError):
        os.replace(path, aside)
        shutil.rmtree(aside, ignore_errors=True)


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


def sweep(*targets: Path) -> None:
    """Remove what killed writers of these files (all in one folder) left beside them. Only for who alone writes them."""
    names = {target.name for target in targets}
    for item in targets[0].parent.glob(f"{STAGING}*"):
        if item.name[len(STAGING) : -9] in names and item.is_file():
            item.unlink(missing_ok=True)


def write_sealed(path: str | Path, record: dict[str, Any]) -> Path:
    """Replace the JSON file at `path` by a record with a seal, so that a changed byte in it is found by `read_sealed`."""
    return write_file(path, manifest_bytes(record))


def read_sealed(path: str | Path) -> dict[str, Any]:
    """A record that `write_sealed` (or `commit_folder`) wrote; Corrupt when it is missing or not as it was written."""
    target = Path(path)
    try:
        data = target.read_bytes()
        record = json.loads(data)
        del record["seal"]
        whole = manifest_bytes(record) == data
    except FileNotFoundError:
        raise Corrupt(target.parent, [f"{target.name} is missing"]) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise Corrupt(target.parent, [f"{target.name} has changed since it was written"])
    return dict(record)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a committed folder; Corrupt when it is missing or unreadable."""
    manifest = read_sealed(Path(folder) / MANIFEST)
    if not isinstance(manifest.get("files"), dict):
        raise Corrupt(Path(folder), [f"{MANIFEST} lists no files"])
    return manifest


def listing(folder: str | Path, names: Iterable[str]) -> dict[str, Any]:
    """What a record says about files of a folder: {name: {"bytes": n, "sha256": hex}} for those that are there."""
    root = Path(folder)
    return {name: {"bytes": (root / name).stat().st_size, "sha256": sha256(root / name)} for name in names if (root / name).is_file()}


def wrong_files(folder: str | Path, listed: dict[str, Any]) -> list[str]:
    """One text for each file of a `listing` that is missing or not as it was written."""
    wrong = []
    for name, known in listed.items():
        path = Path(folder) / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif path.stat().st_size != known["bytes"]:
            wrong.append(f"{name} has {path.stat().st_size} bytes, expected {known['bytes']}")
        elif sha256(path) != known["sha256"]:
            wrong.append(f"{name} has changed since it was written")
    return wrong


def verify(folder: str | Path) -> dict[str, Any]:
    """The manifest of a folder whose files all match it; Corrupt naming each missing, foreign or changed file."""
    root = Path(folder)
    manifest = read_manifest(root)
    wrong = wrong_files(root, manifest["files"])
    present = {item.relative_to(root).as_posix() for item in root.rglob("*") if item.is_file()}
    wrong += [f"{name} does not belong here" for name in sorted(present - set(manifest["files"]) - {MANIFEST})]
    if wrong:
        raise Corrupt(root, wrong)
    return manifest


def verify_run(folder: str | Path, names: Iterable[str]) -> bool:
    """Whether the files `names` of a finished run are confirmed by its sealed record; False where nothing can be said: there is no
    record, or the run it tells of is not finished. RunError naming every file that is missing or changed, or the record itself."""
    root = Path(folder)
    if not (root / RUN).exists():
        return False
    try:
        record = read_sealed(root / RUN)
    except Corrupt as error:
        wrong = error.files
    else:
        listed = record.get("files") if record.get("status") == "finished" else None
        if not isinstance(listed, dict):
            return False
        wrong = wrong_files(root, {name: listed[name] for name in names if name in listed})
    if wrong:
        fix = "restore it from a copy, or run the same `oneloop train` again, which repeats the run"
        raise RunError("damaged: " + "; ".join(wrong), where=str(root), expected="the files as the run wrote them", fix=fix)
    return True
