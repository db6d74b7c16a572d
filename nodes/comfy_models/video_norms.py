"""A UNet of ComfyUI whose group norms take all frames of a video together, for one call.

In: the UNet, which has its frames as a batch, and how many of them are one video. Each norm is
given a video instead of frames, and its output is frames again: the norm itself, its weights and
how ComfyUI casts them stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from ...motion_core.backbones.frame_norms import as_frames, as_video


@contextmanager
def norms_across_frames(unet: nn.Module, frames: int) -> Iterator[None]:
    """Meanwhile each group norm takes `frames` frames together; see `frame_norms` in the core."""

    def gather(norm: nn.Module, args: tuple[Tensor]) -> Tensor:
        return as_video(args[0], frames)

    def spread(norm: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        return as_frames(output)

    with ExitStack() as stack:
        for norm in unet.modules():
            if isinstance(norm, nn.GroupNorm):
                stack.callback(norm.register_forward_pre_hook(gather).remove)
                stack.callback(norm.register_forward_hook(spread).remove)
        yield
