"""Frames of a video file, decoded by ffmpeg from the key before the first one asked for.

Each frame comes with its time on the file's clock, and is taken by that. Where ffmpeg lands when it
seeks is exact in some containers only, and a transport stream is one that may be called .mp4.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import IO

import torch
from torch import Tensor

from ..errors import ClipError
from .ffmpeg import LOCAL_INPUT, complaint, ffmpeg_output
from .frame_source import OnProgress
from .looks import look_filters
from .pictures import on_background, say_transparent
from .streams import FIRST_VIDEO, VideoStream

logger = logging.getLogger(__name__)

_SHOWN_SKIPPED = 16
"""Every so many frames on the way to the first one asked for come out as well, so that progress can
be told and a cancel is heard."""
# Prints the time of each frame that comes out, in microseconds, among ffmpeg's errors.
_TIMED = (
    "metadata=mode=add:key=timed:value=1",
    "metadata=mode=print:key=timed:file='pipe\\:2':direct=1",
)
_TIME = re.compile(rb"frame:\s*\d+\s+pts:\s*(-?\d+|NOPTS)\s+pts_time")
_PRINTED = re.compile(r"frame:\s*\d+\s+pts:.*\n?|^timed=1\n?", re.MULTILINE)


class _Astray(Exception):
    """ffmpeg has sought past the frame at which decoding was to begin."""


def decode(
    stream: VideoStream, indices: Sequence[int], on_progress: OnProgress
) -> Iterator[Tensor]:
    """The frames at ascending indices as (3, H, W) float32 in [-1, 1]: upright, of square pixels,
    without combs, in SDR and on the background. Raises ClipError if one cannot be decoded.
    """
    # A frame of two fields is completed with the help of the one before.
    before = max(0, indices[0] - 1) if stream.header.interlaced else indices[0]
    key = 0 if stream.counted else stream.key_before(before)
    try:
        yield from _decode_from(stream, key, indices, on_progress)
    except _Astray:
        yield from _decode_from(stream, 0, indices, on_progress)


def _decode_from(
    stream: VideoStream, key: int, indices: Sequence[int], on_progress: OnProgress
) -> Iterator[Tensor]:
    """key: the frame at which ffmpeg is to begin. Raises _Astray before the first frame is yielded
    if it begins later than that, or finds nothing.
    """
    first, last = indices[0], indices[-1]
    wanted, said = first, False
    with ffmpeg_output(_arguments(stream, key, first, last)) as (images, errors):
        decoded = _Decoded(stream.clock, images, errors)
        while wanted <= last:
            is_first = not decoded.parsed
            number, image = decoded.next()
            if key and wanted == first and number > (key if is_first else wanted):
                raise _Astray
            if image is None or number > wanted:
                raise ClipError(_damage(stream, wanted, last, complaint(decoded.errors_so_far())))
            on_progress(max(0, number - key) / (last - key + 1))
            if number < wanted:
                continue
            if copies := indices.count(wanted):
                pixels, transparent = _to_pixels(image)
                said = said or (transparent and say_transparent(stream.path.name))
                yield from [pixels] * copies
            wanted += 1
        if complained := decoded.errors_so_far():
            name = stream.path.name
            logger.warning("%s: some frames may be damaged: %s", name, complaint(complained))


def _arguments(stream: VideoStream, key: int, first: int, last: int) -> list[str]:
    """Those of a run that begins at the frame `key` and shows `first` to `last`."""
    clock, header = stream.clock, stream.header
    filters = ["bwdif=mode=send_frame:deint=interlaced"] if header.interlaced else []
    filters.append("settb=AVTB")  # fine enough for `trim`, which rounds to its input's ticks
    if stream.counted:
        filters.append("setpts=N/TB")
    if last + 1 < len(clock):
        filters.append(f"trim=end={(clock[last] + clock[last + 1]) / 2:.6f}")
    if first > 0:
        begin = (clock[first - 1] + clock[first]) / 2
        filters.append(f"select='gte(t,{begin:.6f})+not(mod(n,{_SHOWN_SKIPPED}))'")
    filters += [*_TIMED, *look_filters(header)]
    seek = ["-seek_timestamp", "1", "-noaccurate_seek", "-ss", f"{clock[key]:.6f}"] if key else []
    decoder = ["-c:v", header.decoder] if header.decoder else []
    # fmt: off
    return [
        "-copyts", *seek, *decoder, *LOCAL_INPUT, "-i", str(stream.path.absolute()),
        "-map", FIRST_VIDEO, "-fps_mode", "passthrough", "-vf", ",".join(filters),
        "-sws_flags", "bicubic+accurate_rnd+full_chroma_int", "-f", "image2pipe", "-c:v", "pam",
        "-pix_fmt", "rgba" if header.transparent else "rgb24", "-",
    ]
    # fmt: on


class _Decoded:
    """What comes out of ffmpeg: pictures on one side, their times and its errors on the other."""

    def __init__(self, clock: Sequence[float], images: IO[bytes], errors: IO[bytes]) -> None:
        self.clock = clock
        self.images = images
        self.errors = errors
        self.printed = b""
        self.parsed = 0

    def next(self) -> tuple[int, Tensor | None]:
        """(number of the frame, its pixels (H, W, 3 or 4) uint8); the number after the last one and
        None at the end, or amid an image.
        """
        image = _read_pam(self.images)
        if image is None:
            return len(self.clock), None
        self.printed += self.errors.read()  # a time is printed before its picture comes
        found = _TIME.search(self.printed, self.parsed)
        if found is None or found[1] == b"NOPTS":
            return len(self.clock), None
        self.parsed = found.end()
        return _nearest(self.clock, int(found[1]) / 1e6), image

    def errors_so_far(self) -> str:
        """What ffmpeg has complained about."""
        self.printed += self.errors.read()
        return _PRINTED.sub("", self.printed.decode("utf-8", "replace")).strip()


def _nearest(clock: Sequence[float], time: float) -> int:
    after = min(bisect_left(clock, time), len(clock) - 1)
    if after and time - clock[after - 1] < clock[after] - time:
        return after - 1
    return after


def _read_pam(stream: IO[bytes]) -> Tensor | None:
    """The next image of a stream of binary PAMs as (H, W, C) uint8, None at the end or amid an
    image.
    """
    header: dict[bytes, bytes] = {}
    while (line := stream.readline().strip()) != b"ENDHDR":
        if not line:
            return None
        name, _, value = line.partition(b" ")
        header[name] = value
    shape = tuple(int(header[name]) for name in (b"HEIGHT", b"WIDTH", b"DEPTH"))
    count = shape[0] * shape[1] * shape[2]
    data = stream.read(count)
    if len(data) < count:
        return None
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(shape)


def _to_pixels(image: Tensor) -> tuple[Tensor, bool]:
    """(3, H, W) float32 in [-1, 1] on the background; and whether something is transparent."""
    channels = image.permute(2, 0, 1).to(torch.float32)
    pixels = channels[:3] / 127.5 - 1
    if len(channels) == 3:
        return pixels, False
    alpha = channels[3] / 255
    return on_background(pixels, alpha), bool((alpha < 1).any())


def _damage(stream: VideoStream, number: int, last: int, said: str) -> str:
    return (
        f"{stream.path.name} is damaged: frame {number} cannot be decoded, but frames up to {last} "
        f"are needed ({said}). Choose an earlier window, or re-encode the file."
    )
