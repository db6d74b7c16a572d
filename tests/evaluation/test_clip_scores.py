"""CLIP's scores on unit features by hand, and CLIP itself: shape world's, and open_clip's."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from motion_core.errors import FormatError
from motion_core.evaluation.base import Subject
from motion_core.evaluation.clip_model import open_clip_model, shape_world_clip
from motion_core.evaluation.clip_scores import (
    ClipScorer,
    adjacent_consistency,
    pairwise_consistency,
    text_similarity,
)
from motion_core.evaluation.videos import Video
from motion_core.shape_world.renderer import reference_scene, render

TINY = "tiny-of-the-tests"
CONFIG = {
    "embed_dim": 8,
    "vision_cfg": {
        "image_size": 16,
        "layers": 1,
        "width": 16,
        "head_width": 8,
        "patch_size": 8,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
# Angles of 0, 0 and 90 degrees.
FEATURES = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def shapes(motion: str, colour: str, shape: str, background: str) -> Tensor:
    scene = reference_scene(motion, colour, shape, background)
    return torch.from_numpy(render(scene)).permute(0, 3, 1, 2) * 2 - 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[open_clip.CLIP, Path]:
    """A tiny architecture under a name of its own, and the file of its random weights."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / f"{TINY}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f"{TINY}.json")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.create_model(TINY).eval()
    weights = folder / "tiny.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
    return model, weights


def test_text_similarity_is_the_mean_over_frames() -> None:
    """cos = 0.6, 0.6, 0.8: their mean is 2/3."""
    assert text_similarity(FEATURES, torch.tensor([0.6, 0.8])) == pytest.approx(2 / 3)


def test_consistency_of_adjacent_frames_and_of_all_pairs() -> None:
    """Adjacent: 1 and 0, mean 1/2. Pairs: 1, 0 and 0, mean 1/3."""
    assert adjacent_consistency(FEATURES) == pytest.approx(1 / 2)
    assert pairwise_consistency(FEATURES) == pytest.approx(1 / 3)


def test_shape_world_clip_tells_what_is_seen() -> None:
    clip = shape_world_clip()
    frames = shapes("zigzag", "blue", "square", "black")
    right, wrong = clip.texts(
        ["a blue square on a black background", "a red circle on a white background"]
    )
    images = clip.images(frames)
    assert images.norm(dim=1) == pytest.approx(torch.ones(16))
    assert text_similarity(images, right) > text_similarity(images, wrong) + 0.2


def test_larger_frames_are_scaled_and_cut_about_the_middle() -> None:
    """Twice the size with bars at the sides: the middle square is the clip itself."""
    clip = shape_world_clip()
    frames = shapes("zigzag", "blue", "square", "black")[:2]
    large = torch.nn.functional.interpolate(frames, scale_factor=2, mode="nearest")
    wide = torch.nn.functional.pad(large, (32, 32), value=1.0)
    assert (clip.images(frames) * clip.images(wide)).sum(dim=1).min() > 0.99


def test_only_the_texts_that_there_are_give_scores() -> None:
    scorer = ClipScorer(clip=shape_world_clip())
    frames = shapes("zigzag", "blue", "square", "black")[:2]
    video = Video(name="blue", frames=frames, fps=8.0)
    consistency = {"consistency_adjacent", "consistency_pairs"}
    assert set(scorer.score(Subject(video=video))) == consistency
    both = scorer.score(Subject(video=video, prompt="a red circle", entity_prompt="a blue square"))
    assert set(both) == {"clip_t", "clip_e", *consistency}
    assert both["clip_e"] > both["clip_t"]


def test_open_clip_weights_from_a_file(tiny: tuple[open_clip.CLIP, Path]) -> None:
    """The same features as from the model that the file was made of, fed by open_clip's own
    tokenizer. Frames of the model's size that are grey, 128 of 255, are (128/255 - mean)/std."""
    model, weights = tiny
    clip = open_clip_model(TINY, weights)
    frames = torch.full((2, 3, 16, 16), 128 / 127.5 - 1)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    with torch.no_grad():
        images = model.encode_image((torch.full((2, 3, 16, 16), 128 / 255) - mean) / std)
        texts = model.encode_text(open_clip.tokenize(["a bear"]))
    assert torch.allclose(clip.images(frames), images / images.norm(dim=1, keepdim=True), atol=1e-5)
    assert torch.allclose(clip.texts(["a bear"]), texts / texts.norm(dim=1, keepdim=True))


def test_weights_that_cannot_be(tiny: tuple[open_clip.CLIP, Path], tmp_path: Path) -> None:
    model, _ = tiny
    other, damaged = tmp_path / "other.safetensors", tmp_path / "damaged.pt"
    save_file({"logit_scale": model.logit_scale.detach().clone()}, other)
    damaged.write_bytes(b"no weights")
    for path, expected in (
        (other, "other.safetensors does not contain the weights of open_clip's tiny"),
        (damaged, "damaged.pt does not contain the weights"),
        (tmp_path / "none.bin", "There is no file"),
    ):
        with pytest.raises(FormatError, match=expected):
            open_clip_model(TINY, path)


def test_names_that_cannot_be(tmp_path: Path) -> None:
    weights = tmp_path / "any.bin"
    with pytest.raises(FormatError, match="open_clip has no model 'ViT-Z'"):
        open_clip_model("ViT-Z", weights)
    with pytest.raises(FormatError, match="open_clip has no model 'hf-hub:some/where'"):
        open_clip_model("hf-hub:some/where", weights)
    with pytest.raises(FormatError, match="would have to be downloaded"):
        open_clip_model("roberta-ViT-B-32", weights)
