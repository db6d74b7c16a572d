"""Which adapters make up a sample: by the method in a run, by the file afterwards."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapters.base import names_of_scopes
from motion_core.errors import FormatError
from motion_core.methods.base import applied_adapters, applied_names
from motion_core.methods.coupled import Coupled
from motion_core.methods.motion_director import MotionDirector

from ..adapter_files.test_own import adapters, an_info


def test_a_method_shows_what_moves_unless_it_says_more() -> None:
    """`adapters` are one temporal LoRA and two spatial ones."""
    some = adapters()
    assert applied_names(some, MotionDirector()) == ("temporal",)
    assert applied_names(some, Coupled()) == ("temporal", "spatial.0", "spatial.1")
    assert applied_adapters(some, MotionDirector()) == [(some["temporal"], 1.0)]
    assert [adapter for adapter, _ in applied_adapters(some, Coupled())] == list(some.values())


def test_looks_are_shown_where_nothing_moves() -> None:
    looks = {name: adapter for name, adapter in adapters().items() if name != "temporal"}
    assert applied_names(looks, MotionDirector()) == ("spatial.0", "spatial.1")
    assert names_of_scopes(looks, ("spatial",)) == ("spatial.0", "spatial.1")


def test_the_file_keeps_the_names(tmp_path: Path) -> None:
    """A file that says nothing, such as an older one, is read as well."""
    path, info = tmp_path / "a.safetensors", an_info()
    save_adapter(path, adapters(), info)
    assert load_adapter(path)[0].shown == ()
    save_adapter(path, adapters(), dataclasses.replace(info, shown=("temporal", "spatial.1")))
    assert load_adapter(path)[0].shown == ("temporal", "spatial.1")
    save_adapter(path, adapters(), dataclasses.replace(info, shown=("temporal", "looks")))
    with pytest.raises(FormatError, match="samples apply 'looks', which it does not contain"):
        load_adapter(path)
