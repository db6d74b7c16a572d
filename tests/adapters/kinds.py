"""One random adapter of every kind on a tiny base, all of it strong enough to be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from motion_core.adapters.base import Adapter
from motion_core.adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from motion_core.adapters.embedding.sites import embedding_sites
from motion_core.adapters.injector import InjectorAdapter, injector_sites
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.verb.adapter import VerbAdapter
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.base import Backbone
from motion_core.backbones.depth import temporal_parameter_names
from tests.tiny import PROMPT_DIM

FRAMES, HEIGHT, WIDTH = 3, 4, 4
IMAGE_WIDTH = 3
PROMPT = "a cat jumping high"


def a_lora(backbone: Backbone, rng: torch.Generator) -> Adapter:
    """Of rank 2, on every temporal layer."""
    pairs = {}
    for name in backbone.sites("temporal"):
        rows, columns = backbone.network.get_parameter(f"{name}.weight").shape
        down, up = torch.randn(2, columns, generator=rng), torch.randn(rows, 2, generator=rng)
        pairs[name] = LoraPair(0.3 * down, 0.3 * up)
    return LoraAdapter(scope="temporal", family=backbone.family, pairs=pairs)


def whole_weights(backbone: Backbone, rng: torch.Generator) -> Adapter:
    """All temporal parameters: weights, biases, norms and, in ZeroScope, convolutions."""
    deltas = {
        name: 0.1 * torch.randn(backbone.network.get_parameter(name).shape, generator=rng)
        for name in temporal_parameter_names(backbone.network)
    }
    return WeightsAdapter(scope="temporal", family=backbone.family, deltas=deltas)


def an_embedding(backbone: Backbone, rng: torch.Generator) -> Adapter:
    """m_QK without and m_V with positions, at every block."""
    blocks = {}
    for site in embedding_sites(backbone.network):
        shape = (*site.positions(HEIGHT, WIDTH), FRAMES, site.channels)
        qk = torch.randn(1, 1, *shape[2:], generator=rng)
        blocks[site.name] = BlockEmbedding(qk, *torch.randn(2, *shape, generator=rng))
    return EmbeddingAdapter(family=backbone.family, blocks=blocks)


def a_verb(backbone: Backbone, rng: torch.Generator) -> Adapter:
    """Of the prompt's verb."""
    return VerbAdapter(
        scope="temporal",
        family=backbone.family,
        verb="jumping",
        frozen=False,
        w1=torch.randn(4, IMAGE_WIDTH + PROMPT_DIM, generator=rng),
        w2=torch.randn(PROMPT_DIM, 4, generator=rng),
        video_embed=torch.randn(IMAGE_WIDTH, generator=rng),
        residual=torch.randn(PROMPT_DIM, generator=rng),
    )


def an_injector(backbone: Backbone, rng: torch.Generator) -> Adapter:
    """With an image, the same for every injector: without one it does nothing."""
    weights = {
        name: torch.randn(channels, IMAGE_WIDTH, generator=rng)
        for name, channels in injector_sites(backbone.network).items()
    }
    adapter = InjectorAdapter(
        scope="temporal", family=backbone.family, injection="add", weights=weights
    )
    return adapter.with_image(torch.ones(1, IMAGE_WIDTH))


MAKERS: Mapping[str, Callable[[Backbone, torch.Generator], Adapter]] = {
    "lora": a_lora,
    "weights": whole_weights,
    "embedding": an_embedding,
    "verb": a_verb,
    "injector": an_injector,
}


def an_adapter(kind: str, backbone: Backbone, seed: int = 0) -> Adapter:
    return MAKERS[kind](backbone, torch.Generator().manual_seed(seed))


@torch.no_grad()
def predict(backbone: Backbone) -> Tensor:
    """Of PROMPT as it is encoded now: an adapter may change that."""
    rng = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 4, FRAMES, HEIGHT, WIDTH, generator=rng)
    return backbone.predict(latents, torch.tensor([500]), backbone.text.encode([PROMPT]))
