"""Contact sheets of the benchmark: for each motion the reference, then base and methods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from motion_core.video.writing import contact_sheet, write_image

from .results import RowResult
from .rows import BASE, COUPLED, COUPLED_CAPTIONED, METHODS, TERSE_METHODS
from .run import Bench
from .trainings import reference_clip

TILE = 64
"""Pixels of a frame: shape world's own."""
SUBJECT = 0
"""Which of a row's kept clips is shown."""


def write_pictures(bench: Bench, results: Mapping[str, RowResult], folder: Path) -> dict[str, Path]:
    """Writes MOTION.png for every motion measured; returns them by motion.

    Below the reference clip stand, for each backbone, the base and the methods with the same prompt
    and noise.
    """
    variants = (BASE, *METHODS, COUPLED_CAPTIONED, COUPLED, *TERSE_METHODS)
    shown = {variant.name for variant in variants}
    rows = [r for r in bench.plan.rows if r.name in results and r.variant.name in shown]
    paths: dict[str, Path] = {}
    for motion in dict.fromkeys(row.motion for row in rows):
        clip = reference_clip(motion)
        strips = [(f"reference: {clip.prompt}", clip.frames)]
        for row in rows:
            if row.motion == motion:
                prompt = results[row.name].clips[SUBJECT].prompt
                label = f"{row.variant.name} on {row.backbone}: {prompt}"
                strips.append((label, bench.shown_clips(row)[SUBJECT]))
        paths[motion] = folder / f"{motion}.png"
        write_image(paths[motion], contact_sheet(strips, tile_height=TILE))
    return paths
