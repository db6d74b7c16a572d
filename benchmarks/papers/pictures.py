"""Contact sheets of the benchmark: for each motion the reference, then base and methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from motion_core.video.writing import contact_sheet, write_image

from .motions import MOTIONS
from .rows import Row
from .run import Bench
from .trainings import reference_clips
from .variants import BASE, COUPLED, COUPLED_CAPTIONED, METHODS, TERSE_METHODS

TILE = 64
"""Pixels of a frame: shape world's own."""
SUBJECT = 0
"""Which of a row's kept clips is shown."""
SHOWN = {v.name for v in (BASE, *METHODS, COUPLED_CAPTIONED, COUPLED, *TERSE_METHODS)}


def write_pictures(bench: Bench, folder: Path) -> dict[str, Path]:
    """Writes MOTION.png for every motion of which clips are in the cache; returns all pictures in
    the folder by motion, older ones too.

    Below the reference clip stand, for each backbone, the base and the methods with the same prompt
    and noise.
    """
    for motion in dict.fromkeys(row.motion for row in bench.plan.rows):
        rows = [r for r in bench.plan.rows if r.motion == motion and r.variant.name in SHOWN]
        _write(bench, rows, motion, folder / f"{motion}.png")
    return {motion: path for motion in MOTIONS if (path := folder / f"{motion}.png").is_file()}


def _write(bench: Bench, rows: Sequence[Row], motion: str, path: Path) -> None:
    shown = [(row, clips) for row in rows if (clips := bench.shown_clips(row)) is not None]
    if not any(row.variant.name != BASE.name for row, _ in shown):
        return
    (clip,) = reference_clips(motion)
    strips = [(f"reference: {clip.prompt}", clip.frames)]
    for row, clips in shown:
        words = bench.asked(row)[SUBJECT].words
        strips.append((f"{row.variant.name} on {row.backbone}: {words}", clips[SUBJECT]))
    write_image(path, contact_sheet(strips, tile_height=TILE))
