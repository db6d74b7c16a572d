"""The families of bases. An adapter fits the bases of its family.

A family's name stands in files. What else of a family has to be known without a base of it, to read
or write an adapter, is here; the rest is its backbone's.
"""

from __future__ import annotations

from dataclasses import dataclass

from .files.lora_names import ANIMATEDIFF_NAMES, PEFT_NAMES, LoraNames

ANIMATEDIFF = "animatediff"
ZEROSCOPE = "zeroscope"


@dataclass(frozen=True, kw_only=True)
class FamilyFiles:
    """motion_lora: how adapter files name a temporal LoRA's tensors, so that other programs load
    them as they are.
    """

    motion_lora: LoraNames = PEFT_NAMES


FAMILIES: dict[str, FamilyFiles] = {
    ANIMATEDIFF: FamilyFiles(motion_lora=ANIMATEDIFF_NAMES),
    ZEROSCOPE: FamilyFiles(),
}
