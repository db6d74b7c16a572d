"""What suits the nodes of a workflow, as the page would fill them: by input, named as `Graph.node`
takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motion_core.bases import BASES
from motion_core.methods import METHODS
from motion_core.methods.defaults import ONE_VIDEO, Material
from motion_core.settings import fields_of
from motion_core.training.suited import Suited, suited


def of_training(
    base: str, method: str, material: Material = ONE_VIDEO, steps: int | None = None
) -> dict[str, Any]:
    """Of Train Motion Adapter. method: as the menu has it. steps: if others are chosen."""
    given = {} if steps is None else {"steps": steps}
    usual, cls = _usual(base, method, material, given), METHODS[_name(method)]
    main = [field.name for field in fields_of(cls.Settings) if field.said.main]
    own = {f"objective__{name}": usual.settings[name] for name in main}
    known = {name: value for name, value in own.items() if value not in (None, ())}
    return {
        **known,
        **{name: usual.train[name] for name in ("steps", "learning_rate", "sample_every")},
        "inversion_steps": usual.inversion_steps,
        "sample_steps": usual.sample["steps"],
        "sample_guidance": usual.sample["guidance_scale"],
    }


def of_clip(base: str, method: str) -> dict[str, Any]:
    """Of Motion Clip."""
    return dict(_usual(base, method).clip)


def of_sample(base: str, method: str, **trained: int) -> dict[str, Any]:
    """Of Sample Motion Video. trained: width, height and frames of the clip."""
    return {**_usual(base, method).sample, **trained}


def _usual(
    base: str,
    method: str,
    material: Material = ONE_VIDEO,
    train: Mapping[str, Any] | None = None,
) -> Suited:
    return suited(METHODS[_name(method)], BASES[base], material, train=train)


def _name(method: str) -> str:
    return method.replace("-", "_")
