"""What a method is trained and sampled at where nothing else is asked for: by base, by how many
videos and images there are, and by what was chosen already.

A method declares it beside its settings, each value with the place that it is from and, where it is
another than there, with why. `training.suited` puts those of base, method and trainer together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a training has: how many different videos, of which all windows are one, and how many
    images.

    frames: of a video's clips, None for as many as they usually have.
    """

    videos: int
    images: int
    frames: int | None = None


ONE_VIDEO = Material(videos=1, images=0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a default may depend on. frames: of a video's clips. settings: the method's, as they
    were chosen or by default.
    """

    videos: int
    images: int
    frames: int
    settings: Mapping[str, Any]


Rule = Callable[[Case], object]


@dataclass(frozen=True, kw_only=True)
class Usual:
    """A default. value: or the rule that gives it. source: where it is from. official: what is said
    there, if the value is another, and reason: why it is.
    """

    value: object
    source: str = ""
    official: str = ""
    reason: str = ""

    def of(self, case: Case) -> object:
        """The value in this case."""
        return self.value(case) if callable(self.value) else self.value


def tuned(reason: str, **values: object) -> dict[str, Usual]:
    """Defaults, or rules, that were found by measuring and not in a paper."""
    return {name: Usual(value=value, reason=reason) for name, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class MethodDefaults:
    """Defaults by field, where they differ from the settings classes' own and from the base's.

    settings: of the method. train: of its training. clip: of the clips' size and length. sample: of
    how its adapters are sampled.
    """

    settings: Mapping[str, Usual] = field(default_factory=dict)
    train: Mapping[str, Usual] = field(default_factory=dict)
    clip: Mapping[str, Usual] = field(default_factory=dict)
    sample: Mapping[str, Usual] = field(default_factory=dict)


class Rates(NamedTuple):
    """The optimiser's, of what learns the motion."""

    learning_rate: float
    weight_decay: float


# Of every method with a LoRA.
ALPHA = Usual(value=lambda case: float(case.settings["rank"]), source="a scale of alpha / rank = 1")
