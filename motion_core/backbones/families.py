"""The families of bases. An adapter fits the bases of its family.

A family's name stands in files. What else of a family has to be known without a base of it, to read
or write an adapter, is here; the rest is its backbone's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .files.lora_names import ANIMATEDIFF_NAMES, PEFT_NAMES, LoraNames

ANIMATEDIFF = "animatediff"
ZEROSCOPE = "zeroscope"


@dataclass(frozen=True, kw_only=True)
class FamilyFiles:
    """motion_lora: how adapter files name a temporal LoRA's tensors, so that other programs load
    them as they are.
    base_models: by the beginning of a base's version, what lists of models call such a base's image
    model, in kohya's names.
    """

    motion_lora: LoraNames = PEFT_NAMES
    base_models: Mapping[str, str] = field(default_factory=dict)


FAMILIES: dict[str, FamilyFiles] = {
    ANIMATEDIFF: FamilyFiles(
        motion_lora=ANIMATEDIFF_NAMES, base_models={"animatediff-sd15": "sd_v1"}
    ),
    ZEROSCOPE: FamilyFiles(),
}


def base_model_name(version: str) -> str:
    """What lists of models call the base of a version: "sd_v1" of AnimateDiff's, else the version
    itself, "" if it is not known.
    """
    named = (pair for family in FAMILIES.values() for pair in family.base_models.items())
    return next((name for start, name in named if version.startswith(start)), version)
