"""Official Motion Inversion files, as `save_motion_embeddings` writes them: torch.save of a dict of
parameters.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from diffusers import UNet3DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from motion_core.adapter_files.official_motion_inversion import import_motion_embed
from motion_core.backbones.zeroscope import ZeroScope
from motion_core.errors import FormatError, SettingsError
from motion_core.methods.motion_inversion import chosen_sites
from tests.tiny import tiny_zeroscope

UP = "up_blocks.1.temp_attentions.2.transformer_blocks.0"
DOWN = "down_blocks.1.temp_attentions.0.transformer_blocks.0"
SLOTS = 32


def official(trained: int = 5, shared_v: bool = False) -> dict[str, Tensor]:
    """A file of a clip of 96x64 pixels: 3x2 positions in up_blocks.1 (a 32nd), 6x4 in
    down_blocks.1 (a 16th). A value says its position, frame and channel: 100·p + frame + 1 + c/10.
    """
    tensors = {}
    for block, positions in ((UP, 6), (DOWN, 24)):
        for part in ("pos_embed", "attn1.vSpatial", "attn2.vSpatial"):
            rows = 1 if shared_v or part == "pos_embed" else positions
            p, n, c = torch.meshgrid(*(torch.arange(k) for k in (rows, SLOTS, 2)), indexing="ij")
            values = (100 * p + n + 1 + c / 10) * (n < trained)
            tensors[f"{block}.{part}"] = nn.Parameter(values.half())
    return tensors


def saved(tensors: object, folder: Path) -> Path:
    torch.save(tensors, folder / "motion_embed.pt")
    return folder / "motion_embed.pt"


def test_positions_frames_and_names(tmp_path: Path) -> None:
    """Position p is row p // width, column p % width; frames beyond the fifth were not trained."""
    path = saved(official(), tmp_path)
    adapter = import_motion_embed(path, size=(96, 64), debias="drop_value")
    assert (adapter.family, adapter.scope, adapter.debias) == (
        "zeroscope",
        "temporal",
        "drop_value",
    )
    assert list(adapter.blocks) == [UP, DOWN]
    assert [tuple(values.shape) for values in adapter.blocks[UP]] == [
        (1, 1, 5, 2),
        (2, 3, 5, 2),
        (2, 3, 5, 2),
    ]
    assert adapter.blocks[DOWN].v1.shape == (4, 6, 5, 2)
    assert adapter.blocks[UP].qk.dtype == torch.float32
    assert adapter.blocks[UP].v2[1, 2, 4, 1] == torch.tensor(505.1).half()  # p = 1·3 + 2


@pytest.mark.parametrize("folder", [".", "checkpoint-250"])
def test_the_size_comes_from_the_runs_config(folder: str, tmp_path: Path) -> None:
    """Official runs write config.yaml beside the last file, and one folder above checkpoints. The
    size is the data set's, not that of the validation videos.
    """
    config = (
        "model:\n  type: unet\ndataset:\n  type:\n  - single_video\n  width: 96\n  height: 64\n"
    )
    (tmp_path / "config.yaml").write_text(config + "val:\n  width: 32\n  height: 32\n")
    (tmp_path / folder).mkdir(exist_ok=True)
    adapter = import_motion_embed(saved(official(), tmp_path / folder))
    assert adapter.blocks[DOWN].v1.shape == (4, 6, 5, 2)


def test_one_dimensional_values(tmp_path: Path) -> None:
    adapter = import_motion_embed(saved(official(shared_v=True), tmp_path))
    assert adapter.blocks[DOWN].v1.shape == (1, 1, 5, 2)


def test_full_size_on_zeroscope(tmp_path: Path) -> None:
    """The official default, 576x320 with 24 frames, on ZeroScope's own shapes: a file with its 15
    tensors fits the five blocks, through a whole prediction on the meta device.
    """
    with torch.device("meta"):
        unet = UNet3DConditionModel(attention_head_dim=64, cross_attention_dim=1024)
        text_model = CLIPTextModel(CLIPTextConfig(hidden_size=1024, num_hidden_layers=1))
    tiny = tiny_zeroscope()
    backbone = ZeroScope(
        network=unet,
        vae=tiny.vae,
        text=dataclasses.replace(tiny.text, model=text_model),
        scheduler=tiny.scheduler,
        version="zeroscope",
        licence="test",
    )
    names = [site.name for site in chosen_sites(unet, (1280,), ("down", "up"))]
    slots = (torch.arange(SLOTS) < 24).float().view(1, SLOTS, 1)
    rows = {"pos_embed": 1, "attn1.vSpatial": 180, "attn2.vSpatial": 180}
    path = saved(
        {f"{n}.{p}": slots.expand(k, SLOTS, 1280) for n in names for p, k in rows.items()}, tmp_path
    )
    adapter = import_motion_embed(path)
    assert list(adapter.blocks) == names
    assert {block.qk.shape for block in adapter.blocks.values()} == {(1, 1, 24, 1280)}
    assert {block.v1.shape for block in adapter.blocks.values()} == {(10, 18, 24, 1280)}
    latents = torch.empty(1, 4, 24, 40, 72, device="meta")
    timesteps = torch.empty(1, dtype=torch.int64, device="meta")
    prompt = torch.empty(1, 77, 1024, device="meta")
    with torch.no_grad(), adapter.applied(backbone, 1.0):
        assert backbone.predict(latents, timesteps, prompt).shape == latents.shape


def test_a_clip_of_another_size_is_refused(tmp_path: Path) -> None:
    path = saved(official(), tmp_path)
    with pytest.raises(FormatError, match=r"6 positions, but 576x320 pixels have 18x10"):
        import_motion_embed(path)
    with pytest.raises(SettingsError, match="width"):
        import_motion_embed(path, size=(0, 64))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"unet.to_q.weight": torch.ones(2, 2)}, "not a motion embedding from Motion Inversion"),
        ({**official(), "unet.to_q.weight": torch.ones(2, 2)}, "'unet.to_q.weight' of shape"),
        ({f"{UP}.pos_embed": torch.ones(1, 32, 2)}, "not a motion embedding from Motion Inversion"),
        ({f"{UP}.attn1.vSpatial": torch.ones(1, 32, 2)}, "has attn1.vSpatial of block"),
        ({**official(), f"{UP}.pos_embed": torch.ones(1, 32, 3)}, "same frames and channels"),
        ({**official(), f"{UP}.pos_embed": torch.ones(32, 2)}, "of shape"),
        (official(trained=0), "contains only zeros"),
        ({"run": Path}, "can run code"),
    ],
)
def test_other_files_are_refused(tensors: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        import_motion_embed(saved(tensors, tmp_path), size=(96, 64))
