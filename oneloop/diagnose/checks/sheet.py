"""Rows worth labelling first, as a spreadsheet to fill in.

In:  texts without labels. Out: positions of N texts that are unlike each other; a CSV file that no spreadsheet runs as formulas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oneloop.commit import write_file
from oneloop.diagnose.checks.copies import Copies
from oneloop.diagnose.checks.finding import input_text
from oneloop.keyed import generator
from oneloop.tasks.base import Row

LOOKED_AT = 20_000  # texts chosen from; of more a sample is taken
READ = 2_000  # characters of a text that are compared
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters that spreadsheets take for a formula (OWASP, "CSV injection")


def diverse(texts: Sequence[str], count: int) -> list[int]:
    """Positions of `count` texts, most telling first: the text nearest to the middle of all, then always the one farthest from
    those chosen (k-centre greedy, Gonzalez 1985) by tf-idf; copies are chosen once. Deterministic."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    copies = Copies.of(texts, nearly=False)
    first = sorted(position for number, position in copies.rows_of(range(len(texts))).items() if copies.keys[number])
    if len(first) > LOOKED_AT:
        first = sorted(generator("sheet", len(first)).choice(first, LOOKED_AT, replace=False).tolist())
    if len(first) <= count:
        return first
    matrix = TfidfVectorizer(sublinear_tf=True, max_features=30_000, dtype=np.float32, token_pattern=r"(?u)\b\w+\b").fit_transform(
        [texts[i][:READ] for i in first]
    )
    middle = np.asarray(matrix.mean(axis=0)).ravel()
    chosen = [int(np.argmax(matrix @ middle))]
    nearest = np.asarray((matrix @ matrix[chosen[0]].T).todense()).ravel()
    while len(chosen) < count:
        nearest[chosen[-1]] = np.inf
        following = int(np.argmin(nearest))
        chosen.append(following)
        nearest = np.maximum(nearest, np.asarray((matrix @ matrix[following].T).todense()).ravel())
    return [first[i] for i in chosen]


def harmless(cell: str) -> str:
    """A cell as a spreadsheet shows it and never runs it: a leading formula sign gets an apostrophe before it."""
    return "'" + cell if cell.startswith(FORMULA) else cell


def write_sheet(rows: Sequence[Row], count: int, path: Path, roles: Sequence[str], blank: Sequence[str] = ("label",)) -> tuple[Path, int]:
    """Write `count` diverse rows with an empty column for each of `blank`; (where it was written, how many). Nothing is
    overwritten: a taken name gets a number."""
    chosen = [rows[i] for i in diverse([input_text(row, roles) for row in rows], count)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["id", "file", "row", *roles, *blank])
    for row in chosen:
        cells = [str(row["id"]), str(row["file"]), str(row["row"]), *(input_text(row, (role,)) for role in roles)]
        writer.writerow([harmless(cell) for cell in cells] + [""] * len(blank))
    free, number = path, 2
    while free.exists():
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return write_file(free, "\ufeff" + text.getvalue()), len(chosen)
