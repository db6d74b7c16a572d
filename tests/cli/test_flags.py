"""Flags come from the declarations of the settings, and the help needs no torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

import pytest

from motion_core.cli import train
from motion_core.cli.flags import add_flags, given, option, spoken
from motion_core.cli.main import COMMANDS, build_parser, main
from motion_core.cli.method_settings import read_method_flags
from motion_core.cli.parsing import Parser
from motion_core.cli.run_settings import RunSettings
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import SettingsError
from motion_core.methods import METHODS
from motion_core.settings import Field, fields_of, setting
from motion_core.training.settings import TrainSettings
from motion_core.video.settings import ClipSettings

CLASSES = [ClipSettings, TrainSettings, SampleSettings, RunSettings]
CLASSES += [method.Settings for method in METHODS.values()]


def parser_of(cls: type, **usual: str) -> Parser:
    parser = Parser(add_help=False)
    add_flags(parser, "title", "table", cls, usual=usual)
    return parser


def build_train_parser() -> Parser:
    parser = Parser(add_help=False)
    train.add_arguments(parser)
    return parser


def written(field: Field, value: Any) -> list[str]:
    """A value as it is given on the command line."""
    if field.kind is bool:
        return [option(field) if value else option(field).replace("--", "--no-", 1)]
    values = value if field.many else ["none" if value is None else value]
    if field.said.repeated:
        return [word for item in values for word in (option(field), str(item))]
    return [option(field), *map(str, values)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_setting_is_a_flag_that_explains_itself(cls: type) -> None:
    """Its default, given as a flag, is read as the default again, whatever its type."""
    for entry in fields_of(cls):
        assert entry.said.help.endswith("."), entry.name
        if entry.default not in (MISSING, ()):
            read = given(parser_of(cls).parse(written(entry, entry.default)), "table")
            assert entry.checked(read[entry.name]) == entry.default, entry.name


@pytest.mark.parametrize("method", METHODS)
def test_no_flag_of_train_has_the_name_of_a_methods(method: str) -> None:
    assert set(build_train_parser().flags) & set(parser_of(METHODS[method].Settings).flags) == set()


def test_the_default_is_in_the_help_with_its_source() -> None:
    said = " ".join(parser_of(TrainSettings, noise_draws="the base's").format_help().split())
    assert "(default: the base's)" in said
    assert "(default: 150; MotionDirector's configs/config_single_video.yaml" in said
    assert "None cuts nothing. (default: none; MotionDirector_train.py cuts nothing)" in said


def test_flags_of_every_type() -> None:
    """MotionDirector's and VMC's, as they are written."""
    argv = "--rank 4 --alpha none --dropout 0.5 --loss plain --beta 2 --anchor first".split()
    assert read_method_flags(argv, "motion_director") == {
        "rank": 4,
        "alpha": None,
        "dropout": 0.5,
        "loss": "plain",
        "beta": 2.0,
        "anchor": "first",
    }
    assert read_method_flags(["--loss=mse"], "vmc") == {"loss": "mse"}


def test_tuples_are_several_values() -> None:
    """Beside fields of types that no flag can hold."""

    @dataclass(frozen=True)
    class Odd:
        blocks: tuple[Literal[1, 2], ...] = (1, 2)
        names: tuple[str, ...] = setting((), repeated=True)
        width: int | None = setting(None, help="Pixels, 50% and up.")
        height: int | float = 1
        table: Mapping[str, int] = field(default_factory=dict)

    parser = parser_of(Odd)
    assert {"--height", "--table"} & set(parser.flags) == set()
    assert "Pixels, 50% and up." in parser.format_help()
    argv = "--blocks 2 1 2 --names a --names b --width none".split()
    read = {"blocks": [2, 1, 2], "names": ["a", "b"], "width": None}
    assert given(parser.parse(argv), "table") == read
    with pytest.raises(SettingsError, match="invalid choice: 3"):
        parser.parse(["--blocks", "3"])


def test_flags_that_the_method_does_not_have() -> None:
    for argv, expected in (
        (["--beta", "2"], r"--beta is a setting of .*motion-director.*, not of coupled"),
        (["--no-spatial-path"], "is a setting of motion-crafter, not of coupled"),
        (["--rankk", "2"], r"Unknown: --rankk\. Did you mean --rank\?"),
        (["--promt", "a"], r"Unknown: --promt\. Did you mean --prompt\?"),
        (["stray"], r"Unknown: stray\. See"),
        (["--rank", "x"], "--rank: invalid int value: 'x'"),
    ):
        with pytest.raises(SettingsError, match=expected):
            read_method_flags(argv, "coupled", build_train_parser().flags)


def test_the_methods_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["train", "--objective-help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    for name, method in METHODS.items():
        assert spoken(name) in said and method.summary in said


def test_the_help_on_a_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["train", "--objective-help", "motion-director"])
    said = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0
    assert "--anchor {random,first} The frame that debiasing subtracts" in said
    assert "(default: random; Sec. 3.3)" in said
    assert main(["train", "--objective-help", "magic"]) == 2
    assert "There is no method 'magic'. Choose one of motion-director" in capsys.readouterr().err


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
