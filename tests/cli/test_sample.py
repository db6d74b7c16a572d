"""Sampling from the command line: what is applied, and that the same request gives the same
frames.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.adapter_files.other_programs import exported
from motion_core.adapter_files.own import load_adapter
from motion_core.adapters.base import Adapter
from motion_core.backbones.files.tensors import write_tensors
from motion_core.cli.main import main
from motion_core.cli.sample_run import (
    chosen_adapters,
    debiased_files,
    read_adapter,
    split_strength,
)
from motion_core.errors import AdapterError
from motion_core.video.clips import load_clips
from motion_core.video.settings import ClipSettings
from tests.adapter_files.test_own import an_info
from tests.cli.conftest import FRAMES, SIZE, Material


def frames_of(material: Material, folder: Path, *more: str) -> list[bytes]:
    """The PNG files of a sample, byte for byte."""
    output = folder / "video.mp4"
    assert main(material.sample(output, "--frames", str(folder / "frames"), *more)) == 0
    return [path.read_bytes() for path in sorted((folder / "frames").iterdir())]


def test_a_trained_adapter_changes_the_video_and_strength_0_does_not(
    material: Material, finished: Path, tmp_path: Path
) -> None:
    adapter = str(finished / "adapter.safetensors")
    base = frames_of(material, tmp_path / "base")
    assert len(base) == FRAMES
    assert frames_of(material, tmp_path / "again") == base
    assert frames_of(material, tmp_path / "zero", "--adapter", f"{adapter}:0") == base
    full = frames_of(material, tmp_path / "full", "--adapter", adapter, "--guidance-scale", "1")
    scaled = ["--adapter", f"{adapter}:2", "--temporal-scale", "0.5", "--guidance-scale", "1"]
    assert full != base
    assert frames_of(material, tmp_path / "scaled", *scaled) == full


def test_seeds_differ(material: Material, tmp_path: Path) -> None:
    one = frames_of(material, tmp_path / "one")
    assert frames_of(material, tmp_path / "two", "--seed", "1") != one


def test_video_gif_and_sheet(material: Material, tmp_path: Path) -> None:
    assert main(material.sample(tmp_path / "a.mp4", "--gif", "--enlarge", "2", "--fps", "4")) == 0
    clip = load_clips(tmp_path / "a.mp4", ClipSettings(frames=FRAMES), "a square")[0]
    assert (clip.fps, clip.frames.shape) == (4.0, (FRAMES, 3, 2 * SIZE, 2 * SIZE))
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.size, gif.info["duration"]) == ((2 * SIZE, 2 * SIZE), 250)
    assert main(material.sample(tmp_path / "sheet.png")) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > FRAMES * 128
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "a.gif", "sheet.png"}


def test_size_and_length_are_the_adapters_own_where_none_are_asked(
    material: Material, finished: Path, tmp_path: Path
) -> None:
    adapter = ["--adapter", str(finished / "adapter.safetensors"), "--device", "cpu"]
    flags = ["--prompt", "a cross", "--output", str(tmp_path / "a.mp4"), "--steps", "1"]
    frames = ["--frames", str(tmp_path / "frames")]
    assert main(["sample", *material.animatediff, *adapter, *flags, *frames]) == 0
    paths = sorted((tmp_path / "frames").iterdir())
    assert len(paths) == FRAMES
    with Image.open(paths[0]) as frame:
        assert frame.size == (SIZE, SIZE)


def test_the_noise_beside_the_adapter_is_found(
    material: Material, finished: Path, tmp_path: Path
) -> None:
    adapter = ["--adapter", str(finished / "adapter.safetensors"), "--noise-prior", "0.5"]
    noise = ["--noise", str(finished / "adapter.noise.safetensors")]
    plain = frames_of(material, tmp_path / "plain", *adapter[:2], "--noise-prior", "0")
    found = frames_of(material, tmp_path / "found", *adapter)
    assert found != plain
    assert frames_of(material, tmp_path / "given", *adapter, *noise) == found


def test_the_noise_prior_is_the_methods_where_none_is_asked_for(
    material: Material, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MotionDirector's for one video, 0.5: of the file, and said; not where it does not play, has
    no noise beside it, or the video has another length.
    """
    adapter = ["--adapter", str(finished / "adapter.safetensors")]
    info, _ = load_adapter(finished / "adapter.safetensors")
    assert info.settings["sampling"] == {"noise_prior": 0.5}
    half = frames_of(material, tmp_path / "half", *adapter, "--noise-prior", "0.5")
    assert "noise prior" not in capsys.readouterr().out
    assert frames_of(material, tmp_path / "own", *adapter) == half
    assert "The noise prior is 0.5, the method's own" in capsys.readouterr().out
    alone = tmp_path / "alone.safetensors"
    shutil.copyfile(finished / "adapter.safetensors", alone)
    fresh = frames_of(material, tmp_path / "fresh", *adapter, "--noise-prior", "0")
    assert frames_of(material, tmp_path / "alone", "--adapter", str(alone)) == fresh
    assert len(frames_of(material, tmp_path / "short", *adapter, "--num-frames", "2")) == 2
    assert "noise prior" not in capsys.readouterr().out


def test_looks_are_applied_on_demand(material: Material, finished: Path, tmp_path: Path) -> None:
    adapter = ["--adapter", str(finished / "adapter.safetensors")]
    motion = frames_of(material, tmp_path / "motion", *adapter)
    both = frames_of(material, tmp_path / "both", *adapter, "--with-appearance")
    assert both != motion
    named = [*adapter, "--with-appearance", "spatial.0"]
    assert frames_of(material, tmp_path / "named", *named) == both
    assert frames_of(material, tmp_path / "scaled", *adapter, "--spatial-scale", "1") == both


def test_what_is_chosen_of_each_file(finished: Path) -> None:
    _, adapters = load_adapter(finished / "adapter.safetensors")
    temporal, spatial = adapters["temporal"], adapters["spatial.0"]
    motion = given(2.0, {"temporal": temporal, "spatial.0": spatial, "spatial.1": spatial})
    looks = given(0.5, {"spatial.0": spatial})
    assert chosen_adapters([motion], with_looks=False, looks=None) == [(temporal, 2.0)]
    both = [(temporal, 2.0), (spatial, 0.5)]
    assert chosen_adapters([motion, looks], with_looks=False, looks=None) == both
    assert len(chosen_adapters([motion], with_looks=True, looks=None)) == 2
    assert len(chosen_adapters([motion], with_looks=False, looks="spatial.1")) == 2
    with pytest.raises(AdapterError, match=r"appearance called 'spatial\.7'"):
        chosen_adapters([motion], with_looks=False, looks="spatial.7")


def given(strength: float, adapters: dict[str, Adapter]) -> LoadedAdapter:
    return LoadedAdapter(name="a", strength=strength, info=an_info(), adapters=adapters)


def test_strengths_behind_a_colon(tmp_path: Path) -> None:
    assert split_strength("a.safetensors") == (Path("a.safetensors"), 1.0)
    assert split_strength("a.safetensors:0.8") == (Path("a.safetensors"), 0.8)
    assert split_strength("a.safetensors:-1") == (Path("a.safetensors"), -1.0)
    assert split_strength("C:/a.safetensors") == (Path("C:/a.safetensors"), 1.0)
    odd = tmp_path / "a:2"
    odd.touch()
    assert split_strength(str(odd)) == (odd, 1.0)


def test_a_motion_lora_of_animatediff_is_an_adapter_too(
    material: Material, finished: Path, tmp_path: Path
) -> None:
    _, adapters = load_adapter(finished / "adapter.safetensors")
    path = tmp_path / "lora.safetensors"
    write_tensors(path, exported(adapters["temporal"], "animatediff"), {})  # type: ignore[arg-type]
    assert read_adapter(f"{path}:0.5").info.is_foreign
    own = ["--adapter", str(finished / "adapter.safetensors"), "--noise-prior", "0"]
    ours = frames_of(material, tmp_path / "1", *own)
    assert frames_of(material, tmp_path / "2", "--adapter", str(path)) == ours


def test_copies_of_a_run_are_used_alike(material: Material, finished: Path, tmp_path: Path) -> None:
    """Two adapters at half strength are one at full strength, up to rounding; here: at 0 and 1,
    exactly.
    """
    copy = tmp_path / "copy.safetensors"
    shutil.copy(finished / "adapter.safetensors", copy)
    once = frames_of(material, tmp_path / "1", "--adapter", str(copy))
    twice = ["--adapter", f"{copy}:0", "--adapter", f"{copy}:1"]
    assert frames_of(material, tmp_path / "2", *twice) == once


def test_an_embedding_is_debiased_as_asked(
    material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As saved without the flag; each way is another video. A file without one is refused, and so
    is a way that there is not.
    """
    run = tmp_path / "run"
    more = ["--objective", "motion-inversion", "--learning-rate", "0.5", "--inversion-steps", "0"]
    assert main(material.train(run, *more, steps=2)) == 0
    adapter = ["--adapter", str(run / "adapter.safetensors"), "--guidance-scale", "1"]
    ways = ("difference", "drop_value", "normalise", "none")
    found = {w: frames_of(material, tmp_path / w, *adapter, "--debias", w) for w in ways}
    assert frames_of(material, tmp_path / "saved", *adapter) == found["difference"]
    assert len({tuple(frames) for frames in found.values()}) == len(ways)
    capsys.readouterr()
    flags = material.sample(tmp_path / "a.mp4", *adapter, "--debias", "half")
    assert main(flags) == 2
    assert "--debias is 'half'; expected one of difference, drop_value" in capsys.readouterr().err


def test_debiasing_what_is_no_embedding_is_refused(finished: Path) -> None:
    with pytest.raises(AdapterError, match="so --debias has no effect"):
        debiased_files([read_adapter(str(finished / "adapter.safetensors"))], "none")
