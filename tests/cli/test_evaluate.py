"""`evaluate` on shape world's clips: the table, the JSON, what is missing, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from motion_core.cli.main import main
from motion_core.shape_world.motions import CENTRE
from motion_core.shape_world.renderer import Scene, reference_scene, render
from motion_core.video.writing import write_video

Captured = pytest.CaptureFixture[str]
PROMPT = "a green cross zigzagging on a white background"
CLIP = ["--clip-model", "shape-world"]
METRICS = (
    "clip_t",
    "clip_e",
    "consistency_adjacent",
    "consistency_pairs",
    "motion_fidelity_tracklets",
    "motion_fidelity_videomae",
    "pick_score",
)


def write(scene: Scene, path: Path, frames: int = 16) -> Path:
    pixels = torch.from_numpy(render(scene)).permute(0, 3, 1, 2) * 2 - 1
    write_video(path, pixels[:frames], 8.0)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference, and in `made` the same motion (a) and the opposite one (b)."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "made").mkdir()
    write(reference_scene("zigzag", "red", "square", "grey"), folder / "reference.mp4")
    same = reference_scene("zigzag", "green", "cross", "white")
    positions = 2 * CENTRE - same.track.positions
    opposite = dataclasses.replace(same, track=dataclasses.replace(same.track, positions=positions))
    write(same, folder / "made" / "a.mp4")
    write(opposite, folder / "made" / "b.mp4")
    return folder


def arguments(folder: Path, *more: str) -> list[str]:
    videos = ["--video", str(folder / "made"), "--reference", str(folder / "reference.mp4")]
    return ["evaluate", "--device", "cpu", *videos, *more]


def refused(argv: list[str], captured: Captured) -> str:
    assert main(argv) == 2
    said = captured.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_the_record_and_the_table(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    texts = ["--prompt", PROMPT, "--entity-prompt", "a green cross"]
    output = tmp_path / "new" / "scores.json"
    assert main(arguments(folder, *CLIP, *texts, "--output", str(output))) == 0
    record = json.loads(output.read_text())
    assert record["reference"] == "reference.mp4"
    assert tuple(record["metrics"]) == tuple(sorted(METRICS))
    assert record["models"] == ["CLIP shape-world", "tracklets by OpenCV"]
    assert set(record["missing"]) == {"motion_fidelity_videomae", "pick_score"}
    assert "MCG-NJU/videomae-base" in record["missing"]["motion_fidelity_videomae"]
    a, b = record["videos"]
    assert (a["video"], b["video"]) == ("a.mp4", "b.mp4")
    assert (a["frames"], a["fps"], a["prompt"]) == (16, 8.0, PROMPT)
    assert set(a["scores"]) == set(METRICS) - set(record["missing"]) == set(record["means"])
    assert a["scores"]["motion_fidelity_tracklets"] > 0.9
    assert b["scores"]["motion_fidelity_tracklets"] < -0.9
    for name, mean in record["means"].items():
        assert mean == pytest.approx((a["scores"][name] + b["scores"][name]) / 2)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["video", "CLIP-T", "CLIP-E"]
    assert [row.split()[0] for row in rows[:3]] == ["a.mp4", "b.mp4", "mean"]
    assert {len(row) for row in rows[:3]} == {len(head)}
    assert rows[0].split()[1] == f"{a['scores']['clip_t']:.4f}"
    points = [record["reference_points"], a["points"], b["points"]]
    assert all(count > 0 for count in points)
    assert rows[4] == "moving points: reference {}, a.mp4 {}, b.mp4 {}".format(*points)
    assert rows[5:7] == ["", "missing:"]
    assert rows[8].strip().startswith("PickScore: needs PickScore. Set pick-score to a folder")


def test_the_prompt_that_fits_scores_higher(folder: Path, tmp_path: Path) -> None:
    """One prompt for each of two videos that look the same."""
    texts = ["--prompt", PROMPT, "--prompt", "a red circle on a black background"]
    output = tmp_path / "scores.json"
    assert main(arguments(folder, *CLIP, *texts, "--output", str(output))) == 0
    record = json.loads(output.read_text())
    right, wrong = (video["scores"]["clip_t"] for video in record["videos"])
    assert right > wrong + 0.2
    assert "entity-prompt" in record["missing"]["clip_e"]


def test_without_models_and_reference_nothing_is_a_number(
    folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    output = tmp_path / "scores.json"
    video = ["evaluate", "--device", "cpu", "--video", str(folder / "made" / "a.mp4")]
    assert main([*video, "--output", str(output)]) == 0
    record = json.loads(output.read_text())
    assert set(record["missing"]) == set(METRICS)
    assert (record["means"], record["videos"][0]["scores"]) == ({}, {})
    said = capsys.readouterr().out
    assert said.startswith("Nothing could be measured.")
    assert "CLIP-T: needs a CLIP model. Set clip-model" in said


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--video", "no.mp4"], "There is no no.mp4"),
        (["--reference", "no.mp4"], "There is no no.mp4"),
        (["--prompt", "a", "--prompt", "b", "--prompt", "c"], "3 prompts for 2 videos"),
        (["--entity-prompt", " "], "One of the entity prompts is empty"),
        (["--frames", "17"], "a.mp4 has 16 frames at 8 fps; 17 are needed"),
        (["--frames", "1"], "VideoSettings.frames is 1; expected 2 or more"),
        (["--fps", "30"], "a.mp4 has 8 frames per second; fps is 30"),
        (["--clip-weights", "w.bin"], "Set it to the open_clip model that the weights belong to"),
        ([*CLIP, "--clip-weights", "w.bin"], "Set it to the open_clip model"),
        (["--clip-model", "ViT-B-32", "--clip-weights", "w.bin"], "There is no file w.bin"),
        (["--clip-model", "ViT-Z", "--clip-weights", "w.bin"], "open_clip has no model 'ViT-Z'"),
        (["--videomae", "no"], "There is no folder no"),
        (["--pick-score", "no", "--prompt", "a"], "There is no folder no"),
        (["--cotracker", "no"], "The CoTracker files have no effect"),
        (["--trackers", "opencv"], "Unknown: --trackers. Did you mean --tracker?"),
    ],
)
def test_what_is_refused(folder: Path, capsys: Captured, flags: list[str], expected: str) -> None:
    argv = arguments(folder, *flags)
    assert expected in refused(argv, capsys)


def test_a_video_of_another_length_than_the_reference(
    folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    short = write(reference_scene("zigzag", "red", "square", "grey"), tmp_path / "c.mp4", frames=12)
    argv = arguments(folder, "--video", str(short))
    assert "c.mp4 has 12 frames and the reference reference.mp4 has 16" in refused(argv, capsys)
    assert main(arguments(folder, "--video", str(short), "--frames", "12")) == 0


def test_a_reference_in_which_nothing_moves(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    write_video(tmp_path / "still.mp4", torch.zeros(16, 3, 64, 64), 8.0)
    assert main(arguments(folder, "--reference", str(tmp_path / "still.mp4"))) == 0
    assert "finds nothing that moves in the reference" in capsys.readouterr().out


def test_cotracker_that_is_not_there(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(arguments(folder, "--tracker", "cotracker")) == 0
    assert "motion (tracklets): needs CoTracker. Install its package" in capsys.readouterr().out
    weights = ["--cotracker", str(tmp_path), "--cotracker-weights", "w.pth"]
    argv = arguments(folder, "--tracker", "cotracker", *weights)
    assert "contains no cotracker/predictor.py" in refused(argv, capsys)
