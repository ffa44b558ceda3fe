"""Measure the diagnosis of data on public sets written in every awkward way: other names, orders, delimiters, encodings, layouts.

    python bench/diagnose/variants.py [--data ../shared/data] [--rows 150] [--only SET]

Each set is read once; from its rows a file is made for each change, always the same. A file counts as right for its task, and
for its columns if every role of the set is found in its own column and none in another. Prints a table by set and by change,
and every miss.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneloop.diagnose import diagnose
from oneloop.read import read

BARE = ("causal-lm", "masked-lm")  # a bare text is for either: the diagnosis asks
FOREIGN = {
    "text": "Beschreibung", "label": "Kategorie", "tokens": "palabras", "tags": "etiquetas", "question": "Frage", "context": "Abschnitt",
    "answers": "réponses", "document": "Langfassung", "summary": "résumé", "source": "originale", "target": "übersetzung",
    "query": "Anfrage", "passage": "Fundstelle",
}  # fmt: skip
SETS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {  # folder: tasks that are right, {role: column as read}
    "quick/seq_cls/banking77/train.csv": (("sequence-classification",), {"text": "text", "label": "label"}),
    "quick/seq_cls/snips_intents/train.csv": (("sequence-classification",), {"text": "text", "label": "label"}),
    "quick/token_cls/wikigold/train.conll": (("token-classification",), {"tokens": "tokens", "tags": "tags"}),
    "quick/token_cls/snips_slots/train.conll": (("token-classification",), {"tokens": "tokens", "tags": "tags"}),
    "bench/sec_filings/train.conll": (("token-classification",), {"tokens": "tokens", "tags": "tags"}),
    "bench/bc5cdr/train.conll": (("token-classification",), {"tokens": "tokens", "tags": "tags"}),
    "quick/qa/squad_v1/train.json": (("question-answering",), {"question": "question", "context": "context", "answers": "answers"}),
    "quick/qa/squad_v2/train.json": (("question-answering",), {"question": "question", "context": "context", "answers": "answers"}),
    "quick/summarization/scitldr/train.jsonl": (("summarization",), {"document": "document", "summary": "summary"}),
    "quick/summarization/scitldr_titles/train.jsonl": (("summarization",), {"document": "document", "summary": "summary"}),
    "quick/translation/en-de/train.tsv": (("translation",), {"source": "en", "target": "de"}),
    "bench/tatoeba_en_fr/fra.txt": (("translation",), {"source": "0", "target": "1"}),
    "quick/retrieval/squad_passages": (("semantic-search",), {"query": "query", "passage": "passage"}),
    "quick/lm/infantry_drill_1911/train.txt": (BARE, {"text": "text"}),
    "quick/lm/tiny_shakespeare/train.txt": (BARE, {"text": "text"}),
}

Rows = list[dict[str, Any]]
Made = tuple[str, bytes, dict[str, str]]  # file name, content, {role: column}


def taken(path: Path, roles: dict[str, str], count: int) -> Rows:
    """Up to `count` rows of a set as {role: cell}, evenly over the file; a passage with the first query that finds it."""
    table = read(path)
    rows = [{role: row.get(column) for role, column in roles.items()} for row in table]
    rows = [row for row in rows if all(cell not in (None, "") for cell in row.values())]
    step = max(1, len(rows) // count)
    return rows[::step][:count]


def named(rows: Rows, names: dict[str, str]) -> Rows:
    """The rows with other column names."""
    return [{names[role]: cell for role, cell in row.items()} for row in rows]


def as_csv(rows: Rows, delimiter: str = ",", header: bool = True) -> str:
    """The rows as delimited text; lists and objects as JSON."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    if header:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow([cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in row.values()])
    return out.getvalue()


def as_lines(rows: Rows) -> str:
    """The rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def with_extras(rows: Rows, seed: str) -> Rows:
    """The rows with an id, a date, a price, an author and a flag between their columns."""
    rng = random.Random(seed)
    people = ["Ann Lee", "Bo Dahl", "Cy Fox", "Di Marsh"]
    found = []
    for i, row in enumerate(rows):
        extra = {
            "id": f"{rng.randrange(16**8):08x}",
            "created_at": f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
            "price": f"{rng.uniform(1, 900):.2f}",
            "author": rng.choice(people),
            "nr": i + 1,
        }
        keys = [*row, *extra]
        rng_order = random.Random(f"order {seed}")
        rng_order.shuffle(keys)
        found.append({key: (row | extra)[key] for key in keys})
    return found


def changes(rows: Rows, roles: list[str]) -> dict[str, Callable[[], Made]]:
    """Every change of a set, by name, made when called."""
    own = {role: role for role in roles}
    foreign = {role: FOREIGN[role] for role in roles}
    blind = {role: f"c{i + 1}" for i, role in enumerate(roles)}
    places = {role: str(i) for i, role in enumerate(roles)}
    turned = [{role: row[role] for role in reversed(roles)} for row in rows]
    text = as_csv(rows)
    western = text.encode("cp1252", "ignore")
    few = rows[:: max(1, len(rows) // 10)][:10]
    nested = [{"meta": {"nr": i}, "fields": row} for i, row in enumerate(named(rows, own))]
    mixed = with_extras(named(turned, blind), "mixed")
    within = {role: f"fields.{role}" for role in roles}
    made: dict[str, Callable[[], Made]] = {
        "role names": lambda: ("rows.csv", text.encode(), own),
        "foreign names": lambda: ("rows.csv", as_csv(named(rows, foreign)).encode(), foreign),
        "meaningless names": lambda: ("rows.csv", as_csv(named(rows, blind)).encode(), blind),
        "no header": lambda: ("rows.csv", as_csv(rows, header=False).encode(), places),
        "columns reversed": lambda: ("rows.csv", as_csv(named(turned, blind)).encode(), blind),
        "semicolons": lambda: ("rows.csv", as_csv(named(rows, foreign), ";").encode(), foreign),
        "tabs in a .txt": lambda: ("rows.txt", as_csv(named(rows, blind), "\t").encode(), blind),
        "bars in a .dat": lambda: ("rows.dat", as_csv(rows, "|").encode(), own),
        "csv in a .txt": lambda: ("rows.txt", text.encode(), own),
        "utf-16": lambda: ("rows.csv", text.encode("utf-16"), own),
        "utf-8 with BOM": lambda: ("rows.csv", text.encode("utf-8-sig"), own),
        "cp1252": lambda: ("rows.csv", western, own),
        "json lines": lambda: ("rows.jsonl", as_lines(named(rows, foreign)).encode(), foreign),
        "json lines in a .json": lambda: ("rows.json", as_lines(named(rows, blind)).encode(), blind),
        "json under a key": lambda: ("rows.json", json.dumps({"version": 1, "items": named(rows, blind)}).encode(), blind),
        "nested fields": lambda: ("rows.jsonl", as_lines(nested).encode(), within),
        "further columns": lambda: ("rows.csv", as_csv(with_extras(rows, "extra")).encode(), own),
        "further columns, no names": lambda: ("rows.jsonl", as_lines(mixed).encode(), blind),
        "ten rows": lambda: ("rows.csv", as_csv(few).encode(), own),
        "ten rows, no names": lambda: ("rows.csv", as_csv(named(few, blind)).encode(), blind),
    }
    if len(roles) == 1:  # a single column in a text file is a text whose first line is the name
        del made["tabs in a .txt"], made["csv in a .txt"]
    return made


def right_columns(found: dict[str, Any], wanted: dict[str, str], named_so: bool) -> bool:
    """Whether every role is in its column. Two languages without telling names may stand in either order."""
    found = {("answers" if role == "answer" else role): column for role, column in found.items()}
    if set(wanted) == {"source", "target"} and not named_so:
        return sorted(map(str, found.values())) == sorted(wanted.values())
    return found == wanted


def measure(data: Path, count: int, only: str = "") -> tuple[dict[str, list[bool]], dict[str, list[bool]], list[str]]:
    """Make every file of the sets in `data` and diagnose it: task right, columns right (by "all", set and change), the misses."""
    tasks: dict[str, list[bool]] = defaultdict(list)
    columns: dict[str, list[bool]] = defaultdict(list)
    misses = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (right, roles) in SETS.items():
            if only not in name:
                continue
            for change, make in changes(taken(data / name, roles, count), list(roles)).items():
                file, content, wanted = make()
                path = Path(folder) / file
                path.write_bytes(content)
                found = diagnose(data=path)
                task = not found.none and found.task in right
                column = task and right_columns(found.columns, wanted, wanted == {role: role for role in roles})
                for key in ("all", f"set {name}", f"change {change}"):
                    tasks[key].append(task)
                    columns[key].append(column)
                if not (task and column):
                    why = "; ".join(map(str, found.why))[:150]
                    misses.append(f"{name}, {change}: {found.task or found.kind} {found.columns}, not {wanted}; {why}")
    return tasks, columns, misses


def main() -> None:
    """Measure, and print the table and the misses."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "../shared/data")
    parser.add_argument("--rows", type=int, default=150)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    started = time.process_time()
    tasks, columns, misses = measure(args.data, args.rows, args.only)
    for key in sorted(tasks):
        print(f"{key:<56} task {sum(tasks[key]):>3} of {len(tasks[key]):>3}   columns {sum(columns[key]):>3} of {len(columns[key]):>3}")
    shares = [100 * sum(counts["all"]) / len(counts["all"]) for counts in (tasks, columns)]
    print(f"task {shares[0]:.1f} %, columns {shares[1]:.1f} %, {time.process_time() - started:.0f} s of processor time")
    print("\n".join(["misses:", *misses]) if misses else "no misses")


if __name__ == "__main__":
    main()
