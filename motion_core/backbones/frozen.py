"""The base while it is trained on: frozen, in eval mode, in the compute precision.

In: a UNet. Out: a context that puts back, bit for bit, what it changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


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
def frozen_parameters(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """These trainable parameters get no gradients meanwhile: another group's pass is on."""
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
