"""The text beside a clip that describes it: `car.txt` for `car.mp4`, and for an image folder `car`.

UTF-8, or UTF-16 or UTF-32 with a byte order mark, as Notepad writes them. A text in another
encoding (cp1252, GBK, Shift-JIS) is refused, for which of them it is cannot be told: a wrong guess
trains on other words than those that were written.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from ..errors import ClipError

# UTF-32's little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def caption_of(path: Path) -> str:
    """What the caption file beside a clip says, its white space made plain. Raises ClipError if it
    is missing, empty or no Unicode text.
    """
    caption = _caption_file(path)
    if not caption.is_file():
        raise ClipError(
            f"{path.name} has no caption. Give a prompt, or describe the clip in {caption.name} "
            "next to it."
        )
    return checked_prompt(read_text(caption), caption.name)


def read_text(path: Path) -> str:
    """A text that a person wrote, by its byte order mark or else as UTF-8. Raises ClipError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror}. Check its access.") from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ClipError(
            f"{path.name} is not valid {encoding.removesuffix('-sig').upper()} (byte "
            f"{error.start}). Save it again with the encoding UTF-8."
        ) from error
    if "\0" in text:
        raise ClipError(
            f"{path.name} contains null characters: it is no text, or UTF-16 without a byte order "
            "mark. Save it again with the encoding UTF-8."
        )
    return text


def checked_prompt(prompt: str, name: str) -> str:
    """The prompt with single spaces. Raises ClipError if nothing is left."""
    words = " ".join(prompt.split())
    if not words:
        raise ClipError(
            f"The prompt of {name} is empty. Describe the clip, for example 'a car turns left'."
        )
    return words


def _caption_file(path: Path) -> Path:
    """Its suffix in any case; where there is none, the name that it should have."""
    stem = path.name if path.is_dir() else path.stem
    usual = path.parent / f"{stem}.txt"
    if usual.is_file() or not path.parent.is_dir():
        return usual
    others = (p for p in path.parent.iterdir() if p.stem == stem and p.suffix.lower() == ".txt")
    return min(others, default=usual)
