"""What ffmpeg says of a file's video stream before it decodes any of it: `VideoStream`.

In: the path of a file. Out: the times of the frames that are shown, and what must be known to show
them rightly: shape of the pixels, transparency, colours, fields.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import ClipError
from .ffmpeg import LOCAL_INPUT, complaint, errors_in, run_ffmpeg
from .kinds import mistaken_for, not_media

logger = logging.getLogger(__name__)

FIRST_VIDEO = "0:V:0"
"""ffmpeg's name of the first stream of pictures that is no cover."""
_KEY, _DISCARD = 0x1, 0x4
"""ffmpeg's packet flags: decoding can begin here; cut away by an edit list, decoded but never
shown."""
_NO_TIME = -(2**63)
_CUT_OFF = re.compile("partial file|ended prematurely", re.IGNORECASE)
_TRANSPARENT = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8|ayuv|vuya")
_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
# ffmpeg's own decoders of these leave the alpha out.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_ALWAYS_INTERLACED = "dvvideo"
_AVI = "avi"
"""Has times of decoding only; what ffmpeg calls the times of showing is wrong by the reordering."""
_RAW = {"h264": 2, "hevc": 1, "m4v": 1, "mpegvideo": 1}
"""Streams without a container, and how many ticks of the clock in their headers a frame takes
(H.264, E.2.1; H.265, E.3.1; the others' clocks are not looked at)."""
_RAW_FPS = 25.0
"""What ffmpeg takes where no header tells."""
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
    ffmpeg's choice.
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


@dataclass(frozen=True, kw_only=True)
class VideoStream:
    """clock: ascending, of each frame that is shown: seconds as the file counts them; or, where
    `counted`, the frame's number, for files that do not say when each is shown. times: seconds of
    each since the file's start, or where `counted` since the first frame. keys: indices of frames at which decoding can begin. tick: seconds,
    of the file's clock.
    """

    path: Path
    header: Header
    clock: Sequence[float]
    counted: bool
    times: Sequence[float]
    keys: Sequence[int]
    tick: Fraction

    def key_before(self, index: int) -> int:
        """The last frame up to `index` at which decoding can begin; 0 if there is none."""
        before = bisect_right(self.keys, index)
        return self.keys[before - 1] if before else 0


def probe(path: Path) -> VideoStream:
    """Raises ClipError if ffmpeg cannot read the file, if it is cut off, or if it has no video."""
    if what := mistaken_for(path):
        raise not_media(path, what, "a video")
    # fmt: off
    listing = run_ffmpeg([
        "-v", "level+info", "-nostats", "-copyts", *LOCAL_INPUT, "-i", str(path.absolute()),
        "-map", FIRST_VIDEO, "-c", "copy", "-f", "framecrc", "-",
    ])
    # fmt: on
    errors = errors_in(listing.errors)
    if listing.status != 0:
        raise _no_video(path, listing.errors, errors)
    packets, tick = _packets(listing.output.decode("ascii", "replace"))
    if cut_off := _CUT_OFF.search(errors):
        raise ClipError(
            f"{path.name} is cut off ({cut_off.group()}): only {len(packets)} of the frames listed "
            "in its header are there. Download it again, or re-encode the rest to a new file."
        )
    header = _header(listing.errors)
    if header is None or not packets:
        raise ClipError(f"{path.name} has no video frames. Convert it to mp4, or use another file.")
    return _stream(path, header, packets, tick)


def _stream(path: Path, header: Header, packets: list[_Packet], tick: Fraction) -> VideoStream:
    """The frames in the order in which they are shown."""
    counted = header.container in (_AVI, *_RAW) or any(p.shown is None for p in packets)
    if not counted:
        packets = sorted(packets, key=lambda packet: packet.shown or 0)
    clock = [float((packet.shown or 0) * tick) for packet in packets]
    times = [seconds - header.start for seconds in clock]
    if counted:  # the times of decoding have the same spacing
        clock = [float(k) for k in range(len(packets))]
        earliest = min(packet.decoded for packet in packets)
        times = sorted(float((packet.decoded - earliest) * tick) for packet in packets)
    if header.container in _RAW:
        rate = _raw_rate(path, header.container)
        times = [k / rate for k in range(len(packets))]
    if len(set(times)) < len(times):
        raise ClipError(
            f"{path.name} has frames without times. Convert it to mp4, or use another file."
        )
    return VideoStream(
        path=path,
        header=header,
        clock=clock,
        counted=counted,
        times=times,
        keys=[index for index, packet in enumerate(packets) if packet.key],
        tick=tick,
    )


def _raw_rate(path: Path, container: str) -> float:
    """Frames a second by the stream's own header, which ffmpeg leaves out of account."""
    # fmt: off
    traced = run_ffmpeg([
        "-v", "info", *LOCAL_INPUT, "-i", str(path.absolute()), "-map", FIRST_VIDEO, "-c", "copy",
        "-bsf:v", "trace_headers", "-frames:v", "1", "-f", "null", "-",
    ]).errors
    # fmt: on
    ticks, scale = (
        re.search(rf"{name}\s+[01]+ = ([1-9]\d*)", traced)
        for name in ("num_units_in_tick", "time_scale")
    )
    if ticks and scale:
        return int(scale[1]) / int(ticks[1]) / _RAW[container]
    logger.warning(
        "%s does not say its frame rate; %g frames per second are assumed. If that is wrong, "
        "convert it to mp4 with its right rate.",
        path.name,
        _RAW_FPS,
    )
    return _RAW_FPS


@dataclass(frozen=True, kw_only=True)
class _Packet:
    """shown, decoded: when, in ticks; shown is None where the file does not tell. hidden: decoded,
    but not to be shown.
    """

    shown: int | None
    decoded: int
    key: bool
    hidden: bool


def _packets(listing: str) -> tuple[list[_Packet], Fraction]:
    """From ffmpeg's framecrc listing, without what is never shown; and the tick of the clock.

    A line reads "stream, dts, pts, duration, size, checksum[, F=flags]"; a packet without flags is
    a key. Where frames are reordered, AVI and raw streams have no pts.
    """
    tick, packets = Fraction(1), []
    for line in listing.splitlines():
        if line.startswith("#tb"):
            tick = Fraction(line.split()[-1])
        elif line and not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            said = [int(field[2:], 16) for field in fields[6:] if field.startswith("F=")]
            flags = said[0] if said else _KEY
            pts = int(fields[2])
            packets.append(
                _Packet(
                    shown=None if pts == _NO_TIME else pts,
                    decoded=int(fields[1]),
                    key=bool(flags & _KEY),
                    hidden=bool(flags & _DISCARD),
                )
            )
    return [packet for packet in _from_first_key(packets) if not packet.hidden], tick


def _from_first_key(packets: list[_Packet]) -> list[_Packet]:
    """Without what cannot be decoded at the beginning of a recording that was cut out of another:
    packets before the first key, and those that are shown before it.
    """
    begin = next((index for index, packet in enumerate(packets) if packet.key), 0)
    rest = packets[begin:]
    if any(packet.shown is None for packet in rest):
        return rest
    return [packet for packet in rest if (packet.shown or 0) >= (rest[0].shown or 0)]


def _header(text: str) -> Header | None:
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


def _no_video(path: Path, text: str, errors: str) -> ClipError:
    if "(attached pic)" in text:
        return ClipError(
            f"{path.name} cannot be read as a video: it has sound and a cover picture, but no "
            "video. Use another file."
        )
    return ClipError(
        f"{path.name} cannot be read as a video: {complaint(errors)}. It may be cut off, or be "
        "another kind of file; download it again or convert it to mp4."
    )
