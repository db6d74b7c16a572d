"""The key maps at full size, on shapes without memory: complete, one to one, and as diffusers' own
converters read them."""

from __future__ import annotations

import open_clip
import pytest
import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel, UNet3DConditionModel
from diffusers.loaders import single_file_utils as reference
from transformers import CLIPTextConfig, CLIPTextModel

from motion_core.backbones.files.architecture import (
    image_unet_config,
    motion_channels,
    motion_config,
    vae_config,
    video_unet_config,
)
from motion_core.backbones.files.components import text_from_open_clip
from motion_core.backbones.files.keys import (
    KeyMap,
    clip_keys,
    motion_keys,
    open_clip_keys,
    unet_keys,
    vae_keys,
)
from motion_core.backbones.files.loading import build_empty, gather
from motion_core.backbones.files.tensors import in_memory

SD15_ATTENTION = (False, True, True, True)


def sd15_unet() -> UNet2DConditionModel:
    return build_empty(lambda: UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8))


def sd15_vae(attention: bool = True) -> AutoencoderKL:
    return build_empty(
        lambda: AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            mid_block_add_attention=attention,
        )
    )


def assert_one_to_one(keys: KeyMap, names: set[str]) -> None:
    first = [places[0] for places in keys.values()]
    assert keys.keys() == names
    assert len(set(first)) == len(names)


def test_image_unet_is_read_by_diffusers_as_we_write_it() -> None:
    unet = sd15_unet()
    names = set(unet.state_dict())
    keys = unet_keys(names, 2, SD15_ATTENTION, temporal=False)
    assert_one_to_one(keys, names)
    written = gather(unet, keys)
    assert len(written) == 686  # as in v1-5-pruned-emaonly
    prefixed = {f"model.diffusion_model.{key}": tensor for key, tensor in written.items()}
    read = reference.convert_ldm_unet_checkpoint(prefixed, dict(unet.config))
    assert {name: t.shape for name, t in read.items()} == {
        name: t.shape for name, t in unet.state_dict().items()
    }
    for name, places in keys.items():
        assert read[name] is prefixed[f"model.diffusion_model.{places[0].key}"]


@pytest.mark.parametrize(("layers", "levels"), [(1, 2), (3, 3)])
def test_image_unet_map_holds_at_other_depths(layers: int, levels: int) -> None:
    """Attention at the upper levels only, so the upsampler's place changes from block to block."""
    kinds = ["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"]
    ups = [kind.replace("Down", "Up") for kind in reversed(kinds)]
    unet = build_empty(
        lambda: UNet2DConditionModel(
            down_block_types=tuple(kinds),
            up_block_types=tuple(ups),
            block_out_channels=tuple(32 * (level + 1) for level in range(levels)),
            layers_per_block=layers,
            cross_attention_dim=24,
            attention_head_dim=8,
        )
    )
    names = set(unet.state_dict())
    keys = unet_keys(names, layers, ["Cross" in kind for kind in ups], temporal=False)
    assert_one_to_one(keys, names)
    written = {f"model.diffusion_model.{k}": t for k, t in gather(unet, keys).items()}
    read = reference.convert_ldm_unet_checkpoint(written, dict(unet.config))
    assert all(
        read[name] is written[f"model.diffusion_model.{places[0].key}"]
        for name, places in keys.items()
    )
    config = image_unet_config(in_memory(written, "x"), "model.diffusion_model.")
    assert config["layers_per_block"] == layers
    assert config["block_out_channels"] == list(unet.config["block_out_channels"])
    assert [kind.replace("Motion", "2D") for kind in config["down_block_types"]] == kinds
    assert [kind.replace("Motion", "2D") for kind in config["up_block_types"]] == ups
    assert config["cross_attention_dim"] == 24


@pytest.mark.parametrize("attention", [True, False])
def test_vae(attention: bool) -> None:
    vae = sd15_vae(attention)
    names = set(vae.state_dict())
    keys = vae_keys(names, 4)
    assert_one_to_one(keys, names)
    written = gather(vae, keys)
    config = vae_config(in_memory(written, "x"), "")
    assert config["block_out_channels"] == [128, 256, 512, 512]
    assert (config["layers_per_block"], config["mid_block_add_attention"]) == (2, attention)
    prefixed = {f"first_stage_model.{key}": tensor for key, tensor in written.items()}
    if attention:
        assert len(written) == 248
        assert written["decoder.mid.attn_1.q.weight"].shape == (512, 512, 1, 1)
        read = reference.convert_ldm_vae_checkpoint(prefixed, dict(vae.config))
        assert {n: t.shape for n, t in read.items()} == {
            n: t.shape for n, t in vae.state_dict().items()
        }


@pytest.mark.parametrize(("mid_block", "length"), [(False, 24), (True, 32), (False, 32)])
def test_motion_modules(mid_block: bool, length: int) -> None:
    """v1 and v3 hold 20 modules, v2 one more in the middle, each with 1 encoding for 2 here."""
    adapter = build_empty(
        lambda: MotionAdapter(use_motion_mid_block=mid_block, motion_max_seq_length=length)
    )
    names = set(adapter.state_dict())
    keys = motion_keys(names)
    assert_one_to_one(keys, names)
    written = gather(adapter, keys)
    modules = 21 if mid_block else 20
    assert len(written) == len(names) + modules
    assert len(written) == modules * 28
    read = reference.convert_animatediff_checkpoint_to_diffusers(written)
    encodings = {name for name in names if name.endswith("pos_embed.pe")}
    assert read.keys() == names - encodings
    assert all(read[name] is written[keys[name][0].key] for name in read)
    file = in_memory(written, "mm")
    assert motion_channels(file) == [320, 640, 1280, 1280]
    config = motion_config(file)
    assert (config["use_motion_mid_block"], config["motion_max_seq_length"]) == (mid_block, length)


def test_modelscope_unet() -> None:
    """Names as listed in diffusers' scripts/convert_ms_text_to_video_to_diffusers.py."""
    unet = build_empty(UNet3DConditionModel)
    names = set(unet.state_dict())
    keys = unet_keys(names, 2, SD15_ATTENTION, temporal=True)
    assert_one_to_one(keys, names)
    written = gather(unet, keys)
    assert {
        "input_blocks.0.1.proj_in.weight": (512, 320, 1),
        "input_blocks.3.op.weight": (320, 320, 3, 3),
        "input_blocks.1.0.temopral_conv.conv4.3.weight": (320, 320, 3, 1, 1),
        "input_blocks.1.1.proj_in.weight": (320, 320),
        "input_blocks.1.2.transformer_blocks.0.attn2.to_k.weight": (320, 320),
        "middle_block.2.proj_out.weight": (1280, 1280, 1),
        "middle_block.3.temopral_conv.conv1.2.bias": (1280,),
        "output_blocks.2.1.conv.weight": (1280, 1280, 3, 3),
        "output_blocks.5.3.conv.weight": (1280, 1280, 3, 3),
        "output_blocks.11.2.norm.bias": (320,),
    }.items() <= {key: tuple(tensor.shape) for key, tensor in written.items()}.items()
    config = video_unet_config(in_memory(written, "x"), "")
    for entry, value in config.items():
        own = unet.config[entry]
        assert value == (list(own) if isinstance(own, tuple) else own), entry


def test_clip_text_tower_on_disk() -> None:
    config = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    model = build_empty(lambda: CLIPTextModel(config))
    names = set(model.state_dict())
    keys = clip_keys(names)
    assert_one_to_one(keys, names)
    first = {places[0].key for places in keys.values()}
    assert "text_model.encoder.layers.11.self_attn.q_proj.weight" in first
    assert "text_model.final_layer_norm.bias" in first


def test_open_clip_h14_text_keys_cover_the_tower_but_its_last_layer() -> None:
    """ViT-H/14: 24 layers of width 1024; ModelScope conditions on the 23rd."""
    cfg = open_clip.get_model_config("ViT-H-14")
    tower = build_empty(lambda: open_clip.CLIP(**cfg)).state_dict()
    config = CLIPTextConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23)
    keys = open_clip_keys(build_empty(lambda: CLIPTextModel(config)).state_dict())
    used = {place.key for places in keys.values() for place in places}
    text = {key for key in tower if not key.startswith(("visual.", "text_projection", "logit"))}
    last = {key for key in text if key.startswith("transformer.resblocks.23.")}
    assert len(last) == 12 and used == text - last


def test_open_clip_text_tower_gives_the_same_features() -> None:
    """Without projection, open_clip's per-token output is ln_final of the last layer, which is
    transformers' last_hidden_state."""
    torch.manual_seed(0)
    model = open_clip.CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8},
        text_cfg={"context_length": 12, "width": 16, "heads": 4, "layers": 2},
    ).eval()
    text = text_from_open_clip(model.state_dict(), heads=4)
    tokens = text.tokenize(["a red dot", "two blue squares"])
    with torch.no_grad():
        hidden = model.token_embedding(tokens) + model.positional_embedding
        expected = model.ln_final(model.transformer(hidden, attn_mask=model.attn_mask))
    got = text.encode(["a red dot", "two blue squares"])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
