"""YAML for settings, read without surprises.

In:  text such as `learning_rate: 1e-4` or `columns: {text: body, label: no}`
Out: {"learning_rate": Plain("1e-4"), "columns": {"text": Plain("body"), "label": Plain("no")}} and the line of each key

Every scalar stays the text it is: the field that receives it says what it means, so `no`, `1e-4`, `007` and `12:30` are
never turned into something else on the way. Unquoted scalars are marked `Plain`; only they may become numbers, truth
values or nothing. Python tags are refused, aliases cannot multiply, and a key may stand only once.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from oneloop.errors import RecipeError

LARGEST_FILE = 1_000_000  # bytes; a recipe is a page, so anything larger is the wrong file
LARGEST_TREE = 10_000  # values after aliases are followed; an alias bomb of ten levels has 10^10
DEEPEST = 20
CORE_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}
# The core schema of YAML 1.2 (yaml.org/spec/1.2.2, section 10.3.2), with the exponents without a dot that people write.
INTEGER = re.compile(r"[-+]?[0-9]+")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOTHING = {"", "~", "null", "Null", "NULL"}
TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Plain(str):
    """A scalar that stood without quotes, or the value of a flag: it may still become a number."""

    __slots__ = ()

    def value(self) -> str | int | float | bool | None:
        """What YAML 1.2 reads: nothing, a truth value, a whole number, a number, or the text itself."""
        text = str(self)
        if text in NOTHING:
            return None
        if text in TRUTH:
            return TRUTH[text]
        if INTEGER.fullmatch(text) and len(text) <= 300:
            return int(text)
        return float(text) if NUMBER.fullmatch(text) and math.isfinite(float(text)) else text


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The settings in the file at `path` and the line of each key; RecipeError when it cannot be used."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise RecipeError(f"the file has more than {LARGEST_FILE:,} bytes", where=str(path), expected="a recipe of a page or so")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    return parse_settings(text, str(path))


def parse_settings(text: str, where: str) -> tuple[dict[str, Any], dict[str, int]]:
    """A mapping written in YAML and the line of each key. Empty text gives an empty mapping."""
    node = compose(text, where)
    if node is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise RecipeError(
            "this is not a list of settings", where=where, expected="lines such as `task: ner`", fix="write KEY: VALUE on each line"
        )
    tree = Tree(where)
    values = tree.mapping(node, 0)
    return values, {str(name.value): name.start_mark.line + 1 for name, _ in node.value}


def parse_value(text: str, where: str) -> Any:
    """One value as written after `key: `, e.g. of `--set key=value`; text that is not YAML stays text."""
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return text
    if node is None or isinstance(node, yaml.ScalarNode):
        return Plain(text)
    return Tree(where).convert(node, 0)


def compose(text: str, where: str) -> yaml.Node | None:
    """The tree of the one document in `text`, nothing constructed from it."""
    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where} line {mark.line + 1}" if mark else where
        raise RecipeError(
            f"this is not YAML: {error.problem or error.context}",
            where=place,
            expected="lines such as `task: ner`",
            fix="put text with : or # in quotes",
        ) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"this is not YAML: {str(error).splitlines()[0]}", where=where, expected="a text file") from error
    except RecursionError as error:
        raise RecipeError("values are nested too deeply", where=where, expected=f"at most {DEEPEST} levels") from error


class Tree:
    """Turns composed nodes into values, counting them, so that aliases cannot grow without bound."""

    def __init__(self, where: str) -> None:
        self.where, self.count = where, 0

    def convert(self, node: yaml.Node, depth: int) -> Any:
        """The value of any node: text, a list or a mapping."""
        self.count += 1
        if self.count > LARGEST_TREE or depth > DEEPEST:
            raise self.error(node, "aliases or nesting make this too large", f"at most {LARGEST_TREE:,} values, {DEEPEST} levels deep")
        if node.tag not in CORE_TAGS:
            raise self.error(node, f"the tag {node.tag} is not allowed", "plain text, numbers, lists and mappings", "remove the tag")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item, depth + 1) for item in node.value]
        return scalar(node.value, quoted=getattr(node, "style", None) is not None)

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        """Keys to values; a key that stands twice is an error, whichever value it would have had."""
        found: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise self.error(name, "a key is a list or mapping", "a word before each colon")
            if name.value in found:
                raise self.error(name, f"the key '{name.value}' stands twice", "each key once", "remove one of the two lines")
            found[str(name.value)] = self.convert(value, depth + 1)
        return found

    def error(self, node: yaml.Node, what: str, expected: str, fix: str = "") -> RecipeError:
        """The error, with the line of `node`."""
        return RecipeError(what, where=f"{self.where} line {node.start_mark.line + 1}", expected=expected, fix=fix)


def scalar(text: str, quoted: bool) -> str | None:
    """A scalar's text; None for an unquoted null; Plain where it stood without quotes."""
    if quoted:
        return text
    return None if text in NOTHING else Plain(text)


def write_yaml(values: dict[str, Any], comment: str) -> str:
    """`values` as flat YAML that `parse_settings` reads back, under a comment line."""
    return f"# {comment}\n" + yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
