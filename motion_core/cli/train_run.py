"""A training run from the command line: everything is checked and loaded before the first step, and
a run that is stopped can go on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..adapters.base import Adapter
from ..backbones.base import Backbone
from ..bases import base_defaults, load_base
from ..diffusion.encoding import encode_clips, release_encoders
from ..diffusion.generate import generate
from ..diffusion.settings import SampleSettings
from ..errors import MotionError
from ..events import Event, SampleMade, Started
from ..methods.base import applied_adapters
from ..settings import require
from ..training.checkpoints import latest_checkpoint
from ..training.records import write_json
from ..training.results import Showing, Trained, viewing_scale, write_results
from ..training.trackers import check_tracker, tracked
from ..training.trainer import train
from ..types import Clip
from ..video.clips import load_clips, load_image_clip, load_image_clips
from ..video.frame_source import OnProgress, ignore, share
from ..video.writing import write_video
from .device import chosen_device
from .flags import spoken
from .method_settings import read_method_flags
from .progress import TrainProgress
from .request import (
    Layer,
    TrainRequest,
    absolute_paths,
    build_request,
    chosen_method,
    read_layer,
    whole_record,
)
from .run_folder import ADAPTER, SETTINGS, claimed, forget_earlier_run
from .terminal import Terminal, quoted, say

INTERRUPTED = 130


def run_from_flags(
    flags: Layer,
    method_flags: Sequence[str],
    train_flags: Sequence[str],
    *,
    output: Path,
    config: Path | None,
    resume: bool,
) -> int:
    """Trains what the flags, the configuration file and, on resuming, the run itself say.

    method_flags: arguments that only the method may know. train_flags: the command's own.
    """
    layers = [read_layer(config)] if config else []
    layers.append(absolute_paths(flags, Path.cwd()))
    try:
        with claimed(output, resume), Terminal() as terminal:
            if resume:
                layers.insert(0, _settings_of(output))
            method_name = chosen_method(layers)
            layers.append({"objective": read_method_flags(method_flags, method_name, train_flags)})
            run_training(build_request(layers), output, resume=resume, terminal=terminal)
    except KeyboardInterrupt:
        sys.stderr.write(_how_to_go_on(output))
        return INTERRUPTED
    say(f"Saved as {output / 'adapter.safetensors'}")
    return 0


def run_training(
    request: TrainRequest, output: Path, *, resume: bool = False, terminal: Terminal
) -> None:
    """Trains and writes all results into `output`, which exists and holds no other run.

    Raises MotionError before the first step where clips, base and settings do not fit.
    """
    device = chosen_device(request.run.device)
    dtype = request.train.dtype_on(device)
    check_tracker(request.run.log_to)
    for name, value in request.found.items():
        flag = f"--{spoken(name)}"
        shown = ", ".join(map(repr, str(value).splitlines()))
        terminal.line(f"{name} is {shown}, found in the prompt; {flag} sets another")
    terminal.show("reading clips")
    clips = load_all_clips(request, lambda done: terminal.show(f"reading clips: {done:.0%}"))
    settings = _sample_settings(request, clips)
    terminal.show(f"loading {request.run.base}")
    backbone = load_base(request.run.base, **request.parts, dtype=dtype, device=device)
    _check_sampling(request, backbone)
    terminal.show("encoding clips")
    latents = encode_clips(backbone, clips)
    release_encoders(backbone)
    if not resume:
        forget_earlier_run(output)
    progress = TrainProgress(terminal)

    def sink(event: Event) -> None:
        if isinstance(event, Started):
            write_json(output / SETTINGS, request.document())
        progress(event)
        track(event)

    def make_sample(adapters: Mapping[str, Adapter], step: int) -> SampleMade:
        path = output / "samples" / f"step-{step}.mp4"
        shown = applied_adapters(adapters, request.method)
        frames = generate(backbone, clips[0].prompt, shown, replace(settings, noise_prior=0.0))
        write_video(path, frames, clips[0].fps, viewing_scale(settings.height))
        return SampleMade(step=step, prompt=clips[0].prompt, frames_path=path)

    with tracked(request.run.log_to, output, output.absolute().name) as track:
        result = train(
            backbone, latents, request.method, request.train, output, sink, make_sample=make_sample
        )
    trained = Trained(
        backbone=backbone,
        clips=clips,
        latents=latents,
        method=request.method,
        settings=request.train,
        result=result,
        document=request.document(),
        sampled_its_way=request.sampled_its_way,
    )
    showing = Showing(
        sample=settings,
        prompt=request.run.sample_prompt,
        inversion_steps=request.run.inversion_steps,
    )
    write_results(output / ADAPTER, output, trained, showing, terminal.steps)


def load_all_clips(request: TrainRequest, on_progress: OnProgress = ignore) -> list[Clip]:
    """The clips and then the images of the run, each with its prompt."""
    clips: list[Clip] = []
    for index, path in enumerate(map(Path, request.run.clips)):
        part = share(on_progress, index, len(request.run.clips))
        clips += load_clips(path, request.clip, request.prompt_of(index), part)
    for index, path in enumerate(map(Path, request.run.images), start=len(request.run.clips)):
        prompt = request.prompt_of(index)
        if path.is_dir():
            clips += load_image_clips(path, request.clip, prompt)
        else:
            clips.append(load_image_clip(path, request.clip, prompt))
    return clips


def _sample_settings(request: TrainRequest, clips: list[Clip]) -> SampleSettings:
    """Samples have the first clip's size; a run on images shows its looks in a video of the base's
    usual length.
    """
    frames, _, height, width = clips[0].frames.shape
    if clips[0].is_image:
        frames = base_defaults(request.run.base).frames
    return request.sample_settings(frames, height, width)


def _check_sampling(request: TrainRequest, backbone: Backbone) -> None:
    """What would else only come up after the training."""
    total = backbone.schedule.total
    for name in ("sample_steps", "inversion_steps"):
        steps = getattr(request.run, name)
        require(steps <= total, name, steps, f"at most {total}, the schedule's timesteps")


def _settings_of(folder: Path) -> Layer:
    path = folder / SETTINGS
    if not path.is_file():
        raise MotionError(f"{folder} has no {SETTINGS}. Choose another --output.")
    return whole_record(read_layer(path))


def _how_to_go_on(output: Path) -> str:
    checkpoint = latest_checkpoint(output)
    if checkpoint is None:
        return "stopped before the first step; nothing was saved\n"
    command = f"python -m motion_core train --resume --output {quoted(str(output))}"
    step = checkpoint.name.removeprefix("step-")
    return f"stopped; step {step} was saved. Resume with: {command}\n"
