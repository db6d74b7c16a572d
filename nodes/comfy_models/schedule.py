"""A base's noise schedule as ComfyUI's samplers want it.

In: the DDIMScheduler of a core Backbone. Out: a ComfyUI `model_sampling` with the same ᾱ at every
training timestep and the same prediction type, so that both samplers agree. ComfyUI's σ is
sqrt((1 − ᾱ) / ᾱ) (Karras et al., arXiv 2206.00364).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy.model_base import ModelType
from comfy.model_sampling import EPS, V_PREDICTION, ModelSamplingDiscrete

from ...motion_core.noise import prediction_type

if TYPE_CHECKING:
    from diffusers import DDIMScheduler

# What stands in the place of ᾱ = 0, whose σ is infinite.
# Deviation from ComfyUI's own stand-in (4.9e-8, in rescale_zero_terminal_snr_sigmas of
# comfy/model_sampling.py): with this one the signal's share is 3.2e-5 instead of 2.2e-4. On shape
# world's UNet3D, ten steps with guidance 4 then differ from the same steps from ᾱ = 0 by 3e-5 in
# the mean, and not by 3e-4. Smaller still, and float32 rounds away what is added to σ: 6e-4 at
# ᾱ = 1e-12.
SMALLEST_ALPHA = 1e-9


class _EpsSchedule(ModelSamplingDiscrete, EPS):
    """Discrete timesteps, the network predicts ε."""


class _VSchedule(ModelSamplingDiscrete, V_PREDICTION):
    """Discrete timesteps, the network predicts v."""


def model_sampling(scheduler: DDIMScheduler) -> ModelSamplingDiscrete:
    """The schedule as a `model_sampling`, to be a model's own or an object patch of that name.

    Raises FormatError for a prediction type other than ε and v.
    """
    predicts_v = prediction_type(scheduler) == "v_prediction"
    sampling = _VSchedule() if predicts_v else _EpsSchedule()
    alphas = scheduler.alphas_cumprod.detach().double().cpu().clamp(min=SMALLEST_ALPHA)
    sampling.num_timesteps = len(alphas)
    sampling.set_sigmas(((1.0 - alphas) / alphas).sqrt())
    return sampling


def model_type(scheduler: DDIMScheduler) -> ModelType:
    """What ComfyUI calls the schedule's prediction type."""
    v_prediction = prediction_type(scheduler) == "v_prediction"
    return ModelType.V_PREDICTION if v_prediction else ModelType.EPS
