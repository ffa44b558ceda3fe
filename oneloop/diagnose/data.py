"""Which task a table is for, told from its cells.

In:  a Table. Out: a Diagnosis: the tasks whose roles the columns can fill, best first, and the columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from oneloop.diagnose.columns import candidates, columns_for, columns_of, declared, fits
from oneloop.diagnose.diagnosis import SHOWN_TASKS, Diagnosis
from oneloop.diagnose.kinds import KINDS
from oneloop.diagnose.labels import bookkeeping, namelike
from oneloop.diagnose.names import sounds_like
from oneloop.diagnose.profile import Profile, profiles
from oneloop.diagnose.shapes import Candidate
from oneloop.tasks import table as task_table
from oneloop.tasks import task_class

CLOSE = 0.03  # two readings of a table that lie closer than this are asked about


def from_table(rows: Any) -> Diagnosis:
    """The task that a table's columns fit. `none` where there is no text to work on, with the kind of problem it is.

    rows: a Table or a sequence of dicts. A sample of rows is looked at; the notes say so.
    """
    names = columns_of(rows)
    found = profiles(rows, names)
    data = str(getattr(rows, "file", "") or "")
    notes = list(getattr(rows, "notes", []))
    problems = [problem.render() for problem in getattr(rows, "problems", [])]
    every = [*declared(rows), *candidates(found)]
    every += one_label(found, every)
    kind, reason = outside(found, every)
    if kind:
        ranked = [name for name, _ in ranking(every)]
        return Diagnosis(ranked, [reason], none=True, kind=kind, instead=KINDS[kind], notes=notes, problems=problems, data=data)
    ranked_tasks = ranking(every)
    if not ranked_tasks:
        return without_task(found, notes, problems, data)
    mappings = {name: columns_for(task_class(name), names, found, every) for name, _ in ranked_tasks}
    evidence = {name: candidate.why for name, candidate in ranked_tasks}
    best = ranked_tasks[0][1]
    rivals = [name for name, candidate in ranked_tasks if candidate.score > best.score - CLOSE]
    ambiguous = len(rivals) > 1 and unsettled(found, best)
    tasks = [name for name, _ in ranked_tasks][:SHOWN_TASKS]
    notes += best.notes + _mixed(rows)
    return Diagnosis(
        tasks,
        best.why,
        columns=mappings[tasks[0]],
        ambiguous=ambiguous,
        options=rivals[:3] if ambiguous else [],
        evidence=evidence,
        mappings=mappings,
        notes=notes,
        problems=problems,
        data=data,
    )


def _mixed(rows: Any) -> list[str]:
    """What is said of a table that holds several data sets."""
    from oneloop.diagnose.checks.mixture import REMEDY, kinds_of_rows, told

    kinds = kinds_of_rows(rows)[1] if hasattr(rows, "origin") else []
    return [f"{told(rows, kinds)}; {REMEDY}"] if kinds else []


def without_task(found: Sequence[Profile], notes: list[str], problems: list[str], data: str) -> Diagnosis:
    """The diagnosis of a table whose columns fill the roles of no task, with what can be said of them."""
    if judgements(found):
        why = "the columns are ids of queries and passages (qrels), without their texts: put corpus.jsonl and queries.jsonl beside them"
        judged = [name for name in task_table() if {"query", "passage"} <= {column.role for column in task_class(name).columns}]
        return Diagnosis(judged[:1], [why], notes=notes, problems=problems, data=data)
    same = [p.name for p in found if p.kind in ("strings", "numbers") and len(p.items) == 1 and p.items.total() > len(p.values)]
    why = f"every item in column {same[0]} is the same: there is nothing to learn" if same else "no column says what to predict"
    return Diagnosis([], [why], none=True, kind="other", instead=KINDS["other"], notes=notes, problems=problems, data=data)


def one_label(found: Sequence[Profile], every: Sequence[Candidate]) -> list[Candidate]:
    """A column called label with one value in every row, or another in each, where nothing else could be predicted: what the
    user meant, and an error that the task itself names."""
    best = max(every, key=lambda candidate: candidate.score, default=None)
    called = [p for p in found if p.filled > 0.9 and p.kind in ("text", "number") and sounds_like(p.name, "label") >= 1]
    same = [p for p in called if p.distinct == 1 or p.identifies]
    if best is None or set(best.columns) != {"text"} or len(same) != 1 or same[0].name in best.columns.values():
        return []
    why = f"column {same[0].name} has {'one value in every row' if same[0].distinct == 1 else 'another value in each row'}"
    return [Candidate("text label", {**best.columns, "label": same[0].name}, 1.0, [why])]


def ranking(every: Sequence[Candidate]) -> list[tuple[str, Candidate]]:
    """(task, its best candidate), best first. Of two tasks that read the same columns, the one that writes comes first:
    bare text is for an encoder only where that is said."""
    best: dict[str, Candidate] = {}
    for candidate in every:
        for name in task_table():
            if name not in best and fits(candidate, task_class(name)):
                best[name] = candidate
    return sorted(best.items(), key=lambda item: (-item[1].score, task_class(item[0]).family != "decoder"))


def unsettled(found: Sequence[Profile], best: Candidate) -> bool:
    """Whether only a person can tell: bare text that is no code, or two readings of equal merit."""
    if set(best.columns) == {"text"}:
        column = next(profile for profile in found if profile.name == best.columns["text"])
        return column.code <= 0.5
    return True


def outside(found: Sequence[Profile], every: Sequence[Candidate]) -> tuple[str, str]:
    """(kind, why) of a table without text to work on; ("", "") for any other."""
    structured = any(candidate.score > 0.9 and not set(candidate.columns) & {"label", "labels", "score"} for candidate in every)
    written = [p for p in found if _written(p)]
    media = [p for p in found if p.media]
    if media and not structured and not any(p.words > 5 for p in written):
        return media[0].media, f"column {media[0].name} names {media[0].media} files"
    if structured or written:
        return "", ""
    numbers = [p for p in found if p.kind == "number" and not p.identifies]
    times = [p for p in found if p.dates]
    codes = [p for p in found if (p.codes or p.identifies) and not p.dates and not _counts_rows(p)]
    if judgements(found):
        return "", ""
    ids = [p for p in codes if not _measures(p)]
    if len(ids) >= 2 and (len(numbers) >= 1 or len(found) <= 4) and not times[1:] and len(numbers) <= 3:
        return "recommendation", f"columns {ids[0].name} and {ids[1].name} hold ids, the others numbers: who liked what"
    if times and numbers:
        return "forecasting", f"column {times[0].name} holds times and {', '.join(p.name for p in numbers[:3])} numbers; there is no text"
    if numbers or codes:
        return "tabular", f"columns {', '.join(p.name for p in [*numbers, *codes][:4])} hold numbers and codes; there is no text"
    same = [p.name for p in found if p.distinct == 1 and len(p.values) > 1]
    reason = f"column {', '.join(same[:4])} says the same in every row: there is nothing to learn" if same else "no column holds text"
    return ("other", reason) if not every else ("", "")


def _measures(profile: Profile) -> bool:
    """Whether whole numbers are amounts (blood pressures, ages, prices), not ids: ids are called so or are given out from 1 on."""
    if profile.kind != "number" or re.search(r"(?i:user|item|customer|product|(?<![a-z])id)|Id(?![a-z])|ID", profile.name):
        return False
    return min(profile.numbers) > 0.05 * max(profile.numbers)


def _counts_rows(profile: Profile) -> bool:
    """Whether the cells are whole numbers that go up from row to row: they number the rows and say nothing of who or what."""
    return profile.identifies and profile.kind == "number" and all(a < b for a, b in pairwise(profile.numbers))


def judgements(found: Sequence[Profile]) -> bool:
    """Whether the columns are called like judgements of a search test set: ids of queries and of passages."""
    asked = any(sounds_like(p.name, "query") for p in found)
    return asked and any(sounds_like(p.name, "passage") or sounds_like(p.name, "corpus") for p in found)


def _written(profile: Profile) -> bool:
    """Whether a column holds words to work on, not names, codes or a few repeated values."""
    if profile.kind in ("strings", "objects", "object"):
        return True
    if profile.kind != "text" or bookkeeping(profile) or profile.codes or profile.media:
        return False
    return not profile.few and (
        profile.words >= 3 or (profile.words >= 1.3 and not namelike(profile)) or (profile.variety > 0.5 and profile.words > 1.05)
    )
