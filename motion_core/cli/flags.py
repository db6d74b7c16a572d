"""Settings as command-line flags: one literal table for each settings class.

The classes themselves import torch, which would make `--help` slow, so the tables repeat the
fields' names, types and defaults; a test holds them to the classes. The methods have no tables, see
`method_settings`. Only flags that were given are handed on, so that everything else comes from the
configuration file or the base.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A field of a settings class as a flag.

    default: as the help shows it. choices: if only these are taken. optional: "none" is taken too
    and means the default of nothing. many: any number of values. flag: if it is not the field's own
    name.
    """

    field: str
    kind: type
    default: str
    help: str
    choices: tuple[Any, ...] = ()
    optional: bool = False
    many: bool = False
    flag: str = ""

    @property
    def option(self) -> str:
        return self.flag or f"--{self.field.replace('_', '-')}"


CLIP_FLAGS = (
    Flag(
        field="frames",
        kind=int,
        default="the base's",
        help="frames of one clip; more shows a longer motion and takes more memory",
    ),
    Flag(
        field="start_seconds",
        flag="--start",
        kind=float,
        default="0.0",
        help="second at which the first window may begin",
    ),
    Flag(
        field="stride",
        kind=int,
        default="1",
        help="take every n-th frame at the video's own rate, instead of --fps",
    ),
    Flag(
        field="fps",
        kind=float,
        optional=True,
        default="the base's",
        help="resample to so many frames a second; none keeps the video's rate",
    ),
    Flag(
        field="width",
        kind=int,
        optional=True,
        default="the base's",
        help="pixels, a multiple of 8; none follows the source",
    ),
    Flag(
        field="height",
        kind=int,
        optional=True,
        default="the base's",
        help="pixels, a multiple of 8; none follows the source",
    ),
    Flag(
        field="fit",
        kind=str,
        choices=("crop", "pad", "stretch"),
        default="crop",
        help="how a video of another shape is fitted: its middle, all of it on black, or stretched",
    ),
    Flag(
        field="windows",
        kind=int,
        default="1",
        help="clips to take from each video, spread evenly from --start to its end",
    ),
)

TRAIN_FLAGS = (
    Flag(
        field="steps",
        kind=int,
        default="the base's",
        help="optimiser steps; more fits the motion better, too many also its looks",
    ),
    Flag(
        field="learning_rate",
        kind=float,
        optional=True,
        default="the base's",
        help="step size; 0 or none takes the method's own (MotionDirector: 5e-4)",
    ),
    Flag(
        field="weight_decay",
        kind=float,
        optional=True,
        default="none",
        help="pull of the weights to 0; none takes the method's own",
    ),
    Flag(
        field="warmup_steps",
        kind=int,
        default="0",
        help="steps in which the learning rate rises from 0",
    ),
    Flag(
        field="lr_schedule",
        kind=str,
        choices=("constant", "cosine"),
        default="constant",
        help="learning rate after the warm-up; only a constant one can be trained on for longer",
    ),
    Flag(
        field="max_grad_norm",
        kind=float,
        optional=True,
        default="none",
        help="clip gradients to this norm, against sudden jumps; none does not",
    ),
    Flag(
        field="accumulation",
        kind=int,
        default="1",
        help="batches a step: a steadier loss for more time, at the same memory",
    ),
    Flag(
        field="noise_draws",
        kind=int,
        default="the base's",
        help="draws of noise in a batch: a steadier loss for more time and memory",
    ),
    Flag(
        field="min_timestep",
        kind=int,
        default="the base's",
        help="lowest timestep drawn, of 0 (least noise) to 999; motion is decided at high ones",
    ),
    Flag(
        field="seed",
        kind=int,
        default="0",
        help="of all that is random in training: the same seed, the same adapter (on a CPU)",
    ),
    Flag(
        field="precision",
        kind=str,
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="of the base's weights; the halves save memory; fp16 trains on CUDA only",
    ),
    Flag(
        field="checkpointing",
        kind=bool,
        default="True",
        help="recompute blocks in the backward pass: much less memory for a third more time",
    ),
    Flag(
        field="save_every",
        kind=int,
        default="50",
        help="steps between states that --resume can go on from; 0 saves at the end only",
    ),
    Flag(
        field="sample_every",
        kind=int,
        default="0",
        help="steps between sample videos, in OUTPUT/samples; 0 makes none",
    ),
)

SAMPLE_FLAGS = (
    Flag(
        field="steps",
        kind=int,
        default="the base's",
        help="DDIM steps; more is finer and slower",
    ),
    Flag(
        field="guidance_scale",
        kind=float,
        default="the base's",
        help="1 (off) and up; higher follows the prompt more closely, and harsher",
    ),
    Flag(
        field="guidance_rescale",
        kind=float,
        default="0.0",
        help="0 (off) to 1; tames over-exposure of v-prediction models, 0.7 is common",
    ),
    Flag(
        field="frames",
        flag="--num-frames",
        kind=int,
        default="the adapter's, else the base's",
        help="frames of the video",
    ),
    Flag(
        field="width",
        kind=int,
        default="the adapter's, else the base's",
        help="pixels, a multiple of 8",
    ),
    Flag(
        field="height",
        kind=int,
        default="the adapter's, else the base's",
        help="pixels, a multiple of 8",
    ),
    Flag(
        field="seed",
        kind=int,
        default="0",
        help="of the noise: the same seed, the same frames",
    ),
    Flag(
        field="negative_prompt",
        kind=str,
        default="",
        help="what guidance steers away from",
    ),
    Flag(
        field="noise_prior",
        kind=float,
        default="0.0",
        help="0 to 1: share of the reference clip's own noise; 0.1 to 0.5 holds closer to it",
    ),
    Flag(
        field="adapter_end",
        kind=float,
        default="the base's",
        help="share of the steps with adapters; less keeps more of the base's looks",
    ),
    Flag(
        field="temporal_scale",
        kind=float,
        default="1.0",
        help="multiplies the strengths of all that adapts motion",
    ),
    Flag(
        field="spatial_scale",
        kind=float,
        default="1.0",
        help="multiplies the strengths of all that adapts looks; giving it applies the looks too",
    ),
)


def add_flags(
    parser: argparse.ArgumentParser, title: str, table: str, flags: Sequence[Flag]
) -> None:
    """Adds the flags as a group of the help. table: what `given` finds them under."""
    group = parser.add_argument_group(title)
    for flag in flags:
        shown = f'"{flag.default}"' if flag.kind is str and not flag.default else flag.default
        options: dict[str, Any] = {
            "dest": f"{table}.{flag.field}",
            "default": argparse.SUPPRESS,
            "help": f"{flag.help} (default: {shown})".replace("%", "%%"),
        }
        if flag.kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= _value_options(flag)
        group.add_argument(flag.option, **options)


def _value_options(flag: Flag) -> dict[str, Any]:
    options: dict[str, Any] = {"type": _OPTIONAL[flag.kind] if flag.optional else flag.kind}
    if flag.choices:
        options["choices"] = (*flag.choices, None) if flag.optional else flag.choices
    if flag.many or not flag.choices:
        options["metavar"] = {int: "N", float: "X", str: "TEXT"}[flag.kind]
    if flag.many:
        options["nargs"] = "*"
    return options


def given(arguments: argparse.Namespace, table: str) -> dict[str, object]:
    """The flags of a table that were on the command line, by field."""
    prefix = f"{table}."
    return {
        name.removeprefix(prefix): value
        for name, value in vars(arguments).items()
        if name.startswith(prefix)
    }


def _int_or_none(text: str) -> int | None:
    return None if text == NONE else int(text)


def _float_or_none(text: str) -> float | None:
    return None if text == NONE else float(text)


def _str_or_none(text: str) -> str | None:
    return None if text == NONE else text


# argparse shows a type's name in its errors.
_int_or_none.__name__, _float_or_none.__name__, _str_or_none.__name__ = "int", "float", "str"
_OPTIONAL = {int: _int_or_none, float: _float_or_none, str: _str_or_none}
