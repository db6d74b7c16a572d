"""The flags' tables say what the settings classes say, and the help needs no torch."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from motion_core.cli.flags import (
    CLIP_FLAGS,
    MOTION_DIRECTOR_FLAGS,
    OBJECTIVE_FLAGS,
    SAMPLE_FLAGS,
    TRAIN_FLAGS,
    Flag,
)
from motion_core.cli.main import COMMANDS, build_parser, main
from motion_core.clips import ClipSettings
from motion_core.objectives import OBJECTIVES
from motion_core.objectives.motion_director import MotionDirectorSettings
from motion_core.sampler import SampleSettings
from motion_core.train_settings import TrainSettings

TABLES = [
    (CLIP_FLAGS, ClipSettings),
    (TRAIN_FLAGS, TrainSettings),
    (MOTION_DIRECTOR_FLAGS, MotionDirectorSettings),
    (SAMPLE_FLAGS, SampleSettings),
]


@pytest.mark.parametrize(("flags", "settings"), TABLES)
def test_every_setting_has_its_flag(flags: Sequence[Flag], settings: Any) -> None:
    """Name, type, choices and default; "the base's" and "the adapter's" replace a default."""
    hints = get_type_hints(settings)
    fields = {field.name: field for field in dataclasses.fields(settings)}
    assert [flag.field for flag in flags if flag.field not in fields] == []
    assert set(fields) == {flag.field for flag in flags}
    for flag in flags:
        hint = hints[flag.field]
        if get_origin(hint) is Literal:
            assert (flag.kind, flag.choices) == (str, get_args(hint))
        else:
            expected = flag.kind | None if flag.optional else flag.kind
            assert hint == expected, flag.field
        if not flag.default.startswith("the "):
            default = str(fields[flag.field].default)
            assert flag.default == ("none" if default == "None" else default), flag.field


def test_every_method_has_its_flags() -> None:
    assert list(OBJECTIVE_FLAGS) == list(OBJECTIVES)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert f"python -m motion_core {command} " in said.partition("example")[2]


def test_the_parser_needs_no_torch() -> None:
    """Its own process, in which nothing has imported torch before."""
    code = (
        "import sys; from motion_core.cli.main import build_parser; build_parser();"
        "sys.exit(int(any(name in sys.modules for name in ('torch', 'diffusers', 'numpy'))))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_none_unsets() -> None:
    arguments = build_parser().parse(["train", "--output", "x", "--fps", "none", "--width", "none"])
    assert vars(arguments)["clip.fps"] is None
    assert vars(arguments)["clip.width"] is None
