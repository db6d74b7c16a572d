"""Runs the ffmpeg that imageio-ffmpeg brings along; nothing is expected on the PATH.

Input: argument lists. Output: ffmpeg's own output as bytes, and its complaint as one line when it
fails.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from ..errors import MotionError

# Quiet but for errors, and only local files: a playlist that calls itself .mp4 must not open the
# network.
_GLOBAL = ("-hide_banner", "-nostdin", "-v", "error")
LOCAL_INPUT = ("-protocol_whitelist", "file,pipe")
# ComfyUI's desktop build has no console; without this, Windows opens one for every call.
_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a whole run of ffmpeg left: its exit status, its standard output and its errors as
    text.
    """

    status: int
    output: bytes
    errors: str


def run_ffmpeg(arguments: Sequence[str], stdin: bytes = b"") -> Finished:
    """Runs ffmpeg to its end. Raises MotionError if there is no ffmpeg to run."""
    done = subprocess.run(
        [_executable(), *_GLOBAL, *arguments],
        input=stdin,
        capture_output=True,
        creationflags=_FLAGS,
        check=False,
    )
    errors = done.stderr.decode("utf-8", "replace")
    return Finished(status=done.returncode, output=done.stdout, errors=errors)


@contextmanager
def ffmpeg_output(arguments: Sequence[str]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Starts ffmpeg and yields its standard output and its errors as files; ends it with the
    context. Of the errors, what is there already can be read at any time.
    """
    # A pipe that nobody reads would stall ffmpeg; and one handle for both would share its position.
    with tempfile.TemporaryDirectory(prefix="motion-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "errors"
        with path.open("wb") as written, path.open("rb") as errors:
            process = subprocess.Popen(
                [_executable(), *_GLOBAL, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=written,
                creationflags=_FLAGS,
            )
            assert process.stdout is not None
            try:
                yield process.stdout, errors
            finally:
                process.stdout.close()
                process.kill()
                process.wait()


def complaint(errors: str) -> str:
    """The first line of ffmpeg's errors without its "[demuxer @ address]" prefix."""
    lines = [re.sub(r"^(\[[^\]]*\]\s*)+", "", line).strip() for line in errors.splitlines()]
    return next((line.rstrip(".") for line in lines if line), "no reason given")


def errors_in(log: str) -> str:
    """The errors of what ffmpeg writes with `-v level+info`."""
    marked = re.compile(r"^((?:\[[^\]]*\]\s*)*)\[(?:error|fatal|panic)\]")
    return "\n".join(line for line in log.splitlines() if marked.match(line))


@lru_cache
def has_filters(*names: str) -> bool:
    """Whether this ffmpeg was built with all of them."""
    listed = run_ffmpeg(["-filters"]).output.decode("utf-8", "replace")
    return set(names) <= {line.split()[1] for line in listed.splitlines() if len(line.split()) > 1}


def _executable() -> str:
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise MotionError(
            f"ffmpeg, needed to read and write videos, was not found ({error}). Reinstall "
            "imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to ffmpeg version 5.1 or later."
        ) from error
