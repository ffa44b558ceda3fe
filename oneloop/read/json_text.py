"""JSON as strictly as the standard has it: no repeated keys, no NaN, no half characters, no endless nesting.

In:  JSON text
Out: Python values, or ValueError whose text a lay person understands
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 100  # levels of lists and objects; real data has five
HALF = re.compile(r"\\u[dD][89a-fA-F]")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|-?(?:NaN|Infinity)|\n|"', re.DOTALL)
SPACE = re.compile(r"[ \t\r\n]*")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [name for name, _ in pairs]
        twice = next(name for name in keys if keys.count(name) > 1)
        raise ValueError(f"the key '{twice}' occurs twice in one object")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:40]} is too large")
    return value


_strict = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
_lenient = json.JSONDecoder()


def parse(text: str) -> Any:
    """The value of a JSON text. ValueError with a plain reason; JSONDecodeError (a ValueError) where it is not JSON."""
    try:
        value = _strict.decode(text)
    except RecursionError as error:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep") from error
    check(value, text)
    return value


def parse_at(text: str, position: int) -> tuple[Any, int]:
    """The value that begins at `position` and the position after it; errors as `parse`."""
    try:
        value, end = _strict.raw_decode(text, position)
    except RecursionError as error:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep") from error
    check(value, text, position, end)
    return value, end


def skip_at(text: str, position: int) -> int:
    """The position after the value that begins at `position`, strict or not; -1 where there is no end."""
    try:
        return _lenient.raw_decode(text, position)[1]
    except (ValueError, RecursionError):
        return -1


def check(value: Any, text: str, start: int = 0, end: int | None = None) -> None:
    """ValueError if `value`, parsed from that part of `text`, is nested too deeply or holds half a surrogate pair."""
    if text.count("[", start, end) + text.count("{", start, end) > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
    if HALF.search(text, start, len(text) if end is None else end):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            code = ord(error.object[error.start])
            raise ValueError(f"holds half a character (\\u{code:04x}, a lone surrogate)") from error


def depth(value: Any) -> int:
    """Levels of lists and objects in a value."""
    level, layer = 0, [value]
    while layer := [item for item in layer if isinstance(item, dict | list)]:
        level += 1
        layer = [inner for item in layer for inner in (item.values() if isinstance(item, dict) else item)]
    return level


def plain_reason(error: ValueError) -> str:
    """What is wrong, in words: the decoder's message without its positions."""
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(error.doc.rstrip()):
            return "the JSON text ends too early"
        return f"not valid JSON at character {error.colno}: {error.msg[0].lower()}{error.msg[1:]}"
    if "integer string conversion" in str(error):
        return "holds a number of more than 4300 digits"
    return str(error)


def faults(text: str) -> list[tuple[int, str]]:
    """(line, reason) of every repeated key, NaN and too deep level in a JSON text; slow, used once parsing has failed."""
    found: list[tuple[int, str]] = []
    stack: list[set[str] | None] = []
    line, last, deep = 1, "", False
    for match in TOKEN.finditer(text):
        token = match.group()
        if token == '"':  # a string without an end
            break
        if token == "\n":
            line += 1
            continue
        if token in "{[":
            stack.append(set() if token == "{" else None)
            if len(stack) > MAX_DEPTH and not deep:
                deep = True
                found.append((line, f"is nested more than {MAX_DEPTH} levels deep"))
        elif token in "]}":
            stack[-1:] = []
        elif token == ":" and stack and stack[-1] is not None:
            keys = stack[-1]
            if last in keys:
                found.append((line, f"the key {last[:80]} occurs twice in one object"))
            keys.add(last)
        elif token[0] in "-NI":
            found.append((line, f"{token} is not a JSON value"))
        elif token[0] == '"' and HALF.search(token):
            found += [(line, reason) for reason in _half(token)]
        last = token
    return found


def _half(token: str) -> list[str]:
    try:
        check(json.loads(token, strict=False), token)
    except ValueError as error:
        return [str(error)]
    return []


def line_at(text: str, position: int) -> int:
    """The 1-based line that `position` is on."""
    return text.count("\n", 0, position) + 1


def close_early(text: str) -> str:
    """A cut JSON text made whole: what follows its last complete value inside is dropped and open brackets are closed."""
    stack: list[str] = []
    best, closers = 0, ""
    for match in TOKEN.finditer(text):
        token = match.group()
        if token == '"':  # the text was cut inside a string
            break
        if token in ("{", "["):
            stack.append("}" if token == "{" else "]")
        elif token in ("}", "]") and stack:
            stack.pop()
            best, closers = match.end(), "".join(reversed(stack))
    return text[:best] + closers
