"""Parquet, Arrow, datasets saved to disk, TMX, office files, addresses."""

import http.server
import json
import threading
from functools import partial

import pytest

from oneloop.errors import DataError
from oneloop.read import read, read_splits
from oneloop.read.hub import parse_name

ROWS = [{"id": i, "text": f"t{i}", "tags": [0, 1], "label": i % 2} for i in range(2500)]
FEATURES = {
    "label": {"names": ["no", "yes"], "_type": "ClassLabel"},
    "tags": {"feature": {"names": ["O", "B-X"], "_type": "ClassLabel"}, "_type": "List"},
}


def arrow(metadata=True):
    import pyarrow as pa

    table = pa.Table.from_pylist(ROWS)
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})}) if metadata else table


def test_C013_parquet_with_and_without_names(tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(arrow(), tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet")
    assert len(table) == 2500 and table[2001] == {"id": 2001, "text": "t2001", "tags": ["O", "B-X"], "label": "yes"}
    assert table[-1]["id"] == 2499 and [row["id"] for row in table] == list(range(2500)) and table.names["label"] == ["no", "yes"]
    pq.write_table(arrow(False), tmp_path / "b")
    assert read(tmp_path / "b")[1]["label"] == 1 and read(tmp_path / "b").origin(7).row == 8
    assert len(read(tmp_path / "b", max_rows=10)) == 10


def test_C013_feather_and_stream(tmp_path):
    import pyarrow as pa
    import pyarrow.feather as feather

    feather.write_feather(arrow(False), str(tmp_path / "a.feather"))
    with pa.ipc.new_stream(str(tmp_path / "b.arrow"), arrow().schema) as writer:
        writer.write_table(arrow())
    assert len(read(tmp_path / "a.feather")) == 2500 and read(tmp_path / "b.arrow")[3]["label"] == "yes"


def test_damaged_parquet(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(DataError, match="damaged"):
        read(tmp_path / "a.parquet")


def test_C024_datasets_saved_to_disk(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    one = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=features)
    datasets.DatasetDict({"train": one, "test": one}).save_to_disk(str(tmp_path / "d"))
    splits = read_splits(tmp_path / "d")
    assert list(splits) == ["train", "test"]
    assert list(splits["test"]) == [{"text": "a", "label": "no"}, {"text": "b", "label": "yes"}]
    assert list(read(f"hf:{tmp_path / 'd'}:test")) == list(splits["test"])


def test_hub_names():
    assert parse_name("hf:glue:mrpc:train") == ("glue", "mrpc", "train")
    assert parse_name("hf:org/name") == ("org/name", None, None)
    assert parse_name("hf:imdb:test[:100]") == ("imdb", None, "test[:100]")
    assert parse_name("hf:glue:sst2") == ("glue", "sst2", None)


TMX = """<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4"><header srclang="de"/><body>
<tu><tuv xml:lang="en"><seg>Go <bpt i="1">now</bpt>.</seg></tuv><tuv xml:lang="de"><seg>Geh.</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Stop.</seg></tuv><tuv xml:lang="de"><seg>Halt.</seg></tuv></tu>{more}</body></tmx>"""


def test_tmx(write, problems):
    table = read(write("a.tmx", TMX.replace("{more}", "")))
    assert list(table) == [{"source": "Geh.", "target": "Go now."}, {"source": "Halt.", "target": "Stop."}]
    assert "de, en" in table.notes[0]
    (problem,) = problems("b.tmx", TMX.replace("{more}", '<tu><tuv xml:lang="en"><seg>x</seg></tuv></tu>'))
    assert problem.row == 3 and "de" in problem.reason
    assert problems("c.tmx", TMX.replace("</tu>{more}", ""))[0].line is not None


def test_tmx_entity_bombs(write):
    with pytest.raises(DataError, match="entities"):
        read(write("a.tmx", '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "b">]><tmx></tmx>'))


def test_workbooks(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["text", "label", "n"], ["NA", "x", 7.0], ["a, b\nc", None, 2.5], [None, None, None], ["d", "y", True]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table = read(tmp_path / "a.xlsx")
    assert table[0] == {"text": "NA", "label": "x", "n": "7"} and table[2] == {"text": "d", "label": "y", "n": "true"}
    assert table[1]["label"] == "" and table.origin(2).line == 5
    book.create_sheet("more").append(["x"])
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match="several sheets"):
        read(tmp_path / "b.xlsx")


def test_a_sheet_with_a_title_above_its_header(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["Customer survey"], ["as of May"], [], ["id", "text", "label"]] + [[i, f"text {i} here", "ab"[i % 2]] for i in range(8)]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table = read(tmp_path / "a.xlsx")
    assert table.columns == ["id", "text", "label"] and len(table) == 8 and table.origin(0).line == 5
    assert any("2 rows above the header" in note for note in table.notes)


def test_documents_and_pages(write, tmp_path):
    docx = pytest.importorskip("docx")
    document = docx.Document()
    for text in ("First.", "", "Second."):
        document.add_paragraph(text)
    document.save(tmp_path / "a.docx")
    assert read(tmp_path / "a.docx").column("text") == ["First.", "Second."]
    page = "<html><head><title>t</title><style>x</style></head><body><p>One &amp;\n two</p>"
    page += "<div>Three<br>four</div><script>no()</script></body></html>"
    assert read(write("a.html", page)).column("text") == ["One & two", "Three", "four"]


def test_pdf_without_text_is_called_a_scan(tmp_path):
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter()
    writer.add_blank_page(72, 72)
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(DataError, match="scan"):
        read(tmp_path / "a.pdf")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.end_headers()
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"text,label\n")
        else:
            super().do_GET()

    def log_message(self, *args):
        return


@pytest.fixture
def server(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_C014_addresses(server, write):
    import gzip

    write("a.csv", "text,label\na,x\n")
    write("b.csv.gz", gzip.compress(b"text,label\na,x\nb,y\n"))
    assert list(read(f"{server}/a.csv")) == [{"text": "a", "label": "x"}] and len(read(f"{server}/b.csv.gz")) == 2
    with pytest.raises(DataError, match="404"):
        read(f"{server}/none.csv")
    with pytest.raises(DataError, match="ended after"):
        read(f"{server}/cut")


def test_X11_addresses_that_only_this_machine_sees(server):
    with pytest.raises(DataError, match="link-local"):
        read("http://169.254.169.254/latest/meta-data")
    with pytest.raises(DataError, match=r"link-local|inside"):
        read(f"{server}/away")
