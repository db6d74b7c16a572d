"""Reads the command line, runs one subcommand and turns what goes wrong into one line and a status.

Status: 0 done; 2 for a `MotionError`, a bad flag, a file that the system refuses or a GPU without
memory left, as one line "error: …" on the standard error; 130 after Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from ..errors import MotionError
from . import convert, demo, evaluate, inspect, merge, sample, train
from .parsing import Parser
from .terminal import write_any_letter

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "inspect": inspect,
    "convert": convert,
    "merge": merge,
    "demo": demo,
}
"""Each module has SUMMARY and EXAMPLES for the help, `add_arguments(parser)` and
`run(arguments) -> int`."""

DESCRIPTION = "Learn the motion of a reference clip and apply it to new subjects."
EPILOG = "For help with examples, add --help to a command: python -m motion_core train --help"

FAILED = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. argv: without the program's name."""
    return run_parsed(build_parser(), argv)


def run_parsed(parser: Parser, argv: Sequence[str] | None = None) -> int:
    """Runs what the parser makes of the arguments; returns the exit status."""
    write_any_letter()
    with _warnings_shown():
        try:
            arguments = parser.parse(sys.argv[1:] if argv is None else argv)
            return arguments.run(arguments)
        except MotionError as error:
            return _failed(str(error))
        except OSError as error:
            return _failed(f"{error.filename or 'The system'}: {error.strerror or error}.")
        except RuntimeError as error:
            # torch's own class, by name: importing torch here would slow `--help`.
            if type(error).__name__ != "OutOfMemoryError":
                raise
            return _failed(
                "The GPU ran out of memory. Use --precision bf16, a smaller --width and "
                "--height, fewer frames, or --device cpu."
            )
        except KeyboardInterrupt:
            sys.stderr.write("stopped\n")
            return INTERRUPTED


def build_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="python -m motion_core", description=DESCRIPTION, epilog=EPILOG)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=module.SUMMARY, description=module.SUMMARY, epilog=module.EXAMPLES
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _failed(message: str) -> int:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return FAILED


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """The core's warnings go to the standard error; libraries' advice to programmers does not."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("motion_core")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
