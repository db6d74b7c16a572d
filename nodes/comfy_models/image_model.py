"""The image UNet of a core AnimateDiff as ComfyUI's MODEL.

In: an `AnimateDiff` of any width and depth. Out: a ModelPatcher on ComfyUI's own UNet, built from
the configuration (ComfyUI's detection knows full-size models only), with the base's own schedule.
Motion modules are left out: they are put in by Apply Motion to AnimateDiff.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_management as management
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.supported_models import SD15
from torch import nn

from ...motion_core.backbones.animatediff import AnimateDiff, checkpoint_unet_keys
from ...motion_core.backbones.files.kinds import LDM_UNET
from ...motion_core.backbones.files.loading import gather
from .schedule import model_sampling, model_type

# ComfyUI builds every norm with as many groups.
_GROUPS = 32


class _Ratio(float):
    """How many times as wide as the first a level is; ComfyUI multiplies the first one's width by
    it and wants an int back, also for one and a half.
    """

    def __mul__(self, width: float) -> int:
        return round(float(self) * width)

    __rmul__ = __mul__


def image_model(backbone: AnimateDiff, dtype: torch.dtype = torch.float32) -> ModelPatcher:
    """A MODEL with a copy of the image UNet's weights.

    dtype: of the weights. It predicts and samples as the backbone's scheduler says.
    """
    config = backbone.network.config
    model_config = SD15(_unet_config(config))
    model_config.unet_config.update(_heads(config), dtype=dtype)
    offload = management.unet_offload_device()
    model = BaseModel(model_config, model_type(backbone.scheduler), offload)
    model.model_sampling = model_sampling(backbone.scheduler)
    model.latent_format.scale_factor = float(backbone.vae.config["scaling_factor"])
    _set_norm_groups(model.diffusion_model, config["norm_num_groups"])
    tensors = gather(backbone.network, checkpoint_unet_keys(backbone.network))
    plain = {key.removeprefix(LDM_UNET): tensor for key, tensor in tensors.items()}
    model.diffusion_model.load_state_dict(plain, strict=True)
    model.diffusion_model.requires_grad_(False)
    return ModelPatcher(model, management.get_torch_device(), offload)


def _set_norm_groups(unet: UNetModel, groups: int) -> None:
    """Lets every group norm of the UNet have as many groups."""
    for module in unet.modules():
        if isinstance(module, nn.GroupNorm):
            assert module.num_groups in (_GROUPS, groups)
            module.num_groups = groups


def _unet_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """ComfyUI's configuration of a UNet of Stable Diffusion 1.5's form."""
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    attention = [int(kind.startswith("CrossAttn")) for kind in config["down_block_types"]]
    return {
        "image_size": 32,
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": widths[0],
        "channel_mult": [_Ratio(width / widths[0]) for width in widths],
        "num_res_blocks": [layers] * len(widths),
        "transformer_depth": [depth for depth in attention for _ in range(layers)],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [depth for depth in attention for _ in range(layers + 1)],
        "context_dim": config["cross_attention_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": config["use_linear_projection"],
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "adm_in_channels": None,
        "legacy": False,
    }


def _heads(config: Mapping[str, Any]) -> dict[str, int]:
    """ComfyUI has one number of heads for all levels, or one width of a head."""
    heads, widths = config["num_attention_heads"], config["block_out_channels"]
    if isinstance(heads, int):
        return {"num_heads": heads, "num_head_channels": -1}
    sizes = {width // count for width, count in zip(widths, heads, strict=True)}
    assert len(sizes) == 1
    return {"num_heads": -1, "num_head_channels": sizes.pop()}
