"""What goes wrong between and inside the splits: leaks, copies, contradictions, ids, columns.

In:  `Data`. Out: findings; `leaks` gives the rows of one split that another gives away.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from oneloop.diagnose.checks.copies import Copies, input_parts, normalise
from oneloop.diagnose.checks.finding import (
    BIASES,
    LOOK,
    TEST,
    TRAIN,
    VALIDATION,
    Data,
    Finding,
    about,
    as_text,
    brief,
    one,
    percent,
    shorten,
)
from oneloop.errors import did_you_mean
from oneloop.read.roles import repeated_ids as shared_ids
from oneloop.tasks.base import Row

SPEAKS, WORDS = 4, 3  # words from which equal texts without a target, and equal tagged rows, are a leak: `Exit.` and `2 .` repeat
SPOKEN = re.compile(r"\w+")
BARE = 0.01  # share of the characters of bare text that leaked lines must make up to bias a score
VERY_NEAR = 0.9  # similarity from which nearly equal rows make a score doubtful
FEW = 0.01  # share of rows from which repetition inside a split is told
TRIFLE = 0.001  # share of rows under which a leak or a contradiction is named, but no score hangs on it
MANY = 0.05  # share of very near rows from which a score is biased


@dataclass
class Found:
    """The copies among all rows of a `Data`: `rows` and their split `names`, in one order, and the `Copies` of their inputs."""

    rows: list[Row]
    names: list[str]
    texts: list[str]
    copies: Copies

    @classmethod
    def of(cls, data: Data, *, nearly: bool = True) -> Found:
        """Compare the inputs of all rows; without a target, texts too short to say anything are left out."""
        rows, names, texts = [], [], []
        bare = not set(data.target_roles) - set(data.input_roles)
        for name, group in data.splits.items():
            asked: set[str] = set()  # a query stands in a row for each of its judgements
            for row, text in zip(group, data.texts[name]):
                least = SPEAKS if bare and text.isascii() else WORDS if "tags" in row else 0
                short = least > 0 and len(SPOKEN.findall(text[:200])) < least
                if text.strip() and not short and text not in asked:
                    rows.append(row)
                    names.append(name)
                    texts.append(text)
                    if "query" in row:
                        asked.add(text)
        return cls(rows, names, texts, Copies.of(*input_parts(rows, data.input_roles), nearly=nearly))

    def of_split(self, name: str) -> list[int]:
        """Positions of the rows of one split."""
        return [i for i, other in enumerate(self.names) if other == name]

    def size(self, data: Data, name: str) -> int:
        """Rows of a split; where a query stands in several rows, its queries."""
        return len(self.of_split(name)) if "query" in data.roles else len(data.splits[name])

    def leaks(self, name: str, source: str) -> tuple[list[tuple[int, int]], list[tuple[int, int, float]]]:
        """Rows of split `name` that `source` holds too: (row, its partner) for equal, (row, partner, similarity) for near."""
        first = self.copies.rows_of(self.of_split(source))
        equal, near = [], []
        for i in self.of_split(name):
            number = self.copies.ids[i]
            if number in first:
                equal.append((i, first[number]))
                continue
            best = max(((v, -j) for j, v in self.copies.near.get(number, {}).items() if j in first), default=None)
            if best is not None:
                near.append((i, first[-best[1]], best[0]))
        return equal, near


def duplicates(data: Data, found: Found | None = None) -> Iterator[Finding]:
    """Copies across splits (leaks) and inside them, and equal inputs with different targets."""
    found = found or Found.of(data)
    order = [name for name in (TEST, VALIDATION) if name in data.splits]
    order += [name for name in data.splits if name not in (TRAIN, VALIDATION, TEST)]
    for name in order:
        for source in (TRAIN, VALIDATION):
            if source in data.splits and source != name:
                yield from _leak_findings(data, found, name, source)
    for name in data.splits:
        yield from _inside(data, found, name)
    yield from _contradictions(data, found)


def _leak_findings(data: Data, found: Found, name: str, source: str) -> Iterator[Finding]:
    equal, near = found.leaks(name, source)
    size = found.size(data, name)
    score = f"a score on {name} counts memory as skill" if source == TRAIN else f"{source} rows choose the model and are scored again"
    remedy = f"remove them from {name}{{fix}} or from {source}, or give the score with and without them (oneloop.diagnose.check.leaked)"
    if equal:
        rows, partners = [found.rows[i] for i, _ in equal], [found.rows[j] for _, j in equal]
        message = f"{{count}} {name} rows ({{share}}) are in {source} too, but for case, spaces and punctuation: {score}"
        shown = [_pair(found, i, j) for i, j in equal]
        bare = not set(data.target_roles) - set(data.input_roles)
        few = sum(len(found.texts[i]) for i, _ in equal) < BARE * sum(map(len, data.texts[name]))
        more: dict[str, Any] = {"examples": shown, "partners": partners, "source": source, "fixable": True, "split": name}
        few = few if bare else len(rows) < TRIFLE * size
        remedy_now = remedy.replace("{fix}", " (--fix moves them out)")
        yield about("leaked-rows", LOOK if few else BIASES, rows, size, message, remedy_now, **more)
    if near and source == TRAIN:
        rows, partners = [found.rows[i] for i, _, _ in near], [found.rows[j] for _, j, _ in near]
        close = sum(value >= VERY_NEAR for _, _, value in near)
        severity = BIASES if close >= max(2, MANY * size) else LOOK
        message = f"{{count}} {name} rows ({{share}}) are nearly the same as a row of {source} ({close:,} of them at least 90 % alike)"
        shown = [f"{value:.2f} {_pair(found, i, j)}" for i, j, value in sorted(near, key=lambda item: (-item[2], item[0]))]
        similar: dict[str, Any] = {"similarity": [round(value, 3) for _, _, value in near], "source": source}
        yield about(
            "near-leaked-rows",
            severity,
            rows,
            size,
            message,
            remedy.replace("{fix}", ""),
            examples=shown,
            partners=partners,
            split=name,
            **similar,
        )


def _pair(found: Found, i: int, j: int) -> str:
    (file, row), (other, number) = brief(found.rows[i]), brief(found.rows[j])
    same = "" if normalise(found.texts[i]) == normalise(found.texts[j]) else f" ~ {shorten(found.texts[j], 40)}"
    return f"{file} {row} = {other} {number}: {shorten(found.texts[i], 40)}{same}"


def target_key(row: Row, roles: Sequence[str]) -> str:
    """What is to be predicted for a row, as one comparable text."""
    return json.dumps([row.get(role) for role in roles], ensure_ascii=False, sort_keys=True, default=str)


def _inside(data: Data, found: Found, name: str) -> Iterator[Finding]:
    """Copies inside one split. In a file that is still to be split, rows with one input land on both sides."""
    positions = found.of_split(name)
    size = found.size(data, name)
    first = found.copies.rows_of(positions)
    again = [i for i in positions if first[found.copies.ids[i]] != i]
    targets = tuple(role for role in data.target_roles if role not in data.input_roles)
    earlier = {i: first[found.copies.ids[i]] for i in again}
    whole = [i for i in again if not targets or target_key(found.rows[i], targets) == target_key(found.rows[earlier[i]], targets)]
    if whole:
        shown = [_pair(found, i, earlier[i]) for i in whole]
        partners = [found.rows[earlier[i]] for i in whole]
        rows = [found.rows[i] for i in whole]
        severity = BIASES if name != TRAIN and len(data.splits) > 1 and len(whole) > 0.05 * size else LOOK
        message = f"{{count}} {name} rows ({{share}}) repeat an earlier row" + (" with the same target" if targets else "")
        remedy = "one copy is enough" + (": --fix removes the others from train" if targets else "") if name == TRAIN else "count them once"
        more: dict[str, Any] = {"examples": shown, "partners": partners, "fixable": name == TRAIN and bool(targets)}
        yield about("duplicate-rows", severity, rows, size, message, remedy, split=name, **more)
    if len(data.splits) == 1 and len(again) >= max(2, FEW * size):
        sharing = Counter(found.copies.ids[i] for i in positions)
        rows = [found.rows[i] for i in positions if sharing[found.copies.ids[i]] > 1]
        message = "{count} rows ({share}) share their input with another row: a plain random split puts them on both sides and leaks"
        remedy = "split by input (training here keeps equal inputs on one side), never row by row"
        shown = [_pair(found, i, earlier[i]) for i in again]
        yield about("repeated-inputs", BIASES if len(rows) > MANY * size else LOOK, rows, size, message, remedy, examples=shown, split=name)
    near = [i for i in positions if any(j in first for j in found.copies.near.get(found.copies.ids[i], ()))]
    if len(near) >= max(2, FEW * size) and (name == TRAIN or len(data.splits) == 1):
        partners = [found.rows[first[next(j for j in found.copies.near[found.copies.ids[i]] if j in first)]] for i in near]
        message = f"{{count}} {name} rows ({{share}}) are nearly the same as another row of {name}"
        remedy = "look at some: if they are copies with small edits, keep one of each and keep the rest out of test"
        rows = [found.rows[i] for i in near]
        shown = [found.texts[i] for i in near]
        yield about("near-duplicate-rows", LOOK, rows, size, message, remedy, partners=partners, split=name, examples=shown)


def _contradictions(data: Data, found: Found) -> Iterator[Finding]:
    """Equal inputs whose labels, tags, spans or answers differ. Free text (summaries, translations) may well differ."""
    fixed = tuple(role for role in ("label", "labels", "score", "tags", "spans") if role in data.target_roles)
    if not fixed:
        return
    groups: dict[Any, list[int]] = {}
    for i, number in enumerate(found.copies.ids):
        row = found.rows[i]
        if all(role in row for role in fixed):
            same = (number, " ".join(row["tokens"])) if "tags" in row and "tokens" in row else number  # tags need the very same words
            groups.setdefault(same, []).append(i)
    bad: list[int] = []
    shown = []
    for members in groups.values():
        keys = {target_key(found.rows[i], fixed) for i in members}
        if len(members) > 1 and len(keys) > 1:
            bad.extend(members)
            said = list(dict.fromkeys(as_text(found.rows[i][fixed[0]]) for i in members))
            shown.append(f"{shorten(found.texts[members[0]], 50)}: {shorten(' / '.join(said), 60)}")
    if bad:
        rows = [found.rows[i] for i in sorted(bad)]
        other = f"other {fixed[0]}" if fixed[0].endswith("s") else f"another {fixed[0]}"
        message = f"{{count}} rows ({{share}}) have an input that also stands with {other} ({len(shown):,} different inputs)"
        remedy = "decide which is right and correct the others; a model cannot learn both"
        severity = LOOK if len(rows) < TRIFLE * len(found.rows) else BIASES
        yield about("contradicting-labels", severity, rows, len(found.rows), message, remedy, examples=shown)


def repeated_ids(data: Data) -> Iterator[Finding]:
    """Ids given to more than one row of a split, in a column that is called so and otherwise tells the rows apart."""
    for name, table in data.tables.items():
        used = {column for column in data.mapped.values() if isinstance(column, str)}
        for column, again in shared_ids(table, used):
            told = [f"{table[i][column]}: rows {table.origin(j).row} and {table.origin(i).row}" for i, j in again]
            message = f"{len(again):,} {name} rows have an id in {column} that an earlier row has too"
            finding = Finding("duplicate-ids", LOOK, one(message) if len(again) == 1 else message, "give every row an id of its own")
            finding.count, finding.share, finding.split, finding.examples = len(again), len(again) / len(table), name, told[:5]
            finding.rows = [(at.file, at.row) for at in (table.origin(i) for i, _ in again)]
            finding.partners = [(at.file, at.row) for at in (table.origin(j) for _, j in again)]
            yield finding


def shared_keys(data: Data) -> Iterator[Finding]:
    """Values of columns that name a document (titles, links, ids) and stand in training and in another split: one document on
    both sides, even where its text was changed. Only columns whose values hardly ever repeat inside a split."""
    used = {name for column in data.mapped.values() for name in ([column] if isinstance(column, str) else column)}
    if TRAIN not in data.tables:
        return
    train = data.tables[TRAIN]
    for column in [name for name in train.columns if name not in used and not ("tokens" in data.roles and name == "text")][:20]:
        known = _names(train, column)
        for name, table in data.tables.items():
            if name == TRAIN or column not in table.columns or not known:
                continue
            own = _names(table, column)
            both = [value for value in own if value in known]
            if not both or len(both) > 0.5 * len(own):
                continue
            share = percent(len(both), len(own))
            message = f"{len(both):,} {name} rows ({share}) have a {column} that train has too: one document on both sides"
            finding = Finding(
                "shared-keys", BIASES, one(message) if len(both) == 1 else message, f"split by {column}, or look whether these rows leak"
            )
            finding.count, finding.share, finding.split, finding.numbers = len(both), len(both) / len(own), name, {"column": column}
            finding.rows = [(at.file, at.row) for at in (table.origin(own[value]) for value in both)]
            finding.partners = [(at.file, at.row) for at in (train.origin(known[value]) for value in both)]
            finding.examples = [shorten(value) for value in both[:5]]
            yield finding


def _names(table: Any, column: str) -> dict[str, int]:
    """{value: its first row} of a column of names; {} if values repeat, are numbers, or are too short to name anything."""
    values = table.column(column)
    if not values or not all(value is None or isinstance(value, str) for value in values[:1000]):
        return {}
    first: dict[str, int] = {}
    filled = 0
    for i, value in enumerate(values):
        if isinstance(value, str) and len(value) >= 6 and not value.isdigit():
            filled += 1
            first.setdefault(value.strip(), i)
    return first if filled >= 0.9 * len(values) and len(first) >= 0.95 * filled else {}


def column_differences(data: Data) -> Iterator[Finding]:
    """Columns that some splits have and others lack, with the nearest name."""
    if len(data.columns) < 2:
        return
    reference = TRAIN if TRAIN in data.columns else next(iter(data.columns))
    for name, columns in data.columns.items():
        if name == reference:
            continue
        missing = [column for column in data.columns[reference] if column not in columns]
        extra = [column for column in columns if column not in data.columns[reference]]
        if not missing and not extra:
            if columns != data.columns[reference]:
                yield Finding(
                    "reordered-columns",
                    LOOK,
                    f"{name} has the columns of {reference} in another order: {', '.join(columns)}",
                    "columns are matched by name; nothing to do if there is a header",
                    split=name,
                )
            continue
        told = [f"'{column}' is missing" + did_you_mean(column, extra) for column in missing]
        told += [f"'{column}' is only there" for column in extra]
        remedy = (
            "rename or add the columns so that the splits agree" if missing else "nothing to do unless the task needs them in every split"
        )
        message = f"{name} and {reference} have different columns: in {name} " + ", ".join(told)
        yield Finding("column-differences", LOOK, message, remedy, len(missing) + len(extra), split=name)
