"""What loaders list, and names of new files."""

from __future__ import annotations

from pathlib import Path

import pytest
from motion_adapters.nodes.file_choices import checkpoint_folders, folder_of, new_file

from motion_core.errors import SettingsError


def test_checkpoints_of_the_official_motion_director_are_listed_as_folders() -> None:
    files = [
        "car.safetensors",
        "bike/checkpoint-300/temporal/lora/300_unet.pt",
        "bike/checkpoint-300/spatial/lora/300_unet.pt",
        "checkpoint-150\\temporal\\lora\\150_unet.pt",
        "temporal/lora/1_unet.pt",  # of the listed folder itself, which has no name
        "loose/2_unet.pt",
    ]
    found = checkpoint_folders(files)
    assert found == {"bike/checkpoint-300": files[2], "checkpoint-150": files[3]}
    assert folder_of(Path("/m") / files[2]) == Path("/m/bike/checkpoint-300")


def test_a_new_file_gets_a_number_or_replaces(tmp_path: Path) -> None:
    assert new_file(tmp_path, "car.safetensors", replace=False) == tmp_path / "car.safetensors"
    (tmp_path / "car.safetensors").touch()
    (tmp_path / "car-2.safetensors").touch()
    assert new_file(tmp_path, "car", replace=False) == tmp_path / "car-3.safetensors"
    assert new_file(tmp_path, "car", replace=True) == tmp_path / "car.safetensors"


@pytest.mark.parametrize("name", ["", "../car", "a/b", "C:car"])
def test_names_that_would_lead_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="it becomes a file's name"):
        new_file(tmp_path, name, replace=False)
