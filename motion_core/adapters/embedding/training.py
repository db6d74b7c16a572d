"""Training a motion embedding: parameters that start at zero, put into the model pass by pass.

In: sites of a network and the shape of a clip's latents. Out: parameters to train and, from them,
an `EmbeddingAdapter`. Paper: Motion Inversion (SIGGRAPH 2025, arXiv 2403.20193), Eq. 2 to 4, and
Sec. 4.3 for the other designs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ...backbones.base import Backbone, Family
from .adapter import BlockEmbedding, EmbeddingAdapter, resized
from .debias import Debias
from .hooks import BlockShifts, Shift, Size, shifted_attention
from .sites import EmbeddingSite

Design = Literal["1d", "2d"]
ValueDesign = Literal["1d", "2d", "none"]


@dataclass(frozen=True, kw_only=True)
class EmbeddingPlan:
    """An embedding to be trained at these sites.

    latents_shape: (B, C, F, h, w) of the reference.
    qk, v: whether all positions share m_QK, m_V ("1d") or each has its own ("2d"); without m_V
    ("none"), that is 0 for all positions.
    debias: of the adapter that it becomes.
    """

    sites: Sequence[EmbeddingSite]
    latents_shape: Sequence[int]
    qk: Design
    v: ValueDesign
    debias: Debias

    def count(self, network: nn.Module) -> int:
        """Numbers that it trains."""
        return sum(
            math.prod(shape)
            for site in self.sites
            for design, shape in self._shapes(site)
            if design != "none"
        )

    def made(
        self, name: str, backbone: Backbone, rng: torch.Generator
    ) -> AbstractContextManager[TrainableEmbedding]:
        """Zeros, which change nothing yet."""
        network = backbone.network
        device = next(network.parameters()).device
        blocks = {
            site.name: BlockEmbedding(
                *(
                    _zeros(shape, device, trained=design != "none")
                    for design, shape in self._shapes(site)
                )
            )
            for site in self.sites
        }
        return nullcontext(
            TrainableEmbedding(
                network=network, family=backbone.family, blocks=blocks, debias=self.debias
            )
        )

    def _shapes(self, site: EmbeddingSite) -> list[tuple[ValueDesign, tuple[int, ...]]]:
        """Design and (h, w, F, C) of m_QK, m_V and m_V of the second attention; h and w are 1 if
        shared.
        """
        frames, height, width = self.latents_shape[2:]
        whole = site.positions(height, width)
        return [
            (design, (*(whole if design == "2d" else (1, 1)), frames, site.channels))
            for design in (self.qk, self.v, self.v)
        ]


@dataclass(frozen=True, kw_only=True)
class TrainableEmbedding:
    """An embedding of a model, of which it changes nothing but while it is `active`.

    blocks: float32, by the blocks' names; what is not trained is no parameter, and 0.
    """

    network: nn.Module
    family: Family
    blocks: Mapping[str, BlockEmbedding]
    debias: Debias

    @property
    def parameters(self) -> list[nn.Parameter]:
        """m_QK and, if they are trained, m_V of attn1 and m_V of attn2 of each block."""
        values = [value for block in self.blocks.values() for value in block]
        return [value for value in values if isinstance(value, nn.Parameter)]

    def active(self) -> AbstractContextManager[None]:
        """Within the context the embedding takes part in the forward pass, without debiasing (the
        official code debiases in inference only). Backward belongs inside too.
        """
        shifts = {
            name: BlockShifts(
                _shift(block.qk),
                *(_shift(v) if isinstance(v, nn.Parameter) else None for v in block[1:]),
            )
            for name, block in self.blocks.items()
        }
        return shifted_attention(self.network, shifts)

    def export(self) -> EmbeddingAdapter:
        """What has been trained so far, as copies on the CPU."""
        blocks = {
            name: BlockEmbedding(
                *(values.detach().to("cpu", torch.float32, copy=True) for values in block)
            )
            for name, block in self.blocks.items()
        }
        return EmbeddingAdapter(family=self.family, blocks=blocks, debias=self.debias)


def _zeros(shape: Sequence[int], device: torch.device, *, trained: bool) -> Tensor:
    zeros = torch.zeros(tuple(shape), device=device)
    return nn.Parameter(zeros) if trained else zeros


def _shift(values: Tensor) -> Shift:
    def shift(size: Size, device: torch.device, dtype: torch.dtype) -> Tensor:
        return resized(values, size).flatten(0, 1).to(device, dtype)

    return shift
