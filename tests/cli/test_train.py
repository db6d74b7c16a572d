"""Training from the command line: what it leaves, that it can be run again, stopped and gone on
with.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from motion_core.adapter_files.noise_file import load_noise
from motion_core.adapter_files.own import load_adapter, read_previews
from motion_core.cli.main import main
from motion_core.diffusion.encoding import encode_clip
from motion_core.diffusion.generate import invert_clip
from motion_core.video.clips import load_clips
from motion_core.video.settings import ClipSettings
from tests.cli.conftest import FRAMES, PROMPT, SIZE, Material, moving_square
from tests.tiny import tiny_animatediff

RESULTS = {
    "adapter.safetensors",
    "adapter.json",
    "adapter.png",
    "adapter.noise.safetensors",
    "sample.mp4",
    "sample.gif",
    "loss.png",
    "metrics.json",
}


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "adapter.safetensors")


def assert_same_weights(one: Path, other: Path) -> None:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


def test_a_run_leaves_all_of_its_files(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} >= RESULTS
    samples = {path.name for path in (finished / "samples").iterdir()}
    assert samples == {"step-2.mp4", "step-4.mp4"}
    assert not [path for path in finished.rglob(".*")]


def test_the_adapter_says_what_it_is(finished: Path) -> None:
    """Rank 2 as asked; the clip's size, rate and prompt; 4 frames make 4 previews."""
    info, adapters = load_adapter(finished / "adapter.safetensors")
    assert (info.method, info.rank, info.steps) == ("motion_director", 2, 4)
    assert (info.family, info.version) == ("animatediff", "animatediff-sd15-v2")
    assert (info.frames, info.width, info.height, info.fps) == (FRAMES, SIZE, SIZE, 8.0)
    assert info.prompts == (PROMPT,)
    assert info.sites == (
        "spatial.attn1",
        "spatial.ff",
        "temporal.attn1",
        "temporal.attn2",
        "temporal.ff",
    )
    assert info.settings["training"]["steps"] == 4  # type: ignore[index]
    assert set(adapters) == {"temporal", "spatial.0"}
    assert any(tensor.abs().max() > 0 for tensor in adapters["temporal"].state_dict().values())
    assert len(read_previews(finished / "adapter.safetensors")) == 4


def test_the_metrics_count(finished: Path) -> None:
    """Parameters: those in the file, each in exactly one adapter."""
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["steps"] == 4
    assert "temporal" in metrics["losses"]
    assert metrics["losses"]["temporal"].keys() == {"first_tenth", "last_tenth", "last"}
    numbers = sum(tensor.numel() for tensor in weights(finished).values())
    assert sum(metrics["parameters"].values()) == numbers
    assert metrics["seconds"] > 0
    assert metrics["peak_memory_bytes"] > 0
    assert metrics["settings"] == json.loads((finished / "adapter.json").read_text())


def test_the_noise_is_the_clips_own_inversion(finished: Path, material: Material) -> None:
    settings = ClipSettings(frames=FRAMES, fps=8.0, width=SIZE, height=SIZE)
    clip = load_clips(material.clip, settings, PROMPT)[0]
    backbone = tiny_animatediff()
    latents = encode_clip(backbone, clip)
    info, noise = load_noise(finished / "adapter.noise.safetensors")
    assert torch.equal(noise, invert_clip(backbone, latents, steps=2))
    assert (info.steps, info.prompt, info.digest) == (2, PROMPT, latents.digest)


def test_the_last_samples_begin_with_the_noise_prior(
    finished: Path, material: Material, tmp_path: Path
) -> None:
    """MotionDirector's 0.5 for one video, as the record says; without it they are others."""
    assert json.loads((finished / "adapter.json").read_text())["sample_noise_prior"] == 0.5
    again = ["train", "--config", str(finished / "adapter.json"), "--sample-every", "0"]
    for prior in ("0.5", "0"):
        output = ["--output", str(tmp_path / prior), "--sample-noise-prior", prior]
        assert main([*again, *output]) == 0
        assert_same_weights(finished, tmp_path / prior)
    half, fresh = (read_previews(tmp_path / p / "adapter.safetensors") for p in ("0.5", "0"))
    assert read_previews(finished / "adapter.safetensors") == half != fresh


def test_what_was_found_in_the_prompt_is_said(
    material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--objective", "motion-crafter", "--inversion-steps", "0"]
    assert main(material.train(tmp_path / "run", *more, steps=1)) == 0
    said = capsys.readouterr().err
    assert "motion is 'moving right', found in the prompt; --motion sets another" in said


def test_the_contact_sheet_and_the_small_video_can_be_seen(finished: Path) -> None:
    """32 pixels grow by 8 to 256; the sheet has 5 rows of 4 frames: reference, and base and
    adapted for two prompts.
    """
    with Image.open(finished / "sample.gif") as gif:
        assert gif.size == (256, 256)
        assert getattr(gif, "n_frames", 0) == FRAMES
    with Image.open(finished / "adapter.png") as sheet:
        assert sheet.height > 5 * 128


def test_its_settings_file_makes_the_same_adapter(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from another working folder."""
    monkeypatch.chdir(tmp_path)
    again = ["train", "--config", str(finished / "adapter.json"), "--output", "again"]
    assert main([*again, "--sample-every", "0"]) == 0
    assert_same_weights(finished, tmp_path / "again")


def test_another_seed_makes_another_adapter(finished: Path, tmp_path: Path) -> None:
    again = ["train", "--config", str(finished / "adapter.json"), "--output", str(tmp_path / "b")]
    assert main([*again, "--seed", "1"]) == 0
    mine, theirs = weights(finished), weights(tmp_path / "b")
    assert not all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


def test_a_toml_file_with_paths_beside_it_and_flags_that_win(
    material: Material, tmp_path: Path
) -> None:
    config = material.folder / "run.toml"
    config.write_text(f"""
base = "animatediff"
checkpoint = "image.safetensors"
motion_module = "motion.safetensors"
clips = ["clip.mp4"]
prompts = "{PROMPT}"
device = "cpu"
sample_steps = 1
inversion_steps = 0
[clip]
frames = 3
width = {SIZE}
height = {SIZE}
[train]
steps = 1
learning_rate = 0.01
[objective]
name = "motion-director"
rank = 3
""")
    output = tmp_path / "run"
    assert main(["train", "--config", str(config), "--rank", "1", "--output", str(output)]) == 0
    info = load_adapter(output / "adapter.safetensors")[0]
    assert (info.rank, info.steps, info.frames) == (1, 1, 3)
    settings = json.loads((output / "adapter.json").read_text())
    assert settings["train"]["learning_rate"] == 0.01
    assert settings["clips"] == [str(material.clip)]
    assert not (output / "adapter.noise.safetensors").exists()


def test_images_alone_train_looks_alone(material: Material, tmp_path: Path) -> None:
    frame = ((moving_square(1)[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(frame).save(tmp_path / "square.png")
    (tmp_path / "square.txt").write_text("a red square")
    what = ["--image", str(tmp_path / "square.png"), "--output", str(tmp_path / "looks")]
    size = f"--width {SIZE} --height {SIZE} --steps 1 --rank 1 --sample-steps 1 --device cpu"
    assert main(["train", *material.animatediff, *what, *size.split()]) == 0
    info = load_adapter(tmp_path / "looks" / "adapter.safetensors")[0]
    assert list(info.adapters) == ["spatial.0"]
    assert (info.frames, info.prompts) == (1, ("a red square",))
    assert not (tmp_path / "looks" / "adapter.noise.safetensors").exists()


def test_zeroscope_on_two_clips(material: Material, tmp_path: Path) -> None:
    """A spatial LoRA for each clip; prompts in their order."""
    output = tmp_path / "run"
    what = ["--clip", str(material.clip), "--clip", str(material.clip), "--output", str(output)]
    prompts = ["--prompt", "a red square", "--prompt", "a scarlet square"]
    size = f"--frames 3 --width {SIZE} --height {SIZE} --steps 1 --rank 1 --sample-steps 1"
    flags = [*what, *prompts, *size.split(), "--inversion-steps", "2", "--device", "cpu"]
    assert main(["train", *material.zeroscope, *flags]) == 0
    info = load_adapter(output / "adapter.safetensors")[0]
    assert set(info.adapters) == {"temporal", "spatial.0", "spatial.1"}
    assert info.prompts == ("a red square", "a scarlet square")


def test_windows_of_one_clip_have_one_look(material: Material, tmp_path: Path) -> None:
    """6 frames hold 2 windows of 4."""
    assert main(material.train(tmp_path / "run", "--windows", "2", steps=1)) == 0
    info = load_adapter(tmp_path / "run" / "adapter.safetensors")[0]
    assert set(info.adapters) == {"temporal", "spatial.0"}
    assert len(info.prompts) == 2


def test_half_precision_keeps_float32_adapters(material: Material, tmp_path: Path) -> None:
    assert main(material.train(tmp_path / "run", "--precision", "bf16", steps=1)) == 0
    assert {tensor.dtype for tensor in weights(tmp_path / "run").values()} == {torch.float32}


def interrupt_after(metrics: Path, steps: int) -> threading.Thread:
    """Presses Ctrl-C once the run has logged so many steps, also where the tests run in the
    background, which ignores it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def press() -> None:
        while not metrics.exists() or metrics.read_text().count("\n") < steps:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    return thread


def test_ctrl_c_keeps_a_run_that_goes_on_to_the_same_adapter(
    material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "stopped run"
    thread = interrupt_after(folder / "metrics.jsonl", 2)
    assert main(material.train(folder, steps=100_000)) == 130
    thread.join()
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"python -m motion_core train --resume --output '{folder}'" in said
    assert not (folder / "adapter.safetensors").exists()
    steps = json.loads((folder / "state.json").read_text())["step"] + 2
    assert main(["train", "--resume", "--output", str(folder), "--steps", str(steps)]) == 0
    whole = tmp_path / "whole"
    assert main(material.train(whole, steps=steps)) == 0
    assert_same_weights(folder, whole)


def test_an_unfinished_run_is_not_overwritten(
    material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    (folder / "checkpoints" / "step-3").mkdir(parents=True)
    (folder / "state.json").write_text('{"state": "cancelled", "step": 3, "total": 9}')
    before = sorted(folder.rglob("*"))
    assert main(material.train(folder)) == 2
    assert "stopped at step 3 of 9. Add --resume" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before
    (folder / "checkpoints" / "step-3").rmdir()  # nothing that could be lost
    assert main(material.train(folder, steps=1)) == 0


def test_a_finished_run_is_replaced_by_a_new_one(material: Material, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(material.train(folder, steps=2)) == 0
    assert main(material.train(folder, "--seed", "5", steps=1)) == 0
    info = load_adapter(folder / "adapter.safetensors")[0]
    assert info.steps == 1
    assert info.settings["training"]["seed"] == 5  # type: ignore[index]


def test_a_finished_run_can_be_trained_further(material: Material, tmp_path: Path) -> None:
    """2 steps and 2 more are the same as 4 at once."""
    further, whole = tmp_path / "further", tmp_path / "whole"
    assert main(material.train(further, steps=2)) == 0
    assert main(["train", "--resume", "--output", str(further), "--steps", "4"]) == 0
    assert main(material.train(whole, steps=4)) == 0
    assert_same_weights(further, whole)
