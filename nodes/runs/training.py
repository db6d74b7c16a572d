"""One training in ComfyUI: which run it is, where it computes, what it leaves.

In: a base, clips and a request. Out: the motion as it stands in its file, the frames of its last
sample and the losses. The core trains, samples and writes; here ComfyUI's device, folders, progress
bar, cancel and run registry are brought to it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import comfy.model_management as management
import folder_paths
import torch
from torch import Tensor

from ...motion_core.adapter_files.loaded import LoadedAdapter
from ...motion_core.adapters.base import Adapter
from ...motion_core.backbones.base import check_frames
from ...motion_core.diffusion.encoding import clip_digest, encode_clips, release_encoders
from ...motion_core.events import Event, Request, SampleMade, Started, StepDone
from ...motion_core.methods.appearance import material_of
from ...motion_core.methods.base import applied_adapters
from ...motion_core.settings import require
from ...motion_core.training.meaning import written_out
from ...motion_core.training.records import SETTINGS, loss_history, read_metrics, write_json
from ...motion_core.training.trackers import check_tracker, tracked
from ...motion_core.training.trainer import describe, train
from ...motion_core.types import LatentClip
from ..host.bridge import on_accelerator, say_on_node, stop_if_cancelled
from ..host.folders import listed_name, runs_folder
from ..motion_files import load_motion
from ..sockets import adapters_to_apply
from .choice import RunChoice, choose_run, run_to_resume
from .memory import (
    MemoryNeed,
    check_certain,
    disk_warning_of,
    memory_need,
    size_warning_of,
    unencoded,
    warning_of,
)
from .registry.folder import REFERENCE, SAMPLES
from .request import TrainingRequest, Watch, Work
from .results import (
    lacks_noise,
    sample,
    sample_paths,
    save_noise,
    save_results,
    show_last_sample,
    write_sample,
)
from .run_bar import RunBar
from .samples import forget_samples, last_samples

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainedMotion:
    """motion: as its file has it, at strength 1. file: its path. file_name: in the loaders' lists.
    samples: (F, 3, H, W) in [-1, 1], one prompt's after another's. videos: of these. losses: the
    sum of each step's terms. run: its folder's name.
    """

    motion: LoadedAdapter
    file: Path
    file_name: str
    samples: Tensor
    videos: Sequence[Path]
    losses: Sequence[float]
    run: str


def train_motion(request: TrainingRequest, watch: Watch, bar: RunBar) -> TrainedMotion:
    """Trains, goes on with an earlier run or reuses its adapter.

    watch: the run's event sink, by its folder. bar: of the request's scale. Raises MotionError
    before the first step where clips, base and settings do not fit.
    """
    _check(request)
    run = _chosen(request)
    with watch(run.folder) as watched:
        work = Work(request=request, folder=run.folder, watched=watched, bar=bar)
        if run.adapter is None:
            path, samples = _trained(work)
            motion = load_motion(path, path.stem)
        else:
            path = run.adapter
            motion, samples = _reused(work, path, run.steps)
        file_name = listed_name(path)
        watched.adapter_saved(file_name)
    return TrainedMotion(
        motion=motion,
        file=path,
        file_name=file_name,
        samples=samples,
        videos=sample_paths(run.folder, request, motion.info.steps),
        losses=summed_losses(run.folder),
        run=run.folder.name,
    )


def _chosen(request: TrainingRequest) -> RunChoice:
    """The run, chosen before the clips are encoded, so that the pages see it from the start on."""
    root, steps = runs_folder(), request.settings.steps
    description = describe(
        request.base.backbone,
        [clip_digest(clip) for clip in request.clips],
        request.method,
        request.settings,
        request.settings.dtype_on(management.get_torch_device()),
    )
    means = partial(written_out, method=type(request.method), material=material_of(request.clips))
    if request.resume_run:
        run = run_to_resume(root, request.resume_run, description, steps, means)
    else:
        run = choose_run(root, request.name, description, steps, request.resume, means)
    if run.adapter is None:  # a run that is cancelled before its first step is found again
        write_json(run.folder / SETTINGS, description)
    return run


def summed_losses(run_folder: Path) -> list[float]:
    """The sum of the terms of every step that has one that is a number, in order."""
    steps: dict[int, float] = {}
    for points in loss_history(read_metrics(run_folder)).values():
        for step, value in points:
            if value is not None:
                steps[step] = steps.get(step, 0.0) + value
    return [steps[step] for step in sorted(steps)]


def _on_device(request: TrainingRequest, needed: int) -> AbstractContextManager[torch.device]:
    """The base's UNet on ComfyUI's device; only while something is computed, as other models have
    to leave for it.
    """
    dtype = request.settings.dtype_on(management.get_torch_device())
    return on_accelerator(request.base.backbone, dtype, needed)


def _reused(work: Work, adapter: Path, steps: int) -> tuple[LoadedAdapter, Tensor]:
    """The motion of a run that is done, and its last sample; that, and the noise, are made where
    they are asked for and missing.
    """
    request = work.request
    noise = lacks_noise(request, adapter)
    kept = last_samples(work.folder, request.shown_prompts, steps) is not None
    work.bar.ends_after(steps)
    with nullcontext() if kept and not noise else _on_device(request, needed=0):
        if noise:
            save_noise(work, adapter, _encoded(work))
        motion = load_motion(adapter, adapter.stem)
        return motion, torch.cat(show_last_sample(work, steps, adapters_to_apply((motion,))))


def _trained(work: Work) -> tuple[Path, Tensor]:
    """Encodes the clips, trains what is left and writes the results; returns the adapter file and
    the frames of the last sample.
    """
    request, folder = work.request, work.folder
    with _on_device(request, _needed(request, management.get_torch_device())):
        reference = folder / SAMPLES / f"{REFERENCE}.mp4"
        write_sample(request, reference, request.clips[0].frames)
        latents = _encoded(work)
        work.bar.prepared()
        _warn_of_memory(request)

        def make_sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
            return sample(work, step, applied_adapters(adapters, request.method))[1]

        def sink(event: Event) -> Request | None:
            """The registry first, so that it knows of the step in which Cancel is seen."""
            answer = work.watched(event)
            track(event)
            if isinstance(event, Started):
                forget_samples(folder, after=event.step)
            elif isinstance(event, StepDone):
                work.bar.trained(event.step)
            return answer

        work.watched.begins("attaching")
        with tracked(request.log_to, folder, folder.name) as track:
            result = train(
                request.base.backbone,
                latents,
                request.method,
                request.settings,
                folder,
                sink,
                make_sample=make_sample,
            )
        return save_results(work, latents, result)


def _encoded(work: Work) -> list[LatentClip]:
    """The clips as the network sees them, once for as long as ComfyUI's temporary files live."""
    work.watched.begins("encoding")
    backbone = work.request.base.backbone
    cache = Path(folder_paths.get_temp_directory()) / "motion_latents"
    cache.mkdir(parents=True, exist_ok=True)
    latents = encode_clips(backbone, work.request.clips, cache)
    release_encoders(backbone)
    stop_if_cancelled()
    return latents


def _check(request: TrainingRequest) -> None:
    """What would else only come up once a part of the work is done."""
    check_tracker(request.log_to)
    backbone, steps = request.base.backbone, request.inversion_steps
    for clip in request.clips:
        check_frames(backbone, len(clip.frames))
    total = backbone.schedule.total
    fits = steps == 0 or 2 <= steps <= total
    require(fits, "inversion_steps", steps, f"2 to {total}, or 0 for no noise file")
    request.method.check(backbone)


def _warn_of_memory(request: TrainingRequest) -> None:
    """Says where clips are far too large, where a step may not fit beside what lies on the device
    now, or its states on the disk.
    """
    device, need = management.get_torch_device(), _need(request)
    said = [
        size_warning_of(request.clips, request.base.defaults),
        disk_warning_of(need, shutil.disk_usage(runs_folder()).free),
        warning_of(need, management.get_free_memory(device)),
    ]
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
    clips = [unencoded(request.base.backbone, clip) for clip in request.clips]
    dtype = request.settings.dtype_on(management.get_torch_device())
    return memory_need(request.base.backbone, request.method, request.settings, clips, dtype)
