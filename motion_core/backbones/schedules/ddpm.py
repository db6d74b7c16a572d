"""What all samplers on DDPM's noise share: the angle of a timestep, and the clip that is foreseen.

With cos² φ_t = ᾱ_t: z_t = cos φ_t·z_0 + sin φ_t·ε (DDPM, arXiv 2006.11239, Eq. 4).
"""

from __future__ import annotations

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from torch import Tensor

from ...errors import FormatError

DdpmScheduler = DDIMScheduler | LCMScheduler


def prediction_type(scheduler: DdpmScheduler) -> str:
    """Either "epsilon" or "v_prediction"; raises FormatError on any other type."""
    prediction = scheduler.config["prediction_type"]
    if prediction not in ("epsilon", "v_prediction"):
        raise FormatError(
            f"The base's schedule predicts {prediction!r}; expected 'epsilon' or 'v_prediction'. "
            "Load a base of one of these types."
        )
    return prediction


def cos_and_sin(scheduler: DdpmScheduler, timestep: int) -> tuple[float, float]:
    """cos φ and sin φ; before the first timestep ᾱ is the schedule's final one, as in sampling."""
    past_end = timestep < 0
    alpha = scheduler.final_alpha_cumprod if past_end else scheduler.alphas_cumprod[timestep]
    return float(alpha) ** 0.5, (1.0 - float(alpha)) ** 0.5


def clip_foreseen(
    scheduler: DdpmScheduler, model_pred: Tensor, timestep: float, latents: Tensor
) -> Tensor:
    """ẑ_0 = (z_t − sin φ_t·ε̂) / cos φ_t, or cos φ_t·z_t − sin φ_t·v̂."""
    cos, sin = cos_and_sin(scheduler, int(timestep))
    if prediction_type(scheduler) == "epsilon":
        return (latents - sin * model_pred) / cos
    return cos * latents - sin * model_pred
