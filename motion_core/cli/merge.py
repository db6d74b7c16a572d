"""`merge`: several adapter files as one that plays as they do together."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import SettingsError
from .terminal import say

SUMMARY = "Merge several adapters, each with its strength, into a single file."

EXAMPLES = """examples:
  python -m motion_core merge zigzag.safetensors:0.8 spin.safetensors:0.5 --output both.safetensors

  save an adapter with another strength:
  python -m motion_core merge zigzag.safetensors:0.7 --output weaker.safetensors

At strength 1 the file has the same effect as `sample` with the given files, and contains nothing
else: from MotionDirector's files the motion, but not the appearance. LoRAs become one whose rank is
the sum of their ranks; full weights are added up, and LoRAs are added to them; motion embeddings of
the same size and debias are added up, and others are stored side by side. All formats that `sample`
reads are accepted; all files must be for the same base family."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE[:STRENGTH]",
        nargs="+",
        help="adapter file and its strength (default: 1)",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, required=True, help="the new .safetensors file"
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from ..adapter_files.merging import merged
    from ..adapter_files.own import save_adapter
    from .sample_run import read_adapter

    output: Path = arguments.output
    if output.suffix.lower() != ".safetensors":
        raise SettingsError(f"--output is {output}; expected a name ending in .safetensors.")
    made = merged([read_adapter(text) for text in arguments.files])
    save_adapter(output, made.adapters, made.info)
    say(f"Saved as {output}")
    return 0
