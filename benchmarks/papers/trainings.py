"""One training of the benchmark, done once: variants that train alike share it, and a killed one
goes on where it was.

In: a row and a seed. Out: its adapters, in a folder named by a hash of all that decides them:
clips, settings, the base's weights, the code, and what computes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
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
from motion_core.methods.defaults import Material
from motion_core.settings import from_mapping, to_mapping
from motion_core.shape_world.references import FPS
from motion_core.shape_world.renderer import Scene, render
from motion_core.shape_world.scores import Subject
from motion_core.training.records import write_json
from motion_core.training.results import adapter_info
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import Suited, suited
from motion_core.training.trainer import describe, train
from motion_core.types import Clip, LatentClip

from .asking import Asked
from .clock import Clock
from .code_digest import code_digest
from .motions import scene_of
from .rows import BASES, Row, Variant
from .subjects import wearers_for

IMAGE_PROMPT = "a {shape}"


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is to be trained. folder: a hash of clips, settings and base, and of the code and the
    device, which may change the last digits, and with them a whole training.
    """

    backbone: Backbone
    clips: Sequence[LatentClip]
    method: Method
    settings: TrainSettings
    folder: str

    def plain_settings(self) -> dict[str, dict[str, object]]:
        """All but the seed."""
        method = {"name": self.method.name, **to_mapping(self.method.settings)}
        train = {name: v for name, v in to_mapping(self.settings).items() if name != "seed"}
        return {"objective": method, "train": train}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """adapters: by group. seconds: spent in training steps, as in `Clock`."""

    adapters: Mapping[str, Adapter]
    seconds: float


def prepare(row: Row, backbone: Backbone, more: Mapping[str, object]) -> Training:
    """A row's training; raises as `method_of` does.

    more: settings of the training that win over all others, such as the seed.
    """
    clips = reference_clips(row.motion, row.variant.prompt, row.variant.clips)
    return _prepared(row, backbone, clips, Material(videos=len(clips), images=0), more)


def prepare_looks(
    row: Row, backbone: Backbone, asked: Asked, more: Mapping[str, object]
) -> Training:
    """The training of a LoRA for the looks of one that is asked for: on the clip in which it wears
    another motion, or on an image of it, at the place where the motion begins.
    """
    if asked.motion:
        return prepare(dataclasses.replace(row, motion=asked.motion), backbone, more)
    scene = _dressed(row.motion, asked.subject)
    clip = _rendered(scene, row.motion, IMAGE_PROMPT, "", frames=[0])
    return _prepared(row, backbone, [clip], Material(videos=0, images=1), more)


def _prepared(
    row: Row,
    backbone: Backbone,
    clips: Sequence[Clip],
    material: Material,
    more: Mapping[str, object],
) -> Training:
    method = method_of(row)
    usual = suits(row, to_mapping(method.settings), material).train
    settings = from_mapping(TrainSettings, {**usual, **row.variant.train, **more})
    encoded = [encode_clip(backbone, clip) for clip in clips]
    digests = [clip.digest for clip in encoded]
    decided_by = describe(backbone, digests, method, settings)
    decided_by["training"]["steps"] = settings.steps
    decided_by["code"] = code_digest(training_modules(row.variant))
    decided_by["computed_by"] = [working_device(backbone).type, torch.__version__]
    return Training(
        backbone=backbone,
        clips=encoded,
        method=method,
        settings=settings,
        folder=digest(decided_by),
    )


def training_modules(variant: Variant) -> list[str]:
    """The modules whose code decides what a variant learns."""
    method = METHODS.get(variant.method or "")
    return [method.__module__, train.__module__] if method else []


def method_of(row: Row) -> Method:
    """The row's method, configured for its base and the scenes of its clips.

    Raises SettingsError for a method or settings that are not there.
    """
    scenes = [_worn(row.motion, index) for index in range(row.variant.clips)]
    own = {key: _filled(value, scenes) for key, value in row.variant.settings.items()}
    method = _method(row.variant)
    return method(from_mapping(method.Settings, suits(row, own).settings))


def training_steps(row: Row) -> int:
    """How long the row is trained."""
    usual = suits(row, to_mapping(method_of(row).settings)).train
    return from_mapping(TrainSettings, {**usual, **row.variant.train}).steps


def suits(row: Row, chosen: Mapping[str, object], material: Material | None = None) -> Suited:
    """What suits the row's method on its base where its variant says nothing else, without samples
    on the way, at which nobody looks. chosen: settings of the method. material: None is the row's
    clips. Raises as `method_of` does.
    """
    material = material or Material(videos=row.variant.clips, images=0)
    usual = suited(_method(row.variant), base_defaults(BASES[row.backbone]), material, chosen)
    return dataclasses.replace(usual, train={**usual.train, "sample_every": 0})


def _method(variant: Variant) -> type[Method]:
    name = variant.method
    assert name is not None, variant.name
    if name not in METHODS:
        raise SettingsError(
            f"{variant.name}: there is no method {name!r}; choose from {', '.join(METHODS)}."
        )
    return METHODS[name]


def reference_clips(motion: str, prompt: str | None = None, count: int = 1) -> list[Clip]:
    """Clips of a reference motion, as rendered: the first is the reference itself, the others show
    the same with other looks. prompt: see `Variant`.
    """
    return [
        _rendered(_worn(motion, index), motion, prompt, f"{motion} {index}" if index else "")
        for index in range(count)
    ]


def encoded(backbone: Backbone, motion: str) -> LatentClip:
    """The reference clip under its caption."""
    return encode_clip(backbone, reference_clips(motion)[0])


def _worn(motion: str, index: int) -> Scene:
    """The reference's scene, worn by the first, second … of those that wear it."""
    return _dressed(motion, wearers_for(motion, index + 1)[index])


def _dressed(motion: str, one: Subject) -> Scene:
    return dataclasses.replace(
        scene_of(motion), colour=one.colour, shape=one.shape, background=one.background
    )


def _rendered(
    scene: Scene, motion: str, prompt: str | None, video: str, frames: list[int] | None = None
) -> Clip:
    """frames: None is all of them."""
    pixels = torch.from_numpy(render(scene, frames)).permute(0, 3, 1, 2).contiguous() * 2 - 1
    words = scene.prompt if prompt is None else str(_filled(prompt, [scene]))
    return Clip(frames=pixels, fps=FPS, prompt=words, source=motion, video=video)


def trained(training: Training, folder: Path, sink: EventSink) -> Trained:
    """The trained adapters, from `folder` if they are there; else the training is done, or gone on
    with. Raises as `train` does.
    """
    file, record = folder / "adapter.safetensors", folder / "training.json"
    if not record.is_file():
        clock = Clock(working_device(training.backbone))
        result = train(
            training.backbone,
            training.clips,
            training.method,
            training.settings,
            folder / "run",
            sink,
        )
        info = adapter_info(
            training.backbone,
            training.clips,
            training.method,
            training.settings,
            result.adapters,
            result.steps,
        )
        save_adapter(file, result.adapters, info)
        write_json(record, {"seconds": result.seconds * clock.share()})
    shutil.rmtree(folder / "run" / "checkpoints", ignore_errors=True)
    _, adapters = load_adapter(file)
    seconds = json.loads(record.read_text(encoding="utf-8"))["seconds"]
    return Trained(adapters=adapters, seconds=seconds)


def digest(decided_by: Mapping[str, Any]) -> str:
    """sha256 of plain values, whatever their order."""
    return hashlib.sha256(json.dumps(decided_by, sort_keys=True).encode()).hexdigest()


def _filled(value: object, scenes: Sequence[Scene]) -> object:
    """A text with the first scene's words in it; of several texts, each that asks for words with
    every scene's. Other values as they are.
    """
    if isinstance(value, tuple):
        texts = [(part, scenes if "{" in str(part) else scenes[:1]) for part in value]
        return tuple(_filled(part, [scene]) for part, asked in texts for scene in asked)
    if not isinstance(value, str):
        return value
    (scene,) = scenes[:1]
    return value.format(caption=scene.prompt, shape=scene.shape, phrase=scene.phrase)
