"""Data from an http(s) address: plain downloads under a cap, never to addresses that only this machine or network can see
unless the user named such an address.

In:  a URL
Out: a Part with the downloaded file
"""

from __future__ import annotations

import ipaddress
import socket
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import IO, Any, BinaryIO, cast

from oneloop.errors import DataError
from oneloop.read.sources import BLOCK, IN_MEMORY, Part

MAX_DOWNLOAD = 4 << 30  # bytes
TIMEOUT = 30.0  # seconds without any answer


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
    opener = urllib.request.build_opener(_Redirects)
    request = urllib.request.Request(url, headers={"User-Agent": "oneloop", "Accept-Encoding": "identity"})
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            file = _saved(answer, url)
    except urllib.error.HTTPError as error:
        raise DataError(f"the server answers {error.code} ({error.reason})", where=url, fix="check the address") from error
    except (OSError, HTTPException, ValueError) as error:
        raise DataError(f"cannot be downloaded ({error})", where=url, fix="check the address and the network") from error
    path = urllib.parse.urlsplit(url).path
    return Part(url if path else f"{url}/", file=file)


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
