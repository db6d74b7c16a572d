"""Run folders as the trainer and the registry leave them, of any length."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from motion_core.video.writing import write_video

DIFFERENT = 3


def write_run(
    root: Path,
    name: str,
    *,
    steps: int,
    total: int | None = None,
    state: str = "finished",
    samples: Sequence[int] = (),
    seed: int = 0,
    node: tuple[str, str] | None = None,
    save_every: int | None = None,
    title: str | None = None,
) -> Path:
    """A run of two loss terms that fall with noise on them. node: its id and its graph's; by
    default the run's name, in the graph of panel.html. save_every: steps between checkpoints, by
    default half. title: by default the name.
    """
    node = node or (name, "page")
    saved = range(save_every or steps // 2, steps + 1, save_every or steps // 2)
    folder = root / name
    folder.mkdir(parents=True)
    rng = random.Random(seed)
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            file.write(json.dumps(_row(step, steps, rng), sort_keys=True) + "\n")
    _write(folder / "state.json", {"state": state, "step": steps, "total": total or steps})
    _write(folder / "run.json", _record(name, state, seed, node) | {"title": title or name})
    _write(folder / "settings.json", {"objective": {"name": "motion_director"}, "training": {}})
    output = {node[0]: {"class_type": "TrainMotionAdapter", "inputs": {"resume": "new"}}}
    _write(folder / "prompt.json", {"output": output, "workflow": {"nodes": []}})
    (folder / "checkpoints" / f"step-{steps}").mkdir(parents=True)
    marks = [{"kind": "saved", "step": step} for step in saved]
    marks.append({"kind": "resumed", "step": steps // 2})
    lines = [json.dumps(mark) + "\n" for mark in sorted(marks, key=lambda mark: mark["step"])]
    (folder / "marks.jsonl").write_text("".join(lines), encoding="utf-8")
    if samples:
        _write_samples(folder / "samples", samples)
    return folder


def _write_samples(folder: Path, steps: Sequence[int]) -> None:
    """The first few are different; many would take long to encode."""
    _video(folder / "reference.mp4", 0)
    for index, step in enumerate(steps):
        path = folder / f"step-{step}.mp4"
        if index < DIFFERENT:
            _video(path, step)
        else:
            shutil.copyfile(folder / f"step-{steps[index % DIFFERENT]}.mp4", path)


def _row(step: int, steps: int, rng: random.Random) -> dict[str, object]:
    fall = math.exp(-4 * step / steps)
    return {
        "step": step,
        "losses": {
            "spatial": 0.02 + 0.1 * fall + 0.02 * rng.random(),
            "temporal": 0.2 + 0.6 * fall + 0.2 * rng.random(),
        },
        "learning_rate": 5e-4,
        "grad_norm": 0.1 + rng.random(),
        "seconds": 0.25,
        "memory_bytes": 3 * 2**30,
    }


def _record(name: str, state: str, seed: int, node: tuple[str, str]) -> dict[str, object]:
    return {
        "state": state,
        "node_id": node[0],
        "workflow_id": node[1],
        "nodes": [list(node)],
        "title": name,
        "part": 2,
        "began": 1.7e9 + seed,
        "latest": 1.7e9 + seed,
        "elapsed": 3725.0,
        "saved_as": [f"{name}.safetensors"] if state == "finished" else [],
        "memory_total": 24 * 2**30,
    }


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _video(path: Path, shade: int) -> None:
    """8 frames of a bright square that moves over a shade."""
    frames = torch.full((8, 3, 64, 64), -0.8 + 0.002 * shade)
    for index in range(8):
        frames[index, :, 10 + 5 * index : 22 + 5 * index, 20:40] = 0.8
    write_video(path, frames, 8.0)
