"""What goes wrong is one line "error: …" and status 2, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from motion_core.backbones.files.tensors import open_tensors
from motion_core.cli.main import main
from motion_core.video.writing import write_frames
from tests.cli.conftest import FRAMES, PROMPT, SIZE, Material
from tests.tiny import MAX_FRAMES

Captured = pytest.CaptureFixture[str]


def refused(argv: list[str], captured: Captured) -> str:
    """The error's line, after checking that it is all that was said."""
    assert main(argv) == 2
    said = captured.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


def refused_training(material: Material, tmp_path: Path, captured: Captured, *more: str) -> str:
    """The line; the output folder, two levels deep, is gone again."""
    said = refused(material.train(tmp_path / "new" / "run", *more), captured)
    assert not (tmp_path / "new").exists()
    return said


def with_clip(material: Material, clip: Path, output: Path) -> list[str]:
    argv = material.train(output)
    argv[argv.index("--clip") + 1] = str(clip)
    return argv


def with_motion_module(material: Material, path: Path, output: Path) -> list[str]:
    argv = material.train(output)
    argv[argv.index("--motion-module") + 1] = str(path)
    return argv


def test_a_missing_video(material: Material, tmp_path: Path, capsys: Captured) -> None:
    said = refused(with_clip(material, tmp_path / "no.mp4", tmp_path / "run"), capsys)
    assert f"There is no {tmp_path / 'no.mp4'}" in said
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_video(material: Material, tmp_path: Path, capsys: Captured) -> None:
    data = material.clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    said = refused(with_clip(material, tmp_path / "cut.mp4", tmp_path / "run"), capsys)
    assert "cut.mp4" in said
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mp4"]


def test_too_few_frames(material: Material, tmp_path: Path, capsys: Captured) -> None:
    said = refused_training(material, tmp_path, capsys, "--frames", "7")
    assert "clip.mp4 has 6 frames at 8 fps; 7 were requested" in said


def test_a_faster_rate_than_the_video_has(
    material: Material, tmp_path: Path, capsys: Captured
) -> None:
    said = refused_training(material, tmp_path, capsys, "--fps", "12")
    assert "clip.mp4 has 8 frames per second; fps is 12" in said


def test_a_domain_adapter_as_motion_module(
    material: Material, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "v3_adapter.safetensors"
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora"
    save_file({f"{layer}.down.weight": torch.zeros(2, 8)}, path)
    said = refused(with_motion_module(material, path, tmp_path / "run"), capsys)
    assert "v3_adapter.safetensors is an AnimateDiff domain adapter, not an AnimateDiff" in said
    assert list(tmp_path.iterdir()) == [path]


def kohya_lora() -> dict[str, torch.Tensor]:
    """Of a convolution, which no adapter of ours has."""
    layer = "lora_unet_mid_block_resnets_0_conv1"
    return {
        f"{layer}.lora_down.weight": torch.zeros(2, 8, 3, 3),
        f"{layer}.lora_up.weight": torch.zeros(8, 2, 1, 1),
    }


def test_an_image_lora_as_motion_module(
    material: Material, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "style.safetensors"
    save_file(kohya_lora(), path)
    said = refused(with_motion_module(material, path, tmp_path / "run"), capsys)
    assert "style.safetensors is an image LoRA in kohya's format" in said
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_keys_in_a_checkpoint(material: Material, tmp_path: Path, capsys: Captured) -> None:
    image = material.folder / "image.safetensors"
    tensors, metadata = load_file(image), dict(open_tensors(image).metadata)
    tensors["model.diffusion_model.surprise.weight"] = torch.zeros(1)
    odd = tmp_path / "odd.safetensors"
    save_file(tensors, odd, metadata)
    argv = material.train(tmp_path / "run")
    argv[argv.index("--checkpoint") + 1] = str(odd)
    assert "model.diffusion_model.surprise.weight" in refused(argv, capsys)
    assert list(tmp_path.iterdir()) == [odd]


def test_an_adapter_of_the_other_family(
    material: Material, finished: Path, tmp_path: Path, capsys: Captured
) -> None:
    adapter = ["--adapter", str(finished / "adapter.safetensors"), "--prompt", "a cross"]
    output = ["--output", str(tmp_path / "a.mp4")]
    said = refused(["sample", *material.zeroscope, *adapter, *output], capsys)
    assert "adapter.safetensors was trained on animatediff" in said
    assert list(tmp_path.iterdir()) == []


def test_noise_of_the_other_family(
    material: Material, finished: Path, tmp_path: Path, capsys: Captured
) -> None:
    noise = ["--noise", str(finished / "adapter.noise.safetensors"), "--noise-prior", "0.5"]
    output = ["--prompt", "a cross", "--output", str(tmp_path / "a.mp4")]
    said = refused(["sample", *material.zeroscope, *noise, *output], capsys)
    assert "adapter.noise.safetensors was trained on animatediff" in said
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_adapter(
    material: Material, finished: Path, tmp_path: Path, capsys: Captured
) -> None:
    style = tmp_path / "style.safetensors"
    save_file(kohya_lora(), style)
    noise = finished / "adapter.noise.safetensors"
    for path, expected in (
        (style, "style.safetensors is an image LoRA in kohya's format, not an adapter"),
        (noise, "adapter.noise.safetensors is the inverted noise of a reference clip, not an"),
        (finished, "is not a checkpoint from the official MotionDirector"),
    ):
        said = refused(material.sample(tmp_path / "a.mp4", "--adapter", str(path)), capsys)
        assert expected in said
    adapter = ["--noise-prior", "1", "--noise", str(finished / "adapter.safetensors")]
    said = refused(material.sample(tmp_path / "a.mp4", *adapter), capsys)
    assert "adapter.safetensors is a motion adapter from this package, not the .noise" in said
    assert list(tmp_path.iterdir()) == [style]


def test_more_frames_than_the_positional_encoding_holds(
    material: Material, tmp_path: Path, capsys: Captured
) -> None:
    """The video is long enough: an image folder of 17 frames at the tiny's 16 positions."""
    folder = tmp_path / "frames"
    write_frames(folder, torch.zeros(MAX_FRAMES + 1, 3, SIZE, SIZE))
    argv = with_clip(material, folder, tmp_path / "run")
    argv[argv.index("--frames") + 1] = str(MAX_FRAMES + 1)
    assert "17 frames are too many" in refused(argv, capsys)
    assert list(tmp_path.iterdir()) == [folder]
    said = refused(material.sample(tmp_path / "a.mp4", "--num-frames", "17"), capsys)
    assert "17 frames are too many" in said
    assert list(tmp_path.iterdir()) == [folder]


def test_sizes_that_8_does_not_divide(material: Material, tmp_path: Path, capsys: Captured) -> None:
    said = refused_training(material, tmp_path, capsys, "--width", "100")
    assert "width is 100; expected a multiple of 8" in said
    said = refused(material.sample(tmp_path / "a.mp4", "--height", "100"), capsys)
    assert "height is 100; expected a multiple of 8" in said


def test_outputs_that_cannot_be_written(
    material: Material, tmp_path: Path, capsys: Captured
) -> None:
    """A file stands where a folder should be, which stops the system's administrator too."""
    (tmp_path / "file").write_text("mine")
    said = refused(material.train(tmp_path / "file" / "run"), capsys)
    assert "cannot be written to" in said
    assert "cannot be written to" in refused(material.train(tmp_path / "file"), capsys)
    said = refused(material.sample(tmp_path / "file" / "a.mp4"), capsys)
    assert "cannot be written to" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_outputs_that_are_something_else(
    material: Material, tmp_path: Path, capsys: Captured
) -> None:
    mine = tmp_path / "folder.mp4"
    mine.mkdir()
    (mine / "notes.txt").touch()
    assert "folder.mp4 is a folder" in refused(material.sample(mine), capsys)
    frames = ["--frames", str(mine)]
    said = refused(material.sample(tmp_path / "a.mp4", *frames), capsys)
    assert "also contains notes.txt" in said
    (mine / "adapter.safetensors").touch()
    said = refused(material.train(mine), capsys)
    assert "contains adapter.safetensors, which does not belong to a finished run" in said
    assert {path.name for path in tmp_path.rglob("*")} == {
        "folder.mp4",
        "notes.txt",
        "adapter.safetensors",
    }


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--stepz", "3"], "Unknown: --stepz. Did you mean --steps?"),
        (["--steps", "many"], "--steps: invalid int value: 'many'"),
        (["--steps", "0"], "steps is 0; expected at least 1"),
        (["--dropout", "1"], "dropout is 1.0"),
        (["--loss", "best"], "--loss: invalid choice: 'best'"),
        (["--objective", "magic"], "There is no method 'magic'. Choose one of motion-director"),
        (["--objective", "coupled", "--beta", "1"], "--beta is a setting of"),
        (["--base", "sdxl"], "There is no base 'sdxl'. Choose one of shape-world-animatediff"),
        (["--base", "zeroscope"], "The base 'zeroscope' does not use a motion module"),
        (["--prompt", "a", "--prompt", "b"], "3 prompts for 1 clips"),
        (["--precision", "fp16"], "precision is 'fp16' on cpu"),
        (["--inversion-steps", "1"], "inversion_steps is 1"),
        (["--sample-steps", "2000"], "at most 1000"),
        (["--resume"], "contains no run to resume"),
    ],
)
def test_flags_that_cannot_be(
    material: Material, tmp_path: Path, capsys: Captured, flags: list[str], expected: str
) -> None:
    assert expected in refused_training(material, tmp_path, capsys, *flags)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('bass = "animatediff"', "has no setting 'bass'. Did you mean 'base'?"),
        ("[train]\nstep = 3", "TrainSettings has no setting 'step'. Did you mean 'steps'?"),
        ("[objective]\nranks = 3", "MotionDirectorSettings has no setting 'ranks'"),
        ('[objective]\nname = "magic"', "There is no method 'magic'"),
        ('[objective]\nname = "vmc"\nanchor = "first"', "anchor is a setting of"),
        ("objective = 3", "objective is 3; expected a table [objective]"),
        ('[clip]\nwidth = "wide"', "width is 'wide'; expected a whole number, or none"),
        ("[train]\nsteps = true", "steps is True; expected a whole number"),
        ("train = 3", "train is 3; expected a table [train]"),
        ("clips = 3", "clips is 3; expected a list"),
        ("[train", "run.toml cannot be read"),
    ],
)
def test_configuration_files_that_cannot_be(
    material: Material, tmp_path: Path, capsys: Captured, text: str, expected: str
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(text)
    argv = ["train", *material.animatediff, "--prompt", PROMPT, "--config", str(config)]
    if "clips" not in text:
        argv += ["--clip", str(material.clip)]
    said = refused([*argv, "--output", str(tmp_path / "run")], capsys)
    assert expected in said
    assert list(tmp_path.iterdir()) == [config]


def test_a_base_that_is_no_name(tmp_path: Path, capsys: Captured) -> None:
    config = tmp_path / "run.toml"
    config.write_text('base = ["animatediff"]')
    said = refused(["train", "--config", str(config), "--output", str(tmp_path / "run")], capsys)
    assert "base is ['animatediff']; expected one of shape-world-animatediff" in said
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--noise-prior", "0.5"], "no adapter has a .noise.safetensors file next to it"),
        (["--noise", "x.safetensors"], "has no effect"),
        (["--adapter", "no.safetensors"], "There is no file no.safetensors"),
        (["--with-appearance"], "No adapter contains an appearance"),
        (["--guidance-scale", "0"], "guidance_scale is 0.0"),
        (["--fps", "0"], "--fps is 0.0"),
        (["--enlarge", "0"], "--enlarge is 0"),
        (["--precision", "fp16"], "precision is 'fp16' on cpu"),
    ],
)
def test_samples_that_cannot_be(
    material: Material, tmp_path: Path, capsys: Captured, flags: list[str], expected: str
) -> None:
    assert expected in refused(material.sample(tmp_path / "a.mp4", *flags), capsys)
    assert list(tmp_path.iterdir()) == []


def test_other_refusals(material: Material, tmp_path: Path, capsys: Captured) -> None:
    said = refused(material.sample(tmp_path / "a.avi"), capsys)
    assert "expected a name ending in .mp4, .gif, .png" in said
    said = refused(["inspect", str(tmp_path / "no.safetensors")], capsys)
    assert "There is no file" in said
    assert "Unknown: --jsom. Did you mean --json?" in refused(["inspect", "a", "--jsom"], capsys)
    assert "nothing to train on" in refused(
        ["train", *material.animatediff, "--output", str(tmp_path / "run")], capsys
    )
    assert "Set --base" in refused(["train", "--output", str(tmp_path / "run")], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_without_memory_left(
    material: Material, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's own error, raised where a GPU would: a test cannot fill one."""

    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr("motion_core.cli.sample_run.generate", out_of_memory)
    assert "The GPU ran out of memory" in refused(material.sample(tmp_path / "a.mp4"), capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_its_own(material: Material, tmp_path: Path) -> None:
    """Nothing but the line, whatever libraries have to say when they are imported."""
    argv = material.train(tmp_path / "run", "--frames", str(FRAMES + 9))
    done = subprocess.run(
        [sys.executable, "-m", "motion_core", *argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: clip.mp4 has 6 frames")
    assert done.stderr.count("\n") == 1
