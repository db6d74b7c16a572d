"""`train`: learns the motion of clips, or the looks of images, into an adapter file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bases import BASES
from ..training.settings import TrainSettings
from ..video.settings import ClipSettings
from .base_flags import add_base_arguments, base_table
from .flags import add_flags, given
from .run_settings import RunSettings
from .terminal import say

SUMMARY = "Train an adapter on the motion of a clip (or the appearance of images)."

EXAMPLES = """examples:
  python -m motion_core train --base shape-world-animatediff \\
      --clip motion_core/shape_world/clips/zigzag.mp4 \\
      --prompt "a red circle zigzagging on a checkered background" \\
      --sample-prompt "a blue square zigzagging on a black background" --output out/zigzag

  python -m motion_core train --base animatediff --checkpoint dreamshaper_8.safetensors \\
      --motion-module v3_sd15_mm.ckpt --clip car.mp4 --prompt "a car turns left" \\
      --precision bf16 --output out/car

OUTPUT then contains adapter.safetensors, adapter.json (the settings; --config runs them again),
adapter.png (reference, base and adapted video, to compare), adapter.noise.safetensors (for
sample --noise-prior), sample.mp4, sample.gif, loss.png and metrics.json.
Ctrl-C keeps what has been learned so far; python -m motion_core train --resume --output OUTPUT
resumes.

The method's settings are flags too, such as --rank 16:
  python -m motion_core train --objective-help        # lists the methods
  python -m motion_core train --objective-help NAME   # lists the settings of one

A configuration file uses the flags' names, with _ instead of -, in four places:
  base = "shape-world-animatediff"          # and checkpoint, images, sample_prompt …
  clips = ["zigzag.mp4"]                    # relative to this file
  prompts = ["a red circle zigzagging on a checkered background"]
  [clip]
  frames = 16                               # and start_seconds, stride …
  [train]
  steps = 300
  [objective]
  name = "motion_director"
  rank = 32

""" + base_table()


_USUAL = "what suits the base and the method; see docs/defaults.md"
_CLIP = ("frames", "fps", "width", "height")
_SOURCES = ("clips", "images", "prompts")
_SAMPLES = (
    "sample_prompt",
    "sample_steps",
    "sample_guidance",
    "sample_noise_prior",
    "inversion_steps",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder for the run"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings file, .toml or .json")
    parser.add_argument(
        "--resume", action="store_true", help="resume the run in DIR with its saved settings"
    )
    _add_what(parser)
    add_base_arguments(parser, "run")
    add_flags(parser, "clips", "clip", ClipSettings, usual=dict.fromkeys(_CLIP, _USUAL))
    of_base = {name for base in BASES.values() for name in base.train}
    suited = of_base | {"weight_decay"}
    add_flags(parser, "training", "train", TrainSettings, usual=dict.fromkeys(suited, _USUAL))
    usual: dict[str, str] = dict.fromkeys(_SAMPLES[1:], _USUAL)
    add_flags(parser, "samples after training", "run", RunSettings, names=_SAMPLES, usual=usual)
    add_flags(parser, "logging", "run", RunSettings, names=("log_to",))
    parser.set_defaults(more=())  # the method's flags, which are known once the method is


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .train_run import run_from_flags

    layer = {
        **given(arguments, "run"),
        "clip": given(arguments, "clip"),
        "train": given(arguments, "train"),
        "objective": given(arguments, "objective"),
    }
    return run_from_flags(
        layer,
        arguments.more,
        arguments.flags,
        output=arguments.output,
        config=arguments.config,
        resume=arguments.resume,
    )


def _add_what(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, "training data", "run", RunSettings, names=_SOURCES)
    group = parser.add_argument_group("method")
    group.add_argument(
        "--objective",
        dest="objective.name",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="How the motion is trained; the method's settings are flags too. (default: the "
        "first of --objective-help)",
    )
    group.add_argument(
        "--objective-help",
        action=_MethodHelp,
        nargs="?",
        metavar="NAME",
        help="List all methods, or the settings of one.",
    )


class _MethodHelp(argparse.Action):
    """Prints the settings of the method named, or all methods, and leaves."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        # Imported here: torch and diffusers take seconds to import.
        from .method_settings import method_help, methods_help

        say(method_help(str(values).replace("-", "_")) if values else methods_help())
        parser.exit()
