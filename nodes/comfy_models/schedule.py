"""Noise schedules: AnimateDiff's for a MODEL, and a base's as ComfyUI's samplers want it.

In: the DDIMScheduler of a core Backbone. Out: a ComfyUI `model_sampling` with the same ᾱ at every
training timestep and the same prediction type, so that both samplers agree.

The network sees z = sqrt(ᾱ)·z_0 + sqrt(1 − ᾱ)·ε. ComfyUI's samplers have x = z/sqrt(ᾱ) and
σ = sqrt((1 − ᾱ)/ᾱ) (Karras et al., arXiv 2206.00364), so that x = z_0 + σ·ε. With zero terminal SNR
(arXiv 2305.08891) their last σ would be infinite. There, with some large S,

    x = z / (sqrt(ᾱ) + sqrt(1 − ᾱ)/S),   σ = sqrt(1 − ᾱ) / (sqrt(ᾱ) + sqrt(1 − ᾱ)/S),

so that x = (1 − σ/S)·z_0 + σ·ε = z_0 + σ·(ε − z_0/S): a straight line in σ again, to S·ε at σ = S,
where ᾱ = 0. A DDIM step keeps z_0 and ε, hence ε − z_0/S too: it is the Euler step of these x and σ
as it is of ComfyUI's. Nothing is approximated, whatever S.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from comfy.model_base import ModelType
from comfy.model_sampling import EPS, V_PREDICTION, ModelSamplingDiscrete
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscreteDistilled

from ...motion_core.backbones.files.architecture import ANIMATEDIFF_SCHEDULER, Config
from ...motion_core.backbones.files.components import load_scheduler
from ...motion_core.backbones.files.prediction import Prediction, with_prediction
from ...motion_core.backbones.schedules.ddpm import prediction_type

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from diffusers import DDIMScheduler
    from torch import Tensor

Betas = Literal["linear", "scaled_linear"]
# ᾱ below this is zero terminal SNR: ComfyUI's ends at 4.9e-8, `model_sampling`'s at 9.5e-7 as σ is
# read here; AnimateDiff's own schedule at 1.6e-3.
_NO_SIGNAL = 1e-5

# S above; a power of 2, by which products are exact. What remains is float32's rounding of S·ε:
# over ten steps with guidance 4 on shape world's bases the latents differ from the core's sampler's
# by at most 1e-5 for S = 64 and 3e-5 for 256; for 1024 by less than 1e-4 on ZeroScope's form (not
# measured on AnimateDiff's, whose tests hold 1e-3); x = z_0 + σ·ε from ᾱ = 1e-9 gave 1e-3. A
# smaller S would let more of a latent image through: ComfyUI adds it whole to S·ε.
LARGEST_SIGMA = 1024.0


def animatediff_schedule(model: ModelPatcher) -> Config:
    """AnimateDiff's schedule for what the image model predicts: motions are trained on it, and play
    on it. Fine-tunings on v-prediction with zero terminal SNR keep both.
    """
    sampling: ModelSamplingDiscrete = model.get_model_object("model_sampling")
    zero_snr = 1.0 / (1.0 + float(sampling.sigmas[-1]) ** 2) < _NO_SIGNAL
    prediction = Prediction(v=isinstance(sampling, V_PREDICTION), zero_snr=zero_snr)
    return with_prediction(ANIMATEDIFF_SCHEDULER, prediction)


def scheduler_with(model: ModelPatcher, betas: Betas | None) -> DDIMScheduler:
    """`animatediff_schedule`, or one with exactly these betas and the MODEL's prediction type.

    betas: "linear" as the motion modules were trained (ComfyUI calls it sqrt_linear),
    "scaled_linear" as Stable Diffusion was (ComfyUI's linear).
    """
    own = animatediff_schedule(model)
    if betas is None:
        return load_scheduler(own)
    kept = {"beta_schedule": betas, "prediction_type": own["prediction_type"]}
    return load_scheduler({**ANIMATEDIFF_SCHEDULER, **kept})


class _EpsSchedule(ModelSamplingDiscrete, EPS):
    """Discrete timesteps, the network predicts ε."""


class _VSchedule(ModelSamplingDiscrete, V_PREDICTION):
    """Discrete timesteps, the network predicts v."""


class _ZeroSnrSchedule(_VSchedule):
    """The same from noise alone: σ ends at LARGEST_SIGMA, where ᾱ is 0.

    Deviation from ComfyUI's own way (rescale_zero_terminal_snr_sigmas of comfy/model_sampling.py),
    which starts from ᾱ = 4.9e-8 as if it were 0.
    """

    def calculate_input(self, sigma: Tensor, noise: Tensor) -> Tensor:
        """z of x, which ComfyUI calls noise."""
        sigma, signal = _parts(sigma, noise)
        return noise / (sigma**2 + signal**2).sqrt()

    def calculate_denoised(
        self, sigma: Tensor, model_output: Tensor, model_input: Tensor
    ) -> Tensor:
        """z_0 = sqrt(ᾱ)·z − sqrt(1 − ᾱ)·v̂ of x, the model_input, and v̂; at ᾱ = 0 it is −v̂."""
        sigma, signal = _parts(sigma, model_input)
        square = sigma**2 + signal**2
        return model_input * signal / square - model_output * sigma / square.sqrt()

    def noise_scaling(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, max_denoise: bool = False
    ) -> Tensor:
        """x to start from. At the largest σ (max_denoise) ComfyUI makes the noise's size that of
        z·sqrt(σ² + 1); here it is z·σ.
        """
        return super().noise_scaling(sigma, noise, latent_image)


class _LcmSchedule(ModelSamplingDiscreteDistilled, LCM):
    """The 50 timesteps on which consistency was distilled, as ComfyUI's ModelSamplingDiscrete with
    `sampling` lcm has them.
    """


class _LcmVSchedule(ModelSamplingDiscreteDistilled, _VSchedule):
    """The same where the network predicts v, which ComfyUI has not. c_skip of LCM's boundary, less
    than 1e-5 at each of these timesteps, is taken for 0.
    """


class _LcmZeroSnrSchedule(ModelSamplingDiscreteDistilled, _ZeroSnrSchedule):
    """The same from noise alone."""


_LCM: Mapping[type[ModelSamplingDiscrete], type[ModelSamplingDiscreteDistilled]] = {
    _EpsSchedule: _LcmSchedule,
    _VSchedule: _LcmVSchedule,
    _ZeroSnrSchedule: _LcmZeroSnrSchedule,
}


def _parts(sigma: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """σ and 1 − σ/S, what x has of the noise and of z_0, with as many dimensions as x."""
    sigma = sigma.reshape(-1, *[1] * (x.ndim - 1))
    return sigma, 1.0 - sigma / LARGEST_SIGMA


def model_sampling(scheduler: DDIMScheduler) -> ModelSamplingDiscrete:
    """The schedule as a `model_sampling`, to be a model's own or an object patch of that name.

    Raises FormatError for a prediction type other than ε and v.
    """
    alphas = scheduler.alphas_cumprod.detach().cpu().double()  # MPS has no double
    from_noise_alone = float(alphas[-1]) == 0.0
    if model_type(scheduler) == ModelType.EPS:
        sampling: ModelSamplingDiscrete = _EpsSchedule()
    else:
        sampling = _ZeroSnrSchedule() if from_noise_alone else _VSchedule()
    noise = (1.0 - alphas).sqrt()
    sampling.num_timesteps = len(alphas)
    sampling.set_sigmas(noise / (alphas.sqrt() + from_noise_alone * noise / LARGEST_SIGMA))
    return sampling


def is_lcm(model: ModelPatcher) -> bool:
    """Whether ModelSamplingDiscrete, or another node, has prepared the MODEL for LCM."""
    return isinstance(model.get_model_object("model_sampling"), LCM)


def lcm_sampling(scheduler: DDIMScheduler) -> ModelSamplingDiscrete:
    """The schedule as a `model_sampling` for what was distilled to few steps by consistency."""
    whole = model_sampling(scheduler)
    sampling = _LCM[type(whole)]()
    sampling.num_timesteps = whole.num_timesteps
    sampling.skip_steps = whole.num_timesteps // sampling.original_timesteps
    sampling.set_sigmas(whole.sigmas[sampling.skip_steps - 1 :: sampling.skip_steps])
    return sampling


def model_type(scheduler: DDIMScheduler) -> ModelType:
    """What ComfyUI calls the schedule's prediction type."""
    v_prediction = prediction_type(scheduler) == "v_prediction"
    return ModelType.V_PREDICTION if v_prediction else ModelType.EPS
