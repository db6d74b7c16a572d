"""The methods on the command line: their names, and their settings as flags.

The methods import torch, so their flags are made when a method is known, and not for
`train --help`: `train` hands on what it does not know itself, and `--objective-help NAME` lists a
method's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import SettingsError
from ..methods import METHODS
from ..settings import fields_by_name
from .flags import add_flags, given, spoken
from .parsing import Parser, refuse_unknown

TRAIN = "python -m motion_core train"


def settings_class(method: str) -> type:
    """The settings dataclass of a method; raises SettingsError if there is none of that name."""
    if method not in METHODS:
        raise SettingsError(
            f"There is no method {spoken(method)!r}. "
            f"Choose one of {', '.join(map(spoken, METHODS))}."
        )
    return METHODS[method].Settings


def methods_help() -> str:
    """All methods in a line each."""
    lines = [f"  {spoken(name):<18} {method.summary}" for name, method in METHODS.items()]
    return "\n".join(
        ["methods:", *lines, f"{TRAIN} --objective-help NAME lists the settings of one.\n"]
    )


def method_help(method: str) -> str:
    """The help on a method's settings."""
    parser = Parser(prog=f"{TRAIN} --objective {spoken(method)}", add_help=False)
    add_flags(parser, f"method {spoken(method)}", "objective", settings_class(method))
    return parser.format_help()


def read_method_flags(
    arguments: Sequence[str], method: str, train_flags: Sequence[str] = ()
) -> dict[str, object]:
    """The method's settings among arguments that `train` itself does not know.

    train_flags: those that it knows. Raises SettingsError for an argument that is none of them,
    naming the methods whose setting it is, or else a flag with a similar name.
    """
    parser = Parser(prog=TRAIN, add_help=False)
    add_flags(parser, "method", "objective", settings_class(method))
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        check_owners([flag.removeprefix("--").removeprefix("no-").replace("-", "_")], method, flag)
        refuse_unknown(unknown[0], [*parser.flags, *train_flags], TRAIN)
    return given(known, "objective")


def check_owners(names: Iterable[str], method: str, shown: str = "") -> None:
    """Raises SettingsError if one of the names is a setting of other methods only.

    shown: what the user wrote, if it is not the name. Names that no method has are let through.
    """
    fields = {other: fields_by_name(settings_class(other)) for other in METHODS}
    for name in names:
        owners = [spoken(other) for other in METHODS if name in fields[other]]
        if name not in fields[method] and owners:
            raise SettingsError(
                f"{shown or name} is a setting of {' and '.join(owners)}, not of "
                f"{spoken(method)}. Leave it out, or choose its method (--objective)."
            )
