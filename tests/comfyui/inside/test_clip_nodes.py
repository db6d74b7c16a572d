"""What the clip nodes show, and when they run again."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import torch
from motion_adapters.nodes.clips import MotionClipsFromFolder

from motion_core.media import write_video
from tests.comfyui.inside.called import called

ZIGZAG = Path(__file__).parents[3] / "motion_core" / "shape_world" / "clips" / "zigzag.mp4"
SETTINGS = {
    "prompt": "moving",
    "frames": 4,
    "start_seconds": 0.0,
    "stride": 1,
    "fps": 0.0,
    "width": 0,
    "height": 0,
    "fit": "crop",
    "windows": 1,
}


def test_clips_of_another_size_are_shown_too(comfy_base: Path) -> None:
    """A square clip, then one twice as wide as high: in a square it has black bars, each a quarter
    of the height; what is trained keeps its size.
    """
    folder = comfy_base / "input" / "sizes"
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "1.mp4", torch.ones(4, 3, 64, 64), 8.0)
    write_video(folder / "2.mp4", torch.ones(4, 3, 32, 64), 8.0)
    clips, shown = called(MotionClipsFromFolder, folder="sizes", **SETTINGS).args
    assert [tuple(clip.frames.shape) for clip in clips] == [(4, 3, 64, 64), (4, 3, 32, 64)]
    assert shown.shape == (8, 64, 64, 3)
    assert shown[:4].min() > 0.95
    assert shown[4:, :15].max() < 0.05 < 0.95 < shown[4:, 18:46].min()
    assert shown[4:, 49:].max() < 0.05


def test_a_folder_is_read_again_when_it_changes(comfy_base: Path) -> None:
    """A folder that comes from another node is None here, and read each time."""
    folder = comfy_base / "input" / "changes"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ZIGZAG, folder / "one.mp4")
    before = MotionClipsFromFolder.fingerprint_inputs("changes", **SETTINGS)
    assert before == MotionClipsFromFolder.fingerprint_inputs("changes", **SETTINGS)
    (folder / "one.txt").write_text("a caption", encoding="utf-8")
    assert before != MotionClipsFromFolder.fingerprint_inputs("changes", **SETTINGS)
    again = MotionClipsFromFolder.fingerprint_inputs(None, **SETTINGS)
    assert isinstance(again, float) and math.isnan(again)
