"""`convert`: an adapter file for other programs, and full weights as a LoRA."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..adapter_files.formats import FORMATS

SUMMARY = "Convert full weights into a LoRA, or save a LoRA in another program's format."

EXAMPLES = """examples:
  a full-weight adapter (motion-crafter) as a LoRA of rank 64; the energy kept is printed:
  python -m motion_core convert out/car/adapter.safetensors --rank 64 --output car_lora.safetensors

  the motion as a motion LoRA of AnimateDiff and AnimateDiff-Evolved:
  python -m motion_core convert adapter.safetensors --to animatediff --output motion.safetensors

  the appearance as a LoRA for diffusers and for ComfyUI's LoRA loaders:
  python -m motion_core convert adapter.safetensors --to diffusers --adapter spatial.0 \\
      --output appearance.safetensors

  a LoRA for Wan from diffusers or peft as one that ComfyUI's Load LoRA finds:
  python -m motion_core convert wan_lora.safetensors --to comfyui --output wan_comfyui.safetensors

Full weights become a LoRA in every format. Energy is the share of the squared change that the rank
keeps; parts that a LoRA cannot hold (biases, norms, convolutions) count as lost. The closer to
100 %, the closer the motion to the original."""

OWN = "adapter"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="an adapter file, or a LoRA file of another program"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, required=True, help="the new .safetensors file"
    )
    parser.add_argument(
        "--to",
        choices=[OWN, *FORMATS],
        default=OWN,
        help="adapter: this package's own format, with all adapters of the file; the others hold "
        "one of them (default: adapter)",
    )
    parser.add_argument(
        "--rank",
        metavar="N",
        type=int,
        default=32,
        help="rank of a LoRA made from full weights (default: 32)",
    )
    parser.add_argument(
        "--adapter",
        metavar="NAME",
        help="the adapter to export, see inspect (default: temporal, or the only one)",
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .convert_run import run_from_flags

    return run_from_flags(
        arguments.file, arguments.output, arguments.to, arguments.rank, arguments.adapter
    )
