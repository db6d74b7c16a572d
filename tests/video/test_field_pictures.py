"""Interlaced video whose fields are pictures of their own (PAFF), as many cameras write AVCHD.

No encoder at hand writes it, so it is written here, in the simplest form of H.264: every macroblock
is PCM, which stores its samples as they are (ITU-T H.264, 7.3).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motion_core.video.sources import video_source

from .made import converted, numbers

COUNT = 30
"""Frames of 32x32, 25 a second. Frame k has the level 4k in both fields."""


def fixed(value: int, bits: int) -> str:
    return format(value, f"0{bits}b")


def exp_golomb(value: int) -> str:
    """ue(v) (9.1); of zero also se(v)."""
    bits = format(value + 1, "b")
    return "0" * (len(bits) - 1) + bits


def unit(head: int, bits: str) -> bytes:
    """A NAL unit: after two zero bytes none below 4 may follow, so a 3 comes between (7.4.1)."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    data, zeros = bytearray(), 0
    for byte in (int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)):
        if zeros >= 2 and byte <= 3:
            data.append(3)
            zeros = 0
        data.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return b"\0\0\0\x01" + bytes([head]) + bytes(data)


def parameters() -> bytes:
    """Main profile, 2 macroblocks by 1 a field, fields allowed, 50 fields a second (7.3.2, E.1)."""
    zero = exp_golomb(0)
    size = exp_golomb(1) + zero
    vui = "0000" + "1" + fixed(1, 32) + fixed(50, 32) + "1" + "0000"
    order = zero + exp_golomb(4)  # numbers of the order of showing have 8 bits
    sequence = fixed(77, 8) + fixed(0, 8) + fixed(30, 8) + zero + zero + order + exp_golomb(1)
    sequence += "0" + size + "00" + "10" + "1" + vui
    picture = zero + zero + "00" + zero * 3 + "000" + zero * 3 + "100"
    return unit(0x67, sequence) + unit(0x68, picture)


def field(frame: int, is_second: bool) -> bytes:
    """A slice of the whole field; the first one of each frame is an IDR picture (7.3.3)."""
    zero = exp_golomb(0)
    bits = zero + exp_golomb(7) + zero + "0000" + "1" + str(int(is_second))
    bits += "" if is_second else exp_golomb(frame % 2)
    bits += fixed(int(is_second), 8) + ("0" if is_second else "00") + zero + exp_golomb(1)
    # Samples of 16 to 235, as video has them; 128 is no colour.
    level = round(16 + 4 * frame * 219 / 255)
    for _ in range(2):
        bits += exp_golomb(25)
        bits += "0" * (-len(bits) % 8)
        bits += fixed(level, 8) * 256 + fixed(128, 8) * 128
    return unit(0x61 if is_second else 0x65, bits)


@pytest.mark.parametrize("name", ["camera.mts", "camera.m2ts", "camera.h264", "camera.mkv"])
def test_two_fields_are_one_frame(tmp_path: Path, name: str) -> None:
    """ffmpeg lists each field, every 20 ms, but decodes frames, every 40 ms."""
    raw = tmp_path / "raw.h264"
    frames = (field(k, False) + field(k, True) for k in range(COUNT))
    raw.write_bytes(b"".join(parameters() + frame for frame in frames))
    path = converted(tmp_path / name, ["-i", str(raw), "-c", "copy"])
    source = video_source(path)
    assert len(source.times) == COUNT
    assert 1 / source.interval == pytest.approx(25)
    whole = torch.stack(list(source.read(range(COUNT))))
    assert numbers(whole) == list(range(COUNT))
    assert numbers(torch.stack(list(source.read([20, 21])))) == [20, 21]
    trimmed = video_source(path, 0.4, 0.2)
    assert numbers(torch.stack(list(trimmed.read([0, 4])))) == [10, 14]
