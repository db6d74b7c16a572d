"""An auxiliary loss that makes a UNet3D's features tell which frame they belong to.

Its temporal attention has no positions. All that tells one frame from another are the padded ends
of the temporal convolutions, and a base that is trained on the diffusion loss alone carries little
of that into its inner frames: a LoRA on its attention then moves the first and the last frames
only. Linear heads read the frame's number off each temporal transformer's input while the base is
trained, and are thrown away after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

WEIGHT = 0.05


class FrameProbes(nn.Module):
    """One head for each temporal transformer but the first, `transformer_in`, which stands before
    any temporal convolution. frames: of the clips that it is trained on.
    """

    def __init__(self, unet: nn.Module, frames: int) -> None:
        super().__init__()
        self.seen: list[tuple[nn.Module, Tensor]] = []
        self.hooks: list[RemovableHandle] = []
        self.heads = nn.ModuleList()
        for name, module in unet.named_modules():
            if isinstance(module, TransformerTemporalModel) and name != "transformer_in":
                head = nn.Linear(module.proj_in.in_features, frames)
                self.heads.append(head)
                self.hooks.append(module.norm.register_forward_hook(self._keeping(head)))

    def forward(self, *_inputs: Tensor) -> Tensor:
        """0.05 times the mean cross-entropy of the frame's number, over heads, places and frames,
        of the last forward pass; forgets that pass.
        """
        losses = []
        for head, features in self.seen:
            scores = head(features.permute(0, 2, 3, 4, 1))  # (B, F, h, w, frames)
            numbers = torch.arange(scores.shape[1]).view(1, -1, 1, 1).expand(scores.shape[:-1])
            losses.append(F.cross_entropy(scores.flatten(0, -2), numbers.flatten()))
        self.seen.clear()
        return WEIGHT * torch.stack(losses).mean()

    def _keeping(self, head: nn.Module) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _inputs, output: self.seen.append((head, output))

    def detach(self) -> None:
        """Takes the probes off the UNet."""
        for hook in self.hooks:
            hook.remove()
