"""The noise prior as ComfyUI's samplers take noise: an object with a seed that makes it for a
latent.

In: the reference's inverted latents. Out: sqrt(p)·z_inv + sqrt(1−p)·n, frames as the batch. For the
same seed it is what the core's own sampler starts from, so n is not ComfyUI's noise of that seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..motion_core.diffusion.noise import blend_noise_prior, draw_noise
from ..motion_core.errors import MotionError, SettingsError
from ..motion_core.settings import require

if TYPE_CHECKING:
    from ..motion_core.adapter_files.loaded import LoadedAdapter


@dataclass(frozen=True)
class PriorNoise:
    """seed: of the fresh noise n. p: the inverted latents' share, 0 to 1. inverted: (1, C, F, h,
    w); None for fresh noise alone, with p = 0.
    """

    seed: int
    p: float = 0.0
    inverted: Tensor | None = None

    def __post_init__(self) -> None:
        require(0.0 <= self.p <= 1.0, "noise_prior", self.p, "0 to 1")

    def generate_noise(self, input_latent: Mapping[str, Any]) -> Tensor:
        """Noise of the latent's shape, frames as the batch (F, C, h, w), float32 on the CPU.

        Raises MotionError for a latent that is no such batch, or of another size than the inverted
        latents.
        """
        samples = input_latent["samples"]
        if not isinstance(samples, Tensor) or samples.ndim != 4:
            raise MotionError(
                "Motion Noise is for latents with the frames as the batch, (frames, channels, "
                f"height, width); got {tuple(samples.shape)}. Use Empty Latent Image with the "
                "number of frames as batch size."
            )
        frames, channels, height, width = samples.shape
        noise = draw_noise(
            (1, channels, frames, height, width), torch.Generator().manual_seed(self.seed), "cpu"
        )
        if self.inverted is not None:
            _check_size(self.inverted, noise)
            noise = blend_noise_prior(self.inverted, noise, self.p)
        return noise[0].transpose(0, 1).contiguous().to(samples.dtype)


def inverted_of(stack: Sequence[LoadedAdapter], p: float) -> Tensor | None:
    """The inverted latents of the first motion that has some; None where p is 0.

    Raises SettingsError if there are none, or the motions are of several families, of which one
    latent cannot be.
    """
    if p == 0.0:
        return None
    families = {motion.info.family: motion.name for motion in stack}
    if len(families) > 1:
        named = " and ".join(f"{name} for {family}" for family, name in families.items())
        raise SettingsError(
            f"The adapters are {named}; noise fits one kind of latent. Connect only adapters for "
            "its base."
        )
    found = next((motion.inverted for motion in stack if motion.inverted is not None), None)
    if found is None:
        names = ", ".join(motion.name for motion in stack) or "no adapter is connected"
        raise SettingsError(
            f"noise_prior is {p:g}, but there is no inverted noise ({names}). Train with "
            "inversion_steps above 0, keep the .noise.safetensors file next to the adapter's, "
            "or set noise_prior to 0."
        )
    return found


def _check_size(inverted: Tensor, noise: Tensor) -> None:
    if inverted.shape[1] != noise.shape[1]:
        raise MotionError(
            f"The latent has {noise.shape[1]} channels, the inverted noise {inverted.shape[1]}: "
            "it is for another model. Use a latent for the base that the adapter was trained on."
        )
    if inverted.shape != noise.shape:
        _, _, frames, height, width = inverted.shape
        raise MotionError(
            f"The inverted noise has {frames} frames of {width * 8}x{height * 8} pixels; the "
            f"latent has {noise.shape[2]} frames of {noise.shape[4] * 8}x{noise.shape[3] * 8}. "
            "Sample with the number of frames and the size of the training clip."
        )
