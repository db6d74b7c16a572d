"""The tiny bases as files, a clip as video, and a finished run for tests that only read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motion_core.cli.main import main
from motion_core.video.writing import write_video
from tests.base_files import save_checkpoint, save_motion_module, save_video_model
from tests.tiny import tiny_animatediff, tiny_zeroscope

FRAMES, SIZE, FPS = 4, 32, 8.0
PROMPT = "a red square moving right"
SHORT = (
    f"--frames {FRAMES} --width {SIZE} --height {SIZE} --rank 2 --no-checkpointing "
    "--sample-steps 2 --inversion-steps 2 --device cpu"
).split()


@dataclass(frozen=True)
class Material:
    """Files to train from. animatediff, zeroscope: the flags that choose these bases."""

    folder: Path

    @property
    def animatediff(self) -> list[str]:
        image, motion = self.folder / "image.safetensors", self.folder / "motion.safetensors"
        base = ["--base", "animatediff", "--checkpoint", str(image)]
        return [*base, "--motion-module", str(motion)]

    @property
    def zeroscope(self) -> list[str]:
        return ["--base", "zeroscope", "--checkpoint", str(self.folder / "video.safetensors")]

    @property
    def clip(self) -> Path:
        return self.folder / "clip.mp4"

    def train(self, output: Path, *more: str, steps: int = 2) -> list[str]:
        """A short training on the tiny AnimateDiff."""
        what = ["--clip", str(self.clip), "--prompt", PROMPT, "--output", str(output)]
        return ["train", *self.animatediff, *what, *SHORT, "--steps", str(steps), *more]

    def sample(self, output: Path, *more: str) -> list[str]:
        size = ["--width", str(SIZE), "--height", str(SIZE), "--num-frames", str(FRAMES)]
        steps = ["--steps", "2", "--device", "cpu"]
        prompt = ["--prompt", "a blue square", "--output", str(output)]
        return ["sample", *self.animatediff, *size, *steps, *prompt, *more]


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("material")
    backbone = tiny_animatediff()
    save_checkpoint(backbone, folder / "image.safetensors")
    save_motion_module(backbone, folder / "motion.safetensors")
    save_video_model(tiny_zeroscope(), folder / "video.safetensors")
    write_video(folder / "clip.mp4", moving_square(6), FPS)
    return Material(folder)


@pytest.fixture(scope="session")
def finished(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of four steps, with a sample after the second."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    more = ["--sample-every", "2", "--sample-prompt", "a green cross"]
    assert main(material.train(folder, *more, steps=4)) == 0
    return folder


def moving_square(frames: int) -> Tensor:
    """(F, 3, SIZE, SIZE): a red square on grey that moves right by 2 pixels a frame."""
    video = torch.zeros(frames, 3, SIZE, SIZE)
    for k, frame in enumerate(video):
        frame[:, 8:18, 4 + 2 * k : 14 + 2 * k] = torch.tensor([1.0, -1.0, -1.0])[:, None, None]
    return video
