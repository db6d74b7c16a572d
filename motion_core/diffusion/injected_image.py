"""MoTrans's injector in a sample: dropped, as in the paper, unless the user gives an image for it.

In: the adapters of a sample, and an image. Out: the same, of which injectors inject that image.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..adapters.base import Adapter
from ..adapters.injector import is_injector
from ..backbones.base import Backbone
from ..backbones.files.image_encoders import image_encoder_for
from ..errors import AdapterError
from .encoding import working_device


def with_image(
    applied: Sequence[tuple[Adapter, float]],
    image: Tensor,
    image_encoder: str | None,
    backbone: Backbone,
    source: str = "the image",
) -> list[tuple[Adapter, float]]:
    """The pairs, with the image in every injector.

    image: (F, 3, H, W) in [-1, 1], of several the mean of what the encoder sees. image_encoder:
    path of the open_clip file of the training, None for the base's own encoder. source: what
    messages call the image. Raises AdapterError without an injector or with another encoder than in
    training, and as `image_encoder_for` does.
    """
    if not any(is_injector(adapter) for adapter, _ in applied):
        raise AdapterError(
            f"No adapter can inject {source}; only MoTrans adapters have an injector. Leave out "
            "the image, or use such an adapter."
        )
    embeds = image_encoder_for(backbone, image_encoder, working_device(backbone)).embed(image)
    return [
        (adapter.with_image(embeds) if is_injector(adapter) else adapter, strength)
        for adapter, strength in applied
    ]
