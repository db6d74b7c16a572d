"""What wins over what in a training's settings."""

from __future__ import annotations

import pytest
from motion_adapters.nodes.runs.settings import (
    MethodSettings,
    build_method,
    build_training,
)
from motion_adapters.nodes.widget_values import changed, widget_default

from motion_core.bases import BASES, load_base
from motion_core.errors import SettingsError
from motion_core.methods import METHODS
from motion_core.methods.motion_director import MotionDirectorSettings
from motion_core.settings import fields_of
from motion_core.training.settings import TrainSettings
from tests.tiny import tiny_zeroscope

SMALL, LARGE = BASES["shape-world-animatediff"], BASES["animatediff"]


def widgets(method: str, **touched: object) -> dict[str, object]:
    """The main widgets of a method as they stand on a new node, but for those touched."""
    return {
        **{
            field.name: widget_default(field)
            for field in fields_of(METHODS[method].Settings)
            if field.said.main
        },
        **touched,
    }


def test_an_untouched_node_is_the_paper_on_a_large_base() -> None:
    method = build_method(LARGE, "motion_director", widgets("motion_director"), None)
    assert method.settings == MotionDirectorSettings(alpha=32)
    paper = TrainSettings(steps=150, learning_rate=5e-4, weight_decay=1e-2)
    assert build_training(LARGE, "motion_director", {}, None) == paper


def test_an_untouched_node_is_the_bases_own_on_a_small_one() -> None:
    method = build_method(SMALL, "motion_director", widgets("motion_director"), None)
    assert method.settings == MotionDirectorSettings(alpha=32, dropout=0.0, spatial_dropout_p=0.05)
    training = build_training(SMALL, "motion_director", {}, None)
    assert training.steps == SMALL.train["steps"] and training.noise_draws == 3


def test_the_methods_own_training_counts() -> None:
    assert build_training(LARGE, "motrans", {}, None).steps == 900
    assert build_training(SMALL, "motrans", {}, None).steps == 420


def test_a_touched_widget_wins() -> None:
    given = widgets("motion_director", rank=8, spatial_dropout_p=0.3)
    settings = build_method(SMALL, "motion_director", given, None).settings
    assert isinstance(settings, MotionDirectorSettings)
    assert (settings.rank, settings.spatial_dropout_p, settings.dropout) == (8, 0.3, 0.0)
    assert build_training(SMALL, "motion_director", {"steps": 7}, None).steps == 7


def test_advanced_settings_win_over_the_base() -> None:
    advanced = MethodSettings(
        method="motion_director", values={"dropout": 0.25}, train={"noise_draws": 1}
    )
    given = widgets("motion_director")
    settings = build_method(SMALL, "motion_director", given, advanced).settings
    assert isinstance(settings, MotionDirectorSettings) and settings.dropout == 0.25
    assert build_training(SMALL, "motion_director", {}, advanced).noise_draws == 1


def test_advanced_settings_that_contradict_are_refused() -> None:
    advanced = MethodSettings(method="motion_director", values={"rank": 8})
    build_method(LARGE, "motion_director", widgets("motion_director", rank=8), advanced)
    with pytest.raises(SettingsError, match="rank is 16 on Train Motion Adapter and 8 in the adv"):
        build_method(LARGE, "motion_director", widgets("motion_director", rank=16), advanced)


def test_advanced_settings_of_another_method_are_refused() -> None:
    advanced = MethodSettings(method="motion_crafter")
    with pytest.raises(SettingsError, match=r"are for motion-crafter, but the method is motrans"):
        build_method(LARGE, "motrans", widgets("motrans"), advanced)


def test_exactly_says_all() -> None:
    fields = fields_of(METHODS["coupled"].Settings)
    values = {"rank": 32, "alpha": 0.0, "dropout": 0.2}
    assert changed(fields, values) == {"dropout": 0.2}
    assert changed(fields, values, exactly=True) == {"rank": 32, "alpha": None, "dropout": 0.2}


def test_motrans_without_an_image_encoder_is_refused_before_it_is_needed() -> None:
    """A full-size base has none of its own; without injector and enhancer none is needed."""
    base, small = tiny_zeroscope(), load_base("shape-world-zeroscope")
    method = build_method(LARGE, "motrans", widgets("motrans"), None)
    with pytest.raises(SettingsError, match="Set image_encoder"):
        method.check(base)
    method.check(small)
    build_method(LARGE, "coupled", widgets("coupled"), None).check(base)
    off = MethodSettings(method="motrans", values={"injection": "none", "enhancer": "none"})
    build_method(LARGE, "motrans", widgets("motrans"), off).check(base)
