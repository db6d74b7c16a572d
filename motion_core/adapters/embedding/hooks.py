"""How embeddings get into temporal attention without a copy of its code.

In: a network and what to add, by block. Out: a context in which each attention layer of these
blocks computes Eq. 3 of Motion Inversion (Wang et al., SIGGRAPH 2025, arXiv 2403.20193),
softmax(W_q(F + m_QK) (W_k(F + m_QK))ᵀ / sqrt(d)) W_v(F + m_V), where F is what the base's own
projections get: the normalised hidden states.

Deviation: on AnimateDiff F holds the sinusoidal positions too, and V keeps them. The official code
(EnVision-Research/MotionInversion 31ed7fb) is for ZeroScope, which has none; it puts m_QK in the
place of the block's `pos_embed`, which would take AnimateDiff's positions away. With them kept, an
embedding of zeros is the base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import AdapterError

if TYPE_CHECKING:
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.attention_processor import Attention


class Size(NamedTuple):
    """What a temporal attention layer works on: h x w positions, N frames each."""

    height: int
    width: int
    frames: int


# (1 or h·w, N, C), on the device and of the dtype asked for.
Shift = Callable[[Size, torch.device, torch.dtype], Tensor]


class BlockShifts(NamedTuple):
    """What is added before the projections of a block: `qk` before W_q and W_k of both attention
    layers, `v1` and `v2` before W_v of the first and second; None adds nothing.
    """

    qk: Shift
    v1: Shift | None
    v2: Shift | None


@contextmanager
def shifted_attention(network: nn.Module, shifts: Mapping[str, BlockShifts]) -> Iterator[None]:
    """Adds `shifts`, by the blocks' names; several such contexts add up.

    Checkpointed layers may be recomputed in the context, as long as no forward pass of another size
    came between. Raises AdapterError if a name is no block of a temporal transformer here.
    """
    blocks = {name: find_block(network, name) for name in shifts}
    with ExitStack() as stack:
        for name, block in blocks.items():
            seen = _Positions()
            transformer = network.get_submodule(_transformer_of(name))
            hook = transformer.register_forward_pre_hook(seen.look, with_kwargs=True)
            stack.callback(hook.remove)
            qk, v1, v2 = shifts[name]
            stack.enter_context(_shifted(block.attn1, qk, v1, seen))
            assert block.attn2 is not None  # find_block has seen to it
            stack.enter_context(_shifted(block.attn2, qk, v2, seen))
        yield


def find_block(network: nn.Module, name: str) -> BasicTransformerBlock:
    """The temporal transformer's block of this full name; raises AdapterError if there is none."""
    from diffusers.models.attention import BasicTransformerBlock  # heavy

    try:
        block = network.get_submodule(name)
    except AttributeError:
        block = None
    if not isinstance(block, BasicTransformerBlock) or block.attn2 is None:
        raise AdapterError(
            f"This base has no temporal transformer block {name}. Use the base (family and "
            "version) that the motion embedding was trained on."
        )
    return block


def _transformer_of(name: str) -> str:
    return name.rpartition(".transformer_blocks.")[0]


class _Positions:
    """The height and width that a temporal transformer was last called with: its blocks see them
    flattened. They hold when a checkpointed transformer is recomputed, without its hooks.
    """

    height = 0
    width = 0

    def look(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden_states: Tensor = args[0] if args else kwargs["hidden_states"]
        self.height, self.width = hidden_states.shape[-2:]


@contextmanager
def _shifted(attention: Attention, qk: Shift, v: Shift | None, seen: _Positions) -> Iterator[None]:
    """The projections are looked up at each call, so that a LoRA which is injected around one of
    them sees what the base layer sees, whichever came first.
    """
    before, forward = attention.__dict__.get("forward"), attention.forward

    def run(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as hooks:
            for name, shift in (("to_q", qk), ("to_k", qk), ("to_v", v)):
                if shift is not None:
                    layer: nn.Module = getattr(attention, name)
                    hook = layer.register_forward_pre_hook(partial(_add, shift, seen))
                    hooks.callback(hook.remove)
            return forward(*args, **kwargs)

    attention.forward = run
    try:
        yield
    finally:
        del attention.__dict__["forward"]
        if before is not None:
            attention.forward = before


def _add(
    shift: Shift, seen: _Positions, layer: nn.Module, args: tuple[Any, ...]
) -> tuple[Any, ...]:
    """A projection's input (B·h·w, N, C) plus the shift, the same for each of the B videos."""
    hidden_states: Tensor = args[0]
    size = Size(seen.height, seen.width, hidden_states.shape[1])
    by_video = hidden_states.unflatten(0, (-1, size.height * size.width))
    by_video = by_video + shift(size, hidden_states.device, hidden_states.dtype)
    return (by_video.flatten(0, 1), *args[1:])
