"""`demo`: learns a zigzag from the clip that ships with the pack, and plays it with others."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Learn a zigzag from a bundled clip and apply it to new subjects, on both small bases."

EXAMPLES = """example:
  python -m motion_core demo --output out/demo

Trains MotionDirector on one clip of a red circle, on the small AnimateDiff and ZeroScope bases,
then samples eight other subjects with three seeds each, with and without the adapter, and applies
the AnimateDiff adapter to a personalised checkpoint. It scores motion and appearance from the
pixels, and saves pictures, videos, adapters and metrics.json to the output folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path("out/demo"), help="default: out/demo"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the training (default: 0)"
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .demo_run import run_demo

    run_demo(arguments.output, arguments.seed)
    return 0
