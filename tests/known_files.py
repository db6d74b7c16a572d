"""Model files that people have, by their names and shapes: real key names, few of them, no weights.

Each comes from the code that writes or reads such files; see motion_core/backbones/files/kinds.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from motion_core.backbones.files.roles import Role

Shapes = Mapping[str, Sequence[int]]

_LDM = "model.diffusion_model."
_T = "temporal_transformer.transformer_blocks.0.attention_blocks.0."


class KnownFile(NamedTuple):
    """role: what it is. metadata: of its header."""

    role: Role
    shapes: Shapes
    metadata: Mapping[str, str] = {}


def _motion(levels: Sequence[int], length: int | None = 32, mid: bool = False) -> dict[str, tuple]:
    """A motion module's first norm of each level, and one attention's encoding."""
    shapes: dict[str, tuple] = {}
    for side, widths in (("down", levels), ("up", levels[::-1])):
        for level, width in enumerate(widths):
            stem = f"{side}_blocks.{level}.motion_modules.0."
            shapes[f"{stem}temporal_transformer.norm.weight"] = (width,)
            shapes[f"{stem}{_T}to_q.weight"] = (width, width)
            if length:
                shapes[f"{stem}{_T}pos_encoder.pe"] = (1, length, width)
    if mid:
        shapes[f"mid_block.motion_modules.0.{_T}to_q.weight"] = (1280, 1280)
    return shapes


def _pair(layer: str, down: str, up: str, width: int = 8) -> dict[str, tuple]:
    return {f"{layer}{down}": (4, width), f"{layer}{up}": (width, 4)}


def _peft(*layers: str, width: int = 8) -> dict[str, tuple]:
    shapes: dict[str, tuple] = {}
    for layer in layers:
        shapes |= _pair(layer, ".lora_A.weight", ".lora_B.weight", width)
    return shapes


def _kohya(*layers: str, width: int = 8) -> dict[str, tuple]:
    shapes: dict[str, tuple] = {}
    for layer in layers:
        shapes |= _pair(layer, ".lora_down.weight", ".lora_up.weight", width)
        shapes[f"{layer}.alpha"] = ()
    return shapes


_SD15 = [320, 640, 1280, 1280]
_SPATIAL = "down_blocks.0.attentions.0.transformer_blocks.0."

KNOWN_FILES: Mapping[str, KnownFile] = {
    "inpainting with its VAE, sorted": KnownFile(
        Role.INPAINTING_CHECKPOINT,
        {
            "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": (2, 2),
            "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
            "first_stage_model.encoder.conv_in.weight": (8, 3, 3, 3),
            f"{_LDM}input_blocks.0.0.weight": (320, 9, 3, 3),
        },
    ),
    "instruct-pix2pix": KnownFile(
        Role.INPAINTING_CHECKPOINT, {f"{_LDM}input_blocks.0.0.weight": (320, 8, 3, 3)}
    ),
    "inpainting UNet of a folder": KnownFile(
        Role.INPAINTING_CHECKPOINT,
        {"conv_in.weight": (320, 9, 3, 3), "down_blocks.0.resnets.0.norm1.weight": (320,)},
    ),
    "SVD": KnownFile(
        Role.SVD_CHECKPOINT,
        {
            "conditioner.embedders.0.open_clip.model.ln_final.weight": (2,),
            f"{_LDM}input_blocks.0.0.weight": (32, 8, 3, 3),
            f"{_LDM}input_blocks.1.0.time_stack.in_layers.0.weight": (4,),
            f"{_LDM}label_emb.0.0.weight": (4, 4),
        },
    ),
    "SVD's UNet of a folder": KnownFile(
        Role.SVD_CHECKPOINT,
        {
            "conv_in.weight": (320, 8, 3, 3),
            "down_blocks.0.resnets.0.temporal_res_block.conv1.weight": (4, 4, 3, 1, 1),
        },
    ),
    "AnimateDiff v1": KnownFile(Role.MOTION_MODULE_V1, _motion(_SD15, 24)),
    "AnimateDiff v2": KnownFile(Role.MOTION_MODULE_V2, _motion(_SD15, 32, mid=True)),
    "AnimateDiff v3": KnownFile(Role.MOTION_MODULE_V3, _motion(_SD15, 32)),
    "AnimateDiff SDXL": KnownFile(Role.SDXL_MOTION_MODULE, _motion(_SD15[:3], 32)),
    "Hotshot-XL": KnownFile(
        Role.HOTSHOTXL,
        {
            "down_blocks.0.temporal_attentions.0.norm.weight": (320,),
            "down_blocks.0.temporal_attentions.0.transformer_blocks.0.attention_blocks.0."
            "pos_encoder.positional_encoding": (1, 24, 320),
        },
    ),
    "AnimateLCM": KnownFile(Role.ANIMATELCM, _motion(_SD15, None, mid=True)),
    "AnimateLCM-I2V": KnownFile(
        Role.ANIMATELCM_I2V,
        {**_motion(_SD15, None, mid=True), "img_encoder.conv_in.weight": (320, 4, 1, 1)},
    ),
    "PIA": KnownFile(
        Role.PIA,
        {
            **_motion(_SD15, 32, mid=True),
            "conv_in.weight": (320, 9, 3, 3),
            "conv_in.bias": (320,),
        },
    ),
    "FancyVideo": KnownFile(
        Role.FANCYVIDEO,
        {
            **_motion(_SD15, 32, mid=True),
            "conv_in.weight": (320, 9, 3, 3),
            "fps_embedding.linear.weight": (1280, 1280),
            "motion_embedding.linear.weight": (1280, 1280),
        },
    ),
    "CameraCtrl": KnownFile(
        Role.CAMERACTRL,
        {
            f"down_blocks.0.motion_modules.0.{_T}processor.qkv_merge.weight": (4, 4),
            "encoder_down_conv_blocks.0.0.block1.weight": (4, 4),
        },
    ),
    "MotionCtrl": KnownFile(
        Role.MOTIONCTRL,
        {**_motion(_SD15, 32), f"mid_block.motion_modules.0.{_T}cc_projection.weight": (4, 4)},
    ),
    "SparseCtrl": KnownFile(
        Role.SPARSECTRL,
        {**_motion(_SD15, 32), "controlnet_cond_embedding.weight": (4, 4, 3, 3)},
    ),
    "a VAE in diffusers' names": KnownFile(
        Role.VAE,
        {
            "encoder.conv_in.weight": (128, 3, 3, 3),
            "encoder.down_blocks.0.resnets.0.norm1.weight": (128,),
            "decoder.conv_in.weight": (512, 4, 3, 3),
        },
    ),
    "Flux's VAE": KnownFile(Role.OTHER_VAE, {"decoder.conv_in.weight": (512, 16, 3, 3)}),
    "Wan's VAE": KnownFile(
        Role.VIDEO_VAE,
        {"decoder.conv1.weight": (384, 16, 3, 3, 3), "decoder.upsamples.0.residual.0.gamma": (4,)},
    ),
    "CLIP vision": KnownFile(
        Role.CLIP_VISION, {"vision_model.encoder.layers.0.self_attn.q_proj.weight": (4, 4)}
    ),
    "CLIP vision of open_clip": KnownFile(
        Role.CLIP_VISION, {"visual.transformer.resblocks.0.attn.in_proj_weight": (12, 4)}
    ),
    "T5": KnownFile(Role.T5, {"encoder.block.0.layer.0.SelfAttention.q.weight": (4, 4)}),
    "IP-Adapter": KnownFile(Role.IP_ADAPTER, {"ip_adapter.1.to_k_ip.weight": (320, 768)}),
    "Wan": KnownFile(
        Role.WAN_MODEL,
        {"head.modulation": (1, 2, 1536), "blocks.0.self_attn.q.weight": (1536, 1536)},
    ),
    "Wan in a checkpoint": KnownFile(
        Role.WAN_MODEL, {f"{_LDM}head.modulation": (1, 2, 5120), f"{_LDM}blocks.0.ffn.0.bias": (4,)}
    ),
    "Wan in diffusers' names": KnownFile(
        Role.WAN_MODEL,
        {
            "condition_embedder.time_proj.weight": (4, 4),
            "blocks.0.attn1.to_q.weight": (4, 4),
            "scale_shift_table": (1, 2, 4),
        },
    ),
    "LTX-Video": KnownFile(
        Role.LTX_MODEL,
        {
            f"{_LDM}adaln_single.emb.timestep_embedder.linear_1.bias": (4,),
            f"{_LDM}patchify_proj.weight": (4, 4),
            "vae.decoder.conv_in.conv.weight": (4, 128, 3, 3, 3),
        },
    ),
    "HunyuanVideo": KnownFile(
        Role.HUNYUAN_MODEL,
        {
            "txt_in.individual_token_refiner.blocks.0.norm1.weight": (4,),
            "double_blocks.0.img_attn.qkv.weight": (12, 4),
        },
    ),
    "Flux": KnownFile(Role.FLUX_MODEL, {"double_blocks.0.img_attn.qkv.weight": (12, 4)}),
    "Wan LoRA for ComfyUI": KnownFile(
        Role.WAN_LORA,
        _peft("diffusion_model.blocks.0.cross_attn.k", "diffusion_model.blocks.0.ffn.2"),
    ),
    "Wan LoRA of musubi": KnownFile(
        Role.WAN_LORA, _kohya("lora_unet_blocks_0_self_attn_q", "lora_unet_blocks_0_ffn_0")
    ),
    "Wan LoRA of diffusers": KnownFile(
        Role.WAN_LORA,
        _peft("transformer.blocks.0.attn1.to_q", "transformer.blocks.0.attn2.to_out.0"),
    ),
    "bare Wan LoRA": KnownFile(Role.WAN_LORA, _peft("blocks.39.self_attn.o")),
    "LTX LoRA": KnownFile(Role.LTX_LORA, _peft("diffusion_model.transformer_blocks.0.attn1.to_q")),
    "LTX LoRA of diffusers": KnownFile(
        Role.LTX_LORA, _peft("transformer.transformer_blocks.0.attn2.to_k")
    ),
    "HunyuanVideo LoRA of musubi": KnownFile(
        Role.HUNYUAN_LORA, _kohya("lora_unet_double_blocks_0_img_attn_qkv")
    ),
    "HunyuanVideo LoRA of diffusion-pipe": KnownFile(
        Role.HUNYUAN_LORA, _peft("transformer.double_blocks.19.img_attn.qkv")
    ),
    "HunyuanVideo LoRA of diffusers": KnownFile(
        Role.HUNYUAN_LORA, _peft("transformer.single_transformer_blocks.39.attn.to_q")
    ),
    "Flux LoRA": KnownFile(
        Role.FLUX_LORA,
        _peft(
            "transformer.transformer_blocks.18.attn.to_q",
            "transformer.single_transformer_blocks.37.attn.to_q",
        ),
    ),
    "Flux or HunyuanVideo LoRA": KnownFile(
        Role.FLUX_OR_HUNYUAN_LORA, _peft("transformer.single_transformer_blocks.3.attn.to_q")
    ),
    "SDXL LoRA of kohya": KnownFile(
        Role.SDXL_LORA,
        _kohya(
            "lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q",
            "lora_te2_text_model_encoder_layers_0_mlp_fc1",
        ),
    ),
    "SDXL LoRA by its prompt's width": KnownFile(
        Role.SDXL_LORA, _peft(f"unet.{_SPATIAL}attn2.to_k", width=2048)
    ),
    "SD2 LoRA": KnownFile(Role.SD2_LORA, _peft(f"unet.{_SPATIAL}attn2.to_k", width=1024)),
    "SD1.5 LoRA of kohya": KnownFile(
        Role.KOHYA_LORA,
        _kohya(
            "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
            "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
        ),
    ),
    "SD1.5 LoRA of the UNet alone": KnownFile(
        Role.APPEARANCE_LORA, _peft(f"unet.{_SPATIAL}attn1.to_q", f"unet.{_SPATIAL}ff.net.2")
    ),
    "domain adapter": KnownFile(
        Role.DOMAIN_ADAPTER,
        _pair(f"{_SPATIAL}attn1.processor.to_q", "_lora.down.weight", "_lora.up.weight"),
    ),
    "appearance of a MotionDirector trainer": KnownFile(
        Role.APPEARANCE_LORA,
        _pair(f"{_SPATIAL}attn1.processor.to_q", "_lora.down.weight", "_lora.up.weight"),
        {"model_type": "motion_director", "rank": "64"},
    ),
    "ZeroScope LoRA": KnownFile(
        Role.VIDEO_LORA,
        _peft("mid_block.temp_attentions.0.transformer_blocks.0.attn1.to_q"),
    ),
    "LoHa": KnownFile(
        Role.KOHYA_LORA,
        {"lora_unet_down_blocks_0_attentions_0_proj_in.hada_w1_a": (4, 4)},
    ),
    "a LoRA of an unknown network": KnownFile(Role.OTHER_LORA, _peft("layers.0.attention.wq")),
}
