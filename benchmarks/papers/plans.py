"""How much is measured, and in which order: a quick look, the whole report, or everything.

Every plan has the base's row beside the rows of its backbone and motion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fnmatch import fnmatchcase

from motion_core.errors import SettingsError
from motion_core.shape_world.motions import REFERENCE_MOTIONS

from .motions import HELD_OUT
from .rows import BASES, Backbone, Plan, Row, Unit, Variant
from .variants import (
    ABLATIONS,
    BASE,
    BASELINES,
    CAMERA,
    FEW_SHOT,
    FEW_STEPS,
    LOOKS,
    METHODS,
    PERSONALISED,
    PRIOR_ALONE,
    TERSE_METHODS,
    TUNED,
    USES,
)

MAIN_MOTION = "zigzag"
OTHER_MOTIONS = tuple(motion for motion in REFERENCE_MOTIONS if motion != MAIN_MOTION)
CAMERA_MOTIONS = ("camera-pan", "camera-zoom")
PROMPTS = 72
"""So many that a flawless row shows a loss of appearance of under 0.1, among many comparisons."""
HEADLINE_TRAININGS = 3
HELD_OUT_ROWS = tuple(dataclasses.replace(variant, prompts=24) for variant in (BASE, *TUNED))
"""As many prompts as an interval needs, on motions that are looked at once."""


def quick_plan() -> Plan:
    """The four methods on one backbone, with one motion and few prompts."""
    return _plan([_rows((BASE, *TUNED), "animatediff", MAIN_MOTION)], prompts=4)


def default_plan() -> Plan:
    """All of the report. First the methods on both backbones, tuned and as in their papers, three
    times each; then motions on which nothing was tuned; then what their parts are for, and how
    adapters are used; then the other motions.
    """
    headline = [
        row
        for backbone in BASES
        for row in _rows((BASE, PRIOR_ALONE, *METHODS), backbone, MAIN_MOTION, HEADLINE_TRAININGS)
    ]
    held_out = [
        row
        for motion in HELD_OUT
        for backbone in BASES
        for row in _rows(HELD_OUT_ROWS, backbone, motion)
    ]
    parts = [
        row
        for backbone in BASES
        for row in _rows((*TERSE_METHODS, *BASELINES, *ABLATIONS[backbone]), backbone, MAIN_MOTION)
    ]
    uses = [
        *_rows((*PERSONALISED, *FEW_STEPS), "animatediff", MAIN_MOTION),
        *_rows((*USES, *FEW_SHOT, *LOOKS), "zeroscope", MAIN_MOTION),
    ]
    others = [
        row
        for motion in OTHER_MOTIONS
        for backbone in BASES
        for row in _rows((BASE, *TUNED, *_camera(motion)), backbone, motion)
    ]
    return _plan([headline, held_out, parts, uses, others])


def full_plan() -> Plan:
    """All variants, on both backbones, with every reference motion: days."""
    variants = (*TERSE_METHODS, *BASELINES, *USES, *FEW_STEPS, *FEW_SHOT, *LOOKS, *CAMERA)
    ablations = [variant for group in ABLATIONS.values() for variant in group]
    every = (BASE, PRIOR_ALONE, *METHODS, *variants, *ablations)
    done = default_plan()
    known = {row.name for row in done.rows}
    more = [
        row
        for motion in REFERENCE_MOTIONS
        for backbone in BASES
        for row in _rows(every, backbone, motion)
        if row.name not in known
    ]
    return Plan(rows=[*done.rows, *more], units=[*done.units, *_units(more)], prompts=done.prompts)


def _plan(groups: Sequence[Sequence[Row]], prompts: int = PROMPTS) -> Plan:
    """groups: the most worth first."""
    rows = [row for group in groups for row in group]
    return Plan(rows=rows, units=[u for group in groups for u in _units(group)], prompts=prompts)


def _units(rows: Sequence[Row]) -> list[Unit]:
    """Every row's first training, then every row's second; a base needs none."""
    most = max((row.trainings for row in rows), default=0)
    return [
        Unit(row=row, seed=seed) for seed in range(most) for row in rows if seed < row.trainings
    ]


def _camera(motion: str) -> tuple[Variant, ...]:
    return CAMERA if motion in CAMERA_MOTIONS else ()


def chosen(plan: Plan, only: Sequence[str], method: str | None) -> Plan:
    """The rows whose name or variant fits one of the patterns in `only` (all if there are none),
    of one method if it is given, and the base's row beside each of them.

    Raises SettingsError if nothing is left, or a pattern fits no row.
    """
    rows = plan.rows
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
    places = set(places_of(wanted))
    kept = [
        row
        for row in rows
        if row in wanted or (row.variant.name == BASE.name and (row.backbone, row.motion) in places)
    ]
    names = {row.name for row in kept}
    return Plan(
        rows=kept,
        units=[unit for unit in plan.units if unit.row.name in names],
        prompts=plan.prompts,
    )


def places_of(rows: Sequence[Row]) -> list[tuple[Backbone, str]]:
    """The (backbone, motion) pairs, each once."""
    return list(dict.fromkeys((row.backbone, row.motion) for row in rows))


def _fits(row: Row, pattern: str) -> bool:
    return fnmatchcase(row.name, pattern) or fnmatchcase(row.variant.name, pattern)


def _rows(
    variants: Sequence[Variant], backbone: Backbone, motion: str, trainings: int = 1
) -> list[Row]:
    """trainings: of those that are trained; a base's clips are always the same."""
    return [
        Row(
            variant=variant,
            backbone=backbone,
            motion=motion,
            trainings=trainings if variant.method else 1,
        )
        for variant in variants
    ]
