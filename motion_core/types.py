"""What the parts of the core hand to each other. All of it is read-only: nothing here is changed
in place.

Layout: pixels (F, 3, H, W) in [-1, 1]; latents (B, C, F, h, w), scaled by the VAE's scaling factor;
prompt_embeds (B, L, D). Conversions to other layouts happen once, at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A piece of video to learn from, or one image (F = 1).

    frames: (F, 3, H, W) float32 in [-1, 1], H and W multiples of 8. fps: frames a second of these
    frames. source: a name for messages, usually the file's. video: what tells the clips of one
    video from those of others; empty for a clip that is the only one of its video.
    """

    frames: Tensor
    fps: float
    prompt: str
    source: str
    video: str = ""

    @property
    def is_image(self) -> bool:
        return self.frames.shape[0] == 1


@dataclass(frozen=True, kw_only=True)
class LatentClip:
    """A clip as the network sees it.

    latents: (1, C, F, h, w), scaled. prompt_embeds: (1, L, D). digest: hash of the clip's pixels
    and prompt. video: as in `Clip`. image_embeds: (F, V), each frame as an image encoder sees it,
    for methods that ask for them; None to have them made by the base's own encoder.
    """

    latents: Tensor
    prompt_embeds: Tensor
    prompt: str
    fps: float
    digest: str
    source: str
    video: str = ""
    image_embeds: Tensor | None = None

    @property
    def is_image(self) -> bool:
        return self.latents.shape[2] == 1


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One training step's data: several noise draws of one clip (or of clips of one shape).

    latents: (B, C, F, h, w). prompt_embeds: (B, L, D). clip_index: which of the run's clips this
    is, so that a method finds that video's spatial adapter. step: optimiser
    steps done before, for methods that train in stages. min_timestep: the lowest that is drawn.
    base_preservation: weight of what holds a video's prediction to the base's, see
    `methods.preservation`; 0 is none.
    """

    latents: Tensor
    prompt_embeds: Tensor
    clip_index: int
    step: int
    min_timestep: int = 0
    base_preservation: float = 0.0
