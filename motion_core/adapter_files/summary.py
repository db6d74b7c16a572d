"""What an adapter file says about the run that made it, gathered from the run.

In: the base, the encoded clips, the method, its settings and the trained adapters. Out: an
`AdapterInfo`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from .. import __version__
from ..adapters.base import Adapter
from ..adapters.embedding.adapter import EmbeddingAdapter
from ..adapters.lora.adapter import LoraAdapter
from ..adapters.weights.adapter import WeightsAdapter
from ..backbones.base import Backbone
from ..diffusion.generate import PIXELS_PER_LATENT
from ..methods.base import Method
from ..methods.shown import shown_names
from ..settings import to_mapping
from ..training.settings import TrainSettings
from ..types import LatentClip
from .own import AdapterInfo


def adapter_info(
    backbone: Backbone,
    clips: Sequence[LatentClip],
    method: Method,
    settings: TrainSettings,
    adapters: Mapping[str, Adapter],
    steps: int,
) -> AdapterInfo:
    """steps: done. Frames, size and rate are those of the first video, or of the first image."""
    first = next((clip for clip in clips if not clip.is_image), clips[0])
    _, _, frames, height, width = first.latents.shape
    return AdapterInfo(
        method=method.name,
        settings={
            "objective": to_mapping(method.settings),
            "training": to_mapping(settings),
        },
        parametrisation=adapter_parametrisation(adapters),
        family=backbone.family,
        version=backbone.version,
        rank=adapter_rank(adapters),
        sites=adapter_sites(adapters),
        frames=frames,
        width=width * PIXELS_PER_LATENT,
        height=height * PIXELS_PER_LATENT,
        fps=first.fps,
        prompts=tuple(clip.prompt for clip in clips),
        steps=steps,
        reference_hash=hashlib.sha256(" ".join(c.digest for c in clips).encode()).hexdigest(),
        licence=backbone.licence,
        package_version=__version__,
        shown=shown_names(adapters, method),
    )


def adapter_rank(adapters: Mapping[str, Adapter]) -> int | None:
    """The largest rank of the LoRAs; None without one."""
    loras = [adapter for adapter in adapters.values() if isinstance(adapter, LoraAdapter)]
    pairs = [pair for lora in loras for pair in lora.pairs.values()]
    return max((pair.down.shape[0] for pair in pairs), default=None)


def adapter_sites(adapters: Mapping[str, Adapter]) -> tuple[str, ...]:
    """ "temporal.attn1" and the like: the scope, and the part of a transformer block, else the
    layer's name; "temporal.temp_convs" is all of the temporal convolutions.
    """
    sites = {
        f"{adapter.scope}.{_part(layer)}"
        for adapter in adapters.values()
        for layer in _layers(adapter)
    }
    return tuple(sorted(sites))


def adapter_parametrisation(adapters: Mapping[str, Adapter]) -> str:
    """ "full" for whole weights, else the kind of the first adapter."""
    kind = next(iter(adapters.values())).kind
    return "full" if kind == WeightsAdapter.kind else kind


def _layers(adapter: Adapter) -> Iterable[str]:
    if isinstance(adapter, LoraAdapter):
        return adapter.pairs
    if isinstance(adapter, WeightsAdapter):
        return [name.rpartition(".")[0] for name in adapter.deltas]
    if isinstance(adapter, EmbeddingAdapter):
        return [key.removesuffix(".v") for key in adapter.state_dict() if key.endswith(".v")]
    return ()


def _part(layer: str) -> str:
    before, inside, after = layer.rpartition("transformer_blocks.")
    if inside:
        return after.split(".")[1]
    return "temp_convs" if ".temp_convs." in before + after else layer.rpartition(".")[2]
