"""How much of the accelerator's memory a training will take, before it starts.

The figures per latent cell come from what peers report at full size with half precision, the
models' weights (2.7 GB) taken off: MotionDirector's 14 GB at 384x384 and 16 frames with
checkpointing, and Text-To-Video-Finetuning's 22.7 GB without and 13.6 GB with it at 24 frames.
They are estimates: attention grows faster than the picture, and methods differ.
"""

from __future__ import annotations

from ..motion_core.errors import MotionError

GIB = 2**30
ADVICE = "Use fewer frames or a smaller size in Motion Clip, or memory = low."
# Bytes for each cell of a latent (one eighth of the pixels' width and height, every frame).
CHECKPOINTED = 11 * GIB // (48 * 48 * 16)
WHOLE = 2 * CHECKPOINTED
# The width and the precision that those figures are for.
_CHANNELS, _ITEM = 320, 2


def activation_bytes(cells: int, channels: int, item_size: int, *, checkpointing: bool) -> int:
    """What a step takes beside the weights. cells: of one batch's latents, frames and noise draws
    included. channels: of the UNet's first level. item_size: bytes of a number.
    """
    per_cell = CHECKPOINTED if checkpointing else WHOLE
    return per_cell * cells * channels // _CHANNELS * item_size // _ITEM


def check_total(needed: int, total: int, what: str) -> None:
    """Raises MotionError if the estimate is more than half again of what the device has in all.

    what: the clip, in words.
    """
    if needed > 1.5 * total:
        raise MotionError(f"{_takes(needed, what)} the device has {total / GIB:.0f} GB. {ADVICE}")


def warning_of(needed: int, free: int, what: str) -> str | None:
    """What to tell of an estimate that is more than what is free; None if it is not."""
    if needed <= free:
        return None
    return f"{_takes(needed, what)} {free / GIB:.0f} GB are free. If it runs out: {ADVICE}"


def _takes(needed: int, what: str) -> str:
    return f"Training on {what} takes about {needed / GIB:.0f} GB of memory beside the weights;"
