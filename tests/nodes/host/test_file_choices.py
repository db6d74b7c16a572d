"""What loaders list, and names of new files."""

from __future__ import annotations

from pathlib import Path

import pytest
from motion_adapters.nodes.host.file_choices import (
    checked_name,
    checkpoint_folders,
    folder_of,
    listed_names,
    new_file,
)

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


def test_a_new_file_has_no_name_of_another_folder(tmp_path: Path) -> None:
    """Not even to replace: only a file of its own folder can be."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, name in ((there, "car"), (here, "car-2"), (there, "car-3")):
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.safetensors").touch()
    both = [here, there]
    assert new_file(here, "car", others=both, replace=False) == here / "car-4.safetensors"
    assert new_file(here, "car", others=both, replace=True) == here / "car-2.safetensors"
    assert new_file(there, "car", others=both, replace=True) == there / "car.safetensors"


def test_files_of_one_name_are_listed_with_their_folders() -> None:
    """But for one file that lies under both keys, as their folders are the same."""
    one, other, lone, shared = (Path(name) for name in ("/a/car", "/b/car", "/b/bus", "/c/van"))
    listed = listed_names({"a": {"car": one, "van": shared}, "b": {"car": other, "bus": lone}})
    assert listed == {"a/car": one, "b/car": other, "bus": lone, "van": shared}
    assert listed_names({"a": {"van": shared}, "b": {"van": shared}}) == {"van": shared}


@pytest.mark.parametrize("name", ["", "  ", "../car", "a/b", "a\\b", ".car", "x" * 65, "C:car"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is used as a file name"):
        checked_name(name)
    with pytest.raises(SettingsError, match="is used as a file name"):
        new_file(tmp_path, name, replace=False)


def test_names() -> None:
    assert checked_name(" car 2.safetensors ") == "car 2"
    assert checked_name("转身") == "转身"


@pytest.mark.parametrize("name", ["con", "NUL", "Lpt1", "com9.v2", "aux.safetensors", "prn ."])
def test_names_of_windows_devices_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="Windows keeps for a device"):
        checked_name(name)


@pytest.mark.parametrize("name", ["console", "com", "com10", "nulls", "my con", "动作"])
def test_names_that_only_begin_like_a_device_are_taken(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["a:b", "a/b", "a\\b", "a?", "a*", 'a"b', "a|b", "<a>", "..", "a\nb"]
)
def test_what_no_file_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="used as a file name"):
        checked_name(name)


def test_a_new_file_is_not_another_one_in_other_letters(tmp_path: Path) -> None:
    """To Windows and macOS "Car" and "car" are one file."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, name in ((here, "Car"), (there, "CAR-2")):
        folder.mkdir()
        (folder / f"{name}.safetensors").touch()
    assert new_file(here, "car", others=[there], replace=False) == here / "car-3.safetensors"
    assert new_file(here, "Car", others=[there], replace=True) == here / "Car.safetensors"
