"""The subgraph blueprints that ship: a motion learned, applied, and both from one clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .blueprint import Blueprint
from .graph import Node
from .own_models import LEARNED, METHOD, MOTION_MODULE, sampled
from .suited import of_clip, of_training

BASE = "animatediff"
VIDEO_KINDS = "IMAGE,VIDEO"


def learn_a_motion(definitions: Mapping[str, Any]) -> Blueprint:
    """A clip and a base become an adapter."""
    made = Blueprint(
        definitions,
        "Learn a motion",
        "Trains an adapter on the motion of a video. Connect a base and a video, and describe the "
        "video, including its motion.",
        ("lora train", "motion lora", "train video", "motion transfer"),
    )
    base = made.given_input("base", "MOTION_BASE")
    clip = made.graph.node(
        "MotionClip",
        0,
        shows=340,
        suited=of_clip(BASE, METHOD),
        video=made.given_input("video", VIDEO_KINDS),
        prompt=made.given_input("prompt", "STRING"),
    )
    train = made.graph.node(
        "TrainMotionAdapter",
        1,
        shows=510,
        suited=of_training(BASE, METHOD),
        base=base,
        clips=clip.out("clips"),
        sample_prompt=made.given_input("sample_prompt", "STRING"),
        name=made.given_input("name", "STRING"),
    )
    made.result("adapter", train.out("adapter"))
    made.result("samples", train.out("samples"))
    made.result("file_name", train.out("file name"))
    return made


def apply_a_motion(definitions: Mapping[str, Any]) -> Blueprint:
    """A saved adapter and a checkpoint become a MODEL for the KSampler."""
    made = Blueprint(
        definitions,
        "Apply a motion",
        "Adds an AnimateDiff motion module and a trained motion to a Stable Diffusion 1.5 MODEL, "
        "for the regular KSampler.",
        ("animatediff", "motion lora", "motion transfer", "apply lora"),
    )
    model = made.given_input("model", "MODEL")
    motion = made.graph.node(
        "LoadMotionAdapter",
        0,
        adapter=made.given_input("adapter", "COMBO"),
        strength=made.given_input("strength", "FLOAT"),
    )
    applied = made.graph.node(
        "ApplyMotionToAnimateDiff",
        1,
        model=model,
        adapters=motion.out("motions"),
        motion_module=made.given_input("motion_module", "COMBO"),
        models=[MOTION_MODULE],
    )
    _stands(motion, adapter=LEARNED)
    _stands(applied, motion_module=MOTION_MODULE["name"])
    made.result("MODEL", applied.out("MODEL"))
    return made


def motion_from_one_clip(definitions: Mapping[str, Any]) -> Blueprint:
    """A checkpoint, a video and a new subject become a video of that subject."""
    made = Blueprint(
        definitions,
        "Motion from one clip",
        "Learns the motion of a video on your Stable Diffusion 1.5 checkpoint and makes a video of "
        "another subject that moves like it.",
        ("motion transfer", "animatediff", "train video", "video to video"),
    )
    base = made.graph.node(
        "AnimateDiffBaseFromModel",
        0,
        model=made.given_input("model", "MODEL"),
        clip=made.given_input("clip", "CLIP"),
        vae=made.given_input("vae", "VAE"),
        motion_module=made.given_input("motion_module", "COMBO"),
        models=[MOTION_MODULE],
    )
    _stands(base, motion_module=MOTION_MODULE["name"])
    clip = made.graph.node(
        "MotionClip",
        0,
        shows=340,
        suited=of_clip(BASE, METHOD),
        video=made.given_input("video", VIDEO_KINDS),
        prompt=made.given_input("prompt", "STRING"),
    )
    subject = made.given_input("new_prompt", "STRING")
    train = made.graph.node(
        "TrainMotionAdapter",
        1,
        shows=510,
        suited=of_training(BASE, METHOD),
        base=base.out("base"),
        clips=clip.out("clips"),
        sample_prompt=subject,
        name=made.given_input("name", "STRING"),
    )
    sample = made.graph.node(
        "SampleMotionVideo",
        2,
        suited=sampled(BASE),
        base=base.out("base"),
        motions=train.out("adapter"),
        prompt=subject,
        seed=1,
    )
    made.result("video", sample.out("video"))
    made.result("frames", sample.out("frames"))
    made.result("adapter", train.out("adapter"))
    return made


def _stands(node: Node, **values: str) -> None:
    """What stands on a widget that a value is given to, until another one is."""
    for name, value in values.items():
        node.values[node.names.index(name)] = value


BLUEPRINTS = (learn_a_motion, apply_a_motion, motion_from_one_clip)
