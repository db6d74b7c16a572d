"""What is used of ComfyUI's comfy_extras.nodes_model_advanced."""

from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import EPS
from comfy.model_sampling import ModelSamplingDiscrete as Discrete

class LCM(EPS): ...

class ModelSamplingDiscreteDistilled(Discrete):
    original_timesteps: int
    skip_steps: int

class ModelSamplingDiscrete:
    def patch(self, model: ModelPatcher, sampling: str, zsnr: bool) -> tuple[ModelPatcher]: ...
