"""`demo`: learns a zigzag from the clip that ships with the pack, and plays it with others."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Learn a zigzag from a shipped clip and play it with new subjects, on both backbones."

EXAMPLES = """example:
  python -m motion_core demo --output out/demo

Trains MotionDirector on one clip of a red circle, for AnimateDiff's form and for ZeroScope's, then
samples eight other subjects with three seeds each from the base and from the adapted base, and the
AnimateDiff adapter in a personalised checkpoint. It prints how well motion and looks came out, read
from the pixels, and leaves pictures, videos, adapters and metrics.json in the output folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path("out/demo"), help="default: out/demo"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the training (default: 0)"
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .demo_run import run_demo

    run_demo(arguments.output, arguments.seed)
    return 0
