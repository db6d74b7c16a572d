"""What a training takes of memory: counted, estimated, said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

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
    size_warning_of,
    unencoded,
    warning_of,
)

from benchmarks import cell_memory
from motion_core.backbones.base import Backbone, Keeps
from motion_core.bases import BASES
from motion_core.errors import MotionError
from motion_core.methods.base import Method
from motion_core.methods.motion_crafter import MotionCrafter
from motion_core.methods.motion_director import MotionDirector
from motion_core.methods.motrans.method import MoTrans, MoTransSettings
from motion_core.methods.vmc import Vmc
from motion_core.training.settings import TrainSettings
from motion_core.types import Clip
from tests.tiny import tiny_animatediff

NEED = MemoryNeed(
    weights=3 * GIB,
    trained=6 * GIB,
    activations=5 * GIB,
    saved=13 * GIB,
    what="16 frames of 512x512",
    advice="Use less.",
)


CELL_BYTES = {"animatediff": AnimateDiff.cell_bytes, "zeroscope": ZeroScope.cell_bytes}


def clip(frames: int = 16, size: int = 512, video: str = "") -> Clip:
    return Clip(
        frames=torch.empty(frames, 3, size, size, device="meta"),
        fps=8.0,
        prompt="a bicycle turns",
        source="bicycle.mp4",
        video=video,
    )


LOW = TrainSettings(keep_outputs=False)


def need_of(
    backbone: Backbone, method: Method, settings: TrainSettings, dtype: torch.dtype, clips: int = 1
) -> MemoryNeed:
    shapes = [unencoded(backbone, clip()) for _ in range(clips)]
    return memory_need(backbone, method, settings, shapes, dtype)


def test_the_need_by_hand() -> None:
    """64·64·16 cells of what one takes at a first level of 320 channels; 8 wide, a fortieth."""
    backbone = tiny_animatediff()
    settings = TrainSettings(keep_outputs=False, noise_draws=2)
    need = need_of(backbone, Vmc(), settings, torch.bfloat16)
    assert need.activations == 2 * 65536 * CELL_BYTES["animatediff"][2, "inputs"] // 40
    assert need.weights == 2 * sum(p.numel() for p in backbone.network.parameters())
    (trained,) = Vmc().trained(backbone, [unencoded(backbone, clip())]).values()
    assert need.trained == 16 * trained
    assert need.saved == 36 * trained
    assert need.what == "16 frames of 512x512"
    assert need.beside_weights == need.trained + need.activations


def test_a_card_of_12_gb_is_not_warned_of_a_usual_training() -> None:
    """MotionDirector at 512x512 and 16 frames on Stable Diffusion 1.5: 4.3 GB of activations and
    below 1 GB for its LoRAs, with 2.5 GB of weights on the card.
    """
    with torch.device("meta"):
        unet = UNetMotionModel(cross_attention_dim=768, use_motion_mid_block=False)
    backbone = tiny_animatediff()
    backbone.network = unet
    need = need_of(backbone, MotionDirector(), TrainSettings(), torch.bfloat16)
    assert warning_of(need, int(9.5 * GIB)) is None
    assert warning_of(need, 4 * GIB) is not None
    whole = need_of(backbone, MotionCrafter(), TrainSettings(), torch.bfloat16)
    assert whole.trained / GIB == pytest.approx(5.4, abs=0.3)
    with pytest.raises(MotionError, match=r"Use memory = low, or parametrisation = lora, or fewer"):
        check_certain(whole, 6 * GIB)
    check_certain(whole, 12 * GIB)


def test_all_of_motrans_is_counted() -> None:
    """At full size on Stable Diffusion 1.5 and AnimateDiff v3: 2 + 3 motion modules of 320 and 640
    channels each and 4 + 6 of 1280 make Σd = 17,600. The injector has 1024 numbers for each:
    18,022,400. The enhancer has 768 · (1024 + 2 · 768) = 1,966,080, the temporal LoRA 30 · 32 ·
    17,600 = 16,896,000, the spatial one of each video 8,785,920.
    """
    with torch.device("meta"):
        unet = UNetMotionModel(cross_attention_dim=768, use_motion_mid_block=False)
    backbone = tiny_animatediff()
    backbone.network = unet
    backbone.text.model.config.hidden_size = 768
    method = MoTrans(MoTransSettings(image_encoder="open_clip_pytorch_model.bin"))
    clips = [unencoded(backbone, clip(video=name)) for name in ("a", "b", "b")]
    assert method.trained(backbone, clips) == {
        "spatial.0": 8_785_920,
        "spatial.1": 8_785_920,
        "temporal": 16_896_000 + 18_022_400 + 1_966_080,
    }


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


def test_a_clip_far_beyond_the_bases_size_is_said() -> None:
    """512x512 is 64 times the area of 64x64; up to twice the width and height nothing is said."""
    small = BASES["shape-world-animatediff"]
    assert size_warning_of([clip(size=64), clip(size=128)], small) is None
    said = size_warning_of([clip(size=64), clip(size=512)], small)
    assert said is not None and said.startswith("bicycle.mp4 has 512x512 pixels, 64 times as many")
    assert "Set width and height in Motion Clip to 64 and 64." in said
    assert size_warning_of([clip(size=512)], BASES["animatediff"]) is None


@pytest.mark.parametrize(
    ("settings", "dtype", "first"),
    [
        (TrainSettings(checkpointing=False), torch.bfloat16, "Use memory = low, or fewer frames"),
        (TrainSettings(), torch.bfloat16, "Use memory = low, or fewer frames"),
        (LOW, torch.float32, "Use precision = bf16, or fewer"),
        (replace(LOW, noise_draws=3), torch.float16, "Use fewer noise_draws, or fewer frames or"),
        (LOW, torch.bfloat16, "Use fewer frames or a smaller size in Motion Clip."),
    ],
)
def test_advice_is_what_is_not_done_already(
    settings: TrainSettings, dtype: torch.dtype, first: str
) -> None:
    need = need_of(tiny_animatediff(), MotionDirector(), settings, dtype)
    assert need.advice.startswith(first)


def test_a_cell_takes_what_was_counted() -> None:
    """The constants are the benchmark's rows, the largest of a kind rounded up to thousands."""
    rows = json.loads(Path(cell_memory.__file__).with_suffix(".json").read_text("utf-8"))["rows"]
    most: dict[tuple[str, int, Keeps], int] = {}
    for row in rows:
        kind = (row["family"], {"bf16": 2, "fp32": 4}[row["precision"]], row["keeps"])
        most[kind] = max(most.get(kind, 0), row["bytes_per_cell"])
    for (family, size, keeps), counted in most.items():
        assert 0 <= CELL_BYTES[family][size, keeps] - counted < 1000
    assert len(rows) == 16


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
    case = cell_memory.Case(family, torch.bfloat16, keeps="inputs", size=256)
    counted = cell_memory.bytes_per_cell(case)
    assert counted == pytest.approx(CELL_BYTES[case.family][2, "inputs"], rel=0.02)
