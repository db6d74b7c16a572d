"""Shape world's two bases, one after the other, and their MODELs with motions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from comfy.model_patcher import ModelPatcher
from motion_adapters.nodes.comfy_models.image_model import image_model
from motion_adapters.nodes.comfy_models.zeroscope import zeroscope_model

from motion_core.adapters.base import Adapter
from motion_core.backbones.animatediff import AnimateDiff
from tests.comfyui.inside.motions import on_animatediff, on_zeroscope
from tests.comfyui.inside.sampling import Backbone, animatediff_base, zeroscope_base

BASES: Mapping[str, Callable[[], Backbone]] = {
    "animatediff": animatediff_base,
    "zeroscope": zeroscope_base,
}


@pytest.fixture(scope="module", params=list(BASES))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return BASES[request.param]()


def plain_model(backbone: Backbone) -> ModelPatcher:
    """What a loader gives: AnimateDiff's is an image model."""
    if isinstance(backbone, AnimateDiff):
        return image_model(backbone)
    return zeroscope_model(backbone)


def moving(
    model: ModelPatcher, backbone: Backbone, adapters: Mapping[str, Adapter]
) -> ModelPatcher:
    """What the Apply node of the base's family gives."""
    if isinstance(backbone, AnimateDiff):
        return on_animatediff(model, adapters)[0]
    return on_zeroscope(model, adapters)[0]
