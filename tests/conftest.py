"""What all tests share: no network, one thread per process, shards, and services that may be missing."""

from __future__ import annotations

import os
import shutil
import zlib

import pytest

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_TELEMETRY="1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

SERVICES = {"chromium": ("chromium", "chromium-browser", "google-chrome")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shard", default="0/1", metavar="K/N", help="run only part K (from 0) of N; a test's name decides its part")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part, parts = (int(number) for number in config.getoption("--shard").split("/"))
    mine = [item for item in items if zlib.crc32(item.nodeid.encode()) % parts == part % parts]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(mine)])
    items[:] = mine


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("service"):
        name = marker.args[0]
        if not any(shutil.which(program) for program in SERVICES[name]):
            (pytest.fail if os.environ.get("ONELOOP_SERVICES") == "required" else pytest.skip)(f"{name} is not installed")
