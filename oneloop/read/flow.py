"""Rows of a source while it is being read, from the disk or an address, packed or not: nothing is kept but one block, and nothing
is read ahead but the beginning, which shows the format.

In:  a path, an address or a Table
Out: Tables of some rows, in order, each with its problems

So read are csv, tsv, JSON lines and text, also in gz, zst, bz2 and xz. Other formats are read as `blocks` reads them.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from oneloop.errors import DataError
from oneloop.read.blocks import blocks, is_export, objects, text_lines, whole
from oneloop.read.decoding import REMEDY
from oneloop.read.delimited import settled, told_blocks
from oneloop.read.detect import detect
from oneloop.read.files import picked
from oneloop.read.sources import ARCHIVE, Part, decompressor, packing, unpacked
from oneloop.read.table import Table
from oneloop.read.web import Download

SIZE = 256  # rows of a block
HEAD = 1 << 20  # bytes, unpacked, that show the format and what quotation marks mean
ADDRESS = ("http://", "https://")


class Bytes(Protocol):
    """What can be read from its beginning to its end."""

    def read(self, size: int, /) -> bytes: ...


class _Once:
    """Bytes that were read already, and those that follow, as a file that can be read once."""

    def __init__(self, head: bytes, rest: Bytes) -> None:
        self.head, self.rest = io.BytesIO(head), rest

    def read(self, size: int = -1) -> bytes:
        """The next bytes, b"" at the end."""
        return self.head.read(size) or self.rest.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        """Nothing, at the beginning."""
        if position or whence or self.head.tell():
            raise io.UnsupportedOperation("this can be read once")
        return 0

    def close(self) -> None:
        """Nothing; whoever opened the source closes it."""


def flowing(source: str | Table, size: int = SIZE) -> Iterator[Table]:
    """The rows of a source in tables of at most `size`. DataError for one that cannot be read, also in the middle."""
    if isinstance(source, Table):
        yield source
        return
    address = source.startswith(ADDRESS)
    path = Path(source).expanduser()
    if not address and not path.is_file():
        yield from whole(source, size)
        return
    raw: Any = Download(source) if address else Part(source, path).open()
    with closing(raw), closing(Part(source, path)) as again:
        read = _by_line(source, raw, size, None if address else again)
        if read is not None:
            yield from _explained(source, read)
            return
    yield from whole(source, size) if address else blocks(source, size)


def _by_line(name: str, raw: Bytes, size: int, whole_file: Part | None) -> Callable[[], Iterator[Table]] | None:
    """What reads the format line by line; None for a format that has to be seen whole."""
    packed = _first(raw, 512)
    kind = packing(packed)
    if kind in ARCHIVE:
        return None
    stream: Bytes = _Once(packed, raw)
    try:
        if kind:
            stream = decompressor(cast(BinaryIO, stream), kind)
        head = _first(stream, HEAD)
    except DAMAGED as error:
        raise _damaged(name, error) from error
    part, look = Part(name, file=cast(BinaryIO, _Once(head, stream))), Part(name, file=io.BytesIO(_lines_of(head)))
    found = detect(look, limit=HEAD)
    if found.format in ("csv", "tsv"):
        shown = look if whole_file is None else unpacked(whole_file)[0]
        with closing(shown):
            dialect = settled(shown, found.found, found.dialect)
        return lambda: told_blocks(part, found.found, size, dialect)
    if found.format == "txt":
        return lambda: map(_filled, text_lines(part, found.found, size))
    if found.format == "jsonl" and not is_export(look, found.found):
        return lambda: objects(part, found.found, size)
    return None


def _filled(table: Table) -> Table:
    """The lines that hold more than white space."""
    return picked(table, [i for i, row in enumerate(table) if row["text"].strip()])


def _first(stream: Bytes, size: int) -> bytes:
    """The first bytes, fewer only where there are no more."""
    found = bytearray()
    while len(found) < size and (block := stream.read(size - len(found))):
        found += block
    return bytes(found)


def _lines_of(head: bytes) -> bytes:
    """The beginning of a file without the line in which it was cut; UTF-16 and UTF-32 (they hold zeros) as they are."""
    if len(head) < HEAD or b"\0" in head[:64]:
        return head
    end = max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
    return head[:end] if end else head.decode("utf-8", "ignore").encode()


DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)


def _damaged(name: str, error: BaseException) -> DataError:
    reason = "the compressed file ends too early" if isinstance(error, EOFError) else f"the compressed file is damaged ({error})"
    return DataError(reason, where=name, fix="copy or download it again; its end is missing or changed")


def _explained(name: str, read: Callable[[], Iterator[Table]]) -> Iterator[Table]:
    """The tables, with errors that say which source is meant."""
    try:
        yield from read()
    except UnicodeDecodeError as error:
        raise DataError(f"is not {error.encoding} throughout", where=name, fix=REMEDY) from error
    except DAMAGED as error:
        raise _damaged(name, error) from error
