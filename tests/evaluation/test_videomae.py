"""MoTrans's motion fidelity with a real VideoMAE of tiny size and random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEModel

from motion_core.errors import FormatError
from motion_core.evaluation.base import Subject
from motion_core.evaluation.videomae import load_videomae, videomae_scorer
from motion_core.evaluation.videos import Video

SIDE, FRAMES = 16, 4
# What a value of 0.5 becomes: (0.5 - mean)/std of ImageNet.
GREY = torch.tensor([(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225])


def config(mean_pooling: bool) -> VideoMAEConfig:
    return VideoMAEConfig(
        image_size=SIDE,
        patch_size=8,
        num_frames=FRAMES,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        initializer_range=0.5,
        use_mean_pooling=mean_pooling,
        num_labels=3,
    )


def saved(model: VideoMAEModel | VideoMAEForVideoClassification, folder: Path) -> Path:
    model.eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return saved(VideoMAEModel(config(False)), tmp_path_factory.mktemp("models") / "videomae")


def noise(seed: int, frames: int = FRAMES) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(frames, 3, SIDE, SIDE, generator=generator) * 2 - 1


def test_the_cosine_with_the_reference(folder: Path) -> None:
    """1 for the reference itself; for another video the cosine of the two features, the same both
    ways and less than 1."""
    model = load_videomae(folder)
    one, other = (Video(name="x", frames=noise(seed), fps=8.0) for seed in (0, 1))

    def score(reference: Video, video: Video) -> float:
        scores = videomae_scorer(model, reference).score(Subject(video=video))
        return scores["motion_fidelity_videomae"]

    assert score(one, one) == pytest.approx(1.0)
    assert score(one, other) == pytest.approx(score(other, one))
    assert score(one, other) < 0.99


def test_the_feature_is_the_unit_mean_of_all_tokens(folder: Path) -> None:
    """Grey frames of the model's own size: what they are fed in as is known by hand."""
    feature = load_videomae(folder).features(torch.zeros(FRAMES, 3, SIDE, SIDE))
    pixels = GREY.view(1, 1, 3, 1, 1).expand(1, FRAMES, 3, SIDE, SIDE)
    with torch.no_grad():
        tokens = VideoMAEModel.from_pretrained(folder).eval()(pixels).last_hidden_state
    mean = tokens[0].mean(dim=0)
    assert torch.allclose(feature, mean / mean.norm(), atol=1e-5)


def test_loading_is_silent(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_videomae(folder)
    assert capfd.readouterr().err == ""


def test_frames_are_picked_evenly(folder: Path) -> None:
    """Four of seven: 0, 2, 4, 6. Four of two: 0, 1/3, 2/3, 1 are the frames 0, 0, 1, 1."""
    model, long = load_videomae(folder), noise(2, frames=7)
    assert torch.equal(model.features(long), model.features(long[::2]))
    assert torch.equal(model.features(long[:2]), model.features(long[[0, 0, 1, 1]]))


def test_a_classifier_lends_its_norm(tmp_path: Path) -> None:
    """Its class scores are a linear map of the feature before it is brought to length 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = VideoMAEForVideoClassification(config(True))
    torch.nn.init.normal_(classifier.fc_norm.weight, generator=torch.Generator().manual_seed(1))
    model = load_videomae(saved(classifier, tmp_path / "tuned"))
    pixels = GREY.view(1, 1, 3, 1, 1).expand(1, FRAMES, 3, SIDE, SIDE)
    with torch.no_grad():
        logits = classifier(pixels).logits[0]
        along = classifier.classifier.weight @ model.features(torch.zeros(FRAMES, 3, SIDE, SIDE))
    centred = logits - classifier.classifier.bias.detach()
    assert torch.allclose(along / along.norm(), centred / centred.norm(), atol=1e-4)


def test_folders_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="There is no folder"):
        load_videomae(tmp_path / "none")
    with pytest.raises(FormatError, match=r"no config.json"):
        load_videomae(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(FormatError, match="type 'clip'; expected 'videomae'"):
        load_videomae(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(FormatError, match="cannot be loaded"):
        load_videomae(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(FormatError, match="cannot be loaded"):
        load_videomae(tmp_path)
