"""The shipped bases: complete, small enough, in the formats that they claim, and good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from motion_core.backbones.files.kinds import file_role
from motion_core.backbones.files.roles import Role
from motion_core.errors import FormatError
from motion_core.shape_world import base
from motion_core.shape_world.base import ANIMATEDIFF, PERSONALISED, ZEROSCOPE, load_shape_world
from motion_core.shape_world.clip_model import load_clip, text_encoder
from motion_core.shape_world.vocabulary import load_tokenizer


def test_the_weights_are_at_most_20_megabytes_of_float16():
    files = sorted(base.WEIGHTS.glob("*.safetensors"))
    assert len(files) == 6
    assert sum(path.stat().st_size for path in base.WEIGHTS.iterdir()) <= 20_000_000
    dtypes = {tensor.dtype for path in files for tensor in load_file(path).values()}
    assert dtypes == {torch.float16}


def test_the_record_tells_seed_steps_losses_and_command():
    record = json.loads((base.WEIGHTS / "pretraining.json").read_text())
    assert "python -m tools.shape_world.pretrain" in record["command"]
    for part in ("vae", "clip", "image", "personalised", "motion", "zeroscope"):
        assert {"seed", "steps", "loss", "seconds"} <= set(record["parts"][part])


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (base.MOTION_MODULE, Role.MOTION_MODULE_V3),
        (base.IMAGE, Role.IMAGE_UNET),
        (base.PERSONALISED, Role.IMAGE_UNET),
        (base.VAE, Role.VAE),
    ],
)
def test_files_are_in_the_full_size_formats(path: Path, role: Role):
    assert file_role(path) is role


@pytest.mark.parametrize("name", [ANIMATEDIFF, ZEROSCOPE])
def test_a_base_predicts_v_on_a_schedule_with_zero_terminal_snr(name: str):
    backbone = load_shape_world(name)
    latents = torch.randn(1, 4, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    embeds = backbone.text.encode(["a red circle moving left on a white background"])
    with torch.no_grad():
        model_pred = backbone.predict(latents, torch.tensor([999]), embeds)
    assert model_pred.shape == latents.shape
    assert float(backbone.scheduler.alphas_cumprod[-1]) == 0.0
    # At the last timestep the input is noise alone and v = -z_0: the prediction is not the noise.
    correlation = torch.corrcoef(torch.stack([model_pred.flatten(), latents.flatten()]))[0, 1]
    assert abs(float(correlation)) < 0.5


def test_the_personalised_checkpoint_shares_everything_but_the_image_unet():
    plain, other = load_shape_world(ANIMATEDIFF), load_shape_world(ANIMATEDIFF, PERSONALISED)
    theirs = other.network.state_dict()
    for name, tensor in plain.network.state_dict().items():
        if "motion_modules" in name:
            assert torch.equal(tensor, theirs[name])
    assert not torch.equal(plain.network.conv_in.weight, other.network.conv_in.weight)


def test_the_text_tower_computes_what_open_clip_computes():
    tokenizer = load_tokenizer()
    clip = load_clip(tokenizer)
    encoder = text_encoder(clip, tokenizer)
    prompts = ["a red circle moving left on a white background", "zigzag"]
    tokens = encoder.tokenize(prompts)
    assert torch.equal(tokens, tokenizer(prompts))
    with torch.no_grad():
        hidden = clip.token_embedding(tokens) + clip.positional_embedding
        expected = clip.ln_final(clip.transformer(hidden, attn_mask=clip.attn_mask))
    torch.testing.assert_close(encoder.encode(prompts), expected, atol=1e-5, rtol=1e-5)


def test_a_wrong_name_or_checkpoint_is_refused():
    with pytest.raises(FormatError, match="no base 'shape-world'"):
        load_shape_world("shape-world")
    with pytest.raises(FormatError, match="does not use an image checkpoint"):
        load_shape_world(ZEROSCOPE, PERSONALISED)
    with pytest.raises(FormatError, match="motion_module"):
        load_shape_world(ANIMATEDIFF, base.MOTION_MODULE)


@pytest.mark.parametrize(
    ("layer", "down", "up", "what"),
    [
        (
            "mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora",
            "down",
            "up",
            "an AnimateDiff domain adapter",
        ),
        (
            "lora_unet_mid_block_resnets_0_conv1",
            "lora_down",
            "lora_up",
            "an image LoRA in kohya's format",
        ),
    ],
)
def test_a_lora_as_image_checkpoint_is_named(
    layer: str, down: str, up: str, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "style.safetensors"
    kernel, one = ((3, 3), (1, 1)) if "conv" in layer else ((), ())
    pair = {down: torch.zeros(2, 8, *kernel), up: torch.zeros(8, 2, *one)}
    save_file({f"{layer}.{name}.weight": matrix for name, matrix in pair.items()}, path)
    with pytest.raises(
        FormatError, match=rf"style\.safetensors is {what}, not an image checkpoint"
    ):
        load_shape_world(ANIMATEDIFF, path)
