"""v1's group norms: all frames of a video together, in every layer of the UNet."""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from diffusers import MotionAdapter
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn

from motion_core.adapters.lora.training import LoraPlan
from motion_core.backbones.animatediff import AnimateDiff
from motion_core.backbones.checkpointing import gradient_checkpointing
from motion_core.backbones.files.keys import motion_keys
from motion_core.backbones.files.loading import gather
from motion_core.backbones.files.motion_modules import load_motion_modules
from motion_core.backbones.files.tensors import write_tensors
from motion_core.backbones.frame_norms import AcrossFramesNorm, FrameCount, as_frames, as_video
from motion_core.shape_world.base import load_shape_world
from tests.tiny import PROMPT_DIM, tiny_animatediff
from tests.versions import V1, as_version

FRAMES, GROUPS = 3, 4


@pytest.fixture
def first() -> AnimateDiff:
    return as_version(tiny_animatediff(mid_block=False), V1)


def inputs(frames: int = FRAMES, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    latents = torch.randn(batch, 4, frames, 8, 8, generator=rng)
    prompt_embeds = torch.randn(batch, 5, PROMPT_DIM, generator=rng)
    return latents, torch.tensor([3, 900])[:batch], prompt_embeds


def test_two_frames_have_one_mean_and_one_variance() -> None:
    """Frames (1, 3) and (5, 7) of one video, one group of two channels, one pixel: the mean is 4
    and the variance (9 + 1 + 1 + 9)/4 = 5. Alone, each has a variance of 1 about its own mean. The
    second video is twice as large, and normalised it is the same.
    """
    norm = nn.GroupNorm(1, 2, eps=0.0)
    frames = torch.tensor([[1.0, 3.0], [5.0, 7.0], [2.0, 6.0], [10.0, 14.0]])[:, :, None, None]
    alone = torch.tensor([-1.0, 1.0]).expand(4, 2)
    torch.testing.assert_close(norm(frames)[:, :, 0, 0], alone)
    norm.__class__, norm.count = AcrossFramesNorm, FrameCount(2)
    together = torch.tensor([[-3.0, -1.0], [1.0, 3.0]]).repeat(2, 1) / math.sqrt(5.0)
    torch.testing.assert_close(norm(frames)[:, :, 0, 0], together)


def test_a_video_and_its_frames_are_laid_out_clip_by_clip() -> None:
    frames = torch.arange(4.0)[:, None, None, None].expand(4, 2, 1, 1)
    video = as_video(frames, 2)
    assert video.shape == (2, 2, 2, 1, 1)
    assert video[1, 0, :, 0, 0].tolist() == [2.0, 3.0]
    assert torch.equal(as_frames(video), frames)


def normalised(norm: nn.GroupNorm, x: Tensor, together: int) -> Tensor:
    """(N, C, h, w), `together` of them at once: (x − μ)/√(σ² + ε)·w + b, with μ and σ² over the
    frames, a group's channels and the pixels.
    """
    grouped = x.reshape(-1, together, GROUPS, x.shape[1] // GROUPS, *x.shape[2:])
    mean = grouped.mean((1, 3, 4, 5), keepdim=True)
    variance = (grouped - mean).square().mean((1, 3, 4, 5), keepdim=True)
    plain = ((grouped - mean) / (variance + norm.eps).sqrt()).reshape(x.shape)
    return plain * norm.weight[:, None, None] + norm.bias[:, None, None]


def apart(x: Tensor) -> Tensor:
    return as_frames(x) if x.ndim == 5 else x


@pytest.mark.parametrize(
    ("version", "spatial", "temporal"),
    [
        (V1, FRAMES, FRAMES),
        ("animatediff-sd15-v2", 1, 1),
        ("animatediff-sd15-v3", 1, 1),
        ("shape-world-animatediff", 1, FRAMES),
    ],
)
def test_every_norm_of_a_version(version: str, spatial: int, temporal: int) -> None:
    """The resnets' (2 each of 2 down, 2 in the middle, 4 up), 4 transformers', the last one, and
    those of 6 motion modules.
    """
    backbone = as_version(tiny_animatediff(mid_block=False), version)
    seen: list[tuple[nn.GroupNorm, Tensor, Tensor]] = []
    for module in backbone.network.modules():
        if isinstance(module, nn.GroupNorm):
            module.register_forward_hook(lambda n, args, out: seen.append((n, args[0], out)))
    with torch.no_grad():
        backbone.predict(*inputs())
    modules = [m for m in backbone.network.modules() if isinstance(m, AnimateDiffTransformer3D)]
    moving = {module.norm for module in modules}
    assert len(seen) == 2 * 8 + 4 + 1 + 6
    for norm, x, out in seen:
        together = temporal if norm in moving else spatial
        expected = normalised(norm, apart(x), together)
        torch.testing.assert_close(apart(out), expected, rtol=1e-4, atol=1e-5)


def test_a_single_frame_is_what_it_is_in_the_other_versions(first: AnimateDiff) -> None:
    with torch.no_grad():
        first.predict(*inputs())
        one = first.predict(*inputs(frames=1))
        assert torch.equal(one, tiny_animatediff(mid_block=False).predict(*inputs(frames=1)))


def test_the_clips_of_a_batch_do_not_see_each_other(first: AnimateDiff) -> None:
    latents, timesteps, embeds = inputs()
    with torch.no_grad():
        both = first.predict(latents, timesteps, embeds)
        for clip in range(2):
            own = slice(clip, clip + 1)
            alone = first.predict(latents[own], timesteps[own], embeds[own])
            torch.testing.assert_close(both[own], alone, rtol=1e-4, atol=1e-5)


def gradients(backbone: AnimateDiff, checkpointed: bool) -> dict[str, Tensor]:
    """Of a video and a single frame after it, both of which are computed again in backward."""
    backbone.network.requires_grad_(True)
    with gradient_checkpointing(backbone.network) if checkpointed else nullcontext():
        loss = backbone.predict(*inputs()).square().mean()
        loss = loss + backbone.predict(*inputs(frames=1)).square().mean()
        loss.backward()
    return {n: p.grad for n, p in backbone.network.named_parameters() if p.grad is not None}


def test_checkpointing_gives_the_same_gradients(first: AnimateDiff) -> None:
    plain = gradients(first, checkpointed=False)
    again = gradients(as_version(first, V1), checkpointed=True)
    assert plain.keys() == again.keys()
    for key, gradient in plain.items():
        torch.testing.assert_close(again[key], gradient, rtol=1e-4, atol=1e-7)


def test_a_copy_has_its_own_frames(first: AnimateDiff) -> None:
    with torch.no_grad():
        video = first.predict(*inputs())
        copied = copy.deepcopy(first)
        assert torch.equal(copied.predict(*inputs()), video)
        copied.predict(*inputs(frames=2))
    counts = [backbone.network.conv_norm_out.count.frames for backbone in (first, copied)]
    assert counts == [FRAMES, 2]


def test_a_lora_is_put_in_and_taken_out(first: AnimateDiff) -> None:
    names = first.sites("spatial") + first.sites("temporal")
    plan = LoraPlan(scope="temporal", linears=names, rank=2, alpha=2.0)
    with torch.no_grad():
        before = first.predict(*inputs())
        with plan.made("motion", first, torch.Generator()) as lora, lora.active():
            assert torch.equal(first.predict(*inputs()), before)
            for parameter in lora.parameters:
                parameter.add_(0.1)
            assert not torch.allclose(first.predict(*inputs()), before, atol=1e-3)
        assert torch.equal(first.predict(*inputs()), before)


@pytest.mark.parametrize(
    ("length", "mid_block", "version", "kind"),
    [
        (24, False, "animatediff-sd15-v1", "SkippingMotionModule"),
        (64, False, "animatediff-sd15-v1", "SkippingMotionModule"),
        (32, True, "animatediff-sd15-v2", "OriginalMotionModule"),
        (32, False, "animatediff-sd15-v3", "OriginalMotionModule"),
    ],
)
def test_a_file_of_the_authors_says_its_version(
    tmp_path: Path, length: int, mid_block: bool, version: str, kind: str
) -> None:
    """By its middle and its positions; the modules alone have no spatial norms."""
    modules = MotionAdapter(
        block_out_channels=(8, 16),
        motion_layers_per_block=1,
        motion_norm_num_groups=GROUPS,
        motion_num_attention_heads=2,
        motion_max_seq_length=length,
        use_motion_mid_block=mid_block,
    )
    file = tmp_path / "mm.safetensors"
    write_tensors(file, gather(modules, motion_keys(modules.state_dict())), {})
    motion = load_motion_modules(file, norm_groups=GROUPS)
    assert (motion.version, motion.max_frames) == (version, length)
    parts = list(motion.modules.modules())
    kinds = {type(part).__name__ for part in parts if isinstance(part, AnimateDiffTransformer3D)}
    assert kinds == {kind}
    assert not any(isinstance(part, AcrossFramesNorm) for part in parts)
    assert not motion.modules._forward_pre_hooks


def test_shape_world_stays_as_it_was_trained() -> None:
    unet = load_shape_world("shape-world-animatediff").network
    assert not any(isinstance(part, AcrossFramesNorm) for part in unet.modules())
    assert not unet._forward_pre_hooks
