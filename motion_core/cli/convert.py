"""`convert`: an adapter file for other programs, and full weights as a LoRA."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Turn full weights into a LoRA, or write an adapter in another program's format."

EXAMPLES = """examples:
  a full-weight adapter (motion-crafter) as a LoRA of rank 64; the energy kept is printed:
  python -m motion_core convert out/car/adapter.safetensors --rank 64 --output car_lora.safetensors

  the motion as a motion LoRA of AnimateDiff and AnimateDiff-Evolved:
  python -m motion_core convert adapter.safetensors --to animatediff --output motion.safetensors

  the looks as a LoRA for diffusers and for ComfyUI's LoRA loaders:
  python -m motion_core convert adapter.safetensors --to diffusers --adapter spatial.0 \\
      --output looks.safetensors

Full weights are made a LoRA on the way to any format. Energy is the share of the squared change
that the rank keeps, what no LoRA holds (biases, norms, convolutions) counted as lost: the nearer to
100 %, the more alike the motion."""

FORMATS = ("adapter", "animatediff", "diffusers", "peft")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="an adapter file of this package")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, required=True, help="a new .safetensors"
    )
    parser.add_argument(
        "--to",
        choices=FORMATS,
        default="adapter",
        help="adapter: this package's own file, all adapters in it; the others take one of them "
        "(default: adapter)",
    )
    parser.add_argument(
        "--rank", metavar="N", type=int, default=32, help="of a LoRA from weights (default: 32)"
    )
    parser.add_argument(
        "--adapter",
        metavar="NAME",
        help="which one to export, see inspect (default: temporal, else the only one)",
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .convert_run import run_from_flags

    return run_from_flags(
        arguments.file, arguments.output, arguments.to, arguments.rank, arguments.adapter
    )
