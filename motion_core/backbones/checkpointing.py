"""Gradient checkpointing for both families: activations inside a layer are computed again in
backward instead of kept.

diffusers has none in UNet3DConditionModel, and none around the motion modules of UNetMotionModel.
It is non-reentrant, as `backward(inputs=…)` needs; a recomputed temporal module still skips single
frames, because that depends on its arguments alone, and a norm across frames takes as many again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.utils.checkpoint import checkpoint, noop_context_fn

from .attention import attending
from .base import Keeps
from .frame_norms import with_frames_of_now
from .gated import gating
from .kept_outputs import Outputs, kept
from .replacing import replaced_forward
from .temporal import TEMPORAL_TRANSFORMERS

LAYERS = (ResnetBlock2D, Transformer2DModel, TemporalConvLayer, *TEMPORAL_TRANSFORMERS)


@contextmanager
def training_passes(unet: nn.Module, keeps: Keeps) -> Iterator[None]:
    """See `Backbone.training_passes`."""
    with ExitStack() as stack:
        stack.enter_context(gating(unet))
        if keeps != "all":
            again = gradient_checkpointing(unet, keeps_outputs=keeps == "outputs")
            stack.enter_context(again)
        yield


@contextmanager
def gradient_checkpointing(unet: nn.Module, keeps_outputs: bool = False) -> Iterator[None]:
    """Within the context every resnet, transformer and temporal layer of `unet` is checkpointed.

    keeps_outputs: of the convolutions and the attention in them, which are then computed once.
    Run the backward pass inside or outside: it repeats what the forward pass did. Without
    gradients (sampling) nothing changes.
    """
    layers = [module for module in unet.modules() if isinstance(module, LAYERS)]
    parts = list({part: None for layer in layers for part in layer.modules()})
    with ExitStack() as stack:
        if keeps_outputs:
            stack.enter_context(attending(parts))
            for part in parts:
                if isinstance(part, (nn.Conv2d, nn.Conv3d)):
                    stack.enter_context(replaced_forward(part, partial(kept, part.forward)))
        for layer in layers:
            again = _checkpointed(layer, layer.forward, keeps_outputs)
            stack.enter_context(replaced_forward(layer, again))
        yield


def _checkpointed(
    layer: nn.Module, forward: Callable[..., Any], keeps_outputs: bool
) -> Callable[..., Any]:
    contexts = (lambda: Outputs().contexts()) if keeps_outputs else noop_context_fn

    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        again = with_frames_of_now(layer, forward)
        return checkpoint(again, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return run
