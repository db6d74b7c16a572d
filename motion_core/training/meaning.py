"""What a run's description means: older ones leave values to the method, or lack settings that came
later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import SettingsError
from ..methods.base import Method
from ..methods.defaults import Material
from ..settings import from_mapping


def written_out(
    description: Mapping[str, Any], method: type[Method], material: Material
) -> Mapping[str, Any]:
    """The description with every value written out; two that are equal are of one training.

    description: as `trainer.describe` gives it, or did in version 0.1.0. method, material: of the
    run that it is compared with; a description of another method is returned as it is, and one
    with settings that are not known here.
    """
    objective, training = description.get("objective", {}), description.get("training", {})
    if objective.get("name") != method.name:
        return description
    try:
        configured = method(from_mapping(method.Settings, objective["settings"]))
    except SettingsError:
        return description
    rates = configured.rates(material).numbers()
    given = {name: value for name, value in training.items() if value is not None}
    settings = configured.written_out(training.get("learning_rate"))
    return {
        **description,
        "objective": {"name": method.name, "settings": settings},
        "training": {**training, **rates, **given},
    }
