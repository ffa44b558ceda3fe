"""One cell to its canonical value, for every kind of role. The parsers that the tasks' Columns name.

In:  a cell as it was read (text, or a JSON value)
Out: text str · label str · labels list[str] · number float · tokens/tags list[str] · spans and answers lists of dicts;
     ValueError whose text tells a lay person what is wrong

A cell is missing (None) only if it is None or, for targets, empty; `NA` and `null` are words like any other.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

_QUOTED = r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\""
SHOWN = 40  # characters of a cell that a message quotes
START = ("start", "start_offset", "start_char", "begin", "from", "answer_start", "offset")
END = ("end", "end_offset", "end_char", "stop", "to")
LABEL = ("label", "labels", "entity", "entity_group", "entity_type", "type", "tag", "category", "class", "name", "ner")
SURFACE = ("text", "surface", "word", "mention", "value", "phrase")


def quoted(cell: Any) -> str:
    """The beginning of a cell in quotes, for messages."""
    text = cell if isinstance(cell, str) else repr(cell)
    return f"'{text[:SHOWN]}…'" if len(text) > SHOWN else f"'{text}'"


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing: None, not-a-number, or only white space."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell.strip())


def text(cell: Any) -> str:
    """A text, unchanged. Numbers and truth values (JSON) are written out; lists and objects are refused."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        raise ValueError("is empty where a text is expected")
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return _number_text(cell)
    if isinstance(cell, list) and cell and all(isinstance(item, str) for item in cell):
        raise ValueError("is a list of texts where one text is expected")
    raise ValueError(f"is {_kind(cell)} where a text is expected")


def joined_text(cell: Any) -> str:
    """A text, or a list of texts (sentences) joined by one space."""
    if isinstance(cell, list | tuple) and cell and all(isinstance(item, str) for item in cell):
        return " ".join(cell)
    return text(cell)


def label(cell: Any) -> str:
    """The name of a class, unchanged where it is a text; whole numbers and truth values (JSON) are written out."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        if cell.is_integer():
            return str(int(cell))
        raise ValueError(f"{cell} is a number with decimals, not a class; a task that predicts numbers reads it as score")
    if isinstance(cell, list):
        if len(cell) == 1 and isinstance(cell[0], str | int):
            return label(cell[0])
        raise ValueError(f"holds {len(cell)} labels where one is expected; several labels per row are read as labels")
    raise ValueError(f"is {_kind(cell)} where a label is expected")


def labels(cell: Any, separator: str | None = None) -> list[str]:
    """A set of labels: a list, a list written as text (JSON or Python), or names separated by `separator`; where it is None by
    | ; or , (the first of these that occurs), where it is "" the cell is one label. An empty cell is an empty set. Repeats are
    dropped."""
    cell = unwritten(cell)
    if cell is None:
        return []
    if isinstance(cell, str):
        mark = next((mark for mark in "|;," if mark in cell), None) if separator is None else separator
        found = [part.strip() for part in cell.split(mark)] if mark else [cell.strip()]
        return list(dict.fromkeys(name for name in found if name))
    if isinstance(cell, list | tuple | set):
        return list(dict.fromkeys(label(item) for item in cell))
    if isinstance(cell, dict):
        if all(isinstance(value, bool | int | float) for value in cell.values()):
            return [str(name) for name, value in cell.items() if truth(value)]
        raise ValueError("is an object whose values are not 0 or 1")
    return [label(cell)]


def truth(cell: Any) -> bool:
    """Whether a one-hot cell is set: 1, true, yes, x; not set: 0, false, no, empty. Anything else is refused."""
    word = _number_text(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else str(cell).strip().lower()
    if word in ("1", "1.0", "true", "yes", "x", "y", "t"):
        return True
    if word in ("0", "0.0", "false", "no", "", "none", "n", "f"):
        return False
    raise ValueError(f"{quoted(cell)} is neither 1 nor 0")


def number(cell: Any) -> float:
    """A finite number: 3, 3.5, 3,5 (decimal comma), 1.234,5 and 1,234.5 (grouped), 12 %, 1e-3."""
    if isinstance(cell, bool):
        raise ValueError("is true or false where a number is expected")
    if isinstance(cell, int | float):
        value = float(cell)
    else:
        value = _parsed_number(text(cell).strip())
    if not math.isfinite(value):
        raise ValueError(f"{quoted(cell)} is not a finite number")
    return value


def _parsed_number(word: str) -> float:
    digits = word.replace("\u2212", "-").replace("\u00a0", "").replace("\u202f", "")
    percent = digits.endswith("%")
    digits = digits.removesuffix("%").strip()
    if re.fullmatch(r"[-+]?\d{1,3}(\.\d{3})+,\d+", digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+\.\d+", digits):
        digits = digits.replace(",", "")
    elif digits.count(",") == 1 and "." not in digits:
        digits = digits.replace(",", ".")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", digits):
        raise ValueError(f"{quoted(word)} is not a number" if word else "is empty where a number is expected")
    return float(digits) / 100 if percent else float(digits)


def tokens(cell: Any, what: str = "word") -> list[str]:
    """Words: a list, a list written as text (JSON or Python), or words separated by spaces."""
    found = unwritten(cell)
    if isinstance(found, str):
        found = found.split()
    if not isinstance(found, list | tuple):
        raise ValueError(f"is {_kind(found)} where a list of {what}s is expected")
    words = [item if isinstance(item, str) else _word(item, place, what) for place, item in enumerate(found, 1)]
    if not words:
        raise ValueError(f"holds no {what}s")
    return words


def tags(cell: Any) -> list[str]:
    """One tag for each word, written like `tokens`; numbers become their text (a table with names turns them into tags)."""
    return tokens(cell, "tag")


def _word(item: Any, place: int, what: str = "word") -> str:
    if isinstance(item, dict):
        for key in ("text", "word", "orth", "token"):
            if isinstance(item.get(key), str):
                return str(item[key])
    if item is None or isinstance(item, dict | list):
        raise ValueError(f"{what} {place} is {_kind(item)}")
    return text(item)


def spans(cell: Any) -> list[dict[str, Any]]:
    """Marked stretches of a text as [{"start", "end", "label"}], sorted; offsets in characters, end exclusive. Read from a
    list of objects or triples, from {"entities": [...]}, or from one of these written as text."""
    found = [{"start": span["start"], "end": span["end"], "label": span["label"]} for span in as_spans(unwritten(cell))]
    return sorted(found, key=lambda span: (span["start"], span["end"], span["label"]))


def as_spans(cell: Any) -> list[dict[str, Any]]:
    """Like `spans`, in the order written and with the stored words as `text` where there are any."""
    if isinstance(cell, dict):
        cell = next((cell[key] for key in ("entities", "spans", "ents") if isinstance(cell.get(key), list)), cell)
    if cell is None:
        return []
    if not isinstance(cell, list | tuple):
        raise ValueError(f"is {_kind(cell)} where a list of spans is expected")
    return [_span(item, place) for place, item in enumerate(cell, 1)]


def _span(item: Any, place: int) -> dict[str, Any]:
    start, end, name, surface = _span_fields(item, place)
    if isinstance(name, list) and len(name) == 1:
        name = name[0]
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise ValueError(f"span {place} has no label" if not name else f"span {place} has {_kind(name)} as label")
    whole = [int(at) for at in (start, end) if _is_offset(at)]
    if len(whole) != 2:
        raise ValueError(f"span {place}: start and end must be whole numbers, found {start!r} and {end!r}")
    if whole[0] < 0 or whole[1] <= whole[0]:
        raise ValueError(f"span {place} goes from {whole[0]} to {whole[1]}; its end must come after its start")
    found = {"start": whole[0], "end": whole[1], "label": str(name)}
    return found | ({"text": surface} if isinstance(surface, str) else {})


def _is_offset(at: Any) -> bool:
    if isinstance(at, str):
        return at.isdecimal()
    return (isinstance(at, int) and not isinstance(at, bool)) or (isinstance(at, float) and at.is_integer())


def _span_fields(item: Any, place: int) -> tuple[Any, Any, Any, Any]:
    if isinstance(item, dict):
        found = [_first(item, keys) for keys in (START, END, LABEL, SURFACE)]
        if found[0] is None or found[1] is None:
            raise ValueError(f"span {place} has no start or no end")
        return found[0], found[1], found[2], found[3]
    if isinstance(item, list | tuple) and len(item) >= 3:
        if isinstance(item[0], str) and not item[0].isdecimal():
            return item[1], item[2], item[0], None
        return item[0], item[1], item[2], None
    raise ValueError(f"span {place} is {_kind(item)}; expected start, end and label")


def _first(item: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((item[key] for key in keys if item.get(key) is not None), None)


def answers(cell: Any) -> list[dict[str, Any]]:
    """Answers as [{"text", "start"}], [] for a question without one. Read from {"text": [...], "answer_start": [...]}, a list
    of {text, answer_start | start}, one such object, or one of these written as text. start is None where it is not given."""
    cell = unwritten(cell)
    if is_missing(cell) or cell == {}:
        return []
    if isinstance(cell, str):
        return [{"text": cell, "start": None}]
    if isinstance(cell, dict):
        cell = _paired(cell)
    if not isinstance(cell, list | tuple):
        raise ValueError(f"is {_kind(cell)} where answers are expected")
    return [_answer(item, place) for place, item in enumerate(cell, 1)]


def _paired(cell: dict[str, Any]) -> list[dict[str, Any]]:
    words, starts = cell.get("text", cell.get("texts")), _first(cell, START)
    if isinstance(words, str):
        words, starts = ([words] if words else []), [starts]
    if not isinstance(words, list | tuple):
        raise ValueError("answers need text and answer_start")
    starts = [None] * len(words) if starts is None else starts if isinstance(starts, list | tuple) else [starts]
    if len(words) != len(starts) and words:
        raise ValueError(f"{len(words)} answer texts but {len(starts)} starts")
    return [{"text": word, "start": start} for word, start in zip(words, starts)]


def _answer(item: Any, place: int) -> dict[str, Any]:
    if isinstance(item, str):
        return {"text": item, "start": None}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise ValueError(f"answer {place} has no text")
    start = _first(item, START)
    if start is None:
        return {"text": item["text"], "start": None}
    if not _is_offset(start) or int(start) < 0:
        raise ValueError(f"answer {place}: the start must be a whole number from 0, found {start!r}")
    return {"text": item["text"], "start": int(start)}


def messages(cell: Any) -> list[dict[str, str]]:
    """A conversation as [{"role", "content"}]; {"from", "value"} (ShareGPT) is understood too."""
    found = unwritten(cell)
    if not isinstance(found, list) or not found:
        raise ValueError("is not a list of messages")
    names = {"human": "user", "gpt": "assistant", "bot": "assistant"}
    result = []
    for place, item in enumerate(found, 1):
        if not isinstance(item, dict):
            raise ValueError(f"message {place} is {_kind(item)}")
        role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
        if not isinstance(role, str) or not isinstance(content, str):
            raise ValueError(f"message {place} needs a role and a content")
        result.append({"role": names.get(role, role), "content": content})
    return result


def texts(cell: Any) -> list[str]:
    """One or several texts (passages, references): a list, or a single text."""
    if isinstance(cell, list | tuple):
        return [text(item) for item in cell]
    return [text(cell)]


def unwritten(cell: Any) -> Any:
    """A list or object that was written into a text cell (JSON, Python or numpy style), or the cell itself."""
    if hasattr(cell, "tolist"):
        return cell.tolist()
    if not isinstance(cell, str):
        return cell
    word = cell.strip()
    if (word[:1] + word[-1:]) not in ("[]", "{}", "()") or len(word) > 10_000_000:
        return cell
    if word.startswith("[") and (items := _numpy_list(word)):
        return items
    readers: tuple[Callable[[str], Any], ...] = (json.loads, ast.literal_eval)
    for reader in readers:
        try:
            found = reader(word)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return list(found) if isinstance(found, tuple) else found
    return cell


def _numpy_list(word: str) -> list[str]:
    """The texts of ['a' 'b'], as numpy prints an array (Python would read that as one text); [] for any other writing."""
    if not re.match(r"""\[\s*(?:'[^']*'|"[^"]*")\s+['"]""", word):
        return []
    items = re.findall(_QUOTED, word)
    bare = re.sub(_QUOTED, "", word[1:-1])
    return [one or other for one, other in items] if not bare.strip() else []


def _number_text(value: float) -> str:
    return str(value)


_KINDS = ((bool, "true or false"), (str, "a text"), (int, "a number"), (float, "a number"), (dict, "an object"), (list, "a list"))


def _kind(cell: Any) -> str:
    if cell is None:
        return "empty"
    return next((word for kind, word in _KINDS if isinstance(cell, kind)), f"a {type(cell).__name__}")
