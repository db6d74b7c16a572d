"""One training of the benchmark, done once: variants that train alike share it, and a killed one
goes on where it was.

In: a variant, a backbone, a reference motion. Out: its adapters, in a folder named by a hash of all
that decides them: clip, settings, the base's weights, and the code.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.base import Adapter
from motion_core.backbones.base import Backbone
from motion_core.bases import base_defaults
from motion_core.diffusion.encoding import encode_clip, working_device
from motion_core.errors import SettingsError
from motion_core.events import EventSink
from motion_core.methods import METHODS
from motion_core.methods.base import Method
from motion_core.methods.defaults import ONE_VIDEO
from motion_core.settings import from_mapping, to_mapping
from motion_core.shape_world.references import FPS, reference
from motion_core.shape_world.renderer import Scene, render
from motion_core.training.records import write_json
from motion_core.training.results import adapter_info
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import suited
from motion_core.training.trainer import describe, train
from motion_core.types import Clip, LatentClip

from .code_digest import code_digest
from .rows import BASES, Row, Variant


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is to be trained. key: a hash of all that decides the outcome."""

    backbone: Backbone
    clip: LatentClip
    method: Method
    settings: TrainSettings
    key: str

    def plain_settings(self) -> dict[str, dict[str, object]]:
        method = {"name": self.method.name, **to_mapping(self.method.settings)}
        return {"objective": method, "train": to_mapping(self.settings)}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """adapters: by group. seconds: spent in training steps."""

    adapters: Mapping[str, Adapter]
    seconds: float


def prepare(row: Row, backbone: Backbone, more: Mapping[str, object]) -> Training:
    """A row's training; raises as `method_of` does.

    more: settings of the training that win over all others.
    """
    base, variant = BASES[row.backbone], row.variant
    method = method_of(variant, base, reference(row.motion))
    usual = suited(type(method), base_defaults(base), ONE_VIDEO, to_mapping(method.settings)).train
    settings = from_mapping(TrainSettings, {**usual, **variant.train, **more})
    clip = encode_clip(backbone, reference_clip(row.motion, variant.prompt))
    decided_by = describe(backbone, [clip.digest], method, settings)
    decided_by["training"]["steps"] = settings.steps
    decided_by["code"] = code_digest([type(method).__module__, train.__module__])
    decided_by["computed_by"] = computed_by(backbone)
    return Training(
        backbone=backbone, clip=clip, method=method, settings=settings, key=digest(decided_by)
    )


def method_of(variant: Variant, base: str, scene: Scene) -> Method:
    """The variant's method, configured for a base and the scene of the reference clip.

    Raises SettingsError for a method or settings that are not there.
    """
    name = variant.method
    assert name is not None, variant.name
    if name not in METHODS:
        raise SettingsError(
            f"{variant.name}: there is no method {name!r}; choose from {', '.join(METHODS)}."
        )
    method = METHODS[name]
    own = {key: _filled(value, scene) for key, value in variant.settings.items()}
    settings = suited(method, base_defaults(base), ONE_VIDEO, own).settings
    return method(from_mapping(method.Settings, settings))


def reference_clip(motion: str, prompt: str | None = None) -> Clip:
    """The reference clip, as rendered. prompt: see `Variant`."""
    scene = reference(motion)
    frames = torch.from_numpy(render(scene)).permute(0, 3, 1, 2).contiguous() * 2 - 1
    words = scene.prompt if prompt is None else str(_filled(prompt, scene))
    return Clip(frames=frames, fps=FPS, prompt=words, source=motion)


def trained(training: Training, folder: Path, sink: EventSink) -> Trained:
    """The trained adapters, from `folder` if they are there; else the training is done, or gone on
    with. Raises as `train` does.
    """
    file, record = folder / "adapter.safetensors", folder / "training.json"
    if not record.is_file():
        result = train(
            training.backbone,
            [training.clip],
            training.method,
            training.settings,
            folder / "run",
            sink,
        )
        info = adapter_info(
            training.backbone,
            [training.clip],
            training.method,
            training.settings,
            result.adapters,
            result.steps,
        )
        save_adapter(file, result.adapters, info)
        write_json(record, {"seconds": result.seconds})
    shutil.rmtree(folder / "run" / "checkpoints", ignore_errors=True)
    _, adapters = load_adapter(file)
    seconds = json.loads(record.read_text(encoding="utf-8"))["seconds"]
    return Trained(adapters=adapters, seconds=seconds)


def computed_by(backbone: Backbone) -> list[str]:
    """What may change a figure's last digits, and with them a whole training."""
    return [working_device(backbone).type, torch.__version__]


def digest(decided_by: Mapping[str, Any]) -> str:
    """sha256 of plain values, whatever their order."""
    return hashlib.sha256(json.dumps(decided_by, sort_keys=True).encode()).hexdigest()


def _filled(value: object, scene: Scene) -> object:
    """A text, or each of several, with the scene's words in it; other values as they are."""
    if isinstance(value, tuple):
        return tuple(_filled(part, scene) for part in value)
    if not isinstance(value, str):
        return value
    return value.format(caption=scene.prompt, shape=scene.shape, phrase=scene.phrase)
