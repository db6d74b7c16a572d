"""What runs on meta tensors is what runs on CUDA: the casts of autocast are those of torch's own.

torch's fake tensors can lie on a GPU that is not there. Autocast acts on them in the forward pass
(their backward pass needs the GPU), so that the same network can be run both ways, and the
operations compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from diffusers import UNet3DConditionModel, UNetMotionModel
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from benchmarks.step_cost.cuda import as_on_cuda, kernels_of_cuda
from benchmarks.step_cost.textbook import add_peft_loras
from motion_core.backbones.frame_norms import normalise_as_version
from motion_core.backbones.temporal import skip_single_frames, temporal_linear_names

Operations = list[tuple[str, list[torch.dtype]]]


class Log(TorchDispatchMode):
    """operations: the names, with the dtypes of the tensors that they get."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Operations = []

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is not torch.ops.prim.device.default and func is not torch.ops.aten.detach.default:
            dtypes = [value.dtype for value in args if isinstance(value, torch.Tensor)]
            self.operations.append((str(func), dtypes))
        return func(*args, **(kwargs or {}))


def unet(family: str) -> nn.Module:
    """Two levels, attention on both, LoRAs of peft with dropout on the temporal layers."""
    if family == "animatediff":
        network: Any = UNetMotionModel(
            down_block_types=("CrossAttnDownBlockMotion", "CrossAttnDownBlockMotion"),
            up_block_types=("CrossAttnUpBlockMotion", "CrossAttnUpBlockMotion"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=8,
            num_attention_heads=2,
            motion_num_attention_heads=2,
        )
        normalise_as_version(network, "animatediff-sd15-v3")
    else:
        network = UNet3DConditionModel(
            down_block_types=("CrossAttnDownBlock3D", "CrossAttnDownBlock3D"),
            up_block_types=("CrossAttnUpBlock3D", "CrossAttnUpBlock3D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=8,
            attention_head_dim=4,
        )
    skip_single_frames(network)
    network.to(torch.bfloat16).eval().requires_grad_(False)
    add_peft_loras(network, "temporal", temporal_linear_names(network))
    return network


def on_device(network: nn.Module, device: str) -> nn.Module:
    """The network with empty parameters and buffers on this device."""
    for module in network.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                empty = torch.empty(weight.shape, dtype=weight.dtype, device=device)
                module._parameters[name] = nn.Parameter(empty, requires_grad=weight.requires_grad)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)
    return network.train()


def operations(network: nn.Module, family: str, device: str) -> Operations:
    """Of a forward pass with its loss under autocast."""
    latents = torch.empty(1, 4, 4, 16, 16, device=device)
    prompts = torch.empty(4 if family == "animatediff" else 1, 7, 8, device=device)
    timesteps = torch.empty(1, dtype=torch.int64, device=device)
    with Log() as log, torch.autocast("cuda", torch.bfloat16):
        pred = network(latents, timesteps, prompts, return_dict=False)[0]
        functional.mse_loss(pred, latents)
        (pred.float() ** 2).sum()
    return log.operations


@contextmanager
def a_gpu_that_is_not_there() -> Iterator[None]:
    with (
        FakeTensorMode(),
        kernels_of_cuda(),
        patch.object(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        patch.object(torch.cuda, "is_bf16_supported", lambda: True),
    ):
        yield


@pytest.mark.parametrize("family", ["animatediff", "zeroscope"])
def test_the_operations_under_autocast_are_those_of_torchs_own(family: str) -> None:
    network = unet(family)
    with as_on_cuda():
        counted = operations(on_device(network, "meta"), family, "meta")
    with a_gpu_that_is_not_there():
        real = operations(on_device(network, "cuda"), family, "cuda")
    assert counted == real
    casts = [dtypes for name, dtypes in counted if "_to_copy" in name]
    assert len(casts) > 100  # both ways: of norms, of products


def test_a_weight_in_training_is_cast_once_until_autocast_ends() -> None:
    """The first layer casts input and weight, the second, of the same weight, nothing more; the
    next context casts the weight again.
    """
    weight = nn.Parameter(torch.empty(4, 4, device="meta"))
    with as_on_cuda(), Log() as log:
        for _ in range(2):
            with torch.autocast("cuda", torch.bfloat16):
                once = functional.linear(torch.empty(2, 4, device="meta"), weight)
                functional.linear(once, weight)
    casts = [name for name, _ in log.operations if "_to_copy" in name]
    assert len(casts) == 2 * 2


def test_a_recomputed_layer_is_under_autocast_again() -> None:
    """Backward is outside of it. The first layer's product is computed again, and each of the two
    has one with W and one with x: all in bfloat16.
    """
    layers = nn.Sequential(nn.Linear(4, 4, device="meta"), nn.Linear(4, 4, device="meta"))
    x = torch.empty(2, 4, device="meta", requires_grad=True)
    with as_on_cuda():
        with torch.autocast("cuda", torch.bfloat16):
            y = checkpoint(layers, x, use_reentrant=False).float().sum()
        with Log() as log:
            y.backward()
    products = [set(dtypes) for name, dtypes in log.operations if "mm" in name]
    assert products == [{torch.bfloat16}] * 5


def test_optimisers_take_all_tensors_at_once() -> None:
    weights = [nn.Parameter(torch.empty(3, device="meta")) for _ in range(2)]
    for weight in weights:
        weight.grad = torch.empty(3, device="meta")
    with as_on_cuda(), Log() as log:
        torch.optim.AdamW(weights).step()
    assert "aten._foreach_addcdiv_.ScalarList" in {name for name, _ in log.operations}
    assert "aten.addcdiv_.default" not in {name for name, _ in log.operations}
