"""What a model file is, by its names and shapes alone, and what to do with it.

In: a file's header. Out: its Role, or a FormatError that says what the file is and where it
belongs. Everybody who reads or describes a file asks here.

References for names: AnimateDiff-Evolved d8d163c (motion_module_ad.py `normalize_ad_state_dict`;
adapter_cameractrl, adapter_fancyvideo, adapter_animatelcm_i2v, adapter_motionctrl); ComfyUI
(comfy/model_detection.py `detect_unet_config`) for Wan, LTX-Video, HunyuanVideo and Flux, and
diffusers' classes of the same models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ...errors import FormatError
from .contents import shard
from .lora_content import LoraContent, lora_content
from .lora_networks import SD2_PROMPT_WIDTH, Network
from .roles import Role
from .tensors import TensorFile, open_tensors

# What the headers of this package's own files have an entry of.
ADAPTER_METADATA = "motion_adapter"
NOISE_METADATA = "motion_noise"
LDM_UNET = "model.diffusion_model."
LDM_VAE = "first_stage_model."
LATENT_CHANNELS = 4
# Of LoRAs that this package converted: the family and the scope, in two words.
LORA_METADATA = "motion_lora"

_LORA_ROLES = {
    Network.MOTION_MODULE: Role.MOTION_LORA,
    Network.VIDEO_UNET: Role.VIDEO_LORA,
    Network.SD2_UNET: Role.SD2_LORA,
    Network.SDXL_UNET: Role.SDXL_LORA,
    Network.WAN: Role.WAN_LORA,
    Network.LTX: Role.LTX_LORA,
    Network.HUNYUAN: Role.HUNYUAN_LORA,
    Network.FLUX: Role.FLUX_LORA,
    Network.FLUX_OR_HUNYUAN: Role.FLUX_OR_HUNYUAN_LORA,
}
# The first convolution of a UNet, in a whole checkpoint and alone, and in diffusers' names. A VAE
# has a conv_in too, in its encoder and decoder.
_UNET_ENTRIES = (
    f"{LDM_UNET}input_blocks.0.0.weight",
    "input_blocks.0.0.weight",
    "diffusion_model.input_blocks.0.0.weight",
    "conv_in.weight",
    "unet.conv_in.weight",
)
_DIFFUSERS_NORM = "down_blocks.0.resnets.0.norm1.weight"
# Of the motion modules' levels, in AnimateDiff's names and in diffusers'.
_LEVEL_NORM = re.compile(r"(down|up)_blocks\.(\d+)\.motion_modules\.0\.(?:\w+\.)?norm\.weight")
_SDXL_WIDTHS = [320, 640, 1280]


def file_role(path: Path) -> Role:
    """The role of a file; reads names and shapes only. Raises FormatError as `open_tensors`."""
    return role_of(open_tensors(path))


def role_of(file: TensorFile) -> Role:
    """The role of an opened file."""
    if ADAPTER_METADATA in file.metadata:
        return Role.OWN_ADAPTER
    if NOISE_METADATA in file.metadata:
        return Role.INVERTED_NOISE
    if (part := shard(file.name)) and part[1] > 1:
        return Role.SHARD
    if _is_positional_lora(file):
        return Role.POSITIONAL_LORA
    content = lora_content(file)
    if content is not None:
        return _lora_role(content)
    return _model_role(file)


def require_role(file: TensorFile, wanted: Iterable[Role], asked: str) -> Role:
    """The file's role; raises FormatError if it is none of `wanted`. asked: "a motion module",
    say.
    """
    role = role_of(file)
    if role not in wanted:
        raise FormatError(f"{file.name} is {role.what}, not {asked}; {role.where}.")
    return role


def motion_module_version(file: TensorFile) -> str:
    """ "v1", "v2" or "v3" of a motion module.

    v2 has a module in the middle; v1 encodes 24 positions, v3 32. Of any other length it is used as
    v1, as AnimateDiff-Evolved does.
    """
    if any(key.startswith("mid_block.motion_modules.") for key in file.shapes):
        return "v2"
    lengths = [shape[1] for key, shape in file.shapes.items() if _is_encoding(key, shape)]
    return "v3" if lengths[:1] == [32] else "v1"


def _is_encoding(key: str, shape: tuple[int, ...]) -> bool:
    return key.endswith(".pe") and len(shape) == 3


def _is_positional_lora(file: TensorFile) -> bool:
    """[up, down, up, down …], (out, rank) and (rank, in), named by their places in the list."""
    shapes = list(file.shapes.values())
    return (
        list(file.shapes) == [str(index) for index in range(len(shapes))]
        and len(shapes) > 0
        and len(shapes) % 2 == 0
        and all(len(shape) == 2 for shape in shapes)
        and all(up[1] == down[0] for up, down in zip(shapes[::2], shapes[1::2], strict=True))
    )


def _any(keys: Iterable[str], *parts: str) -> bool:
    return any(part in key for key in keys for part in parts)


def _lora_role(content: LoraContent) -> Role:
    keys = list(content.file.shapes)
    if _any(keys, "motion_modules"):
        return Role.MOTION_LORA
    if content.file.metadata.get(LORA_METADATA, "").startswith("zeroscope "):
        return Role.VIDEO_LORA
    if content.main in _LORA_ROLES:
        return _LORA_ROLES[content.main]
    if content.main is Network.UNKNOWN and not _any(keys, "attentions", "text_model", "lora_te"):
        return Role.OTHER_LORA
    by_trainer = content.file.metadata.get("model_type") == "motion_director"
    attention = all(".processor." in k and k.startswith(("down", "mid", "up")) for k in keys)
    if attention and not by_trainer:
        return Role.DOMAIN_ADAPTER
    if content.is_appearance():
        return Role.APPEARANCE_LORA
    flat = any(key.startswith(("lora_unet_", "lora_te")) for key in keys)
    return Role.KOHYA_LORA if flat else Role.DIFFUSERS_LORA


def _model_role(file: TensorFile) -> Role:
    keys = list(file.shapes)
    if any(key.endswith(".attn1.vSpatial") for key in keys):
        return Role.MOTION_EMBEDDING
    if _any(keys, "controlnet_cond_embedding", "input_hint_block", "control_model.", "zero_convs"):
        return Role.SPARSECTRL if _any(keys, "motion_modules.") else Role.CONTROLNET
    if _any(keys, "qkv_merge", "encoder_down_conv_blocks."):
        return Role.CAMERACTRL
    if _any(keys, "cc_projection"):
        return Role.MOTIONCTRL
    if _any(keys, "motion_modules.", "temporal_attentions."):
        return _motion_role(file)
    if _any(keys, ".time_stack.", ".time_mix", ".temporal_res_block.", ".time_mixer."):
        return Role.SVD_CHECKPOINT
    if _any(keys, ".temopral_conv.", ".temp_convs."):
        return Role.MODELSCOPE_UNET
    if any(key.startswith(("ip_adapter.", "image_proj.")) for key in keys):
        return Role.IP_ADAPTER
    if any(entry in file.shapes for entry in (*_UNET_ENTRIES, _DIFFUSERS_NORM)):
        return _image_role(file)
    return _transformer_role(keys) or _part_role(file)


def _motion_role(file: TensorFile) -> Role:
    keys = list(file.shapes)
    if _any(keys, "temporal_attentions.", "pos_encoder.positional_encoding"):
        return Role.HOTSHOTXL
    found = {
        (match[1], int(match[2])): shape[0]
        for key, shape in file.shapes.items()
        if (match := _LEVEL_NORM.fullmatch(key)) and len(shape) == 1
    }
    widths = {side: [found[s, n] for s, n in sorted(found) if s == side] for side in ("down", "up")}
    if widths["down"] == _SDXL_WIDTHS and widths["up"] in ([], _SDXL_WIDTHS[::-1]):
        return Role.SDXL_MOTION_MODULE
    if any(key.startswith("img_encoder.") for key in keys):
        return Role.ANIMATELCM_I2V
    if _any(keys, "fps_embedding.", "motion_embedding."):
        return Role.FANCYVIDEO
    if file.shapes.get("conv_in.weight", (0, LATENT_CHANNELS))[1:2] > (LATENT_CHANNELS,):
        return Role.PIA
    if not _any(keys, "pos_encoder", "pos_embed"):
        return Role.ANIMATELCM
    return {
        "v1": Role.MOTION_MODULE_V1,
        "v2": Role.MOTION_MODULE_V2,
        "v3": Role.MOTION_MODULE_V3,
    }[motion_module_version(file)]


def _image_role(file: TensorFile) -> Role:
    keys = list(file.shapes)
    if _any(keys, "label_emb.", "add_embedding.", "conditioner.embedders.1."):
        return Role.SDXL_CHECKPOINT
    entries = [file.shapes[key] for key in _UNET_ENTRIES if key in file.shapes]
    if entries and entries[0][1:2] > (LATENT_CHANNELS,):
        return Role.INPAINTING_CHECKPOINT
    prompts = [shape for key, shape in file.shapes.items() if key.endswith(".attn2.to_k.weight")]
    if any(key.startswith("cond_stage_model.model.") for key in keys) or (
        prompts and prompts[0][1:2] == (SD2_PROMPT_WIDTH,)
    ):
        return Role.SD2_CHECKPOINT
    whole = LDM_UNET + "input_blocks.0.0.weight" in keys and (
        any(key.startswith("cond_stage_model.") for key in keys)
    )
    return Role.SD15_CHECKPOINT if whole else Role.IMAGE_UNET


def _transformer_role(keys: list[str]) -> Role | None:
    """Of the video and image models without a UNet."""
    if _any(keys, "head.modulation") or (
        _any(keys, "condition_embedder.time_proj") and _any(keys, "blocks.0.attn1.")
    ):
        return Role.WAN_MODEL
    if _any(keys, "individual_token_refiner.", "context_embedder.token_refiner."):
        return Role.HUNYUAN_MODEL
    if _any(keys, "adaln_single.", "time_embed.emb.") and (
        _any(keys, "patchify_proj.")
        or (_any(keys, "proj_in.") and _any(keys, "caption_projection."))
    ):
        return Role.LTX_MODEL
    if _any(keys, "double_blocks.0.", "single_transformer_blocks.0."):
        return Role.FLUX_MODEL
    return None


def _part_role(file: TensorFile) -> Role:
    keys = list(file.shapes)
    latents = next((k for k in keys if k.endswith("decoder.conv_in.weight")), None)
    if latents is not None:
        shape = file.shapes[latents]
        image = Role.VAE if shape[1:2] in ((LATENT_CHANNELS,), ()) else Role.OTHER_VAE
        return Role.VIDEO_VAE if len(shape) == 5 else image
    if _any(keys, "decoder.conv_in.conv.weight", "decoder.conv1.weight", "decoder.upsamples."):
        return Role.VIDEO_VAE
    if _any(keys, ".SelfAttention.") or (
        _any(keys, "blocks.0.attn.q.") and _any(keys, "token_embedding.")
    ):
        return Role.T5
    if _any(keys, "text_model.encoder.layers.0.") or any(
        re.match(r"(?:text\.|cond_stage_model\.model\.)?transformer\.resblocks\.0\.", key)
        or re.match(r"(?:cond_stage_model\.transformer\.)?encoder\.layers\.0\.self_attn", key)
        for key in keys
    ):
        return Role.TEXT_ENCODER
    if _any(keys, "vision_model.encoder.layers.", "visual.transformer.resblocks."):
        return Role.CLIP_VISION
    return Role.UNKNOWN
