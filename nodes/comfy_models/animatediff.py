"""AnimateDiff's motion modules in any Stable Diffusion 1.5 MODEL of ComfyUI.

In: a ModelPatcher and the core's `MotionModules`, the same modules that the core trains and samples
with. Out: a clone of the ModelPatcher whose latents are the frames of one video. The modules have a
ModelPatcher of their own, so that ComfyUI loads, casts and evicts them like any model; they act as
forward hooks, put on for each call of the UNet and taken off after it, so that no layer is added
and every name, patch and ControlNet finds the UNet that it knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel
from comfy.model_patcher import ModelPatcher
from comfy.ops import manual_cast
from comfy.patcher_extension import WrappersMP
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import Tensor, nn

from ...motion_core.backbones.frame_norms import sees_all_frames
from ...motion_core.errors import AdapterError, MotionError
from .casting import use_casting_layers
from .schedule import lcm_sampling, model_sampling
from .video_norms import norms_across_frames
from .while_sampling import KEY
from .windowed_hints import steer_windows

if TYPE_CHECKING:
    from comfy.patcher_extension import WrapperExecutor
    from diffusers import DDIMScheduler, MotionAdapter

    from ...motion_core.backbones.files.motion_modules import MotionModules

# What AnimateDiff-Evolved calls its own motion models in a ModelPatcher.
EVOLVED = "ADE"


class MotionNetwork(nn.Module):
    """Motion modules by the names that they have in a UNetMotionModel, in ComfyUI's layers."""

    # Modules with attributes of their own, which torch has no types for.
    down_blocks: Any
    mid_block: Any
    up_blocks: Any

    def __init__(self, modules: MotionAdapter) -> None:
        super().__init__()
        self.down_blocks = modules.down_blocks
        self.mid_block = modules.mid_block
        self.up_blocks = modules.up_blocks
        for module in self.modules():
            if isinstance(module, SinusoidalPositionalEmbedding):
                module.__class__ = _CastingPositions
        use_casting_layers(self, manual_cast)


class _CastingPositions(SinusoidalPositionalEmbedding):
    """A positional encoding that need not be where its input is, and of its dtype."""

    pe: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[:, : x.shape[1]].to(x)


class _Site(NamedTuple):
    """A motion module and the layer of the UNet that it follows."""

    layer: nn.Module
    module: nn.Module


def image_unet(model: ModelPatcher) -> UNetModel:
    """The UNet of a MODEL of Stable Diffusion's form; raises AdapterError if it has none."""
    unet = model.model.diffusion_model
    if not isinstance(unet, UNetModel):
        raise AdapterError(
            f"The MODEL is a {type(model.model).__name__}; AnimateDiff's motion modules only "
            "work with Stable Diffusion 1.5. Load a Stable Diffusion 1.5 checkpoint."
        )
    return unet


def norm_groups(model: ModelPatcher) -> int:
    """Groups of the UNet's group norms, which motion modules share: 32 in Stable Diffusion."""
    norms = (part for part in image_unet(model).modules() if isinstance(part, nn.GroupNorm))
    return next(norms).num_groups


def weight_dtype(model: ModelPatcher) -> torch.dtype:
    """What the MODEL computes in, which is what its motion modules are kept in: fp8 and quantised
    checkpoints compute in half precision.
    """
    return model.model.manual_cast_dtype or model.model.get_dtype()


def with_motion_modules(model: ModelPatcher, motion: MotionModules) -> ModelPatcher:
    """A clone of `model` in which the motion modules play; it takes the modules over.

    Raises AdapterError if the MODEL has motion modules already, or they do not fit.
    """
    unet = image_unet(model)
    _check_free(model)
    # Every ModelPatcher of a MODEL has one UNet, whose layers these are.
    network = MotionNetwork(motion.modules)
    _check_sites(unet, network, motion)
    patched = model.clone()
    patcher = ModelPatcher(network, model.load_device, model.offload_device)
    patched.set_additional_models(KEY, [patcher])
    moving = _Moving(network, motion)
    patched.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, KEY, moving.forward)
    steer_windows(patched)
    return patched


def motion_network(model: ModelPatcher) -> MotionNetwork:
    """The motion modules that `with_motion_modules` has put into a MODEL."""
    network = model.get_additional_models_with_key(KEY)[0].model
    assert isinstance(network, MotionNetwork)
    return network


def set_schedule(model: ModelPatcher, scheduler: DDIMScheduler, *, lcm: bool = False) -> None:
    """Lets `model`, a clone of the caller's, sample by this noise schedule. lcm: by the sampler of
    that name, in few steps.
    """
    sampling = lcm_sampling(scheduler) if lcm else model_sampling(scheduler)
    model.add_object_patch("model_sampling", sampling)


class _Moving:
    """The wrapper around each call of the UNet."""

    def __init__(self, network: MotionNetwork, motion: MotionModules) -> None:
        self._network = network
        self._version = motion.version
        self._sees_all_frames = sees_all_frames(motion.version)
        self._max_frames = motion.max_frames

    def forward(
        self,
        executor: WrapperExecutor,
        x: Tensor,
        timesteps: Tensor | None = None,
        context: Tensor | None = None,
        y: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """x: (prompts · frames, C, h, w), the frames of each prompt together."""
        options = {} if transformer_options is None else transformer_options
        frames = x.shape[0] // len(options.get("cond_or_uncond", (0,)))
        if frames > self._max_frames:
            raise MotionError(
                f"{frames} frames at once are too many for {self._version}, which supports at "
                f"most {self._max_frames}. Use fewer (the latent's batch_size), or add the node "
                "Context Windows (Manual) with dim 0 and a context_length below "
                f"{self._max_frames}."
            )
        unet = executor.class_obj
        with ExitStack() as stack:
            stack.enter_context(_moved(unet, self._network, frames))
            if self._sees_all_frames:
                stack.enter_context(norms_across_frames(unet, frames))
            return executor(x, timesteps, context, y, control, options, **kwargs)


@contextmanager
def _moved(unet: UNetModel, network: MotionNetwork, frames: int) -> Iterator[None]:
    """Each motion module gets what its layer gives, and hands on what comes of it."""
    with ExitStack() as stack:
        for site in _sites(unet, network):
            stack.enter_context(_following(site, frames))
        yield


@contextmanager
def _following(site: _Site, frames: int) -> Iterator[None]:
    def move(layer: nn.Module, args: Any, output: Tensor) -> Tensor:
        return site.module(output, num_frames=frames)

    handle = site.layer.register_forward_hook(move)
    try:
        yield
    finally:
        handle.remove()


def _sites(unet: UNetModel, network: MotionNetwork) -> Iterator[_Site]:
    """Down level i, module j follows its transformer in the UNet's block 1 + Σ (layers + 1) + j, or
    its resnet where there is none; upwards, where a block begins a level, without the 1.
    """
    layers = list(unet.num_res_blocks)
    yield from _along(unet.input_blocks, network.down_blocks, layers, first=1)
    if network.mid_block is not None:
        yield _Site(_last_layer(unet.middle_block), network.mid_block.motion_modules[0])
    yield from _along(unet.output_blocks, network.up_blocks, layers[::-1], first=0)


def _along(blocks: Any, levels: Any, layers: list[int], first: int) -> Iterator[_Site]:
    starts = accumulate((count + 1 for count in layers[:-1]), initial=first)
    for start, level in zip(starts, levels, strict=True):
        for index, module in enumerate(level.motion_modules):
            yield _Site(_last_layer(blocks[start + index]), module)


def _last_layer(block: Any) -> nn.Module:
    """The block's transformer, else its resnet."""
    of_kind = [part for part in block if isinstance(part, SpatialTransformer)]
    return (of_kind or [part for part in block if isinstance(part, ResBlock)])[-1]


def _check_free(model: ModelPatcher) -> None:
    if model.get_additional_models_with_key(EVOLVED):
        raise AdapterError(
            "This MODEL has motion modules from AnimateDiff-Evolved. Use Apply Motion to "
            "AnimateDiff-Evolved, or connect the MODEL from before its nodes."
        )
    if model.get_additional_models_with_key(KEY):
        raise AdapterError(
            "This MODEL already has motion modules. Connect all adapters to one Apply Motion to "
            "AnimateDiff: chain their loaders."
        )


def _check_sites(unet: UNetModel, network: MotionNetwork, motion: MotionModules) -> None:
    layers = [len(level.motion_modules) for level in network.down_blocks]
    own = _widths(unet)
    if own != motion.channels or list(unet.num_res_blocks) != layers:
        raise AdapterError(
            f"The motion module was made for a UNet with levels of widths {motion.channels} and "
            f"{layers} layers; the MODEL has {own} and {list(unet.num_res_blocks)}. Choose a "
            "motion module and a checkpoint of the same family."
        )


def _widths(unet: UNetModel) -> list[int]:
    """Channels of the levels."""
    starts = accumulate((count + 1 for count in list(unet.num_res_blocks)[:-1]), initial=1)
    return [unet.input_blocks[start][0].out_channels for start in starts]
