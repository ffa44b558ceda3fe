"""Missing splits are made: stratified, near-identical texts and rows of one document on the same side, whatever the row order.

In:  role rows of the splits that are there
Out: role rows of train, validation and test, and a record of what was done

The side of a row follows from hash(seed, content) within its class, so shuffling the file changes nothing.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneloop import keyed
from oneloop.errors import DataError, counted, first_rows
from oneloop.read.packed import kept
from oneloop.tasks.base import Column, Row

SHARES = (0.8, 0.1, 0.1)  # training, validation, test
LabelOf = Callable[[Row], Any]
CONTENT: tuple[str, ...] = (
    "text",
    "text_pair",
    "tokens",
    "question",
    "context",
    "document",
    "source",
    "query",
    "anchor",
    "prompt",
    "messages",
)
CONTENT += ("instruction", "input")


@dataclass
class SplitRecord:
    """What was done. made: in words, "" if every split was given (the record is then false). sizes: rows of each split.
    notes: what was special."""

    made: str = ""
    seed: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.made)

    def __str__(self) -> str:
        return "; ".join([self.made, *self.notes]) if self.made else "every split was given"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


@dataclass(slots=True)
class Group:
    """Rows that stay together; `place` in [0, 1) is the hash that decides; `label` is the class it counts for."""

    rows: list[int]
    place: float
    label: str = ""

    @property
    def size(self) -> int:
        return len(self.rows)


def make_splits(
    rows_by_split: Mapping[str, Sequence[Row]],
    *,
    seed: int,
    label_of: LabelOf | None = None,
    text_of: LabelOf | None = None,
    columns: Sequence[Column] = (),
    shares: Sequence[float] = SHARES,
) -> tuple[dict[str, Sequence[Row]], SplitRecord]:
    """Train, validation and test from what is there.

    Only train: 80/10/10, or other `shares` (train, validation, test; sum 1). Train and test: 10 % of train (the share of
    validation) becomes validation. Train and validation: stays, there is no test. columns: the task's; they say which role
    is the label to stratify by and which roles are the input where label_of and text_of do not.
    label_of(row): a class name, several of them, or None, for stratifying. text_of(row): what makes two rows near-identical
    (default: the role that holds the input). Two rows give train and validation; a single row stays train.
    """
    given = {split: rows for split, rows in rows_by_split.items() if rows}
    if "train" not in given:
        raise DataError("there are no training rows", expected="rows in train", fix="name a file as train")
    record = SplitRecord(seed=seed)
    share = dict(zip(("validation", "test"), shares[1:]))
    wanted = {} if "validation" in given else {split: share[split] for split in share if split not in given and share[split] > 0}
    result = dict(given)
    if wanted:
        label_of, text_of = label_of or _label_of(columns), text_of or _text_of(columns)
        result |= divide(given["train"], wanted, seed=seed, label_of=label_of, text_of=text_of, notes=record.notes)
        percent = [f"{round(100 * part, 1):g}" for part in shares]
        one = "/".join(percent) if "test" not in given else f"{percent[1]} % of train becomes validation"
        record.made = f"{one}, by hash(seed {seed}, content)" + (", stratified by label" if label_of else "")
    elif "test" not in given:
        record.notes.append("there is no test split; scores on validation rows that chose the model say so")
    result = {split: result[split] for split in ("train", "validation", "test") if result.get(split)}
    record.sizes = {split: len(rows) for split, rows in result.items()}
    return result, record


def divide(
    rows: Sequence[Row],
    wanted: Mapping[str, float],
    *,
    seed: int,
    label_of: LabelOf | None = None,
    text_of: LabelOf | None = None,
    notes: list[str] | None = None,
) -> dict[str, Sequence[Row]]:
    """`rows` cut into train and each split in `wanted` (its share of the rows, at least one row where there are enough)."""
    notes = [] if notes is None else notes
    groups = _groups(rows, seed, text_of or content, notes)
    _label(groups, rows, label_of, notes)
    sides = _assign(groups, dict(wanted), notes)
    side_of = {index: side for group, side in zip(groups, sides) for index in group.rows}
    return {split: kept(rows, [i for i in range(len(rows)) if side_of[i] == split]) for split in ("train", *wanted)}


def _label_of(columns: Sequence[Column]) -> LabelOf | None:
    """What to stratify by: the label or labels of a task, the types among its tags or spans; None for other targets."""
    roles = [column.role for column in columns if column.target and column.role in ("label", "labels", "tags", "spans")]
    if not roles:
        return None

    def label_of(row: Row) -> Any:
        for role in roles:
            value = row.get(role)
            if role in ("label", "labels") and value is not None:
                return value
            if role == "tags" and value is not None:
                return sorted({tag.partition("-")[2] or tag for tag in value if tag != "O"})
            if role == "spans" and value is not None:
                return sorted({span["label"] for span in value})
        return None

    return label_of


def label_counts(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, int]:
    """{label: rows that hold it} for what a task's rows are stratified by, the most frequent first."""
    label_of = _label_of(columns)
    counts = Counter(name for row in rows for name in set(_names(label_of(row)))) if label_of else Counter()
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _text_of(columns: Sequence[Column]) -> LabelOf:
    """The input text of a task's rows: all its roles that are not predicted."""
    inputs = [column.role for column in columns if not column.target]
    return lambda row: content({role: row[role] for role in inputs if role in row} or row)


def content(row: Row) -> str:
    """The input text of a role row, whatever its task."""
    found = [row[role] for role in CONTENT if role in row and isinstance(row[role], str | list)]
    words = [value if isinstance(value, str) else " ".join(map(_plain, value)) for value in found]
    return "\n".join(words) or json.dumps({k: v for k, v in row.items() if k not in ("id", "row", "file")}, sort_keys=True, default=str)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def fold(text: str) -> str:
    """A text without what makes two copies look different: NFKC, case, punctuation and white space folded away. A text of
    nothing but signs is only normalised, so that not all of these are one."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    if plain.isascii():
        words = "".join(char if char.isalnum() else " " for char in plain).split()
    else:
        words = "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in plain).split()
    return " ".join(words) or plain.strip()


def _groups(rows: Sequence[Row], seed: int, text_of: LabelOf, notes: list[str]) -> list[Group]:
    """Rows joined by equal folded text or by their document, in an order that does not depend on the file's."""
    texts = [fold(str(text_of(row))) for row in rows]
    documents = [row.get("group") for row in rows]
    found = _joined(rows, texts, documents)
    if len(found) < 3 <= len(set(texts)):
        notes.append("all rows belong to one or two documents; rows of one document may be on different sides")
        found = _joined(rows, texts, [None] * len(rows))
    repeats = len(rows) - len(set(texts))
    if repeats:
        first = {text: i for i, text in reversed(list(enumerate(texts)))}
        again = [(str(rows[i].get("file", "")), rows[i].get("row")) for i, text in enumerate(texts) if first[text] != i]
        verb, side = ("repeats", "it is") if repeats == 1 else ("repeat", "they are")
        notes.append(f"{counted(repeats, 'row')} {verb} the text of another; {side} on the same side as it ({first_rows(again)})")
    groups = []
    for members in found:
        name = min(texts[i] for i in members)
        groups.append(Group(members, keyed.fraction(seed, "split", name)))
    return sorted(groups, key=lambda group: (group.place, min(texts[i] for i in group.rows)))


def _joined(rows: Sequence[Row], texts: Sequence[str], documents: Sequence[str | None]) -> list[list[int]]:
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str], int] = {}
    for i in range(len(rows)):
        keys = [("text", texts[i])] + ([("document", str(documents[i]))] if documents[i] is not None else [])
        for name in keys:
            parent[root(i)] = root(first.setdefault(name, i))
    members: dict[int, list[int]] = defaultdict(list)
    for i in range(len(rows)):
        members[root(i)].append(i)
    return list(members.values())


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple | set | frozenset) else [str(value)]


def _label(groups: list[Group], rows: Sequence[Row], label_of: LabelOf | None, notes: list[str]) -> None:
    """Give every group the class it counts for: the rarest one it holds. Classes of one group only count as one class."""
    if label_of is None:
        return
    names = [_names(label_of(row)) for row in rows]
    counts = Counter(name for group in groups for name in {name for i in group.rows for name in names[i]})
    for group in groups:
        mine = {name for i in group.rows for name in names[i]}
        group.label = min(mine, key=lambda name: (counts[name], name), default="")
    size = Counter(group.label for group in groups)
    single = {label for label, count in size.items() if count == 1}
    if len(single) == len(size) > 1:
        notes.append("no label repeats; the split is not stratified")
        for group in groups:
            group.label = ""
    elif single:
        at = {group.label: rows[group.rows[0]] for group in groups if group.label in single}
        named = [f"{label} ({first_rows([(str(at[label].get('file', '')), at[label].get('row'))])})" for label in sorted(single)[:5]]
        shown = ", ".join(named) + (", …" if len(single) > 5 else "")
        verb = "has" if len(single) == 1 else "have"
        notes.append(f"{counted(len(single), 'label')} {verb} one example (or one group of repeats); it stays in train: {shown}")


def _assign(groups: list[Group], wanted: dict[str, float], notes: list[str]) -> list[str]:
    """The split of each group. Large groups and lone labels stay in train where enough others are left."""
    total = sum(group.size for group in groups)
    if len(groups) <= len(wanted):
        notes.append("too few rows to make any further split" if len(groups) < 2 else "too few rows for a test split")
        wanted = dict(list(wanted.items())[:1]) if len(groups) >= 2 else {}
    if not wanted:
        return ["train"] * len(groups)
    target = {split: max(1, round(total * share)) for split, share in wanted.items()}
    size = Counter(group.label for group in groups)
    lone = {label for label, count in size.items() if count == 1 and len(size) > 1}
    small = max(1, min(target.values()) // 2)
    movable = [i for i, group in enumerate(groups) if group.size <= small and group.label not in lone]
    if sum(groups[i].size for i in movable) < 1.25 * sum(target.values()) or len(movable) <= len(wanted):
        return _fill(groups, target)
    return _sampled(groups, movable, target)


def _sampled(groups: list[Group], movable: list[int], target: dict[str, int]) -> list[str]:
    """Systematic sampling: groups in line by class, then hash; every split takes one whenever its share has grown to that.
    So each class gives each split its share, to within one. The first group of a class is never taken."""
    sides = ["train"] * len(groups)
    pool = sum(groups[i].size for i in movable)
    line = sorted(movable, key=lambda i: (keyed.key("class", groups[i].label), groups[i].place))
    grown = dict.fromkeys(target, pool // 2)
    seen: set[str] = set()
    for i in line:
        group = groups[i]
        for split in target:
            grown[split] += group.size * target[split]
        if group.label not in seen:
            seen.add(group.label)
            continue
        ready = [split for split in target if grown[split] >= group.size * pool]
        if ready:
            split = max(ready, key=lambda name: (grown[name], name == "test"))
            sides[i] = split
            grown[split] -= group.size * pool
    return _none_empty(groups, sides, list(target), line)


def _none_empty(groups: list[Group], sides: list[str], wanted: list[str], line: list[int]) -> list[str]:
    """Give a split that stayed empty one group, from the class with the most in train."""
    for split in wanted:
        if split not in sides:
            left = Counter(groups[i].label for i in line if sides[i] == "train")
            i = max((i for i in line if sides[i] == "train"), key=lambda i: (left[groups[i].label], groups[i].place))
            sides[i] = split
    return sides


def _fill(groups: list[Group], target: dict[str, int]) -> list[str]:
    """For few or large groups: in hash order, each split takes whole groups until it has its share; train keeps the rest."""
    sides = ["train"] * len(groups)
    total = sum(group.size for group in groups)
    counts = Counter(group.label for group in groups)
    for split in reversed(target):
        free = [i for i, side in enumerate(sides) if side == "train"]
        taken = 0
        for i in sorted(free, key=lambda i: (counts[groups[i].label] == 1 and len(counts) > 1, groups[i].place)):
            left = sum(groups[j].size for j, side in enumerate(sides) if side == "train") if taken == 0 else total
            if taken + groups[i].size <= max(target[split] * 1.5, 1) and left > groups[i].size:
                sides[i] = split
                taken += groups[i].size
                counts[groups[i].label] -= 1
            if taken >= target[split]:
                break
        if not taken and len(free) > 1:
            sides[min(free, key=lambda i: (groups[i].size, groups[i].place))] = split
    return sides
