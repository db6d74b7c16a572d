"""The image that --inject-image names, in a sample's injectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..adapters.base import Adapter
from ..backbones.base import Backbone
from ..diffusion import injected_image
from ..video.clips import load_image_clip
from ..video.settings import ClipSettings


def with_image(
    applied: Sequence[tuple[Adapter, float]],
    image: Path,
    image_encoder: str | None,
    backbone: Backbone,
) -> list[tuple[Adapter, float]]:
    """The pairs, with the image in every injector; see `injected_image.with_image`.

    Raises as that and `load_image_clip` do.
    """
    frames = load_image_clip(image, ClipSettings(), image.stem).frames  # no one reads the prompt
    return injected_image.with_image(applied, frames, image_encoder, backbone, image.name)
