"""Streams: rows pass one by one, in an order that can be repeated, and a stream goes on exactly where its state says."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import http.server
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import oneloop
from oneloop.errors import DataError, RecipeError, RunError
from oneloop.read import flow, read
from oneloop.read.stream import Stream


def lines(count: int, start: int = 0) -> str:
    return "".join(json.dumps({"n": i, "text": f"word {i} é"}) + "\n" for i in range(start, start + count))


def numbers(rows: Any) -> list[int]:
    return [row["n"] for row in rows]


@pytest.fixture
def hundred(write: Any) -> Path:
    return write("hundred.jsonl", lines(100))


# ---- sources ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, bz2.compress])
def test_C020_a_stream_gives_the_rows_that_reading_gives(write: Any, pack: Callable[[bytes], bytes]) -> None:
    rows = [f"{i},word {i} é" for i in range(700)]
    files = {
        "a.jsonl": lines(700),
        "a.csv": "\n".join(["n,text", *rows]) + "\n",
        "a.tsv": "\n".join(["n\ttext", *(row.replace(",", "\t") for row in rows)]) + "\n",
        "a.txt": "".join(f"This is line {i}, é\n" + "\n" * (i % 3) for i in range(700)),
    }
    for name, content in files.items():
        path = write(f"{name}.packed", pack(content.encode()))
        assert list(oneloop.stream(path)) == list(read(path)), name


def test_C020_globs_lists_and_rows_in_memory(write: Any, tmp_path: Path) -> None:
    for i in (2, 1, 3):
        write(f"part-{i}.jsonl.gz", gzip.compress(lines(10, 10 * i).encode()))
    assert numbers(oneloop.stream(str(tmp_path / "part-*.jsonl.gz"))) == list(range(10, 40))
    assert numbers(oneloop.stream([tmp_path / "part-3.jsonl.gz", tmp_path / "part-1.jsonl.gz"])) == [*range(30, 40), *range(10, 20)]
    assert numbers(oneloop.stream([{"n": 1}, {"n": 2}])) == [1, 2]
    with pytest.raises(DataError, match=r"did you mean .part-\d\.jsonl\.gz"):
        oneloop.stream(tmp_path / "part-l.jsonl.gz")
    with pytest.raises(DataError, match="is a folder"):
        oneloop.stream(tmp_path)


def test_C020_what_must_be_seen_whole_is_read_too(write: Any) -> None:
    path = write("a.json", json.dumps([{"n": i} for i in range(600)]))
    assert numbers(oneloop.stream(path)) == list(range(600))


def test_C020_nothing_is_read_ahead_of_what_is_asked_for(write: Any) -> None:
    """The last line is broken, in a block that five rows do not reach."""
    path = write("a.jsonl.gz", gzip.compress((lines(20_000) + '{"n": \n').encode()))
    assert numbers(oneloop.stream(path).take(5)) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError) as caught:
        list(oneloop.stream(path))
    assert [(problem.file, problem.row, problem.line) for problem in caught.value.problems] == [(str(path), 20_001, 20_001)]
    told: list[str] = []
    assert len(list(oneloop.stream(path, max_bad=1, say=told.append))) == 20_000 and told == ["1 row could not be used"]


def test_C020_damaged_and_mixed_files_are_named(write: Any) -> None:
    packed = gzip.compress(lines(50_000).encode())
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz: the compressed file ends too early"):
        list(oneloop.stream(write("cut.jsonl.gz", packed[: len(packed) // 2])))
    with pytest.raises(DataError, match=r"mixed\.jsonl: is not utf-8 throughout"):
        list(oneloop.stream(write("mixed.jsonl", lines(60_000).encode() + b'{"n": 1, "text": "caf\xe9"}\n')))


class Server(http.server.BaseHTTPRequestHandler):
    """Any path is a file of JSON lines; /cut ends early, /long never stops by itself."""

    content = lines(3000).encode()
    sent = 0

    def do_GET(self) -> None:
        if self.path == "/gone.jsonl":
            self.send_error(404)
            return
        data = gzip.compress(self.content) if self.path.endswith(".gz") else self.content
        self.send_response(200)
        if not self.path.startswith("/long"):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if self.path.startswith("/cut") else data)
        while self.path.startswith("/long"):
            try:
                self.wfile.write(data)
                type(self).sent += len(data)
            except OSError:
                return

    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_C020_an_address_is_read_as_it_comes_in(address: str) -> None:
    assert numbers(oneloop.stream(f"{address}/a.jsonl")) == list(range(3000))
    assert numbers(oneloop.stream(f"{address}/a.jsonl.gz")) == list(range(3000))
    assert numbers(oneloop.stream(f"{address}/long.jsonl").skip(2999).take(2)) == [2999, 0]
    assert Server.sent < 64 << 20
    state = (rows := oneloop.stream(f"{address}/a.jsonl").skip(10)).state()
    assert next(iter(rows.resume(state))) == {"n": 10, "text": "word 10 é"}
    with pytest.raises(DataError, match="the download ended after"):
        list(oneloop.stream(f"{address}/cut.jsonl"))
    with pytest.raises(DataError, match="the server answers 404"):
        list(oneloop.stream(f"{address}/gone.jsonl"))


# ---- steps --------------------------------------------------------------------------------------------------------------------
def test_C020_map_filter_take_and_skip(hundred: Path) -> None:
    rows = oneloop.stream(hundred)
    even = rows.filter(lambda row: row["n"] % 2 == 0)
    assert numbers(even.skip(3).take(4)) == [6, 8, 10, 12]
    assert numbers(rows.map(lambda row: {"n": row["n"] * 2}).take(3)) == [0, 2, 4]
    assert numbers(rows.skip(98)) == [98, 99] and numbers(rows.skip(200)) == [] and numbers(rows.take(0)) == []
    assert numbers(rows) == list(range(100))  # a stream is not used up, nor changed by what is made of it


def test_C019_C020_where_and_clean_of_a_recipe_count_what_they_let_pass(write: Any) -> None:
    path = write("a.csv", "body,label\nI&#039;m a transformer called BERT,a\nshort,b\nthree short words,c\n,d\n")
    told: list[str] = []
    rows = oneloop.stream(path, say=told.append).rename({"body": "text"}).where("words(text) > 2").clean(["unescape", "drop-empty"])
    assert [row["text"] for row in rows] == ["I'm a transformer called BERT", "three short words"]
    assert told == [
        "where: 4 rows in, 2 out, 50.0 % kept",
        "unescape-html: 2 rows in, 2 out, 100.0 % kept, 1 changed",
        "drop-empty: 2 rows in, 2 out, 100.0 % kept",
    ]
    keyword = oneloop.stream(path).filter(lambda row: "transformer" in row["body"])
    assert len(list(keyword)) == 1 and keyword.report() == ["filter: 4 rows in, 1 out, 25.0 % kept"]


def test_C020_a_step_that_cannot_work_says_so(hundred: Path) -> None:
    rows = oneloop.stream(hundred)
    with pytest.raises(RecipeError, match="no row has a column 'label'"):
        list(rows.where("label == 'a'"))
    with pytest.raises(RecipeError, match="no row has a column called as a text is"):
        list(rows.rename({"text": "body"}).clean(["strip"]))
    with pytest.raises(RecipeError, match="a stream cannot find duplicates"):
        rows.clean(["drop-duplicates"])
    with pytest.raises(RecipeError, match="there is no cleaner 'strp'"):
        rows.clean(["strp"])
    with pytest.raises(RecipeError, match="'buffer_size' is 0"):
        rows.shuffle(0)
    with pytest.raises(RecipeError, match="2 probabilities for 3 streams"):
        rows.interleave(rows, rows, probabilities=[0.5, 0.5])


def test_C020_shuffling_is_keyed(hundred: Path) -> None:
    rows = oneloop.stream(hundred)
    once, again, other = numbers(rows.shuffle(20, seed=1)), numbers(rows.shuffle(20, seed=1)), numbers(rows.shuffle(20, seed=2))
    assert once == again != other and sorted(once) == sorted(other) == list(range(100))
    assert all(n < place + 20 for place, n in enumerate(once))  # a row cannot come before the buffer has reached it
    assert numbers(rows.shuffle(1)) == list(range(100))
    firsts = Counter(numbers(rows.shuffle(100, seed=seed).take(1))[0] for seed in range(200))
    assert len(firsts) > 70  # 200 draws from 100 give about 87 different ones


def test_C020_interleaving(write: Any) -> None:
    one, two, three = (oneloop.stream(write(f"{i}.jsonl", lines(count, i * 1000))) for i, count in ((1, 4), (2, 2), (3, 3)))
    assert numbers(one.interleave(two, three)) == [1000, 2000, 3000, 1001, 2001, 3001, 1002, 3002, 1003]
    assert numbers(one.interleave(two, three, stop="first")) == [1000, 2000, 3000, 1001, 2001, 3001, 1002]
    big, small = (oneloop.stream(write(f"{i}.jsonl", lines(2000, i * 10_000))) for i in (4, 5))
    mixed = numbers(big.interleave(small, probabilities=[0.8, 0.2], seed=7))
    share = sum(n < 50_000 for n in mixed[:1000]) / 1000
    assert 0.76 < share < 0.84 and sorted(mixed) == [*range(40_000, 42_000), *range(50_000, 52_000)]
    assert mixed == numbers(big.interleave(small, probabilities=[0.8, 0.2], seed=7))
    assert mixed != numbers(big.interleave(small, probabilities=[0.8, 0.2], seed=8))


# ---- state --------------------------------------------------------------------------------------------------------------------
def everything(folder: Path) -> Stream:
    """A stream with every step in it, made anew."""
    rows = oneloop.stream(str(folder / "a-*.jsonl.gz"), max_bad=1).filter(lambda row: row["n"] % 3)
    other = oneloop.stream(folder / "b.csv").map(lambda row: {"n": int(row["n"]), "text": row["text"]}).skip(2)
    mixed = rows.shuffle(50, seed=3).interleave(other, probabilities=[0.7, 0.3], seed=5)
    return (
        mixed.map(lambda row: row | {"words": row["text"].split()}).explode("words").where("words != 'word'").clean(["strip"]).shuffle(30)
    )


def test_C020_a_state_goes_on_with_exactly_the_rows_that_were_left(write: Any, tmp_path: Path) -> None:
    write("a-1.jsonl.gz", gzip.compress((lines(150) + "{\n" + lines(100, 150)).encode()))
    write("a-2.jsonl.gz", gzip.compress(lines(300, 250).encode()))
    write("b.csv", "n,text\n" + "".join(f"{9000 + i},word {i}\n" for i in range(80)))
    whole = everything(tmp_path)
    rows = list(whole)
    report = whole.report()
    assert len(rows) > 800
    for stop in (0, 1, 7, 100, 333, len(rows) - 5, len(rows)):
        first = everything(tmp_path)
        loop = iter(first)
        before = [next(loop) for _ in range(stop)]
        text = json.dumps(first.state())
        second = everything(tmp_path).resume(json.loads(text))
        assert before + list(second) == rows, stop
        assert second.report() == report  # what was counted before counts too
        assert json.dumps(first.state()) == text  # going on elsewhere changes nothing here


def test_C020_a_state_waits_inside_a_row_that_was_exploded() -> None:
    def made() -> Stream:
        return oneloop.stream([{"id": 1, "words": ["a", "b", "c"]}, {"id": 2, "words": ["d"]}]).explode("words")

    first = made()
    assert next(iter(first))["words"] == "a"
    assert [row["words"] for row in made().resume(first.state())] == ["b", "c", "d"]


def test_C020_a_state_of_something_else_is_refused(hundred: Path, write: Any) -> None:
    rows = oneloop.stream(hundred).shuffle(10, seed=1)
    state = rows.state()
    with pytest.raises(RunError, match="with other steps: source, shuffle 10 1"):
        oneloop.stream(hundred).shuffle(10, seed=2).resume(state)
    with pytest.raises(RunError, match=r"the state stands in .*hundred\.jsonl"):
        list(oneloop.stream(write("other.jsonl", lines(5))).shuffle(10, seed=1).resume(state))
    with pytest.raises(RunError, match="a step is added after resume"):
        rows.resume(state).take(3)
    dated = oneloop.stream(hundred).map(lambda row: row | {"day": date(2024, 1, 2)}).shuffle(10)
    next(iter(dated))
    with pytest.raises(RunError, match=r"what cannot be saved \(day: date\)"):
        dated.state()


# ---- memory -------------------------------------------------------------------------------------------------------------------
def test_C020_memory_stays_flat(tmp_path: Path) -> None:
    """100 MB pass in a process that may grow by 24 MB while they do; 30,000 of the rows kept would take more."""
    text = "a word or two " * 70
    with (tmp_path / "big.jsonl").open("w") as file:
        for i in range(100_000):
            file.write(f'{{"n": {i}, "text": "{text}{i}"}}\n')
    assert (tmp_path / "big.jsonl").stat().st_size > 95 << 20
    code = """
import resource, sys, oneloop
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rows = oneloop.stream(sys.argv[1]).where("n >= 0").clean(["lowercase"]).shuffle(2000).filter(lambda row: row["n"] % 2)
loop = iter(rows)
for _ in range(2000): next(loop)
before, count = peak(), 2000 + sum(1 for _ in loop)
assert count == 50_000, count
assert peak() - before < 24, (before, peak())
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "big.jsonl")], check=True, timeout=300)


def test_C020_packed_data_is_not_unpacked_ahead(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{i},{hashlib.sha256(str(i).encode()).hexdigest()}\n" for i in range(150_000))
    path = write("a.csv.gz", gzip.compress(("n,text\n" + rows).encode(), compresslevel=1))
    asked = 0
    first = flow._Once.read

    def counted(self: Any, size: int = -1) -> bytes:
        nonlocal asked
        asked += len(block := first(self, size))
        return block

    monkeypatch.setattr(flow._Once, "read", counted)
    assert next(iter(oneloop.stream(path)))["n"] == "0"
    assert asked < 4 << 20 < path.stat().st_size


def test_C020_quotation_marks_in_tab_separated_text_are_found_far_from_the_start(write: Any) -> None:
    rows = [f'sentence {i}\t"phrase {i}" is it' if i % 1000 == 999 else f"sentence {i}\tphrase {i}" for i in range(15_000)]
    path = write("a.tsv", "\n".join(["source\ttarget", *rows]) + "\n")
    assert list(oneloop.stream(path)) == list(read(path)) and len(list(oneloop.stream(path))) == 15_000
