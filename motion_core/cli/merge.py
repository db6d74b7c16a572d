"""`merge`: several adapter files as one that plays as they do together."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import SettingsError
from .terminal import say

SUMMARY = "Make one adapter file of several, each at its strength."

EXAMPLES = """examples:
  python -m motion_core merge zigzag.safetensors:0.8 spin.safetensors:0.5 --output both.safetensors

  a strength into a file:
  python -m motion_core merge zigzag.safetensors:0.7 --output weaker.safetensors

The file plays at strength 1 what `sample` plays of the files given, and holds nothing else: of
MotionDirector's files the motion and not the looks. LoRAs become one, of the sum of their ranks;
whole weights are added up, and LoRAs to them; motion embeddings of one size and debias are added
up, others stand beside each other in the file. Files may be of any program that `sample` reads, all
of one family."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE[:STRENGTH]",
        nargs="+",
        help="adapter file and its strength, 1 where none is said",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, required=True, help="a new .safetensors"
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from ..adapter_files.merging import merged
    from ..adapter_files.own import save_adapter
    from .sample_run import read_adapter

    output: Path = arguments.output
    if output.suffix.lower() != ".safetensors":
        raise SettingsError(f"--output is {output}; expected a name that ends in .safetensors.")
    made = merged([read_adapter(text) for text in arguments.files])
    save_adapter(output, made.adapters, made.info)
    say(f"The file is {output}")
    return 0
