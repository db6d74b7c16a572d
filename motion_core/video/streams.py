"""What ffmpeg says of a file's video stream before it decodes any of it: `VideoStream`.

In: the path of a file. Out: the times of the frames that are shown, where decoding can begin, and
the stream's header.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..errors import ClipError
from .ffmpeg import LOCAL_INPUT, complaint, errors_in, run_ffmpeg
from .header import Header, read_header
from .kinds import mistaken_for, not_media

FIRST_VIDEO = "0:V:0"
"""ffmpeg's name of the first stream of pictures that is no cover."""
_KEY, _DISCARD = 0x1, 0x4
"""ffmpeg's packet flags: decoding can begin here; cut away by an edit list, decoded but never
shown."""
_ONE_AND_A_HALF_FIELDS = 0.75
"""As a part of a frame."""
_NO_TIME = -(2**63)
_CUT_OFF = re.compile("partial file|ended prematurely", re.IGNORECASE)
_AVI = "avi"
"""Has times of decoding only; what ffmpeg calls times of showing is wrong where it reorders."""
_RAW = ("h264", "hevc", "m4v", "mpegvideo")
"""Streams without a container have no times: ffmpeg counts from wherever it begins."""


@dataclass(frozen=True, kw_only=True)
class VideoStream:
    """clock: ascending, of each frame that is shown: seconds as the file counts them; or, where
    `counted`, the frame's number, for files that do not say when each is shown. times: seconds of
    each since the file's start, or where `counted` since the first frame. keys: indices of frames
    at which decoding can begin. tick: seconds, of the file's clock.
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
    header = read_header(listing.errors)
    if header is None or not packets:
        raise ClipError(f"{path.name} has no video frames. Convert it to mp4, or use another file.")
    return _stream(path, header, packets, tick)


def _stream(path: Path, header: Header, packets: list[_Packet], tick: Fraction) -> VideoStream:
    """The frames in the order in which they are shown."""
    counted = header.container in (_AVI, *_RAW) or any(p.shown is None for p in packets)
    if not counted:
        packets = sorted(packets, key=lambda packet: packet.shown or 0)
    if header.interlaced and header.fps:
        shortest = float(_ONE_AND_A_HALF_FIELDS / header.fps / tick)
        packets = _without_second_fields(packets, shortest, counted)
    clock = [float((packet.shown or 0) * tick) for packet in packets]
    times = [seconds - header.start for seconds in clock]
    if counted:  # the times of decoding have the same spacing
        clock = [float(k) for k in range(len(packets))]
        earliest = min(packet.decoded for packet in packets)
        times = sorted(float((packet.decoded - earliest) * tick) for packet in packets)
    if header.container in _RAW and times[-1] > 0:
        rate = _tidy((len(times) - 1) / times[-1])
        times = [k / rate for k in range(len(times))]
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


def _without_second_fields(packets: list[_Packet], shortest: float, decoded: bool) -> list[_Packet]:
    """One packet a frame, where its two fields have one each, as cameras write AVCHD.

    shortest: ticks between two frames that are no fields of the same. decoded: by the times of
    decoding, for packets that lack others; the two clocks differ.
    """
    kept: list[_Packet] = []
    last: int | None = None
    for packet in packets:
        time = packet.decoded if decoded or packet.shown is None else packet.shown
        if last is None or time - last >= shortest:
            kept.append(packet)
            last = time
    return kept


def _tidy(rate: float) -> float:
    """A whole number of frames a second, or NTSC's 1000 / 1001 of one, where a rate that ffmpeg has
    added up of rounded ticks comes near it.
    """
    usual = (round(rate), round(rate * 1.001) / 1.001)
    return next((tidy for tidy in usual if tidy and abs(rate / tidy - 1) < 1e-4), rate)


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
