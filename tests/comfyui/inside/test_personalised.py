"""A motion trained on the sample base, played in its personalised checkpoint with a LoRA of looks
besides: KSampler makes what the core's sampler makes.
"""

from __future__ import annotations

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from diffusers import DDIMScheduler
from motion_adapters.nodes.bases import SampleMotionBase

from motion_core.adapters.base import Adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.diffusion.encoding import encode_clip
from motion_core.methods.motion_director import MotionDirector
from motion_core.shape_world.base import ANIMATEDIFF, PERSONALISED, load_shape_world
from motion_core.shape_world.renderer import reference_scene, render
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.video.clips import clips_from_frames
from motion_core.video.settings import ClipSettings
from tests.comfyui.inside.base_objects import outputs
from tests.comfyui.inside.motions import a_lora, comfy_lora, on_animatediff
from tests.comfyui.inside.sampling import FRAMES, core_sampled, distance, sampled

PROMPT = "a red circle zigzagging on a checkered background"


@pytest.fixture(scope="module")
def personalised() -> AnimateDiff:
    """In the core, ending at x_0 as ComfyUI's schedules do."""
    base = load_shape_world(ANIMATEDIFF, PERSONALISED)
    assert isinstance(base, AnimateDiff)
    base.scheduler = DDIMScheduler.from_config({**base.scheduler.config, "set_alpha_to_one": True})
    return base


@pytest.fixture(scope="module")
def moves(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """What MotionDirector learns on the base in a few steps."""
    base = load_shape_world(ANIMATEDIFF)
    frames = torch.from_numpy(render(reference_scene("zigzag")))
    size = ClipSettings(frames=FRAMES, width=64, height=64)
    clip = encode_clip(base, clips_from_frames(frames, 8.0, PROMPT, size)[0])
    settings = TrainSettings(steps=8, learning_rate=5e-3, save_every=0)
    folder = tmp_path_factory.mktemp("run")
    return train(base, [clip], MotionDirector(), settings, folder).adapters["temporal"]


@pytest.fixture(scope="module")
def looks(personalised: AnimateDiff) -> LoraAdapter:
    return a_lora(personalised, "spatial", seed=6)


@pytest.fixture
def model(looks: LoraAdapter) -> ModelPatcher:
    """From the node that stands for a checkpoint's loader, with ComfyUI's LoRA."""
    loaded, *_ = outputs(SampleMotionBase, base="animatediff", checkpoint="personalised")
    stacked, _ = comfy.sd.load_lora_for_models(loaded, None, comfy_lora(looks), 0.7, 0.0)
    assert len(stacked.patches) == len(looks.pairs)
    return stacked


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_trained_motion_plays(
    model: ModelPatcher,
    personalised: AnimateDiff,
    moves: Adapter,
    looks: Adapter,
    strength: float,
) -> None:
    moving, _ = on_animatediff(model, {"m": moves}, temporal_strength=strength)
    core = core_sampled(personalised, [(looks, 0.7), (moves, strength)])
    assert distance(sampled(moving, personalised), core) < 1e-3
    assert distance(core_sampled(personalised, [(looks, 0.7)]), core) > 0.02
    assert distance(core_sampled(personalised, [(moves, strength)]), core) > 0.02


def test_strength_zero_is_no_motion_bit_for_bit(
    model: ModelPatcher, personalised: AnimateDiff, moves: Adapter
) -> None:
    still, _ = on_animatediff(model, {"m": moves}, temporal_strength=0.0)
    assert torch.equal(
        sampled(still, personalised), sampled(on_animatediff(model)[0], personalised)
    )
