"""MoTrans's own parts in training: the appearance injector and the motion enhancer.

Both are made of what a step knows of its clip, so that neither acts by itself: see
`TrainableInjector.injecting` and `TrainableEnhancer.residual_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...adapters.base import Scope
from ...adapters.injector import (
    Injection,
    InjectorAdapter,
    injected,
    injector_sites,
    zero_weights,
)
from ...adapters.verb.adapter import VerbAdapter, fresh_enhancer, residual
from ...backbones.base import Backbone, Family
from .known_clips import KnownClip

TEMPORAL: Scope = "temporal"


@dataclass(frozen=True, kw_only=True)
class InjectorPlan:
    """An injector to be trained. width: V, of the image embeddings."""

    width: int
    injection: Injection

    def count(self, network: nn.Module) -> int:
        """C · V numbers for each transformer."""
        return self.width * sum(injector_sites(network).values())

    def made(
        self, name: str, backbone: Backbone, rng: torch.Generator
    ) -> AbstractContextManager[TrainableInjector]:
        """Zeros, which inject nothing yet."""
        network = backbone.network
        weights = zero_weights(network, self.width)
        return nullcontext(
            TrainableInjector(
                network=network,
                family=backbone.family,
                weights=weights,
                injection=self.injection,
            )
        )


@dataclass(frozen=True, kw_only=True)
class TrainableInjector:
    """weights: W_p (C, V) by the name of a temporal transformer."""

    network: nn.Module
    family: Family
    weights: Mapping[str, nn.Parameter]
    injection: Injection

    @property
    def parameters(self) -> list[nn.Parameter]:
        """W_p of each transformer."""
        return list(self.weights.values())

    def active(self) -> AbstractContextManager[None]:
        """Nothing is injected without images."""
        return nullcontext()

    def injecting(self, image_embeds: Tensor) -> AbstractContextManager[None]:
        """Eq. 2 within the context. image_embeds: (B, V), ψ of one frame of each draw."""
        return injected(self.network, self.weights, image_embeds, self.injection)

    def export(self) -> InjectorAdapter:
        """What has been trained so far, as a copy on the CPU; it holds no image."""
        weights = {name: _copied(weight) for name, weight in self.weights.items()}
        return InjectorAdapter(
            scope=TEMPORAL, family=self.family, injection=self.injection, weights=weights
        )


@dataclass(frozen=True, kw_only=True)
class EnhancerPlan:
    """A motion enhancer to be trained.

    video_width: V, of the image embeddings. prompt_width: D, of the prompts'.
    videos: what is known of them, from which the adapter is made; not needed to count.
    frozen: see `VerbAdapter`.
    """

    video_width: int
    prompt_width: int
    videos: Sequence[KnownClip] = ()
    frozen: bool

    def count(self, network: nn.Module) -> int:
        """W1 (D, V + D) and W2 (D, D)."""
        return self.prompt_width * (self.video_width + 2 * self.prompt_width)

    def made(
        self, name: str, backbone: Backbone, rng: torch.Generator
    ) -> AbstractContextManager[TrainableEnhancer]:
        """W1 drawn from `rng`, W2 zero: it adds nothing yet."""
        device = next(backbone.network.parameters()).device
        w1, w2 = fresh_enhancer(self.video_width, self.prompt_width, rng, device)
        return nullcontext(
            TrainableEnhancer(
                w1=w1, w2=w2, family=backbone.family, videos=self.videos, frozen=self.frozen
            )
        )


@dataclass(frozen=True, kw_only=True)
class TrainableEnhancer:
    """w1, w2: of Eq. 3. videos, frozen: see `EnhancerPlan`."""

    w1: nn.Parameter
    w2: nn.Parameter
    family: Family
    videos: Sequence[KnownClip]
    frozen: bool

    @property
    def parameters(self) -> list[nn.Parameter]:
        """W1 and W2."""
        return [self.w1, self.w2]

    def active(self) -> AbstractContextManager[None]:
        """Nothing is changed in the model: it acts on prompts."""
        return nullcontext()

    def residual_of(self, clip: KnownClip) -> Tensor:
        """E_r (D,) of a video's verb, Eq. 3."""
        assert clip.video_embed is not None and clip.verb_embed is not None
        device = self.w1.device
        return residual(self.w1, self.w2, clip.video_embed.to(device), clip.verb_embed.to(device))

    def export(self) -> VerbAdapter:
        """The MLP with the mean over all videos, and E_r of the first one's verb, as copies on the
        CPU.
        """
        first = self.videos[0]
        assert first.verb is not None and first.verb_embed is not None
        w1, w2 = _copied(self.w1), _copied(self.w2)
        embeds = [clip.video_embed for clip in self.videos if clip.video_embed is not None]
        video_embed = torch.stack(embeds).mean(0)
        return VerbAdapter(
            scope=TEMPORAL,
            family=self.family,
            verb=first.verb.text,
            frozen=self.frozen,
            w1=w1,
            w2=w2,
            video_embed=video_embed,
            residual=residual(w1, w2, video_embed, first.verb_embed),
        )


def _copied(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu", torch.float32, copy=True)
