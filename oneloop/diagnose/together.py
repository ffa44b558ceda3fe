"""Statement and data weighed together: the requested output decides the task, the data decides the columns.

In:  a statement, a source or a table, or both. Out: a Diagnosis. What reads data is imported where there is data.
"""

from __future__ import annotations

from typing import Any

from oneloop.diagnose.diagnosis import SHOWN_TASKS, Diagnosis
from oneloop.diagnose.kinds import KINDS
from oneloop.diagnose.statement import Reading, read_statement
from oneloop.errors import OneloopError
from oneloop.tasks import task_class

ASK = -2.75  # above this doubt a statement is asked about; chosen on authors whom training had not seen, as is what follows
OUTSIDE = 0.2  # above this probability no task fits
OPEN, UNLIKELY = 0.0, 0.5  # above this doubt a statement is asked about all the same, unless it is likelier than this that none fits
CERTAIN = 0.8  # a statement less sure than this that no task fits gives way to data that plainly fits one
SURE = 0.6  # a statement this sure of its task is not overruled by data
NEAR = 0.06  # a task at least this probable is an option of the question
HARDLY = 0.02  # a task less probable than this is ruled out by the words, however well the data fits it


def diagnose(statement: str | None = None, data: Any = None) -> Diagnosis:
    """Name the task from a statement, from data or from both; OneloopError without either.

    data: a path, a glob, a DataFrame, a Dataset, a list of dicts or a Table. A file is sampled, not read whole; rows that cannot be
    used are named in `problems`. DataError when it cannot be read.
    """
    if statement is None and data is None:
        raise OneloopError("nothing to diagnose", expected="a statement, data, or both", fix='oneloop diagnose "what you want" --data FILE')
    seen = look(data) if data is not None else None
    if statement is None:
        return seen if seen is not None else Diagnosis([], [])
    reading = read_statement(statement)
    said = from_reading(reading)
    return said if seen is None else combined(said, reading, seen)


def look(data: Any) -> Diagnosis:
    """The diagnosis of a source or table alone."""
    from oneloop.diagnose.data import from_table

    rows = opened(data)
    if not len(rows) and getattr(rows, "problems", None):
        rows.raise_problems()  # nothing can be said of a file without a single row
    found = from_table(rows)
    if isinstance(data, str) or hasattr(data, "__fspath__"):
        found.data = str(data)
    found.rows = rows
    return found


def opened(data: Any) -> Any:
    """A table: the one given, or a sample of the source."""
    if hasattr(data, "origin"):
        return data
    from oneloop.diagnose.profile import SAMPLE
    from oneloop.read import sample

    return sample(data, SAMPLE)


def from_reading(reading: Reading) -> Diagnosis:
    """The diagnosis of a statement alone."""
    ranked = reading.ranked
    if reading.none > (UNLIKELY if reading.doubt > OPEN else OUTSIDE):
        kind = reading.kind if reading.kind in KINDS else "other"
        why = [f"the words {quoted(reading.kind_words)}"] if reading.kind_words else ["no words ask for something done with text"]
        return Diagnosis(ranked[:SHOWN_TASKS], why, none=True, kind=kind, instead=KINDS[kind])
    ambiguous = reading.doubt > ASK
    near = [name for name in ranked if reading.probabilities[name] > NEAR]
    options = near[:3] if len(near) > 1 else ranked[:2]
    found = within(Diagnosis(ranked[:SHOWN_TASKS], []), reading)
    found.ambiguous, found.options = ambiguous, options if ambiguous else []
    return found


def within(said: Diagnosis, reading: Reading) -> Diagnosis:
    """A diagnosis of the same tasks with the statement's evidence for each, not put outside."""
    evidence = {name: [because(name, reading.why.get(name, []))] for name in reading.ranked}
    return Diagnosis(said.tasks, evidence[said.tasks[0]], evidence=evidence)


def because(name: str, words: list[str]) -> str:
    """One line of evidence: the words that decided and what they ask for."""
    said = f"{quoted(words)} asks" if len(words) == 1 else f"{quoted(words)} ask" if words else "the wording as a whole asks"
    return f"{said} for a model that {task_class(name).does}"


def quoted(words: list[str]) -> str:
    """Words in quotation marks, joined by commas."""
    return ", ".join(f"'{word}'" for word in words)


def combined(said: Diagnosis, reading: Reading, seen: Diagnosis) -> Diagnosis:
    """The statement's task with the data's columns. Where the statement is open, the data decides among its options."""
    from oneloop.diagnose.columns import map_columns

    yields = said.none and not seen.none and reading.none < CERTAIN and not seen.ambiguous
    if yields:
        said = within(said, reading)
    if said.none or (seen.none and reading.none > OUTSIDE):
        first, second = (said, seen) if said.none else (seen, said)
        first.why = first.why + ([f"the data: {second.why[0]}"] if second.why and first is said else [])
        first.notes, first.problems, first.data = seen.notes, seen.problems, seen.data
        return first
    task = chosen(said, reading, seen, yields)
    tasks = [task, *(name for name in dict.fromkeys([*said.tasks, *seen.tasks]) if name != task)]
    unused = plain(seen) and not holds_target(task, seen.mappings.get(task, {}))  # the column that says what to predict
    as_open = len(set(said.options) & set(seen.options)) > 1  # neither words nor data choose between the same tasks
    ambiguous = said.ambiguous and (task not in seen.tasks or seen.none or unused or as_open)
    options = list(dict.fromkeys([*said.options[:2], seen.tasks[0]] if plain(seen) else said.options))
    columns = seen.mappings.get(task) or map_columns(seen.rows, task)
    worded = said.tasks[0]
    kept = said.evidence.get(task, []) if task == worded else []  # words that ask for another task decided nothing
    why = [*kept, *seen.evidence.get(task, [])] or said.why
    overruled = [f"the words alone would be read as {worded} ({said.why[0]}); the data decides for {task}"] if task != worded else []
    mappings = {name: seen.mappings.get(name) or map_columns(seen.rows, name) for name in dict.fromkeys([*tasks[:SHOWN_TASKS], *options])}
    return Diagnosis(
        tasks[:SHOWN_TASKS],
        why,
        columns=columns,
        ambiguous=ambiguous,
        options=options if ambiguous else [],
        evidence=said.evidence | {name: [*said.evidence.get(name, []), *found] for name, found in seen.evidence.items()},
        mappings=mappings,
        notes=overruled + contradiction(task, columns, seen) + seen.notes,
        problems=seen.problems,
        data=seen.data,
    )


def chosen(said: Diagnosis, reading: Reading, seen: Diagnosis, yields: bool = False) -> str:
    """The statement's task if it is sure of it, else the likely one that the data fits best. Words that hardly favour any task
    leave it to data that holds what one task predicts, unless they rule that task out. yields: they would have put it outside."""
    first = said.tasks[0]
    if seen.none or (reading.probabilities[first] >= SURE and not said.ambiguous):
        return first
    likely = [name for name in said.tasks if reading.probabilities[name] > NEAR]
    fitting = [name for name in seen.tasks if name in likely]
    best = seen.tasks[0]
    if first in seen.options:
        return first
    if plain(seen) and reading.probabilities[first] < SURE and (yields or reading.probabilities[best] >= HARDLY):
        return next((name for name in fitting if holds_target(name, seen.mappings.get(name, {}))), best)
    return fitting[0] if fitting else first


def plain(seen: Diagnosis) -> bool:
    """Whether the data leaves no choice: it holds a column for what its task predicts, not bare text alone."""
    return not seen.none and not seen.ambiguous and holds_target(seen.task, seen.columns)


def holds_target(task: str, columns: dict[str, Any]) -> bool:
    """Whether a column holds what the task predicts; the bare text of a language model is no such column."""
    return any(column.target and column.role != "text" and column.role in columns for column in task_class(task).columns)


def contradiction(task: str, columns: dict[str, Any], seen: Diagnosis) -> list[str]:
    """What is said when the data does not hold what the statement asks for."""
    if seen.none:
        return [f"the data does not fit: {seen.why[0]}"]
    targets = {column.role for column in task_class(task).columns if column.target}
    if targets & set(columns) or not targets:
        return []
    other = f"; it looks like {seen.tasks[0]} ({seen.why[0]})" if seen.tasks and seen.tasks[0] != task else ""
    return [f"the statement asks for {task}, but the data has no column for {' or '.join(sorted(targets))}{other}"]
