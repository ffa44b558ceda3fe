"""Public sets written in every awkward way are still given their task and their columns (`bench/diagnose/variants.py`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "../shared/data"


def variants() -> Any:
    spec = importlib.util.spec_from_file_location("variants", ROOT / "bench/diagnose/variants.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public sets are not here")
def test_names_orders_delimiters_encodings_and_layouts_do_not_hide_the_task() -> None:
    tasks, columns, misses = variants().measure(SHARED, 100)
    assert len(tasks["all"]) > 280
    assert sum(tasks["all"]) >= 0.98 * len(tasks["all"]), misses
    assert sum(columns["all"]) >= 0.97 * len(columns["all"]), misses
    assert all(sum(right) > 0 for right in columns.values()), misses
