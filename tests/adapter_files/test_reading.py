"""Adapters of every program, read alike; the official MotionDirector's at ZeroScope's names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motion_core.adapter_files.official_motion_director import zeroscope_layout
from motion_core.adapter_files.other_programs import exported
from motion_core.adapter_files.own import check_fits, save_adapter
from motion_core.adapter_files.reading import read_any_adapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.backbones.files.tensors import write_tensors
from motion_core.backbones.temporal import spatial_linear_names, temporal_linear_names
from motion_core.errors import FormatError
from tests.adapter_files.test_own import adapters, an_info
from tests.tiny import tiny_animatediff


def test_our_own_file(tmp_path: Path) -> None:
    path = tmp_path / "car.safetensors"
    save_adapter(path, adapters(), an_info())
    read = read_any_adapter(path)
    info, found = read.info, read.adapters
    assert set(found) == set(adapters())
    assert (info.method, info.frames, info.is_foreign) == ("motion_director", 16, False)


def test_a_motion_lora_of_animatediff_fits_any_version(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file does not say which, so there is nothing to warn of."""
    path = tmp_path / "zoom.safetensors"
    write_tensors(path, exported(adapters()["temporal"], "animatediff"), {})
    read = read_any_adapter(path)
    info, found = read.info, read.adapters
    assert (info.family, info.version, info.is_foreign) == ("animatediff", "", True)
    assert (info.rank, info.shown, info.parametrisation) == (2, ("temporal",), "lora")
    check_fits(info, tiny_animatediff())
    assert not caplog.records
    assert isinstance(found["temporal"], LoraAdapter)
    # What is imported can be saved as ours, and stays another program's.
    save_adapter(tmp_path / "again.safetensors", found, info)
    assert read_any_adapter(tmp_path / "again.safetensors").info.is_foreign


def write_list(path: Path, names: list[str], rank: int = 1) -> None:
    """A list as the official trainer writes it: zeros of the layers' shapes, up before down."""
    unet = zeroscope_layout()
    linears = {name: unet.get_submodule(name) for name in names}
    tensors = []
    for linear in linears.values():
        out, width = linear.weight.shape
        tensors += [torch.zeros(out, rank), torch.zeros(rank, width)]
    path.parent.mkdir(parents=True)
    torch.save(tensors, path)


def test_a_checkpoint_folder_of_the_official_motion_director(tmp_path: Path) -> None:
    """Motion and looks lie apart there; what plays is the motion."""
    folder, unet = tmp_path / "checkpoint-150", zeroscope_layout()
    write_list(folder / "temporal" / "lora" / "150_unet.pt", temporal_linear_names(unet))
    write_list(folder / "spatial" / "lora" / "150_unet.pt", spatial_linear_names(unet))
    read = read_any_adapter(folder)
    info, found = read.info, read.adapters
    assert list(found) == ["temporal", "spatial.0"]
    assert (info.method, info.family, info.shown) == ("motion_director", "zeroscope", ("temporal",))


def test_folders_that_hold_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a checkpoint from the official MotionDirector"):
        read_any_adapter(tmp_path)
    for number in (1, 2):
        path = tmp_path / "spatial" / "lora" / f"{number}_unet.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save([torch.zeros(2, 1), torch.zeros(1, 2)], path)
    with pytest.raises(FormatError, match="contains 2 files"):
        read_any_adapter(tmp_path)


def test_a_file_of_another_role_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"first_stage_model.decoder.conv_in.weight": torch.zeros(1)}, {})
    with pytest.raises(FormatError, match=r"x\.safetensors is a VAE, not an adapter"):
        read_any_adapter(path)
