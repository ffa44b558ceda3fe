"""The flags of `oneloop train`, made from the recipe's fields.

In:  Recipe.model_fields, the fields tasks declare, the Hugging Face spellings
Out: a signature for the command line, and a reader for the flags that are not in it
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from oneloop.errors import did_you_mean
from oneloop.recipe import Recipe, accepts, field_names, spelled, task_fields
from oneloop.recipe_aliases import ALIASES, NOT_NEEDED
from oneloop.safeyaml import Plain

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer has no public name for it
KEYWORD = inspect.Parameter.KEYWORD_ONLY


def train_signature(json: Any, quiet: Any) -> inspect.Signature:
    """The parameters of `oneloop train`: recipe, one flag for each field, --set, and the two that every command has."""
    recipe = typer.Argument(metavar="RECIPE.yaml", help="A recipe; flags win over it.", show_default=False)
    settings = typer.Option("--set", metavar="KEY=VALUE", help="Any setting, those of the task included.", show_default=False)
    parameters = [parameter("recipe", Annotated[list[str] | None, recipe])]
    parameters += [field_flag(name) for name in Recipe.model_fields if name in field_names()]
    parameters += [parameter("settings", Annotated[list[str] | None, settings])]
    parameters += [parameter("json", json, False), parameter("quiet", quiet, False)]
    return inspect.Signature(parameters)


def parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    """One parameter of the signature."""
    return inspect.Parameter(name, KEYWORD, annotation=annotation, default=default)


def field_flag(name: str) -> inspect.Parameter:
    """The flag of the field `name`; truth values are switches, everything else is text that the recipe checks."""
    info = Recipe.model_fields[name]
    flag = f"--{name.replace('_', '-')}"
    default = "" if info.default in (None, []) else f" [default: {str(info.default).lower() if info.annotation is bool else info.default}]"
    if info.annotation is bool:
        switch = typer.Option(f"{flag}/--no-{flag[2:]}", help=f"{info.description}{default}", show_default=False)
        return parameter(name, Annotated[bool | None, switch])
    option = typer.Option(flag, metavar="VALUE", help=f"{info.description} Takes {accepts(name)}.{default}", show_default=False)
    several = name in ("columns", "train", "validation", "test")
    return parameter(name, Annotated[list[str] | None if several else str | None, option])


def extra_flags(tokens: Sequence[str]) -> tuple[list[str], list[tuple[str, Any]]]:
    """What is left when the flags of the signature are taken out: the recipe's path, and flags that are settings of a
    task or Hugging Face spellings. UsageError for anything else."""
    known = {name for fields in task_fields().values() for name in fields} | set(ALIASES)
    paths: list[str] = []
    found: list[tuple[str, Any]] = []
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if not token.startswith("-"):
            paths.append(token)
            continue
        name, equals, value = token.lstrip("-").partition("=")
        if spelled(name) not in known:
            raise unknown_flag(token.partition("=")[0], known)
        if not equals:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        found.append((name, Plain(value)))
    if len(paths) > 1:
        raise UsageError(f"expected one recipe, got {len(paths)}: {' '.join(paths)}; data is named with --train")
    return paths, found


def unknown_flag(flag: str, known: set[str]) -> Exception:
    """The usage error for a flag that does not exist, with the nearest one that does."""
    name = spelled(flag.lstrip("-"))
    if name in NOT_NEEDED:
        return UsageError(f"there is no flag '{flag}'; {NOT_NEEDED[name]}")
    choices = sorted(f"--{other.replace('_', '-')}" for other in known | field_names() | {"json", "quiet", "set", "help"})
    return UsageError(f"there is no flag '{flag}'{did_you_mean(flag.replace('_', '-'), choices)}")
