"""The flags that choose a base and its files, for every command that loads one."""

from __future__ import annotations

import argparse

from ..bases import BASES
from .flags import add_flags
from .run_settings import BaseSettings


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
    add_flags(parser, "base", table, BaseSettings)
