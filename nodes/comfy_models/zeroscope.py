"""ZeroScope as a native ComfyUI MODEL, for KSampler, custom samplers, LoRAs and ControlNet.

In: a core Backbone of the zeroscope family. Out: a ModelPatcher whose latents are images, one frame
each: an empty latent with a batch of 24 is a video of 24 frames. Weights have diffusers' names
after "diffusion_model.", so that LoRAs for Stable Diffusion 2 in kohya's names find its spatial
layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import comfy.model_management as management
import torch
from comfy.latent_formats import SD15
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.ops import pick_operations
from comfy.supported_models_base import BASE
from torch import nn

from ...motion_core.backbones.files.loading import build_empty
from ...motion_core.backbones.temporal import skip_single_frames
from ...motion_core.errors import AdapterError, MotionError
from .attention_patches import use_patchable_attention
from .casting import use_casting_layers
from .schedule import model_sampling, model_type
from .windowed_hints import steer_windows
from .zeroscope_unet import ZeroScopeUNet

if TYPE_CHECKING:
    from ...motion_core.backbones.base import Family
    from ...motion_core.backbones.zeroscope import ZeroScope


class _ModelConfig(BASE):
    """What BaseModel asks of a model's configuration."""

    unet_extra_config: dict[str, object] = {}  # noqa: RUF012  (as in ComfyUI's own configurations)
    latent_format = SD15
    # 1.01 measured at 16 to 24 frames: all tensors alive at once, attention fused, half precision.
    # The rest is for what convolutions take to work in.
    memory_usage_factor = 1.2


class ZeroScopeModel(BaseModel):
    """UNet, schedule and latent format of a ZeroScope backbone. family, version: as the backbone's,
    which say what adapters fit.
    """

    def __init__(
        self, backbone: ZeroScope, unet: ZeroScopeUNet, config: _ModelConfig, device: torch.device
    ) -> None:
        super().__init__(config, model_type=model_type(backbone.scheduler), device=device)
        self.diffusion_model = unet
        self.model_sampling = model_sampling(backbone.scheduler)
        self.latent_format.scale_factor = float(backbone.vae.config["scaling_factor"])
        self.family: Family = backbone.family
        self.version = backbone.version
        self.min_frames = backbone.frame_rule.least

    def extra_conds(self, **given: Any) -> dict[str, Any]:
        """ComfyUI asks this of every prompt before the first step; raises MotionError if the latent
        has too few frames for a video.
        """
        noise = given.get("noise")
        if noise is not None and len(noise) < self.min_frames:
            raise MotionError(
                f"The latent has {len(noise)} frame; ZeroScope needs at least {self.min_frames}. "
                "Set the batch size of the empty latent to the number of frames, for example 16 "
                "or 24."
            )
        return super().extra_conds(**given)


def zeroscope_network(model: ModelPatcher) -> ZeroScopeModel:
    """What is in a MODEL of `zeroscope_model`; raises AdapterError for any other MODEL."""
    if not isinstance(model.model, ZeroScopeModel):
        raise AdapterError(
            f"The MODEL is a {type(model.model).__name__}; expected ZeroScope's. Connect the "
            "MODEL from Load ZeroScope, or from Sample Motion Base with base = zeroscope."
        )
    return model.model


def zeroscope_model(backbone: ZeroScope, weight_dtype: torch.dtype | None = None) -> ModelPatcher:
    """The backbone's UNet and schedule as a MODEL.

    weight_dtype: of the weights, fp8 ones too; None for ComfyUI's choice for this machine. It
    computes in what ComfyUI says for that dtype.

    The layers are the MODEL's own, since ComfyUI patches and moves them as it likes; the weights
    are shared with the backbone in main memory, until the MODEL has once been on an accelerator or
    where it is of another dtype.
    """
    load_device = management.get_torch_device()
    parameters = sum(parameter.numel() for parameter in backbone.network.parameters())
    dtype = weight_dtype or management.unet_dtype(load_device, model_params=parameters)
    config = _ModelConfig(
        {
            "disable_unet_model_creation": True,
            # FreeU and the like look this up.
            "model_channels": backbone.network.config["block_out_channels"][0],
        }
    )
    config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, load_device))
    unet = _unet(backbone, dtype)
    use_casting_layers(unet, pick_operations(dtype, config.manual_cast_dtype, load_device))
    offload_device = management.unet_offload_device()
    nn.Module.to(unet, offload_device)
    model = ZeroScopeModel(backbone, unet, config, offload_device)
    patcher = ModelPatcher(model, load_device=load_device, offload_device=offload_device)
    steer_windows(patcher)
    return patcher


def _unet(backbone: ZeroScope, dtype: torch.dtype) -> ZeroScopeUNet:
    """New layers around the backbone's weights."""
    config = dict(backbone.network.config)
    unet = build_empty(
        lambda: cast(ZeroScopeUNet, ZeroScopeUNet.from_config(config)), backbone.version
    )
    weights = {
        name: nn.Parameter(tensor.detach().to(dtype), requires_grad=False)
        for name, tensor in backbone.network.state_dict().items()
    }
    unet.load_state_dict(weights, strict=True, assign=True)
    skip_single_frames(unet)  # a context window may be a single frame
    use_patchable_attention(unet)
    return unet.eval().requires_grad_(False)
