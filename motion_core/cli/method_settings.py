"""Every method's settings as flags, made from its settings class alone.

The classes import torch, so the flags are made when a method is known, and not for `train --help`:
`train` hands on what it does not know itself, and `--objective-help NAME` lists a method's. Types,
choices and defaults are the fields' own; the help is what the class's docstring says, in its
sentences "field: …" or "field, field: …". A field of a type that no flag can hold is set in a
configuration file.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import SettingsError
from ..methods import METHODS
from .flags import Flag, add_flags, given
from .parsing import Parser
from .train import add_arguments

TRAIN = "python -m motion_core train"


def settings_class(method: str) -> type:
    """The settings dataclass of a method; raises SettingsError if there is none of that name."""
    if method not in METHODS:
        raise SettingsError(
            f"There is no method {method!r}. Choose one of {', '.join(map(spoken, METHODS))}."
        )
    return type(METHODS[method]().settings)


def spoken(method: str) -> str:
    """A method's or field's name as the command line has it."""
    return method.replace("_", "-")


def method_flags(method: str) -> list[Flag]:
    """A flag for every setting of the method that a flag can hold."""
    cls = settings_class(method)
    hints, texts = get_type_hints(cls), _texts(cls)
    flags = []
    for field in dataclasses.fields(cls):
        flag = _flag(field.name, hints[field.name], field.default, texts.get(field.name, ""))
        flags += [flag] if flag is not None else []
    return flags


def method_help(method: str) -> str:
    """The help on a method's settings."""
    parser = Parser(prog=f"{TRAIN} --objective {spoken(method)}", add_help=False)
    add_flags(parser, f"method {spoken(method)}", "objective", method_flags(method))
    return parser.format_help()


def read_method_flags(arguments: Sequence[str], method: str) -> dict[str, object]:
    """The method's settings among arguments that `train` itself does not know.

    Raises SettingsError for an argument that is none of them, naming the methods whose setting it
    is, or else a flag with a similar name.
    """
    parser = Parser(prog=TRAIN, add_help=False)
    add_flags(parser, "method", "objective", method_flags(method))
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        check_owners([flag.removeprefix("--").removeprefix("no-").replace("-", "_")], method, flag)
        add_arguments(parser)
        near = difflib.get_close_matches(flag, parser._option_string_actions, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingsError(f"Unknown: {unknown[0]}.{hint} See {TRAIN} --help.")
    return given(known, "objective")


def check_owners(names: Iterable[str], method: str, shown: str = "") -> None:
    """Raises SettingsError if one of the names is a setting of other methods only.

    shown: what the user wrote, if it is not the name. Names that no method has are let through.
    """
    own = {field.name for field in dataclasses.fields(settings_class(method))}
    for name in names:
        owners = [
            spoken(other)
            for other in METHODS
            if name in {field.name for field in dataclasses.fields(settings_class(other))}
        ]
        if name not in own and owners:
            raise SettingsError(
                f"{shown or name} is a setting of {' and '.join(owners)}, not of "
                f"{spoken(method)}. Leave it out, or choose its method (--objective)."
            )


def _flag(name: str, hint: Any, default: object, text: str) -> Flag | None:
    """None if no flag can hold a value of this type."""
    optional, many = False, False
    if get_origin(hint) in (Union, UnionType):
        members = [member for member in get_args(hint) if member is not NoneType]
        if len(members) != 1:
            return None
        hint, optional = members[0], True
    if get_origin(hint) is tuple:
        if get_args(hint)[1:] != (...,):
            return None
        hint, many = get_args(hint)[0], True
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    kind = type(choices[0]) if choices else hint
    if kind not in (bool, int, float, str) or any(type(choice) is not kind for choice in choices):
        return None
    return Flag(
        field=name,
        kind=kind,
        default=_shown(default),
        help=text,
        choices=choices,
        optional=optional,
        many=many,
    )


def _shown(default: object) -> str:
    if default is None or default == ():
        return "none"
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _texts(cls: type) -> dict[str, str]:
    """What a settings class's docstring says of its fields."""
    words = " ".join((cls.__doc__ or "").split())
    name = "|".join(field.name for field in dataclasses.fields(cls))
    heads = list(re.finditer(rf"(?:^|(?<=\. ))((?:(?:{name})(?:, | and )?)+): ", words))
    ends = [head.start() for head in heads[1:]] + [len(words)]
    return {
        field: words[head.end() : end].strip().rstrip(".")
        for head, end in zip(heads, ends, strict=True)
        for field in re.split(", | and ", head[1])
    }
