"""The LoRA doctor: what a LoRA is for, which programs load it, and renaming it for another.

Wan's names by hand: layer blocks.3.self_attn.q is `diffusion_model.blocks.3.self_attn.q` for
ComfyUI, `transformer.blocks.3.attn1.to_q` for diffusers, `lora_unet_blocks_3_self_attn_q` for
musubi.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from motion_core.adapter_files.lora_report import lora_report, report_lines
from motion_core.adapter_files.other_programs import renamed
from motion_core.backbones.files.lora_content import LoraContent, lora_content
from motion_core.backbones.files.lora_keys import WAN_OUTSIDE, lora_key, wan_diffusers_name
from motion_core.backbones.files.lora_networks import Network
from motion_core.backbones.files.tensors import TensorFile, in_memory
from motion_core.cli.main import main
from motion_core.errors import FormatError

DOWN, UP = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[3.0], [5.0]])
# The layers of a Wan block: the authors' names, and diffusers'.
WAN_LAYERS: Mapping[str, str] = {
    "self_attn.q": "attn1.to_q",
    "self_attn.k": "attn1.to_k",
    "self_attn.v": "attn1.to_v",
    "self_attn.o": "attn1.to_out.0",
    "cross_attn.q": "attn2.to_q",
    "cross_attn.o": "attn2.to_out.0",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
}
WAN_NAMES = {
    "comfyui": lambda own, theirs: (f"diffusion_model.blocks.3.{own}", "A"),
    "diffusers": lambda own, theirs: (f"transformer.blocks.3.{theirs}", "A"),
    "peft": lambda own, theirs: (f"blocks.3.{theirs}", "A"),
    "kohya": lambda own, theirs: (f"lora_unet_blocks_3_{own.replace('.', '_')}", "down"),
    "bare": lambda own, theirs: (f"blocks.3.{own}", "A"),
}


def content(tensors: Mapping[str, Tensor]) -> LoraContent:
    found = lora_content(in_memory(tensors, "x.safetensors"))
    assert found is not None
    return found


def wan(naming: str) -> dict[str, Tensor]:
    """Every change is up·down = [[3, 6, 0], [5, 10, 0]]; kohya's has alpha 0.5 of rank 1."""
    tensors: dict[str, Tensor] = {}
    for own, theirs in WAN_LAYERS.items():
        stem, end = WAN_NAMES[naming](own, theirs)
        if end == "A":
            tensors |= {f"{stem}.lora_A.weight": DOWN, f"{stem}.lora_B.weight": UP}
        else:
            tensors |= {f"{stem}.lora_down.weight": DOWN, f"{stem}.lora_up.weight": UP * 2}
            tensors[f"{stem}.alpha"] = torch.tensor(0.5)
    return tensors


@pytest.mark.parametrize("naming", WAN_NAMES)
@pytest.mark.parametrize("to", ["comfyui", "diffusers", "peft", "kohya"])
def test_wan_from_every_naming_to_every_other(naming: str, to: str) -> None:
    tensors = renamed(content(wan(naming)), to).tensors
    kohya = to == "kohya"
    assert len(tensors) == len(WAN_LAYERS) * (3 if kohya else 2)
    for own, theirs in WAN_LAYERS.items():
        stem, _ = WAN_NAMES[to](own, theirs)
        down, up = (".lora_down", ".lora_up") if kohya else (".lora_A", ".lora_B")
        change = tensors[f"{stem}{up}.weight"] @ tensors[f"{stem}{down}.weight"]
        assert torch.equal(change, torch.tensor([[3.0, 6.0, 0.0], [5.0, 10.0, 0.0]]))
        if kohya:
            assert float(tensors[f"{stem}.alpha"]) == 1.0


def test_names_of_wan_outside_its_blocks() -> None:
    """proj_out is Wan's beside layers of Wan alone: other transformers have one too."""
    tensors = wan("diffusers")
    for theirs in WAN_OUTSIDE:
        stem = f"transformer.{theirs}"
        tensors |= {f"{stem}.lora_A.weight": DOWN, f"{stem}.lora_B.weight": UP}
    layers = content(tensors).networks[Network.WAN]
    assert layers.keys() >= set(WAN_OUTSIDE.values())
    assert layers["head.head"].down == "transformer.proj_out.lora_A.weight"
    assert {wan_diffusers_name(own): own for own in WAN_OUTSIDE.values()} == WAN_OUTSIDE
    alone = {"proj_out.lora_A.weight": DOWN, "proj_out.lora_B.weight": UP}
    assert content(alone).main is Network.UNKNOWN


def test_which_programs_load_wan() -> None:
    """ComfyUI ignores bare names and diffusers' (ComfyUI #11141); diffusers converts ComfyUI's and
    musubi's own.
    """
    loaded = {n: lora_report(content(wan(n)))["programs"] for n in WAN_NAMES}
    comfyui = {naming: some["ComfyUI's Load LoRA"] for naming, some in loaded.items()}
    assert comfyui == {"comfyui": 20, "kohya": 30, "diffusers": 0, "peft": 0, "bare": 0}
    diffusers = {naming: some["diffusers"] for naming, some in loaded.items()}
    assert diffusers == {"comfyui": 20, "kohya": 30, "diffusers": 20, "peft": 0, "bare": 0}
    musubi = {naming: some["musubi-tuner"] for naming, some in loaded.items()}
    assert musubi == {"comfyui": 0, "kohya": 30, "diffusers": 0, "peft": 0, "bare": 0}


@pytest.mark.parametrize(("width", "size"), [(1536, "1.3B"), (3072, "2.2 5B"), (5120, "14B")])
def test_the_size_of_wan_is_in_its_shapes(width: int, size: str) -> None:
    """Full-size shapes without memory for them: 30 or 40 blocks of self-attention and ffn."""
    shapes: dict[str, tuple[int, ...]] = {}
    for block in range(40):
        for layer in ("self_attn.q", "self_attn.v", "ffn.0"):
            stem = f"diffusion_model.blocks.{block}.{layer}"
            shapes |= {f"{stem}.lora_A.weight": (32, width), f"{stem}.lora_B.weight": (width, 32)}
    file = TensorFile(name="x", shapes=shapes, read=lambda key: torch.empty(shapes[key]))
    found = lora_content(file)
    assert found is not None
    report = lora_report(found)
    assert (report["network"], report["version"]) == ("Wan", f"{size}, 40 blocks")
    assert (report["matched"], report["layers"], report["ranks"]) == (240, 120, [32])


def test_image_to_video_is_told_by_its_image_layers() -> None:
    assert lora_report(content(wan("comfyui")))["version"] == "width 3, 1 blocks, image to video"


SD15 = {
    "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_out_0": (
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora"
    ),
    "lora_unet_mid_block_attentions_0_proj_in": "unet.mid_block.attentions.0.proj_in.lora",
    "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj": (
        "unet.up_blocks.3.attentions.2.transformer_blocks.0.ff.net.0.proj.lora"
    ),
    "lora_te_text_model_encoder_layers_11_mlp_fc2": (
        "text_encoder.text_model.encoder.layers.11.mlp.fc2.lora_linear_layer"
    ),
}


def test_stable_diffusion_between_kohya_and_diffusers() -> None:
    """The text encoder and convolutions come along; alpha 2 of rank 1 doubles up."""
    tensors: dict[str, Tensor] = {}
    for stem in SD15:
        four = (..., None, None) if "proj_in" in stem else (...,)
        tensors |= {f"{stem}.lora_down.weight": DOWN[four], f"{stem}.lora_up.weight": UP[four]}
        tensors[f"{stem}.alpha"] = torch.tensor(2.0)
    made = renamed(content(tensors), "diffusers")
    assert not made.left_out
    assert made.tensors.keys() == {
        f"{stem}.{part}.weight" for stem in SD15.values() for part in ("down", "up")
    }
    fc2 = SD15["lora_te_text_model_encoder_layers_11_mlp_fc2"]
    assert torch.equal(made.tensors[f"{fc2}.up.weight"], 2 * UP)
    back = renamed(content(made.tensors), "comfyui").tensors
    assert back.keys() == tensors.keys()
    for stem in SD15:
        assert torch.equal(back[f"{stem}.lora_up.weight"], 2 * tensors[f"{stem}.lora_up.weight"])
        assert float(back[f"{stem}.alpha"]) == 1.0


def test_names_of_stable_diffusions_own_unet() -> None:
    """ComfyUI's trainer writes them: input_blocks.4.1 is down 1's first transformer (3 to a level),
    output_blocks.11.1 up 3's third.
    """
    for own, theirs in (
        ("input_blocks.4.1", "down_blocks.1.attentions.0"),
        ("middle_block.1", "mid_block.attentions.0"),
        ("output_blocks.11.1", "up_blocks.3.attentions.2"),
    ):
        key = lora_key(f"diffusion_model.{own}.transformer_blocks.0.attn1.to_q.lora_down.weight")
        assert key is not None
        assert key.layer == f"{theirs}.transformer_blocks.0.attn1.to_q"
        flat = lora_key(f"lora_unet_{own.replace('.', '_')}_proj_in.lora_up.weight")
        assert flat is not None
        assert flat.layer == f"{theirs}.proj_in"


def test_peft_names_of_the_unet_are_not_comfyuis() -> None:
    """ComfyUI has ".processor." in the names of attention layers."""
    stem = "unet.down_blocks.0.attentions.0.transformer_blocks.0."
    tensors = {
        f"{stem}{layer}.lora_{part}.weight": matrix
        for layer in ("attn1.to_q", "ff.net.2")
        for part, matrix in (("A", DOWN), ("B", UP))
    }
    report = lora_report(content(tensors))
    assert report["programs"]["ComfyUI's Load LoRA"] == 2
    lines = "\n".join(report_lines(report))
    assert "loads 2 of 4 tensors, because it expects other names for the rest" in lines
    assert "convert     --to diffusers or peft or kohya or comfyui renames it" in lines
    made = renamed(content(tensors), "comfyui").tensors
    assert lora_report(content(made))["programs"]["ComfyUI's Load LoRA"] == len(made) == 6


def test_what_is_not_understood_is_listed() -> None:
    tensors = wan("comfyui")
    del tensors["diffusion_model.blocks.3.ffn.2.lora_B.weight"]
    tensors["diffusion_model.blocks.3.norm3.diff"] = torch.zeros(3)
    tensors["something"] = torch.zeros(1)
    report = lora_report(content(tensors))
    assert (report["matched"], report["keys"]) == (18, 21)
    assert report["unmatched"] == {
        "half of a pair: its up matrix is missing": (
            1,
            "diffusion_model.blocks.3.ffn.2.lora_A.weight",
        ),
        "a change of whole weights, not a pair of matrices": (
            1,
            "diffusion_model.blocks.3.norm3.diff",
        ),
        "no name of a LoRA's": (1, "something"),
    }
    with pytest.raises(FormatError, match="half of a pair"):
        renamed(content(tensors), "kohya")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = tmp_path / "wan.safetensors", tmp_path / "comfyui.safetensors"
    save_file({name: tensor.clone() for name, tensor in wan("diffusers").items()}, path)
    before = path.read_bytes()
    assert main(["inspect", str(path)]) == 0
    said = capsys.readouterr().out
    assert "wan.safetensors: a LoRA for Wan; apply it with Load LoRA to a Wan model." in said
    assert "matched     20 of 20 tensors, 10 layers, rank 1" in said
    assert "ComfyUI's Load LoRA: loads none of it, because it expects other names" in said
    assert "diffusers: loads it as it is" in said
    assert main(["convert", str(path), "--to", "comfyui", "--output", str(output)]) == 0
    assert path.read_bytes() == before
    assert set(load_file(output)) == set(wan("comfyui"))
    capsys.readouterr()
    assert main(["convert", str(path), "--to", "animatediff", "--output", str(output)]) == 2
    assert "cannot be saved in the format animatediff" in capsys.readouterr().err
