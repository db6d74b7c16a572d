"""The recipes that the papers describe, as one writes them with diffusers, peft and torch's AMP.

In: a base, a clip's size. Out: what one step counts. The frozen base is in bfloat16, what is
trained in float32, and forwards run under autocast. They are measured beside this package's own
steps, and share with them the network, its layers that are trained and those that are checkpointed.

MotionDirector: Zhao et al., ECCV 2024 (arXiv 2310.08465), Sec. 3; the order of a step is that of
showlab/MotionDirector 0a4398e, MotionDirector_train.py: both forwards, then the spatial backward
and optimiser, then the temporal ones. LoRAs are peft's. Deviations, all in the recipe's favour: the
official code has the frozen weights in float32, encodes the prompt anew in every step, and computes
a LoRA that is off and multiplies it by 0.

MotionCrafter: Zhang et al. (arXiv 2312.05288), v2, Sec. 3.2: a copy of the network whose deep
temporal modules are tuned as whole weights, and the network itself as the frozen branch. There is
no code.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW

from motion_core.backbones.checkpointing import gradient_checkpointing

from .counting import Counted, Counter
from .cuda import as_on_cuda
from .device import DEVICE, OnDevice
from .networks import PROMPT_TOKENS, PROMPT_WIDTH, FullSize

RANK, DROPOUT, BETA = 32, 0.1, 1.0
APPEARANCE_WEIGHT = 5.0
SCOPES = ("spatial", "temporal")


def motion_director(base: FullSize, *, frames: int, height: int, width: int) -> Counted:
    """A step of MotionDirector with both of its losses."""
    network = base.network
    for scope in SCOPES:
        add_peft_loras(network, scope, base.sites(scope))
    trained = {scope: _loras(network, scope) for scope in SCOPES}
    optimisers = {scope: AdamW(some, lr=5e-4, weight_decay=1e-2) for scope, some in trained.items()}
    latents, prompt = _data(base, frames, height, width)

    def step() -> None:
        for optimiser in optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            noisy, timesteps, target = _noised(base, latents)
            frame = int(torch.randint(frames, ()))
            _activate(network, ["spatial"])
            pred = base.predict(noisy[:, :, frame : frame + 1], timesteps, prompt)
            spatial = _mse(pred[:, :, 0], target[:, :, frame])
            _activate(network, ["spatial", "temporal"])
            pred = base.predict(noisy, timesteps, prompt)
            anchor = int(torch.randint(frames, ()))
            temporal = _mse(pred, target) + _mse(_debiased(pred, anchor), _debiased(target, anchor))
        spatial.item()
        temporal.item()
        spatial.backward(retain_graph=True)
        optimisers["spatial"].step()
        temporal.backward()
        optimisers["temporal"].step()

    return _counted(network, optimisers.values(), step)


def motion_crafter(base: FullSize, *, frames: int, height: int, width: int) -> Counted:
    """A step of MotionCrafter: the tuned network and the frozen one on the same noisy latents."""
    tuned = copy.deepcopy(base)
    names = base.in_blocks(base.parameters("temporal"), "deep")
    trained = [tuned.network.get_parameter(name) for name in names]
    for parameter in trained:
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)
    optimiser = AdamW(trained, lr=2e-5, weight_decay=0.0)
    latents, prompt = _data(base, frames, height, width)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            noisy, timesteps, target = _noised(base, latents)
            with torch.no_grad():
                frozen_pred = base.predict(noisy, timesteps, prompt)
            pred = tuned.predict(noisy, timesteps, prompt)
            loss = _mse(pred, target) + APPEARANCE_WEIGHT * _mse(pred, frozen_pred)
        loss.item()
        loss.backward()
        optimiser.step()

    return _counted(tuned.network, [optimiser], step, [*base.network.parameters()])


def add_peft_loras(network: nn.Module, name: str, linears: Sequence[str]) -> None:
    """LoRAs of peft on these layers, float32, in training mode as dropout wants it."""
    config = LoraConfig(r=RANK, lora_alpha=RANK, lora_dropout=DROPOUT, target_modules=list(linears))
    inject_adapter_in_model(config, network, adapter_name=name)
    for layer in _layers(network):
        for parts in (layer.lora_A, layer.lora_B, layer.lora_dropout):
            if name in parts:
                parts[name].to(dtype=torch.float32, device=DEVICE).train()


def _layers(network: nn.Module) -> list[LoraLayer]:
    return [module for module in network.modules() if isinstance(module, LoraLayer)]


def _loras(network: nn.Module, name: str) -> list[Tensor]:
    """A and B of each layer."""
    return [
        parts[name].weight
        for layer in _layers(network)
        for parts in (layer.lora_A, layer.lora_B)
        if name in parts
    ]


def _activate(network: nn.Module, names: list[str]) -> None:
    for layer in _layers(network):
        layer.set_adapter(names)


def _data(base: FullSize, frames: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Latents and the prompt's embedding, encoded before the training."""
    latents = torch.empty(1, 4, frames, height // 8, width // 8, device=DEVICE)
    prompt = torch.empty(1, PROMPT_TOKENS, PROMPT_WIDTH[base.family], device=DEVICE)
    return latents, prompt


def _noised(base: FullSize, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.randn_like(latents)
    timesteps = torch.randint(base.schedule.total, (1,), device=DEVICE)
    return base.schedule.noised(latents, noise, timesteps), timesteps, noise


def _mse(pred: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(pred.float(), target.float())


def _debiased(values: Tensor, anchor: int) -> Tensor:
    return (BETA**2 + 1) ** 0.5 * values - BETA * values[:, :, anchor : anchor + 1]


def _counted(
    network: nn.Module, optimisers: Iterable[AdamW], step: Any, known: Sequence[Tensor] = ()
) -> Counted:
    """The step with checkpointing, once the optimisers have their state."""
    with ExitStack() as stack:
        stack.enter_context(as_on_cuda())
        stack.enter_context(OnDevice())
        stack.enter_context(gradient_checkpointing(network))
        state: list[Tensor] = []
        for optimiser in optimisers:
            for parameter in optimiser.param_groups[0]["params"]:
                parameter.grad = torch.empty_like(parameter)
            optimiser.step()
            state += [tensor for of in optimiser.state.values() for tensor in of.values()]
        with Counter([*network.parameters(), *known, *state]) as counter:
            step()
    return counter.counted
