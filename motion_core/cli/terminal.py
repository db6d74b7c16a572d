"""What a command shows while it works (standard error), and its results (standard output).

On a terminal one line is rewritten; in a log file there are plain lines, and few of them.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
from types import TracebackType
from typing import TextIO

BAR = 10


class Terminal:
    """The place for progress; as a context it clears its line at the end, whatever happens.

    label: stands before every line. A labelled one shares the screen with others, and so never
    rewrites.
    """

    def __init__(self, stream: TextIO | None = None, label: str = "") -> None:
        self.stream = stream or sys.stderr
        self.label = f"{label}: " if label else ""
        self.live = self.stream.isatty() and not label

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Rewrites the line; nothing where there is no terminal."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}")

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._write(f"{self.label}{text}\n")

    def steps(self, what: str) -> StepsShown:
        """A callback for (steps done, steps in all), such as a sampler's."""
        return StepsShown(self, what)

    def clear(self) -> None:
        """Empties the rewritten line."""
        if self.live:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class StepsShown:
    """Rewrites the terminal's line with "what [##----] 3/30"."""

    def __init__(self, terminal: Terminal, what: str) -> None:
        self.terminal, self.what = terminal, what

    def __call__(self, done: int, total: int) -> None:
        self.terminal.show(f"{self.what} {bar(done, total)} {done}/{total}")


def bar(done: int, total: int) -> str:
    """How much is done as a picture: [###-------]."""
    marks = BAR * done // total
    return f"[{'#' * marks}{'-' * (BAR - marks)}]"


def write_any_letter() -> None:
    """Letters that the console lacks come out as \\u52a8: Windows has consoles with western letters
    alone, where they would end the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def quoted(argument: str, windows: bool = os.name == "nt") -> str:
    """As the system's command line takes it, with spaces in it too."""
    return subprocess.list2cmdline([argument]) if windows else shlex.quote(argument)


def say(text: str) -> None:
    """A line of the command's result, on the standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
