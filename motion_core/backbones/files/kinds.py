"""What a model file is, told by its names and shapes alone, and what to do with it.

In: a file's header. Out: its Role, or a FormatError that says what the file is and where it
belongs.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from ...errors import FormatError
from .tensors import TensorFile, open_tensors

# What the headers of this package's own files have an entry of.
ADAPTER_METADATA = "motion_adapter"
NOISE_METADATA = "motion_noise"
LDM_UNET = "model.diffusion_model."
LDM_VAE = "first_stage_model."
# OpenCLIP ViT-H/14's; Stable Diffusion 1.5 has 768.
SD2_PROMPT_WIDTH = 1024


class Role(Enum):
    """A kind of file. The value says what it is and where it belongs, for messages."""

    SD15_CHECKPOINT = (
        "a Stable Diffusion 1.5 checkpoint",
        "use it as the image checkpoint of AnimateDiff",
    )
    SD2_CHECKPOINT = (
        "a Stable Diffusion 2 checkpoint",
        "AnimateDiff needs a Stable Diffusion 1.5 checkpoint",
    )
    SDXL_CHECKPOINT = (
        "a Stable Diffusion XL checkpoint",
        "AnimateDiff needs a Stable Diffusion 1.5 checkpoint",
    )
    INPAINTING_CHECKPOINT = (
        "an inpainting checkpoint, whose UNet has more than 4 input channels",
        "AnimateDiff needs a regular Stable Diffusion 1.5 checkpoint",
    )
    IMAGE_UNET = (
        "an image UNet without VAE and text encoder",
        "AnimateDiff needs a full Stable Diffusion 1.5 checkpoint",
    )
    MOTION_MODULE_V1 = (
        "an AnimateDiff v1 motion module",
        "use it as the motion module of AnimateDiff",
    )
    MOTION_MODULE_V2 = (
        "an AnimateDiff v2 motion module",
        "use it as the motion module of AnimateDiff",
    )
    MOTION_MODULE_V3 = (
        "an AnimateDiff v3 motion module",
        "use it as the motion module of AnimateDiff",
    )
    DOMAIN_ADAPTER = (
        "an AnimateDiff domain adapter",
        "use it as the domain adapter, together with a v3 motion module",
    )
    MOTION_LORA = (
        "an AnimateDiff motion LoRA",
        "apply it as an adapter to an AnimateDiff base",
    )
    POSITIONAL_LORA = (
        "a LoRA stored as a list without names, as the official MotionDirector saves it",
        "apply it as an adapter to a ZeroScope base",
    )
    KOHYA_LORA = (
        "an image LoRA in kohya's format",
        "apply it to the image checkpoint",
    )
    DIFFUSERS_LORA = (
        "an image LoRA in diffusers' format",
        "apply it to the image checkpoint",
    )
    MODELSCOPE_UNET = (
        "a ModelScope or ZeroScope text-to-video UNet",
        "use it as the ZeroScope base",
    )
    VAE = ("a VAE", "use it as the VAE for a checkpoint without one")
    TEXT_ENCODER = (
        "a text encoder",
        "use it as the text encoder for a UNet file without one",
    )
    CONTROLNET = ("a ControlNet", "use it with the ControlNet nodes of your graph")
    OWN_ADAPTER = (
        "a motion adapter from this package",
        "apply it as an adapter to a base",
    )
    MOTION_EMBEDDING = (
        "a motion embedding from the official Motion Inversion",
        "apply it as an adapter to a ZeroScope base",
    )
    INVERTED_NOISE = (
        "the inverted noise of a reference clip",
        "use it with sample --noise-prior",
    )
    UNKNOWN = ("of a kind unknown to this package", "check what it was made for")

    @property
    def what(self) -> str:
        return self.value[0]

    @property
    def where(self) -> str:
        return self.value[1]


MOTION_MODULES = (Role.MOTION_MODULE_V1, Role.MOTION_MODULE_V2, Role.MOTION_MODULE_V3)


def file_role(path: Path) -> Role:
    """The role of a file; reads names and shapes only. Raises FormatError as `open_tensors`."""
    return role_of(open_tensors(path))


def role_of(file: TensorFile) -> Role:
    """The role of an opened file."""
    if ADAPTER_METADATA in file.metadata:
        return Role.OWN_ADAPTER
    if NOISE_METADATA in file.metadata:
        return Role.INVERTED_NOISE
    keys = list(file.shapes)
    if _is_positional_lora(file):
        return Role.POSITIONAL_LORA
    if any(key.endswith(".attn1.vSpatial") for key in keys):
        return Role.MOTION_EMBEDDING
    if _any(keys, "controlnet_cond_embedding", "input_hint_block", "control_model.", "zero_convs"):
        return Role.CONTROLNET
    if _any(keys, "lora_down", "lora_up", "lora.down", "lora_A", "lora_unet_", "hada_w1", "lokr_"):
        return _lora_role(keys)
    if _any(keys, "motion_modules."):
        return _motion_role(file)
    if _any(keys, ".temopral_conv.", ".temp_convs."):
        return Role.MODELSCOPE_UNET
    if _any(keys, "input_blocks.0.0.weight", "down_blocks.0.resnets.0.norm1.weight"):
        return _image_role(file)
    return _part_role(keys)


def require_role(file: TensorFile, wanted: Iterable[Role], asked: str) -> Role:
    """The file's role; raises FormatError if it is none of `wanted`. asked: "a motion module",
    say.
    """
    role = role_of(file)
    if role not in wanted:
        raise FormatError(f"{file.name} is {role.what}, not {asked}; {role.where}.")
    return role


def motion_module_version(role: Role) -> str:
    """ "v1", "v2" or "v3" of a motion module's role."""
    return f"v{MOTION_MODULES.index(role) + 1}"


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


def _lora_role(keys: list[str]) -> Role:
    if _any(keys, "motion_modules"):
        return Role.MOTION_LORA
    if any(key.startswith(("lora_unet_", "lora_te")) for key in keys):
        return Role.KOHYA_LORA
    if all(".processor." in key and key.startswith(("down", "mid", "up")) for key in keys):
        return Role.DOMAIN_ADAPTER
    return Role.DIFFUSERS_LORA


def _motion_role(file: TensorFile) -> Role:
    """v2 has a module in the middle; v1 encodes 24 positions, v3 32. Of any other length it is
    played as v1, as AnimateDiff-Evolved plays it (motion_module_ad.py, `normalize_ad_state_dict`).
    """
    if any(key.startswith("mid_block.motion_modules.") for key in file.shapes):
        return Role.MOTION_MODULE_V2
    lengths = [shape[1] for key, shape in file.shapes.items() if key.endswith(".pe")]
    return Role.MOTION_MODULE_V3 if lengths[:1] == [32] else Role.MOTION_MODULE_V1


def _image_role(file: TensorFile) -> Role:
    keys = list(file.shapes)
    if _any(keys, "label_emb.", "add_embedding.", "conditioner.embedders.1."):
        return Role.SDXL_CHECKPOINT
    first = [key for key in keys if key.endswith(("input_blocks.0.0.weight", "conv_in.weight"))]
    if first and file.shapes[first[0]][1] > 4:
        return Role.INPAINTING_CHECKPOINT
    prompts = [key for key in keys if key.endswith(".attn2.to_k.weight")]
    if any(key.startswith("cond_stage_model.model.") for key in keys) or (
        prompts and file.shapes[prompts[0]][1] == SD2_PROMPT_WIDTH
    ):
        return Role.SD2_CHECKPOINT
    whole = LDM_UNET + "input_blocks.0.0.weight" in keys and (
        any(key.startswith("cond_stage_model.") for key in keys)
    )
    return Role.SD15_CHECKPOINT if whole else Role.IMAGE_UNET


def _part_role(keys: list[str]) -> Role:
    if any(key.endswith("decoder.conv_in.weight") for key in keys):
        return Role.VAE
    if _any(keys, "encoder.layers.0.self_attn", "transformer.resblocks.0."):
        return Role.TEXT_ENCODER
    return Role.UNKNOWN
