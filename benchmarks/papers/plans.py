"""How much is measured: about six minutes on two cores, about 55, or everything.

Every plan has the base's row beside the rows of its backbone and motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from motion_core.errors import SettingsError
from motion_core.shape_world.motions import REFERENCE_MOTIONS

from .rows import (
    ABLATIONS,
    BASE,
    BASES,
    COUPLED,
    COUPLED_CAPTIONED,
    METHODS,
    TERSE_METHODS,
    Backbone,
    Plan,
    Row,
    Variant,
)

MAIN_MOTION = "zigzag"
SECOND_MOTION = "bounce"
PROMPTS = 8
SEEDS = (101, 102, 103)


def quick_plan() -> Plan:
    """The four methods on one backbone, with one motion."""
    return Plan(
        rows=_rows((BASE, *METHODS), "animatediff", MAIN_MOTION), prompts=4, seeds=SEEDS[:1]
    )


def default_plan() -> Plan:
    """The methods on both backbones with one motion, and what each of their parts is for; and the
    methods with another motion on one.
    """
    rows = [row for b in BASES for row in _rows(_all_variants(b), b, MAIN_MOTION)]
    rows += _rows((BASE, *METHODS), "animatediff", SECOND_MOTION)
    return Plan(rows=rows, prompts=PROMPTS, seeds=SEEDS)


def full_plan() -> Plan:
    """All variants, on both backbones, with every reference motion: many hours."""
    variants = _all_variants(*BASES)
    rows = [
        row for motion in REFERENCE_MOTIONS for b in BASES for row in _rows(variants, b, motion)
    ]
    return Plan(rows=rows, prompts=PROMPTS, seeds=SEEDS)


def _all_variants(*ablated: Backbone) -> tuple[Variant, ...]:
    """ablated: the backbones whose ablations are among them."""
    ablations = [variant for backbone in ablated for variant in ABLATIONS[backbone]]
    return (BASE, *METHODS, COUPLED_CAPTIONED, COUPLED, *TERSE_METHODS, *ablations)


def chosen(rows: Sequence[Row], only: Sequence[str], method: str | None) -> list[Row]:
    """The rows whose name or variant fits one of the patterns in `only` (all if there are none),
    of one method if it is given, and the base's row beside each of them.

    Raises SettingsError if nothing is left, or a pattern fits no row.
    """
    for pattern in only:
        if not any(_fits(row, pattern) for row in rows):
            names = ", ".join(dict.fromkeys(row.variant.name for row in rows))
            raise SettingsError(
                f"No row fits {pattern!r}. Rows are named VARIANT/BACKBONE/MOTION; the variants of "
                f"this set: {names}."
            )
    wanted = [
        row
        for row in rows
        if (not only or any(_fits(row, pattern) for pattern in only))
        and method in (None, row.variant.method)
    ]
    if not wanted:
        raise SettingsError(
            f"No rows of the method {method!r} are left. Use fewer restrictions, or --full."
        )
    places = {(row.backbone, row.motion) for row in wanted}
    return [
        row
        for row in rows
        if row in wanted or (row.variant == BASE and (row.backbone, row.motion) in places)
    ]


def places_of(rows: Sequence[Row]) -> list[tuple[Backbone, str]]:
    """The (backbone, motion) pairs, each once."""
    return list(dict.fromkeys((row.backbone, row.motion) for row in rows))


def _fits(row: Row, pattern: str) -> bool:
    return fnmatchcase(row.name, pattern) or fnmatchcase(row.variant.name, pattern)


def _rows(variants: Sequence[Variant], backbone: Backbone, motion: str) -> list[Row]:
    return [Row(variant=variant, backbone=backbone, motion=motion) for variant in variants]
