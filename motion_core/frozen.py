"""The base while it is trained on: frozen, in eval mode, in the compute precision, with blocks
recomputed in backward.

In: a UNet. Each function is a context that puts back, bit for bit, what it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import nn
from torch.utils.checkpoint import checkpoint

RECOMPUTED = (
    ResnetBlock2D,
    Transformer2DModel,
    AnimateDiffTransformer3D,
    TransformerTemporalModel,
    TemporalConvLayer,
)


@contextmanager
def frozen_base(unet: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Freezes every parameter, in eval mode; floating weights and buffers are `dtype` meanwhile.

    On an accelerator the originals of cast tensors wait in main memory.

    Deviation: the official MotionDirector code trains with the whole UNet in training mode, so that
    ZeroScope's temporal convolutions drop 10% of their activations. Here only adapters drop: the
    network that is adapted is the one that samples.
    """
    modes = [(module, module.training) for module in unet.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in unet.parameters()]
    originals = []
    try:
        unet.eval().requires_grad_(False)
        for tensor in (*unet.parameters(), *unet.buffers()):
            if tensor.is_floating_point() and tensor.dtype != dtype:
                originals.append((tensor, tensor.device, tensor.data.to("cpu")))
                tensor.data = tensor.data.to(dtype)
        yield
    finally:
        for tensor, device, original in originals:
            tensor.data = original.to(device)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        for module, mode in modes:
            module.training = mode


@contextmanager
def recomputed_blocks(unet: nn.Module) -> Iterator[None]:
    """Keeps only the inputs of residual blocks, transformers and temporal convolutions; backward
    computes them again.

    Non-reentrant: reentrant checkpointing yields no gradient with `backward(inputs=…)`. diffusers'
    own switch leaves out the motion modules, and UNet3DConditionModel does not have it.
    """
    blocks = [module for module in unet.modules() if isinstance(module, RECOMPUTED)]
    try:
        for block in blocks:
            block.forward = _recomputed(block.forward)
        yield
    finally:
        for block in blocks:
            block.__dict__.pop("forward", None)


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run
