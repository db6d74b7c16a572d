"""The commands of docs/recipes.md are commands, and what is said there of their settings is so;
each recipe is a workflow too, which README names.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from motion_core.cli.flags import given
from motion_core.cli.main import build_parser
from motion_core.cli.method_settings import read_method_flags
from motion_core.cli.request import TrainRequest, build_request, chosen_method
from motion_core.diffusion.settings import SampleSettings
from motion_core.settings import from_mapping, to_mapping

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "recipes.md"


def commands(name: str) -> list[list[str]]:
    """The arguments of the page's commands of this name."""
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    start = f"python -m motion_core {name} "
    return [shlex.split(line)[3:] for line in lines if line.startswith(start)]


def request_of(argv: list[str]) -> TrainRequest:
    arguments = build_parser().parse(argv)
    layer: dict[str, Any] = {
        **given(arguments, "run"),
        **{table: given(arguments, table) for table in ("clip", "train", "objective")},
    }
    more = read_method_flags(arguments.more, chosen_method([layer]), arguments.flags)
    return build_request([layer, {"objective": more}])


def trained(output: str) -> TrainRequest:
    argv = next(argv for argv in commands("train") if argv[-1] == output)
    return request_of(argv)


def test_there_are_commands() -> None:
    assert (len(commands("train")), len(commands("sample"))) == (6, 4)


def test_each_recipe_is_a_workflow() -> None:
    recipes = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    named = [re.findall(r"^Workflow: `(.+)`\.$", recipe, re.MULTILINE) for recipe in recipes]
    assert [len(names) for names in named] == [1] * 5
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for (name,) in named:
        assert (ROOT / "workflows" / f"{name}.json").is_file()
        assert f"`{name}`" in readme


@pytest.mark.parametrize("argv", commands("sample"), ids=lambda argv: argv[-1])
def test_a_sample_is_one(argv: list[str]) -> None:
    """With adapters that the page's trainings leave."""
    arguments = build_parser().parse(argv)
    from_mapping(SampleSettings, given(arguments, "sample"))
    outputs = {train[-1] for train in commands("train")}
    assert {str(Path(path).parent) for path in arguments.adapters} <= outputs


def test_an_image_has_appearance_alone() -> None:
    assert trained("out/car-image").train.steps == 300
    assert trained("out/car-turn").train.steps == 150


def test_the_cameras_motion() -> None:
    request = trained("out/zoom")
    settings = to_mapping(request.method.settings)
    assert (settings["loss"], settings["debias"]) == ("debiased_hybrid", "drop_value")
    assert settings["spatial_learning_rate"] == 5e-4
    assert request.run.sample_noise_prior == 0.5


def test_several_clips() -> None:
    request = trained("out/lifting")
    assert (request.train.steps, request.run.sample_noise_prior) == (400, 0.0)
    assert request.run.prompts[3] == "a man is lifting weights in a gym"
