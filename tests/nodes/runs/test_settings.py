"""What wins over what in a training's settings: a value that is given is the value that runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from motion_adapters.nodes.runs.settings import Given, MethodSettings, configured
from motion_adapters.nodes.version_0_1_0 import (
    INPUTS,
    defaults_then,
    given_then,
    is_of_then,
    values_then,
    widget_then,
)

from motion_core.bases import BASES, load_base
from motion_core.errors import SettingsError
from motion_core.methods import METHODS
from motion_core.methods.defaults import ONE_VIDEO
from motion_core.settings import Field, fields_of, to_mapping
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import Suited, suited
from tests.tiny import tiny_zeroscope


def suits(method: str, base: str) -> Suited:
    return suited(METHODS[method], BASES[base], ONE_VIDEO)


def values_to_give(field: Field) -> list[Any]:
    """The default, and one that is not; of a type that cannot be told, the default alone."""
    if field.choices and not field.many:
        return list(field.choices)
    if field.kind is bool:
        return [True, False]
    if field.kind in (int, float) and not field.many:
        low = field.said.low if field.said.low is not None else field.said.above or 0
        high = field.said.high or field.said.below or low + 2
        return [field.default, field.kind(low + (high - low) / 2)]
    return [field.default]


def every_setting() -> Iterator[Any]:
    for name, method in METHODS.items():
        for base in BASES:
            yield pytest.param(name, base, method.Settings, id=f"{name}-{base}")


@pytest.mark.parametrize(("method", "base", "cls"), every_setting())
def test_a_given_value_runs(method: str, base: str, cls: type[Any]) -> None:
    """On the training node, or on the settings node; of the method, or of the training."""
    usual = suits(method, base)
    for field in fields_of(cls):
        for value in values_to_give(field):
            main = Given(method=method, settings={field.name: value})
            advanced = MethodSettings(method=method, values={field.name: value})
            for given in (main, Given(method=method, advanced=advanced)):
                assert getattr(configured(given, usual)[0].settings, field.name) == value
    for field in fields_of(TrainSettings):
        for value in values_to_give(field):
            main = Given(method=method, train={field.name: value})
            advanced = MethodSettings(method=method, train={field.name: value})
            for given in (main, Given(method=method, advanced=advanced)):
                assert getattr(configured(given, usual)[1], field.name) == value


@pytest.mark.parametrize(("method", "base", "cls"), every_setting())
def test_what_is_left_out_is_what_suits(method: str, base: str, cls: type[Any]) -> None:
    usual = suits(method, base)
    made, training = configured(Given(method=method), usual)
    assert to_mapping(made.settings) == plain(usual.settings)
    assert to_mapping(training) == plain(usual.train)
    # Real numbers, which a node can show.
    assert training.learning_rate and training.weight_decay is not None


def plain(values: Any) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


@pytest.mark.parametrize(("method", "base", "cls"), every_setting())
def test_an_untouched_node_of_then_is_what_ran_then(method: str, base: str, cls: type[Any]) -> None:
    """Its widgets held the defaults, of which none ran where the base had its own."""
    for part, fields in (("settings", fields_of(cls)), ("train", fields_of(TrainSettings))):
        values = defaults_then(part, method)
        known = [field for field in fields if field.name in values]
        widgets = {field.name: widget_then(field, values[field.name]) for field in known}
        assert widgets.get("alpha", 0.0) == 0.0 and widgets.get("channels", "") == ""
        assert given_then(part, method, fields, widgets) == {}
    ran = configured(Given(method=method), values_then(method, BASES[base]))[1]
    assert ran.steps == values_then(method, BASES[base]).train["steps"]


def test_what_ran_then() -> None:
    """By hand, from the tables of version 0.1.0."""
    crafter = values_then("motion_crafter", BASES["shape-world-animatediff"])
    assert (crafter.settings["beta"], crafter.settings["blocks"]) == (0.01, "all")
    assert (
        values_then("motion_inversion", BASES["shape-world-zeroscope"]).settings["debias"] == "none"
    )
    assert values_then("motion_director", BASES["animatediff"]).train["steps"] == 150
    assert values_then("motrans", BASES["zeroscope"]).train["steps"] == 900


def test_a_prompt_of_then_has_all_its_inputs_and_not_the_mark() -> None:
    then = dict.fromkeys(INPUTS)
    assert is_of_then({**then, "base": 1}) and is_of_then({**then, "exactly": False})
    assert not is_of_then({**then, "exactly": True})
    del then["steps"]
    assert not is_of_then(then)


def test_settings_that_contradict_are_refused() -> None:
    usual = suits("motion_director", "animatediff")
    advanced = MethodSettings(method="motion_director", values={"rank": 8})
    same = Given(method="motion_director", settings={"rank": 8}, advanced=advanced)
    configured(same, usual)
    other = Given(method="motion_director", settings={"rank": 16}, advanced=advanced)
    with pytest.raises(SettingsError, match="rank is 16 on Train Motion Adapter and 8 in the adv"):
        configured(other, usual)


def test_advanced_settings_of_another_method_are_refused() -> None:
    given = Given(method="motrans", advanced=MethodSettings(method="motion_crafter"))
    with pytest.raises(SettingsError, match=r"are for motion-crafter, but the method is motrans"):
        configured(given, suits("motrans", "animatediff"))


def test_motrans_without_an_image_encoder_is_refused_before_it_is_needed() -> None:
    """A full-size base has none of its own; without injector and enhancer none is needed."""
    base, small = tiny_zeroscope(), load_base("shape-world-zeroscope")
    usual = suits("motrans", "animatediff")
    method = configured(Given(method="motrans"), usual)[0]
    with pytest.raises(SettingsError, match="Set image_encoder"):
        method.check(base)
    method.check(small)
    off = {"injection": "none", "enhancer": "none"}
    configured(Given(method="motrans", settings=off), usual)[0].check(base)
