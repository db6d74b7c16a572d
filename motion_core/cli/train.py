"""`train`: learns the motion of clips, or the looks of images, into an adapter file."""

from __future__ import annotations

import argparse
from pathlib import Path

from .base_flags import add_base_arguments, base_table
from .flags import CLIP_FLAGS, TRAIN_FLAGS, add_flags, given
from .terminal import say

SUMMARY = "Learn the motion of a clip (or the looks of images) into an adapter file."

EXAMPLES = """examples:
  python -m motion_core train --base shape-world-animatediff \\
      --clip motion_core/shape_world/clips/zigzag.mp4 \\
      --prompt "a red circle zigzagging on a checkered background" \\
      --sample-prompt "a blue square zigzagging on a black background" --output out/zigzag

  python -m motion_core train --base animatediff --checkpoint dreamshaper_8.safetensors \\
      --motion-module v3_sd15_mm.ckpt --clip car.mp4 --prompt "a car turns left" \\
      --precision bf16 --output out/car

OUTPUT then holds adapter.safetensors, and beside it adapter.json (the settings: --config runs them
again), adapter.png (reference, base and adapted, to compare), adapter.noise.safetensors (for
sample --noise-prior), sample.mp4, sample.gif, loss.png and metrics.json.
Ctrl-C keeps what is learned: python -m motion_core train --resume --output OUTPUT goes on.

The method's own settings are flags too, such as --rank 16 for motion-director:
  python -m motion_core train --objective-help motion-director

A configuration file has the flags' names, with _ for -, in four places:
  base = "shape-world-animatediff"          # and checkpoint, images, sample_prompt …
  clips = ["zigzag.mp4"]                    # from this file's folder
  prompts = ["a red circle zigzagging on a checkered background"]
  [clip]
  frames = 16                               # and start_seconds, stride …
  [train]
  steps = 300
  [objective]
  name = "motion_director"
  rank = 32

""" + base_table()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder of the run"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings, .toml or .json")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in DIR; its settings are known"
    )
    _add_what(parser)
    add_base_arguments(parser, "run")
    add_flags(parser, "clips", "clip", CLIP_FLAGS)
    add_flags(parser, "training", "train", TRAIN_FLAGS)
    _add_samples(parser)
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
        output=arguments.output,
        config=arguments.config,
        resume=arguments.resume,
    )


def _add_what(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to learn")
    texts = {
        "clip": ("clips", "FILE", "video, folder of videos, or folder of one clip's frames; "
                 "several for a motion that they share"),
        "image": ("images", "FILE", "image or folder of images, for looks; with no --clip only "
                  "looks are learned"),
        "prompt": ("prompts", "TEXT", "what is seen: one for all, or one each, clips before "
                   "images; without it captions are read (car.txt beside car.mp4)"),
    }  # fmt: skip
    for flag, (name, metavar, text) in texts.items():
        group.add_argument(
            f"--{flag}",
            dest=f"run.{name}",
            action="append",
            metavar=metavar,
            default=argparse.SUPPRESS,
            help=f"{text}; may be repeated",
        )
    group.add_argument(
        "--objective",
        dest="objective.name",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="the method: motion-director, motion-crafter, motion-inversion, motrans, vmc, or "
        "coupled, the papers' baseline (default: motion-director); its settings are flags too",
    )
    group.add_argument(
        "--objective-help", action=_MethodHelp, metavar="NAME", help="list a method's settings"
    )


class _MethodHelp(argparse.Action):
    """Prints the settings of the method named, and leaves."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        # Imported here: torch and diffusers take seconds to import.
        from .method_settings import method_help

        say(method_help(str(values).replace("-", "_")))
        parser.exit()


def _add_samples(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("samples after training")
    texts = {
        "sample_prompt": (str, "TEXT", "a second prompt to show, beside the clip's own"),
        "sample_steps": (int, "N", "DDIM steps (default: the base's)"),
        "sample_guidance": (float, "X", "guidance scale, 1 and up (default: the base's)"),
        "inversion_steps": (int, "N", "DDIM steps that find the clip's noise; 0 writes no noise "
                            "file (default: 50)"),
    }  # fmt: skip
    for name, (kind, metavar, text) in texts.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=f"run.{name}",
            type=kind,
            metavar=metavar,
            default=argparse.SUPPRESS,
            help=text,
        )
