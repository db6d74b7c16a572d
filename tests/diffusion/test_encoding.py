"""encoding.py on real, tiny VAEs and text towers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from motion_core.backbones import video_encoder
from motion_core.backbones.base import Backbone
from motion_core.diffusion.encoding import (
    clip_digest,
    decode_latents,
    encode_clip,
    encode_clips,
    encode_prompts,
    encoders_digest,
    release_encoders,
    working_device,
)
from motion_core.errors import MotionError, SettingsError
from motion_core.shape_world.renderer import reference_scene, render
from motion_core.types import Clip

from ..tiny import tiny_animatediff, tiny_zeroscope

BUILDERS = pytest.mark.parametrize("build", [tiny_animatediff, tiny_zeroscope])
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")


@contextmanager
def calls(module: nn.Module) -> Iterator[list[int]]:
    """Batch sizes of the module's forward passes, by a hook on the real module."""
    seen: list[int] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    try:
        yield seen
    finally:
        hook.remove()


def shape_clip(frames: int = 8, prompt: str = "a red circle") -> Clip:
    pixels = torch.from_numpy(render(reference_scene("zigzag"), list(range(frames))))
    return Clip(frames=pixels.permute(0, 3, 1, 2) * 2 - 1, fps=8.0, prompt=prompt, source="shape")


def assert_same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@BUILDERS
def test_latents_are_the_scaled_mode_of_each_frame(build: Callable[[], Backbone]) -> None:
    """z = scaling_factor · mode(E(x)), frame by frame; (F, C, h, w) → (1, C, F, h, w)."""
    backbone, clip = build(), shape_clip()
    latent = encode_clip(backbone, clip)
    assert latent.latents.shape == (1, 4, 8, 8, 8)
    assert (latent.prompt, latent.fps, latent.source) == (clip.prompt, clip.fps, clip.source)
    for k in (0, 5):
        with torch.no_grad():
            mean = backbone.vae.encode(clip.frames[k : k + 1]).latent_dist.mean[0]
        assert_same(latent.latents[0, :, k], mean * backbone.vae.config["scaling_factor"])
    assert torch.equal(latent.latents, encode_clip(backbone, clip).latents)
    assert torch.equal(latent.prompt_embeds, backbone.text.encode([clip.prompt]))


@BUILDERS
def test_frames_are_decoded_one_by_one_and_clamped(build: Callable[[], Backbone]) -> None:
    """x = clamp(D(z / scaling_factor)). Latents of ±50 overshoot [-1, 1], so the clamp shows."""
    backbone = build()
    latents = 50 * torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    frames = decode_latents(backbone, latents)
    assert frames.shape == (3, 3, 64, 64)
    with torch.no_grad():
        raw = backbone.vae.decode(latents[:, :, 1] / backbone.vae.config["scaling_factor"]).sample
    assert raw.abs().max() > 1
    assert_same(frames[1], raw[0].clamp(-1, 1))


def test_slices_bound_what_passes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """7 frames of 64·64 at 3·64·64 pixels at once: 3 + 3 + 1, both ways, with the same result."""
    backbone, clip = tiny_animatediff(), shape_clip(7)
    whole = encode_clip(backbone, clip)
    frames = decode_latents(backbone, whole.latents)
    monkeypatch.setattr(video_encoder, "SLICE_PIXELS", 3 * 64 * 64)
    with calls(backbone.vae.encoder) as encoded, calls(backbone.vae.decoder) as decoded:
        sliced = encode_clip(backbone, clip)
        again = decode_latents(backbone, whole.latents)
    assert (encoded, decoded) == ([3, 3, 1], [3, 3, 1])
    assert_same(sliced.latents, whole.latents)
    assert_same(again, frames)
    monkeypatch.setattr(video_encoder, "SLICE_PIXELS", 1)
    assert_same(decode_latents(backbone, whole.latents), frames)


def test_an_image_is_a_clip_of_one_frame() -> None:
    latent = encode_clip(tiny_animatediff(), shape_clip(1))
    assert latent.is_image
    assert latent.latents.shape == (1, 4, 1, 8, 8)


def test_more_frames_than_the_base_takes() -> None:
    clip = shape_clip(1)
    long = Clip(frames=clip.frames.repeat(17, 1, 1, 1), fps=8, prompt="x", source="long")
    with pytest.raises(SettingsError, match="17 frames are too many"):
        encode_clip(tiny_animatediff(), long)


def test_decoding_refuses_several_clips() -> None:
    with pytest.raises(MotionError, match=r"shape \(2, 4, 3, 8, 8\); expected one clip's"):
        decode_latents(tiny_animatediff(), torch.zeros(2, 4, 3, 8, 8))


def test_the_cache_spares_the_encoders(tmp_path: Path) -> None:
    """One forward of each the first time, none the second; another prompt or pixel is a miss."""
    backbone, cache = tiny_animatediff(), tmp_path / "cache"
    with calls(backbone.vae.encoder) as images, texts(backbone) as prompts:
        first = encode_clip(backbone, shape_clip(), cache)
        assert (len(images), len(prompts)) == (1, 1)
        second = encode_clip(backbone, shape_clip(), cache)
        assert (len(images), len(prompts)) == (1, 1)
        encode_clip(backbone, shape_clip(prompt="a blue circle"), cache)
        assert len(images) == 2
        other = shape_clip()
        other.frames[3, 0, 5, 5] += 0.01
        encode_clip(backbone, other, cache)
        assert len(images) == 3
    assert torch.equal(first.latents, second.latents)
    assert torch.equal(first.prompt_embeds, second.prompt_embeds)
    assert first.digest == second.digest
    assert len(list(cache.iterdir())) == 3


@contextmanager
def texts(backbone: Backbone) -> Iterator[list[int]]:
    seen: list[int] = []
    hook = backbone.text.model.register_forward_hook(lambda *_: seen.append(1))
    try:
        yield seen
    finally:
        hook.remove()


def test_another_model_never_gets_these_latents(tmp_path: Path) -> None:
    """The last bit of one weight of either model, the precision, and the padding all count."""
    backbone = tiny_animatediff()
    digest = encoders_digest(backbone)
    assert digest == encoders_digest(tiny_animatediff())
    others = [tiny_animatediff() for _ in range(3)]
    for module in (others[0].vae, others[1].text.model):
        weight = list(module.parameters())[-1].data.view(-1)
        weight[0] = torch.nextafter(weight[0], weight[0] + 1)
    others[2].vae.to(torch.bfloat16)
    assert len({digest, *map(encoders_digest, others)}) == 4
    first = encode_clip(backbone, shape_clip(), tmp_path)
    weights = tiny_animatediff()
    weights.vae.encoder.conv_in.weight.data.mul_(1.5)
    second = encode_clip(weights, shape_clip(), tmp_path)
    assert first.digest == second.digest
    assert not torch.allclose(first.latents, second.latents)


def test_a_damaged_cache_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backbone = tiny_animatediff()
    first = encode_clip(backbone, shape_clip(), tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        second = encode_clip(backbone, shape_clip(), tmp_path)
    assert "Encoding again" in caplog.text
    assert torch.equal(first.latents, second.latents)
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MotionError, match=r"file.* cannot be written: .*Choose another location"):
        encode_clip(tiny_animatediff(), shape_clip(), tmp_path / "file")


def test_results_can_be_trained_on_even_from_inference_mode(tmp_path: Path) -> None:
    """Fresh and cached: a backward through a product saves the tensor, which inference tensors
    refuse.
    """
    backbone = tiny_animatediff()
    with torch.inference_mode():
        clip = shape_clip()
        made = [encode_clip(backbone, clip, tmp_path) for _ in range(2)]
        tensors = [t for latent in made for t in (latent.latents, latent.prompt_embeds)]
        tensors += [encode_prompts(backbone, ["x"]), decode_latents(backbone, made[0].latents)]
    weight = torch.ones(1, requires_grad=True)
    for tensor in tensors:
        assert not tensor.is_inference() and not tensor.requires_grad
        assert (tensor.dtype, tensor.device.type) == (torch.float32, "cpu")
        (tensor * weight).sum().backward()


def test_half_precision_encoders_give_float32() -> None:
    backbone = tiny_animatediff()
    expected = encode_clip(backbone, shape_clip()).latents
    backbone.vae.to(torch.bfloat16)
    backbone.text.model.to(torch.bfloat16)
    latent = encode_clip(backbone, shape_clip())
    assert latent.latents.dtype == latent.prompt_embeds.dtype == torch.float32
    assert (latent.latents - expected).abs().max() < 0.05 * expected.abs().max()
    assert decode_latents(backbone, latent.latents).dtype == torch.float32


def test_several_clips_keep_their_order() -> None:
    backbone = tiny_animatediff()
    clips = [shape_clip(4, "one"), shape_clip(2, "two")]
    latents = encode_clips(backbone, clips)
    assert [(c.prompt, c.latents.shape[2]) for c in latents] == [("one", 4), ("two", 2)]
    assert [c.digest for c in latents] == [clip_digest(c) for c in clips]
    assert torch.equal(encode_prompts(backbone, ["one", "two"])[1:], latents[1].prompt_embeds)


def test_encoding_leaves_clip_and_models_as_they_were() -> None:
    backbone, clip = tiny_animatediff(), shape_clip()
    digests = (encoders_digest(backbone), clip_digest(clip))
    latent = encode_clip(backbone, clip)
    kept = latent.latents.clone()
    decode_latents(backbone, latent.latents)
    assert digests == (encoders_digest(backbone), clip_digest(clip))
    assert torch.equal(latent.latents, kept)


def test_released_encoders_still_encode() -> None:
    """On a machine without an accelerator, releasing changes nothing."""
    backbone = tiny_animatediff()
    before = encode_clip(backbone, shape_clip()).latents
    release_encoders(backbone)
    assert working_device(backbone).type == "cpu"
    assert torch.equal(encode_clip(backbone, shape_clip()).latents, before)


@on_gpu
def test_released_encoders_come_for_the_call_and_go_back() -> None:
    backbone = tiny_animatediff()
    expected = encode_clip(backbone, shape_clip()).latents
    for part in (backbone.network, backbone.vae, backbone.text.model):
        part.to("cuda")
    release_encoders(backbone)
    where: list[str] = []
    hook = backbone.vae.encoder.register_forward_pre_hook(
        lambda _, inputs: where.append(inputs[0].device.type)
    )
    latent = encode_clip(backbone, shape_clip())
    hook.remove()
    assert where == ["cuda"]
    assert latent.latents.device.type == "cpu"
    torch.testing.assert_close(latent.latents, expected, rtol=1e-2, atol=1e-2)
    assert decode_latents(backbone, latent.latents.cuda()).device.type == "cpu"
    assert {p.device.type for p in backbone.vae.parameters()} == {"cpu"}
