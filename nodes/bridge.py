"""From ComfyUI's world to the core's and back: inference mode, devices, images, progress, cancel.

ComfyUI runs nodes under `torch.inference_mode()`, in which nothing can be trained and every tensor
that is made stays unfit for training; it keeps models in main memory until they are asked for; and
it stops a run through a flag. The core knows none of that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import comfy.model_management as management
import torch
from comfy.utils import ProgressBar
from torch import Tensor, nn

from ..motion_core.errors import MotionError
from ..motion_core.events import CancelRun
from .environment import working_libraries

if TYPE_CHECKING:
    from comfy_api.latest import Input

    from ..motion_core.backbones.base import Backbone

logger = logging.getLogger(__name__)

_SMALL_UNET = 100_000_000  # parameters; full-size ones have ten times as many

OnStep = Callable[[int, int], None]


@contextmanager
def core_run() -> Iterator[None]:
    """What every node's work is done in: outside of inference mode, with the libraries that the
    core needs, and with the core's cancel turned into ComfyUI's.
    """
    with torch.inference_mode(False), torch.no_grad(), working_libraries():
        try:
            yield
        except CancelRun:
            management.throw_exception_if_processing_interrupted()  # takes the flag down
            raise management.InterruptProcessingException() from None


def stop_if_cancelled() -> None:
    """Raises CancelRun once someone has pressed Cancel."""
    if management.processing_interrupted():
        raise CancelRun("Cancelled in ComfyUI.")


def steps_shown(node_id: str | None) -> OnStep:
    """A callback (steps done, of how many) that moves the node's progress bar; raises CancelRun
    after Cancel.
    """
    bar = ProgressBar(1, node_id=node_id)

    def on_step(done: int, total: int) -> None:
        stop_if_cancelled()
        try:
            bar.update_absolute(done, total)
        except management.InterruptProcessingException:  # the bar looks at the flag too
            raise CancelRun("Cancelled in ComfyUI.") from None

    return on_step


def image_from_pixels(frames: Tensor) -> Tensor:
    """IMAGE (F, H, W, 3) in 0..1 from frames (F, 3, H, W) in [-1, 1]."""
    image = (frames.float().clamp(-1, 1) + 1) / 2
    return image.movedim(1, -1).contiguous().to(management.intermediate_device())


def pixels_from_image(image: Tensor) -> Tensor:
    """Frames (F, 3, H, W) in [-1, 1], float32 on the CPU, from IMAGE (F, H, W, 3) in 0..1; an
    alpha channel is left out. Raises MotionError for another shape.
    """
    if image.ndim != 4 or image.shape[-1] not in (3, 4):
        raise MotionError(
            f"The image has shape {tuple(image.shape)}; expected (frames, height, width, 3)."
        )
    pixels = image[..., :3].detach().to("cpu", torch.float32, copy=True)
    return pixels.movedim(-1, 1).clamp(0, 1).contiguous() * 2 - 1


def video_frames(video: Tensor | Input.Video) -> tuple[Tensor, float | None]:
    """Frames (F, H, W, 3) in 0..1 of an IMAGE or a VIDEO, and their rate: None for an IMAGE, which
    has none.
    """
    if isinstance(video, Tensor):
        return video[..., :3], None
    components = video.get_components()
    return components.images[..., :3], float(components.frame_rate)


def fit_for_training(module: nn.Module) -> None:
    """Replaces every parameter and buffer that was made in inference mode by a copy of itself.

    To be called outside of inference mode. What is not tainted stays the same tensor.
    """
    copies: dict[int, nn.Parameter] = {}  # what several layers share stays shared
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None and parameter.is_inference():
                if id(parameter) not in copies:
                    copied = parameter.detach().clone()
                    copies[id(parameter)] = nn.Parameter(copied, parameter.requires_grad)
                part._parameters[name] = copies[id(parameter)]
        for name, buffer in part._buffers.items():
            if buffer is not None and buffer.is_inference():
                part._buffers[name] = buffer.clone()


@contextmanager
def on_accelerator(
    backbone: Backbone, dtype: torch.dtype | None = None, needed: int = 0
) -> Iterator[torch.device]:
    """The backbone's UNet is on ComfyUI's device meanwhile, other models make room for it.

    dtype: of the floating weights, None for theirs. needed: bytes for what is computed. The VAE and
    the text encoder come when the core asks for them. Afterwards the UNet's own tensors, which have
    stayed where they were, are back in place, bit for bit, and the memory is free again.
    """
    device = management.get_torch_device()
    for part in (backbone.unet, backbone.vae, backbone.text.model):
        fit_for_training(part)
    tensors = [*backbone.unet.parameters(), *backbone.unet.buffers()]
    if device.type != "cpu":
        management.free_memory(weight_bytes(backbone.unet, dtype) + needed, device)
    originals = [(tensor, tensor.data) for tensor in tensors]
    try:
        for tensor in tensors:
            own = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
            tensor.data = tensor.data.to(device, own)
        yield device
    finally:
        for tensor, original in originals:
            tensor.data = original
        release_memory()


def computing_dtype(parameters: int) -> torch.dtype:
    """What a UNet of so many parameters computes in on ComfyUI's device, by ComfyUI's choice:
    float32 on a CPU, half precision on most accelerators. Small ones, which gain nothing from it,
    are float32 everywhere.
    """
    if parameters < _SMALL_UNET:
        return torch.float32
    device = management.get_torch_device()
    dtype = management.unet_dtype(device, model_params=parameters)
    return management.unet_manual_cast(dtype, device) or dtype


def weight_bytes(module: nn.Module, dtype: torch.dtype | None = None) -> int:
    """What the module's weights take in a dtype, None for theirs."""
    return sum(
        tensor.numel()
        * (dtype.itemsize if dtype and tensor.is_floating_point() else tensor.element_size())
        for tensor in (*module.parameters(), *module.buffers())
    )


def release_memory() -> None:
    """Gives what torch holds of the accelerator back to it."""
    management.soft_empty_cache()
