"""LoRAs in other programs: their loaders' rules, or where possible the loaders themselves, are run
on what we write.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from diffusers import AnimateDiffPipeline, UNet2DConditionModel
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor

from motion_core.adapter_files.lora_files import import_animatediff_lora
from motion_core.adapter_files.other_programs import exported
from motion_core.adapter_files.own import save_adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.backbones.base import Backbone
from motion_core.backbones.files.tensors import write_tensors
from motion_core.errors import AdapterError, FormatError
from tests.adapter_files.test_own import adapters, an_info
from tests.tiny import tiny_animatediff, tiny_zeroscope


def predict(backbone: Backbone) -> Tensor:
    rng = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 4, 3, 8, 8, generator=rng)
    prompt = torch.randn(1, 16, 8, generator=rng)
    with torch.no_grad():
        return backbone.predict(latents, torch.tensor([500]), prompt)


def motion_module(unet: torch.nn.Module) -> dict[str, Tensor]:
    """The weights of the motion modules under AnimateDiff's names: attn1 and attn2 are
    attention_blocks.0 and .1 of a temporal_transformer; the rest of a linear layer's name is the
    same (AnimateDiff-Evolved d8d163c, motion_module_ad.py).
    """
    names = {}
    for name, tensor in unet.state_dict().items():
        if found := re.match(r"(.+\.motion_modules\.\d+)\.(.+)", name):
            rest = found[2].replace("attn1.", "attention_blocks.0.")
            rest = rest.replace("attn2.", "attention_blocks.1.")
            names[f"{found[1]}.temporal_transformer.{rest}"] = tensor.clone()
    return names


def evolved_patches(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """What AnimateDiff-Evolved adds, at strength 1, to the weight of each name (read in d8d163c,
    animatediff/model_injection.py, `load_motion_lora_as_patches`): it drops names without
    "temporal", goes through those without "up.", finds the other half by ".down." → ".up.", cuts
    four words out of the name, and adds the product.
    """
    temporal = {name: tensor for name, tensor in state_dict.items() if "temporal" in name}
    patches = {}
    for name in (name for name in temporal if "up." not in name):
        target = re.sub(r"processor\.|_lora|down\.|up\.", "", name)
        if "to_out.0." not in target:
            target = target.replace("to_out.", "to_out.0.")
        patches[target] = temporal[name.replace(".down.", ".up.")] @ temporal[name]
    return patches


def test_the_adapter_file_is_a_motion_lora_of_animatediff_evolved(tmp_path: Path) -> None:
    """With spatial adapters in the same file: each of the temporal layers is found once, and the
    weight becomes what `applied` makes of it at that strength: W0 + 0.6 · patch.
    """
    backbone, some = tiny_animatediff(), adapters()
    save_adapter(tmp_path / "a.safetensors", some, an_info())
    patches = evolved_patches(load_file(tmp_path / "a.safetensors"))
    before = motion_module(backbone.network)
    with some["temporal"].applied(backbone, 0.6):
        after = motion_module(backbone.network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert len(patches) == len(some["temporal"].pairs) == len(backbone.sites("temporal"))
    assert changed == patches.keys()
    for part in ("mid_block.", ".ff.net.0.proj.", ".ff.net.2.", ".attention_blocks.1.to_out.0."):
        assert any(part in name for name in patches), part
    for name, patch in patches.items():
        torch.testing.assert_close(after[name], before[name] + 0.6 * patch)


def test_exported_motion_lora_holds_the_temporal_adapter_alone(tmp_path: Path) -> None:
    some = adapters()
    save_adapter(tmp_path / "a.safetensors", some, an_info())
    tensors = exported(some["temporal"], "animatediff")
    assert all("temporal" in name and not name.endswith("alpha") for name in tensors)
    assert evolved_patches(tensors).keys() == (
        evolved_patches(load_file(tmp_path / "a.safetensors")).keys()
    )
    with pytest.raises(AdapterError, match="spatial LoRA for animatediff"):
        exported(some["spatial.0"], "animatediff")


@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_import_of_a_motion_lora(suffix: str, tmp_path: Path) -> None:
    """Also one in half precision in a torch file, with tensors of no motion module beside it."""
    temporal = adapters()["temporal"]
    path = tmp_path / f"zoom.{suffix}"
    tensors = {name: tensor.half() for name, tensor in exported(temporal, "animatediff").items()}
    tensors["spatial.to_q_lora.down.weight"] = torch.zeros(2, 2)
    if suffix == "ckpt":
        torch.save({"state_dict": tensors}, path)
    else:
        write_tensors(path, tensors, {})
    imported = import_animatediff_lora(path)
    assert (imported.scope, imported.family) == ("temporal", "animatediff")
    assert imported.pairs.keys() == temporal.pairs.keys()
    for name, pair in temporal.pairs.items():
        assert torch.equal(imported.pairs[name].up, pair.up.half().float())
        assert torch.equal(imported.pairs[name].down, pair.down.half().float())


def test_import_refuses_other_files(tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    write_tensors(path, {"lora_unet_x.lora_up.weight": torch.zeros(2, 2)}, {})
    with pytest.raises(FormatError, match="no tensors of a motion module"):
        import_animatediff_lora(path)
    name = "mid_block.motion_modules.0.transformer_blocks.0.attn1.to_q.lora_up.weight"
    write_tensors(path, {name: torch.zeros(2, 2)}, {})
    with pytest.raises(FormatError, match=r"1 of 1 tensors are not LoRA pairs.*its down matrix is"):
        import_animatediff_lora(path)


@pytest.mark.parametrize("name", ["temporal", "spatial.0"])
def test_diffusers_pipeline_loads_the_export(name: str, tmp_path: Path) -> None:
    """From a file, through AnimateDiffPipeline, with the effect of `applied` at strength 1. In
    float64, for norms over the few values of a tiny frame enlarge rounding.
    """
    backbone, adapter = tiny_animatediff(), adapters()[name]
    torch.nn.Module.to(backbone.network, dtype=torch.float64)
    base = predict(backbone)
    with adapter.applied(backbone, 1.0):
        expected = predict(backbone)
    write_tensors(tmp_path / "x.safetensors", exported(adapter, "diffusers"), {"format": "pt"})
    pipeline = AnimateDiffPipeline(
        vae=backbone.vae,
        text_encoder=backbone.text.model,
        tokenizer=None,  # type: ignore[arg-type]
        unet=backbone.network,
        motion_adapter=None,  # type: ignore[arg-type]
        scheduler=backbone.scheduler,
    )
    pipeline.load_lora_weights(str(tmp_path), weight_name="x.safetensors")
    torch.testing.assert_close(predict(backbone), expected, rtol=1e-4, atol=1e-4)
    assert (expected - base).abs().max() > 0.1


def image_unet() -> UNet2DConditionModel:
    """The image UNet that tests.tiny's AnimateDiff is made of."""
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=2,
    )


def deltas(unet: torch.nn.Module) -> dict[str, Tensor]:
    return {
        name: module.get_delta_weight(module.active_adapters[0])  # type: ignore[operator, index]
        for name, module in unet.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def test_spatial_export_is_a_lora_of_the_image_unet() -> None:
    adapter, unet = adapters()["spatial.0"], image_unet()
    unet.load_lora_adapter(exported(adapter, "diffusers"), prefix="unet")
    loaded = deltas(unet)
    assert loaded.keys() == adapter.pairs.keys()
    for name, pair in adapter.pairs.items():
        torch.testing.assert_close(loaded[name], pair.up @ pair.down)


def test_spatial_export_has_the_names_that_comfyui_looks_for() -> None:
    """ComfyUI (read in 00728eb, comfy/lora.py, and 0323d87, comfy/weight_adapter/lora.py) makes, of
    each weight's name in diffusers' image UNet, a stem: after "unet.", with ".processor.to_" for
    ".to_" and without the ".0" of to_out; it takes "<stem>_lora.up.weight" (its "diffusers" form)
    or "<stem>.lora.up.weight" ("diffusers3").
    """
    adapter = adapters()["spatial.0"]
    tensors = exported(adapter, "diffusers")
    found = {}
    for name in (n.removesuffix(".weight") for n in image_unet().state_dict()):
        stem = "unet." + name.replace(".to_", ".processor.to_")
        stem = stem[:-2] if stem.endswith(".to_out.0") else stem
        for up in (f"{stem}_lora.up.weight", f"{stem}.lora.up.weight"):
            if up in tensors:
                found[name] = tensors.pop(up) @ tensors.pop(up.replace(".up.", ".down."))
    assert not tensors
    assert found.keys() == adapter.pairs.keys()
    assert all(torch.equal(found[name], p.up @ p.down) for name, p in adapter.pairs.items())


@pytest.mark.parametrize("name", ["temporal", "spatial.1"])
def test_peft_loads_zeroscope(name: str) -> None:
    """r = alpha = 2, so the scale is 1."""
    backbone, adapter = tiny_zeroscope(), adapters("zeroscope")[name]
    with adapter.applied(backbone, 1.0):
        expected = predict(backbone)
    tensors = exported(adapter, "peft")
    config = LoraConfig(r=2, lora_alpha=2, target_modules=list(adapter.pairs))
    inject_adapter_in_model(config, backbone.network, state_dict=tensors)
    set_peft_model_state_dict(backbone.network, tensors)
    torch.testing.assert_close(predict(backbone), expected, rtol=1e-4, atol=1e-4)


def test_diffusers_has_no_loader_for_zeroscope() -> None:
    """If this fails, diffusers has learned it: offer `diffusers` for ZeroScope too."""
    adapter: LoraAdapter = adapters("zeroscope")["temporal"]
    assert not hasattr(tiny_zeroscope().network, "load_lora_adapter")
    with pytest.raises(
        AdapterError,
        match=r"zeroscope, which diffusers has no names for\. Choose peft",
    ):
        exported(adapter, "diffusers")
