"""Spatial adapters on ComfyUI's own image UNet, whose layers have Stable Diffusion's names."""

from __future__ import annotations

from collections.abc import Callable

from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from ...motion_core.backbones.files.keys import unet_keys
from .adapter_hooks import AdapterHooks, Adapters


def spatial_hooks(unet: UNetModel, adapters: Adapters) -> AdapterHooks:
    """Adapters of image layers, ready for ComfyUI's UNet; raises AdapterError if one does not fit.

    Deviation from ComfyUI's LoRA loaders, which merge into the weights: as hooks, these end with
    the temporal ones (`end_percent`) as they do in the core's sampler.
    """
    return AdapterHooks(unet, adapters, _own_name(unet))


def _own_name(unet: UNetModel) -> Callable[[str], str]:
    """From a layer's name in diffusers' UNet to its name in ComfyUI's."""
    layers = list(unet.num_res_blocks)

    def own_name(name: str) -> str:
        # Where attention is upwards tells upsamplers apart, which no adapter changes.
        keys = unet_keys([f"{name}.weight"], layers[0], [True] * len(layers), temporal=False)
        return keys[f"{name}.weight"][0].key.removesuffix(".weight")

    return own_name
