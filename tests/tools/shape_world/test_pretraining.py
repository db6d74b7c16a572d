"""Pieces of the pretraining against values worked out by hand."""

import math

import numpy as np
import torch
from diffusers import DDIMScheduler

from motion_core.shape_world.motions import Track
from motion_core.shape_world.networks import build_image_unet, build_scheduler, build_unet3d
from motion_core.shape_world.renderer import Scene
from motion_core.shape_world.vocabulary import caption_words
from tools.shape_world.pretraining.data import training_caption, unknown_words
from tools.shape_world.pretraining.denoiser import DenoiserRun, train_denoiser
from tools.shape_world.pretraining.feature_matching import FeatureMatching
from tools.shape_world.pretraining.frame_probes import WEIGHT, FrameProbes
from tools.shape_world.pretraining.latents import Drawn, loss_weights
from tools.shape_world.pretraining.schedule import one_cycle

from ...tiny import tiny_text


def scene(x: float, y: float, radius: float) -> Scene:
    track = Track(
        positions=np.array([[x, y]]),
        radii=np.array([radius]),
        pan=np.zeros((1, 2)),
        zoom=np.ones(1),
    )
    return Scene(shape="circle", colour="red", background="white", phrase="resting", track=track)


def test_one_cycle_by_hand():
    """Warm-up of 10: 1/10 at step 0, 10/10 at step 9. Then ½(1 + cos(π(step − 10)/90)): 1 at 10, ½
    at 55."""
    assert one_cycle(0, 100, warmup=10) == 0.1
    assert one_cycle(9, 100, warmup=10) == 1.0
    assert one_cycle(10, 100, warmup=10) == 1.0
    assert abs(one_cycle(55, 100, warmup=10) - 0.5) < 1e-12


def test_loss_weights_by_hand():
    """An object of radius 5 at (20, 12), the centre of cell (1, 2): within 5 + 4 = 9 pixels lie
    its own cell's centre (distance 0) and its four neighbours' (8); diagonal ones (11.3) do
    not."""
    weights = loss_weights(scene(20, 12, 5.0))[0, 0]
    heavy = {tuple(place) for place in (weights == 4).nonzero().tolist()}
    assert heavy == {(1, 2), (0, 2), (2, 2), (1, 1), (1, 3)}
    assert int((weights == 1).sum()) == 64 - 5


def test_captions_leave_out_and_replace_the_motion():
    rng = np.random.default_rng(0)
    captions = [training_caption(scene(20, 12, 5.0), rng) for _ in range(500)]
    with_motion = sum("resting" in caption for caption in captions) / 500
    without = captions.count("a red circle on a white background") / 500
    assert abs(with_motion - 0.43) < 0.08
    assert abs(without - 0.12) < 0.06
    many = [unknown_words(rng).split() for _ in range(100)]
    assert all(2 <= len(word) <= 14 for words in many for word in words)
    assert all(1 <= len(words) and sum(map(len, words)) <= 20 for words in many)
    assert not {word for words in many for word in words} & set(caption_words())


def test_the_denoiser_loop_learns_v_and_empties_one_prompt_in_ten():
    """A single number m per place that should predict v. For latents of constant 0, v = sqrt(ᾱ)·ε,
    whose mean is 0: m, started at 1, must come close to it."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 1.0)
    text = tiny_text()
    nothing = text.encode([""])[0]
    empty: list[bool] = []

    def predict(noisy: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor):
        empty.extend(torch.allclose(one, nothing, atol=1e-5) for one in embeds)
        return module.weight.expand_as(noisy)

    def draw(rng: np.random.Generator) -> Drawn:
        return Drawn(torch.zeros(8, 4, 2, 2), torch.ones(8, 1, 2, 2), ["words"] * 8)

    run = DenoiserRun(name="test", steps=300, learning_rate=0.05, seed=0)
    scheduler: DDIMScheduler = build_scheduler("linear")
    record = train_denoiser(run, module, predict, draw, text, scheduler)
    assert abs(float(module.weight)) < 0.1
    assert abs(sum(empty) / len(empty) - 0.1) < 0.03
    assert record["steps"] == 300


def test_frame_probes_know_nothing_at_first_and_train_the_features():
    """Heads of zeros give every frame the same score: cross-entropy ln 4 with 4 frames, times the
    weight. There is one head for each temporal transformer but `transformer_in`: 1 down, 1 in the
    middle, 2 up. The loss reaches the UNet's temporal convolutions."""
    torch.manual_seed(0)
    unet = build_unet3d()
    probes = FrameProbes(unet, 4)
    assert len(probes.heads) == 4
    for head in probes.heads:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    inputs = torch.randn(1, 4, 4, 8, 8), torch.tensor([500]), torch.randn(1, 5, 64)
    unet(*inputs)
    assert math.isclose(probes(*inputs).item(), WEIGHT * math.log(4), rel_tol=1e-5)
    torch.nn.init.normal_(probes.heads[0].weight)
    unet(*inputs)
    probes(*inputs).backward()
    convolution = unet.down_blocks[0].temp_convs[0].conv4[-1]
    assert convolution.weight.grad.abs().sum() > 0
    probes.detach()
    unet(*inputs)
    assert probes.seen == []


def test_features_of_the_same_unet_match_and_doubled_ones_are_apart_by_one():
    """|f − f|² = 0; and with a tuned UNet whose last site gives 2f, that site's ratio is
    |2f − f|² / |f|² = 1, the other five's 0: a mean of 1/6."""
    torch.manual_seed(0)
    frozen, tuned = build_image_unet(), build_image_unet()
    tuned.load_state_dict(frozen.state_dict())
    last = tuned.up_blocks[-1].attentions[-1]
    doubling = last.register_forward_hook(lambda _m, _i, out: (2 * out[0],))
    matching = FeatureMatching(tuned, frozen)
    inputs = torch.randn(2, 4, 8, 8), torch.tensor([500, 900]), torch.randn(2, 5, 64)
    tuned(*inputs)
    assert math.isclose(matching(*inputs).item(), 1 / 6, rel_tol=1e-5)
    doubling.remove()
    tuned(*inputs)
    assert matching(*inputs).item() == 0.0
