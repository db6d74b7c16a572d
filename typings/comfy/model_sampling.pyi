from typing import Any

from torch import Tensor, nn

class EPS:
    def calculate_denoised(
        self, sigma: Tensor, model_output: Tensor, model_input: Tensor
    ) -> Tensor: ...
    def noise_scaling(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, max_denoise: bool = False
    ) -> Tensor: ...

class V_PREDICTION(EPS): ...

class ModelSamplingDiscrete(nn.Module):
    sigmas: Tensor
    sigma_data: float
    num_timesteps: int
    def __init__(self, model_config: Any = None, zsnr: bool | None = None) -> None: ...
    def set_sigmas(self, sigmas: Tensor) -> None: ...
