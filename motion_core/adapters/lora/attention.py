"""Attention that asks for queries, keys and values at once, which LoRAs on them compute together.

In: a network and the layers that have LoRAs. Out: a context in which the attention around them has
a processor of its own, for as long as they are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from .layer import together

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention

_PROJECTIONS = ("to_q", "to_k", "to_v")


@contextmanager
def joined_projections(network: nn.Module, linears: Sequence[str]) -> Iterator[None]:
    """linears: full names of layers; their attention gets its own processor back at the end."""
    names = dict.fromkeys(
        name
        for name, _, layer in (path.rpartition(".") for path in linears)
        if layer in _PROJECTIONS
    )
    changed = [part for name in names if _is_plain(part := network.get_submodule(name))]
    before = [part.processor for part in changed]
    try:
        for part in changed:
            part.processor = _Joined(part.processor)
        yield
    finally:
        for part, processor in zip(changed, before, strict=True):
            part.processor = processor


def _is_plain(part: nn.Module) -> bool:
    """Whether it does nothing but attend, as transformer blocks' attention does, in diffusers'
    way.
    """
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0  # heavy

    if not isinstance(part, Attention) or type(part.processor) is not AttnProcessor2_0:
        return False
    norms = (part.spatial_norm, part.group_norm, part.norm_q, part.norm_k, part.norm_cross)
    return not any(norms) and not part.residual_connection and part.rescale_output_factor == 1


class _Joined:
    """What AttnProcessor2_0 computes. other: for what is not done here: masks."""

    def __init__(self, other: Any) -> None:
        self.other = other

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """hidden_states: (B, L, C). encoder_hidden_states: (B, M, D); None is self-attention."""
        if attention_mask is not None or hidden_states.ndim != 3:
            return self.other(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        query, key, value = (
            projected.unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for projected in _projected(attn, hidden_states, encoder_hidden_states)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        hidden_states = attn.to_out[0](attended.transpose(1, 2).flatten(2))
        return attn.to_out[1](hidden_states)


def _projected(attn: Attention, hidden_states: Tensor, others: Tensor | None) -> list[Tensor]:
    """Queries, keys and values."""
    if others is None:
        return together(hidden_states, [attn.to_q, attn.to_k, attn.to_v])
    return [attn.to_q(hidden_states), *together(others, [attn.to_k, attn.to_v])]
