"""How good the shipped bases are: `python -m tools.shape_world.report`.

Samples 64 prompts with each video base and the personalised checkpoint, tells what they show from
pixels alone, and writes docs/shape_world.json and a contact sheet.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from torch import Tensor

from motion_core.bases import base_defaults
from motion_core.shape_world.appearance import recognise
from motion_core.shape_world.base import ANIMATEDIFF, PERSONALISED, ZEROSCOPE, load_shape_world
from motion_core.shape_world.renderer import BACKGROUNDS, COLOURS, SHAPES
from motion_core.shape_world.sampling import sample_clips
from motion_core.shape_world.scores import Subject
from motion_core.shape_world.tracker import track
from motion_core.video.writing import contact_sheet, write_image

PROMPTS = 64
DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1)}


def draw_prompts(count: int, seed: int) -> list[tuple[Subject, str]]:
    """Random subjects and directions of motion."""
    rng = np.random.default_rng(seed)
    return [
        (
            Subject(
                colour=str(rng.choice(list(COLOURS))),
                shape=str(rng.choice(SHAPES)),
                background=str(rng.choice(list(BACKGROUNDS))),
            ),
            str(rng.choice(list(DIRECTIONS))),
        )
        for _ in range(count)
    ]


def goes(frames: Tensor, direction: str) -> bool:
    """Whether the object's way from the first to the last frame points mostly in that direction."""
    path = track(frames)[:, :2]
    path = path[np.isfinite(path[:, 0])]
    if len(path) < 2:
        return False
    way = path[-1] - path[0]
    return float(way @ np.array(DIRECTIONS[direction])) > 0.7 * float(np.linalg.norm(way)) > 0


def coherence(frames: Tensor) -> bool:
    """The object is there in every frame and never jumps by more than 8 pixels."""
    path = track(frames)[:, :2]
    return bool(np.isfinite(path).all() and np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 8)


def examine(
    name: str, checkpoint: Path | None, prompts: list[tuple[Subject, str]]
) -> tuple[dict[str, float], list[Tensor]]:
    """Samples the prompts and returns the shares of clips that are right, and the clips."""
    backbone = load_shape_world(name, checkpoint)
    wanted = [
        (subject.prompt(f"moving {way}"), seed) for seed, (subject, way) in enumerate(prompts)
    ]
    clips = sample_clips(backbone, wanted, [], base_defaults(name).usual_settings())
    seen = [recognise(frames) for frames in clips]
    pairs = list(zip(seen, (subject for subject, _ in prompts), strict=True))
    figures = {
        "colour": np.mean([a.colour == s.colour for a, s in pairs]),
        "shape": np.mean([a.shape == s.shape for a, s in pairs]),
        "background": np.mean([a.background == s.background for a, s in pairs]),
        "appearance_accuracy": np.mean(
            [a[:3] == (s.colour, s.shape, s.background) for a, s in pairs]
        ),
        "outlined": np.mean([a.look == "outlined" for a in seen]),
        "coherent": np.mean([coherence(frames) for frames in clips]),
        "direction": np.mean([goes(f, way) for f, (_, way) in zip(clips, prompts, strict=True)]),
    }
    return {key: round(float(value), 3) for key, value in figures.items()}, clips


def main(arguments: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs"))
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args(arguments)
    prompts = draw_prompts(chosen.prompts, chosen.seed)
    bases = {
        "animatediff": (ANIMATEDIFF, None),
        "zeroscope": (ZEROSCOPE, None),
        "personalised": (ANIMATEDIFF, PERSONALISED),
    }
    figures, rows = {}, []
    for title, (name, checkpoint) in bases.items():
        figures[title], clips = examine(name, checkpoint, prompts)
        rows += [
            (f"{title}: {s.prompt(f'moving {way}')}", clips[i])
            for i, (s, way) in enumerate(prompts[:4])
        ]
    record = {
        "command": "python -m tools.shape_world.report",
        "prompts": chosen.prompts,
        "bases": figures,
    }
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "shape_world.json").write_text(json.dumps(record, indent=2) + "\n")
    write_image(chosen.output / "shape_world.png", contact_sheet(rows))


if __name__ == "__main__":
    main()
