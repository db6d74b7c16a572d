"""`sample`: makes a video of a prompt, with or without adapters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from ..diffusion.settings import SampleSettings
from ..errors import SettingsError
from ..training.settings import Precision
from .base_flags import add_base_arguments, base_table
from .flags import add_flags, given

SUMMARY = "Generate a video from a prompt with trained adapters, or with the base alone."

EXAMPLES = """examples:
  python -m motion_core sample --base shape-world-animatediff \\
      --adapter out/zigzag/adapter.safetensors \\
      --prompt "a blue square zigzagging on a black background" --output zigzag.mp4

  the same motion on a personalised checkpoint, slightly weaker but closer to the clip:
  python -m motion_core sample --base shape-world-animatediff \\
      --checkpoint shape-world-personalised --adapter out/zigzag/adapter.safetensors:0.8 \\
      --noise-prior 0.3 --prompt "a green cross zigzagging on a grey background" --output cross.mp4

From a file with motion and appearance only the motion is applied, as in MotionDirector's paper;
--with-appearance or --spatial-scale also applies the appearance. Files with only appearance are
always applied. AnimateDiff motion LoRAs are accepted as well, and for ZeroScope checkpoints from
the official MotionDirector (checkpoint-N/temporal/lora/N_unet.pt, and spatial) and Motion Inversion
(motion_embed.pt, with the config.yaml of its run next to it or one folder up).

""" + base_table()

_USUAL = {
    **dict.fromkeys(
        ("steps", "guidance_scale", "adapter_end"), "the adapter's method's, or else the base's"
    ),
    "few_steps": "off, or what the motion module's file name says",
    "noise_prior": "the adapter's method's, if there is a noise file next to the adapter and "
    "frames and size are the clip's; or else 0",
    **dict.fromkeys(("frames", "width", "height"), "the adapter's, or else the base's"),
}
SUFFIXES = (".mp4", ".gif", ".png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompt", metavar="TEXT", required=True, help="what the video should show"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=_output,
        required=True,
        help=".mp4, .gif, or .png for a contact sheet of the frames",
    )
    parser.add_argument(
        "--frames", metavar="DIR", type=Path, help="also save the exact frames, as PNGs, to DIR"
    )
    parser.add_argument("--gif", action="store_true", help="also save a .gif next to OUTPUT")
    parser.add_argument(
        "--fps",
        metavar="X",
        type=float,
        help="frame rate of an .mp4 or .gif (default: the adapter's, or else the base's)",
    )
    parser.add_argument(
        "--enlarge",
        metavar="N",
        type=int,
        default=1,
        help="enlarge each pixel of an .mp4 or .gif to N x N, for the small bases (default: 1)",
    )
    add_base_arguments(parser, "base")
    _add_adapters(parser)
    add_flags(parser, "sampling", "sample", SampleSettings, usual=_USUAL)
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="fp32",
        help="precision of the base's weights; bf16 and fp16 save memory (default: fp32)",
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .sample_run import run_from_flags

    return run_from_flags(arguments, given(arguments, "base"), given(arguments, "sample"))


def _add_adapters(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("adapters")
    group.add_argument(
        "--adapter",
        dest="adapters",
        metavar="FILE[:STRENGTH]",
        action="append",
        default=[],
        help="adapter file and its strength (default: 1); may be repeated",
    )
    group.add_argument(
        "--with-appearance",
        metavar="NAME",
        nargs="?",
        const="",
        help="also apply appearance: the adapter called NAME (spatial.0, see inspect), or the "
        "first in each file",
    )
    group.add_argument(
        "--debias",
        metavar="HOW",
        help="which part of Motion Inversion's embeddings is applied, trained here or imported: "
        "difference (object motion), drop_value (camera motion), normalise, or none (default: as "
        "saved in the file, and difference for the official program's)",
    )
    group.add_argument(
        "--inject-image",
        metavar="FILE",
        type=Path,
        help="apply MoTrans's appearance injector with this image as reference",
    )
    group.add_argument(
        "--image-encoder",
        metavar="FILE",
        help="open_clip ViT-H-14 file for --inject-image (default: the base's own)",
    )
    group.add_argument(
        "--noise",
        metavar="FILE",
        type=Path,
        help="inverted noise for --noise-prior (default: the file next to the first adapter that "
        "has one)",
    )


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"--output is {text}; expected a name ending in {', '.join(SUFFIXES)}.")
    return path
