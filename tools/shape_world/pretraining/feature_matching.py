"""An auxiliary loss that keeps a personalised UNet's features where a motion module expects them.

A community checkpoint is tuned from the model that the motion module was trained on, and stays near
it. Here the look is far off and the network small: tuned freely it drifts until the motion module
no longer knows its features, and backgrounds flip from frame to frame. So, wherever a motion module
sits, the features are held to those that the frozen image UNet has of the same scene, in its own
look, under the same noise.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

WEIGHT = 1.0


class FeatureMatching:
    """In: the UNet that is tuned, and the frozen one. A call gives the loss of the tuned one's last
    forward.
    """

    def __init__(self, tuned: UNet2DConditionModel, frozen: UNet2DConditionModel) -> None:
        self.frozen = frozen.eval().requires_grad_(False)
        self.seen: dict[nn.Module, list[Tensor]] = {tuned: [], frozen: []}
        self.hooks: list[RemovableHandle] = []
        for network, features in self.seen.items():
            for site in motion_module_sites(network):
                self.hooks.append(site.register_forward_hook(_keeping(features)))

    def __call__(self, noisy: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        """The mean over the sites of |f - f_frozen|² / |f_frozen|². noisy: (B, C, h, w), the same
        scenes in the frozen UNet's look, with the same noise.
        """
        with torch.no_grad():
            self.frozen(noisy, timesteps, prompt_embeds)
        ratios = [
            ((ours - theirs) ** 2).mean() / (theirs**2).mean()
            for ours, theirs in zip(*self.seen.values(), strict=True)
        ]
        for features in self.seen.values():
            features.clear()
        return WEIGHT * torch.stack(ratios).mean()

    def detach(self) -> None:
        """Takes the hooks off both networks."""
        for hook in self.hooks:
            hook.remove()


def motion_module_sites(unet: nn.Module) -> list[nn.Module]:
    """What a motion module follows: each spatial transformer, or each residual block where a level
    has none.
    """
    blocks: list[Any] = [*unet.down_blocks, *unet.up_blocks]  # type: ignore[misc]
    return [site for block in blocks for site in getattr(block, "attentions", block.resnets)]


def _keeping(features: list[Tensor]) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        features.append(output[0] if isinstance(output, tuple) else output)

    return hook
