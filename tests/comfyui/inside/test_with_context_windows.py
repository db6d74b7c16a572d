"""Videos longer than a motion module's positions, by the core's own node behind Apply Motion, and
motions within each window.

A window is a video of its own to the network. Where windows do not overlap, the first one is what
the first frames alone would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from motion_adapters.nodes.comfy_models.animatediff import motion_network
from motion_adapters.nodes.comfy_models.image_model import image_model
from motion_adapters.nodes.host.folders import register_folders
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from motion_core.adapters.base import Adapter
from motion_core.errors import MotionError
from motion_core.shape_world.base import MOTION_MODULE
from tests.comfyui.inside import any_base
from tests.comfyui.inside.any_base import moving, plain_model
from tests.comfyui.inside.called import called
from tests.comfyui.inside.motions import (
    a_lora,
    an_embedding,
    hooks_on,
    on_animatediff,
    whole_weights,
)
from tests.comfyui.inside.sampling import (
    FRAMES,
    Backbone,
    animatediff_base,
    core_sampled,
    distance,
    sampled,
)

LONG = 24
POSITIONS = 16

# Fixtures.
backbone = any_base.backbone


@pytest.fixture(scope="module")
def short_module(comfy_base: Path) -> str:
    """Shape world's motion module with 16 positions in place of 32, in ComfyUI's folder."""
    register_folders()
    with safe_open(MOTION_MODULE, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    positions = [name for name in tensors if name.endswith(".pe")]
    assert positions
    for name in positions:
        tensors[name] = tensors[name][:, :POSITIONS].contiguous()
    target = comfy_base / "models" / "animatediff_models" / "sixteen.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target, metadata)
    return target.name


def in_windows(model: ModelPatcher, **given: Any) -> ModelPatcher:
    """Behind the node, with its defaults for what is not given, or is an input of newer ones."""
    schema = ContextWindowsManualNode.GET_SCHEMA().inputs
    defaults = {entry.id: entry.default for entry in schema if hasattr(entry, "default")}
    chosen = {"context_schedule": "standard_static", "fuse_method": "pyramid", **given}
    known = {name: value for name, value in chosen.items() if name in defaults}
    (patched,) = called(ContextWindowsManualNode, model=model, **{**defaults, **known}).args
    return patched


def watched(model: ModelPatcher) -> tuple[ModelPatcher, list[int]]:
    """And how many frames the network is given, call by call."""
    lengths: list[int] = []

    def watch(run: Callable[..., Tensor], given: dict[str, Any]) -> Tensor:
        lengths.append(len(given["input"]) // len(given["cond_or_uncond"]))
        return run(given["input"], given["timestep"], **given["c"])

    clone = model.clone()
    clone.set_model_unet_function_wrapper(watch)
    return clone, lengths


def test_longer_than_the_positions(short_module: str) -> None:
    """Refused with the node's name; the node then does it, with no more frames at once than fit."""
    base = animatediff_base()
    image = image_model(base)
    model, _ = on_animatediff(image, motion_module=short_module)
    with pytest.raises(MotionError, match=r"24 frames .* at most 16.*Context Windows \(Manual\)"):
        sampled(model, base, frames=LONG, steps=1)
    windowed, lengths = watched(in_windows(model, context_length=15))
    video = sampled(windowed, base, frames=LONG, steps=2)
    assert video.isfinite().all() and 1 < max(lengths) <= POSITIONS < LONG
    alone, _ = watched(in_windows(image, context_length=15))
    assert distance(video, sampled(alone, base, frames=LONG, steps=2)) > 0.1
    assert hooks_on(motion_network(model), image.model) == 0


def test_windows_as_long_as_the_positions(short_module: str) -> None:
    """Newer ComfyUI puts the frame before a window in front of it, unless told not to."""
    base = animatediff_base()
    model, _ = on_animatediff(image_model(base), motion_module=short_module)
    exact = in_windows(model, context_length=POSITIONS, causal_window_fix=False)
    watching, lengths = watched(exact)
    assert sampled(watching, base, frames=LONG, steps=1).isfinite().all()
    assert set(lengths) == {POSITIONS}
    if "causal_window_fix" in (entry.id for entry in ContextWindowsManualNode.GET_SCHEMA().inputs):
        with pytest.raises(MotionError, match=r"17 frames .* a context_length below 16"):
            sampled(in_windows(model, context_length=POSITIONS), base, frames=LONG, steps=1)


@pytest.mark.parametrize("kind", ["none", "lora", "embedding", "weights"])
def test_motions_play_in_every_window(backbone: Backbone, kind: str) -> None:
    """Two windows side by side: the first is what the core makes of as many frames with the motion,
    from the same noise; the second is another video than without the motion.
    """
    make: dict[str, Callable[[], dict[str, Adapter]]] = {
        "none": lambda: {},
        "lora": lambda: {"m": a_lora(backbone)},
        "embedding": lambda: {"m": an_embedding(backbone)},
        "weights": lambda: {"m": whole_weights(backbone, "temporal")},
    }
    adapters = make[kind]()
    side_by_side: dict[str, Any] = {
        "context_length": FRAMES,
        "context_overlap": 0,
        "context_schedule": "batched",
        "causal_window_fix": False,
    }
    video = windowed(backbone, adapters, **side_by_side)
    core = core_sampled(backbone, [(adapter, 1.0) for adapter in adapters.values()], steps=2)
    assert distance(video[:FRAMES], core) < 1e-3
    if adapters:
        without = windowed(backbone, {}, **side_by_side)
        assert (video - without).abs().amax(dim=(1, 2, 3)).min() > 0.02


def windowed(
    backbone: Backbone, adapters: Mapping[str, Adapter], frames: int = 2 * FRAMES, **given: Any
) -> Tensor:
    moved = moving(plain_model(backbone), backbone, adapters)
    return sampled(in_windows(moved, **given), backbone, frames, steps=2)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"fuse_method": "relative"},
        {"fuse_method": "overlap-linear", "context_schedule": "standard_uniform"},
        {"context_schedule": "looped_uniform", "closed_loop": True},
        {"freenoise": True},
        {"cond_retain_index_list": "0", "latent_retain_index_list": "0"},
    ],
    ids=lambda given: "-".join(map(str, given.values())) or "default",
)
def test_every_way_to_cut_and_join(backbone: Backbone, given: dict[str, Any]) -> None:
    """Overlapping windows, which newer ComfyUI makes one frame longer in front: an embedding is
    stretched to them.
    """
    adapters = {"m": a_lora(backbone), "e": an_embedding(backbone)}
    options = {"context_length": 8, "context_overlap": 3, **given}
    plain = plain_model(backbone)
    model, lengths = watched(in_windows(moving(plain, backbone, adapters), **options))
    video = sampled(model, backbone, frames=18, steps=2)
    assert video.isfinite().all() and len(video) == 18
    assert max(lengths) <= 9
    off, _ = watched(in_windows(moving(plain, backbone, {}), **options))
    assert distance(video, sampled(off, backbone, frames=18, steps=2)) > 0.02
