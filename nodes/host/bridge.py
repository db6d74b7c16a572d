"""From ComfyUI's world to the core's and back: inference mode, devices, images, progress, cancel.

ComfyUI runs nodes under `torch.inference_mode()`, in which nothing can be trained and every tensor
that is made stays unfit for training; it keeps models in main memory until they are asked for; and
it stops a run through a flag. The core knows none of that.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import comfy.model_management as management
import folder_paths
import torch
from comfy.utils import ProgressBar
from comfy_api.latest import InputImpl
from comfy_execution.utils import get_executing_context
from server import PromptServer
from torch import Tensor, nn

from ...motion_core.backbones.interruptible import interruptible
from ...motion_core.errors import MotionError
from ...motion_core.events import CancelRun
from ...motion_core.video.frame_source import FrameSource
from ...motion_core.video.pictures import on_background
from ...motion_core.video.sources import tensor_source, video_source
from .environment import working_libraries

if TYPE_CHECKING:
    from comfy_api.latest import Input
    from PIL.Image import Image

    from ...motion_core.backbones.base import Backbone

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


class NodeBar:
    """A node's progress bar: called with steps done, of how many; raises CancelRun after Cancel.

    next_picture: what the next call shows on the node, as ("JPEG", picture, longest side).
    """

    def __init__(self, node_id: str | None) -> None:
        self.next_picture: tuple[str, Image, int] | None = None
        self._bar = ProgressBar(1, node_id=node_id)

    def __call__(self, done: int, total: int) -> None:
        stop_if_cancelled()
        picture, self.next_picture = self.next_picture, None
        try:
            self._bar.update_absolute(done, total, picture)
        except management.InterruptProcessingException:  # the bar looks at the flag too
            raise CancelRun("Cancelled in ComfyUI.") from None


def say_on_node(text: str) -> None:
    """Writes a text on the node that runs now, below its widgets; nothing outside of a prompt."""
    context, server = get_executing_context(), getattr(PromptServer, "instance", None)
    if context is not None and server is not None:
        server.send_progress_text(text, context.node_id)


def image_from_pixels(frames: Tensor) -> Tensor:
    """IMAGE (F, H, W, 3) in 0..1 from frames (F, 3, H, W) in [-1, 1]."""
    image = (frames.float().clamp(-1, 1) + 1) / 2
    return image.movedim(1, -1).contiguous().to(management.intermediate_device())


def pixels_from_image(image: Tensor) -> Tensor:
    """Frames (F, 3, H, W) in [-1, 1], float32 on the CPU, from IMAGE (F, H, W, 3) in 0..1, or
    4 with alpha, behind which it is white. Raises MotionError for another shape.
    """
    if image.ndim != 4 or image.shape[-1] not in (3, 4):
        raise MotionError(
            f"The image has shape {tuple(image.shape)}; expected (frames, height, width, 3)."
        )
    channels = image.detach().to("cpu", torch.float32, copy=True).movedim(-1, 1).clamp(0, 1)
    pixels = channels[:, :3] * 2 - 1
    if channels.shape[1] == 4:
        pixels = on_background(pixels, channels[:, 3:])
    return pixels.contiguous()


@contextmanager
def frame_source(video: Tensor | Input.Video, image_fps: float) -> Iterator[FrameSource]:
    """The frames of an IMAGE, at `image_fps`, or of a VIDEO, at its own rate.

    A VIDEO that is a file is read where frames are asked for: as a whole, ten seconds in full HD
    are 7 GB. Raises ClipError for a file that is none of a video.
    """
    if isinstance(video, Tensor):
        yield tensor_source(video, _named(video), image_fps)
        return
    trim = _trim(video)
    if trim is None:
        components = video.get_components()
        images, rate = components.images, float(components.frame_rate)
        yield tensor_source(images, _named(images), rate)
        return
    with _on_disk(video.get_stream_source()) as path:
        yield video_source(path, *trim)


def _trim(video: Input.Video) -> tuple[float, float] | None:
    """From which second of its file a VIDEO is, and for how long (0: to the end); None for one that
    is no file, or does not tell: versions of ComfyUI between 0.8 and 0.33 trim in secret.
    """
    if not isinstance(video, InputImpl.VideoFromFile):
        return None
    if hasattr(video, "get_active_trim_window"):
        return video.get_active_trim_window()
    return None if hasattr(video, "as_trimmed") else (0.0, 0.0)


@contextmanager
def _on_disk(file: str | BytesIO) -> Iterator[Path]:
    """Where ffmpeg finds the file; one in memory, as a service sends it, is written for that."""
    if isinstance(file, str):
        yield Path(file)
        return
    temporary = Path(folder_paths.get_temp_directory())
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=temporary) as folder:
        path = Path(folder) / "video"
        path.write_bytes(file.getbuffer())
        yield path


def _named(frames: Tensor) -> str:
    if frames.ndim != 4:
        return "The video"
    count, height, width = frames.shape[:3]
    return f"The video ({count} frames of {width}x{height})"


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
    the text encoder come when the core asks for them. Cancel is heard inside of all three, as
    CancelRun. Afterwards the UNet's own tensors, which have stayed where they were, are back in
    place, bit for bit, and the memory is free again.
    """
    device = management.get_torch_device()
    parts = (backbone.network, backbone.video_encoder.model, backbone.text.model)
    for part in parts:
        fit_for_training(part)
    tensors = [*backbone.network.parameters(), *backbone.network.buffers()]
    if device.type != "cpu":
        management.free_memory(weight_bytes(backbone.network, dtype) + needed, device)
    originals = [(tensor, tensor.data) for tensor in tensors]
    try:
        for tensor in tensors:
            own = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
            tensor.data = tensor.data.to(device, own)
        with interruptible(parts, stop_if_cancelled):
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
