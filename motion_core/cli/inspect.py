"""`inspect`: what a model file is, and what an adapter holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .terminal import say

SUMMARY = "Show what a model file is, where it belongs, and which programs load a LoRA."

EXAMPLES = """examples:
  python -m motion_core inspect out/zigzag/adapter.safetensors
  python -m motion_core inspect v3_sd15_mm.ckpt --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help=".safetensors, .sft, .ckpt, .pt, .pth or .bin; or a model's folder",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, for other programs"
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from ..adapter_files.inspection import file_lines, inspect_file

    facts = inspect_file(arguments.file)
    say(json.dumps(facts, indent=2) if arguments.json else "\n".join(file_lines(facts)))
    return 0
