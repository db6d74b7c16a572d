"""A motion of every kind for shape world's bases, and the Apply nodes that play them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from comfy.context_windows import (
    ContextFuseMethods,
    ContextSchedules,
    IndexListContextHandler,
    get_matching_context_schedule,
    get_matching_fuse_method,
)
from comfy.model_patcher import ModelPatcher
from motion_adapters.nodes.apply import SAMPLE_MODULE, ApplyMotionToAnimateDiff
from motion_adapters.nodes.apply_zeroscope import ApplyMotionToZeroScope
from torch import Tensor, nn

from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.adapter_files.own import AdapterInfo
from motion_core.adapters.base import Adapter, Scope
from motion_core.adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from motion_core.adapters.embedding.sites import embedding_sites
from motion_core.adapters.injector import InjectorAdapter, injector_sites
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.base import Family
from motion_core.backbones.depth import (
    spatial_attention_parameter_names,
    temporal_parameter_names,
)
from motion_core.shape_world.base import ANIMATEDIFF, ZEROSCOPE
from tests.comfyui.inside.sampling import FRAMES, PROMPT, Backbone

VERSIONS: dict[Family, str] = {"animatediff": ANIMATEDIFF, "zeroscope": ZEROSCOPE}


def on_animatediff(
    image: ModelPatcher, adapters: Mapping[str, Adapter] | None = None, **given: Any
) -> Any:
    """What the node gives for an image model: (MODEL, CLIP). given: the node's other inputs, or
    `stack`, motions in place of `adapters`.
    """
    options: dict[str, Any] = {
        "motion_module": SAMPLE_MODULE,
        "temporal_strength": 1.0,
        "spatial_strength": 1.0,
        "end_percent": 1.0,
        "beta_schedule": "auto",
        **given,
    }
    stack = options.pop("stack", (motion(adapters, "animatediff"),) if adapters else ())
    with torch.inference_mode():
        return ApplyMotionToAnimateDiff.execute(model=image, adapters=stack, **options).args


def on_zeroscope(
    model: ModelPatcher,
    adapters: Mapping[str, Adapter],
    temporal: float = 1.0,
    spatial: float = 1.0,
    end: float = 1.0,
    clip: Any = None,
    family: Family = "zeroscope",
) -> Any:
    """What the node gives: (MODEL, CLIP). family: what the motion says that it was trained on."""
    with torch.inference_mode():
        output = ApplyMotionToZeroScope.execute(
            model, (motion(adapters, family),), temporal, spatial, end, clip
        )
    return output.args


def motion(adapters: Mapping[str, Adapter], family: Family) -> LoadedAdapter:
    info = AdapterInfo(
        method="motion_director",
        settings={},
        parametrisation="lora",
        family=family,
        version=VERSIONS[family],
        rank=2,
        sites=(),
        frames=FRAMES,
        width=64,
        height=64,
        fps=8.0,
        prompts=(PROMPT,),
        steps=1,
        reference_hash="",
        licence="",
        package_version="",
        shown=tuple(adapters),
    )
    return LoadedAdapter(name="zigzag", info=info, adapters=adapters)


def a_lora(backbone: Backbone, scope: Scope = "temporal", seed: int = 0) -> LoraAdapter:
    """Small enough that the video is still one: noise in the weights would magnify rounding."""
    size = {"temporal": 0.3, "spatial": 0.1}[scope]
    rng = torch.Generator().manual_seed(seed)
    names = backbone.sites(scope)
    pairs = {}
    for name in names:
        rows, columns = backbone.network.get_submodule(name).weight.shape
        down = torch.randn(2, columns, generator=rng) / columns**0.5
        pairs[name] = LoraPair(down, size * torch.randn(rows, 2, generator=rng))
    return LoraAdapter(scope=scope, family=backbone.family, pairs=pairs)


def whole_weights(backbone: Backbone, scope: Scope) -> WeightsAdapter:
    """Every temporal parameter, norms and biases too; or of spatial self-attention."""
    rng = torch.Generator().manual_seed(1)
    find = temporal_parameter_names if scope == "temporal" else spatial_attention_parameter_names
    deltas = {
        name: 0.03 * torch.randn(backbone.network.get_parameter(name).shape, generator=rng)
        for name in find(backbone.network)
    }
    return WeightsAdapter(scope=scope, family=backbone.family, deltas=deltas)


def an_embedding(backbone: Backbone) -> EmbeddingAdapter:
    rng = torch.Generator().manual_seed(2)
    blocks = {}
    for site in embedding_sites(backbone.network):
        height, width = site.positions(8, 8)
        qk = torch.randn(1, 1, FRAMES, site.channels, generator=rng)
        v1, v2 = torch.randn(2, height, width, FRAMES, site.channels, generator=rng)
        blocks[site.name] = BlockEmbedding(qk, v1, v2)
    return EmbeddingAdapter(family=backbone.family, blocks=blocks)


def an_injector(backbone: Backbone) -> InjectorAdapter:
    rng = torch.Generator().manual_seed(4)
    weights = {
        name: 0.3 * torch.randn(channels, 5, generator=rng)
        for name, channels in injector_sites(backbone.network).items()
    }
    adapter = InjectorAdapter(
        scope="temporal", family=backbone.family, injection="add", weights=weights
    )
    return adapter.with_image(torch.randn(1, 5, generator=rng))


# Those that a plain temporal LoRA is not.
KINDS: Mapping[str, Callable[[Backbone], Adapter]] = {
    "spatial-lora": lambda backbone: a_lora(backbone, "spatial"),
    "temporal-weights": lambda backbone: whole_weights(backbone, "temporal"),
    "spatial-weights": lambda backbone: whole_weights(backbone, "spatial"),
    "embedding": an_embedding,
    "injector": an_injector,
}


def comfy_lora(lora: LoraAdapter) -> dict[str, Tensor]:
    """In kohya's names; alpha is the rank."""
    tensors: dict[str, Tensor] = {}
    for name, pair in lora.pairs.items():
        layer = f"lora_unet_{name.replace('.', '_')}"
        tensors |= {f"{layer}.lora_down.weight": pair.down, f"{layer}.lora_up.weight": pair.up}
        tensors[f"{layer}.alpha"] = torch.tensor(float(len(pair.down)))
    return tensors


def windows(
    length: int, overlap: int, schedule: str = ContextSchedules.STATIC_STANDARD
) -> IndexListContextHandler:
    """The core's context windows over the frames, as its node makes them."""
    return IndexListContextHandler(
        context_schedule=get_matching_context_schedule(schedule),
        fuse_method=get_matching_fuse_method(ContextFuseMethods.PYRAMID),
        context_length=length,
        context_overlap=overlap,
        dim=0,
    )


def hooks_on(*roots: nn.Module) -> int:
    modules = [module for root in roots for module in root.modules()]
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)
