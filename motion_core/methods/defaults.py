"""What a method is trained and sampled at where nothing else is asked for: by base, by how many
videos and images there are, and by what was chosen already.

A method declares it beside its settings, each value with the place that it is from and, where it is
another than there, with why. `training.suited` puts those of base, method and trainer together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..settings import BASES_OWN


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a training has: how many different videos, of which all windows are one, and how many
    images.

    frames: of a video's clips, None for as many as they usually have. prompts: of the videos, as
    far as they are known; without them, what is found in prompts stays None.
    """

    videos: int
    images: int
    frames: int | None = None
    prompts: tuple[str, ...] = ()


ONE_VIDEO = Material(videos=1, images=0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a default may depend on: the material, and the method's settings, as they were chosen or
    by default.
    """

    videos: int
    images: int
    frames: int
    prompts: tuple[str, ...]
    settings: Mapping[str, Any]


Rule = Callable[[Case], object]


@dataclass(frozen=True, kw_only=True)
class Usual:
    """A default. value: or the rule that gives it; BASES_OWN leaves it to the base. source: where
    it is from. official: what is said there, if the value is another, and reason: why it is.
    """

    value: object = BASES_OWN
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
    how its adapters are sampled, and with how many inversion_steps the noise for that is made.
    """

    settings: Mapping[str, Usual] = field(default_factory=dict)
    train: Mapping[str, Usual] = field(default_factory=dict)
    clip: Mapping[str, Usual] = field(default_factory=dict)
    sample: Mapping[str, Usual] = field(default_factory=dict)


class Rates(NamedTuple):
    """The optimiser's, of what learns the motion; and where both are from."""

    learning_rate: float
    weight_decay: float
    rate_source: str = ""
    decay_source: str = ""

    def numbers(self) -> dict[str, float]:
        """By the names that the training's settings have for them."""
        return {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}


def sized(source: str, **size: int) -> dict[str, Usual]:
    """The paper's width, height and frames of a clip."""
    return {name: Usual(value=value, source=source) for name, value in size.items()}


def as_the_base(source: str, reason: str, **official: object) -> dict[str, Usual]:
    """What is left to the base, although the source has something else."""
    return {
        name: Usual(source=source, official=str(value), reason=reason)
        for name, value in official.items()
    }


def at_animatediffs_size(source: str, **official: int) -> dict[str, Usual]:
    """AnimateDiff's own size, where a method's source has another."""
    reason = "Stable Diffusion 1.5 makes pictures of 512x512, and AnimateDiff learned on 16 frames."
    return as_the_base(source, reason, **official)


FRESH_NOISE = tuned("Tuned for the small bases, with fresh noise.", noise_prior=0.0)

# Of every method with a LoRA.
ALPHA = Usual(value=lambda case: float(case.settings["rank"]), source="a scale of alpha / rank = 1")
