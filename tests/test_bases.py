"""Bases by name: what each takes, and that the tiny ones load through the names that people use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motion_core.bases import BASES, base_defaults, check_parts, load_base
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import FormatError, SettingsError
from motion_core.settings import from_mapping, to_mapping
from motion_core.training.settings import TrainSettings
from motion_core.video.settings import ClipSettings
from tests.base_files import save_checkpoint, save_motion_module, save_video_model
from tests.tiny import tiny_animatediff, tiny_zeroscope


def test_an_unknown_base_lists_all() -> None:
    with pytest.raises(SettingsError, match="There is no base 'sora'") as refused:
        base_defaults("sora")
    assert all(name in str(refused.value) for name in BASES)


@pytest.mark.parametrize("name", BASES)
def test_the_defaults_are_settings(name: str) -> None:
    base = BASES[name]
    """None is refused, and a training runs with what the base asks for."""
    ClipSettings(frames=base.frames, fps=base.fps, width=base.width, height=base.height)
    SampleSettings(
        steps=base.sample_steps,
        guidance_scale=base.guidance_scale,
        frames=base.frames,
        width=base.width,
        height=base.height,
    )
    train = to_mapping(from_mapping(TrainSettings, base.train))
    assert {name: train[name] for name in base.train} == dict(base.train)


@pytest.mark.parametrize(
    ("motion_module", "sampled"),
    [
        ("mm/AnimateLCM_sd15_t2v.ckpt", ("lcm", 6, 2.0)),
        ("animatediff_lightning_8step_comfyui.safetensors", ("lightning", 8, 1.0)),
        ("Lightning.ckpt", ("lightning", 4, 1.0)),
        ("v3_sd15_mm.ckpt", ("off", 25, 7.5)),
    ],
)
def test_a_distilled_motion_module_is_sampled_as_its_card_says(
    motion_module: str, sampled: tuple[str, int, float]
) -> None:
    """By its file's name; a method's own steps and guidance are for what is not distilled."""
    base = base_defaults("animatediff", motion_module)
    assert (base.few_steps, base.sample_steps, base.guidance_scale) == sampled
    its_way = {"steps": 40, "guidance_scale": 9.0, "noise_prior": 0.5}
    steps, guidance = (40, 9.0) if sampled[0] == "off" else sampled[1:]
    assert base.sampled(its_way) == {
        "steps": steps,
        "few_steps": sampled[0],
        "guidance_scale": guidance,
        "adapter_end": 1.0,
        "noise_prior": 0.5,
    }


def test_parts_that_are_missing_or_foreign() -> None:
    with pytest.raises(SettingsError, match="'animatediff' needs a motion module"):
        check_parts("animatediff", checkpoint="a.safetensors")
    with pytest.raises(SettingsError, match=r"does not use a motion module; mm\.ckpt was given"):
        check_parts("zeroscope", checkpoint="a", motion_module="mm.ckpt")
    with pytest.raises(SettingsError, match="does not use a checkpoint"):
        check_parts("shape-world-zeroscope", checkpoint="a")


def test_bases_from_files(tmp_path: Path) -> None:
    """The UNet in the dtype asked for; the VAE and the text encoder stay in float32."""
    image, motion = tmp_path / "image.safetensors", tmp_path / "motion.safetensors"
    save_checkpoint(tiny_animatediff(), image)
    save_motion_module(tiny_animatediff(), motion)
    save_video_model(tiny_zeroscope(), tmp_path / "video.safetensors")
    loaded = load_base("animatediff", checkpoint=image, motion_module=motion, dtype=torch.bfloat16)
    assert (loaded.family, loaded.version) == ("animatediff", "animatediff-sd15-v2")
    assert {parameter.dtype for parameter in loaded.network.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in loaded.vae.parameters()} == {torch.float32}
    half = load_base("zeroscope", checkpoint=tmp_path / "video.safetensors", dtype=torch.float16)
    assert {parameter.dtype for parameter in half.network.parameters()} == {torch.float16}
    for part in (half.vae, half.text.model):
        assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}
    video = load_base("zeroscope", checkpoint=tmp_path / "video.safetensors")
    assert (video.family, video.version) == ("zeroscope", "zeroscope")
    with pytest.raises(FormatError, match="is an AnimateDiff v2 motion module"):
        load_base("animatediff", checkpoint=motion, motion_module=image)
