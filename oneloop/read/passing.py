"""Where a stream stands: a cursor for each of its steps, which gives the next row and can say its state.

In:  the step's settings, a state (None at the start) and the cursor before
Out: rows one by one; `states()`, a JSON-able list with the state of every step from the source on; `told()`, what was counted
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oneloop.errors import DataError, Problem, RecipeError, RunError
from oneloop.keyed import fraction, key
from oneloop.read.flow import flowing
from oneloop.read.packed import exact
from oneloop.read.table import Table

Row = dict[str, Any]
LOOK = 10_000  # rows among which a column must come that a step reads


class Cursor(Iterator[Row]):
    """A step under way. After the last row, asking again ends again."""

    before: Cursor | None = None

    def state(self) -> Any:
        """What this step must know to go on."""
        raise RunError("this step has no state")

    def line(self) -> str:
        """What it counted, in words; "" for a step that does not choose rows."""
        return ""

    def states(self) -> list[Any]:
        """The states of all steps up to this one."""
        return [*(self.before.states() if self.before else []), self.state()]

    def told(self) -> list[str]:
        """What the steps up to this one counted."""
        return [*(self.before.told() if self.before else []), *filter(None, [self.line()])]


def waiting(rows: Sequence[Row]) -> list[Row]:
    """Rows for a state. RunError where JSON would not give them back as they are."""
    for row in rows:
        if not exact(row):
            cell = next(f"{name}: {type(value).__name__}" for name, value in row.items() if not exact(value))
            raise RunError(
                f"a waiting row holds what cannot be saved ({cell})", expected="texts, numbers, lists", fix="change it after shuffling"
            )
    return list(rows)


class Source(Cursor):
    """The rows of files, one file after the other."""

    def __init__(self, files: Sequence[str | Table], max_bad: int | None, state: Any) -> None:
        self.files, self.max_bad = files, max_bad
        found = state or {"index": 0, "row": 0, "bad": 0}
        self.index: int = found["index"]
        self.row: int = found["row"]
        self.bad: int = found["bad"]  # in the files before this one
        self.problems: list[Problem] = []
        if state and state["file"] != self._name():
            raise RunError(f"the state stands in {state['file']}", where=self._name(), expected="the same files in the same order")
        self.rows = self._read(self.index, self.row) if self.index < len(files) else iter(())

    def _name(self) -> str:
        found = self.files[self.index] if self.index < len(self.files) else ""
        return found.file if isinstance(found, Table) else found

    def _read(self, index: int, skip: int) -> Iterator[Row]:
        self.problems = []
        seen = 0
        for table in flowing(self.files[index]):
            self._refuse(table.problems)
            if seen + len(table) > skip:
                for i in range(max(0, skip - seen), len(table)):
                    yield table[i]
            seen += len(table)
        if seen < skip:
            raise RunError(f"the state stands at row {skip}, and there are {seen}", where=self._name(), expected="the file as it was")

    def _refuse(self, problems: list[Problem]) -> None:
        self.problems += problems
        if self.max_bad is not None and self.bad + len(self.problems) > self.max_bad:
            count = self.bad + len(self.problems)
            what = f"{count} {'row' if count == 1 else 'rows'} cannot be used"
            raise DataError(
                what, self.problems, where=self._name(), fix=f"correct these rows, or allow bad rows with max_bad (now {self.max_bad})"
            )

    def __next__(self) -> Row:
        while self.index < len(self.files):
            row = next(self.rows, None)
            if row is not None:
                self.row += 1
                return row
            self.bad += len(self.problems)
            self.index, self.row, self.problems = self.index + 1, 0, []
            self.rows = self._read(self.index, 0) if self.index < len(self.files) else iter(())
        raise StopIteration

    def state(self) -> Any:
        """The file, how many of its rows were given out, and the bad rows of those before it."""
        return {"file": self._name(), "index": self.index, "row": self.row, "bad": self.bad}

    def line(self) -> str:
        """How many rows were bad."""
        count = self.bad + len(self.problems)
        return f"{count} {'row' if count == 1 else 'rows'} could not be used" if count else ""


class Each(Cursor):
    """What a function makes of each row: none, one or several. needs: columns of which some row must have one of each list."""

    def __init__(
        self, name: str, make: Callable[[Row], list[Row]], state: Any, before: Cursor, *, needs: Sequence[Sequence[str]] = ()
    ) -> None:
        self.name, self.make = name, make
        self.before: Cursor = before
        found = state or {"in": 0, "out": 0, "changed": 0, "waiting": [], "needs": [list(one) for one in needs]}
        self.came, self.went, self.changed = found["in"], found["out"], found["changed"]
        self.waiting: list[Row] = list(found["waiting"])
        self.needs: list[list[str]] = found["needs"]
        self.columns: dict[str, None] = {}

    def __next__(self) -> Row:
        while not self.waiting:
            row = next(self.before, None)
            if row is None:
                self._missing()
                raise StopIteration
            self.came += 1
            if self.needs:
                self._look(row)
            self.waiting = self.make(row)
            self.went += len(self.waiting)
            self.changed += bool(self.waiting) and self.waiting != [row]
        return self.waiting.pop(0)

    def _look(self, row: Row) -> None:
        self.needs = [names for names in self.needs if not any(name in row for name in names)]
        self.columns.update(dict.fromkeys(row))
        if self.came >= LOOK:
            self._missing()

    def _missing(self) -> None:
        if self.needs and self.came:
            names = self.needs[0]
            what = f"no row has a column '{names[0]}'" if len(names) == 1 else "no row has a column called as a text is"
            raise RecipeError(what, where=self.name, expected="one of " + ", ".join(self.columns), fix="rename the column that is meant")

    def state(self) -> Any:
        """Counts, and the rows made and not given out."""
        rows = waiting(self.waiting)
        return {"in": self.came, "out": self.went, "changed": self.changed, "waiting": rows, "needs": self.needs}

    def line(self) -> str:
        """Rows in and out, and the share kept."""
        if not self.name:
            return ""
        kept = f", {100 * self.went / max(self.came, 1):.1f} % kept" if self.went <= self.came else ""
        changed = f", {self.changed} changed" if self.changed else ""
        return f"{self.name}: {self.came} rows in, {self.went} out{kept}{changed}"


class Shuffle(Cursor):
    """Rows drawn from a buffer of the next ones."""

    def __init__(self, size: int, seed: int, state: Any, before: Cursor) -> None:
        self.size, self.seed = size, seed
        self.before: Cursor = before
        found = state or {"drawn": 0, "buffer": []}
        self.drawn: int = found["drawn"]
        self.buffer: list[Row] = list(found["buffer"])

    def __next__(self) -> Row:
        while len(self.buffer) < self.size:
            row = next(self.before, None)
            if row is None:
                break
            self.buffer.append(row)
        if not self.buffer:
            raise StopIteration
        at = key(self.seed, "stream", self.drawn) % len(self.buffer)
        self.drawn += 1
        self.buffer[at], self.buffer[-1] = self.buffer[-1], self.buffer[at]
        return self.buffer.pop()

    def state(self) -> Any:
        """How many rows were drawn, and those that wait."""
        return {"drawn": self.drawn, "buffer": waiting(self.buffer)}


class Take(Cursor):
    """The first rows."""

    def __init__(self, count: int, state: Any, before: Cursor) -> None:
        self.left: int = count if state is None else state
        self.before: Cursor = before

    def __next__(self) -> Row:
        if self.left <= 0:
            raise StopIteration
        row = next(self.before)
        self.left -= 1
        return row

    def state(self) -> Any:
        """How many are still to come."""
        return self.left


class Skip(Take):
    """The rows after the first."""

    def __next__(self) -> Row:
        while self.left > 0:
            next(self.before)
            self.left -= 1
        return next(self.before)


class Interleave(Cursor):
    """Rows of several streams in turn, or drawn by their shares."""

    def __init__(self, begin: Sequence[Callable[[Any], Cursor]], shares: Sequence[float] | None, seed: int, stop: str, state: Any) -> None:
        found = state or {"streams": [None] * len(begin), "going": list(range(len(begin))), "drawn": 0, "turn": 0}
        self.cursors = [one(at) for one, at in zip(begin, found["streams"])]
        self.going: list[int] = list(found["going"])
        self.drawn, self.turn = found["drawn"], found["turn"]
        self.shares, self.seed, self.stop = shares, seed, stop

    def __next__(self) -> Row:
        while self.going:
            chosen = self._chosen()
            row = next(self.cursors[chosen], None)
            if row is not None:
                self.drawn, self.turn = self.drawn + 1, chosen + 1
                return row
            self.going = [] if self.stop == "first" else [one for one in self.going if one != chosen]
        raise StopIteration

    def _chosen(self) -> int:
        if self.shares is None:
            return next((one for one in self.going if one >= self.turn), self.going[0])
        left = fraction(self.seed, "interleave", self.drawn) * sum(self.shares[one] for one in self.going)
        for one in self.going:
            left -= self.shares[one]
            if left < 0:
                return one
        return self.going[-1]

    def state(self) -> Any:
        """The states of all streams, which of them go on, and whose turn it is."""
        return {"streams": [one.states() for one in self.cursors], "going": self.going, "drawn": self.drawn, "turn": self.turn}

    def told(self) -> list[str]:
        """What the steps of all streams counted."""
        return [line for one in self.cursors for line in one.told()]
