"""The training loop, the same for every method.

In: a backbone, encoded clips, a method, settings, a run folder. Out: the trained adapters, and
on the way events, metrics.jsonl and checkpoints from which a killed run goes on, on the CPU bit for
bit. The model is always restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from ..adapters.lora.layer import compose
from ..backbones.base import Backbone
from ..backbones.frozen import frozen_base
from ..diffusion.encoding import encoders_digest
from ..errors import ClipError, SettingsError
from ..events import EventSink, Finished, ignore_events
from ..methods.appearance import material_of
from ..methods.base import Method
from ..settings import fields_by_name, require, to_mapping
from ..types import LatentClip
from . import records as run_records
from .checkpoints import (
    COMPOSED_VERSION,
    FORMAT_VERSION,
    base_digest,
    check_same_run,
    format_of,
    latest_checkpoint,
)
from .meaning import written_out
from .process import own_global_rng
from .run import MakeSample, TrainingRun, TrainResult
from .settings import TrainSettings

# Settings that may change between a run and its resumption: they don't touch what is learned.
_FREE_SETTINGS = ("save_every", "sample_every", "checkpointing", "keep_outputs")


def train(
    backbone: Backbone,
    clips: Sequence[LatentClip],
    method: Method,
    settings: TrainSettings,
    run_folder: Path,
    sink: EventSink = ignore_events,
    *,
    make_sample: MakeSample | None = None,
) -> TrainResult:
    """Trains until `settings.steps`, from the folder's last checkpoint if it has one.

    The backbone's UNet must be on the device to train on; latents follow it. make_sample gets
    copies of the adapters and the step every `sample_every` steps, with the base as it was, so that
    it can apply them.

    Raises CancelRun, KeyboardInterrupt or whatever the sink raised, after saving; StopRun ends the
    run early instead. Raises TrainingError if a loss or gradient is not finite, or the folder's run
    is another one; ClipError and SettingsError if clips, backbone and settings do not fit. The
    model is as before in every case.
    """
    device = next(backbone.network.parameters()).device
    dtype = settings.dtype_on(device)
    _check_clips(backbone, clips)
    total = backbone.schedule.total
    require(settings.min_timestep < total, "min_timestep", settings.min_timestep, f"below {total}")
    _check_steps(method, settings)
    _check_preservation(clips, settings)
    description = describe(backbone, [clip.digest for clip in clips], method, settings, dtype)
    checkpoint = latest_checkpoint(run_folder)
    if checkpoint is not None:
        material = material_of(clips)
        check_same_run(checkpoint, description, lambda d: written_out(d, type(method), material))
    run_folder.mkdir(parents=True, exist_ok=True)
    run_records.write_json(run_folder / run_records.SETTINGS, description)
    rng = torch.Generator().manual_seed(settings.seed)
    with ExitStack() as stack:
        # ComfyUI runs nodes in inference mode, in which nothing can be trained.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(own_global_rng(device, settings.seed))
        stack.enter_context(frozen_base(backbone.network, dtype))
        attached = stack.enter_context(method.attach(backbone, clips, rng))
        format_version = FORMAT_VERSION if checkpoint is None else format_of(checkpoint)
        if format_version == COMPOSED_VERSION:
            compose(backbone.network)
        stack.enter_context(backbone.training_passes(settings.keeps))
        run = TrainingRun(
            clips=clips,
            attached=attached,
            settings=settings,
            run_folder=run_folder,
            sink=sink,
            make_sample=make_sample,
            description=description,
            rng=rng,
            device=device,
            format_version=format_version,
        )
        result = run.to_the_end(checkpoint)
    last = {name: history[-1][1] for name, history in result.losses.items()}
    sink(Finished(step=result.steps, losses=last))
    return result


def describe(
    backbone: Backbone,
    clip_digests: Sequence[str],
    method: Method,
    settings: TrainSettings,
    dtype: torch.dtype | None = None,
) -> dict[str, Any]:
    """All that decides what a run learns, as plain values: a checkpoint is resumed only by a run of
    the same.

    clip_digests: as in `LatentClip`, which need not be encoded for this.
    dtype: that the base is trained in, None where its weights are in it already. With a constant
    learning rate the number of steps does not belong to the description: such a run may be made
    longer. A setting that version 0.1.0 had not is left out where all is as it was without, so that
    its runs are found again.
    """
    training = {k: v for k, v in _told(settings).items() if k not in _FREE_SETTINGS}
    if settings.lr_schedule == "constant":
        del training["steps"]
    return {
        "objective": {"name": method.name, "settings": _told(method.settings)},
        "training": training,
        "clips": {str(index): digest for index, digest in enumerate(clip_digests)},
        "base": {
            "family": backbone.family,
            "version": backbone.version,
            "weights": base_digest(backbone.network, dtype),
            "encoders": encoders_digest(backbone),  # latents may differ in the last bit
        },
    }


def _told(settings: Any) -> dict[str, Any]:
    """Settings as plain values, without those that came later and are as if they had not."""
    fields = fields_by_name(type(settings))
    return {
        name: value
        for name, value in to_mapping(settings).items()
        if not fields[name].said.later or value != fields[name].default
    }


def _check_steps(method: Method, settings: TrainSettings) -> None:
    if settings.steps < method.least_steps:
        raise SettingsError(
            f"steps is {settings.steps}; with these settings, {method.name} reaches its last "
            f"stage at step {method.least_steps}. Train longer, or shorten the earlier stages."
        )


def _check_preservation(clips: Sequence[LatentClip], settings: TrainSettings) -> None:
    if settings.base_preservation and all(clip.is_image for clip in clips):
        raise SettingsError(
            f"base_preservation is {settings.base_preservation:g}, but it is of motion, and there "
            "are only images to train on. Set it to 0, or add a video."
        )


def _check_clips(backbone: Backbone, clips: Sequence[LatentClip]) -> None:
    if not clips:
        raise ClipError("No clips to train on. Add at least one clip or image.")
    for clip in clips:
        frames = backbone.frame_rule.pixel_frames(clip.latents.shape[2])
        if misfit := backbone.frame_rule.misfit(frames):
            raise ClipError(
                f"{clip.source} has {frames} frames; {backbone.version} supports {misfit[1]}. "
                "Change frames or stride, or use another clip."
            )
