"""The one way anything is written: all or nothing, whatever fails in between."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneloop import commit
from oneloop.commit import Corrupt
from oneloop.errors import RunError

CALLS = ("fsync", "replace", "rename")


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, error: Callable[[], BaseException]) -> list[str]:
    """Make the n-th (from 1) fsync, rename or replace of this process raise; returns the list of calls made."""
    seen: list[str] = []
    for name in CALLS:
        real = getattr(os, name)

        def call(*given: Any, _name: str = name, _real: Any = real, **more: Any) -> Any:
            seen.append(_name)
            if len(seen) == number:
                raise error()
            return _real(*given, **more)

        monkeypatch.setattr(os, name, call)
    return seen


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = commit.write_file(tmp_path / "deep" / "a.txt", "one")
    commit.write_file(path, "two \ud83d")
    assert path.read_bytes() == b"two \\ud83d" and [item.name for item in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [full, KeyboardInterrupt, lambda: OSError(errno.EIO, "i/o")])
def test_a_file_keeps_its_old_content_when_writing_fails(error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit.write_file(tmp_path / "a.txt", "old")
    for number in (1, 2):
        with monkeypatch.context() as patch:
            fail_at(patch, number, error)
            with pytest.raises((RunError, KeyboardInterrupt)):
                commit.write_file(tmp_path / "a.txt", "new")
        assert content(tmp_path) == {"a.txt": b"old"}


def test_a_folder_is_old_or_new_whatever_call_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "model"
    old = {"a.bin": b"old a", "gone.txt": b"x"}
    new: dict[str, bytes | memoryview] = {"a.bin": b"new a", "b.json": b"{}"}
    with monkeypatch.context() as patch:
        calls = fail_at(patch, 0, full)
        commit.commit_folder(tmp_path / "counted", dict(new))
    outcomes = set()
    for number in range(1, len(calls) + 3):
        commit.commit_folder(target, dict(old))
        with monkeypatch.context() as patch:
            fail_at(patch, number, full)
            try:
                commit.commit_folder(target, dict(new), facts={"step": 3})
                failed = False
            except RunError:
                failed = True
        commit.recover(tmp_path)
        found = {name: data for name, data in content(target).items() if name != commit.MANIFEST}
        assert found in (old, new), f"call {number}: {found}"
        commit.verify(target)
        outcomes.add((failed, found == new))
        assert [item.name for item in sorted(tmp_path.iterdir())] == ["counted", "model"], f"call {number}"
    assert (True, False) in outcomes and (False, True) in outcomes


def test_a_function_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        commit.commit_folder(tmp_path / "model", fill)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, 1, full)
    with pytest.raises(RunError) as found:
        commit.write_file(tmp_path / "a", "x" * 100)
    assert str(tmp_path) in str(found.value) and found.value.fix


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: (folder / "a.bin").write_bytes(b"new a"), "a.bin has changed"),
        (lambda folder: (folder / "a.bin").write_bytes(b"o"), "a.bin has 1 bytes, expected 5"),
        (lambda folder: (folder / "a.bin").unlink(), "a.bin is missing"),
        (lambda folder: (folder / "c").write_text("c"), "c does not belong here"),
        (lambda folder: (folder / commit.MANIFEST).unlink(), "is missing"),
        (lambda folder: (folder / commit.MANIFEST).write_text("{}"), "has changed since it was written"),
    ],
)
def test_verify_names_what_is_wrong(harm: Any, told: str, tmp_path: Path) -> None:
    folder = commit.commit_folder(tmp_path / "x", {"a.bin": b"old a", "b": b""}, facts={"step": 7})
    assert commit.verify(folder)["step"] == 7
    harm(folder)
    with pytest.raises(Corrupt) as found:
        commit.verify(folder)
    assert any(told in text for text in found.value.files)


def test_json_holds_no_nan(tmp_path: Path) -> None:
    path = commit.write_json(tmp_path / "a.json", {"x": float("nan"), "y": [float("-inf"), 1.5, "ä"], "z": ()})
    assert json.loads(path.read_text()) == {"x": None, "y": [None, 1.5, "ä"], "z": []}


def test_T3_a_sealed_record_notices_every_changed_byte(tmp_path: Path) -> None:
    path = commit.write_sealed(tmp_path / "run.json", {"id": "a", "rate": 1e-05, "name": "café"})
    assert commit.read_sealed(path) == {"id": "a", "rate": 1e-05, "name": "café"}
    whole = path.read_bytes()
    for position in range(len(whole)):
        for data in (whole[:position], whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :]):
            path.write_bytes(data)
            with pytest.raises(Corrupt, match=r"run\.json has changed since it was written"):
                commit.read_sealed(path)
    path.unlink()
    with pytest.raises(Corrupt, match=r"run\.json is missing"):
        commit.read_sealed(path)


def test_a_finished_run_confirms_its_files_and_an_unfinished_one_cannot(tmp_path: Path) -> None:
    assert not commit.verify_run(tmp_path, ["a"])
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    commit.write_sealed(tmp_path / commit.RUN, {"status": "running"})
    assert not commit.verify_run(tmp_path, ["a", "b"])
    commit.write_sealed(tmp_path / commit.RUN, {"status": "finished", "files": commit.listing(tmp_path, ["a", "b", "c"])})
    assert commit.verify_run(tmp_path, ["a", "b", "c"])
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").unlink()
    with pytest.raises(RunError, match="a has changed since it was written; b is missing") as found:
        commit.verify_run(tmp_path, ["a", "b"])
    assert str(tmp_path) in str(found.value) and found.value.fix


def test_sweeping_removes_only_what_writers_of_these_files_left(tmp_path: Path) -> None:
    for name in ("out", "out.part", "other"):
        commit.beside(tmp_path / name).write_text("half")
    commit.sweep(tmp_path / "out", tmp_path / "out.part")
    assert [path.name[:15] for path in tmp_path.iterdir()] == [".staging-other-"]
