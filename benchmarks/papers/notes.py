"""What was tried where a claim does not hold: notes written by people, printed beside the verdicts.

notes.toml beside this file has a text for a claim's key, or for "KEY/BACKBONE/MOTION"; earlier.toml
has those of the rows of version 0.1.0.
"""

from __future__ import annotations

import sys
from pathlib import Path

from motion_core.errors import FormatError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

NOTES = Path(__file__).parent / "notes.toml"
EARLIER_NOTES = Path(__file__).parent / "earlier.toml"


def read_notes(path: Path = NOTES) -> dict[str, str]:
    """The notes by key; raises FormatError if the file is damaged or holds more than texts."""
    try:
        notes = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{path.name} cannot be read: {error}. Correct it.") from error
    odd = [key for key, note in notes.items() if not isinstance(note, str)]
    if odd:
        raise FormatError(
            f'{path.name} has no text for {odd[0]!r}. Write "KEY" = "text", the key in quotes.'
        )
    return notes
