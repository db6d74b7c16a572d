"""One training in ComfyUI: which run it is, where it computes, what it leaves.

In: a base, clips and a request. Out: the motion as it stands in its file, the frames of its last
sample and the losses. The core trains, samples and writes; here ComfyUI's device, folders, progress
bar, cancel and run registry are brought to it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import comfy.model_management as management
import folder_paths
import torch
from torch import Tensor

from ..motion_core.adapters.base import Adapter
from ..motion_core.backbones.temporal import check_frames
from ..motion_core.encoding import clip_digest, encode_clips, release_encoders
from ..motion_core.events import Event, EventSink, Request, SampleMade, StepDone
from ..motion_core.media import write_video
from ..motion_core.objectives.base import Objective
from ..motion_core.pipeline import generate
from ..motion_core.run_records import loss_history, read_metrics, write_json
from ..motion_core.run_registry.live_run import Doing
from ..motion_core.run_results import Showing, Trained, viewing_scale, write_results
from ..motion_core.sampler import SampleSettings
from ..motion_core.settings import require, to_mapping
from ..motion_core.shown import shown_adapters
from ..motion_core.train_settings import TrainSettings
from ..motion_core.trainer import describe, train
from ..motion_core.training_run import TrainResult
from ..motion_core.types import Clip, LatentClip
from .bridge import OnStep, on_accelerator, say_on_node, stop_if_cancelled
from .folders import adapter_key, runs_folder, save_folder
from .memory import MemoryNeed, check_certain, disk_warning_of, memory_need, warning_of
from .motion_files import load_motion
from .run_choice import DESCRIPTION, Resume, RunChoice, adapter_file, choose_run, note_saved
from .run_samples import keep_samples, last_samples
from .sockets import Motion, MotionBase, played

logger = logging.getLogger(__name__)


class WatchedRun(Protocol):
    """A run as the registry sees it: an event sink that is told of what takes long and of the saved
    adapter.
    """

    def __call__(self, event: Event) -> Request | None: ...

    def begins(self, doing: Doing) -> None: ...

    def adapter_saved(self, name: str) -> None: ...


Watch = Callable[[Path], AbstractContextManager[WatchedRun]]


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """name: of the adapter. sample_prompt: of the samples, None for the first clip's own.
    inversion_steps: of the noise file, 0 for none.
    """

    base: MotionBase
    clips: Sequence[Clip]
    objective: Objective
    settings: TrainSettings
    name: str
    resume: Resume
    sample_prompt: str | None
    inversion_steps: int

    def document(self) -> dict[str, object]:
        """The run's settings as plain values, as they lie beside the adapter."""
        return {
            "base": self.base.name,
            "name": self.name,
            "clips": [
                {"source": clip.source, "prompt": clip.prompt, "frames": len(clip.frames)}
                for clip in self.clips
            ],
            "sample_prompt": self.sample_prompt,
            "inversion_steps": self.inversion_steps,
            "train": to_mapping(self.settings),
            "objective": {"name": self.objective.name, **to_mapping(self.objective.settings)},
        }


@dataclass(frozen=True, kw_only=True)
class TrainedMotion:
    """motion: as its file has it, at strength 1. path: of the file. samples: (F, 3, H, W) in
    [-1, 1]. losses: the sum of each step's terms.
    """

    motion: Motion
    path: Path
    samples: Tensor
    losses: Sequence[float]


def train_motion(request: TrainingRequest, watch: Watch, on_step: OnStep) -> TrainedMotion:
    """Trains, goes on with an earlier run or reuses its adapter.

    watch: the run's event sink, by its folder. on_step: shows progress and raises CancelRun. Raises
    MotionError before the first step where clips, base and settings do not fit.
    """
    backbone, settings = request.base.backbone, request.settings
    _check(request)
    device = management.get_torch_device()
    with on_accelerator(backbone, settings.dtype_on(device), _needed(request, device)):
        run = _chosen(request)
        with watch(run.folder) as watched:
            path = run.adapter or _train(request, run.folder, watched, on_step)
            watched.adapter_saved(path.name)
        motion = load_motion(path, path.stem)
        samples = last_samples(run.folder, _shown_prompt(request))
        if samples is None:
            samples = _sample(request, played((motion,)), on_step)
            keep_samples(run.folder, samples, _shown_prompt(request))
    return TrainedMotion(
        motion=motion, path=path, samples=samples, losses=summed_losses(run.folder)
    )


@dataclass(frozen=True)
class _KnownClip:
    """All that a run's description says of a clip; it need not be encoded for that."""

    digest: str


def _chosen(request: TrainingRequest) -> RunChoice:
    """The run, chosen before the clips are encoded, so that the pages see it from the start on."""
    description = describe(
        request.base.backbone,
        [_KnownClip(clip_digest(clip)) for clip in request.clips],
        request.objective,
        request.settings,
    )
    run = choose_run(
        runs_folder(), request.name, description, request.settings.steps, request.resume
    )
    if run.adapter is None:  # a run that is cancelled before its first step is found again
        write_json(run.folder / DESCRIPTION, description)
    return run


def summed_losses(run_folder: Path) -> list[float]:
    """The sum of the terms of every step that has one that is a number, in order."""
    steps: dict[int, float] = {}
    for points in loss_history(read_metrics(run_folder)).values():
        for step, value in points:
            if value is not None:
                steps[step] = steps.get(step, 0.0) + value
    return [steps[step] for step in sorted(steps)]


def _encoded(request: TrainingRequest) -> list[LatentClip]:
    """The clips as the network sees them, once for as long as ComfyUI's temporary files live."""
    cache = Path(folder_paths.get_temp_directory()) / "motion_latents"
    cache.mkdir(parents=True, exist_ok=True)
    latents = encode_clips(request.base.backbone, request.clips, cache)
    release_encoders(request.base.backbone)
    stop_if_cancelled()
    return latents


def _train(request: TrainingRequest, folder: Path, watched: WatchedRun, on_step: OnStep) -> Path:
    """Encodes the clips, trains what is left and writes the results; returns the adapter file."""
    watched.begins("encoding")
    _write_video(request, folder, "reference", request.clips[0].frames)
    latents = _encoded(request)
    _warn_of_memory(request)

    def make_sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
        watched.begins("sampling")
        frames = _sample(request, shown_adapters(adapters, request.objective), on_step)
        path = _write_video(request, folder, f"step-{step}", frames)
        return SampleMade(step=step, prompt=_shown_prompt(request), frames_path=path)

    watched.begins("attaching")
    result = train(
        request.base.backbone,
        latents,
        request.objective,
        request.settings,
        folder,
        _sink(watched, on_step),
        make_sample=make_sample,
    )
    return _write(request, folder, latents, result, watched, on_step)


def _write(
    request: TrainingRequest,
    folder: Path,
    latents: Sequence[LatentClip],
    result: TrainResult,
    watched: WatchedRun,
    on_step: OnStep,
) -> Path:
    """The adapter with what lies beside it, and the run's pictures; returns the adapter file."""
    trained = Trained(
        backbone=request.base.backbone,
        clips=request.clips,
        latents=latents,
        objective=request.objective,
        settings=request.settings,
        result=result,
        document=request.document(),
    )
    showing = Showing(
        sample=_sample_settings(request),
        prompt=request.sample_prompt,
        inversion_steps=request.inversion_steps,
    )

    def steps_shown(what: str) -> OnStep:
        watched.begins("inverting" if what.startswith("inverting") else "sampling")
        return on_step

    path = _adapter_path(request, result, folder)
    samples = write_results(path, folder, trained, showing, steps_shown)
    keep_samples(folder, samples, _shown_prompt(request))
    write_json(path.with_suffix(".json"), request.document())
    note_saved(folder, path, result.steps)
    logger.info("Motion Adapters: saved %s", path.name)
    return path


def _sink(watched: WatchedRun, on_step: OnStep) -> EventSink:
    """The registry first, so that it knows of the step in which Cancel is seen."""

    def sink(event: Event) -> Request | None:
        answer = watched(event)
        if isinstance(event, StepDone):
            on_step(event.step, event.total)
        return answer

    return sink


def _adapter_path(request: TrainingRequest, result: TrainResult, run_folder: Path) -> Path:
    folder = save_folder(adapter_key(request.base.backbone, result.adapters))
    folder.mkdir(parents=True, exist_ok=True)
    return adapter_file(folder, request.name, run_folder)


def _write_video(request: TrainingRequest, run_folder: Path, name: str, frames: Tensor) -> Path:
    folder = run_folder / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.mp4"
    write_video(path, frames, request.clips[0].fps, viewing_scale(frames.shape[2]))
    return path


def _sample(
    request: TrainingRequest, adapters: Sequence[tuple[Adapter, float]], on_step: OnStep
) -> Tensor:
    backbone, settings = request.base.backbone, _sample_settings(request)
    return generate(backbone, _shown_prompt(request), adapters, settings, on_step=on_step)


def _shown_prompt(request: TrainingRequest) -> str:
    return request.sample_prompt or request.clips[0].prompt


def _sample_settings(request: TrainingRequest) -> SampleSettings:
    """The first clip's size; a run on images shows its looks in a video of the base's usual
    length.
    """
    first, defaults = request.clips[0], request.base.defaults
    return SampleSettings(
        steps=defaults.sample_steps,
        guidance_scale=defaults.guidance_scale,
        adapter_end=defaults.adapter_end,
        frames=defaults.frames if first.is_image else len(first.frames),
        height=first.frames.shape[2],
        width=first.frames.shape[3],
        seed=request.settings.seed,
    )


def _check(request: TrainingRequest) -> None:
    """What would else only come up once a part of the work is done."""
    backbone, steps = request.base.backbone, request.inversion_steps
    for clip in request.clips:
        check_frames(backbone, len(clip.frames))
    total = int(backbone.scheduler.config["num_train_timesteps"])
    fits = steps == 0 or 2 <= steps <= total
    require(fits, "inversion_steps", steps, f"2 to {total}, or 0 for no noise file")


def _warn_of_memory(request: TrainingRequest) -> None:
    """Says where a step may not fit beside what lies on the device now, or its states on the
    disk.
    """
    device, need = management.get_torch_device(), _need(request)
    said = [disk_warning_of(need, shutil.disk_usage(runs_folder()).free)]
    if device.type != "cpu":
        said.append(warning_of(need, management.get_free_memory(device)))
    if warnings := [warning for warning in said if warning]:
        logger.warning("Motion Adapters: %s", " ".join(warnings))
        say_on_node(" ".join(warnings))


def _needed(request: TrainingRequest, device: torch.device) -> int:
    """Bytes that a step will take beside the weights; MotionError where the device is too small."""
    if device.type == "cpu":
        return 0
    need = _need(request)
    check_certain(need, management.get_total_memory(device))
    return need.beside_weights


def _need(request: TrainingRequest) -> MemoryNeed:
    largest = max((clip.frames for clip in request.clips), key=Tensor.numel)
    dtype = request.settings.dtype_on(management.get_torch_device())
    return memory_need(
        request.base.backbone, request.objective, request.settings, largest.shape, dtype
    )
