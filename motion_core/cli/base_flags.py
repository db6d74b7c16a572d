"""The flags that choose a base and its files, for every command that loads one."""

from __future__ import annotations

import argparse

from ..bases import BASES

_BASE_HELP = "; ".join(f"{name}: {base.summary}" for name, base in BASES.items())


def base_table() -> str:
    """What "the base's" means in the help, one line a base."""
    lines = ["the bases' defaults:"]
    for name, base in BASES.items():
        own = [f"{key.replace('_', ' ')} {value}" for key, value in base.train.items()]
        lines.append(
            f"  {name:<24} {base.width}x{base.height}, {base.frames} frames at {base.fps:g} fps; "
            f"sampling: {base.sample_steps} steps, guidance {base.guidance_scale:g}\n"
            f"  {'':<24} training: {', '.join(own) or 'as the method has it'}"
        )
    return "\n".join(lines)


def add_base_arguments(parser: argparse.ArgumentParser, table: str) -> None:
    """--base and the files that belong to it, under `table`."""
    group = parser.add_argument_group("base")
    texts = {
        "base": ("NAME", f"what to adapt. {_BASE_HELP}"),
        "checkpoint": ("FILE", "image checkpoint, or ZeroScope's file or folder; for shape world's "
                       "AnimateDiff also shape-world-personalised"),
        "motion_module": ("FILE", "AnimateDiff's motion module, v1, v2 or v3"),
        "domain_adapter": ("FILE", "AnimateDiff v3's domain adapter"),
        "vae": ("FILE", "a VAE for a checkpoint without one, or instead of its own"),
        "text_encoder": ("FILE", "OpenCLIP's text tower, for a ZeroScope file without one"),
    }  # fmt: skip
    for name, (metavar, text) in texts.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=f"{table}.{name}",
            metavar=metavar,
            default=argparse.SUPPRESS,
            help=text,
        )
    group.add_argument(
        "--device",
        dest=f"{table}.device",
        choices=("auto", "cpu", "cuda"),
        default=argparse.SUPPRESS,
        help="auto takes the GPU where there is one (default: auto)",
    )
