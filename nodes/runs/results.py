"""What a training in ComfyUI leaves: the adapter's files, and samples beside the run's records.

Whatever is there already is not made again, so that a run that was cancelled or killed after its
last step has only the rest to do. Samples are made with the adapter alone: full-size ones take
minutes, and the nodes behind wait for them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...motion_core.adapter_files.noise_file import has_noise
from ...motion_core.adapters.base import Adapter
from ...motion_core.diffusion.encoding import clip_digest
from ...motion_core.diffusion.generate import generate
from ...motion_core.events import SampleMade
from ...motion_core.methods.base import applied_adapters
from ...motion_core.training.records import write_json
from ...motion_core.training.results import (
    Trained,
    viewing_scale,
    write_adapter,
    write_figures,
    write_noise,
)
from ...motion_core.training.run import TrainResult
from ...motion_core.types import LatentClip
from ...motion_core.video.writing import contact_sheet, write_image, write_video
from ..host.folders import adapter_folders, adapter_key, save_folder
from .choice import adapter_file, note_saved
from .registry.folder import SAMPLES, sample_name
from .request import TrainingRequest, Work
from .samples import keep_samples, last_samples

logger = logging.getLogger(__name__)


def save_results(
    work: Work, latents: Sequence[LatentClip], result: TrainResult
) -> tuple[Path, Tensor]:
    """The adapter file with what lies beside it, and the frames of the last sample, one prompt's
    after another's.

    The file's place is noted before anything is in it, so that a run that is cut short here writes
    it there again; and it is written before anything that takes long.
    """
    request, folder = work.request, work.folder
    work.bar.ends_after(result.steps)
    trained = Trained(
        backbone=request.base.backbone,
        clips=request.clips,
        latents=latents,
        method=request.method,
        settings=request.settings,
        result=result,
        document=request.document(),
        sampled_its_way=request.sampled_its_way,
    )
    path = _adapter_path(work, result)
    note_saved(folder, path, result.steps, whole=False)
    write_adapter(path, trained)
    write_figures(folder, trained)
    save_noise(work, path, latents)
    frames = show_last_sample(work, result.steps, applied_adapters(result.adapters, request.method))
    write_adapter(path, trained, frames[0])
    _write_sheet(request, path.with_suffix(".png"), frames)
    write_json(path.with_suffix(".json"), request.document())
    note_saved(folder, path, result.steps, whole=True)
    logger.info("Motion Adapters: saved %s", path.name)
    return path, torch.cat(frames)


def lacks_noise(request: TrainingRequest, adapter: Path) -> bool:
    """Whether the noise of the first video is asked for and is not there."""
    clip = next((clip for clip in request.clips if not clip.is_image), None)
    if clip is None or request.inversion_steps == 0:
        return False
    return not has_noise(adapter, clip_digest(clip), request.inversion_steps)


def save_noise(work: Work, adapter: Path, latents: Sequence[LatentClip]) -> None:
    request = work.request
    if lacks_noise(request, adapter):
        work.watched.begins("inverting")
        write_noise(
            adapter, request.base.backbone, latents, request.inversion_steps, work.bar.inverting
        )


def show_last_sample(
    work: Work, step: int, adapters: Sequence[tuple[Adapter, float]]
) -> list[Tensor]:
    """The frames that a run ends with, by prompt; the pages see them with its other samples."""
    frames, made = sample(work, step, adapters)
    work.watched(made)
    return frames


def sample(
    work: Work, step: int, adapters: Sequence[tuple[Adapter, float]]
) -> tuple[list[Tensor], SampleMade]:
    """Frames under each sample prompt, with the videos that the pages play; those of the last step
    that was sampled are kept. The pages are told of all but the first, which is for the caller.
    """
    prompts = work.request.shown_prompts
    paths = sample_paths(work.folder, work.request, step)
    frames = last_samples(work.folder, prompts, step)
    if frames is None or not all(path.is_file() for path in paths):
        work.watched.begins("sampling")
        if frames is None:
            frames = [_generated(work, step, n, adapters) for n in range(len(prompts))]
            keep_samples(work.folder, frames, prompts, step)
        for path, video in zip(paths, frames, strict=True):
            write_sample(work.request, path, video)
    first, *others = (
        SampleMade(step=step, prompt=prompt, frames_path=path)
        for prompt, path in zip(prompts, paths, strict=True)
    )
    for made in others:
        work.watched(made)
    return frames, first


def sample_paths(run_folder: Path, request: TrainingRequest, step: int) -> list[Path]:
    """Where the videos of a sample lie, by prompt."""
    numbers = range(1, len(request.shown_prompts) + 1)
    return [run_folder / SAMPLES / sample_name(step, number) for number in numbers]


def _generated(
    work: Work, step: int, prompt: int, adapters: Sequence[tuple[Adapter, float]]
) -> Tensor:
    """prompt: which of the sample prompts, from 0."""
    request, bar = work.request, work.bar
    backbone = request.base.backbone
    return generate(
        backbone,
        request.shown_prompts[prompt],
        adapters,
        request.sample_settings(),
        on_step=bar.sampling(step, prompt),
        on_foreseen=bar.pictures(backbone),
    )


def write_sample(request: TrainingRequest, path: Path, frames: Tensor) -> None:
    write_video(path, frames, request.clips[0].fps, viewing_scale(frames.shape[2]))


def _write_sheet(request: TrainingRequest, path: Path, frames: Sequence[Tensor]) -> None:
    """The clip above the last sample's videos."""
    first = request.clips[0]
    adapted = zip(request.shown_prompts, frames, strict=True)
    rows = [
        (f"reference: {first.prompt}", first.frames),
        *((f"adapted: {prompt}", video) for prompt, video in adapted),
    ]
    write_image(path, contact_sheet(rows))


def _adapter_path(work: Work, result: TrainResult) -> Path:
    request = work.request
    folder = save_folder(adapter_key(request.base.backbone, result.adapters))
    folder.mkdir(parents=True, exist_ok=True)
    return adapter_file(folder, request.name, work.folder, result.steps, others=adapter_folders())
