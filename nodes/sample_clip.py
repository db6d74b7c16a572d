"""Node: clips in the sample base's own world, drawn where they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import torch
from comfy_api.latest import InputImpl, Types, io

from ..motion_core.shape_world.motions import REFERENCE_MOTIONS
from ..motion_core.shape_world.references import FPS
from ..motion_core.shape_world.renderer import (
    BACKGROUNDS,
    COLOURS,
    LOOKS,
    SHAPES,
    reference_scene,
    render,
)
from .finding import found_by
from .host.bridge import core_run


class SampleMotionClip(io.ComfyNode):
    """A subject of shape world, and one of the motions that its bases don't know."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SampleMotionClip",
            display_name="Sample Motion Clip",
            category="motion/clips",
            **found_by("example clip", "demo", "test video"),
            description="Draws a clip of 16 frames, 64x64 pixels, for the sample base: a coloured "
            "shape with a motion that the base does not know. Use it to try recipes that need a "
            "second clip or an image.",
            inputs=[
                _choice(
                    "motion",
                    REFERENCE_MOTIONS,
                    "zigzag",
                    "The motion of the shape, or for camera-pan and camera-zoom, of the camera. "
                    "The sample base knows none of them.",
                ),
                _choice("colour", COLOURS, "red", "The colour of the shape."),
                _choice("shape", SHAPES, "circle", "The shape that moves."),
                _choice("background", BACKGROUNDS, "checkered", "What is behind the shape."),
                _choice(
                    "look",
                    LOOKS,
                    "solid",
                    "outlined: with ink around the shape and in other tones, as the personalised "
                    "checkpoint draws. The standard one does not know it, so that an adapter can "
                    "learn it.",
                ),
            ],
            outputs=[
                io.Video.Output("clip", display_name="clip", tooltip="The video, for Motion Clip."),
                io.Image.Output(
                    "picture",
                    display_name="picture",
                    tooltip="Its first frame: with Motion Clip, an image to train appearance.",
                ),
                io.String.Output(
                    "prompt",
                    display_name="prompt",
                    tooltip="What is to be seen, in the words that the sample base knows.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, motion: str, colour: str, shape: str, background: str, look: str
    ) -> io.NodeOutput:
        with core_run():
            scene = replace(reference_scene(motion, colour, shape, background), look=look)
            images = torch.from_numpy(render(scene))
        parts = Types.VideoComponents(images=images, frame_rate=Fraction(FPS))
        return io.NodeOutput(InputImpl.VideoFromComponents(parts), images[:1], scene.prompt)


def _choice(name: str, options: Iterable[str], default: str, tooltip: str) -> io.Input:
    return io.Combo.Input(name, options=list(options), default=default, tooltip=tooltip)
