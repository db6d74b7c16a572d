"""The flags' tables say what the settings classes say, a method's flags are made from its class,
and the help needs no torch.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from motion_core.cli import train
from motion_core.cli.flags import CLIP_FLAGS, SAMPLE_FLAGS, TRAIN_FLAGS, Flag
from motion_core.cli.main import COMMANDS, build_parser, main
from motion_core.cli.method_settings import method_flags, read_method_flags, spoken
from motion_core.cli.parsing import Parser
from motion_core.diffusion.ddim import SampleSettings
from motion_core.errors import SettingsError
from motion_core.methods import METHODS
from motion_core.training.settings import TrainSettings
from motion_core.video.clips import ClipSettings

TABLES = [
    (CLIP_FLAGS, ClipSettings),
    (TRAIN_FLAGS, TrainSettings),
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


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_of_a_method_is_a_flag_that_explains_itself(method: str) -> None:
    """Its default, given as a flag, is read as the default again, whatever its type; its help is
    from the class's docstring; and no flag of `train` itself has its name.
    """
    settings = METHODS[method]().settings
    flags = method_flags(method)
    assert [flag.field for flag in flags] == [
        field.name
        for field in dataclasses.fields(settings)  # type: ignore[arg-type]
    ]
    parser = Parser(add_help=False)
    train.add_arguments(parser)
    for flag in flags:
        assert flag.option not in parser._option_string_actions
        assert flag.help, f"{flag.field} is not in the docstring as 'field: …'"
        default = getattr(settings, flag.field)
        argv = [flag.option, flag.default]
        if flag.many:
            argv = [flag.option, *map(str, default)]
        if flag.kind is bool:
            argv = [flag.option if default else flag.option.replace("--", "--no-", 1)]
        read = read_method_flags(argv, method)[flag.field]
        assert (tuple(read) if isinstance(read, list) else read) == default, flag.field


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
    alpha = next(flag for flag in method_flags("motion_director") if flag.field == "alpha")
    assert (alpha.kind, alpha.optional, alpha.default) == (float, True, "none")
    assert alpha.help == "of every LoRA; its scale is alpha / rank, and alpha None is rank"


def test_tuples_are_several_values() -> None:
    """Of a class that is made here, beside fields of types that no flag can hold."""

    @dataclasses.dataclass(frozen=True)
    class Odd:
        """blocks: which ones. width, height: pixels, 50% and up."""

        blocks: tuple[Literal[1, 2], ...] = (1, 2)
        names: tuple[str, ...] = ()
        width: int | None = None
        height: int | float = 1
        table: dict[str, int] = dataclasses.field(default_factory=dict)

    class Method:
        name, settings = "odd", Odd()

    try:
        METHODS["odd"] = Method  # type: ignore[assignment]
        flags = {flag.field: flag for flag in method_flags("odd")}
        assert set(flags) == {"blocks", "names", "width"}
        assert (flags["blocks"].default, flags["names"].default) == ("1 2", "none")
        assert (flags["blocks"].help, flags["names"].help) == ("which ones", "")
        argv = "--blocks 2 1 2 --names --width none".split()
        read = read_method_flags(argv, "odd")
        assert read == {"blocks": [2, 1, 2], "names": [], "width": None}
        with pytest.raises(SettingsError, match="invalid choice: 3"):
            read_method_flags(["--blocks", "3"], "odd")
    finally:
        del METHODS["odd"]


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
            read_method_flags(argv, "coupled")


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = "".join(capsys.readouterr().out.split())  # lines may break behind a hyphen
    assert all(spoken(method) in said for method in METHODS)


def test_the_help_on_a_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["train", "--objective-help", "motion-director"])
    said = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0
    assert "--anchor {random,first} the frame that debiasing subtracts (default: random)" in said
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
