"""`evaluate`: measures videos by the metrics of the papers."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import get_args

from .device import Device
from .parsing import matching
from .terminal import Terminal, say

SUMMARY = "Measure videos: do they match the prompt, stay consistent, and move like the reference?"

EXAMPLES = """examples:
  python -m motion_core evaluate --reference car.mp4 --video out/*.mp4 --prompt "a bear turns" \\
      --entity-prompt "a bear" --frames 16 --fps 8 --output scores.json \\
      --clip-model ViT-H-14 --clip-weights open_clip_pytorch_model.bin \\
      --videomae models/videomae-base --pick-score models/PickScore_v1

  shape world, with its own CLIP:
  python -m motion_core evaluate --reference zigzag.mp4 --video blue.mp4 --clip-model shape-world \\
      --prompt "a blue square zigzagging on a black background" --entity-prompt "a blue square"

If a metric's model is not given, the metric is listed with what it needs. See docs/evaluation.md
for the definitions."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--video",
        dest="videos",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        help="videos, folders of videos, or folders with the frames of one video",
    )
    parser.add_argument(
        "--reference", metavar="FILE", type=Path, help="the video whose motion was trained"
    )
    parser.add_argument(
        "--prompt",
        dest="prompts",
        metavar="TEXT",
        action="append",
        default=[],
        help="what the videos should show: one for all, or repeated, one for each in order",
    )
    parser.add_argument(
        "--entity-prompt",
        dest="entity_prompts",
        metavar="TEXT",
        action="append",
        default=[],
        help='the entity only, such as "a panda"; like --prompt',
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="also save everything as JSON to FILE"
    )
    _add_frames(parser)
    _add_models(parser)


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and transformers take seconds to import.
    from ..evaluation.evaluate import EvaluationRequest, evaluate
    from ..evaluation.models import ModelFiles
    from ..evaluation.videos import VideoSettings
    from ..training.records import write_json
    from .device import chosen_device

    files = [field.name for field in dataclasses.fields(ModelFiles)]
    request = EvaluationRequest(
        videos=tuple(file for path in arguments.videos for file in matching(path)),
        reference=arguments.reference,
        prompts=tuple(arguments.prompts),
        entity_prompts=tuple(arguments.entity_prompts),
        settings=VideoSettings(frames=arguments.frames, fps=arguments.fps),
        files=ModelFiles(**{name: getattr(arguments, name) for name in files}),
    )
    with Terminal() as terminal:
        report = evaluate(request, chosen_device(arguments.device), terminal.steps("evaluating"))
    if arguments.output:
        write_json(arguments.output, report.to_mapping())
    say("\n".join(report.lines()))
    return 0


def _add_frames(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("frames, also for the reference")
    group.add_argument(
        "--frames",
        metavar="N",
        type=int,
        help="use the first N frames of each video (default: all)",
    )
    group.add_argument(
        "--fps", metavar="X", type=float, help="frames per second (default: each video's own)"
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("models; nothing is downloaded")
    group.add_argument(
        "--clip-model",
        metavar="NAME",
        help="open_clip's name for the model, such as ViT-H-14, or shape-world",
    )
    paths = {
        "--clip-weights": ("FILE", "the weights of --clip-model"),
        "--videomae": ("DIR", "transformers folder of VideoMAE"),
        "--pick-score": ("DIR", "transformers folder of PickScore"),
        "--cotracker": ("DIR", "checkout of CoTracker, if its package is not installed"),
        "--cotracker-weights": ("FILE", "scaled_offline.pth"),
    }
    for flag, (metavar, text) in paths.items():
        group.add_argument(flag, metavar=metavar, type=Path, help=text)
    group.add_argument(
        "--tracker",
        choices=("opencv", "cotracker"),
        default="opencv",
        help="point tracker for the tracklets (default: opencv)",
    )
    group.add_argument(
        "--device",
        choices=get_args(Device),
        default="auto",
        help="auto uses a CUDA or ROCm GPU if there is one; mps (Apple) and xpu (Intel) are "
        "untested (default: auto)",
    )
