"""Between ComfyUI's world and the core's: inference mode, dtypes, images, cancel, folders."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import comfy.model_management as management
import comfy.utils
import folder_paths
import pytest
import torch
from motion_adapters.nodes import folders
from motion_adapters.nodes.bridge import (
    core_run,
    fit_for_training,
    image_from_pixels,
    on_accelerator,
    pixels_from_image,
    steps_shown,
    weight_bytes,
)
from torch import nn

from motion_core.errors import MotionError
from motion_core.events import CancelRun
from motion_core.shape_world.base import load_shape_world


def test_inference_tensors_are_replaced_and_others_kept() -> None:
    """What two layers share is one tensor afterwards too, and it can be trained on."""
    with torch.inference_mode():
        tainted = nn.Linear(3, 3)
    clean = nn.Linear(3, 3)
    both = nn.Sequential(tainted, clean, nn.Linear(3, 3))
    both[2].weight = tainted.weight
    expected, kept = tainted.weight.clone(), clean.weight
    with torch.inference_mode(), core_run():
        fit_for_training(both)
    assert not any(parameter.is_inference() for parameter in both.parameters())
    assert torch.equal(both[0].weight, expected) and both[2].weight is both[0].weight
    assert both[1].weight is kept
    both(torch.ones(1, 3)).sum().backward()
    assert both[0].weight.grad is not None


def test_weights_are_back_bit_for_bit_also_after_an_error() -> None:
    backbone = load_shape_world("shape-world-animatediff")
    before = {name: (t, t.data_ptr()) for name, t in backbone.unet.state_dict().items()}
    full = weight_bytes(backbone.unet)
    assert weight_bytes(backbone.unet, torch.bfloat16) < 0.51 * full
    with pytest.raises(ZeroDivisionError), on_accelerator(backbone, torch.bfloat16) as device:
        assert device == management.get_torch_device()
        assert next(backbone.unet.parameters()).dtype == torch.bfloat16
        raise ZeroDivisionError
    after = backbone.unet.state_dict()
    for name, (tensor, place) in before.items():
        assert after[name].data_ptr() == place and torch.equal(after[name], tensor)


def test_images_there_and_back() -> None:
    image = torch.rand(2, 4, 6, 3)
    pixels = pixels_from_image(image)
    assert pixels.shape == (2, 3, 4, 6) and pixels.min() >= -1 and pixels.max() <= 1
    assert torch.allclose(image_from_pixels(pixels), image, atol=1e-6)
    assert pixels_from_image(torch.rand(1, 4, 6, 4)).shape == (1, 3, 4, 6)
    with pytest.raises(MotionError, match=r"\(4, 6, 3\); expected"):
        pixels_from_image(image[0])


def test_cancel_goes_through_the_core_as_its_own() -> None:
    """The core sees CancelRun, ComfyUI its own exception, and the flag is taken down once."""
    comfy.utils.set_progress_bar_global_hook(None)
    on_step = steps_shown("1")
    with pytest.raises(management.InterruptProcessingException), core_run():
        on_step(1, 4)
        management.interrupt_current_processing(True)
        with pytest.raises(CancelRun):
            on_step(2, 4)
        on_step(2, 4)
    assert not management.processing_interrupted()
    with pytest.raises(management.InterruptProcessingException), core_run():
        raise CancelRun  # asked for from the panel: there is no flag


def test_folders_are_known_and_made(comfy_base: Path) -> None:
    folders.register_folders()
    folders.register_folders()  # a second time changes nothing
    for key in ("motion_adapters", "animatediff_models", "animatediff_motion_lora", "text2video"):
        assert folder_paths.get_folder_paths(key) == [str(comfy_base / "models" / key)]
        assert (comfy_base / "models" / key).is_dir()
        assert folders.save_folder(key) == comfy_base / "models" / key
    assert folders.runs_folder() == comfy_base / "output" / "motion_training"


@pytest.mark.parametrize(
    ("version", "kind", "scope", "key"),
    [
        ("animatediff-sd15-v3", "lora", "temporal", "animatediff_motion_lora"),
        ("animatediff-sd15-v3", "lora", "spatial", "motion_adapters"),
        ("animatediff-sd15-v3", "weights", "temporal", "motion_adapters"),
        ("shape-world-animatediff", "lora", "temporal", "motion_adapters"),
        ("zeroscope", "lora", "temporal", "motion_adapters"),
    ],
)
def test_where_an_adapter_belongs(version: str, kind: str, scope: str, key: str) -> None:
    info = SimpleNamespace(version=version)
    adapters = {"one": SimpleNamespace(kind=kind, scope=scope)}
    assert folders.adapter_key(info, adapters) == key  # type: ignore[arg-type]
