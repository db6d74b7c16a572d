"""From a prompt and adapters to frames, and from a clip to the noise that it came from.

Input: a backbone, (adapter, strength) pairs, SampleSettings and, for the noise prior, inverted
latents (1, C, F, h, w). Output: frames (F, 3, H, W) float32 in [-1, 1], plain tensors also where
the caller runs under inference_mode. The backbone is left as it was found, whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from ..adapters.base import Adapter
from ..backbones.base import Backbone, check_frames, latent_shape
from ..errors import MotionError
from ..types import LatentClip
from .encoding import decode_latents, encode_prompts
from .noise import blend_noise_prior, draw_noise
from .sampling import OnForeseen, OnStep, invert_latents, sample_latents
from .settings import SampleSettings


@contextmanager
def apply_adapters(
    backbone: Backbone,
    adapters: Sequence[tuple[Adapter, float]],
    *,
    temporal_scale: float = 1.0,
    spatial_scale: float = 1.0,
) -> Iterator[None]:
    """Puts all (adapter, strength) pairs on the backbone; the context takes them off again.

    temporal_scale, spatial_scale: multiply the strengths of the adapters of that scope, so that
    motion and looks are set apart. Raises AdapterError if one does not fit; none is then left on.
    """
    scales = {"temporal": temporal_scale, "spatial": spatial_scale}
    with ExitStack() as stack:
        for adapter, strength in adapters:
            stack.enter_context(adapter.applied(backbone, strength * scales[adapter.scope]))
        yield


@torch.inference_mode(False)
@torch.no_grad()
def generate(
    backbone: Backbone,
    prompt: str,
    adapters: Sequence[tuple[Adapter, float]],
    settings: SampleSettings,
    inverted: Tensor | None = None,
    on_step: OnStep | None = None,
    on_foreseen: OnForeseen | None = None,
) -> Tensor:
    """Frames (F, 3, H, W) in [-1, 1] for one prompt, on the CPU.

    inverted: latents (1, C, F, h, w) from `invert_clip`, for the settings' noise_prior.
    The seed alone decides the noise, whatever the device. Raises MotionError before the first step
    on a number of frames that the base does not take, a noise prior without inverted latents or
    with those of another shape, and an adapter of another base.
    """
    check_frames(backbone, settings.frames)
    noise = starting_noise(backbone, settings, inverted)
    # Outside: what an adapter adds to a prompt is wanted, so it is no part of what is unwanted.
    negative_embeds = encode_prompts(backbone, [settings.negative_prompt])
    with ExitStack() as applied:
        applied.enter_context(
            apply_adapters(
                backbone,
                adapters,
                temporal_scale=settings.temporal_scale,
                spatial_scale=settings.spatial_scale,
            )
        )
        # Inside, because an adapter may change how a prompt is encoded.
        prompt_embeds = encode_prompts(backbone, [prompt])
        on_step = taking_off(applied, settings.adapter_end, on_step)
        latents = sample_latents(
            backbone, noise, prompt_embeds, negative_embeds, settings, on_step, on_foreseen
        )
    return decode_latents(backbone, latents)


def taking_off(applied: ExitStack, end: float, on_step: OnStep | None = None) -> OnStep:
    """A callback for the sampler that takes the adapters off after that share of the steps, and
    calls on_step.
    """

    def step(done: int, total: int) -> None:
        if done >= end * total:
            applied.close()
        if on_step is not None:
            on_step(done, total)

    return step


def starting_noise(
    backbone: Backbone, settings: SampleSettings, inverted: Tensor | None = None
) -> Tensor:
    """z_T (1, C, F', h, w), float32 on the CPU: fresh noise, or the noise prior's blend.

    Raises MotionError where the prior wants inverted latents that are missing or do not fit.
    """
    rng = torch.Generator().manual_seed(settings.seed)
    shape = latent_shape(backbone, settings.frames, settings.height, settings.width)
    noise = draw_noise(shape, rng, "cpu")
    if inverted is not None:
        return blend_noise_prior(inverted, noise, settings.noise_prior)
    if settings.noise_prior > 0.0:
        raise MotionError(
            f"A noise prior of {settings.noise_prior:g} needs the reference's inverted latents, "
            "but none were given. Invert the clip first, or set noise_prior to 0."
        )
    return noise


def invert_clip(
    backbone: Backbone, clip: LatentClip, steps: int = 50, on_step: OnStep | None = None
) -> Tensor:
    """The clip's inverted latents (1, C, F, h, w): DDIM inversion, empty prompt, no guidance.

    steps: 50 in MotionDirector. Raises SettingsError on fewer than 2, or on a number of frames that
    the base does not take.
    """
    check_frames(backbone, backbone.frame_rule.pixel_frames(clip.latents.shape[2]))
    return invert_latents(backbone, clip.latents, encode_prompts(backbone, [""]), steps, on_step)
