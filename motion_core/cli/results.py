"""What a finished run leaves in its folder: the adapter, and all that shows what it has learned.

The adapter is written first, so that nothing that comes later can lose it, and once more with its
previews.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .. import __version__
from ..adapter_file import preview_jpeg, save_adapter
from ..backbones.base import Backbone
from ..media import contact_sheet, write_gif, write_image, write_video
from ..noise_file import NoiseInfo, noise_path, save_noise
from ..pipeline import generate, invert_clip
from ..plots import loss_plot
from ..run_records import read_metrics, write_json
from ..sampler import SampleSettings
from ..shown import shown_adapters
from ..trained_info import adapter_info
from ..trainer import TrainResult
from ..types import Clip, LatentClip
from .request import TrainRequest
from .run_folder import ADAPTER, METRICS
from .terminal import Terminal

PREVIEWS = 4
# Frames of small bases are enlarged to about this height, so that a person can see them.
VIEWING_HEIGHT = 256


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished run. clips and latents belong together, one by one."""

    backbone: Backbone
    clips: Sequence[Clip]
    latents: Sequence[LatentClip]
    request: TrainRequest
    result: TrainResult


def write_results(
    folder: Path, trained: Trained, settings: SampleSettings, terminal: Terminal
) -> None:
    """Writes every file of the run but its records. settings: of the samples."""
    request, result = trained.request, trained.result
    info = adapter_info(
        trained.backbone,
        trained.latents,
        request.objective,
        request.train,
        result.adapters,
        result.steps,
    )
    save_adapter(folder / ADAPTER, result.adapters, info)
    loss_plot(folder / "loss.png", result.losses)
    _write_noise(folder, trained, terminal)
    adapted = _write_samples(folder, trained, settings, terminal)
    picked = adapted[:: max(1, len(adapted) // PREVIEWS)][:PREVIEWS]
    previews = [preview_jpeg(frame) for frame in picked]
    save_adapter(folder / ADAPTER, result.adapters, info, previews)
    write_json(folder / METRICS, metrics(folder, trained))


def viewing_scale(height: int) -> int:
    """Whole factor by which frames of this height grow for a person to look at."""
    return max(1, VIEWING_HEIGHT // height)


def metrics(folder: Path, trained: Trained) -> dict[str, object]:
    """The run in numbers. Single steps are in metrics.jsonl. seconds: spent in training steps.
    peak_memory_bytes: allocated on the GPU, or resident on the CPU.
    """
    result, backbone = trained.result, trained.backbone
    rows = read_metrics(folder)
    return {
        "settings": trained.request.document(),
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


def _write_noise(folder: Path, trained: Trained, terminal: Terminal) -> None:
    """The first video's inverted latents; a run on images has none."""
    steps = trained.request.run.inversion_steps
    clip = next((clip for clip in trained.latents if not clip.is_image), None)
    if clip is None or steps == 0:
        return
    latents = invert_clip(trained.backbone, clip, steps, terminal.steps("inverting the clip"))
    info = NoiseInfo(
        family=trained.backbone.family,
        version=trained.backbone.version,
        steps=steps,
        prompt=clip.prompt,
        digest=clip.digest,
    )
    save_noise(noise_path(folder / ADAPTER), latents, info)


def _write_samples(
    folder: Path, trained: Trained, settings: SampleSettings, terminal: Terminal
) -> Tensor:
    """adapter.png, sample.mp4 and sample.gif; returns the adapted frames that these show."""
    first = trained.clips[0]
    prompts = [first.prompt]
    if trained.request.run.sample_prompt is not None:
        prompts.append(trained.request.run.sample_prompt)
    rows = [(f"reference: {first.prompt}", first.frames)]
    adapters = shown_adapters(trained.result.adapters, trained.request.objective)
    frames = first.frames
    for prompt in prompts:
        for name, applied in (("base", []), ("adapted", adapters)):
            on_step = terminal.steps(f"sampling, {name}")
            frames = generate(trained.backbone, prompt, applied, settings, on_step=on_step)
            rows.append((f"{name}: {prompt}", frames))
    write_image(folder / "adapter.png", contact_sheet(rows))
    scale = viewing_scale(settings.height)
    write_video(folder / "sample.mp4", frames, first.fps, scale)
    write_gif(folder / "sample.gif", frames, first.fps, scale)
    return frames
