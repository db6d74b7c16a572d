import torch
from comfy.latent_formats import LatentFormat
from PIL import Image

MAX_PREVIEW_RESOLUTION: int

class LatentPreviewer:
    def decode_latent_to_preview(self, x0: torch.Tensor) -> Image.Image: ...

def get_previewer(device: torch.device, latent_format: LatentFormat) -> LatentPreviewer | None: ...
