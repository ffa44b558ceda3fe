"""TMX: translation memories, an XML file of units with one text per language.

In:  a Part with TMX
Out: a Table with source and target; languages in the notes
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from xml.etree import ElementTree

from oneloop.errors import DataError, Problem
from oneloop.read.sources import Part
from oneloop.read.table import ColumnRows, Table

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def read_tmx(part: Part, *, max_rows: int | None = None) -> Table:
    """The pairs of a TMX file of two languages; the header's srclang, else the first language, is the source.

    Files that declare entities are refused (they can unfold without end). DataError for more than two languages.
    """
    if re.search(rb"<!ENTITY", part.head(1 << 16)):
        raise DataError("declares XML entities, which can unfold without end", where=part.name, fix="save it without them")
    units, declared = _units(part, max_rows)
    languages = Counter(name for unit in units for name in unit)
    if len(languages) != 2:
        found = ", ".join(f"{name} ({count})" for name, count in languages.items()) or "none"
        raise DataError(f"holds {len(languages)} languages: {found}", where=part.name, expected="two", fix="save one pair of languages")
    first, second = languages
    if declared and second.split("-")[0] == declared.split("-")[0]:
        first, second = second, first
    problems = []
    pairs: tuple[list[str], list[str]] = ([], [])
    numbers = array("q")
    for number, unit in enumerate(units, 1):
        missing = [name for name in (first, second) if name not in unit]
        if missing:
            problems.append(Problem(f"no text in {missing[0]}", "add it or remove the unit", file=part.name, row=number))
            continue
        pairs[0].append(unit[first])
        pairs[1].append(unit[second])
        numbers.append(number)
    table = Table(ColumnRows(["source", "target"], pairs), ["source", "target"], file=part.name, format="tmx", numbers=numbers)
    table.problems = problems
    table.notes.append(f"{part.name}: languages {first}, {second}, the first is the source")
    return table


def _units(part: Part, max_rows: int | None) -> tuple[list[dict[str, str]], str]:
    """Language -> text of every unit, and the source language that the header declares ("" for none)."""
    units: list[dict[str, str]] = []
    declared = ""
    try:
        for _, element in ElementTree.iterparse(part.open(), events=("end",)):
            name = element.tag.rpartition("}")[2]
            if name == "header" and element.get("srclang", "*all*") != "*all*":
                declared = element.get("srclang", "").lower()
            if name != "tu":
                continue
            units.append(dict(_variant(variant) for variant in element if variant.tag.rpartition("}")[2] == "tuv"))
            element.clear()
            if max_rows is not None and len(units) >= max_rows:
                break
    except ElementTree.ParseError as error:
        line = error.position[0]
        problem = Problem(f"not valid XML ({error})", "correct this line", file=part.name, line=line)
        raise DataError("not a valid TMX file", [problem], where=part.name) from error
    return units, declared


def _variant(variant: ElementTree.Element) -> tuple[str, str]:
    language = variant.get(LANGUAGE) or variant.get("lang") or ""
    segment = next((child for child in variant if child.tag.rpartition("}")[2] == "seg"), None)
    return language.lower(), "".join(segment.itertext()).strip() if segment is not None else ""
