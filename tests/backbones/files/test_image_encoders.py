"""Image embeddings: shape world's own encoder, and open_clip's from a file."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from motion_core.backbones.files.image_encoders import (
    check_image_encoder,
    image_encoder_for,
    load_image_encoder,
)
from motion_core.bases import load_base
from motion_core.errors import FormatError, SettingsError
from motion_core.shape_world.clip_model import CLIP_FILE, image_encoder, load_clip
from motion_core.shape_world.vocabulary import load_tokenizer

from ...tiny import tiny_zeroscope

TINY = "motion-adapters-tiny"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> open_clip.CLIP:
    """A tiny architecture that open_clip knows by name, with random weights."""
    config = {
        "embed_dim": 6,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 8, "head_width": 4, "patch_size": 8},
        "text_cfg": {"context_length": 8, "vocab_size": 16, "width": 8, "heads": 2, "layers": 1},
    }
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{TINY}.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return open_clip.CLIP(**config).eval()


def frames(height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_shape_worlds_own_encoder_sees_frames_as_in_its_training() -> None:
    """Pixels from -1 to 1 went straight into the tower; embeddings have length 1."""
    embeds = image_encoder_for(load_base("shape-world-zeroscope"), None).embed(frames())
    with torch.no_grad():
        plain = load_clip(load_tokenizer()).encode_image(frames())
    torch.testing.assert_close(embeds, plain / plain.norm(dim=-1, keepdim=True))
    assert embeds.shape == (3, 64)


def test_of_oblong_frames_the_middle_square_is_seen() -> None:
    wide = torch.cat([torch.ones(3, 3, 64, 10), frames(), torch.zeros(3, 3, 64, 10)], dim=3)
    encoder = image_encoder()
    torch.testing.assert_close(encoder.embed(wide), encoder.embed(frames()))


def test_a_file_gives_open_clips_own_embeddings(tiny_model: open_clip.CLIP, tmp_path: Path) -> None:
    """CLIP's mean and standard deviation are taken from pixels in [0, 1]; at the tower's size
    nothing is resized.
    """
    path = tmp_path / "tiny.safetensors"
    save_file(tiny_model.state_dict(), path)
    embeds = load_image_encoder(path, TINY).embed(frames(16, 16))
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    with torch.no_grad():
        plain = tiny_model.encode_image(((frames(16, 16) + 1) / 2 - mean) / std)
    torch.testing.assert_close(embeds, plain / plain.norm(dim=-1, keepdim=True))


@pytest.fixture(scope="module")
def transformers_tower() -> CLIPVisionModelWithProjection:
    """The same architecture, of transformers, with other random weights."""
    config = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        projection_dim=6,
        hidden_act="gelu",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = CLIPVisionModelWithProjection(config).eval()
        for parameter in model.parameters():
            parameter.data.normal_(0, 0.3)
    return model


@pytest.mark.usefixtures("tiny_model")
def test_a_file_of_transformers_gives_its_embeddings(
    transformers_tower: CLIPVisionModelWithProjection, tmp_path: Path
) -> None:
    """As ComfyUI's and IPAdapter's users have them in models/clip_vision; perhaps with the
    text tower beside it.
    """
    state = {name: t.contiguous() for name, t in transformers_tower.state_dict().items()}
    state["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    save_file(
        {**state, "text_model.final_layer_norm.bias": torch.ones(8)}, tmp_path / "hf.safetensors"
    )
    encoder = load_image_encoder(tmp_path / "hf.safetensors", TINY)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    seen = ((frames(16, 16) + 1) / 2 - mean) / std
    with torch.no_grad():
        plain = transformers_tower(pixel_values=seen).image_embeds
    torch.testing.assert_close(
        encoder.embed(frames(16, 16)), plain / plain.norm(dim=-1, keepdim=True)
    )


@pytest.mark.usefixtures("tiny_model")
def test_a_file_of_transformers_that_is_not_whole_is_refused(
    transformers_tower: CLIPVisionModelWithProjection, tmp_path: Path
) -> None:
    """A key matrix is missing, then the projection, then there is a layer too many."""
    state = {name: t.contiguous() for name, t in transformers_tower.state_dict().items()}
    key = "vision_model.encoder.layers.0.self_attn.k_proj.weight"
    without = {name: t for name, t in state.items() if name != key}
    for tensors, message in (
        (without, r"lacks 1 of .*resblocks\.0\.attn\.in_proj_weight"),
        ({n: t for n, t in state.items() if "projection" not in n}, r"lacks 1 .*visual\.proj"),
        ({**state, "vision_model.encoder.layers.1.mlp.fc1.bias": torch.ones(1)}, "has 1 tensors"),
    ):
        save_file(tensors, tmp_path / "odd.safetensors")
        with pytest.raises(FormatError, match=message):
            load_image_encoder(tmp_path / "odd.safetensors", TINY)


def test_an_encoder_is_checked_before_it_is_needed() -> None:
    check_image_encoder(load_base("shape-world-zeroscope"), None)
    with pytest.raises(SettingsError, match=r"Set image_encoder to .* models/clip_vision"):
        check_image_encoder(tiny_zeroscope(), None)
    with pytest.raises(FormatError, match="lacks 360 of 392"):
        check_image_encoder(tiny_zeroscope(), str(CLIP_FILE))


@pytest.mark.usefixtures("tiny_model")
def test_a_file_of_another_width_is_refused() -> None:
    """Shape world's tower is 64 wide and has more layers than the tiny one."""
    with pytest.raises(FormatError, match=r"clip\.safetensors"):
        load_image_encoder(CLIP_FILE, TINY)


def test_vit_h_14_is_the_default_at_full_size() -> None:
    """32 layers of 12 tensors, and 8: class and position embeddings, patches, projection, 2 norms.
    Shape world's two layers have names in common with 24 + 8 of them.
    """
    with pytest.raises(FormatError, match=r"lacks 360 of 392 tensors of ViT-H-14's image tower"):
        image_encoder_for(tiny_zeroscope(), str(CLIP_FILE))
    with pytest.raises(
        SettingsError, match="Set image_encoder to the path of an open_clip ViT-H-14"
    ):
        image_encoder_for(tiny_zeroscope(), None)


def test_a_file_without_an_image_tower_is_refused(tmp_path: Path) -> None:
    save_file({"text.weight": torch.zeros(1)}, tmp_path / "text.safetensors")
    with pytest.raises(FormatError, match="no image tower"):
        load_image_encoder(tmp_path / "text.safetensors")
