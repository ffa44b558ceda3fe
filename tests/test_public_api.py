"""The names people rely on, and that each of them is there."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

import oneloop

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = {
    "OneloopError",
    "Recipe",
    "__version__",
    "check",
    "compare",
    "demo",
    "diagnose",
    "evaluate",
    "load",
    "load_recipe",
    "report",
    "stream",
    "tasks",
    "train",
}


def test_all_is_pinned() -> None:
    assert set(oneloop.__all__) == PUBLIC
    assert set(oneloop.PLACES) == PUBLIC - {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__", "tasks"}))
def test_every_public_name_can_be_called(name: str) -> None:
    assert callable(getattr(oneloop, name))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_listed(name: str) -> None:
    assert name in dir(oneloop)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'oneloop' has no attribute 'trian'"):
        oneloop.trian  # noqa: B018


@pytest.mark.parametrize("first", ["import oneloop.{0}", "from oneloop import {0}", "from oneloop.{0} import *", "pass"])
@pytest.mark.parametrize("name", ["diagnose", "demo"])
def test_a_room_with_the_name_of_a_function_is_both(name: str, first: str) -> None:
    code = f"{first.format(name)}\nimport oneloop, types\nassert callable(oneloop.{name}) and isinstance(oneloop.{name}, types.ModuleType)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_tasks_is_the_room() -> None:
    assert isinstance(oneloop.tasks, types.ModuleType) and "token-classification" in oneloop.tasks.table()
