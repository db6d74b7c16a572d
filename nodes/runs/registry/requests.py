"""What a page may send, checked."""

from __future__ import annotations

from .folder import RunRequestError

_MOST_DIGITS = 12


def parse_since(text: str) -> int:
    """A step from 0 on. Raises RunRequestError, status 400, for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise RunRequestError(f"since is {text[:40]!r}; expected a step: 0, 1, 2 …", 400)
    return int(text)
