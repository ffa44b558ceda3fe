"""The filter expression of a recipe: which rows are used.

    words(text) > 30 and label != 'spam'
    lang in ['en', 'de'] or not (contains(lower(title), 'draft') or len(text) < 20)

In:  rows (any dicts) and an expression
Out: the rows for which it is true

Grammar:  any    = all {"or" all}        all   = one {"and" one}      one = ["not"] one | "(" any ")" | comparison
          comparison = value [op value | ["not"] "in" list | ["not"] "contains" value | "is" ["not"] "empty"]
          op     = == = != <> < <= > >= ~ (regular expression found)
          value  = 'text' | "text" | number | true | false | field | `field with spaces` | function "(" value ")"
A field that a row does not have is empty, as is one that holds '' (label != '' leaves both out); comparing it with anything
else gives false except with != and `is empty`. Numbers written as text
compare as numbers with numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from oneloop.errors import RecipeError, did_you_mean
from oneloop.read.packed import kept

MAX_LENGTH = 10_000  # characters of an expression
MAX_DEPTH = 100  # brackets and nots inside each other
TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`[^`]+`)
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<word>[^\W\d][\w.\-]*|\d+(?=\s*[=!<>~]))
    |(?P<sign>==|!=|<>|<=|>=|[=<>~()\[\],])
    )""",
    re.VERBOSE,
)
OPERATORS = ("==", "=", "!=", "<>", "<", "<=", ">", ">=", "~")
KEYWORDS = ("and", "or", "not", "in", "contains", "is", "empty", "true", "false", "startswith", "endswith")
Row = dict[str, Any]
Value = Callable[[Row], Any]
Test = Callable[[Row], bool]


@dataclass
class Token:
    """One word or sign of an expression and its 0-based position."""

    kind: str
    text: str
    at: int


def words(value: Any) -> int:
    """Words of a text (parted by white space) or items of a list; 0 for an empty cell."""
    return len(value) if isinstance(value, list | tuple | dict) else 0 if value is None else len(str(value).split())


def length(value: Any) -> int:
    """Characters of a text or items of a list; 0 for an empty cell."""
    return 0 if value is None else len(value) if isinstance(value, str | list | tuple | dict) else len(str(value))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "words": words,
    "len": length,
    "length": length,
    "lower": lambda value: None if value is None else str(value).lower(),
    "upper": lambda value: None if value is None else str(value).upper(),
    "strip": lambda value: None if value is None else str(value).strip(),
    "number": _number,
    "lines": lambda value: 0 if value is None else len(str(value).splitlines()),
}


@dataclass(frozen=True)
class Where:
    """A compiled expression: `test(row)` and the fields it reads."""

    expression: str
    test: Test
    fields: tuple[str, ...]


def compile_where(expression: str) -> Where:
    """The test an expression stands for. RecipeError that points at the place where it cannot be read."""
    if len(expression) > MAX_LENGTH:
        raise RecipeError(f"the filter is longer than {MAX_LENGTH} characters", where="where")
    parser = _Parser(expression)
    test = parser.any()
    parser.end()
    return Where(expression, test, tuple(dict.fromkeys(parser.fields)))


def apply_where(rows: Sequence[Row], expression: str, table: Any = None) -> Sequence[Row]:
    """The rows for which `expression` is true, in order.

    table: the Table they were made from; its columns can then be used as well as the roles. RecipeError for an expression that
    cannot be read or names a field that no row has.
    """
    where = compile_where(expression)
    known = {name for row in rows for name in row}
    beside = [name for name in where.fields if name not in known and table is not None and name in table.columns]
    unknown = [name for name in where.fields if name not in known and name not in beside]
    if unknown and rows:
        have = sorted(known | set(table.columns if table is not None else ()))
        near = did_you_mean(unknown[0], have)
        raise RecipeError(f"no row has a field '{unknown[0]}'{near}", where=f"where: {expression}", expected="one of " + ", ".join(have))
    if not beside:
        return kept(rows, [i for i, row in enumerate(rows) if where.test(row)])
    cells = _beside(table, beside)
    return kept(rows, [i for i, row in enumerate(rows) if where.test(cells.get((row.get("file"), row.get("row")), {}) | row)])


def _beside(table: Any, names: Iterable[str]) -> dict[tuple[Any, Any], Row]:
    """(file, row) -> the cells of columns that play no role."""
    columns = {name: table.column(name) for name in names}
    found = {}
    for i in range(len(table)):
        at = table.origin(i)
        found[at.file, at.row] = {name: cells[i] for name, cells in columns.items()}
    return found


class _Parser:
    """Recursive descent over the tokens; every method returns a closure that reads a row."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = list(self._tokens())
        self.position = 0
        self.depth = 0
        self.fields: list[str] = []

    def _tokens(self) -> Iterable[Token]:
        at, text = 0, self.expression.rstrip()
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                raise self.error(f"cannot be read at {text[at:].strip()[:20]!r}", at)
            yield Token(str(match.lastgroup), match.group(str(match.lastgroup)), match.start(str(match.lastgroup)))
            at = match.end()

    def error(self, what: str, at: int | None = None) -> RecipeError:
        """An error that shows the place."""
        at = at if at is not None else self.tokens[self.position].at if self.position < len(self.tokens) else len(self.expression)
        return RecipeError(
            f"the filter {what} (character {at + 1})", where=f"where: {self.expression}", fix="words(text) > 2 and label != 'spam'"
        )

    def peek(self) -> str:
        """The next word (lower case) or sign; "" at the end or before a quoted text."""
        if self.position >= len(self.tokens):
            return ""
        token = self.tokens[self.position]
        return token.text.lower() if token.kind in ("word", "sign") else ""

    def take(self, *wanted: str) -> bool:
        """Step over the next token if it is one of `wanted`."""
        if self.peek() in wanted and self.peek():
            self.position += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        """Step over `sign` or raise."""
        if not self.take(sign):
            raise self.error(f"lacks a {sign!r}")

    def end(self) -> None:
        """Raise unless everything was read."""
        if self.position < len(self.tokens):
            raise self.error(f"should end before {self.tokens[self.position].text!r}")

    def deeper(self) -> None:
        """Count a level of nesting and refuse endless ones."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"is nested more than {MAX_DEPTH} levels deep")

    def any(self) -> Test:
        """all or all or …"""
        tests = [self.all()]
        while self.take("or"):
            tests.append(self.all())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def all(self) -> Test:
        """one and one and …"""
        tests = [self.one()]
        while self.take("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        """A negation, a bracket or a comparison."""
        if self.take("not"):
            self.deeper()
            inner = self.one()
            self.depth -= 1
            return lambda row: not inner(row)
        if self.take("("):
            self.deeper()
            inner = self.any()
            self.expect(")")
            self.depth -= 1
            return inner
        return self.comparison()

    def comparison(self) -> Test:
        """value op value, value in list, value contains value, value is empty; a value alone is true if not empty or 0."""
        if self.peek() in ("contains", "startswith", "endswith") and self._next_is("("):
            return self._two_argument_call()
        left = self.value()
        for sign in OPERATORS:
            if self.take(sign):
                return _compared(left, sign, self._pattern() if sign == "~" else self.value(), self)
        negative = self.take("not")
        if self.take("in"):
            items = self.list()
            return _negated(negative, lambda row: any(_equal(left(row), item(row)) for item in items))
        for word in ("contains", "startswith", "endswith"):
            if self.take(word):
                return _negated(negative, _contained(word, left, self.value()))
        if negative:
            raise self.error("lacks 'in' or 'contains' after 'not'")
        if self.take("is"):
            negative = self.take("not")
            self.expect("empty")
            return _negated(negative, lambda row: _empty(left(row)))
        return lambda row: bool(left(row)) and left(row) not in ("0", "false", "False")

    def _next_is(self, sign: str) -> bool:
        after = self.position + 1
        return after < len(self.tokens) and self.tokens[after].text == sign

    def _two_argument_call(self) -> Test:
        word = self.peek()
        self.position += 1
        self.expect("(")
        left = self.value()
        self.expect(",")
        right = self.value()
        self.expect(")")
        return _contained(word, left, right)

    def _pattern(self) -> Value:
        token = self.tokens[self.position] if self.position < len(self.tokens) else None
        if token is None or token.kind != "text":
            raise self.error("needs a regular expression in quotes after ~")
        self.position += 1
        try:
            pattern = re.compile(token.text[1:-1])
        except re.error as error:
            raise self.error(f"has a regular expression that cannot be read: {error}", token.at) from error
        return lambda row: pattern

    def list(self) -> list[Value]:
        """['a', 'b'] or ('a', 'b')."""
        close = "]" if self.take("[") else ")" if self.take("(") else ""
        if not close:
            raise self.error("needs a list such as ['a', 'b'] after 'in'")
        items: list[Value] = []
        while not self.take(close):
            if items:
                self.expect(",")
            items.append(self.value())
        return items

    def value(self) -> Value:
        """A text, number, truth value, field or function of a value."""
        if self.position >= len(self.tokens):
            raise self.error("ends where a value is expected")
        token = self.tokens[self.position]
        self.position += 1
        if token.kind == "text":
            constant: Any = re.sub(r"\\(.)", r"\1", token.text[1:-1])
        elif token.kind == "number":
            constant = float(token.text)
        elif token.kind == "word" and token.text.lower() in ("true", "false"):
            constant = token.text.lower() == "true"
        elif token.kind == "quoted" or (token.kind == "word" and token.text.lower() not in KEYWORDS):
            return self._field_or_call(token)
        else:
            raise self.error(f"has {token.text!r} where a value is expected", token.at)
        return lambda row: constant

    def _field_or_call(self, token: Token) -> Value:
        name = token.text.strip("`")
        if token.kind == "word" and self.take("("):
            function = FUNCTIONS.get(name.lower())
            if function is None:
                near = did_you_mean(name.lower(), FUNCTIONS)
                raise self.error(f"calls '{name}', which there is not{near}; there are {', '.join(FUNCTIONS)}", token.at)
            self.deeper()
            inner = self.value()
            self.expect(")")
            self.depth -= 1
            return lambda row: function(inner(row))
        self.fields.append(name)
        return lambda row: row.get(name)


def _negated(negative: bool, test: Test) -> Test:
    return (lambda row: not test(row)) if negative else test


def _empty(value: Any) -> bool:
    return value is None or value == [] or value == {} or (isinstance(value, str) and not value.strip())


def _contained(word: str, left: Value, right: Value) -> Test:
    def test(row: Row) -> bool:
        whole, part = left(row), right(row)
        if whole is None or part is None:
            return False
        if isinstance(whole, list | tuple | dict):
            return word == "contains" and any(_equal(item, part) for item in whole)
        text, piece = _text(whole), _text(part)
        return piece in text if word == "contains" else text.startswith(piece) if word == "startswith" else text.endswith(piece)

    return test


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _equal(left: Any, right: Any) -> bool:
    if left == "" or right == "":
        return (left is None or left == "") and (right is None or right == "")
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).lower() == str(right).lower()
    if isinstance(left, int | float) != isinstance(right, int | float):
        one, other = _number(left), _number(right)
        return one is not None and one == other
    return bool(left == right)


def _compared(left: Value, sign: str, right: Value, parser: _Parser) -> Test:
    if sign == "~":
        return lambda row: left(row) is not None and bool(right(row).search(str(left(row))))
    if sign in ("==", "="):
        return lambda row: _equal(left(row), right(row))
    if sign in ("!=", "<>"):
        return lambda row: not _equal(left(row), right(row))
    order: dict[str, Callable[[Any, Any], bool]] = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    compare = order[sign]

    def test(row: Row) -> bool:
        a, b = left(row), right(row)
        numbers = _number(a), _number(b)
        if numbers[0] is not None and numbers[1] is not None:
            return compare(*numbers)
        return isinstance(a, str) and isinstance(b, str) and compare(a, b)

    return test
