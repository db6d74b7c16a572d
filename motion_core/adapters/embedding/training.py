"""Training a motion embedding: parameters that start at zero, put into the model pass by pass.

In: sites of a network and the shape of a clip's latents. Out: parameters to train and, from them,
an `EmbeddingAdapter`. Paper: Motion Inversion (SIGGRAPH 2025, arXiv 2403.20193), Eq. 2 to 4, and
Sec. 4.3 for the other designs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ...backbones.base import Family
from .adapter import BlockEmbedding, Debias, EmbeddingAdapter, resized
from .hooks import BlockShifts, Shift, Size, shifted_attention
from .sites import EmbeddingSite

Design = Literal["1d", "2d"]


@dataclass(frozen=True, kw_only=True)
class TrainableEmbedding:
    """blocks: float32 parameters, by the blocks' names."""

    blocks: Mapping[str, BlockEmbedding]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """m_QK, m_V of attn1 and m_V of attn2 of each block."""
        values = [value for block in self.blocks.values() for value in block]
        return [value for value in values if isinstance(value, nn.Parameter)]

    def active(self, network: nn.Module) -> AbstractContextManager[None]:
        """Within the context the embedding takes part in the forward pass, without debiasing (the
        official code debiases in inference only). Backward belongs inside too.
        """
        shifts = {
            name: BlockShifts(*(_shift(values) for values in block))
            for name, block in self.blocks.items()
        }
        return shifted_attention(network, shifts)

    def export(self, family: Family, debias: Debias) -> EmbeddingAdapter:
        """What has been learned so far, as copies on the CPU."""
        blocks = {
            name: BlockEmbedding(
                *(values.detach().to("cpu", torch.float32, copy=True) for values in block)
            )
            for name, block in self.blocks.items()
        }
        return EmbeddingAdapter(family=family, blocks=blocks, debias=debias)


def zero_embedding(
    sites: Sequence[EmbeddingSite],
    latents_shape: Sequence[int],
    qk: Design,
    v: Design,
    device: torch.device | str,
) -> TrainableEmbedding:
    """An embedding that changes nothing yet.

    latents_shape: (B, C, F, h, w) of the reference. qk, v: whether all positions share m_QK, m_V
    ("1d") or each has its own ("2d").
    """
    frames, height, width = latents_shape[2:]

    def zeros(site: EmbeddingSite, design: Design) -> nn.Parameter:
        positions = site.positions(height, width) if design == "2d" else (1, 1)
        return nn.Parameter(torch.zeros(*positions, frames, site.channels, device=device))

    return TrainableEmbedding(
        blocks={site.name: BlockEmbedding(*(zeros(site, d) for d in (qk, v, v))) for site in sites}
    )


def _shift(values: Tensor) -> Shift:
    def shift(size: Size, device: torch.device, dtype: torch.dtype) -> Tensor:
        return resized(values, size).flatten(0, 1).to(device, dtype)

    return shift
