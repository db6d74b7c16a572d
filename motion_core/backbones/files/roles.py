"""The kinds of model files, and where each belongs. What tells one from the other is in `kinds`."""

from __future__ import annotations

from enum import Enum

_NEEDS_SD15 = "AnimateDiff needs a Stable Diffusion 1.5 checkpoint"
_AS_MOTION_MODULE = "use it as the motion module of AnimateDiff"
_IN_EVOLVED = "use it with AnimateDiff-Evolved's nodes"
_OTHER_BASE = "no base of this package uses it"
_LOAD_LORA = "apply it with Load LoRA to the image checkpoint"


class Role(Enum):
    """A kind of file. The value says what it is and where it belongs, for messages."""

    SD15_CHECKPOINT = (
        "a Stable Diffusion 1.5 checkpoint",
        "use it as the image checkpoint of AnimateDiff",
    )
    SD2_CHECKPOINT = ("a Stable Diffusion 2 checkpoint", _NEEDS_SD15)
    SDXL_CHECKPOINT = ("a Stable Diffusion XL checkpoint", _NEEDS_SD15)
    SVD_CHECKPOINT = ("a Stable Video Diffusion model", _NEEDS_SD15)
    INPAINTING_CHECKPOINT = (
        "an inpainting checkpoint, whose UNet has more than 4 input channels",
        "AnimateDiff needs a regular Stable Diffusion 1.5 checkpoint",
    )
    IMAGE_UNET = (
        "an image UNet without VAE and text encoder",
        "AnimateDiff needs a full Stable Diffusion 1.5 checkpoint",
    )
    MOTION_MODULE_V1 = ("an AnimateDiff v1 motion module", _AS_MOTION_MODULE)
    MOTION_MODULE_V2 = ("an AnimateDiff v2 motion module", _AS_MOTION_MODULE)
    MOTION_MODULE_V3 = ("an AnimateDiff v3 motion module", _AS_MOTION_MODULE)
    ANIMATELCM = ("an AnimateLCM motion module", _AS_MOTION_MODULE)
    ANIMATELCM_I2V = (
        "an AnimateLCM-I2V motion module",
        f"{_AS_MOTION_MODULE}, without its image encoder",
    )
    PIA = ("a PIA motion module", f"{_AS_MOTION_MODULE}, without its input for an image")
    FANCYVIDEO = (
        "a FancyVideo motion module",
        f"{_AS_MOTION_MODULE}, without its inputs for an image, a frame rate and a motion score",
    )
    SDXL_MOTION_MODULE = (
        "an AnimateDiff motion module for Stable Diffusion XL",
        "AnimateDiff needs one for Stable Diffusion 1.5",
    )
    HOTSHOTXL = (
        "a Hotshot-XL motion module, for Stable Diffusion XL",
        "AnimateDiff needs one for Stable Diffusion 1.5",
    )
    CAMERACTRL = ("a CameraCtrl model", _IN_EVOLVED)
    MOTIONCTRL = ("a MotionCtrl model", _IN_EVOLVED)
    DOMAIN_ADAPTER = (
        "an AnimateDiff domain adapter",
        "use it as the domain adapter, together with a v3 motion module",
    )
    MOTION_LORA = (
        "an AnimateDiff motion LoRA",
        "apply it as an adapter to an AnimateDiff base",
    )
    VIDEO_LORA = (
        "a LoRA for ZeroScope or ModelScope",
        "apply it as an adapter to a ZeroScope base",
    )
    APPEARANCE_LORA = (
        "a LoRA for the transformers of Stable Diffusion 1.5's UNet",
        "apply it as an adapter to an AnimateDiff base, where it changes the appearance, or with "
        "Load LoRA to the image checkpoint",
    )
    POSITIONAL_LORA = (
        "a LoRA stored as a list without names, as the official MotionDirector saves it",
        "apply it as an adapter to a ZeroScope base",
    )
    KOHYA_LORA = ("an image LoRA in kohya's format", _LOAD_LORA)
    DIFFUSERS_LORA = ("an image LoRA in diffusers' format", _LOAD_LORA)
    SDXL_LORA = ("an image LoRA for Stable Diffusion XL", _OTHER_BASE)
    SD2_LORA = ("an image LoRA for Stable Diffusion 2", _OTHER_BASE)
    WAN_LORA = ("a LoRA for Wan", "apply it with Load LoRA to a Wan model")
    LTX_LORA = ("a LoRA for LTX-Video", "apply it with Load LoRA to an LTX-Video model")
    HUNYUAN_LORA = ("a LoRA for HunyuanVideo", "apply it with Load LoRA to a HunyuanVideo model")
    FLUX_LORA = ("a LoRA for Flux", "apply it with Load LoRA to a Flux model")
    FLUX_OR_HUNYUAN_LORA = (
        "a LoRA for Flux or HunyuanVideo, whose layers have the same names",
        "apply it with Load LoRA to the model that it was made for",
    )
    OTHER_LORA = (
        "a LoRA for a network unknown to this package",
        "apply it to the model that it was made for",
    )
    MODELSCOPE_UNET = (
        "a ModelScope or ZeroScope text-to-video UNet",
        "use it as the ZeroScope base",
    )
    WAN_MODEL = ("a Wan model", _OTHER_BASE)
    LTX_MODEL = ("an LTX-Video model", _OTHER_BASE)
    HUNYUAN_MODEL = ("a HunyuanVideo model", _OTHER_BASE)
    FLUX_MODEL = ("a Flux model", _OTHER_BASE)
    VAE = ("a VAE", "use it as the VAE for a checkpoint without one")
    OTHER_VAE = (
        "a VAE whose latents do not have Stable Diffusion's 4 channels",
        "AnimateDiff and ZeroScope need a Stable Diffusion VAE",
    )
    VIDEO_VAE = ("a video VAE", "AnimateDiff and ZeroScope need a Stable Diffusion VAE")
    TEXT_ENCODER = (
        "a text encoder",
        "use it as the text encoder for a UNet file without one",
    )
    T5 = ("a T5 text encoder", _OTHER_BASE)
    CLIP_VISION = ("a CLIP image encoder", "use it as the image encoder of MoTrans")
    IP_ADAPTER = ("an IP-Adapter", "use it with the IP-Adapter nodes of your graph")
    CONTROLNET = ("a ControlNet", "use it with the ControlNet nodes of your graph")
    SPARSECTRL = ("a SparseCtrl encoder", "use it with the ControlNet nodes of your graph")
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
    SHARD = ("one part of a model that was saved in several files", "give its folder")
    UNKNOWN = ("of a kind unknown to this package", "check what it was made for")

    @property
    def what(self) -> str:
        return self.value[0]

    @property
    def where(self) -> str:
        return self.value[1]


MOTION_MODULES = (
    Role.MOTION_MODULE_V1,
    Role.MOTION_MODULE_V2,
    Role.MOTION_MODULE_V3,
    Role.ANIMATELCM,
    Role.ANIMATELCM_I2V,
    Role.PIA,
    Role.FANCYVIDEO,
)
