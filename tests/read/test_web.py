"""Pages of an API: read to the last one, with the waits the server asks for."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from oneloop.errors import DataError
from oneloop.read import read
from oneloop.read.web import LONGEST_WAIT, fetched

ISSUES = [
    {
        "number": number,
        "title": f"issue {number} é",
        "pull_request": {"url": f"/pulls/{number}"} if number % 3 == 0 else None,
        "comments": [f"comment {i}" for i in range(number % 4)],
    }
    for number in range(1, 251)
]


class Api(http.server.BaseHTTPRequestHandler):
    """`/issues?per_page=100&page=N` from 1; the second page is refused once."""

    asked: list[str] = []
    refusals: list[dict[str, str]] = []
    wrapped = False
    code = 429
    broken = b""  # the second page instead of its rows

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        page = int(self.path.rsplit("page=", 1)[1]) if "&page=" in self.path else 1
        if page == 2 and self.refusals:
            self.send_response(self.code)
            for name, value in self.refusals.pop(0).items():
                self.send_header(name, value)
            self.end_headers()
            return
        rows: Any = ISSUES[100 * (page - 1) : 100 * page]
        body = json.dumps({"total_count": len(ISSUES), "items": rows} if self.wrapped else rows).encode()
        body = self.broken if page == 2 and self.broken else body
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if page < 3:
            self.send_header("Link", f'</issues?per_page=100&page={page + 1}>; rel="next", </issues?per_page=100&page=3>; rel="last"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Silence."""


@pytest.fixture
def api() -> Iterator[str]:
    """The address of a running API."""
    Api.asked, Api.refusals, Api.wrapped, Api.code, Api.broken = [], [], False, 429, b""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/issues?per_page=100"
        server.shutdown()


def numbers(url: str) -> list[Any]:
    """The issue numbers of every row, as they are read."""
    return [row["number"] for row in read(url)]


@pytest.mark.parametrize("wrapped", [False, True])
def test_C026_every_page_is_read_once_and_in_order(api: str, wrapped: bool) -> None:
    Api.wrapped = wrapped
    assert numbers(api) == list(range(1, 251))
    assert Api.asked == ["/issues?per_page=100", "/issues?per_page=100&page=2", "/issues?per_page=100&page=3"]


@pytest.mark.parametrize("code", [429, 403])
def test_C026_a_limit_is_waited_for(api: str, code: int) -> None:
    Api.code = code
    Api.refusals = [{"Retry-After": "1"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1)}]
    began = time.monotonic()
    assert len(numbers(api)) == 250
    assert time.monotonic() - began >= 1.5 and len(Api.asked) == 5


@pytest.mark.parametrize("headers", [{}, {"Retry-After": str(int(LONGEST_WAIT) + 1)}])
def test_C026_a_refusal_without_an_end_is_said(api: str, headers: dict[str, str]) -> None:
    Api.refusals = [headers]
    with pytest.raises(DataError, match="the server answers 429"):
        fetched(api)


def test_C026_pull_requests_are_told_apart_and_comments_stay_with_their_issue(api: str) -> None:
    from oneloop.read.where import apply_where

    rows = list(read(api))
    alone = apply_where(rows, "pull_request is empty")
    assert len(alone) == sum(issue["pull_request"] is None for issue in ISSUES)
    assert [len(row["comments"]) for row in alone] == [len(issue["comments"]) for issue in ISSUES if issue["pull_request"] is None]


@pytest.mark.parametrize("body", [b"[{", b'{"a": 1}', b'{"a": [{"x": 1}], "b": [{"x": 2}]}', b"3"])
def test_C026_a_page_that_is_no_list_is_named(api: str, body: bytes) -> None:
    Api.broken = body
    with pytest.raises(DataError, match="this page is not") as found:
        fetched(api)
    assert "page=2" in str(found.value)
