"""What a file is, by its content: a video, an animated picture or a picture.

A name says little: yt-dlp leaves MPEG transport streams as .mp4, ComfyUI saves videos as .webp, and
a download that went wrong is a web page under the name of a video. Only in folders do names count:
what ends in none of `MEDIA_SUFFIXES` is not looked at.
"""

from __future__ import annotations

import codecs
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from PIL import Image

from ..errors import ClipError

Kind = Literal["video", "animation", "image"]

# fmt: off
VIDEO_SUFFIXES = (
    ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif", ".mts", ".m2ts", ".ts", ".mpg",
    ".mpeg", ".vob", ".wmv", ".flv", ".3gp", ".ogv", ".y4m", ".h264", ".264", ".hevc", ".h265",
    ".265",
)
# fmt: on
IMAGE_SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".webp", ".bmp", ".avif")
MEDIA_SUFFIXES = VIDEO_SUFFIXES + IMAGE_SUFFIXES

_HEAD = 1024
_PNG = b"\x89PNG\r\n\x1a\n"
_STILLS = (b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")  # JPEG, BMP, TIFF
_STILL_BRANDS = tuple(b"ftyp" + brand for brand in (b"avif", b"heic", b"heix", b"mif1", b"msf1"))
_WEBP_ANIMATED = 0x02  # of the flags in a VP8X chunk
# What Pillow and its decoders raise for files that are damaged, of an unknown kind, or unreasonably
# large.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# Patterns of a file's first bytes, and what such a file is.
_MISTAKEN = (
    (rb"version https://git-lfs\.github\.com/spec/", "a Git LFS pointer, not the file itself"),
    (rb"<(!doctype html|html|head|body)", "a web page"),
    (rb"<\?xml.*<svg|<svg", "a drawing (SVG)"),
    (rb"%PDF", "a PDF document"),
    (rb"....ftyp(heic|heix|mif1|msf1)", "a HEIC photo, which is not supported"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!", "an archive"),
)


@dataclass(frozen=True, kw_only=True)
class Media:
    """What lies in a folder, each in the order of the names, "2.png" before "10.png".

    videos: animated pictures too. images: pictures that do not move.
    """

    videos: Sequence[Path]
    images: Sequence[Path]


def media_in(folder: Path) -> Media:
    """The folder's own videos and pictures, by content; hidden files are skipped. Raises ClipError
    if the folder or one of its files cannot be opened.
    """
    try:
        paths = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in MEDIA_SUFFIXES
            and not path.name.startswith(".")
            and path.is_file()
        ]
    except OSError as error:
        raise _closed(folder, error) from error
    paths.sort(key=_by_number)
    kinds = {path: kind_of(path) for path in paths}
    return Media(
        videos=[path for path in paths if kinds[path] != "image"],
        images=[path for path in paths if kinds[path] == "image"],
    )


def kind_of(path: Path) -> Kind:
    """By the first bytes; by the suffix where they tell nothing. A picture of several frames that
    Pillow reads is an "animation", whereas a GIF that moves is a "video". Raises ClipError if the
    file cannot be opened.
    """
    head = _head(path)
    if head.startswith(_PNG):
        return "animation" if _is_animated_png(path) else "image"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        flagged = head[12:16] == b"VP8X" and len(head) > 20 and head[20] & _WEBP_ANIMATED
        return "animation" if flagged and not _is_still(path) else "image"
    if head.startswith(b"GIF8"):
        return "image" if _is_still(path) else "video"
    if head[4:12] == b"ftypavis":
        return "image" if _is_still(path) else "animation"
    if head.startswith(_STILLS) or head[4:12] in _STILL_BRANDS:
        return "image"
    if _looks_like_video(head):
        return "video"
    return "image" if path.suffix.lower() in IMAGE_SUFFIXES else "video"


def mistaken_for(path: Path) -> str | None:
    """What the file is in truth, for people, if its content is certainly neither video nor picture.

    Raises ClipError if it cannot be opened.
    """
    head = _head(path)
    if not head:
        return "an empty file"
    if not any(head):
        return "a file of zeros, as a download leaves that was broken off"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for pattern, what in _MISTAKEN:
        if re.match(pattern, start, re.IGNORECASE | re.DOTALL):
            return what
    is_y4m = head.startswith(b"YUV4MPEG2")
    return "a text file" if not is_y4m and _is_text(head) else None


def not_media(path: Path, what: str, expected: str) -> ClipError:
    """The error for a file that is something else. expected: "a video", say."""
    todo = "Download it again, or choose another file."
    if "LFS" in what:
        todo = "Run 'git lfs pull' in its repository, or download the file itself."
    elif "HEIC" in what:
        todo = "Convert it to JPEG or PNG."
    return ClipError(f"{path.name} cannot be read as {expected}: it is {what}. {todo}")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise _closed(path, error) from error


def _closed(path: Path, error: OSError) -> ClipError:
    return ClipError(f"{path} cannot be opened: {error.strerror}. Check its access.")


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters; the last one may be cut in two."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < _HEAD)
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\t\r\n\ufeff" for sign in text)


def _looks_like_video(head: bytes) -> bool:
    """By the marks of the usual containers and of raw streams."""
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
        or head.startswith((b"\x1aE\xdf\xa3", b"OggS", b"FLV", b"YUV4MPEG2", b"0&\xb2u"))
        or head.startswith((b"\0\0\0\x01", b"\0\0\x01"))  # raw streams, MPEG program streams
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or (head[:1] == b"G" and head[188:189] == b"G")  # transport stream
        or (head[4:5] == b"G" and head[196:197] == b"G")  # the same with Blu-ray's time codes
    )


def _is_animated_png(path: Path) -> bool:
    """Whether an acTL chunk of two frames or more stands before the first picture."""
    with path.open("rb") as file:
        file.seek(len(_PNG))
        while (chunk := _png_chunk(file)) is not None:
            name, length = chunk
            if name == b"acTL":
                return int.from_bytes(file.read(4), "big") > 1
            if name in (b"IDAT", b"IEND"):
                return False
            file.seek(length + 4, 1)
    return False


def _png_chunk(file: BinaryIO) -> tuple[bytes, int] | None:
    """(name, length of the data) of the chunk that begins here; None at the end."""
    start = file.read(8)
    return (start[4:], int.from_bytes(start[:4], "big")) if len(start) == 8 else None


def _is_still(path: Path) -> bool:
    """Whether Pillow reads the file, and finds a single frame."""
    try:
        with Image.open(path) as image:
            return not getattr(image, "is_animated", False)
    except UNREADABLE:
        return False


def _by_number(path: Path) -> list[str | int]:
    """Text and numbers in turn, so that numbers compare as such."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [int(part) if part.isdecimal() else part for part in parts]
