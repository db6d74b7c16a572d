"""What a training takes of memory: counted, estimated, said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from motion_adapters.motion_core.backbones.animatediff import AnimateDiff
from motion_adapters.motion_core.backbones.zeroscope import ZeroScope
from motion_adapters.nodes.runs.memory import (
    GIB,
    MemoryNeed,
    check_certain,
    disk_warning_of,
    memory_need,
    trained_parameters,
    warning_of,
)

from benchmarks import cell_memory
from motion_core.errors import MotionError
from motion_core.methods import METHODS
from motion_core.methods.motion_crafter import MotionCrafter, MotionCrafterSettings
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.methods.vmc import Vmc, VmcSettings
from motion_core.training.settings import TrainSettings
from motion_core.types import LatentClip
from tests.tiny import PROMPT_DIM, tiny_animatediff

CELL_BYTES = {"animatediff": AnimateDiff.cell_bytes, "zeroscope": ZeroScope.cell_bytes}

SHAPE = (16, 3, 512, 512)
NEED = MemoryNeed(
    weights=3 * GIB,
    trained=6 * GIB,
    activations=5 * GIB,
    saved=13 * GIB,
    what="16 frames of 512x512",
    advice="Use less.",
)


def latent_clip(frames: int, size: int, width: int) -> LatentClip:
    return LatentClip(
        latents=torch.randn(1, 4, frames, size, size),
        prompt_embeds=torch.randn(1, 77, width),
        prompt="a bicycle",
        fps=8.0,
        digest="random",
        source="random",
    )


@pytest.mark.parametrize(
    "method",
    [
        MotionDirector(MotionDirectorSettings(rank=4)),
        MotionCrafter(),
        MotionCrafter(MotionCrafterSettings(blocks="all", spatial_path=True)),
        MotionCrafter(MotionCrafterSettings(parametrisation="lora", rank=4)),
        Vmc(),
        Vmc(VmcSettings(parametrisation="lora", rank=4)),
        METHODS["coupled"](),
    ],
    ids=lambda method: f"{method.name}-{getattr(method.settings, 'parametrisation', '')}",
)
def test_what_is_trained_is_counted_as_it_will_be(method: Any) -> None:
    backbone = tiny_animatediff()
    clips = [latent_clip(8, 2, PROMPT_DIM)]
    with method.attach(backbone, clips, torch.Generator()) as attached:
        groups = attached.groups.values()
        real = sum(parameter.numel() for group in groups for parameter in group.parameters)
    assert trained_parameters(tiny_animatediff(), method) == real > 0


def test_the_need_by_hand() -> None:
    """64·64·16 cells of 76 kB at a first level of 320 channels; 8 wide, a fortieth of it."""
    backbone = tiny_animatediff()
    settings = TrainSettings(checkpointing=True, noise_draws=2)
    need = memory_need(backbone, Vmc(), settings, SHAPE, torch.bfloat16)
    assert need.activations == 2 * 65536 * 76_000 // 40
    assert need.weights == 2 * sum(p.numel() for p in backbone.network.parameters())
    assert need.trained == 16 * trained_parameters(backbone, Vmc())
    assert need.saved == 36 * trained_parameters(backbone, Vmc())
    assert need.beside_weights == need.trained + need.activations


def test_a_card_of_12_gb_is_not_warned_of_a_usual_training() -> None:
    """MotionDirector at 512x512 and 16 frames on Stable Diffusion 1.5: 4.6 GB of activations and
    below 1 GB for its LoRAs, with 2.5 GB of weights on the card.
    """
    with torch.device("meta"):
        unet = UNetMotionModel(cross_attention_dim=768, use_motion_mid_block=False)
    backbone = tiny_animatediff()
    backbone.network = unet
    need = memory_need(backbone, MotionDirector(), TrainSettings(), SHAPE, torch.bfloat16)
    assert warning_of(need, int(9.5 * GIB)) is None
    assert warning_of(need, 5 * GIB) is not None
    whole = memory_need(backbone, MotionCrafter(), TrainSettings(), SHAPE, torch.bfloat16)
    assert whole.trained / GIB == pytest.approx(5.4, abs=0.3)
    with pytest.raises(MotionError, match=r"Use parametrisation = lora, or fewer frames"):
        check_certain(whole, 6 * GIB)
    check_certain(whole, 12 * GIB)


def test_only_what_is_certain_is_refused() -> None:
    check_certain(NEED, 9 * GIB)  # 14 GB by estimate
    with pytest.raises(
        MotionError, match=r"take 3\.0 GB and the trained parts 6\.0 GB .* 8\.0 GB\."
    ):
        check_certain(NEED, 8 * GIB)


def test_what_may_not_fit_is_said() -> None:
    assert warning_of(NEED, 11 * GIB) is None
    said = warning_of(NEED, 10 * GIB)
    assert said is not None
    assert "16 frames of 512x512 needs an estimated 11.0 GB" in said and "10.0 GB are free" in said
    assert disk_warning_of(NEED, 13 * GIB) is None
    assert "up to 13.0 GB on disk; 2.0 GB" in str(disk_warning_of(NEED, 2 * GIB))


@pytest.mark.parametrize(
    ("settings", "dtype", "first"),
    [
        (TrainSettings(checkpointing=False), torch.bfloat16, "Use memory = low, or fewer frames"),
        (TrainSettings(), torch.float32, "Use precision = bf16, or fewer"),
        (TrainSettings(noise_draws=3), torch.float16, "Use fewer noise_draws, or fewer frames or"),
        (TrainSettings(), torch.bfloat16, "Use fewer frames or a smaller size in Motion Clip."),
    ],
)
def test_advice_is_what_is_not_done_already(
    settings: TrainSettings, dtype: torch.dtype, first: str
) -> None:
    need = memory_need(tiny_animatediff(), MotionDirector(), settings, SHAPE, dtype)
    assert need.advice.startswith(first)


def test_a_cell_takes_what_was_counted() -> None:
    """The constants are the benchmark's rows, rounded up to thousands."""
    rows = json.loads(Path(cell_memory.__file__).with_suffix(".json").read_text("utf-8"))["rows"]
    for row in rows:
        size = {"bf16": 2, "fp32": 4}[row["precision"]]
        constant = CELL_BYTES[row["family"]][size, row["checkpointing"]]
        assert 0 <= constant - row["bytes_per_cell"] < 1000
    assert len(rows) == 10


def test_a_kept_tensor_is_counted_until_it_is_freed() -> None:
    """Three of 4 kB, of which two are alive at once; a known one and a view cost nothing."""
    known = torch.zeros(1024)
    with cell_memory.Peak([known]) as peak:
        kept = torch.zeros(1024)
        for _ in range(2):
            torch.ones(1024).view(2, 512)
        known[:2].add_(kept[:2])
    assert peak.most == 2 * 4096


@pytest.mark.fullsize
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("family", ["animatediff", "zeroscope"])
def test_the_count_at_full_size_comes_out_again(family: str) -> None:
    case = cell_memory.Case(family, torch.bfloat16, checkpointing=True, size=256)
    counted = cell_memory.bytes_per_cell(case)
    assert counted == pytest.approx(CELL_BYTES[case.family][2, True], rel=0.02)
