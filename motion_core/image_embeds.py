"""ψ: what an image looks like, as a vector.

In: frames (F, 3, H, W) in [-1, 1]. Out: embeddings (F, V) of unit length by the image tower of an
open_clip model. MoTrans (ACM MM 2024), Sec. 4.1, takes OpenCLIP ViT-H/14's, V = 1024; shape world's
bases have their own, V = 64. The paper does not say whether the embeddings are normalised; here
they are, so that one learning rate does for every encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor, nn

from .backbones.base import Backbone
from .backbones.formats import same_keys, with_prefix
from .backbones.loading import Section, build_empty, fill
from .backbones.tensor_files import open_tensors
from .errors import FormatError, SettingsError

DEFAULT_MODEL = "ViT-H-14"
FRAMES_AT_ONCE = 8
_OWN_BASES = "shape-world-"
_TOWER = "visual."


@dataclass(frozen=True, kw_only=True)
class ImageEncoder:
    """tower: open_clip's, from (N, 3, size, size) to (N, V). mean, std: of its training's pixels,
    which go from 0 to 1.
    """

    tower: nn.Module
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @torch.inference_mode(False)
    @torch.no_grad()
    def embed(self, frames: Tensor) -> Tensor:
        """(F, V) float32 on the CPU, each of length 1. frames: (F, 3, H, W) in [-1, 1]; of oblong
        ones the middle square is seen.
        """
        first = next(self.tower.parameters())
        parts = [
            self.tower(self._seen(part).to(first.device, first.dtype)).to("cpu", torch.float32)
            for part in frames.split(FRAMES_AT_ONCE)
        ]
        return F.normalize(torch.cat(parts), dim=-1)

    def _seen(self, frames: Tensor) -> Tensor:
        """The middle square, resized to the tower's size, in its range."""
        height, width = frames.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = frames[:, :, top : top + side, left : left + side].to("cpu", torch.float32)
        if side != self.size:
            square = F.interpolate(
                square, (self.size, self.size), mode="bicubic", antialias=True, align_corners=False
            )
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.mean, self.std))
        return ((square.clamp(-1, 1) + 1) / 2 - mean) / std


def image_encoder_for(
    backbone: Backbone, path: str | None, device: torch.device | str = "cpu"
) -> ImageEncoder:
    """The encoder at `path`, else the base's own. Raises SettingsError if it has none, FormatError
    for a file of another model.
    """
    if path:
        return load_image_encoder(Path(path), device=device)
    if backbone.version.startswith(_OWN_BASES):
        from .shape_world.clip_model import image_encoder  # not needed for any other base

        return image_encoder()
    raise SettingsError(
        f"{backbone.version} has no image encoder of its own. Give image_encoder, the path of an "
        f"open_clip {DEFAULT_MODEL} file (open_clip_pytorch_model.bin or .safetensors)."
    )


def load_image_encoder(
    path: Path, model: str = DEFAULT_MODEL, device: torch.device | str = "cpu"
) -> ImageEncoder:
    """The image tower of an open_clip file, float32; what the file has besides is left out.

    model: open_clip's name of its architecture. Raises FormatError for a file of another one.
    """
    config = open_clip.get_model_config(model)
    if config is None:
        raise SettingsError(f"open_clip has no model {model!r}. Name one of its list_models().")
    file = open_tensors(path)
    if not any(key.startswith(_TOWER) for key in file.shapes):
        raise FormatError(f"{file.name} has no image tower. Give an open_clip {model} file.")
    # The whole model without memory, of which only the image tower is filled.
    clip = build_empty(lambda: open_clip.CLIP(**_built_of(config)), f"open_clip's {model}")
    tower: nn.Module = clip.visual
    keys = with_prefix(same_keys(tower.state_dict()), _TOWER)
    section = Section(
        file=file, keys=keys, part=f"{model}'s image tower", prefix=_TOWER, ignored=None
    )
    tower = fill(tower, [section], torch.float32, device)
    size = int(config["vision_cfg"]["image_size"])
    return ImageEncoder(tower=tower, size=size, mean=OPENAI_DATASET_MEAN, std=OPENAI_DATASET_STD)


def _built_of(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `open_clip.CLIP` in a model's configuration."""
    known = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu")
    return {name: value for name, value in config.items() if name in known}
