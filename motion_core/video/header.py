"""What ffmpeg prints of a file's first video, and what of it must be known to show its pictures
rightly: shape of the pixels, transparency, colours, fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_TRANSPARENT = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8|ayuv|vuya")
_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
# ffmpeg's own decoders of these leave the alpha out.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_ALWAYS_INTERLACED = "dvvideo"
_RATE = re.compile(r", ([\d.]+) fps")
_FIELDS = re.compile(r"(top|bottom) (coded )?first")
_COLOURS = re.compile(r"[\w-]+/[\w-]+/[\w-]+|bt\d+\w*|smpte\w+|arib-std-b67")
_VIDEO = re.compile(
    r"Video: (?P<codec>\w+).*?, (?P<pixels>\w+)(?:\((?P<told>(?:[^()]|\([^()]*\))*)\))?, "
    r"(?P<width>\d+)x(?P<height>\d+)(?:.*? SAR (?P<files>\d+:\d+)|.*?\[SAR (?P<own>\d+:\d+))?"
)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What ffmpeg prints of a file and its first video.

    container: ffmpeg's names of it. start: seconds on the file's clock at which the earliest of its
    streams begins. size: (height, width) as shown. square: whether the pixels are. colours:
    "matrix/primaries/transfer", or what these have in common, or "". hdr: "PQ", "HLG", "unknown"
    (wide colours of 10 bits, but nothing says how bright they are) or "". decoder: None for
    ffmpeg's choice. fps: frames a second by the stream's header; 0 if it does not tell.
    """

    container: str
    start: float
    size: tuple[int, int]
    square: bool
    colours: str
    hdr: str
    transparent: bool
    interlaced: bool
    decoder: str | None
    fps: float


def read_header(text: str) -> Header | None:
    """From what ffmpeg prints of its input; None if there is no video in it."""
    told = text.split("Stream mapping:")[0]
    container = re.search(r"Input #0, (\S+), from", told)
    begins = re.search(r"Duration: .*?, start: (-?[\d.]+)", told)
    for stream in re.split(r"\[info\] +Stream #0:", told)[1:]:
        line, _, rest = stream.partition("\n")
        found = _VIDEO.search(line)
        if found and "(attached pic)" not in line:
            return Header(
                container=container[1] if container else "",
                start=float(begins[1]) if begins else 0.0,
                **_look(found, rest),
                fps=float(rate[1]) if (rate := _RATE.search(line)) else 0.0,
            )
    return None


def _look(video: re.Match[str], rest: str) -> dict[str, Any]:
    """The fields of `Header` on what the pictures look like. rest: the lines below, on the same
    stream.
    """
    codec, pixels, told = video["codec"], video["pixels"], video["told"] or ""
    colours = next((part for part in told.split(", ") if _COLOURS.fullmatch(part)), "")
    width, height = int(video["width"]), int(video["height"])
    above, below = map(int, (video["files"] or video["own"] or "1:1").split(":"))
    aspect = Fraction(above, below) if above and below else Fraction(1)
    width, height = shown_size(width, height, aspect)
    turn = re.search(r"rotation of (-?[\d.]+) degrees", rest)
    turned = turn is not None and round(float(turn[1])) % 180 == 90
    alpha = re.search(r"alpha_mode +: 1", rest) is not None
    hdr = next((name for transfer, name in _TRANSFERS.items() if transfer in colours), "")
    if not hdr and "bt2020" in colours and "unknown" in colours and "10" in pixels:
        hdr = "unknown"
    return {
        "size": (width, height) if turned else (height, width),
        "square": aspect == 1,
        "colours": colours,
        "hdr": hdr,
        "transparent": alpha or _TRANSPARENT.match(pixels) is not None,
        "interlaced": codec == _ALWAYS_INTERLACED or _FIELDS.search(told) is not None,
        "decoder": _WITH_ALPHA.get(codec) if alpha else None,
    }


def shown_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """(width, height) in square pixels; the side that is too short grows, so that nothing is lost.

    aspect: width of a pixel by its height.
    """
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)
