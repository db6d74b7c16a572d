"""The demo: train on the shipped clip, compare base and adapted, show the pictures and the table.

It goes the way that a user goes: the adapters are trained as `train` trains them, written, and read
back from their files. Scores are read from pixels (see shape_world/scores.py). Without a GPU the
bases go side by side, a process each: networks of this size gain little from more than one core.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..adapter_files.noise_file import load_noise, noise_path
from ..adapter_files.own import load_adapter
from ..adapters.base import Adapter
from ..bases import base_defaults, load_base
from ..errors import MotionError
from ..shape_world.base import CHECKPOINTS, SHIPPED
from ..shape_world.comparison import Comparison
from ..shape_world.references import DEMO_CLIP, FPS, reference
from ..shape_world.renderer import render
from ..shape_world.scores import Subject
from ..training.records import STATE, write_json
from ..training.results import FIGURES, viewing_scale
from ..video.writing import contact_sheet, write_gif, write_image, write_video
from .device import chosen_device
from .request import build_request
from .run_folder import ADAPTER, writable_folder
from .side_by_side import side_by_side
from .terminal import Terminal, say
from .train_run import run_training

MOTION = "zigzag"
SUBJECTS = tuple(
    Subject(colour=colour, shape=shape, background=background)
    for colour, shape, background in (
        ("blue", "square", "white"),
        ("green", "triangle", "black"),
        ("yellow", "cross", "grey"),
        ("purple", "square", "striped"),
        ("orange", "triangle", "dotted"),
        ("cyan", "cross", "black"),
        ("pink", "square", "grey"),
        ("blue", "triangle", "striped"),
    )
)
SEEDS = (1, 2, 3)
NOISE_PRIOR = 0.3
SHOWN = 4

Figures = dict[str, dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class DemoSize:
    """How much is trained and sampled. train_steps, sample_steps, inversion_steps: None is what the
    base is used at by default.
    """

    subjects: Sequence[Subject] = SUBJECTS
    seeds: Sequence[int] = SEEDS
    train_steps: int | None = None
    sample_steps: int | None = None
    inversion_steps: int | None = None


def run_demo(output: Path, seed: int, size: DemoSize = DemoSize()) -> None:
    """Writes adapters, pictures, videos and metrics.json into `output` and prints the table.

    seed: of the training.
    """
    start = time.monotonic()
    with writable_folder(output):
        for title in SHIPPED:
            _require_replaceable(output / title)
        figures = _all_bases(output, seed, size)
    seconds = time.monotonic() - start
    write_json(output / FIGURES, {**figures, "prompts": _prompts(size), "seconds": seconds})
    say(_table(figures))
    say(f"{len(size.subjects)} prompts x {len(size.seeds)} seeds, {seconds:.0f} s in total.")
    say(f"Pictures: {', '.join(str(output / f'{title}.png') for title in figures)}")


def _require_replaceable(folder: Path) -> None:
    """Raises MotionError if the folder holds something else than an earlier demo's run."""
    own = (folder / STATE).is_file()
    if folder.exists() and not own and any(folder.iterdir()):
        raise MotionError(
            f"{folder} contains something other than an earlier demo run. Choose another --output."
        )


def _all_bases(output: Path, seed: int, size: DemoSize) -> dict[str, Figures]:
    calls = [(title, output, seed, size) for title in SHIPPED]
    on_cpu = chosen_device("auto").type == "cpu"
    each = side_by_side(_one_base, calls) if on_cpu else [_one_base(*call) for call in calls]
    return {title: rows for base in each for title, rows in base.items()}


def _one_base(title: str, output: Path, seed: int, size: DemoSize) -> dict[str, Figures]:
    """Trains on one base and compares there, and in the checkpoints that take its adapter."""
    base, folder = SHIPPED[title], output / title
    with Terminal(label=title) as terminal:
        terminal.line(f"training a {MOTION}")
        _train(base, folder, seed, size, terminal)
        figures = {title: _compare(title, base, None, size, folder, terminal)}
        for name, checkpoint in CHECKPOINTS.get(base, {}).items():
            figures[name] = _compare(name, base, checkpoint, size, folder, terminal)
    return figures


def _train(base: str, folder: Path, seed: int, size: DemoSize, terminal: Terminal) -> None:
    """Trains an adapter into `folder`; an earlier demo's is replaced."""
    prompt = DEMO_CLIP.with_suffix(".txt").read_text(encoding="utf-8").strip()
    layer = {"base": base, "clips": [str(DEMO_CLIP)], "prompts": [prompt], "train": {"seed": seed}}
    request = build_request([layer, _smaller(size)])
    folder.mkdir(parents=True, exist_ok=True)
    run_training(request, folder, terminal=terminal)


def _smaller(size: DemoSize) -> dict[str, Any]:
    """What the size asks of a training run."""
    given = {"sample_steps": size.sample_steps, "inversion_steps": size.inversion_steps}
    layer: dict[str, Any] = {name: steps for name, steps in given.items() if steps is not None}
    return layer if size.train_steps is None else {**layer, "train": {"steps": size.train_steps}}


def _compare(
    title: str,
    base: str,
    checkpoint: Path | None,
    size: DemoSize,
    trained: Path,
    terminal: Terminal,
) -> Figures:
    """Samples and scores base and adapted, with fresh noise and, on the base that was trained on,
    with the noise prior. The pictures go beside the folder `trained`.
    """
    backbone = load_base(base, checkpoint=checkpoint, device=chosen_device("auto"))
    _, learned = load_adapter(trained / ADAPTER)
    _, inverted = load_noise(noise_path(trained / ADAPTER))
    motion: list[tuple[Adapter, float]] = [(learned["temporal"], 1.0)]
    fresh = base_defaults(base).usual_settings(size.sample_steps)
    prior = dataclasses.replace(fresh, noise_prior=NOISE_PRIOR)
    comparison = Comparison(reference=reference(MOTION), subjects=size.subjects, seeds=size.seeds)
    rows = {"base": ([], fresh), "adapted": (motion, fresh)}
    if checkpoint is None:
        rows["adapted_noise_prior"] = (motion, prior)
    figures, clips = {}, {}
    for name, (adapters, settings) in rows.items():
        terminal.line(f"sampling {title}, {name.replace('_', ' ')}")
        figures[name], clips[name] = comparison.run(backbone, adapters, settings, inverted)
    _show(trained.parent / title, comparison, clips)
    return figures


def _show(stem: Path, comparison: Comparison, clips: Mapping[str, Sequence[Tensor]]) -> None:
    """The first subjects as a contact sheet, and moving: reference, base and adapted in columns."""
    frames = torch.from_numpy(render(comparison.reference)).permute(0, 3, 1, 2) * 2 - 1
    rows = [(f"reference: {comparison.reference.prompt}", frames)]
    for index, (prompt, _) in enumerate(comparison.wanted()[:SHOWN]):
        rows.append((f"base: {prompt}", clips["base"][index]))
        rows.append((f"adapted: {prompt}", clips["adapted"][index]))
    write_image(stem.with_suffix(".png"), contact_sheet(rows))
    shown = [
        torch.cat([frames, clips["base"][index], clips["adapted"][index]], dim=3)
        for index in range(len(rows) // 2)
    ]
    moving = torch.cat(shown, dim=2)
    scale = viewing_scale(64) // 2
    write_video(stem.with_suffix(".mp4"), moving, FPS, scale)
    write_gif(stem.with_suffix(".gif"), moving, FPS, scale)


def _prompts(size: DemoSize) -> list[str]:
    phrase = reference(MOTION).phrase
    return [subject.prompt(phrase) for subject in size.subjects]


def _table(figures: Mapping[str, Figures]) -> str:
    head = f"{'':34}{'motion fidelity':>16}{'appearance':>12}{'leakage':>9}"
    lines = [head]
    for title, rows in figures.items():
        for name, row in rows.items():
            label = f"{title}, {name.replace('_', ' ')}"
            values = (row["motion_fidelity"], row["appearance_accuracy"], row["leakage"])
            lines.append(f"{label:34}{values[0]:>16.2f}{values[1]:>12.2f}{values[2]:>9.2f}")
    return "\n".join(lines)
