"""A third family, added here alone: a tiny video transformer with joint attention over width,
height and time, rectified flow and a causal video VAE, as Wan has them. It trains, is saved, loaded
and sampled by the code that the other families go through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch import Tensor

from motion_core.adapter_files.own import check_fits, load_adapter
from motion_core.backbones.base import Backbone, Keeps, check_frames, latent_shape, pixel_shape
from motion_core.backbones.families import FAMILIES, FamilyFiles
from motion_core.backbones.frames import FrameRule
from motion_core.backbones.image_encoder import OwnImageEncoder
from motion_core.backbones.schedules.flow import FlowSchedule
from motion_core.backbones.sites import Blocks, named_by_role
from motion_core.backbones.text import TextEncoder
from motion_core.bases import BASES, BaseDefaults, load_base
from motion_core.cli.main import main
from motion_core.diffusion.encoding import decode_latents, encode_clip, encoders_digest
from motion_core.diffusion.generate import generate, invert_clip
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import AdapterError, ClipError, SettingsError
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.types import Clip
from motion_core.video.writing import write_video

from ..cli.conftest import moving_square
from ..runs import latent_clip
from ..tiny import PROMPT_DIM, stirred, tiny_animatediff, tiny_text

NAME, FAMILY = "tiny-joint", "joint"
FRAMES, SIZE, CHANNELS = 5, 32, 4
LAYERS = 3


@dataclass(frozen=True)
class CausalVideoEncoder:
    """Frames 4k + 1 to k + 1 latent frames, of which the first sees itself alone."""

    model: AutoencoderKLWan
    channels: int = CHANNELS
    pixels_per_latent: int = 8

    def encode(self, frames: Tensor) -> Tensor:
        video = frames.transpose(0, 1)[None].to(self.model.device, self.model.dtype)
        mean, std = self._scale()
        latents = self.model.encode(video, return_dict=False)[0].mode().to("cpu", torch.float32)
        return (latents - mean) / std

    def decode(self, latents: Tensor) -> Tensor:
        mean, std = self._scale()
        scaled = (latents.cpu() * std + mean).to(self.model.device, self.model.dtype)
        video = self.model.decode(scaled, return_dict=False)[0]
        return video[0].transpose(0, 1).to("cpu", torch.float32).clamp(-1, 1)

    def _scale(self) -> list[Tensor]:
        names = ("latents_mean", "latents_std")
        return [torch.tensor(self.model.config[name]).view(1, -1, 1, 1, 1) for name in names]


@dataclass(kw_only=True)
class JointAttention:
    """A Backbone on diffusers' WanTransformer3DModel."""

    network: WanTransformer3DModel
    vae: AutoencoderKLWan
    text: TextEncoder
    version: str = NAME
    licence: str = "test"
    family: str = FAMILY
    frame_rule: FrameRule = field(default_factory=lambda: FrameRule(least=5, most=33, per_latent=4))
    schedule: FlowSchedule = field(default_factory=lambda: FlowSchedule(shift=3.0))
    image_encoder: OwnImageEncoder | None = None

    def __post_init__(self) -> None:
        for part in (self.network, self.vae, self.text.model):
            part.eval().requires_grad_(False)

    @property
    def video_encoder(self) -> CausalVideoEncoder:
        return CausalVideoEncoder(self.vae)

    def sites(self, role: str) -> list[str]:
        return named_by_role(self.version, self._named(), role)

    def parameters(self, role: str) -> list[str]:
        return [f"{name}.weight" for name in self.sites(role)]

    def in_blocks(self, names: Iterable[str], blocks: Blocks) -> list[str]:
        deep = range(LAYERS // 3, LAYERS - LAYERS // 3)
        return [name for name in names if blocks == "all" or int(name.split(".")[1]) in deep]

    @contextmanager
    def training_passes(self, keeps: Keeps) -> Iterator[None]:
        if keeps == "all":
            yield
            return
        self.network.enable_gradient_checkpointing()
        try:
            yield
        finally:
            self.network.disable_gradient_checkpointing()

    def training_bytes(self, cells: int, dtype: torch.dtype, keeps: Keeps) -> int:
        return cells * dtype.itemsize * (1000 if keeps == "all" else 100)

    def sampling_bytes(self, cells: int, dtype: torch.dtype) -> int:
        return cells * dtype.itemsize * 100

    def predict(self, latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        check_frames(self, self.frame_rule.pixel_frames(latents.shape[2]))
        dtype = self.network.patch_embedding.weight.dtype
        embeds = prompt_embeds.to(dtype)
        return self.network(latents.to(dtype), timesteps, embeds, return_dict=False)[0]

    def _named(self) -> Mapping[str, list[str]]:
        layers = [f"blocks.{index}" for index in range(LAYERS)]
        motion, appearance = ("to_q", "to_k"), ("to_v", "to_out.0")
        return {
            "temporal": [f"{layer}.attn1.{part}" for layer in layers for part in motion],
            "spatial": [f"{layer}.attn1.{part}" for layer in layers for part in appearance],
        }


def joint_attention(parts: Mapping[str, Path] | None = None, dtype: Any = None) -> JointAttention:
    """Random weights, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            text_dim=PROMPT_DIM,
            freq_dim=8,
            ffn_dim=16,
            num_layers=LAYERS,
            rope_max_seq_len=32,
        )
        vae = AutoencoderKLWan(
            base_dim=4,
            z_dim=CHANNELS,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            latents_mean=[0.1, -0.2, 0.3, -0.4],
            latents_std=[1.5, 2.0, 0.5, 1.0],
        )
        return JointAttention(network=stirred(network), vae=stirred(vae), text=tiny_text())


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two lines of the registries."""
    monkeypatch.setitem(FAMILIES, FAMILY, FamilyFiles())
    base = BaseDefaults(
        name=NAME,
        family=FAMILY,
        load=joint_attention,
        summary="tiny, random",
        width=SIZE,
        height=SIZE,
        frames=FRAMES,
        sample_steps=3,
        guidance_scale=2.0,
    )
    monkeypatch.setitem(BASES, NAME, base)


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_video(path, moving_square(FRAMES + 1), 8.0)
    return path


def test_it_is_a_backbone() -> None:
    """Five frames of 32x32: two latent frames of 4x4."""
    backbone: Backbone = load_base(NAME)
    assert latent_shape(backbone, FRAMES, SIZE, SIZE) == (1, CHANNELS, 2, 4, 4)
    assert pixel_shape(backbone, torch.zeros(1, CHANNELS, 2, 4, 4)) == (FRAMES, SIZE, SIZE)
    assert backbone.in_blocks(backbone.sites("temporal"), "deep") == [
        "blocks.1.attn1.to_q",
        "blocks.1.attn1.to_k",
    ]
    with pytest.raises(AdapterError, match="'spatial_attention'; it has temporal, spatial"):
        backbone.sites("spatial_attention")


def test_its_encoder_goes_both_ways_and_decides_the_digest() -> None:
    """The first latent frame is the first frame's own, whatever follows."""
    backbone = joint_attention()
    frames = moving_square(FRAMES)
    latents = encode_clip(backbone, Clip(frames=frames, fps=8, prompt="", source="c")).latents
    assert latents.shape == (1, CHANNELS, 2, 4, 4)
    alone = backbone.video_encoder.encode(frames[:1])
    torch.testing.assert_close(latents[:, :, :1], alone)
    assert decode_latents(backbone, latents).shape == (FRAMES, 3, SIZE, SIZE)
    before = encoders_digest(backbone)
    assert before == encoders_digest(joint_attention())
    next(backbone.vae.parameters()).data.mul_(1.5)
    assert encoders_digest(backbone) != before


@pytest.mark.parametrize(
    ("frames", "takes"), [(4, "at least 5"), (34, "at most 33"), (6, "5 or 9")]
)
def test_frames_that_it_does_not_take(frames: int, takes: str) -> None:
    with pytest.raises(SettingsError, match=takes):
        check_frames(joint_attention(), frames)


def test_a_clip_that_it_does_not_take_is_named(tmp_path: Path) -> None:
    clip = latent_clip(10)  # 37 frames
    with pytest.raises(ClipError, match=r"clip-0\.mp4 has 37 frames; .* at most 33"):
        train(joint_attention(), [clip], MotionDirector(), TrainSettings(steps=1), tmp_path / "run")


@pytest.mark.parametrize("checkpointing", [True, False])
def test_it_trains_in_two_steps_and_is_left_as_it_was(checkpointing: bool, tmp_path: Path) -> None:
    backbone = joint_attention()
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    clip = Clip(frames=moving_square(FRAMES), fps=8, prompt="a square", source="clip")
    settings = TrainSettings(steps=2, checkpointing=checkpointing, min_timestep=400)
    method = MotionDirector(MotionDirectorSettings(rank=2, spatial_dropout_p=0.0))
    result = train(backbone, [encode_clip(backbone, clip)], method, settings, tmp_path / "run")
    adapter = result.adapters["temporal"]
    up = [tensor for name, tensor in adapter.state_dict().items() if ".lora_B." in name]
    assert len(up) == 2 * LAYERS and all(tensor.abs().max() > 0 for tensor in up)
    after = backbone.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not backbone.network.is_gradient_checkpointing


def test_the_command_line_trains_saves_loads_and_samples_it(
    clip_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    what = ["--base", NAME, "--clip", str(clip_file), "--prompt", "a square", "--steps", "2"]
    small = ["--rank", "2", "--inversion-steps", "2", "--device", "cpu"]
    assert main(["train", *what, *small, "--output", str(run)]) == 0
    info, adapters = load_adapter(run / "adapter.safetensors")
    assert (info.family, info.version) == (FAMILY, NAME)
    assert {"temporal.to_q", "temporal.to_k"} <= set(info.sites)
    assert (info.frames, info.width, info.height) == (FRAMES, SIZE, SIZE)
    check_fits(info, load_base(NAME))
    with pytest.raises(AdapterError, match=f"trained on {FAMILY}"):
        check_fits(info, tiny_animatediff())
    pictures = {}
    for strength in ("0", "5"):
        adapter = f"{run / 'adapter.safetensors'}:{strength}"
        output, frames = tmp_path / f"{strength}.mp4", tmp_path / f"frames-{strength}"
        flags = ["--prompt", "a circle", "--output", str(output), "--frames", str(frames)]
        prior = ["--noise-prior", "0.5", "--device", "cpu"]
        assert main(["sample", "--base", NAME, "--adapter", adapter, *flags, *prior]) == 0
        pictures[strength] = [path.read_bytes() for path in sorted(frames.iterdir())]
    assert len(pictures["0"]) == FRAMES
    assert pictures["0"] != pictures["5"]
    assert {adapters[name].scope for name in info.shown} == {"temporal"}


def test_noise_of_its_inversion_leads_back_to_the_clip() -> None:
    """About, and the better the more steps; with fresh noise it does not."""
    backbone = joint_attention()
    clip = Clip(frames=moving_square(FRAMES), fps=8, prompt="", source="c")
    latent = encode_clip(backbone, clip)
    expected = decode_latents(backbone, latent.latents)

    def error(prior: float, steps: int) -> float:
        settings = SampleSettings(
            steps=steps,
            guidance_scale=1.0,
            frames=FRAMES,
            height=SIZE,
            width=SIZE,
            noise_prior=prior,
        )
        frames = generate(backbone, "", [], settings, invert_clip(backbone, latent, steps))
        return float((frames - expected).square().mean())

    assert error(1.0, 32) < error(1.0, 4) < error(0.0, 4)
