"""Packed files and archives: read as their content, and hostile ones refused before they do harm."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import pytest

from oneloop.errors import DataError
from oneloop.read import read, read_splits, sources

CSV = b"text,label\na,x\nb,y\n"


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*infos, content=CSV):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info in infos:
            info.size = len(content) if info.isfile() else 0
            archive.addfile(info, io.BytesIO(content) if info.isfile() else None)
    return buffer.getvalue()


def test_C013_packed_files_read_as_their_content(write):
    import zstandard

    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.ZstdCompressor().compress}
    packers |= {"zip": lambda data: zipped({"a.csv": data}), "tar.gz": lambda data: gzip.compress(tarred(tarfile.TarInfo("a.csv")))}
    for ending, pack in packers.items():
        for name in (f"a.csv.{ending}", f"{ending.replace('.', '')}-data"):
            table = read(write(name, pack(CSV)))
            assert [row["label"] for row in table] == ["x", "y"] and table.format == "csv"


def test_gz_of_several_members(write):
    assert len(read(write("a.csv.gz", gzip.compress(CSV) + gzip.compress(b"c,z\n")))) == 3


def test_archives_are_folders(write):
    splits = read_splits(
        write("a.zip", zipped({"data/train.csv": CSV, "data/test.csv": CSV[:15], "__MACOSX/._train.csv": b"x", "README.md": b"#"}))
    )
    assert {name: len(table) for name, table in splits.items()} == {"train": 2, "test": 1}
    assert splits["test"].origin(0).file.endswith("a.zip/data/test.csv")


@pytest.mark.parametrize("cut", [20, 100, 5000])
def test_D28_truncated_gzip(write, cut):
    import random

    data = gzip.compress("".join(random.Random(1).choices("abcdefgh,\n", k=20000)).encode())
    with pytest.raises(DataError, match="ends too early"):
        read(write("a.csv.gz", data[:-cut]))


def test_D28_truncated_zst_and_zip(write):
    import zstandard

    data = zstandard.ZstdCompressor().compress(CSV * 5000 + bytes(range(256)))
    with pytest.raises(DataError, match=r"ends too early|damaged"):
        read(write("a.csv.zst", data[: len(data) // 2]))
    with pytest.raises(DataError, match="damaged"):
        read(write("a.zip", zipped({"a.csv": CSV * 100})[:80]))


def test_D28_damaged_gzip(write):
    data = bytearray(gzip.compress(CSV * 1000))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(DataError, match=r"damaged|too early"):
        read(write("a.csv.gz", bytes(data)))


@pytest.mark.parametrize("kind", ["gz", "zip", "zst"])
def test_D28_decompression_bombs_stop_early(write, kind):
    import zstandard

    zeros = bytes(64 << 20)
    packed = {
        "gz": lambda: gzip.compress(zeros),
        "zip": lambda: zipped({"a.csv": zeros}),
        "zst": lambda: zstandard.ZstdCompressor().compress(zeros),
    }[kind]()
    with pytest.raises(DataError, match="bomb"):
        read(write(f"a.{kind}", packed))


def test_D28_a_million_members_are_refused_from_the_directory_record(write):
    data = zipped({"a.csv": CSV})
    at = data.rfind(b"PK\x05\x06")
    many = data[:at] + b"PK\x06\x06" + struct.pack("<QHHIIQQ", 44, 45, 45, 0, 0, 10**6, 10**6) + data[at:]
    with pytest.raises(DataError, match="more than 100000 files"):
        read(write("a.zip", many))


def test_D28_many_members_by_count(write, monkeypatch):
    monkeypatch.setattr(sources, "MAX_ENTRIES", 20)
    with pytest.raises(DataError, match="more than 20 files"):
        read(write("a.zip", zipped({f"{i}.txt": b"x" for i in range(30)})))


@pytest.mark.parametrize("name", ["../a.csv", "/etc/a.csv", "x/../../a.csv", "..\\a.csv", "C:\\a.csv"])
def test_D28_members_that_point_outside(write, tmp_path, name):
    with pytest.raises(DataError, match="outside"):
        read(write("in/a.zip", zipped({name: CSV})))
    with pytest.raises(DataError, match="outside"):
        read(write("in/a.tar", tarred(tarfile.TarInfo(name))))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "a.zip", "in"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_D28_links_in_tar_files(write, kind):
    link = tarfile.TarInfo("a.csv")
    link.type, link.linkname = kind, "/etc/passwd"
    with pytest.raises(DataError, match="link or device"):
        read(write("a.tar", tarred(link)))


def test_D28_links_in_zip_files(write):
    info = zipfile.ZipInfo("a.csv")
    info.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="link"):
        read(write("a.zip", buffer.getvalue()))


def test_archives_in_archives_are_refused(write):
    with pytest.raises(DataError, match="archive inside"):
        read(write("a.zip", zipped({"b.zip": zipped({"a.csv": CSV})})))


@pytest.mark.parametrize(
    ("content", "word"), [(b"\x89PNG\r\n\x1a\n", "picture"), (b"\x80\x04\x95abc", "pickle"), (b"SQLite format 3\0", "database")]
)
def test_other_files_are_named_for_what_they_are(write, content, word):
    with pytest.raises(DataError, match=word):
        read(write("a.csv", content + b"\x00" * 100))
