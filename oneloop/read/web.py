"""Data from an http(s) address: plain downloads under a cap, never to addresses that only this machine or network can see
unless the user named such an address. A JSON answer that names a next page (RFC 8288, `Link: <…>; rel="next"`, as GitHub's API
does) is read to its last page.

In:  a URL
Out: a Part with the downloaded file; of several pages, a row in each line
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import json
import re
import socket
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import IO, Any, BinaryIO, cast

from oneloop.errors import DataError
from oneloop.read.sources import BLOCK, IN_MEMORY, Part

MAX_DOWNLOAD = 4 << 30  # bytes
TIMEOUT = 30.0  # seconds without any answer
LONGEST_WAIT = 3700.0  # seconds that a server may ask us to wait, a page: hourly limits end within an hour
TOO_OFTEN = (403, 429, 503)  # answers that may ask to wait
NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel\s*=\s*"?next\b', re.IGNORECASE)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to public addresses only."""

    def redirect_request(self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request to the new address, after it was checked."""
        if _reach(newurl) != "public" and _reach(newurl) != _reach(req.full_url):
            raise DataError("redirects to an address inside this machine or network", where=req.full_url, fix="name the final address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reach(url: str) -> str:
    """ "public", "loopback" or "private"; DataError for other schemes, unknown hosts and link-local addresses (cloud metadata)."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DataError("is not an http or https address", where=url)
    try:
        found = {item[4][0] for item in socket.getaddrinfo(parts.hostname, None)}
    except (OSError, UnicodeError) as error:
        raise DataError(f"the host {parts.hostname} cannot be found", where=url, fix="check the address and the network") from error
    addresses = [ipaddress.ip_address(str(address).split("%")[0]) for address in found]
    if any(address.is_link_local or address.is_multicast or address.is_unspecified for address in addresses):
        raise DataError("points to a link-local address, where machines keep their secrets", where=url, fix="download it yourself")
    if all(address.is_loopback for address in addresses):
        return "loopback"
    return "private" if any(address.is_private or address.is_loopback for address in addresses) else "public"


def fetched(url: str) -> Part:
    """The file at `url`. DataError for errors of the server and the network, and for more than MAX_DOWNLOAD bytes."""
    _reach(url)
    with _told(url):
        file, following = _page(url)
        if following:
            file = _joined(file, url, following)
    path = urllib.parse.urlsplit(url).path
    return Part(url if path else f"{url}/", file=file)


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Errors of the server and the network as DataError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise DataError(f"the server answers {error.code} ({error.reason})", where=url, fix="check the address") from error
    except (OSError, HTTPException, ValueError) as error:
        raise DataError(f"cannot be downloaded ({error})", where=url, fix="check the address and the network") from error


class Download:
    """The content at an address as it comes in. DataError as `fetched`, also in the middle; of any size."""

    def __init__(self, url: str) -> None:
        self.url, self.read_bytes = url, 0
        _reach(url)
        with _told(url):
            self.answer = _answer(url)
        length = self.answer.headers.get("Content-Length") or ""
        self.expected = int(length) if length.isdigit() else 0

    def read(self, size: int = BLOCK) -> bytes:
        """The next bytes, b"" at the end."""
        with _told(self.url):
            block = cast(bytes, self.answer.read(size))
        self.read_bytes += len(block)
        if not block and self.read_bytes < self.expected:
            raise DataError(f"the download ended after {self.read_bytes} of {self.expected} bytes", where=self.url, fix="try again")
        return block

    def close(self) -> None:
        """End the connection."""
        self.answer.close()


def _page(url: str) -> tuple[BinaryIO, str]:
    """The file at an address, and the address of the page after it, "" where there is none."""
    with _answer(url) as answer:
        found = NEXT.search(answer.headers.get("Link", "")) if "json" in answer.headers.get("Content-Type", "") else None
        return _saved(answer, url), urllib.parse.urljoin(url, found[1]) if found else ""


def _answer(url: str) -> Any:
    """The server's answer, its content not read yet. Waits where the server asks for it."""
    opener = urllib.request.build_opener(_Redirects)
    request = urllib.request.Request(url, headers={"User-Agent": "oneloop", "Accept-Encoding": "identity"})
    waited = 0.0
    while True:
        try:
            return opener.open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            wait = _asked_to_wait(error)
            waited += wait or 0.0
            if wait is None or waited > LONGEST_WAIT:
                raise
            time.sleep(wait)


def _asked_to_wait(error: urllib.error.HTTPError) -> float | None:
    """Seconds until the server answers again, from Retry-After (RFC 9110) or GitHub's x-ratelimit-reset; None if it does not say."""
    if error.code not in TOO_OFTEN:
        return None
    after, reset = error.headers.get("Retry-After", ""), error.headers.get("X-RateLimit-Reset", "")
    if after.isdigit():
        return float(after)
    if after and (date := email.utils.parsedate_to_datetime(after)):
        return max(0.0, date.timestamp() - time.time())
    if error.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        return max(0.0, float(reset) - time.time()) + 1.0
    return None


def _joined(file: BinaryIO, url: str, following: str) -> BinaryIO:
    """The rows of all pages, one in each line, from the first page and the address of the second."""
    target = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (its life is that of the Part)
    try:
        for rows in _every_page(file, url, following):
            for row in rows:
                target.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
            if target.tell() > MAX_DOWNLOAD:
                fix = "download the pages yourself and name the file"
                raise DataError(f"its pages are larger than {MAX_DOWNLOAD >> 30} GB", where=url, fix=fix)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return cast(BinaryIO, target)


def _every_page(file: BinaryIO, url: str, following: str) -> Iterator[list[Any]]:
    """The rows of each page; a page that was read already ends it."""
    seen, address = {url}, url
    while True:
        with file:
            yield _rows(file, address)
        if not following or following in seen:
            return
        if _reach(following) not in ("public", _reach(url)):
            raise DataError("has a next page inside this machine or network", where=address, fix="download the pages yourself")
        seen.add(following)
        address = following
        file, following = _page(address)


def _rows(file: BinaryIO, address: str) -> list[Any]:
    """The rows of a page: a list, or the only list of objects in an object."""
    try:
        page = json.load(file)
    except ValueError as error:
        raise DataError(f"this page is not JSON ({error})", where=address, fix="try again, or download the pages yourself") from error
    lists = [page] if isinstance(page, list) else [value for value in page.values() if _objects(value)] if isinstance(page, dict) else []
    if len(lists) != 1 and not (isinstance(page, dict) and not lists and any(value == [] for value in page.values())):
        raise DataError("this page is not a list of rows", where=address, fix="download the pages yourself and name the file")
    return list(lists[0]) if lists else []


def _objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _saved(answer: Any, url: str) -> BinaryIO:
    expected = answer.headers.get("Content-Length")
    if expected and expected.isdigit() and int(expected) > MAX_DOWNLOAD:
        raise DataError(f"is larger than {MAX_DOWNLOAD >> 30} GB", where=url, fix="download it yourself and name the file")
    target = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (its life is that of the Part)
    total = 0
    while block := answer.read(BLOCK):
        total += len(block)
        if total > MAX_DOWNLOAD:
            raise DataError(f"is larger than {MAX_DOWNLOAD >> 30} GB", where=url, fix="download it yourself and name the file")
        target.write(block)
    if expected and expected.isdigit() and total < int(expected):
        raise DataError(f"the download ended after {total} of {expected} bytes", where=url, fix="try again")
    target.seek(0)
    return cast(BinaryIO, target)
