"""The sample files, and runs over them that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.engines import samples

Ran = Callable[..., Path]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model and the data of every kind."""
    return samples.write(Path(tmp_path_factory.mktemp("engines")))


@pytest.fixture(scope="session")
def ran(world: Path) -> Ran:
    """ran(kind, engine, setting=…) -> the folder of that run, trained once."""
    import oneloop

    @cache
    def train(kind: str, engine: str = "loop", **more: Any) -> Path:
        name = "-".join([kind, engine, *(f"{key}_{value}" for key, value in sorted(more.items()))])
        oneloop.train(**samples.settings(world, kind, engine=engine, output=str(world / "runs" / name), **more))
        return world / "runs" / name

    return train
