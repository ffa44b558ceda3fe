"""Rows of any number, one after the other: read, changed, chosen, mixed and shuffled while they pass; memory stays flat.

    rows = oneloop.stream("logs/*.jsonl.gz").where("words(text) > 2").clean(["unescape-html"]).shuffle(10_000, seed=1)
    for row in rows.take(100): ...
    state = rows.state()                      JSON: where the last loop over `rows` stands, with the rows in the shuffle buffer
    for row in rows.resume(state): ...        goes on with the row that comes next

In:  files, globs, http(s) addresses, rows in memory
Out: a Stream of {column: cell}; every loop over it begins at its start. A Stream is not changed: each step gives a new one.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from oneloop.errors import DataError, RecipeError, RunError
from oneloop.read import passing
from oneloop.read.clean import CLEANERS, TEXTS, apply_clean, known
from oneloop.read.explode import explode_row, explodes
from oneloop.read.flow import ADDRESS
from oneloop.read.passing import Cursor, Row
from oneloop.read.table import Table
from oneloop.read.where import compile_where

Say = Callable[[str], None]


def stream(source: Any, *, max_bad: int | None = 0, say: Say | None = None) -> Stream:
    """The rows of a file, glob, http(s) address, list of these, DataFrame, Dataset or list of dicts, read when they are asked for.

    max_bad: rows that may be unusable before DataError names them; None for any number. say: told at the end of a loop what each
    step let pass, such as `where: 100 rows in, 40 out, 40.0 % kept`. Nothing is opened before the first row is asked for;
    DataError for a path that is not there comes at once. Csv, tsv, JSON lines and text are read row by row, also packed ones;
    what has to be seen whole (one JSON document, an archive) is read whole.
    """
    files = _files(source)
    return Stream([partial(passing.Source, files, max_bad)], ("source",), say)


def _files(source: Any) -> list[str | Table]:
    """The paths and addresses of a source, in order."""
    from oneloop.read.files import Options
    from oneloop.read.frames import is_rows, table_of
    from oneloop.read.places import missing

    if is_rows(source):
        return [table_of(source, Options())]
    if not isinstance(source, str | os.PathLike):
        found = [file for one in source for file in _files(one)]
        if not found:
            raise DataError("the list of files is empty", fix="name at least one file")
        return found
    name = os.fspath(source)
    path = Path(name).expanduser()
    if name.startswith((*ADDRESS, "hf:")) or path.is_file():
        return [name]
    if path.is_dir():
        raise DataError("is a folder", where=name, expected="files", fix=f"name its files: {path / '*.jsonl'}")
    matches = sorted(match for match in glob.glob(str(path), recursive=True) if Path(match).is_file())
    if not matches:
        raise missing(path, name)
    return list(matches)


class Stream(Iterable[Row]):
    """Rows that pass through steps. Made by `oneloop.stream`."""

    def __init__(self, steps: Sequence[Callable[..., Cursor]], names: tuple[Any, ...], say: Say | None = None, start: Any = None) -> None:
        self._steps, self._names, self._say, self._start = list(steps), names, say, start
        self._cursor: Cursor | None = None

    def _then(self, name: str, step: Callable[..., Cursor]) -> Stream:
        if self._start is not None:
            raise RunError("a step is added after resume", expected="the same steps as when the state was taken", fix="resume last")
        return Stream([*self._steps, step], (*self._names, name), self._say)

    # ---- what may happen to rows ---------------------------------------------------------------------------------------------
    def map(self, change: Callable[[Row], Row]) -> Stream:
        """Every row as `change` returns it."""
        return self._then("map", partial(passing.Each, "", lambda row: [change(row)]))

    def rename(self, columns: Mapping[str, str]) -> Stream:
        """{old: new} names of columns; the others keep theirs."""
        names = dict(columns)
        step = partial(
            passing.Each, "", lambda row: [{names.get(name, name): cell for name, cell in row.items()}], needs=[[old] for old in names]
        )
        return self._then(f"rename {sorted(names.items())}", step)

    def filter(self, test: Callable[[Row], Any]) -> Stream:
        """The rows for which `test` is true."""
        return self._then("filter", partial(passing.Each, "filter", lambda row: [row] if test(row) else []))

    def where(self, expression: str | None) -> Stream:
        """The rows for which a recipe's filter expression is true; all for None. RecipeError for one that cannot be read, and, while
        reading, for a field that no row has."""
        if not expression:
            return self
        found = compile_where(expression)
        step = partial(passing.Each, "where", lambda row: [row] if found.test(row) else [], needs=[[field] for field in found.fields])
        return self._then(f"where {expression}", step)

    def clean(self, names: Sequence[str]) -> Stream:
        """The rows after a recipe's cleaners. Texts are in columns called as roles are (text, title, …): `rename` others before.
        RecipeError for an unknown name, and for drop-duplicates, which would have to remember every row."""
        made = self
        for name in map(known, names):
            if name == "drop-duplicates":
                raise RecipeError(
                    "a stream cannot find duplicates", where="clean", expected="some of " + ", ".join(CLEANERS), fix="leave it out"
                )
            needs = [] if explodes(name) else [[*TEXTS, "tokens", "messages"]]
            made = made._then(f"clean {name}", partial(passing.Each, name, partial(_cleaned, name), needs=needs))
        return made

    def explode(self, column: str) -> Stream:
        """A row for each item of the lists in `column`."""
        step = partial(passing.Each, f"explode:{column}", lambda row: explode_row(row, column), needs=[[column]])
        return self._then(f"explode {column}", step)

    def shuffle(self, buffer_size: int = 10_000, seed: int = 1) -> Stream:
        """The rows in another order, the same for the same seed: each is drawn from the next `buffer_size` that are waiting."""
        _at_least_one(buffer_size, "buffer_size")
        return self._then(f"shuffle {buffer_size} {seed}", partial(passing.Shuffle, buffer_size, seed))

    def take(self, count: int) -> Stream:
        """The first `count` rows."""
        return self._then(f"take {count}", partial(passing.Take, count))

    def skip(self, count: int) -> Stream:
        """The rows after the first `count`."""
        return self._then(f"skip {count}", partial(passing.Skip, count))

    def interleave(self, *others: Stream, probabilities: Sequence[float] | None = None, seed: int = 1, stop: str = "last") -> Stream:
        """This stream and others, mixed: one row of each in turn, or each row from a stream drawn with its probability.

        stop: "last" to go on until the last stream has ended, so that every row comes once; "first" to end with the first that ends.
        RecipeError for probabilities that do not fit the streams.
        """
        streams = [self, *others]
        shares = None if probabilities is None else [float(one) for one in probabilities]
        if shares is not None and (len(shares) != len(streams) or min(shares) <= 0):
            raise RecipeError(f"{len(shares)} probabilities for {len(streams)} streams", expected="a number above 0 for each stream")
        if stop not in ("first", "last"):
            raise RecipeError(f"'stop' is '{stop}'", expected="first or last")
        if any(one._start is not None for one in streams):
            raise RunError("a resumed stream cannot be mixed", expected="streams from their start", fix="resume the mixed one")
        step = partial(passing.Interleave, [one._begin for one in streams], shares, seed, stop)
        name = f"interleave {shares} {seed} {stop}"
        return Stream([step], (name, *(list(one._names) for one in streams)), self._say)

    # ---- reading -------------------------------------------------------------------------------------------------------------
    def _begin(self, state: Any = None) -> Cursor:
        """The cursor of the last step, at the start or at a state."""
        first, *rest = self._steps
        states = state or [None] * len(self._steps)
        cursor = first(states[0])
        for step, at in zip(rest, states[1:]):
            cursor = step(at, cursor)
        return cursor

    def __iter__(self) -> Iterator[Row]:
        cursor = self._cursor = self._begin(self._start)
        yield from cursor
        for line in cursor.told() if self._say is not None else ():
            self._say(line)  # type: ignore[misc]

    def state(self) -> dict[str, Any]:
        """Where the latest loop stands, as a JSON-able dict; the rows waiting in buffers are in it. RunError where a row holds what
        JSON cannot."""
        cursor = self._cursor or self._begin(self._start)
        found: dict[str, Any] = json.loads(json.dumps({"steps": list(self._names), "at": cursor.states()}))
        return found

    def resume(self, state: Mapping[str, Any]) -> Stream:
        """The stream from where `state` was taken. RunError where its steps were others; while reading, where its files were."""
        if state.get("steps") != json.loads(json.dumps(list(self._names))):
            shown = [", ".join(map(str, names)) for names in (state.get("steps") or [], self._names)]
            raise RunError(f"the state is of a stream with other steps: {shown[0]}", expected=shown[1], fix="build the same stream")
        return Stream(self._steps, self._names, self._say, state["at"])

    def report(self) -> list[str]:
        """A line for each step that chooses or changes rows: how many came in, went out, and which share was kept."""
        return (self._cursor or self._begin(self._start)).told()


def _cleaned(name: str, row: Row) -> list[Row]:
    return apply_clean([row], [name])[0]


def _at_least_one(count: int, name: str) -> None:
    if count < 1:
        raise RecipeError(f"'{name}' is {count}", expected="a whole number, at least 1")
