"""Writes files for the reading tests."""

from pathlib import Path

import pytest

from oneloop.errors import DataError
from oneloop.read import read


@pytest.fixture
def write(tmp_path):
    """write(name, content) -> path of a new file."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


@pytest.fixture
def problems(write):
    """problems(name, content) -> the problems that reading such a file raises."""

    def found(name: str, content: str | bytes):
        with pytest.raises(DataError) as caught:
            read(write(name, content))
        return caught.value.problems

    return found
