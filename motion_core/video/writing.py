"""What a person looks at: videos, gifs, frames and contact sheets.

Input: frames (F, 3, H, W) in [-1, 1]. Output: files that browsers play, or pictures. Nothing
half-written stays: a file appears whole or not at all, and a target that cannot be written raises
MotionError with its path.
"""

from __future__ import annotations

import re
import shutil
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import MotionError
from ..files import patiently, remove_folder, replacing
from .ffmpeg import complaint, run_ffmpeg

PAPER, INK = (255, 255, 255), (24, 24, 24)
# What macOS and Windows put into folders that somebody has looked into.
LEFT_BY_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}
MARGIN, GAP, FONT_SIZE, LABEL_LINES = 12, 4, 18, 2
# Enough for a palette that serves all frames; more only takes time.
_PALETTE_SAMPLE_PIXELS = 2**20


def to_bytes(frames: Tensor, scale: int = 1) -> np.ndarray:
    """(F, H·scale, W·scale, 3) uint8 from frames (F, 3, H, W) in [-1, 1]; each pixel becomes a
    square.

    Values beyond the range are cut off. It is the exact inverse of reading 8-bit frames. Raises
    MotionError for another shape.
    """
    if frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape:
        raise MotionError(f"frames have shape {tuple(frames.shape)}; expected (F, 3, H, W).")
    if scale < 1:
        raise MotionError(f"scale is {scale}; expected a whole number of at least 1.")
    pixels = ((frames.detach().float() + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8)
    pixels = pixels.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def write_video(path: Path, frames: Tensor, fps: float, scale: int = 1) -> None:
    """An mp4 (H.264, yuv420p) that browsers play at once.

    fps: frames a second. scale: enlarges each pixel to a square, so that a clip of 64x64 can be
    seen. An odd side grows by one repeated row or column, which the format needs.
    """
    images = to_bytes(frames, scale)
    _require_rate(fps)
    _, height, width, _ = images.shape
    images = np.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    size = f"{images.shape[2]}x{images.shape[1]}"
    # The colours are tagged, so that every player turns them back with the same matrix.
    # fmt: off
    arguments = [
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:.6f}", "-i", "-",
        "-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int",
        "-c:v", "libx264", "-preset", "medium", "-crf", "14", "-pix_fmt", "yuv420p",
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
        "-color_range", "tv", "-movflags", "+faststart", "-f", "mp4", "-y",
    ]
    # fmt: on
    with replacing(path) as partial:
        done = run_ffmpeg([*arguments, str(partial)], stdin=images.tobytes())
        if done.status != 0:
            raise MotionError(f"{path} cannot be written: {complaint(done.errors)}.")


def write_gif(path: Path, frames: Tensor, fps: float, scale: int = 1) -> None:
    """An endless gif with one palette of 256 colours for all frames, so that nothing flickers.

    A gif counts in hundredths of a second, and browsers slow down what is faster than 50 fps.
    """
    images = to_bytes(frames, scale)
    _require_rate(fps)
    palette = _common_palette(to_bytes(frames))
    pictures = [
        Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE)
        for image in images
    ]
    ends = [round(100 * (k + 1) / fps) for k in range(len(pictures))]
    durations = [10 * max(2, end - start) for start, end in zip([0, *ends], ends, strict=False)]
    with replacing(path) as partial:
        pictures[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=durations,
            loop=0,
            optimize=False,
        )


def write_frames(folder: Path, frames: Tensor) -> list[Path]:
    """Exact PNGs, 00000.png and so on, and their paths.

    They appear together. Frames of an earlier call in that folder are replaced; a folder that holds
    anything else is refused with MotionError.
    """
    images = to_bytes(frames)
    folder = folder.absolute()
    names = [f"{k:05d}.png" for k in range(len(images))]
    partial = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.part")
    try:
        require_frames_folder(folder)
        partial.mkdir(parents=True)
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(partial / name)
        if folder.exists():
            remove_folder(folder)
        patiently(lambda: partial.rename(folder))
    except OSError as error:
        raise MotionError(
            f"{folder} cannot be written: {error.strerror or error}. Choose another location."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [folder / name for name in names]


def write_image(path: Path, image: Image.Image) -> None:
    """A picture as PNG, say a contact sheet."""
    with replacing(path) as partial:
        image.save(partial, format="PNG")


def contact_sheet(
    rows: Sequence[tuple[str, Tensor]], columns: int = 8, tile_height: int = 128
) -> Image.Image:
    """Clips under each other, each with its label above, to compare at a glance.

    rows: (label, frames (F, 3, H, W) in [-1, 1]). columns: frames of each clip at most, evenly
    picked from the first to the last. tile_height: of one frame in pixels; small frames grow by
    whole factors up to it and keep hard edges, large ones shrink.
    """
    if not rows or columns < 1:
        raise MotionError(f"A contact sheet of {len(rows)} rows and {columns} columns is empty.")
    font = ImageFont.load_default(size=FONT_SIZE)
    strips = [_strip(frames, columns, tile_height) for _, frames in rows]
    width = max(strip.width for strip in strips)
    labels = [_wrapped(label, font, width) for label, _ in rows]
    line = FONT_SIZE + GAP
    height = sum(
        line * len(label) + GAP + strip.height + MARGIN
        for label, strip in zip(labels, strips, strict=True)
    )
    sheet = Image.new("RGB", (width + 2 * MARGIN, height + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for label, strip in zip(labels, strips, strict=True):
        for words in label:
            draw.text((MARGIN, top), words, fill=INK, font=font)
            top += line
        sheet.paste(strip, (MARGIN, top + GAP))
        top += GAP + strip.height + MARGIN
    return sheet


def _strip(frames: Tensor, columns: int, tile_height: int) -> Image.Image:
    """Frames side by side."""
    count = min(columns, len(frames))
    picked = [round(k * (len(frames) - 1) / max(1, count - 1)) for k in range(count)]
    tiles = [_tile(image, tile_height) for image in to_bytes(frames[picked])]
    width, height = tiles[0].size
    strip = Image.new("RGB", (count * width + (count - 1) * GAP, height), PAPER)
    for k, tile in enumerate(tiles):
        strip.paste(tile, (k * (width + GAP), 0))
    return strip


def _tile(image: np.ndarray, tile_height: int) -> Image.Image:
    picture = Image.fromarray(image)
    if picture.height > tile_height:
        width = max(1, round(picture.width * tile_height / picture.height))
        return picture.resize((width, tile_height), Image.Resampling.LANCZOS)
    factor = tile_height // picture.height
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, Image.Resampling.NEAREST)


def _wrapped(
    label: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int
) -> list[str]:
    """The label in at most LABEL_LINES lines of the width; "…" stands for what has no room."""
    lines = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > LABEL_LINES:
        lines = [*lines[: LABEL_LINES - 1], " ".join(lines[LABEL_LINES - 1 :])]
    return [_shortened(line, font, width) for line in lines]


def _shortened(line: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    kept = bisect_right(range(len(line)), width, key=lambda k: font.getlength(line[:k] + "…")) - 1
    return line[: max(0, kept)].rstrip() + "…"


def _common_palette(images: np.ndarray) -> Image.Image:
    pixels = images.reshape(-1, 3)
    step = -(-len(pixels) // _PALETTE_SAMPLE_PIXELS)
    sample = np.ascontiguousarray(pixels[::step])[None]
    return Image.fromarray(sample).quantize(256, method=Image.Quantize.MEDIANCUT)


def require_frames_folder(folder: Path) -> None:
    """Raises MotionError if `write_frames` would refuse the folder."""
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} - LEFT_BY_SYSTEMS
    others = sorted(name for name in names if not re.fullmatch(r"\d+\.png", name))
    if others:
        raise MotionError(
            f"{folder} also contains {others[0]}; frames need a folder of their own. Choose "
            "another."
        )


def _require_rate(fps: float) -> None:
    if not fps > 0:
        raise MotionError(f"fps is {fps}; expected frames per second, more than 0.")
