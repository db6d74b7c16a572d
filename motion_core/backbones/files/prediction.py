"""What a Stable Diffusion model predicts, ε or v, and whether its noise ends in noise alone.

Nothing in the weights tells it. Files say it in one of these ways:

| where                                   | v-prediction                  | zero terminal SNR             |
|-----------------------------------------|-------------------------------|-------------------------------|
| marker tensors (ComfyUI, NoobAI)        | `v_pred`                      | `ztsnr`                       |
| header (modelspec, kohya's sd-scripts)  | `modelspec.prediction_type` v | none                          |
| diffusers' scheduler_config.json        | `prediction_type`             | `rescale_betas_zero_snr`      |

AnimateDiff's betas stay what they are: motion modules are trained on them.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...errors import FormatError
from .architecture import Config
from .tensors import TensorFile

_MODELSPEC = "modelspec.prediction_type"
# As the modelspec standard has it, and as other tools write it.
_V_NAMES = ("v", "v_prediction", "v-prediction", "velocity")


class Prediction(NamedTuple):
    """v: the network predicts v, else ε. zero_snr: the last timestep is noise alone, which only
    v-prediction can be trained on (Lin et al., arXiv 2305.08891).
    """

    v: bool = False
    zero_snr: bool = False


def prediction_of_file(file: TensorFile) -> Prediction:
    """What its markers and its header say; ε where they say nothing."""
    named = file.metadata.get(_MODELSPEC, "").strip().lower() in _V_NAMES
    v = named or "v_pred" in file.shapes
    return Prediction(v=v, zero_snr=v and "ztsnr" in file.shapes)


def prediction_of_config(config: Mapping[str, Any], source: str) -> Prediction:
    """What a scheduler's configuration says. Raises FormatError for what is neither ε nor v."""
    kind = config.get("prediction_type", "epsilon")
    if kind not in ("epsilon", "v_prediction"):
        raise FormatError(
            f"{source} has prediction_type {kind!r}; expected 'epsilon' or 'v_prediction'. Use a "
            "model of one of these types."
        )
    zero_snr = config.get("rescale_betas_zero_snr") is True
    return Prediction(v=kind == "v_prediction", zero_snr=zero_snr and kind == "v_prediction")


def with_prediction(schedule: Config, prediction: Prediction) -> Config:
    """The schedule for a model that predicts so. One with zero terminal SNR is sampled from its
    very last timestep (Lin et al., arXiv 2305.08891).
    """
    changed = dict(schedule)
    if prediction.v:
        changed["prediction_type"] = "v_prediction"
    if prediction.zero_snr:
        changed.update(rescale_betas_zero_snr=True, timestep_spacing="trailing")
    return changed
