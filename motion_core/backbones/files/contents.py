"""What a file is by its first bytes, whatever its name says.

People's model folders have torch files called .safetensors and the reverse, sign-in pages and
pointers of Git LFS under a model's name (both when a download went wrong), and models in formats
that are not read here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ...errors import FormatError

Container = Literal["safetensors", "torch"]

_START = 512
_LENGTH = 8
"""Bytes before a safetensors file's header."""
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.\w+$")


class _Stranger(NamedTuple):
    """No model, or none that is read here. pattern: of its first bytes. what, todo: for people."""

    pattern: re.Pattern[bytes]
    what: str
    todo: str


def _stranger(pattern: bytes, what: str, todo: str) -> _Stranger:
    return _Stranger(re.compile(rb"[\s\xef\xbb\xbf]*" + pattern, re.IGNORECASE), what, todo)


_SIGN_IN = "Sign in where the model is offered, accept its terms, and download it again."
_STRANGERS: Sequence[_Stranger] = (
    _stranger(
        rb"version https://git-lfs\.github\.com/spec/",
        "a Git LFS pointer, not the model itself: a few lines that say where it is stored",
        "Run 'git lfs pull' in its repository, or download the file itself.",
    ),
    _stranger(rb"(<!doctype|<html|<head|<\?xml)", "a web page, not a model", _SIGN_IN),
    _stranger(rb'\{\s*"error', "a server's error message, not a model", _SIGN_IN),
    _stranger(
        rb"(entry not found|access to model|invalid (username|credentials)|not found|forbidden)",
        "a server's error message, not a model",
        _SIGN_IN,
    ),
    _stranger(
        rb"GGUF",
        "a GGUF file, a quantised format that this package does not read",
        "Use a .safetensors version of it.",
    ),
    _stranger(rb"\x1f\x8b", "a gzip archive, not a model", "Unpack it first."),
    _stranger(rb"(7z\xbc\xaf|Rar!)", "an archive, not a model", "Unpack it first."),
)


def container(path: Path) -> Container | None:
    """How the file stores tensors; None for what only its name can tell, such as a file cut short.

    Raises FormatError for what is no model, and for formats that are not read here.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    for stranger in _STRANGERS:
        if stranger.pattern.match(start):
            raise FormatError(f"{path.name} is {stranger.what}. {stranger.todo}")
    if len(start) <= _LENGTH:  # the length of a header may begin as a pickle does
        return None
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**40:
        return "safetensors"
    # A zip archive, or a pickle, which torch wrote before version 1.6.
    return "torch" if start.startswith((b"PK\x03\x04", b"\x80")) else None


def shard(name: str) -> tuple[int, int] | None:
    """(number, of how many) of a model that was saved in several files; None for a whole one."""
    found = _SHARD.search(name)
    return (int(found[1]), int(found[2])) if found else None
