"""Gradient checkpointing for both families: activations inside a layer are computed again in
backward instead of kept.

diffusers has none in UNet3DConditionModel, and none around the motion modules of UNetMotionModel.
It is non-reentrant, as `backward(inputs=…)` needs; a recomputed temporal module still skips single
frames, because that depends on its arguments alone, and a norm across frames takes as many again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.utils.checkpoint import checkpoint

from .frame_norms import with_frames_of_now
from .temporal import TEMPORAL_TRANSFORMERS

LAYERS = (ResnetBlock2D, Transformer2DModel, TemporalConvLayer, *TEMPORAL_TRANSFORMERS)


@contextmanager
def gradient_checkpointing(unet: nn.Module) -> Iterator[None]:
    """Within the context every resnet, transformer and temporal layer of `unet` is checkpointed.

    Run the backward pass inside or outside: it repeats what the forward pass did. Without
    gradients (sampling) nothing changes.
    """
    layers = [module for module in unet.modules() if isinstance(module, LAYERS)]
    before = [module.__dict__.get("forward") for module in layers]
    for module in layers:
        module.forward = _checkpointed(module, module.forward)
    try:
        yield
    finally:
        for module, forward in zip(layers, before, strict=True):
            del module.__dict__["forward"]
            if forward is not None:
                module.forward = forward


def _checkpointed(layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        again = with_frames_of_now(layer, forward)
        return checkpoint(again, *args, use_reentrant=False, **kwargs)

    return run
