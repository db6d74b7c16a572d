"""What an adapter file says about the run that made it, gathered from the run.

In: the base, the encoded clips, the method, its settings and the trained adapters. Out: an
`AdapterInfo`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from . import __version__
from .adapter_file import AdapterInfo
from .adapters.base import Adapter
from .adapters.lora_adapter import LoraAdapter
from .backbones.base import Backbone
from .objectives.base import Objective
from .pipeline import PIXELS_PER_LATENT
from .settings import to_mapping
from .shown import shown_names
from .train_settings import TrainSettings
from .types import LatentClip


def adapter_info(
    backbone: Backbone,
    clips: Sequence[LatentClip],
    objective: Objective,
    settings: TrainSettings,
    adapters: Mapping[str, Adapter],
    steps: int,
) -> AdapterInfo:
    """steps: done. Frames, size and rate are those of the first video, or of the first image."""
    first = next((clip for clip in clips if not clip.is_image), clips[0])
    _, _, frames, height, width = first.latents.shape
    return AdapterInfo(
        method=objective.name,
        settings={
            "objective": to_mapping(objective.settings),
            "training": to_mapping(settings),
        },
        parametrisation=next(iter(adapters.values())).kind,
        family=backbone.family,
        version=backbone.version,
        rank=_rank(adapters),
        sites=_sites(adapters),
        frames=frames,
        width=width * PIXELS_PER_LATENT,
        height=height * PIXELS_PER_LATENT,
        fps=first.fps,
        prompts=tuple(clip.prompt for clip in clips),
        steps=steps,
        reference_hash=hashlib.sha256(" ".join(c.digest for c in clips).encode()).hexdigest(),
        licence=backbone.licence,
        package_version=__version__,
        shown=shown_names(adapters, objective),
    )


def _rank(adapters: Mapping[str, Adapter]) -> int | None:
    loras = [adapter for adapter in adapters.values() if isinstance(adapter, LoraAdapter)]
    pairs = [pair for lora in loras for pair in lora.pairs.values()]
    return max((pair.down.shape[0] for pair in pairs), default=None)


def _sites(adapters: Mapping[str, Adapter]) -> tuple[str, ...]:
    """ "temporal.attn1" and the like: the scope, and the part of a transformer block."""
    sites = {
        f"{adapter.scope}.{layer.rpartition('transformer_blocks.')[2].split('.')[1]}"
        for adapter in adapters.values()
        if isinstance(adapter, LoraAdapter)
        for layer in adapter.pairs
    }
    return tuple(sorted(sites))
