"""Files to read from: plain, compressed, members of archives. Archives are unpacked under caps and never onto the disk.

In:  a path
Out: `Part`s: a name for messages and a seekable binary file each
"""

from __future__ import annotations

import gzip
import os
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from oneloop.errors import DataError, require

MAX_ENTRIES = 100_000  # members of an archive
MAX_BYTES = 16 << 30  # unpacked, all members together
MAX_RATIO = 200  # unpacked to packed; text packs 3 to 20 fold, a bomb 1000 fold
RATIO_FROM = 8 << 20  # bytes unpacked before the ratio counts: small repetitive files are innocent
IN_MEMORY = 64 << 20  # larger unpacked files go to an unnamed temporary file
BLOCK = 1 << 20
ARCHIVE = ("zip", "tar")


@dataclass
class Part:
    """One file to read: `name` for messages, `path` on disk where it has one, `file` once opened."""

    name: str
    path: Path | None = None
    file: BinaryIO | None = None

    def open(self) -> BinaryIO:
        """The binary file at its start; it stays open until `close`."""
        if self.file is None:
            self.file = _opened(self.path or Path(self.name), self.name)
        self.file.seek(0)
        return self.file

    def head(self, size: int = 65536) -> bytes:
        """The first `size` bytes."""
        return self.open().read(size)

    def size(self) -> int:
        """Bytes of the (unpacked) file."""
        file = self.open()
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return size

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def release(self) -> None:
        """Close the file if it can be opened again."""
        if self.path is not None:
            self.close()

    @property
    def suffix(self) -> str:
        """The last file ending without a packing one, lower case, with dot: `.csv` for `a.csv.gz`."""
        name = self.name.lower()
        for packed in (".gz", ".zst", ".gzip", ".bz2", ".xz"):
            name = name.removesuffix(packed)
        return PurePosixPath(name.replace("\\", "/")).suffix


def _opened(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror}", where=name, fix="check the path and your permission to read it") from error


def packing(head: bytes) -> str:
    """ "gz", "zst", "bz2", "xz", "zip", "tar" or "" by the first bytes of a file (512 are enough)."""
    if head.startswith(b"\x1f\x8b"):
        return "gz"
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zst"
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return "bz2"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "tar" if head[257:262] == b"ustar" else ""


def unpacked(part: Part, limit: int | None = None) -> list[Part]:
    """The plain files in `part`: itself, its one content, or the members of an archive. Office files stay whole.

    limit: unpack only that many bytes of a compressed file (for looking at it). DataError for truncated files, bombs and
    members that point outside.
    """
    kind = packing(part.head(512))
    if not kind or (kind == "zip" and is_office(part)):
        return [part]
    if kind == "zip":
        return list(_zip_members(part))
    if kind == "tar":
        return list(_tar_members(part))
    plain = Part(part.name, file=_decompress(part, kind, limit))
    if packing(plain.head(512)) not in ARCHIVE or is_office(plain):
        return [plain]
    try:
        return unpacked(plain, limit)
    finally:
        plain.close()


def is_office(part: Part) -> bool:
    """Whether a zip file is a workbook or a document of an office program."""
    try:
        with zipfile.ZipFile(part.open()) as archive:
            return "[Content_Types].xml" in archive.namelist()[:50]
    except (zipfile.BadZipFile, OSError):
        return False


def _decompress(part: Part, kind: str, limit: int | None) -> BinaryIO:
    packed_size = part.size()
    stream = decompressor(part.open(), kind)
    try:
        return _copied(stream, part.name, packed_size, limit)
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile) and error.errno is not None:
            raise
        reason = "the compressed file ends too early" if isinstance(error, EOFError) else f"the compressed file is damaged ({error})"
        raise DataError(reason, where=part.name, fix="copy or download it again; its end is missing or changed") from error


def decompressor(file: BinaryIO, kind: str) -> IO[bytes]:
    """What unpacks `file` as it is read, of a kind that `packing` names."""
    if kind == "gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    if kind == "zst":
        module = require("zstandard", "zst")
        return cast("IO[bytes]", _CheckedZst(module.ZstdDecompressor(max_window_size=1 << 27), file, module.ZstdError))
    if kind == "bz2":
        import bz2

        return bz2.BZ2File(file)
    import lzma

    return lzma.LZMAFile(file)


class _CheckedZst:
    """A zstandard stream that raises EOFError where its last frame is cut off."""

    def __init__(self, decompressor: object, file: BinaryIO, error: type[Exception]) -> None:
        self.make, self.file, self.error = decompressor, file, error
        self.object = decompressor.decompressobj()  # type: ignore[attr-defined]
        self.done = False

    def read(self, size: int) -> bytes:
        """The next unpacked bytes, b"" at the end of the last frame; EOFError or zlib.error for a cut or damaged file."""
        try:
            while True:
                block = self.object.unused_data or self.file.read(size // 8)
                if self.object.eof:
                    if not block:
                        return b""
                    self.object = self.make.decompressobj()  # type: ignore[attr-defined]
                if not block:
                    raise EOFError
                if data := self.object.decompress(block):
                    return cast(bytes, data)
        except self.error as error:
            raise zlib.error(str(error)) from error


def _copied(stream: IO[bytes], name: str, packed_size: int, limit: int | None = None, before: int = 0) -> BinaryIO:
    """All of `stream` in memory or an unnamed temporary file, under the caps. before: bytes already unpacked elsewhere."""
    target = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115 (its life is that of the Part)
    try:
        _copy(stream, target, name, packed_size, limit, before)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def _copy(stream: IO[bytes], target: BinaryIO, name: str, packed_size: int, limit: int | None, before: int) -> None:
    total = 0
    while block := stream.read(BLOCK):
        total += len(block)
        if total + before > MAX_BYTES:
            raise DataError(f"unpacks to more than {MAX_BYTES >> 30} GB", where=name, fix="unpack it yourself if you trust it")
        if total > RATIO_FROM and total > MAX_RATIO * max(packed_size, 1):
            reason = f"unpacks to more than {MAX_RATIO} times its size, as a decompression bomb does"
            raise DataError(reason, where=name, fix="unpack it yourself if you trust it")
        target.write(block)
        if limit is not None and total >= limit:
            return


def _zip_entries(part: Part) -> int:
    """The number of members that a zip file's last record states, read before the (slow) directory itself."""
    size = part.size()
    file = part.open()
    file.seek(max(0, size - 66000))
    tail = file.read()
    wide = tail.rfind(b"PK\x06\x06")
    if wide >= 0 and len(tail) >= wide + 40:
        return int(struct.unpack_from("<Q", tail, wide + 32)[0])
    end = tail.rfind(b"PK\x05\x06")
    return int(struct.unpack_from("<H", tail, end + 10)[0]) if end >= 0 and len(tail) >= end + 12 else 0


def _zip_members(part: Part) -> Iterator[Part]:
    if _zip_entries(part) > MAX_ENTRIES:
        raise DataError(f"holds more than {MAX_ENTRIES} files", where=part.name, fix="unpack it yourself if you trust it")
    try:
        archive = zipfile.ZipFile(part.open())
        members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"the zip file is damaged ({error})", where=part.name, fix="copy or download it again") from error
    total = 0
    _refuse_entries(len(members), part.name)
    for member in members:
        _refuse_outside(member.filename, part.name)
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise DataError(f"holds a link ({member.filename})", where=part.name, fix="pack the files themselves")
        if member.is_dir() or _hidden(member.filename):
            continue
        label = f"{part.name}/{member.filename}"
        if member.flag_bits & 1:
            raise DataError("is encrypted", where=label, fix="unpack it with its password first")
        try:
            with archive.open(member) as stream:
                file = _copied(stream, label, member.compress_size, before=total)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DataError(f"the zip file is damaged ({error})", where=label, fix="copy or download it again") from error
        plain = Part(label, file=file)
        total += plain.size()
        yield from unpacked(plain) if packing(plain.head(512)) not in ("zip", "tar") or is_office(plain) else _refuse_nested(label)


def _tar_members(part: Part) -> Iterator[Part]:
    total = 0
    try:
        with tarfile.open(fileobj=part.open(), mode="r:") as archive:
            for count, member in enumerate(archive):
                _refuse_entries(count, part.name)
                _refuse_outside(member.name, part.name)
                if member.issym() or member.islnk() or not (member.isfile() or member.isdir()):
                    raise DataError(f"holds a link or device ({member.name})", where=part.name, fix="pack the files themselves")
                stream = archive.extractfile(member) if member.isfile() and not _hidden(member.name) else None
                if stream is None:
                    continue
                plain = Part(f"{part.name}/{member.name}", file=_copied(stream, member.name, member.size or 1, before=total))
                total += plain.size()
                yield from unpacked(plain) if packing(plain.head(512)) not in ARCHIVE or is_office(plain) else _refuse_nested(plain.name)
    except tarfile.TarError as error:
        raise DataError(f"the tar file is damaged ({error})", where=part.name, fix="copy or download it again") from error


def _refuse_entries(count: int, name: str) -> None:
    if count > MAX_ENTRIES:
        raise DataError(f"holds more than {MAX_ENTRIES} files", where=name, fix="unpack it yourself if you trust it")


def _refuse_nested(name: str) -> list[Part]:
    raise DataError("is an archive inside an archive", where=name, fix="unpack the outer archive first")


def _refuse_outside(member: str, name: str) -> None:
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in member or (len(member) > 1 and member[1] == ":"):
        raise DataError(f"holds a file that points outside of it ({member!r})", where=name, fix="pack the files again without such names")


def _hidden(member: str) -> bool:
    """Files that packing programs add beside the data."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member).parts)
