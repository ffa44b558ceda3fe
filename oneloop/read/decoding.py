"""Bytes to text: which encoding a file is written in, said to the user, and where it is not one encoding.

In:  an open binary file
Out: a `Found` encoding with notes; DataError with byte offset and line where a file mixes encodings
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from dataclasses import dataclass, field
from typing import BinaryIO

from oneloop.errors import DataError, Problem

BLOCK = 1 << 20
MARKS = (  # the longer mark first: UTF-32 LE begins like UTF-16 LE
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NOT_ASCII = re.compile(rb"[\x80-\xff]")
REMEDY = "save the file as UTF-8, or name its encoding (encoding: cp1252)"
MULTIBYTE = ("gb", "big5", "shift", "cp932", "cp949", "euc", "johab", "hz", "iso2022")
# signs that Western text holds besides letters: quotes, dashes, currency, degrees, fractions
WESTERN_SIGNS = set("€‚„…†‡‰‹›‘’“”•–—™¡¢£¥§©«»®°±²³´µ·¹º¼½¾¿×÷\xa0\xad")


@dataclass
class Found:
    """The encoding of a file and what to tell the user about it."""

    encoding: str
    notes: list[str] = field(default_factory=list)


def find_encoding(file: BinaryIO, name: str, encoding: str | None = None, limit: int | None = None) -> Found:
    """Which encoding `file` is in, reading it once (at most `limit` bytes) and leaving it at its start.

    A byte order mark decides; else UTF-8 if all of it is valid; else a pattern of zero bytes means UTF-16; else one
    single encoding guessed from its bytes. Lines of valid UTF-8 beside lines that are not: DataError with offset and line.
    """
    file.seek(0)
    head = file.read(min(BLOCK, limit or BLOCK))
    file.seek(0)
    told = _told(head, name, encoding)
    if told:
        _refuse_undecodable(file, told.encoding, name, limit)
        return told
    valid, zeros = _is_utf8(file, limit)
    if valid:
        notes = [f"{name}: holds {zeros} zero bytes (NUL); they are kept in the cells"] if zeros else []
        return Found("utf-8", notes)
    file.seek(0)
    data = file.read() if limit is None else file.read(limit)
    file.seek(0)
    return _guess(data, name, whole=limit is None)


def _told(head: bytes, name: str, encoding: str | None) -> Found | None:
    """The encoding that the user, a byte order mark or the zero bytes of UTF-16 tell."""
    if encoding:
        return Found(_known(encoding, head, name))
    for mark, found in MARKS:
        if head.startswith(mark):
            return Found(found, [] if found == "utf-8-sig" else [f"{name}: read as {found.upper()}, as its byte order mark says"])
    wide = _utf16_without_mark(head)
    return Found(wide, [f"{name}: read as {wide.upper()} (no byte order mark; every other byte is zero)"]) if wide else None


def _refuse_undecodable(file: BinaryIO, encoding: str, name: str, limit: int | None) -> None:
    """DataError with the byte offset and line of the first byte that is not of the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, line, left = 0, 1, limit
    while True:
        block = file.read(BLOCK if left is None else min(BLOCK, left))
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block and limit is None)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            problem = Problem(f"byte {offset - held + error.start} is not {encoding}", REMEDY, file=name, line=line)
            raise DataError(f"is not {encoding} throughout", [problem], where=name, fix=REMEDY) from error
        if not block:
            break
        offset, line = offset + len(block), line + text.count("\n")
        left = None if left is None else left - len(block)
    file.seek(0)


def text_stream(file: BinaryIO, found: Found) -> io.TextIOWrapper:
    """`file` as text from its start; lines end at \\n, \\r or \\r\\n only and keep their ends. Closing it leaves `file` open."""
    file.seek(0)
    return io.TextIOWrapper(_Kept(file), encoding=found.encoding, newline="")  # type: ignore[arg-type]


class _Kept(io.RawIOBase):
    """A reader that does not close the file below it."""

    def __init__(self, file: BinaryIO) -> None:
        self.inner = file

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        return self.inner.read(max(size, 1 << 16))

    def read(self, size: int = -1) -> bytes:
        return self.inner.read(size)


def _known(encoding: str, head: bytes, name: str) -> str:
    try:
        canonical = codecs.lookup(encoding).name
    except LookupError as error:
        raise DataError(f"there is no encoding called '{encoding}'", where=name, expected="e.g. utf-8, utf-16, cp1252, latin-1") from error
    if canonical == "utf-8" and head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return canonical


def _utf16_without_mark(head: bytes) -> str:
    part = head[:4096]
    if len(part) < 4 or part.count(0) < len(part) // 4:
        return ""
    even, odd = part[0::2].count(0), part[1::2].count(0)
    if odd > 4 * even and odd * 2 >= len(part) // 4:
        return "utf-16-le"
    if even > 4 * odd and even * 2 >= len(part) // 4:
        return "utf-16-be"
    return ""


def _is_utf8(file: BinaryIO, limit: int | None) -> tuple[bool, int]:
    """Whether the file (its first `limit` bytes) is UTF-8, and how many zero bytes it holds."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    zeros, left = 0, limit
    try:
        while block := file.read(BLOCK if left is None else min(BLOCK, left)):
            decoder.decode(block)
            zeros += block.count(0)
            left = None if left is None else left - len(block)
        if limit is None:
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False, zeros
    finally:
        file.seek(0)
    return True, zeros


def _guess(data: bytes, name: str, whole: bool) -> Found:
    """The single encoding of bytes that are not UTF-8."""
    foreign, valid = _sort_lines(data)
    guess = _legacy_encoding(b"\n".join(line for _, _, line in foreign[:2000])[:65536])
    multibyte = guess.startswith(MULTIBYTE)
    if valid and not (multibyte and valid * 5 < len(foreign) and _decodes(data, guess)):
        problems = [_mixed_problem(name, *at, guess) for at in foreign]
        raise DataError(f"two encodings in one file: {valid} lines are UTF-8, {len(foreign)} are not", problems, where=name, fix=REMEDY)
    if not guess or (whole and not _decodes(data, guess)):
        raise DataError("the encoding cannot be recognised", [_mixed_problem(name, *foreign[0], guess)], where=name, fix=REMEDY)
    return Found(guess, [f"{name}: not UTF-8; read as {guess} (say encoding: … if letters look wrong)"])


def _sort_lines(data: bytes) -> tuple[list[tuple[int, int, bytes]], int]:
    """Lines with non-ASCII bytes: (line number, byte offset of the first bad byte, line) of those that are not UTF-8, and
    the number of those that are."""
    foreign: list[tuple[int, int, bytes]] = []
    valid = offset = 0
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        if NOT_ASCII.search(line):
            try:
                line.decode("utf-8")
                valid += 1
            except UnicodeDecodeError as error:
                foreign.append((number, offset + error.start, line))
        offset += len(line)
    return foreign, valid


def _mixed_problem(name: str, line: int, offset: int, content: bytes, guess: str) -> Problem:
    bad = NOT_ASCII.search(content)
    byte = content[bad.start()] if bad else 0
    looks = f", it looks like {guess}" if guess else ""
    return Problem(f"byte {offset} (0x{byte:02X}) is not UTF-8{looks}", REMEDY, file=name, line=line)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _legacy_encoding(sample: bytes) -> str:
    """cp1252 where the bytes then read as Western text, else what charset-normalizer finds, else ''."""
    text = sample.decode("cp1252", "replace")
    high = [char for char in text if ord(char) > 127]
    western = all(char in WESTERN_SIGNS or unicodedata.category(char)[0] == "L" for char in high)
    pairs = len(re.findall(r"[À-ÿ](?=[À-ÿ])", text))
    if western and pairs * 4 <= len(high):
        return "cp1252"
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample).best()
    return best.encoding if best else ""
