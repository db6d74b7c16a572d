"""What a command asks for is what runs, equal to a default or not; the rest is what suits it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from motion_core.bases import BASES
from motion_core.cli.flags import given, spoken
from motion_core.cli.main import build_parser
from motion_core.cli.material import material_of_run
from motion_core.cli.method_settings import read_method_flags
from motion_core.cli.request import build_request, chosen_method, read_layer, whole_record
from motion_core.errors import SettingsError
from motion_core.methods import METHODS
from motion_core.methods.defaults import Material
from motion_core.settings import Field, fields_of, to_mapping
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import suited
from tests.cli.test_flags import written
from tests.fixture_files import FIXTURES

PROMPT = "a car turns left"
FILES: Mapping[str, Mapping[str, str]] = {
    "animatediff": {"checkpoint": "a", "motion_module": "b"},
    "zeroscope": {"checkpoint": "a"},
}


def layer(base: str, method: str, **tables: Any) -> dict[str, Any]:
    objective = {"name": method, **tables.pop("objective", {})}
    run = {"base": base, **FILES.get(base, {}), "clips": ["car.mp4"], "prompts": [PROMPT]}
    return {**run, "objective": objective, **tables}


def values_of(field: Field) -> list[Any]:
    """The default among them."""
    values = [] if field.many else [*field.choices]
    return values if values else [field.default]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_a_value_that_is_given_is_the_value_that_runs(base: str, method: str) -> None:
    """Of the method and of the training, each at every choice, and at its class's default: where
    what suits is another, above all.
    """
    for field in fields_of(METHODS[method].Settings):
        for value in values_of(field):
            document = build_request([layer(base, method, objective={field.name: value})])
            assert getattr(document.method.settings, field.name) == value
    for field in fields_of(TrainSettings):
        for value in values_of(field):
            request = build_request([layer(base, method, train={field.name: value})])
            assert getattr(request.train, field.name) == value


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_given_is_what_suits(base: str, method: str) -> None:
    request = build_request([layer(base, method)])
    material = Material(videos=1, images=0, prompts=(PROMPT,))
    usual = suited(METHODS[method], BASES[base], material)
    assert to_mapping(request.train) == usual.train
    settings = to_mapping(request.method.settings)
    assert {**usual.settings, **settings} == {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in usual.settings.items()
    }
    assert {name: getattr(request.clip, name) for name in usual.clip} == usual.clip
    assert request.run.sample_steps == usual.sample["steps"]
    assert request.run.sample_guidance == usual.sample["guidance_scale"]
    assert request.run.sample_noise_prior == usual.sample["noise_prior"]
    assert request.run.inversion_steps == usual.inversion_steps


def test_what_was_found_in_the_prompts_is_known() -> None:
    """To be shown; nothing of a setting that was given, or of a method that looks for none."""
    assert build_request([layer("zeroscope", "motion_crafter")]).found == {"motion": "turning left"}
    assert build_request([layer("zeroscope", "motrans")]).found == {"verb": "turns"}
    assert build_request([layer("zeroscope", "vmc")]).found == {}
    told = layer("zeroscope", "motion_crafter", objective={"motion": "turning"})
    assert build_request([told]).found == {}


def other_values(field: Field) -> list[Any]:
    """The default, every choice, and a number beside the default."""
    if field.kind is bool:
        return [True, False]
    if field.many:
        items = field.choices[:2] or {str: ("a", "b"), int: (64, 96)}[field.kind or str]
        return [field.default, items]
    if field.choices:
        return [*field.choices]
    if field.kind is int:
        return [field.default, field.default + 1]
    return [field.default, 0.125 if field.kind is float else "b"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_a_flag_is_what_the_record_says(base: str, method: str) -> None:
    """From the words of the command to what lies beside the adapter: all settings at their
    classes' defaults, then all at others, until each choice has had its turn.
    """
    files = [word for part, path in FILES.get(base, {}).items() for word in (_flag(part), path)]
    command = ["train", "--base", base, *files, "--clip", "car.mp4", "--prompt", PROMPT]
    command += ["--output", "x", "--objective", spoken(method)]
    classes = {"objective": METHODS[method].Settings, "train": TrainSettings}
    fields = [(table, field) for table, cls in classes.items() for field in fields_of(cls)]
    for turn in range(max(len(other_values(field)) for _, field in fields)):
        values = [other_values(field)[turn % len(other_values(field))] for _, field in fields]
        flags = [written(field, value) for (_, field), value in zip(fields, values, strict=True)]
        document = _document([*command, *(word for flag in flags for word in flag)])
        for (table, field), value in zip(fields, values, strict=True):
            expected = list(value) if isinstance(value, tuple) else value
            assert document[table][field.name] == expected, (field.name, value)


def _flag(name: str) -> str:
    return f"--{spoken(name)}"


def _document(argv: list[str]) -> Any:
    arguments = build_parser().parse(argv)
    said = {table: given(arguments, table) for table in ("clip", "train", "objective")}
    run = {**given(arguments, "run"), **said}
    more = read_method_flags(arguments.more, chosen_method([run]), arguments.flags)
    return build_request([run, {"objective": more}]).document()


def test_a_stride_and_a_rate_are_one_too_many() -> None:
    """One given replaces the other where it only suits."""
    start = ["train", "--base", "shape-world-animatediff", "--clip", "car.mp4", "--output", "x"]
    start += ["--prompt", PROMPT]
    with pytest.raises(SettingsError, match=r"stride is 2; .*\(it is 8\.0\); leave one of them"):
        _document([*start, "--stride", "2", "--fps", "8"])
    for flag, expected in (("--stride", (2, None)), ("--fps", (1, 2.0))):
        clip = _document([*start, flag, "2"])["clip"]
        assert (clip["stride"], clip["fps"]) == expected


def test_one_setting_given_moves_what_depends_on_it() -> None:
    """A LoRA learns faster than whole weights; more appearance comes before the same motion."""
    lora = build_request([layer("zeroscope", "vmc", objective={"parametrisation": "lora"})])
    assert lora.train.learning_rate == 5e-4
    rate = {"learning_rate": 1e-4}
    slow = layer("zeroscope", "vmc", objective={"parametrisation": "lora"}, train=rate)
    assert build_request([slow]).train.learning_rate == 1e-4
    motrans = layer("zeroscope", "motrans", objective={"appearance_steps": 40})
    assert build_request([motrans]).train.steps == 640
    long = layer("zeroscope", "motion_director", clip={"frames": 24})
    assert build_request([long]).train.steps == 300


def test_without_inversion_there_is_no_prior() -> None:
    quick = {**layer("zeroscope", "motion_inversion"), "inversion_steps": 0}
    assert build_request([quick]).run.sample_noise_prior == 0.0
    with pytest.raises(SettingsError, match="as sample_noise_prior needs them"):
        build_request([{**quick, "sample_noise_prior": 0.5}])


def test_the_material_is_counted_by_the_files(tmp_path: Path) -> None:
    """Videos of a folder each, frames of one as one; images of a folder each; captions are read."""
    clips, frames, images = (tmp_path / name for name in ("clips", "frames", "images"))
    for folder in (clips, frames, images):
        folder.mkdir()
    for name in ("a", "b", "c"):
        (clips / f"{name}.mp4").touch()
        (clips / f"{name}.txt").write_text(f"a {name}  runs\n", encoding="utf-8")
        for folder in (frames, images):
            Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    run: dict[str, Any] = {
        "clips": [str(clips), str(frames), str(images / "a.png"), "missing.mp4"],
        "images": [str(images), "one.png"],
        "clip": {"frames": 24},
    }
    found = material_of_run(run)
    assert (found.videos, found.images, found.frames) == (5, 5, 24)
    assert found.prompts == ("a a runs", "a b runs", "a c runs")
    told = material_of_run({"clips": ["x.mp4", "y.mp4"], "prompts": ["p", "q"], "clip": {}})
    assert told == Material(videos=2, images=0, prompts=("p", "q"))
    both = material_of_run({"clips": ["x.mp4", "y.mp4"], "prompts": ["p"], "clip": {}})
    assert both.prompts == ("p",)


def test_a_record_of_before_means_what_it_meant() -> None:
    """It has no entries for what came later, which then was as their classes' defaults are."""
    old = read_layer(FIXTURES / "runs" / "command_line" / "adapter.json")
    request = build_request([whole_record(old)])
    assert request.train.weight_decay is None
    assert request.run.sample_noise_prior == 0.0
    assert to_mapping(request.method.settings)["alpha"] is None
    hybrid = {**old, "objective": {"name": "motion_inversion", "loss": "debiased_hybrid"}}
    settings = to_mapping(build_request([whole_record(hybrid)]).method.settings)
    assert settings["spatial_learning_rate"] is None
    assert settings["debias"] == "difference"
