"""A look into large files without reading them whole."""

import gzip
import json
import time

import pytest

from oneloop.read import read, sample


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A csv file of 100 MB whose rows name their number."""
    path = tmp_path_factory.mktemp("big") / "big.csv"
    filler = "words " * 15
    with path.open("w") as file:
        file.write("text,label\n")
        for start in range(0, 1_000_000, 10_000):
            file.write("".join(f"row {i + 1} {filler},{'ab'[i % 2]}\n" for i in range(start, start + 10_000)))
    return path


def test_a_hundred_megabytes_in_a_second(big):
    assert big.stat().st_size > 100e6
    start = time.perf_counter()
    table = sample(big, rows=200)
    assert time.perf_counter() - start < 1.0
    assert 150 <= len(table) <= 200 and table.sampled and any("sample" in note for note in table.notes)
    for i, row in enumerate(table):
        at = table.origin(i)
        assert row["text"].startswith(f"row {at.row} ") and at.line == at.row + 1
    assert len({at // 100_000 for at in (table.origin(i).row for i in range(len(table)))}) >= 4


def test_the_same_rows_every_time(big):
    assert [row["text"] for row in sample(big, rows=50)] == [row["text"] for row in sample(big, rows=50)]


@pytest.mark.parametrize("ending", ["jsonl", "json", "txt", "conll", "csv.gz", "parquet"])
def test_other_large_files(tmp_path, ending):
    rows = [{"text": f"row {i + 1} " + "words " * 20, "label": "ab"[i % 2]} for i in range(40_000)]
    path = tmp_path / f"big.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif ending == "json":
        path.write_text(json.dumps({"data": rows}))
    elif ending == "txt":
        path.write_text("".join(row["text"] + "\n" for row in rows))
    elif ending == "conll":
        path.write_text("".join("".join(f"{word} O\n" for word in row["text"].split()[:15]) + "x B-A\n\n" for row in rows))
    elif ending == "csv.gz":
        path.write_bytes(gzip.compress(("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows)).encode()))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(
            pa.Table.from_pylist([row | {"text": row["text"] * 20 + str(i)} for i, row in enumerate(rows)]), path, compression="none"
        )
    start = time.perf_counter()
    table = sample(path, rows=100)
    assert time.perf_counter() - start < 2.5
    assert 50 <= len(table) <= 100 and table.sampled
    assert table.format == {"csv.gz": "csv"}.get(ending, ending)


def test_small_files_are_read_whole(write):
    content = "text,label\n" + "".join(f"t{i},x\n" for i in range(1000))
    table = sample(write("a.csv", content), rows=100)
    assert len(table) == 100 and [row["text"] for row in table][:50] == [f"t{i}" for i in range(50)]
    assert all(row["text"] == f"t{table.origin(i).row - 1}" for i, row in enumerate(table))
    assert not sample(write("b.csv", "text,label\na,x\n")).sampled


def test_bad_rows_are_told_and_not_raised(write):
    assert len(sample(write("a.csv", "text,label\na,x\nb,y,z\n")).problems) == 1


def test_folders(write, tmp_path):
    write("d/train.csv", "text,label\na,x\n")
    write("d/test.csv", "text,label\nb,x\nc,y\n")
    assert list(sample(tmp_path / "d")) == list(read(tmp_path / "d"))


def test_C022_the_rows_to_look_at_are_the_same_each_time_and_spread(tmp_path):
    from oneloop.read import sample

    path = tmp_path / "d.csv"
    path.write_text("text,label\n" + "".join(f"day number {i},{i % 2}\n" for i in range(3000)))
    first, again = sample(path, rows=20), sample(path, rows=20)
    assert list(first) == list(again) and len(first) == 20 and first.sampled
    numbers = [first.origin(i).row for i in range(20)]
    assert numbers[:10] == list(range(1, 11)) and numbers == sorted(set(numbers)) and max(numbers) > 1000
    assert all(first[i]["text"] == f"day number {number - 1}" for i, number in enumerate(numbers))
