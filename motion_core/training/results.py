"""What a finished run leaves: the adapter, and all that shows what it has learned.

In: a trained run and how its samples are made. Out: the adapter file with its noise file and its
contact sheet beside it, and plot, videos and figures in the run's folder. The adapter is written
first, so that nothing that comes later can lose it, and once more with its previews.

`write_results` does all of it, with the base's samples to compare; the parts are for those who do
with less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from .. import __version__
from ..adapter_files.noise_file import NoiseInfo, noise_path, save_noise
from ..adapter_files.own import AdapterInfo, preview_jpeg, save_adapter
from ..adapter_files.sample_defaults import SAMPLING
from ..adapter_files.summary import adapter_parametrisation, adapter_rank, adapter_sites
from ..adapters.base import Adapter
from ..backbones.base import Backbone, pixel_shape
from ..diffusion.generate import generate, invert_clip
from ..diffusion.sampling import OnStep
from ..diffusion.settings import SampleSettings
from ..methods.base import Method, applied_adapters, applied_names
from ..settings import to_mapping
from ..types import Clip, LatentClip
from ..video.plots import loss_plot
from ..video.writing import contact_sheet, write_gif, write_image, write_video
from .records import read_metrics, write_json
from .run import TrainResult
from .settings import TrainSettings

FIGURES, LOSSES = "metrics.json", "loss.png"
PREVIEWS = 4
# Frames of small bases are enlarged to about this height, so that a person can see them.
VIEWING_HEIGHT = 256


StepsShown = Callable[[str], OnStep]
"""Of what is being done, the callback for (steps done, steps in all)."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished run. clips and latents belong together, one by one. document: the run's settings
    as plain values, from which it can be run again. sampled_its_way: see `suited.Suited`.
    """

    backbone: Backbone
    clips: Sequence[Clip]
    latents: Sequence[LatentClip]
    method: Method
    settings: TrainSettings
    result: TrainResult
    document: Mapping[str, object]
    sampled_its_way: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Showing:
    """What is made of a finished run. sample: how its samples are made. prompt: of a second sample,
    beside the first clip's own; None for no second one. inversion_steps: of the clip's noise, 0 for
    no noise file.
    """

    sample: SampleSettings
    prompt: str | None
    inversion_steps: int


def write_results(
    adapter: Path, records: Path, trained: Trained, showing: Showing, steps_shown: StepsShown
) -> None:
    """Writes the adapter file, what lies beside it, and what shows the run into `records`."""
    write_adapter(adapter, trained)
    write_figures(records, trained)
    inverted = None
    if steps := showing.inversion_steps:
        on_step = steps_shown("inverting the clip")
        inverted = write_noise(adapter, trained.backbone, trained.latents, steps, on_step)
    adapted = _write_samples(adapter, records, trained, showing, steps_shown, inverted)
    write_adapter(adapter, trained, adapted)


def write_adapter(adapter: Path, trained: Trained, frames: Tensor | None = None) -> None:
    """The adapter file. frames: made with it; some of them become its previews."""
    result = trained.result
    info = adapter_info(
        trained.backbone,
        trained.latents,
        trained.method,
        trained.settings,
        result.adapters,
        result.steps,
        trained.sampled_its_way,
    )
    save_adapter(adapter, result.adapters, info, _previews(frames))


def adapter_info(
    backbone: Backbone,
    clips: Sequence[LatentClip],
    method: Method,
    settings: TrainSettings,
    adapters: Mapping[str, Adapter],
    steps: int,
    sampled_its_way: Mapping[str, object] | None = None,
) -> AdapterInfo:
    """What the adapter file says about the run that made it. steps: done. Frames, size and rate
    are those of the first video, or of the first image. sampled_its_way: see `suited.Suited`.
    """
    first = next((clip for clip in clips if not clip.is_image), clips[0])
    frames, height, width = pixel_shape(backbone, first.latents)
    return AdapterInfo(
        method=method.name,
        settings={
            "objective": to_mapping(method.settings),
            "training": to_mapping(settings),
            SAMPLING: dict(sampled_its_way or {}),
        },
        parametrisation=adapter_parametrisation(adapters),
        family=backbone.family,
        version=backbone.version,
        rank=adapter_rank(adapters),
        sites=adapter_sites(adapters),
        frames=frames,
        width=width,
        height=height,
        fps=first.fps,
        prompts=tuple(clip.prompt for clip in clips),
        steps=steps,
        reference_hash=hashlib.sha256(" ".join(c.digest for c in clips).encode()).hexdigest(),
        licence=backbone.licence,
        package_version=__version__,
        shown=applied_names(adapters, method),
    )


def _previews(frames: Tensor | None) -> list[bytes]:
    if frames is None:
        return []
    picked = frames[:: max(1, len(frames) // PREVIEWS)][:PREVIEWS]
    return [preview_jpeg(frame) for frame in picked]


def write_figures(records: Path, trained: Trained) -> None:
    """The losses as a picture, and the run in numbers."""
    loss_plot(records / LOSSES, trained.result.losses)
    write_json(records / FIGURES, metrics(records, trained))


def write_noise(
    adapter: Path, backbone: Backbone, clips: Sequence[LatentClip], steps: int, on_step: OnStep
) -> Tensor | None:
    """Writes the first video's inverted latents beside the adapter and returns them; a run on
    images has none.
    """
    clip = next((clip for clip in clips if not clip.is_image), None)
    if clip is None:
        return None
    latents = invert_clip(backbone, clip, steps, on_step)
    info = NoiseInfo(
        family=backbone.family,
        version=backbone.version,
        steps=steps,
        prompt=clip.prompt,
        digest=clip.digest,
    )
    save_noise(noise_path(adapter), latents, info)
    return latents


def viewing_scale(height: int) -> int:
    """Whole factor by which frames of this height grow for a person to look at."""
    return max(1, VIEWING_HEIGHT // height)


def metrics(records: Path, trained: Trained) -> dict[str, object]:
    """The run in numbers. Single steps are in metrics.jsonl. seconds: spent in training steps.
    peak_memory_bytes: allocated on the GPU, or resident on the CPU.
    """
    result, backbone = trained.result, trained.backbone
    rows = read_metrics(records)
    return {
        "settings": dict(trained.document),
        "base": {"family": backbone.family, "version": backbone.version},
        "clips": [
            {"source": clip.source, "prompt": clip.prompt, "frames": len(clip.frames)}
            for clip in trained.clips
        ],
        "steps": result.steps,
        "losses": {name: _summary(points) for name, points in result.losses.items()},
        "seconds": result.seconds,
        "seconds_per_step": result.seconds / max(1, len(rows)),
        "peak_memory_bytes": max((row["memory_bytes"] for row in rows), default=0),
        "parameters": {
            name: sum(tensor.numel() for tensor in adapter.state_dict().values())
            for name, adapter in result.adapters.items()
        },
        "package_version": __version__,
    }


def _summary(points: Sequence[tuple[int, float]]) -> dict[str, float]:
    """The means of a loss's first and last tenth, and its last value."""
    values = [value for _, value in points if value is not None]
    tenth = max(1, len(values) // 10)
    return {
        "first_tenth": sum(values[:tenth]) / tenth,
        "last_tenth": sum(values[-tenth:]) / tenth,
        "last": values[-1],
    }


def _write_samples(
    adapter: Path,
    records: Path,
    trained: Trained,
    showing: Showing,
    steps_shown: StepsShown,
    inverted: Tensor | None,
) -> Tensor:
    """The contact sheet, sample.mp4 and sample.gif; returns the adapted frames that these show.
    inverted: for the noise prior.
    """
    first = trained.clips[0]
    prompts = [first.prompt] if showing.prompt is None else [first.prompt, showing.prompt]
    rows = [(f"reference: {first.prompt}", first.frames)]
    adapters = applied_adapters(trained.result.adapters, trained.method)
    frames = first.frames
    for prompt in prompts:
        for name, applied in (("base", []), ("adapted", adapters)):
            on_step = steps_shown(f"sampling, {name}")
            frames = generate(trained.backbone, prompt, applied, showing.sample, inverted, on_step)
            rows.append((f"{name}: {prompt}", frames))
    write_image(adapter.with_suffix(".png"), contact_sheet(rows))
    scale = viewing_scale(showing.sample.height)
    write_video(records / "sample.mp4", frames, first.fps, scale)
    write_gif(records / "sample.gif", frames, first.fps, scale)
    return frames
