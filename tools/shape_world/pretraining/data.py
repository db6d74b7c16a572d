"""Training data of the pretraining, rendered on the fly: random scenes as tensors, with their
captions."""

from __future__ import annotations

import dataclasses
import string
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from motion_core.shape_world.motions import FRAMES, Track
from motion_core.shape_world.renderer import PERIOD, Scene, caption, draw_scene, render
from motion_core.shape_world.vocabulary import byte_pair_merges, caption_words

MAX_LETTERS = 20
LONGEST = 14


def to_pixels(frames: np.ndarray) -> Tensor:
    """(F, H, W, 3) in [0, 1] to (F, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous() * 2 - 1


def with_free_camera(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with a random radius and texture phase, and at times a random zoom: what the
    autoencoder must draw, though no base is shown it move."""
    track = scene.track
    radius = np.full(len(track.radii), rng.uniform(5.0, 15.0))
    zoom = np.full(len(track.zoom), rng.uniform(0.6, 1.6) if rng.random() < 0.3 else 1.0)
    phase = (float(rng.uniform(0, PERIOD)), float(rng.uniform(0, PERIOD)))
    free = Track(positions=track.positions, radii=radius, pan=track.pan, zoom=zoom)
    return dataclasses.replace(scene, phase=phase, track=free)


def at_frame(scene: Scene, frame: int) -> Scene:
    """The scene's one frame as a scene of its own."""
    track = scene.track
    now = slice(frame, frame + 1)
    still = Track(
        positions=track.positions[now],
        radii=track.radii[now],
        pan=track.pan[now],
        zoom=track.zoom[now],
    )
    return dataclasses.replace(scene, track=still)


def image_batch(
    rng: np.random.Generator, size: int, look: str | None = "solid", camera: bool = False
) -> tuple[Tensor, list[Scene]]:
    """`size` single frames (size, 3, 64, 64) in [-1, 1] and their scenes; look None draws either
    look."""
    scenes = []
    for _ in range(size):
        scene = draw_scene(rng, look or ("outlined" if rng.random() < 0.33 else "solid"))
        scene = at_frame(scene, int(rng.integers(FRAMES)))
        scenes.append(with_free_camera(scene, rng) if camera else scene)
    return to_pixels(np.concatenate([render(scene) for scene in scenes])), scenes


def unknown_words(rng: np.random.Generator) -> str:
    """One or two words that no vocabulary holds, made of letters and of the pieces of known words,
    at most 20 letters, so that the caption's end stays in the text encoder's context. A base that
    met them in training learns to pass over them."""
    sizes = rng.integers(2, 8, size=rng.integers(1, 3))
    words = ["".join(rng.choice(_word_pieces(), size))[:LONGEST] for size in sizes]
    if not set(words).isdisjoint(caption_words()):
        return unknown_words(rng)
    return " ".join(words[:1] if sum(map(len, words)) > MAX_LETTERS else words)


@lru_cache
def _word_pieces() -> list[str]:
    """Letters, and the tokens of the vocabulary that are no whole words."""
    words = caption_words()
    merged = {(left + right).removesuffix("</w>") for left, right in byte_pair_merges(words)}
    return sorted((merged - set(words)) | set(string.ascii_lowercase))


def training_caption(scene: Scene, rng: np.random.Generator) -> str:
    """The scene's caption; one in eight without its motion, and nearly half with unknown words in
    its place."""
    draw = rng.random()
    phrase = "" if draw < 0.12 else unknown_words(rng) if draw < 0.57 else scene.phrase
    return caption(scene.colour, scene.shape, scene.background, phrase)
