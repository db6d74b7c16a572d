"""ZeroScope and ModelScope text-to-video: a UNet with temporal convolutions and temporal attention.

In: a diffusers folder, ModelScope's own folder, or one file with the UNet in ModelScope's keys (VAE
and text encoder inside, beside it, or given). Out: a Backbone.

Wang et al., "ModelScope Text-to-Video Technical Report", 2023; ZeroScope (cerspense) is the same
network trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet3DConditionModel
from torch import Tensor

from ..errors import FormatError
from .base import Family, Keeps, check_frames
from .families import ZEROSCOPE
from .files.architecture import ZEROSCOPE_SCHEDULER, Config, own_metadata, video_unet_config
from .files.components import (
    OPEN_CLIP_PAD,
    load_scheduler,
    load_text,
    load_vae,
    text_from_file,
    vae_from_file,
)
from .files.folders import model_path, open_folder, read_config
from .files.keys import KeyMap, same_keys, unet_keys, with_prefix
from .files.kinds import LDM_UNET, LDM_VAE, require_role
from .files.loading import Section, build_empty, fill
from .files.prediction import prediction_of_file, with_prediction
from .files.roles import Role
from .files.tensors import TensorFile, open_tensors
from .frames import FrameRule
from .video_unet import VideoUNet

ZEROSCOPE_LICENCE = "CC-BY-NC-4.0"

# ModelScope's own folder, also used by sd-webui-text2video.
MODELSCOPE_UNET = "text2video_pytorch_model.pth"
MODELSCOPE_VAE = "VQGAN_autoencoder.pth"
MODELSCOPE_TEXT = "open_clip_pytorch_model.bin"


_CELL_BYTES: dict[tuple[int, Keeps], int] = {
    (2, "all"): 457_000,
    (2, "outputs"): 98_000,
    (2, "inputs"): 56_000,
    (4, "all"): 905_000,
    (4, "outputs"): 190_000,
    (4, "inputs"): 105_000,
}


@dataclass(kw_only=True)
class ZeroScope(VideoUNet[UNet3DConditionModel]):
    """A Backbone on diffusers' UNet3DConditionModel. It takes its parts over: all are set to eval
    mode and frozen.

    version: "zeroscope" or "shape-world-…". There is no positional encoding, so any number of
    frames runs.
    """

    cell_bytes = _CELL_BYTES
    frame_rule: FrameRule = field(default_factory=FrameRule)
    family: Family = field(default=ZEROSCOPE, init=False)

    def predict(self, latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        """The network's output; see `Backbone.predict`. Inputs are cast to the UNet's dtype."""
        check_frames(self, latents.shape[2])
        dtype = self.network.conv_in.weight.dtype
        embeds = prompt_embeds.to(dtype)
        return self.network(latents.to(dtype), timesteps, embeds, return_dict=False)[0]


def load_zeroscope(
    path: Path,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    vae: Path | None = None,
    text_encoder: Path | None = None,
) -> ZeroScope:
    """Loads ZeroScope or ModelScope; nothing is fetched.

    path: a diffusers folder, ModelScope's folder, or a file. dtype: of the UNet; the VAE and the
    text encoder are float32. vae, text_encoder: files or folders for a UNet file that has none
    inside or beside it, or to replace its own.
    Raises FormatError for a file that is missing, damaged, of another role or of another size.
    """
    path = model_path(Path(path))
    if (path / "unet").is_dir():
        return _from_diffusers(path, dtype, device, vae, text_encoder)
    return _from_file(
        path / MODELSCOPE_UNET if path.is_dir() else path, dtype, device, vae, text_encoder
    )


def _from_diffusers(
    folder: Path,
    dtype: torch.dtype,
    device: torch.device | str,
    vae: Path | None,
    text_encoder: Path | None,
) -> ZeroScope:
    config, file = read_config(folder / "unet"), open_folder(folder / "unet")
    require_role(file, (Role.MODELSCOPE_UNET,), "a text-to-video UNet")
    unet = build_empty(lambda: _unet(config), str(folder / "unet"))
    section = Section(file=file, keys=same_keys(unet.state_dict()), part="the UNet")
    return ZeroScope(
        network=fill(unet, [section], dtype, device),
        vae=load_vae(Path(vae or folder / "vae"), torch.float32, device),
        text=load_text(
            Path(text_encoder or folder / "text_encoder"), OPEN_CLIP_PAD, torch.float32, device
        ),
        scheduler=load_scheduler(read_config(folder / "scheduler", "scheduler_config.json")),
        version="zeroscope",
        licence=ZEROSCOPE_LICENCE,
    )


def _from_file(
    path: Path,
    dtype: torch.dtype,
    device: torch.device | str,
    vae: Path | None,
    text_encoder: Path | None,
) -> ZeroScope:
    file = open_tensors(path)
    require_role(file, (Role.MODELSCOPE_UNET,), "a text-to-video UNet")
    own = own_metadata(file)
    unet = _unet_from_file(file, own, dtype, device)
    vae = vae or _beside(path, MODELSCOPE_VAE)
    text_encoder = text_encoder or _beside(path, MODELSCOPE_TEXT)
    has_vae = any(key.startswith(LDM_VAE) for key in file.shapes)
    has_text = any(key.startswith("cond_stage_model.") for key in file.shapes)
    absent = [
        name
        for name, given in (("VAE", vae or has_vae), ("text encoder", text_encoder or has_text))
        if not given
    ]
    if absent:
        raise FormatError(
            f"{file.name} contains no {' and no '.join(absent)}, and there are none next to it. "
            "Give their paths (a Stable Diffusion VAE, and OpenCLIP ViT-H/14's text tower)."
        )
    return ZeroScope(
        network=unet,
        vae=load_vae(Path(vae), torch.float32, device)
        if vae
        else vae_from_file(file, torch.float32, device),
        text=load_text(Path(text_encoder), OPEN_CLIP_PAD, torch.float32, device)
        if text_encoder
        else text_from_file(file, torch.float32, device),
        scheduler=load_scheduler(own.get("scheduler") or _schedule(file)),
        version=own.get("version", "zeroscope"),
        licence=own.get("licence", ZEROSCOPE_LICENCE),
    )


def check_unet(file: TensorFile) -> None:
    """Raises FormatError for a file's UNet as `load_zeroscope` does, without reading a tensor."""
    require_role(file, (Role.MODELSCOPE_UNET,), "a text-to-video UNet")
    _unet_from_file(file, own_metadata(file), torch.float32, "meta")


def _schedule(file: TensorFile) -> Config:
    return with_prediction(ZEROSCOPE_SCHEDULER, prediction_of_file(file))


def _unet_from_file(
    file: TensorFile, own: Mapping[str, Any], dtype: torch.dtype, device: torch.device | str
) -> UNet3DConditionModel:
    prefix = LDM_UNET if any(key.startswith(LDM_UNET) for key in file.shapes) else ""
    if f"{prefix}input_blocks.0.0.weight" not in file.shapes:
        raise FormatError(
            f"{file.name} is a UNet with diffusers' names. Give the folder that contains unet/."
        )
    config = own.get("unet") or video_unet_config(file, prefix)
    unet = build_empty(lambda: _unet(config), file.name)
    section = Section(
        file=file, keys=with_prefix(modelscope_keys(unet), prefix), part="the UNet", prefix=prefix
    )
    return fill(unet, [section], dtype, device)


def modelscope_keys(unet: UNet3DConditionModel) -> KeyMap:
    """ModelScope's keys, without prefix, of a UNet3DConditionModel."""
    up_attention = ["CrossAttn" in kind for kind in unet.config["up_block_types"]]
    return unet_keys(
        unet.state_dict(), unet.config["layers_per_block"], up_attention, temporal=True
    )


def _beside(path: Path, name: str) -> Path | None:
    beside = path.with_name(name)
    return beside if beside.is_file() else None


def _unet(config: Mapping[str, Any]) -> UNet3DConditionModel:
    unet = UNet3DConditionModel.from_config(dict(config))
    assert isinstance(unet, UNet3DConditionModel)
    return unet
