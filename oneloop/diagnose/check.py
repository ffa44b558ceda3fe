"""The data report: everything in the data that would break or bias training, all at once.

In:  a file, folder, several files or {"train": …, "test": …}; the task and columns where they are known.
Out: a `Report`: findings with count, first rows and remedy, a verdict, and (on request) a cleaned copy or a sheet to label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneloop.diagnose.checks import (
    answers,
    documents,
    drift,
    labels,
    lengths,
    mixture,
    noise,
    pairs,
    retrieval,
    spans,
    spelling,
    splits,
    tags,
    text,
    unlabelled,
)
from oneloop.diagnose.checks.copies import leaked
from oneloop.diagnose.checks.finding import BIASES, BLOCKS, LOOK, SHOWN_ROWS, TRAIN, VERDICTS, Data, Finding, from_problems
from oneloop.diagnose.diagnosis import written
from oneloop.errors import DataError, OneloopError, Problem
from oneloop.read.frames import by_split, is_rows
from oneloop.tasks import task_class
from oneloop.tasks.base import Row, Task

__all__ = ["Finding", "Report", "check", "leaked"]

FAMILIES: tuple[Callable[[Data], Iterable[Finding]], ...] = (
    splits.column_differences,
    mixture.mixed_rows,
    splits.duplicates,
    splits.shared_keys,
    splits.repeated_ids,
    labels.labels,
    labels.scores,
    spelling.label_typos,
    noise.label_errors,
    tags.tags,
    spans.spans,
    answers.answers,
    pairs.translations,
    pairs.summaries,
    documents.instructions,
    documents.documents,
    retrieval.retrieval,
    text.texts,
    pairs.language_mix,
    drift.drift,
    drift.sorted_rows,
)
ORDER = (BLOCKS, BIASES, LOOK)
CLEAN = "clean"


@dataclass
class Report:
    """What `check` found. splits: rows of each; columns: {role: column}; figures: counts a person wants to see; notes: how the
    files were read; written: what `fix` and `label_sheet` made."""

    findings: list[Finding] = field(default_factory=list)
    splits: dict[str, int] = field(default_factory=dict)
    task: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    written: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The worst of the findings in words: blocks training, biases the score, worth a look, or clean."""
        found = {finding.severity for finding in self.findings}
        return next((VERDICTS[severity] for severity in ORDER if severity in found), CLEAN)

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        """The report as a JSON-ready document."""
        return {
            "verdict": self.verdict,
            "blocks_training": self.verdict == VERDICTS[BLOCKS],
            "task": self.task,
            "splits": self.splits,
            "columns": self.columns,
            "findings": [finding.as_dict() for finding in self.findings],
            "figures": self.figures,
            "notes": self.notes,
            "written": self.written,
        }

    def render(self) -> str:
        """The report for a terminal: the verdict, the findings by severity, what was written."""
        sizes = ", ".join(f"{name} {size:,}" for name, size in self.splits.items())
        lines = [f"{self.verdict.upper()} · {self.task or 'no task named'} · rows: {sizes or 'none'}"]
        if self.columns:
            lines.append("columns: " + ", ".join(f"{role} = {written(column)}" for role, column in self.columns.items()))
        if "tokens" in self.figures:
            lines.append("tokens: " + self.figures["tokens"]["summary"])
        for severity in ORDER:
            group = [finding for finding in self.findings if finding.severity == severity]
            if group:
                lines += ["", VERDICTS[severity].upper()]
            for finding in group:
                lines += _rendered(finding)
        if not self.findings:
            lines += ["", "Nothing to report."]
        lines += ["", *(f"note: {note}" for note in self.notes)] if self.notes else []
        lines += ["", *(f"{what}: {_told(value)}" for what, value in self.written.items())] if self.written else []
        return "\n".join(lines)


def _told(value: Any) -> str:
    """What was written, for a person: the folder, its files and how many of each change."""
    if not isinstance(value, Mapping):
        return str(value)
    changes = ", ".join(f"{what} {count:,}" for what, count in value.get("changes", {}).items()) or "nothing had to be changed"
    return f"{', '.join(value.get('files', []))} in {value.get('folder')} ({changes})"


def _rendered(finding: Finding) -> Iterator[str]:
    """A finding as lines: what, where, for example, what to do."""
    yield f"  {finding.kind}: {finding.message}"
    shown = finding.examples[:3]
    listed = [f"{Path(file).name} {row}" for file, row in finding.rows[:SHOWN_ROWS]]
    if listed and not any(" = " in example for example in shown[:1]):
        more = f" and {len(finding.rows) - SHOWN_ROWS:,} more" if len(finding.rows) > SHOWN_ROWS else ""
        yield "      rows: " + ", ".join(listed) + more
    for example in shown:
        yield f"      e.g. {example}"
    if finding.remedy:
        yield f"      → {finding.remedy}" + (" [--fix]" if finding.fixable and "--fix" not in finding.remedy else "")


def check(
    path: str | Path | Mapping[str, Any] | Sequence[Any] | Any,
    task: str | None = None,
    *,
    columns: Mapping[str, Any] | None = None,
    fix: str | Path | None = None,
    label_sheet: int | None = None,
    max_length: int | None = None,
    explode: str | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Look at data from every side that has broken or biased a training before.

    path: a file, folder, archive, glob or list of files, a DataFrame, Dataset or list of dicts, or {"train": …, "validation": …,
    "test": …} of these. task: its name; found from the data if not given. columns: {role: column}; found if not given. fix: a
    folder for a cleaned copy and `changes.jsonl`.
    label_sheet: how many rows to write to a sheet for labelling. max_length: a token limit of interest besides the usual.
    explode: a column of lists that becomes a row for each item first. say: told what is being done. A file that cannot be read
    gives findings too; DataError for a path that is not there, RecipeError for an unknown task.
    """
    tell = say or (lambda _: None)
    report = Report(task=task_class(task).name if task else None)
    tell("reading")
    tables = _read(path, report, explode)
    if not tables:
        return report
    report.task = _task_of(tables, report)
    if report.task is None:
        return report
    chosen = task_class(report.task)()
    data = _role_rows(tables, chosen, columns, report)
    for family in FAMILIES:
        tell(family.__name__.replace("_", " "))
        report.findings += family(data)
    _lengths(data, report, max_length)
    report.findings += _own_checks(chosen, data, report.findings)
    _figures(data, report)
    if (
        not set(data.target_roles) - set(data.input_roles)
        and {"tokens", "text", "question"} & data.roles
        and not (unlabelled.is_bare(chosen) and (task or _is_prose(tables)))
    ):
        report.findings.append(unlabelled.unlabelled(data, unlabelled.first_path(path), chosen))
    report.findings.sort(key=lambda finding: (ORDER.index(finding.severity), finding.kind != "mixed-rows"))
    if fix is not None:
        from oneloop.diagnose.checks.fix import write_fixed

        tell("writing the cleaned copy")
        report.written["fixed"] = write_fixed(tables, data, report.columns, Path(fix))
    if label_sheet:
        _write_sheet(data, label_sheet, path, fix, report)
    return report


# ---- reading ------------------------------------------------------------------------------------------------------------
def _read(path: Any, report: Report, explode: str | None) -> dict[str, Any]:
    """The tables by split; what the reader refuses becomes findings."""
    from oneloop.read import read_splits
    from oneloop.read.explode import exploded

    splits = by_split(path) if isinstance(path, Mapping) else {}
    try:
        if splits:
            found = read_splits(splits.get("train"), splits.get("validation"), splits.get("test"), max_bad=None)
        else:
            found = read_splits(path, max_bad=None)
    except DataError as error:
        if not error.problems and not _is_there(path):
            raise
        report.findings += from_problems(error.problems) or [_refused(error)]
        return {}
    except OneloopError as error:
        if not _is_there(path):
            raise
        report.findings.append(_refused(error))
        return {}
    if explode:
        found = {name: exploded(table, explode) for name, table in found.items()}
    for name, table in found.items():
        report.splits[name] = len(table)
        report.notes += [note for note in table.notes if note not in report.notes]
        report.findings += from_problems(table.problems)
    empty = [name for name in found if not len(found[name])]
    for name in empty:
        if not found[name].problems:
            report.findings.append(
                Finding("no-rows", BLOCKS, f"{name} has no rows", "check the file", rows=[(found[name].file, 0)], split=name)
            )
    return {name: table for name, table in found.items() if name not in empty}


def _is_there(path: Any) -> bool:
    """Whether every path that was given exists, or is an address or a pattern; a mistyped name is an error, not a finding."""
    paths = path.values() if isinstance(path, Mapping) else [path] if isinstance(path, str | Path) or is_rows(path) else path
    return all(item is None or is_rows(item) or Path(str(item)).exists() or re.search(r"[*?\[:]", str(item)) for item in paths)


def _refused(error: OneloopError) -> Finding:
    return Finding(
        "unreadable-file",
        BLOCKS,
        error.what if not error.where else f"{error.where}: {error.what}",
        error.fix or error.expected or "correct the file",
    )


def _task_of(tables: Mapping[str, Any], report: Report) -> str | None:
    """The task that was named, else the one the training table is for; a finding, and None, where it is none of the tasks. What
    there is to say of that reading of the columns is noted."""
    from oneloop.diagnose import from_table

    table = tables.get(TRAIN) or next(iter(tables.values()))
    found = from_table(table)
    if report.task in (None, found.task):
        report.notes += [note for note in found.notes if note not in report.notes]
    if report.task:
        return report.task
    if found.task and found.columns:
        return found.task
    if found.task:
        remedy = "check the folder that holds all of them"
        report.findings.append(Finding("no-texts", BLOCKS, "; ".join(map(str, found.why)), remedy, rows=[(table.file, 0)]))
        return None
    what = f"this looks like {found.kind}: {'; '.join(map(str, found.why))}" if found.none else "no task fits the columns"
    remedy = found.instead or "name the task: oneloop check PATH --task …; oneloop tasks lists what rows each takes"
    report.findings.append(Finding("no-task", BLOCKS, f"{what} ({', '.join(map(repr, table.columns[:12]))})", remedy))
    return None


def _role_rows(tables: Mapping[str, Any], task: Task, columns: Mapping[str, Any] | None, report: Report) -> Data:
    """Role rows of every split; cells that cannot be read become findings."""
    from oneloop.diagnose.columns import map_columns
    from oneloop.read.roles import mixed_types, to_rows

    reference = TRAIN if TRAIN in tables else next(iter(tables))
    mapped = {**map_columns(tables[reference], task.name), **(columns or {})}
    report.columns = mapped
    found: dict[str, list[Row]] = {}
    for name, table in tables.items():
        own = mapped
        if not columns and not _has(table, mapped):
            own = map_columns(table, task.name)
            told = ", ".join(f"{role} = {written(column)}" for role, column in own.items()) or "none"
            report.findings.append(
                Finding(
                    "columns-renamed",
                    BLOCKS,
                    f"{name} lacks columns of {reference}; found there: {told}",
                    "use the same names in every file, or give columns for each",
                    split=name,
                )
            )
        rows, problems = to_rows(table, task, own)
        for finding in from_problems(problems):
            report.findings.append(_named(finding, name))
        found[name] = rows
    target = mapped.get("label")
    if isinstance(target, str) and len(tables) > 1:
        within = {problem.render() for table in tables.values() for problem in mixed_types({"": table}, [target])}
        across = [problem for problem in mixed_types(tables, [target]) if problem.render() not in within]
        report.findings += from_problems(across, "mixed-labels")
    related: dict[str, Any] = next((table.related for table in tables.values() if getattr(table, "related", None)), {})
    return Data(found, {name: list(table.columns) for name, table in tables.items()}, related, tables, mapped, unlabelled.is_bare(task))


def _has(table: Any, mapped: Mapping[str, Any]) -> bool:
    names = {name for column in mapped.values() for name in ([column] if isinstance(column, str) else column)}
    return names <= {*table.columns, *table.aliases}


KINDS = (
    ("empty", "empty-cells"),
    ("there is no column", "missing-column"),
    ("no column for", "missing-column"),
    ("while", "mixed-labels"),
    ("in its context", "answer-not-in-context"),
)


def _named(finding: Finding, split: str) -> Finding:
    """A finding of the role parser under the kind its reason speaks of."""
    finding.kind = next((kind for words, kind in KINDS if words in finding.message), "unreadable-cells")
    finding.split = split
    return finding


# ---- what is not a family of its own ----------------------------------------------------------------------------------------
def _own_checks(task: Task, data: Data, found: Sequence[Finding]) -> list[Finding]:
    """What the task itself finds; problems of rows that a finding already blocks are not told twice."""
    told = {row for finding in found if finding.severity == BLOCKS for row in finding.rows}
    own: list[Finding] = []
    problems: list[Problem] = []
    for item in task.checks(data.all_rows):
        if isinstance(item, Finding):
            own.append(item)
        elif isinstance(item, Problem) and (item.file, item.row) not in told:
            problems.append(item)
    return own + from_problems(problems, f"{task.name}-rows")


def _lengths(data: Data, report: Report, max_length: int | None) -> None:
    """Token figures for the head of the report; a finding only where a usual limit cuts rows."""
    for finding in lengths.lengths(data, max_length):
        if finding.kind == "lengths":
            report.figures["tokens"] = {"summary": finding.message, **finding.numbers}
        if finding.kind != "lengths" or finding.count:
            report.findings.append(finding)


def _figures(data: Data, report: Report) -> None:
    """Label counts and word counts of each split."""
    counted = {name: Counter(label for row in rows for label in drift.labels_of(row)) for name, rows in data.splits.items()}
    report.figures["labels"] = {name: dict(counts.most_common(200)) for name, counts in counted.items() if counts}
    report.figures["words"] = {name: _histogram([len(text.split()) for text in texts]) for name, texts in data.texts.items() if texts}


def _histogram(counts: Sequence[int]) -> dict[str, int]:
    """Rows by number of words, in steps that double."""
    found: Counter[int] = Counter(count.bit_length() for count in counts)
    return {("0" if not bits else f"{1 << (bits - 1)}-{(1 << bits) - 1}"): found[bits] for bits in sorted(found)}


def _is_prose(tables: Mapping[str, Any]) -> bool:
    """Whether the files are plain texts, which nobody labels row by row."""
    return all(table.format in ("txt", "text", "docx", "pdf", "html", "documents") for table in tables.values())


def _write_sheet(data: Data, count: int, path: Any, fix: Any, report: Report) -> None:
    from oneloop.diagnose.checks.sheet import write_sheet

    name = f"{Path(unlabelled.first_path(path)).name.split('.')[0] or 'data'}-to-label.csv"
    folder = Path(fix) if fix is not None else Path()
    rows = data.splits.get(TRAIN) or data.all_rows
    whole = unlabelled.in_one_cell(task_class(str(report.task))())
    written, size = write_sheet(rows, count, folder / name, data.input_roles, ("label",) if whole else ())
    filled = f"fill in the column label, then oneloop train --train {written}"
    then = filled if whole else "mark them in a labelling tool, train on its export"
    report.written["label sheet"] = f"{written} ({size} rows: {then})"
