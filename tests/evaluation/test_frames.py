"""Frames in memory are scored as the same frames in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motion_core.errors import ClipError
from motion_core.evaluation.base import Subject
from motion_core.evaluation.evaluate import EvaluationRequest, evaluate, evaluate_frames
from motion_core.evaluation.models import ModelFiles
from motion_core.evaluation.videos import Video, VideoSettings, load_video
from motion_core.shape_world.renderer import reference_scene, render
from motion_core.video.writing import write_frames

PROMPT, ENTITY = "a green cross zigzagging on a white background", "a green cross"
FILES = ModelFiles(clip_model="shape-world")


def frames_in(folder: Path, colour: str, shape: str) -> Path:
    scene = reference_scene("zigzag", colour, shape, "white")
    write_frames(folder, (torch.from_numpy(render(scene)).permute(0, 3, 1, 2) * 2 - 1)[:8])
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("frames")
    return frames_in(root / "reference", "red", "square"), frames_in(
        root / "made", "green", "cross"
    )


def subject(video: Video) -> Subject:
    return Subject(video=video, prompt=PROMPT, entity_prompt=ENTITY)


def test_scores_are_those_of_the_files(folders: tuple[Path, Path]) -> None:
    reference, made = folders
    request = EvaluationRequest(
        videos=(made,),
        reference=reference,
        prompts=(PROMPT,),
        entity_prompts=(ENTITY,),
        files=FILES,
    )
    whole, settings, steps = evaluate(request), VideoSettings(), []
    report = evaluate_frames(
        [subject(load_video(made, settings))],
        load_video(reference, settings),
        FILES,
        progress=lambda *step: steps.append(step),
    )
    assert report.to_mapping() == whole.to_mapping()
    assert steps == [(1, 1)]


def test_another_length_than_the_references_is_refused_first(folders: tuple[Path, Path]) -> None:
    reference, made = (load_video(folder, VideoSettings()) for folder in folders)
    short = Video(name="short", frames=made.frames[:4], fps=made.fps)
    with pytest.raises(ClipError, match="short has 4 frames and the reference reference has 8"):
        evaluate_frames([subject(made), subject(short)], reference, FILES)
