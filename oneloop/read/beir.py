"""BEIR folders: a corpus, queries, and which passages answer which query.

In:  corpus.jsonl, queries.jsonl, qrels/*.tsv (packed or not)
Out: for each split a Table of judged pairs: query_id, query, passage_id, passage, title, relevance; `related` holds the
     whole corpus and all queries
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from oneloop.errors import DataError, Problem
from oneloop.read.files import Options, read_part
from oneloop.read.table import Cells, Table

if TYPE_CHECKING:
    from oneloop.read.folders import Item

LAYOUT = "corpus.jsonl, queries.jsonl and qrels/test.tsv"
COLUMNS = ["query_id", "query", "passage_id", "passage", "title", "relevance"]


def is_beir(paths: Sequence[PurePosixPath]) -> bool:
    """Whether a folder has BEIR's layout: two of a corpus, queries and qrels; the third may be missing."""
    stems = {path.name.split(".", 1)[0] for path in paths if path.name != "qrels"}
    return len(stems & {"corpus", "queries"}) + any("qrels" in path.parts for path in paths) >= 2


def read_beir(items: Sequence[Item], name: str, options: Options) -> dict[str, Table]:
    """The judged pairs of each split; {"train": corpus} if nothing is judged. Qrels that name an unknown query or passage are
    problems."""
    files = {item.stem: item for item in items if "qrels" not in item.path.parts}
    if "corpus" not in files:
        raise DataError(
            "has queries and judgements, and no corpus", where=name, expected=LAYOUT, fix="put corpus.jsonl beside queries.jsonl"
        )
    whole = Options(encoding=options.encoding, whole=options.whole)
    corpus = read_part(files["corpus"].part, whole)
    queries = read_part(files["queries"].part, whole) if "queries" in files else None
    qrels = {item.split() or "test": item for item in items if "qrels" in item.path.parts or item.stem == "qrels"}
    related = {"corpus": corpus} | ({"queries": queries} if queries is not None else {})
    if not qrels or queries is None:
        if qrels:
            remedy = "put queries.jsonl beside corpus.jsonl, or take the qrels away"
            corpus.problems.append(Problem("the folder has judgements (qrels), and no queries", remedy, file=name))
        corpus.format = "beir"
        corpus.related = related
        return {"train": corpus}
    passages, asked = _by_id(corpus), _by_id(queries)
    tables: dict[str, Table] = {}
    for split in ("train", "validation", "test"):
        if split in qrels:
            judged = read_part(qrels[split].part, Options(max_rows=options.max_rows))
            tables[split] = _pairs(judged, asked, passages)
            tables[split].related = related
    first = next(iter(tables.values()))
    first.notes += [*corpus.notes, *queries.notes, f"{name}: {len(corpus)} passages, {len(queries)} queries"]
    first.problems += [*corpus.problems, *queries.problems]
    return tables


def _by_id(table: Table) -> dict[str, Cells]:
    key = next((name for name in ("_id", "id", "doc_id", "docid", "pid", "qid") if name in table.columns), None)
    if key is None:
        raise DataError("has no column _id", where=table.file, expected='lines like {"_id": "7", "text": "…"}')
    return {str(row[key]): row for row in table if key in row}


def _pairs(judged: Table, queries: dict[str, Cells], passages: dict[str, Cells]) -> Table:
    rows: list[Cells] = []
    numbers, lines = array("q"), array("q")
    problems = list(judged.problems)
    query_key, passage_key, score_key = _judgement_columns(judged)
    for i, row in enumerate(judged):
        query, passage = str(row[query_key]), str(row[passage_key])
        faults = [f"there is no query '{query}'"] if query not in queries else []
        faults += [f"there is no passage '{passage}'"] if passage not in passages else []
        cell = str(row[score_key]) if score_key else "1"
        relevance = _relevance(cell)
        if relevance is None:
            faults.append(f"the relevance {cell[:40]!r} is not a whole number")
        if faults:
            problems += [judged.problem(i, fault, "correct the id or remove the line") for fault in faults]
            continue
        found, at = passages[passage], judged.origin(i)
        words = (query, queries[query].get("text", ""), passage, found.get("text", ""), found.get("title", ""), relevance)
        rows.append(dict(zip(COLUMNS, words)))
        numbers.append(at.row)
        lines.append(at.line or 0)
    table = Table(rows, COLUMNS, file=judged.file, format="beir", numbers=numbers, lines=lines)
    table.problems, table.notes = problems, list(judged.notes)
    return table


def _judgement_columns(judged: Table) -> tuple[str, str, str | None]:
    """The columns of a qrels file: with a header by name, without (TREC: query 0 passage score) by place."""
    columns = judged.columns
    if "query-id" in columns and "corpus-id" in columns:
        return "query-id", "corpus-id", "score" if "score" in columns else None
    if len(columns) == 4:
        return columns[0], columns[2], columns[3]
    if len(columns) < 2:
        raise DataError(
            "is not a qrels file", [Problem(f"columns {', '.join(columns)}", file=judged.file)], expected="query-id, corpus-id, score"
        )
    return columns[0], columns[1], columns[2] if len(columns) > 2 else None


def _relevance(cell: str) -> int | None:
    try:
        return int(cell)
    except ValueError:
        return None
