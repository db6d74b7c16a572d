"""PickScore with a real transformers CLIP of tiny size and random weights."""

from __future__ import annotations

import math
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from motion_core.errors import FormatError
from motion_core.evaluation.base import Subject
from motion_core.evaluation.pick_score import load_pick_score
from motion_core.evaluation.preprocessing import CLIP_MEAN, CLIP_STD
from motion_core.evaluation.videos import Video

SIDE = 16
SMALL = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "initializer_factor": 10.0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = CLIPTextConfig(vocab_size=49408, eos_token_id=49407, bos_token_id=49406, **SMALL)
    vision = CLIPVisionConfig(image_size=SIDE, patch_size=8, **SMALL)
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(config)
    folder = tmp_path_factory.mktemp("models") / "pick"
    model.eval().save_pretrained(folder)
    return folder


def test_the_mean_over_frames_of_what_the_model_itself_gives(folder: Path) -> None:
    """CLIP's own logits are cosine × exp(logit_scale): Pick-a-Pic's Eq. 1, averaged over frames."""
    frames = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    video = Video(name="x", frames=frames, fps=8.0)
    score = load_pick_score(folder).score(Subject(video=video, prompt="a bear walks"))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    with torch.no_grad():
        logits = (
            CLIPModel.from_pretrained(folder)
            .eval()(
                input_ids=open_clip.tokenize(["a bear walks"]),
                pixel_values=((frames + 1) / 2 - mean) / std,
            )
            .logits_per_image
        )
    assert logits.std() > 1e-3
    assert score == {"pick_score": pytest.approx(float(logits.mean()), rel=1e-4)}


def test_the_temperature_counts(folder: Path, tmp_path: Path) -> None:
    """exp(logit_scale) twice as large doubles the score."""
    weights = load_file(folder / "model.safetensors")
    weights["logit_scale"] = weights["logit_scale"] + math.log(2)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    subject = Subject(video=Video(name="x", frames=torch.zeros(2, 3, 20, 16), fps=8.0), prompt="a")
    once, twice = (load_pick_score(f).score(subject)["pick_score"] for f in (folder, tmp_path))
    assert twice == pytest.approx(2 * once)


def test_no_prompt_no_score(folder: Path) -> None:
    video = Video(name="x", frames=torch.zeros(2, 3, SIDE, SIDE), fps=8.0)
    assert load_pick_score(folder).score(Subject(video=video)) == {}


def test_a_folder_without_some_weights(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(FormatError, match=r"lacks 1 weights .* visual_projection.weight"):
        load_pick_score(tmp_path)
