"""argparse as the commands use it: errors are `SettingsError`s, and a mistyped flag names its
neighbour.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import SettingsError


class Parser(argparse.ArgumentParser):
    """Raises SettingsError where argparse would print its usage and leave."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{_sentence(message)} See {self.prog} --help.")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments; raises SettingsError, also for flags that are not known.

        A command that has a default `more` gets there what is not known, to read it itself, and its
        own flags as `flags`.
        """
        arguments, unknown = self.parse_known_args(argv)
        if "more" in vars(arguments):
            arguments.more, arguments.flags = unknown, self._command(argv).flags
        elif unknown:
            command = self._command(argv)
            refuse_unknown(unknown[0], command.flags, command.prog)
        return arguments

    @property
    def flags(self) -> list[str]:
        return list(self._option_string_actions)

    def _command(self, argv: Sequence[str]) -> Parser:
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return next((action.choices[a] for a in argv if a in action.choices), self)
        return self


def refuse_unknown(argument: str, flags: Sequence[str], prog: str) -> NoReturn:
    """Raises SettingsError for an argument that is not known, with the flag that was meant."""
    near = difflib.get_close_matches(argument.partition("=")[0], flags, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise SettingsError(f"Unknown: {argument}.{hint} See {prog} --help.")


def _sentence(message: str) -> str:
    """argparse's "argument --steps: invalid int value: 'x'" as a sentence."""
    message = re.sub(r"^argument (\S+?)(/\S+)*: ", r"\1: ", message)
    return message[0].upper() + message[1:].rstrip(".") + "."


def matching(path: Path) -> list[Path]:
    """The files of a pattern such as out/*.mp4, sorted; any other path as it is. Shells do this but
    for those of Windows.
    """
    if path.exists() or not any(sign in path.name for sign in "*?["):
        return [path]
    return sorted(path.parent.glob(path.name)) or [path]
