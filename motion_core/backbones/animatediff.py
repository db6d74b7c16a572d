"""AnimateDiff: the image UNet of Stable Diffusion 1.5 with motion modules between its layers.

In: a Stable Diffusion 1.5 checkpoint (LDM keys, or a diffusers folder), a motion module (the
authors' file, or a diffusers MotionAdapter folder) and, for v3, its domain adapter. Out: a
Backbone.

Guo et al., "AnimateDiff: Animate Your Personalized Text-to-Image Diffusion Models without Specific
Tuning", ICLR 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import UNetMotionModel
from torch import Tensor, nn

from ..errors import FormatError
from .base import Family, Keeps, check_frames
from .families import ANIMATEDIFF
from .files.architecture import (
    ANIMATEDIFF_SCHEDULER,
    Config,
    image_unet_config,
    motion_channels,
    own_metadata,
)
from .files.components import (
    CLIP_PAD,
    load_scheduler,
    load_vae,
    text_from_file,
    text_from_folder,
    vae_from_file,
)
from .files.folders import model_path, open_folder, read_config
from .files.keys import KeyMap, same_keys, unet_keys, with_prefix
from .files.kinds import LDM_UNET, LDM_VAE, require_role
from .files.loading import Section, build_empty, checked_places, fill, using_configuration
from .files.lora_content import folded, lora_content
from .files.lora_networks import Network
from .files.motion_modules import NOT_MOTION, OpenedMotion, motion_file_keys, open_motion
from .files.prediction import prediction_of_config, prediction_of_file, with_prediction
from .files.roles import Role
from .files.tensors import TensorFile, open_tensors
from .frame_norms import normalise_as_version
from .frames import FrameRule
from .video_unet import VideoUNet

SD15_LICENCE = "CreativeML Open RAIL-M"

_IMAGE_ENTRIES = (
    "in_channels",
    "out_channels",
    "block_out_channels",
    "layers_per_block",
    "downsample_padding",
    "mid_block_scale_factor",
    "act_fn",
    "norm_num_groups",
    "norm_eps",
    "cross_attention_dim",
    "use_linear_projection",
)


_CELL_BYTES: dict[tuple[int, Keeps], int] = {
    (2, "all"): 354_000,
    (2, "outputs"): 70_000,
    (2, "inputs"): 49_000,
    (4, "all"): 698_000,
    (4, "outputs"): 133_000,
    (4, "inputs"): 90_000,
}


@dataclass(kw_only=True)
class AnimateDiff(VideoUNet[UNetMotionModel]):
    """A Backbone on diffusers' UNetMotionModel. It takes its parts over: all are set to eval mode
    and frozen.

    version: "animatediff-sd15-v1", "-v2", "-v3" or "shape-world-…". It takes as many frames as the
    motion modules' positional encoding holds (24 in v1, 32 in v2 and v3).
    """

    cell_bytes = _CELL_BYTES
    frame_rule: FrameRule = field(init=False)
    family: Family = field(default=ANIMATEDIFF, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        normalise_as_version(self.network, self.version)
        self.frame_rule = FrameRule(most=int(self.network.config["motion_max_seq_length"]))

    def predict(self, latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        """The network's output; see `Backbone.predict`. Inputs are cast to the UNet's dtype.

        Raises SettingsError if F is beyond the positional encoding.
        """
        frames = latents.shape[2]
        check_frames(self, frames)
        dtype = self.network.conv_in.weight.dtype
        # UNetMotionModel wants one prompt a frame, clip by clip.
        per_frame = prompt_embeds.to(dtype).repeat_interleave(frames, dim=0)
        return self.network(latents.to(dtype), timesteps, per_frame, return_dict=False)[0]


def load_animatediff(
    checkpoint: Path | TensorFile,
    motion_module: Path,
    domain_adapter: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    vae: Path | None = None,
    version: str | None = None,
) -> AnimateDiff:
    """Loads AnimateDiff; nothing is fetched.

    checkpoint, motion_module: files or diffusers folders; the checkpoint may be an opened file.
    domain_adapter: merged into the spatial layers at full strength. vae: for a checkpoint without
    one, or to replace its own. version: None for what the motion module is.
    Raises FormatError for a file that is missing, damaged, of another role or of another size.
    """
    image = _open_image(checkpoint)
    motion = open_motion(Path(motion_module))
    unet = _filled_unet(image, motion, dtype, device)
    if domain_adapter is not None:
        merge_domain_adapter(unet, Path(domain_adapter))
    if image.folder is None:
        text = text_from_file(image.file, dtype, device)
    else:
        text = text_from_folder(image.folder / "text_encoder", CLIP_PAD, dtype, device)
    if vae is not None:
        own_vae = load_vae(Path(vae), dtype, device)
    elif image.folder is not None:
        own_vae = load_vae(image.folder / "vae", dtype, device)
    else:
        own_vae = vae_from_file(image.file, dtype, device)
    return AnimateDiff(
        network=unet,
        vae=own_vae,
        text=text,
        scheduler=load_scheduler(image.schedule),
        version=version or motion.version,
        licence=image.own.get("licence", SD15_LICENCE),
    )


class _Image(NamedTuple):
    """The opened image model. folder: None if it is one file with LDM keys. own: its metadata.
    schedule: AnimateDiff's, for what the model predicts.
    """

    file: TensorFile
    config: Config
    folder: Path | None
    own: Mapping[str, Any]
    schedule: Config

    def section(self, unet: UNetMotionModel) -> Section:
        """The part of the file that fills the spatial layers."""
        spatial = [name for name in unet.state_dict() if ".motion_modules." not in name]
        keys = same_keys(spatial) if self.folder else checkpoint_unet_keys(unet)
        prefix = "" if self.folder else LDM_UNET
        return Section(file=self.file, keys=keys, part="the image UNet", prefix=prefix)


def check_checkpoint(source: Path | TensorFile) -> None:
    """Raises FormatError for a checkpoint as `load_animatediff` does, without reading a tensor."""
    image = _open_image(source)
    unet = build_empty(lambda: UNetMotionModel(**image.config), image.file.name)
    checked_places(unet, [image.section(unet)])
    if image.folder is not None:
        text_from_folder(image.folder / "text_encoder", CLIP_PAD, torch.float32, "meta")
        load_vae(image.folder / "vae", torch.float32, "meta")
        return
    text_from_file(image.file, torch.float32, "meta")
    if any(key.startswith(LDM_VAE) for key in image.file.shapes):
        vae_from_file(image.file, torch.float32, "meta")


def _open_image(source: Path | TensorFile) -> _Image:
    if not isinstance(source, TensorFile) and (path := model_path(Path(source))).is_dir():
        return _open_image_folder(path)
    file = source if isinstance(source, TensorFile) else open_tensors(source)
    require_role(file, (Role.SD15_CHECKPOINT,), "a Stable Diffusion 1.5 checkpoint")
    own = own_metadata(file)
    config = own.get("unet") or image_unet_config(file, LDM_UNET)
    found = with_prediction(ANIMATEDIFF_SCHEDULER, prediction_of_file(file))
    return _Image(file, config, None, own, own.get("scheduler", found))


def _open_image_folder(path: Path) -> _Image:
    if not (path / "unet").is_dir():
        raise FormatError(
            f"{path} has no folder unet: it is no model in diffusers' form. Give such a folder, or "
            "a checkpoint file."
        )
    file = open_folder(path / "unet")
    require_role(file, (Role.IMAGE_UNET,), "a Stable Diffusion 1.5 UNet")
    with using_configuration(str(path / "unet")):
        config = _from_unet2d(read_config(path / "unet"))
    scheduler = path / "scheduler"
    name = "scheduler_config.json"
    said = read_config(scheduler, name) if (scheduler / name).is_file() else {}
    prediction = prediction_of_config(said, str(scheduler / name))
    return _Image(file, config, path, {}, with_prediction(ANIMATEDIFF_SCHEDULER, prediction))


def _from_unet2d(config: Config) -> Config:
    """UNet2DConditionModel's configuration as a UNetMotionModel's, without the motion entries."""
    values = {key: config[key] for key in _IMAGE_ENTRIES if key in config}
    for side in ("down", "up"):
        types = config[f"{side}_block_types"]
        values[f"{side}_block_types"] = [t.removesuffix("2D") + "Motion" for t in types]
    # For historical reasons UNet2DConditionModel calls the number of heads its dimension.
    heads = config.get("num_attention_heads") or config.get("attention_head_dim", 8)
    return {**values, "num_attention_heads": heads}


def _filled_unet(
    image: _Image, motion: OpenedMotion, dtype: torch.dtype, device: torch.device | str
) -> UNetMotionModel:
    unet = build_empty(
        lambda: UNetMotionModel(**{**image.config, **motion.config}),
        f"{image.folder or image.file.name} or {motion.file.name}",
    )
    made_for, widths = motion_channels(motion.file), list(unet.config["block_out_channels"])
    if made_for != widths:
        raise FormatError(
            f"{motion.file.name} was made for a UNet with widths {made_for}; {image.file.name} "
            f"has {widths}. Choose a motion module and a checkpoint of the same family."
        )
    sections = [
        image.section(unet),
        Section(
            file=motion.file,
            keys=motion_file_keys(motion.file, list(unet.state_dict())),
            part="the motion modules",
            ignored=NOT_MOTION,
        ),
    ]
    return fill(unet, sections, dtype, device)


def checkpoint_unet_keys(unet: UNetMotionModel) -> KeyMap:
    """The spatial layers of a UNetMotionModel in a Stable Diffusion checkpoint."""
    spatial = [name for name in unet.state_dict() if ".motion_modules." not in name]
    up_attention = ["CrossAttn" in kind for kind in unet.config["up_block_types"]]
    keys = unet_keys(spatial, unet.config["layers_per_block"], up_attention, temporal=False)
    return with_prefix(keys, LDM_UNET)


@torch.no_grad()
def merge_domain_adapter(unet: nn.Module, path: Path) -> None:
    """Adds the authors' domain adapter (a LoRA of the spatial attention) to the UNet's weights.

    W += up · down, as `load_diffusers_lora` of guoyww/AnimateDiff with scale 1.
    Raises FormatError if the file is none, or was made for another UNet.
    """
    file = open_tensors(path)
    for name, (down, up) in domain_adapter_pairs(file).items():
        try:
            weight = unet.get_parameter(f"{name}.weight")
            weight.copy_(weight.float() + (up @ down).to(weight.device))
        except (AttributeError, RuntimeError) as error:
            raise FormatError(
                f"{file.name}: {name} does not fit any layer of this UNet ({error}). The domain "
                "adapter was made for another model."
            ) from error


def domain_adapter_pairs(file: TensorFile) -> dict[str, tuple[Tensor, Tensor]]:
    """The matrices (down, up) of a domain adapter by the UNet's layers. Raises FormatError for a
    file of another role, and for one with tensors that are no pairs.
    """
    require_role(file, (Role.DOMAIN_ADAPTER,), "an AnimateDiff domain adapter")
    content = lora_content(file)
    layers = content.networks.get(Network.IMAGE_UNET, {}) if content else {}
    odd = next(iter(content.unmatched.items()), None) if content else None
    if odd or not layers:
        reason = f"{odd[0]}: {odd[1]}" if odd else "it changes no layer of the image UNet"
        raise FormatError(
            f"{file.name} is no complete domain adapter ({reason}). Download it again."
        )
    return {name: folded(file, layer) for name, layer in layers.items()}
