"""Text to the value a setting takes.

In:  "1e-4" for a number, "text=body,label=intent" for `columns`, "80/10/10" for `split`
Out: 0.0001, {"text": "body", "label": "intent"}, (0.8, 0.1, 0.1)

Only unquoted text (`Plain`) of a field whose type is open is given a type by its looks; a text field keeps its text.
"""

from __future__ import annotations

import math
import types
from typing import Any, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from oneloop.errors import RecipeError
from oneloop.safeyaml import Plain, parse_value

IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list", dict: "a mapping"}


def takes(annotation: Any, kind: type) -> bool:
    """Whether a field's type is, or may be, `kind`."""
    return annotation is kind or kind in get_args(annotation)


def whole(value: Any) -> Any:
    """`1e3` as 1000 where whole numbers are expected; everything else as it is."""
    number = Plain(value).value() if isinstance(value, str) else value
    return int(number) if isinstance(number, float) and number.is_integer() else value


def prepare(value: Any, annotation: Any) -> Any:
    """`value` as pydantic should see it for a field of this type."""
    if isinstance(value, bool) and not takes(annotation, bool):
        return [value]  # Python's True is also 1; no number or text means that, and a list is refused by both
    return whole(value) if takes(annotation, int) else value


def words(value: Any) -> Any:
    """A list written as `a, b`; anything else as it is."""
    return [Plain(part.strip()) for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def mapping(name: str, value: Any, where: str) -> Any:
    """ROLE=COLUMN pairs (text or a list of texts) as a dict, `a|b` naming several columns; a dict with texts in it."""
    if isinstance(value, dict):
        named = {str(key): one for key, one in value.items() if one is not None}
        return {key: [str(item) for item in one] if isinstance(one, (list, tuple)) else str(one) for key, one in named.items()}
    found: dict[str, Any] = {}
    for pair in [pair for text in ([value] if isinstance(value, str) else value) for pair in pairs_of(str(text))]:
        key, equals, column = pair.partition("=")
        if not (equals and key.strip() and column.strip()):
            raise RecipeError(
                f"'{name}' has '{pair}'",
                where=where,
                expected="NAME=VALUE pairs such as text=body,label=intent",
                fix="or write a mapping in the recipe",
            )
        names = [part.strip() for part in column.split("|")]
        found[key.strip()] = names if len(names) > 1 else names[0]
    return found


def pairs_of(text: str) -> list[str]:
    """`a=b, c,d=e` as ["a=b, c", "d=e"]: a part without = belongs to the column's name before it."""
    found: list[str] = []
    for part in text.split(","):
        if found and "=" not in part:
            found[-1] += "," + part
        elif part.strip():
            found.append(part)
    return [pair.rstrip(" ,") for pair in found]


def typed(value: Any) -> Any:
    """Unquoted scalars inside `value` as YAML 1.2 types them."""
    if isinstance(value, Plain):
        return value.value()
    if isinstance(value, dict):
        return {key: typed(one) for key, one in value.items()}
    return [typed(one) for one in value] if isinstance(value, list) else value


def coerce(name: str, value: Any, kind: Any, where: str = "") -> Any:
    """An option in the type its task declares; RecipeError when it does not fit. None stays None."""
    if value is None:
        return None
    base = get_origin(kind) or kind
    open_type = kind in (list, tuple, dict, Any, object) or (base in (Union, types.UnionType) and str in get_args(kind))
    if base in (list, tuple, set):
        value = words(value)
    elif base is dict and isinstance(value, str):
        value = {key: Plain(one) for key, one in mapping(name, value, where).items()}
    ready = typed(value) if open_type else str(value) if kind is str and not isinstance(value, bool | list | dict) else prepare(value, kind)
    try:
        return TypeAdapter(kind).validate_python(ready)
    except ValidationError as error:
        expected = IN_WORDS.get(base, getattr(kind, "__name__", str(kind)))
        raise RecipeError(f"'{name}' is {shown(value)}", where=where, expected=expected, fix=f"change '{name}'") from error


def shown(value: Any) -> str:
    """A value as it stands in a message: short, on one line."""
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= 80 else text[:77] + "…"


def split_shares(text: str, where: str = "") -> tuple[float, float, float]:
    """`80/10/10` as (0.8, 0.1, 0.1). Training needs a share; the other two may be 0."""
    parts = [Plain(part.strip().removesuffix("%")).value() for part in text.split("/")]
    numbers = [float(part) for part in parts if isinstance(part, (int, float)) and not isinstance(part, bool) and part >= 0]
    total = sum(numbers)
    if len(parts) != 3 or len(numbers) != 3 or numbers[0] <= 0 or not any(math.isclose(total, full, abs_tol=1e-9) for full in (1, 100)):
        expected = "three shares for training, validation and test that add up to 100"
        raise RecipeError(f"'split' is {shown(text)}", where=where, expected=expected, fix="split: 80/10/10")
    return numbers[0] / total, numbers[1] / total, numbers[2] / total


def parse_set(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` of `--set`, the value read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(
            f"'{text}' is not KEY=VALUE", where="--set", expected="such as --set epochs=5", fix="write KEY=VALUE without spaces"
        )
    return key.strip(), parse_value(value, "--set")
