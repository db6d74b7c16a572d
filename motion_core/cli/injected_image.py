"""MoTrans's injector in a sample: dropped, as in the paper, unless the user gives an image for it.

In: the adapters of a sample, and an image. Out: the same, of which injectors inject that image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..adapters.base import Adapter
from ..adapters.injector import InjectorAdapter
from ..backbones.base import Backbone
from ..clips import ClipSettings, load_image_clip
from ..encoding import working_device
from ..errors import AdapterError
from ..image_embeds import image_encoder_for


def with_image(
    applied: Sequence[tuple[Adapter, float]],
    image: Path,
    image_encoder: str | None,
    backbone: Backbone,
) -> list[tuple[Adapter, float]]:
    """The pairs, with the image in every injector.

    image_encoder: path of the open_clip file of the training, None for the base's own encoder.
    Raises AdapterError without an injector or with another encoder than in training, and as
    `load_image_clip` and `image_encoder_for` do.
    """
    if not any(isinstance(adapter, InjectorAdapter) for adapter, _ in applied):
        raise AdapterError(
            f"No adapter can inject {image.name}; only MoTrans's have an injector. Leave "
            "--inject-image out, or give such an adapter."
        )
    frames = load_image_clip(image, ClipSettings(), image.stem).frames  # no one reads the prompt
    embeds = image_encoder_for(backbone, image_encoder, working_device(backbone)).embed(frames)
    return [
        (adapter.with_image(embeds) if isinstance(adapter, InjectorAdapter) else adapter, strength)
        for adapter, strength in applied
    ]
