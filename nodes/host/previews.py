"""The pictures that ComfyUI shows on a node while it samples, by the user's preview method.

In: the clip (1, C, F, h, w) that a step foresees. Out: with the node's next progress message a
picture of up to four of its frames, two by two, so that motion can be seen in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import comfy.latent_formats
import comfy.model_management as management
import latent_preview
import torch
from PIL import Image
from torch import Tensor

from ...motion_core.backbones.base import Backbone
from ...motion_core.backbones.files.architecture import SD_VAE_SCALING
from ...motion_core.diffusion.encoding import decode_latents
from ...motion_core.diffusion.sampling import OnForeseen
from .bridge import NodeBar

# After a picture so many times as long without one as it took, so that sampling stays as fast.
_PAUSE = 10
_SMALL_VAE = 10_000_000  # parameters; Stable Diffusion's has eight times as many

Picture = Callable[[Tensor], Image.Image]


def previews_on(bar: NodeBar, backbone: Backbone) -> OnForeseen | None:
    """What puts a picture of each step on the bar's node; None where the user has chosen none, or
    the base's latents cannot be looked at fast.
    """
    picture_of = _picture_of(backbone)
    if picture_of is None:
        return None

    due = 0.0

    def on_foreseen(latents: Tensor) -> None:
        nonlocal due
        start = time.monotonic()
        if start < due:
            return
        frames = [picture_of(latents[:1, :, frame]) for frame in shown_frames(latents.shape[2])]
        bar.next_picture = ("JPEG", tiled(frames), latent_preview.MAX_PREVIEW_RESOLUTION)
        end = time.monotonic()
        due = end + _PAUSE * (end - start)

    return on_foreseen


def shown_frames(count: int) -> list[int]:
    """The first, the last and two between them; only the first of fewer than four."""
    return [0, count // 3, 2 * count // 3, count - 1] if count >= 4 else [0]


def tiled(pictures: list[Image.Image]) -> Image.Image:
    """One picture as it is, four of one size in two rows."""
    if len(pictures) == 1:
        return pictures[0]
    width, height = pictures[0].size
    sheet = Image.new("RGB", (2 * width, 2 * height))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % 2 * width, index // 2 * height))
    return sheet


def _picture_of(backbone: Backbone) -> Picture | None:
    """From a frame's latents (1, C, h, w). Stable Diffusion's are shown as ComfyUI's own samplers
    show them; a VAE as small as the sample bases' decodes them itself.
    """
    previewer = latent_preview.get_previewer(
        management.get_torch_device(), comfy.latent_formats.SD15()
    )
    if previewer is None:
        return None
    vae: Any = backbone.video_encoder.model
    if vae.config.get("scaling_factor") == SD_VAE_SCALING:
        return previewer.decode_latent_to_preview
    if sum(weight.numel() for weight in vae.parameters()) > _SMALL_VAE:
        return None
    return lambda latents: _decoded(backbone, latents)


def _decoded(backbone: Backbone, latents: Tensor) -> Image.Image:
    pixels = decode_latents(backbone, latents[:, :, None])[0]
    rgb = ((pixels + 1) * 127.5).round().to(torch.uint8)
    return Image.fromarray(rgb.movedim(0, -1).contiguous().numpy())
