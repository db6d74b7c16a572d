"""Files that version 0.1.0 wrote are read as they were then, and have the effect that they had.

See tests/fixtures/v0.1.0/README.md for how the files were made.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from motion_core.adapter_files.noise_file import load_noise, noise_path
from motion_core.adapter_files.official_motion_director import import_motion_director
from motion_core.adapter_files.own import read_previews
from motion_core.adapter_files.reading import read_any_adapter
from motion_core.adapters import ADAPTERS
from motion_core.backbones.base import Backbone
from motion_core.bases import load_base
from motion_core.cli.main import main
from motion_core.methods import METHODS
from motion_core.settings import to_mapping
from tests.fixture_files import FIXTURES, read_json
from tests.known import KNOWN_BASES, PROMPT, prediction

CONTENTS: dict[str, Any] = read_json("contents.json")
OF_THE_COMMAND_LINE = [name for name in CONTENTS if name.startswith("adapters/shape-world")]
# What other processors and versions of torch may change, and far below every adapter's effect.
RTOL, ATOL, LEAST_EFFECT = 1e-4, 1e-4, 5e-4
# As the command line made them; a strength stands behind its file.
BLENDS = {
    "loras": ("animatediff/motion_director:0.8", "animatediff/motion_director_two_clips:0.5"),
    "one_weaker": ("animatediff/motion_director:0.7",),
    "lora_and_weights": ("animatediff/motion_director:1.0", "animatediff/motion_crafter:-0.5"),
    "embedding_and_lora": ("animatediff/motion_inversion:0.9", "animatediff/vmc_lora:0.6"),
    "coupled_and_verbs": (
        "zeroscope/coupled:1.0",
        "zeroscope/motrans:0.6",
        "zeroscope/motrans_frozen:0.4",
    ),
    "embeddings": (
        "zeroscope/motion_inversion:0.5",
        "zeroscope/motion_inversion:0.25",
        "zeroscope/motion_inversion_hybrid:0.6",
    ),
}
CONVERSIONS = {
    "motion_crafter_as_lora": ("animatediff/motion_crafter", "--rank 3"),
    "vmc_as_lora": ("zeroscope/vmc", "--rank 2"),
    "animatediff": ("animatediff/motion_director", "--to animatediff"),
    "animatediff_from_weights": ("animatediff/vmc", "--to animatediff --rank 2"),
    "diffusers": ("animatediff/motion_director", "--to diffusers"),
    "diffusers_looks": ("animatediff/motion_director", "--to diffusers --adapter spatial.0"),
    "peft": ("zeroscope/motion_director", "--to peft"),
    "peft_looks": ("zeroscope/coupled", "--to peft --adapter spatial"),
}
# Whose factors are those of a singular value decomposition, and so of either sign.
DECOMPOSED = ("motion_crafter_as_lora", "vmc_as_lora", "animatediff_from_weights")


@lru_cache
def base(name: str) -> Backbone:
    return KNOWN_BASES[name]() if name in KNOWN_BASES else load_base(name)


@lru_cache
def predictions() -> dict[str, Tensor]:
    return load_file(FIXTURES / "predictions.safetensors")


def said_again(info: object) -> dict[str, Any]:
    """The info as plain values, its adapters too."""
    plain = to_mapping(info)
    plain["adapters"] = {name: to_mapping(entry) for name, entry in plain["adapters"].items()}
    return plain


def assert_same_tensors(one: Path, other: Path) -> None:
    mine, theirs = load_file(one), load_file(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-5, atol=1e-6)


def assert_same_changes(one: Path, other: Path) -> None:
    """The product of each layer's two matrices, which a decomposition leaves alone."""
    mine, theirs = load_file(one), load_file(other)
    assert mine.keys() == theirs.keys()
    ups = [name for name in mine if ".up." in name or ".lora_B." in name]
    assert len(ups) == len(mine) / 2
    for up in ups:
        down = up.replace(".up.", ".down.").replace(".lora_B.", ".lora_A.")
        torch.testing.assert_close(
            mine[up] @ mine[down], theirs[up] @ theirs[down], rtol=1e-4, atol=1e-5
        )


def test_every_method_and_kind_is_there() -> None:
    methods = {entry["info"]["method"] for entry in CONTENTS.values()}
    kinds = {part["kind"] for entry in CONTENTS.values() for part in entry["adapters"].values()}
    assert methods - {"blend", "animatediff_motion_lora"} <= set(METHODS)  # later ones may be more
    assert kinds == set(ADAPTERS)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_says_what_it_said(name: str) -> None:
    """Method, settings, size, prompts and all else; more may have come since."""
    read = read_any_adapter(FIXTURES / name)
    info, adapters = read.info, read.adapters
    said, recorded = said_again(info), CONTENTS[name]
    assert {key: said[key] for key in recorded["info"]} == recorded["info"]
    assert list(adapters) == list(recorded["order"])
    for own, part in recorded["adapters"].items():
        adapter = adapters[own]
        assert (adapter.kind, adapter.scope) == (part["kind"], part["scope"])
        assert dict(adapter.options) == part["options"]


@pytest.mark.parametrize("name", CONTENTS)
def test_each_adapter_has_the_effect_that_it_had(name: str) -> None:
    """Alone, at strength 1. All tests share a base: what one leaves on it the next one sees."""
    read = read_any_adapter(FIXTURES / name)
    info, adapters = read.info, read.adapters
    backbone = base(base_name := CONTENTS[name]["base"])
    prompt = PROMPT if base_name in KNOWN_BASES else info.prompts[0]
    untouched = predictions()[f"base/{base_name}"]
    for own, adapter in adapters.items():
        expected = predictions()[f"{name}/{own}"]
        assert (expected - untouched).abs().max() > LEAST_EFFECT
        found = prediction(backbone, [adapter], prompt)
        torch.testing.assert_close(found, expected, rtol=RTOL, atol=ATOL, msg=own)


@pytest.mark.parametrize("name", BLENDS)
def test_a_blend_comes_out_again(name: str, tmp_path: Path) -> None:
    """Of the same files and strengths."""
    split = [part.rpartition(":") for part in BLENDS[name]]
    files = [f"{FIXTURES / 'adapters' / file}.safetensors:{at}" for file, _, at in split]
    assert main(["merge", *files, "--output", str(tmp_path / "x.safetensors")]) == 0
    assert_same_tensors(tmp_path / "x.safetensors", FIXTURES / "blends" / f"{name}.safetensors")


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_conversion_comes_out_again(name: str, tmp_path: Path) -> None:
    """Other programs look for just these names."""
    source, flags = CONVERSIONS[name]
    file, output = FIXTURES / "adapters" / f"{source}.safetensors", tmp_path / "x.safetensors"
    assert main(["convert", str(file), *flags.split(), "--output", str(output)]) == 0
    compare = assert_same_changes if name in DECOMPOSED else assert_same_tensors
    compare(output, FIXTURES / "converted" / f"{name}.safetensors")


@pytest.mark.parametrize(("scope", "own"), [("temporal", "temporal"), ("spatial", "spatial.0")])
def test_lists_of_the_official_motion_director(scope: str, own: str) -> None:
    """They hold our own file's matrices, in the official order."""
    folder = FIXTURES / "other_programs" / "motion_director" / "checkpoint-2"
    (file,) = (folder / scope / "lora").glob("*_unet.pt")
    found = import_motion_director(file, base("zeroscope").network)
    ours = read_any_adapter(
        FIXTURES / "adapters" / "zeroscope" / "motion_director.safetensors"
    ).adapters
    assert list(found) == [own]
    mine, theirs = ours[own].state_dict(), found[own].state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


@pytest.mark.parametrize("name", OF_THE_COMMAND_LINE)
def test_what_lies_beside_an_adapter(name: str) -> None:
    """Four previews, of four frames; the noise of a clip of 64x64 pixels and four frames."""
    file = FIXTURES / name
    assert len(read_previews(file)) == 4
    info, latents = load_noise(noise_path(file))
    assert (info.family, info.steps) == (CONTENTS[name]["info"]["family"], 2)
    assert latents.shape == (1, 4, 4, 8, 8)
