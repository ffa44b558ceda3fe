"""One template process and one set of sample files for each session of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import SEED, Bench, bench


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(Path(tmp_path_factory.mktemp("faults"))) as found:
        yield found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed and "faults" in str(item.path):
        report.sections.append(("run it again", f"ONELOOP_FAULT_SEED={SEED} python -m pytest '{item.nodeid}'"))
