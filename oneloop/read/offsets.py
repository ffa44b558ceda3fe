"""Character offsets in Python code points, whatever the program that wrote them counted in.

In:  a text and spans, some with the words they are to cover
Out: the same spans in code points, and in which unit they were written
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Span = dict[str, Any]
UNITS = {"UTF-16 units": "utf-16-le", "bytes of UTF-8": "utf-8"}


def find_unit(pairs: Sequence[tuple[str, Sequence[Span]]]) -> str | None:
    """The unit in which every span with a stored `text` covers exactly that text: "code points", "UTF-16 units" or
    "bytes of UTF-8"; None if no unit fits all, "code points" if there is nothing to compare."""
    compared = [(text, span) for text, spans in pairs for span in spans if span.get("text")]
    if all(text[span["start"] : span["end"]] == span["text"] for text, span in compared):
        return "code points"
    for unit in UNITS:
        if all(_covers(text, span, converter(text, unit)) for text, span in compared):
            return unit
    return None


def _covers(text: str, span: Span, convert: Callable[[int], int | None]) -> bool:
    start, end = convert(span["start"]), convert(span["end"])
    return start is not None and end is not None and text[start:end] == span["text"]


def converter(text: str, unit: str) -> Callable[[int], int | None]:
    """A function from an offset in `unit` to one in code points; None for an offset inside a character or past the end."""
    if unit not in UNITS:
        return lambda offset: offset
    size = 2 if unit == "UTF-16 units" else 1
    position, table = 0, {0: 0}
    for index, char in enumerate(text, 1):
        position += len(char.encode(UNITS[unit], "surrogatepass")) // size
        table[position] = index
    return table.get


def converted(text: str, spans: Sequence[Span], unit: str) -> list[Span]:
    """The spans with `start` and `end` in code points; offsets that fall inside a character stay as they are."""
    change = converter(text, unit)
    found = []
    for span in spans:
        start, end = change(span["start"]), change(span["end"])
        found.append(span if start is None or end is None else span | {"start": start, "end": end})
    return found
