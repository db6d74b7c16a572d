"""A base's own weights under another version of AnimateDiff."""

from __future__ import annotations

from diffusers import UNetMotionModel

from motion_core.backbones.animatediff import AnimateDiff

V1 = "animatediff-sd15-v1"


def as_version(backbone: AnimateDiff, version: str) -> AnimateDiff:
    """Its UNet is a copy; the other parts are shared."""
    unet = UNetMotionModel(**backbone.network.config)
    unet.load_state_dict(backbone.network.state_dict())
    return AnimateDiff(
        network=unet,
        vae=backbone.vae,
        text=backbone.text,
        scheduler=backbone.scheduler,
        version=version,
        licence=backbone.licence,
    )
