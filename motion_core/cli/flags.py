"""Settings as command-line flags, made from their declarations.

Only flags that were given are handed on, so that everything else comes from the configuration file
or the base. A field of a type that no flag can hold is set in a configuration file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from typing import Any

from ..settings import Field, fields_of

NONE = "none"


def add_flags(
    parser: argparse.ArgumentParser,
    title: str,
    table: str,
    cls: type,
    *,
    names: Iterable[str] | None = None,
    usual: Mapping[str, str] | None = None,
) -> None:
    """Adds a flag for each field of a settings class as a group of the help.

    table: what `given` finds them under. names: of the fields, None for all. usual: by field, whose
    default it is ("the base's") where it is not the class's.
    """
    group = parser.add_argument_group(title)
    for field in fields_of(cls):
        if field.kind is not None and (names is None or field.name in names):
            help = _help(field, (usual or {}).get(field.name, ""))
            group.add_argument(
                option(field),
                dest=f"{table}.{field.name}",
                default=argparse.SUPPRESS,
                help=help.replace("%", "%%"),
                **_options(field),
            )


def option(field: Field) -> str:
    """The field's flag."""
    return field.said.flag or f"--{spoken(field.name)}"


def spoken(name: str) -> str:
    """A method's or field's name as the command line has it."""
    return name.replace("_", "-")


def given(arguments: argparse.Namespace, table: str) -> dict[str, object]:
    """The flags of a table that were on the command line, by field."""
    prefix = f"{table}."
    return {
        name.removeprefix(prefix): value
        for name, value in vars(arguments).items()
        if name.startswith(prefix)
    }


def _help(field: Field, usual: str) -> str:
    """The help of the declaration, with the default and where it is from."""
    default = usual or _shown(field)
    if not default:
        return field.help(NONE)
    said = field.said
    from_it = said.source and not said.official and not usual
    source = f"; {said.source}" if from_it else ""
    return f"{field.help(NONE)} (default: {default}{source})"


def _shown(field: Field) -> str:
    """The default; nothing where it is nothing and that is not explained."""
    if field.default is MISSING:
        return ""
    if field.default is None or field.default == ():
        return NONE if field.said.none else ""
    if field.many:
        return " ".join(map(str, field.default))
    return str(field.default) if field.default != "" else '""'


def _options(field: Field) -> dict[str, Any]:
    if field.kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    options: dict[str, Any] = {"type": _optional(field.kind) if field.optional else field.kind}
    if field.choices:
        options["choices"] = (*field.choices, None) if field.optional else field.choices
    if field.many or not field.choices:
        usual = {int: "N", float: "X", str: "TEXT"}
        options["metavar"] = field.said.metavar or usual[field.kind]  # type: ignore[index]
    if field.many:
        options |= {"action": "append"} if field.said.repeated else {"nargs": "*"}
    return options


def _optional(kind: Any) -> Callable[[str], object]:
    def read(text: str) -> object:
        return None if text == NONE else kind(text)

    read.__name__ = kind.__name__  # argparse shows it in its errors
    return read
