"""The development sets read right: row counts against independent counts, and the traps their README names."""

import csv
import json
from pathlib import Path

import pytest

from oneloop.read import read, read_splits
from oneloop.read.schemes import detect_scheme, to_bio

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the development sets are not there")


def files(*patterns):
    return sorted(path.relative_to(DATA).as_posix() for pattern in patterns for path in DATA.glob(pattern)) if DATA.is_dir() else []


@pytest.mark.parametrize("name", files("*/**/*.csv"))
def test_csv_files(name):
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        expected = list(csv.reader(file))[1:]
    table = read(DATA / name)
    assert [list(row.values()) for row in table] == expected
    lines = (DATA / name).read_bytes().decode().split("\n")
    for i in (0, len(table) // 2, len(table) - 1):
        assert next(iter(table[i].values())).split("\n")[0][:20] in lines[table.origin(i).line - 1].replace('""', '"')


@pytest.mark.parametrize("name", files("*/**/*.jsonl"))
def test_jsonl_files(name):
    expected = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").split("\n") if line.strip()]
    assert list(read(DATA / name)) == expected


@pytest.mark.parametrize("name", files("*/**/*.conll"))
def test_conll_files(name):
    blocks = [block.split("\n") for block in (DATA / name).read_text(encoding="utf-8").strip("\n").split("\n\n")]
    blocks = [[line for line in block if line.strip()] for block in blocks]
    table = read(DATA / name)
    assert [len(row["tokens"]) for row in table] == [len(block) for block in blocks if block]
    assert all(len(row["tokens"]) == len(row["tags"]) for row in table)


@pytest.mark.parametrize("name", files("*/squad*/*.json", "quick/qa/*/*.json"))
def test_squad_files(name):
    if "ambiguous" in name or "golden" in name:
        pytest.skip("a list of ids")
    document = json.loads((DATA / name).read_text(encoding="utf-8"))
    expected = [(qa["id"], p["context"], len(qa["answers"])) for a in document["data"] for p in a["paragraphs"] for qa in p["qas"]]
    assert [(row["id"], row["context"], len(row["answers"]["text"])) for row in read(DATA / name)] == expected


@pytest.mark.parametrize("name", files("*/**/*.tsv", "bench/tatoeba_en_fr/fra.txt"))
def test_tab_separated_files(name):
    lines = (DATA / name).read_bytes().decode().rstrip("\n").split("\n")
    table = read(DATA / name)
    header = 0 if name.endswith("fra.txt") else 1
    assert ["\t".join(row.values()) for row in table] == lines[header:]


@pytest.mark.parametrize("name", files("quick/lm/*/*.txt", "bench/*/input.txt", "bench/wikitext2_valid_test/*.txt"))
def test_text_files(name):
    expected = [line for line in (DATA / name).read_bytes().decode().replace("\r\n", "\n").split("\n") if line.strip()]
    assert read(DATA / name).column("text") == expected


@pytest.mark.parametrize("name", files("quick/retrieval/*", "bench/squad_retrieval"))
def test_beir_folders(name):
    splits = read_splits(DATA / name)
    for split, table in splits.items():
        assert len(table) == len((DATA / name / "qrels" / f"{split}.tsv").read_text().strip().split("\n")) - 1
    corpus = (DATA / name / "corpus.jsonl").read_text(encoding="utf-8").strip().split("\n")
    assert len(splits["test"].related["corpus"]) == len(corpus)


def test_every_quick_set_has_three_splits():
    for folder in sorted(DATA.glob("quick/*/*/")):
        if not folder.name.startswith(("_", ".")) and "_licenses" not in folder.parts:
            assert set(read_splits(folder)) == {"train", "validation", "test"}, folder


def test_C027_wikigold_without_b_tags_becomes_its_iob2_twin():
    old, new = (read(DATA / f"bench/wikigold/all_{name}.conll").column("tags") for name in ("iob1_original", "iob2"))
    scheme = detect_scheme(old)
    assert detect_scheme(new) == "IOB2" and [to_bio(tags, scheme) for tags in old] == new
