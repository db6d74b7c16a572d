"""media.py, plots.py and files.py: what is written is read back by other means."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from motion_core.errors import MotionError
from motion_core.files import replacing
from motion_core.shape_world.renderer import reference_scene, render
from motion_core.video.clips import load_clips
from motion_core.video.ffmpeg import run_ffmpeg
from motion_core.video.plots import loss_plot, moving_average
from motion_core.video.settings import ClipSettings
from motion_core.video.writing import (
    contact_sheet,
    to_bytes,
    write_frames,
    write_gif,
    write_image,
    write_video,
)


def shape_frames(colour: str = "red", count: int = 16) -> Tensor:
    """(F, 3, 64, 64) in [-1, 1]."""
    scene = reference_scene("zigzag", colour=colour, background="striped")
    return torch.from_numpy(render(scene, list(range(count)))).permute(0, 3, 1, 2) * 2 - 1


def stream_line(path: Path) -> str:
    """What ffmpeg says of a file's video stream."""
    done = run_ffmpeg(["-v", "info", "-i", str(path)])
    return next(line for line in done.errors.splitlines() if "Video:" in line)


def test_bytes_by_hand() -> None:
    """(x + 1)·127.5: −1 → 0, 0 → 127.5 → 128 (to even), 1 → 255, 0.5 → 191.25 → 191; 2 → 255."""
    row = torch.tensor([-1.0, 0.0, 1.0, 0.5, 2.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert to_bytes(row)[0, 0, :, 0].tolist() == [0, 128, 255, 191, 255]
    doubled = to_bytes(row[..., :2], scale=2)[0, :, :, 1]
    assert doubled.tolist() == [[0, 0, 128, 128], [0, 0, 128, 128]]


def test_every_8_bit_level_survives() -> None:
    levels = torch.arange(256, dtype=torch.float32) / 127.5 - 1
    images = to_bytes(levels.view(1, 1, 1, 256).expand(1, 3, 1, 256))
    assert images[0, 0, :, 2].tolist() == list(range(256))


@pytest.mark.parametrize("scale", [1, 4])
def test_a_video_comes_back_as_it_was(tmp_path: Path, scale: int) -> None:
    """Enlarged fourfold even the colours' half resolution costs little: 2% of the range on average,
    and no shift of any channel, which a mixed-up colour matrix would give.
    """
    frames = shape_frames()
    path = tmp_path / "new" / "clip.mp4"
    write_video(path, frames, fps=8, scale=scale)
    assert [p.name for p in path.parent.iterdir()] == ["clip.mp4"]
    (clip,) = load_clips(path, ClipSettings(frames=16), "shape")
    assert clip.frames.shape == (16, 3, 64 * scale, 64 * scale)
    assert clip.fps == pytest.approx(8)
    read = clip.frames[:, :, ::scale, ::scale]
    assert (read - frames).abs().mean() < 0.04
    assert (read - frames).mean(dim=(0, 2, 3)).abs().max() < 0.02


def test_saturated_colours_come_back(tmp_path: Path) -> None:
    """Flat colours lose only rounding, 2 of 255; another matrix on either way moves them by 20."""
    colours = torch.tensor([[230, 20, 20], [20, 200, 40], [30, 40, 230], [200, 200, 20]])
    frames = (colours / 127.5 - 1).view(4, 3, 1, 1).expand(4, 3, 64, 64)
    write_video(tmp_path / "flat.mp4", frames, fps=8)
    (clip,) = load_clips(tmp_path / "flat.mp4", ClipSettings(frames=4), "flat")
    assert (clip.frames - frames).abs().max() * 127.5 < 4


def test_a_video_is_of_the_kind_that_browsers_play(tmp_path: Path) -> None:
    """H.264, yuv420p with tagged colours, the index ("moov") before the pictures ("mdat"). The odd
    sides 15 and 9 become 16 and 10.
    """
    path = tmp_path / "odd.mp4"
    write_video(path, torch.zeros(3, 3, 9, 15), fps=29.97)
    line = stream_line(path)
    assert all(word in line for word in ("h264", "yuv420p", "bt709", "16x10", "29.97 fps"))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_one_frame_is_a_video_too(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", shape_frames(count=1), fps=8)
    assert len(load_clips(tmp_path / "one.mp4", ClipSettings(frames=1), "x")) == 1


def test_a_gif_loops_at_its_rate_with_true_colours(tmp_path: Path) -> None:
    """At 8 fps a frame ends at 12.5, 25, 37.5, 50 hundredths → 12, 25, 38, 50: steps 12, 13, 13, 12
    (halves go to even).
    """
    path = tmp_path / "clip.gif"
    frames = shape_frames()
    write_gif(path, frames, fps=8, scale=2)
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (16, (128, 128), 0)
        durations = []
        for k in range(16):
            gif.seek(k)
            durations.append(gif.info["duration"])
            error = np.array(gif.convert("RGB"), dtype=float) - to_bytes(frames[k : k + 1], 2)[0]
            assert np.abs(error).mean() < 3
    assert durations[:4] == [120, 130, 130, 120]
    assert sum(durations) == 2000


def test_frames_are_exact_and_appear_together(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "frames"
    paths = write_frames(folder, shape_frames())
    assert [p.name for p in paths][::15] == ["00000.png", "00015.png"]
    for path, image in zip(paths, to_bytes(shape_frames()), strict=True):
        with Image.open(path) as read:
            assert np.array_equal(np.array(read), image)
    write_frames(folder, shape_frames(count=3))
    assert len(list(folder.iterdir())) == 3
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(
        MotionError, match=r"also contains notes.txt; frames need a folder of their own"
    ):
        write_frames(folder, shape_frames(count=2))
    assert len(list(folder.iterdir())) == 4
    assert [p.name for p in folder.parent.iterdir()] == ["frames"]


def test_a_contact_sheet_holds_the_picked_frames_in_order() -> None:
    """5 of 16 frames: 0, 3.75 → 4, 7.5 → 8, 11.25 → 11, 15. Tiles of 64 at 128 px, 4 px apart, from
    12 px on: their middles are at 12 + 64 + 132·k.
    """
    levels = torch.linspace(-1, 1, 16).view(16, 1, 1, 1).expand(16, 3, 64, 64)
    sheet = contact_sheet([("levels", levels), ("one", levels[:1])], columns=5)
    assert sheet.width == 2 * 12 + 5 * 128 + 4 * 4
    line = sheet.height // 2 - 60
    seen = [sheet.getpixel((12 + 64 + 132 * k, line)) for k in range(5)]
    expected = to_bytes(levels[[0, 4, 8, 11, 15]])[:, 0, 0]
    assert [tuple(pixel) for pixel in expected.tolist()] == seen
    assert sheet.getpixel((sheet.width - 12 - 64, sheet.height - 40)) == (255, 255, 255)


def test_small_frames_keep_hard_edges_and_large_ones_shrink() -> None:
    """32 px grow fourfold to 128; 300 x 600 shrinks to 128 x 256."""
    small = torch.full((1, 3, 32, 32), -1.0)
    small[..., 16:] = 1
    tile = np.array(contact_sheet([("", small)]))[-12 - 128 : -12, 12:-12, 0]
    assert tile.shape == (128, 128)
    assert set(np.unique(tile).tolist()) == {0, 255}
    assert contact_sheet([("", torch.zeros(1, 3, 300, 600))]).width == 2 * 12 + 256


def test_long_labels_wrap_and_are_shortened() -> None:
    """A label may add one line (18 + 4 px) to the sheet, not more, and never widens it."""
    frames = torch.zeros(4, 3, 64, 64)
    short, long, longest = (
        contact_sheet([(label, frames)])
        for label in ("adapted", "a red circle moving on a striped background " * 2, "word " * 500)
    )
    assert short.width == long.width == longest.width
    assert long.height == longest.height == short.height + 22
    unbroken = contact_sheet([("x" * 500, frames)])
    ink = np.array(unbroken)[12:34].min(axis=(0, 2)) < 128
    assert not ink[-12:].any()


def test_a_loss_plot_is_drawn_and_leaves_matplotlib_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    rng = np.random.default_rng(0)
    curves = {
        "temporal": [(k, 0.2 * math.exp(-k / 50) + 0.05 * rng.random()) for k in range(200)],
        "spatial": [(k, None if k == 9 else 0.1 + 0.05 * rng.random()) for k in range(0, 200, 3)],
        "empty": [(0, math.nan)],
    }
    loss_plot(tmp_path / "loss.png", curves)
    with Image.open(tmp_path / "loss.png") as image:
        assert image.size == (1080, 600)
        assert len(set(image.convert("RGB").getdata())) > 100
    assert dict(matplotlib.rcParams) == before
    assert [p.name for p in tmp_path.iterdir()] == ["loss.png"]


def test_moving_average_by_hand() -> None:
    """decay ½: 4; (½·4 + 1) / 1.5 = 2; (½·(½·4 + 1) + 3) / 1.75 = 4.5 / 1.75."""
    assert moving_average([4, 1, 3], 0.5) == pytest.approx([4, 2, 4.5 / 1.75])
    assert moving_average([4, 1, 3], 0.0) == [4, 1, 3]


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(MotionError, match=r"loss.png contains no losses to plot"):
        loss_plot(tmp_path / "loss.png", {"temporal": [(0, None)]})
    with pytest.raises(MotionError, match="decay is 1"):
        loss_plot(tmp_path / "loss.png", {"temporal": [(0, 1.0)]}, decay=1)
    with pytest.raises(MotionError, match="0 rows"):
        contact_sheet([])


def test_failed_writing_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as partial:
        partial.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with replacing(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where a folder has to be, and a folder where the file has to be."""
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    (tmp_path / "folder.mp4" / "x").mkdir(parents=True)
    frames = shape_frames(count=2)
    picture = Image.new("RGB", (8, 8))
    for write in (
        lambda: write_video(blocker / "a.mp4", frames, 8),
        lambda: write_video(tmp_path / "folder.mp4", frames, 8),
        lambda: write_gif(blocker / "a.gif", frames, 8),
        lambda: write_frames(blocker / "frames", frames),
        lambda: write_frames(blocker, frames),
        lambda: write_image(blocker / "a.png", picture),
        lambda: loss_plot(blocker / "a.png", {"temporal": [(0, 1.0)]}),
    ):
        with pytest.raises(MotionError, match=rf"{tmp_path}.* cannot be written"):
            write()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.mp4"]


@pytest.mark.parametrize(
    ("frames", "fps", "scale", "message"),
    [
        (torch.zeros(3, 64, 64), 8, 1, r"shape \(3, 64, 64\); expected \(F, 3, H, W\)"),
        (torch.zeros(2, 64, 64, 3), 8, 1, "expected"),
        (torch.zeros(2, 3, 8, 8), 0, 1, "fps is 0"),
        (torch.zeros(2, 3, 8, 8), 8, 0, "scale is 0"),
    ],
)
def test_wrong_frames_are_refused(
    tmp_path: Path, frames: Tensor, fps: float, scale: int, message: str
) -> None:
    for write in (write_video, write_gif):
        with pytest.raises(MotionError, match=message):
            write(tmp_path / "clip", frames, fps, scale)
    assert not list(tmp_path.iterdir())
