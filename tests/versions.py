"""A base's own weights under another version of AnimateDiff."""

from __future__ import annotations

from diffusers import UNetMotionModel

from motion_core.backbones.animatediff import AnimateDiff

V1 = "animatediff-sd15-v1"


def as_version(backbone: AnimateDiff, version: str) -> AnimateDiff:
    """Its UNet is a copy; the other parts are shared."""
    unet = UNetMotionModel(**backbone.unet.config)
    unet.load_state_dict(backbone.unet.state_dict())
    return AnimateDiff(
        unet=unet,
        vae=backbone.vae,
        text=backbone.text,
        scheduler=backbone.scheduler,
        version=version,
        licence=backbone.licence,
    )
