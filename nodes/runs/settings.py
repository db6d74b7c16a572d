"""From what stands on the nodes to the core's settings: a value that stands there is the value that
runs, and one that is left out is what suits the base, the method and the clips.

In: the values given, by field, of the training node and of the method's settings node. Out: the
configured method and `TrainSettings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...motion_core.errors import SettingsError
from ...motion_core.methods import METHODS
from ...motion_core.methods.base import Method
from ...motion_core.settings import from_mapping
from ...motion_core.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """What a settings node says; socket MOTION_METHOD_SETTINGS. values, train: the method's own
    settings and the training's, by field.
    """

    method: str
    values: Mapping[str, object] = field(default_factory=dict)
    train: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Given:
    """What stands on the nodes. settings, train: on the training node, by field. advanced: the
    settings node's.
    """

    method: str
    settings: Mapping[str, object] = field(default_factory=dict)
    train: Mapping[str, object] = field(default_factory=dict)
    advanced: MethodSettings | None = None

    @property
    def chosen(self) -> dict[str, object]:
        """The method's settings, of both nodes."""
        return {**(self.advanced.values if self.advanced else {}), **self.settings}

    @property
    def trained(self) -> dict[str, object]:
        """The training's settings, of both nodes."""
        return {**(self.advanced.train if self.advanced else {}), **self.train}


class LeftOut(Protocol):
    """What runs where nothing is given: see `suited.Suited`."""

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def train(self) -> Mapping[str, Any]: ...

    @property
    def sample(self) -> Mapping[str, Any]: ...

    @property
    def sampled_its_way(self) -> Mapping[str, Any]: ...

    @property
    def inversion_steps(self) -> int: ...


def configured(given: Given, usual: LeftOut) -> tuple[Method[Any], TrainSettings]:
    """The method and its training.

    Raises SettingsError for settings of another method, and for one that is given twice with two
    values.
    """
    cls, advanced = METHODS[given.method], given.advanced or MethodSettings(method=given.method)
    _check_method(given.method, advanced)
    _check_agreement(given.settings, advanced.values)
    training = {**usual.train, **given.trained}
    method = cls(from_mapping(cls.Settings, {**usual.settings, **given.chosen}))
    return method, from_mapping(TrainSettings, training)


def _check_method(method_name: str, advanced: MethodSettings) -> None:
    if advanced.method != method_name:
        given, wanted = advanced.method.replace("_", "-"), method_name.replace("_", "-")
        raise SettingsError(
            f"The advanced settings are for {given}, but the method is {wanted}. Connect "
            f"{wanted}'s settings, or choose the other method."
        )


def _check_agreement(said: Mapping[str, object], more: Mapping[str, object]) -> None:
    for name, value in said.items():
        if name in more and more[name] != value:
            raise SettingsError(
                f"{name} is {value!r} on Train Motion Adapter and {more[name]!r} in the advanced "
                "settings. Give both the same value, or leave one of them out."
            )
