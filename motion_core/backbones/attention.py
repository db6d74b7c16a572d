"""The attention of transformer blocks, as diffusers computes it, in steps that others can take part
in: projecting, where LoRAs lie, and attending, whose output a checkpointed layer may keep.

In: attention modules. Out: a context in which those that do nothing but attend have this processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from .kept_outputs import kept

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention

Project = Callable[[Tensor, Sequence[nn.Module]], Sequence[Tensor]]
"""From what several layers see, (B, L, C), to the output of each."""


def one_by_one(x: Tensor, layers: Sequence[nn.Module]) -> list[Tensor]:
    """A `Project`."""
    return [layer(x) for layer in layers]


@contextmanager
def attending(parts: Iterable[nn.Module], project: Project = one_by_one) -> Iterator[None]:
    """Within the context plain attention among the parts projects so. What has diffusers' usual
    processor is plain, and what does nothing else: other attention is left alone.
    """
    changed: list[Any] = [part for part in parts if _is_plain(part)]
    before = [part.processor for part in changed]
    try:
        for part in changed:
            part.processor = _Attending(part.processor, project)
        yield
    finally:
        for part, processor in zip(changed, before, strict=True):
            part.processor = processor


def _is_plain(part: nn.Module) -> bool:
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0  # heavy

    if not isinstance(part, Attention) or type(part.processor) is not AttnProcessor2_0:
        return False
    norms = (part.spatial_norm, part.group_norm, part.norm_q, part.norm_k, part.norm_cross)
    return not any(norms) and not part.residual_connection and part.rescale_output_factor == 1


class _Attending:
    """What AttnProcessor2_0 computes. other: for what is not done here: masks."""

    def __init__(self, other: Any, project: Project) -> None:
        self.other, self.project = other, project

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
            for projected in self._projected(attn, hidden_states, encoder_hidden_states)
        )
        attended = kept(F.scaled_dot_product_attention, query, key, value)
        project_out, drop_out = attn.to_out  # type: ignore[misc]  # which plain attention has
        return drop_out(project_out(attended.transpose(1, 2).flatten(2)))

    def _projected(
        self, attn: Attention, hidden_states: Tensor, others: Tensor | None
    ) -> Sequence[Tensor]:
        """Queries, keys and values."""
        assert attn.to_k is not None and attn.to_v is not None
        if others is None:
            return self.project(hidden_states, [attn.to_q, attn.to_k, attn.to_v])
        return [attn.to_q(hidden_states), *self.project(others, [attn.to_k, attn.to_v])]
