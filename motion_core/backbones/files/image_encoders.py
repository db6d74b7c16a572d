"""The image encoder of a base: from a file in open_clip's names or in those of transformers, or its
own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...errors import FormatError, SettingsError
from ..base import Backbone
from ..image_encoder import ImageEncoder
from .image_tower_names import in_open_clips_names
from .keys import same_keys, with_prefix
from .loading import Section, build_empty, fill
from .tensors import open_tensors

DEFAULT_MODEL = "ViT-H-14"
_TOWER = "visual."


def image_encoder_for(
    backbone: Backbone, path: str | None, device: torch.device | str = "cpu"
) -> ImageEncoder:
    """The encoder at `path`, else the base's own. Raises SettingsError if it has none, FormatError
    for a file of another model.
    """
    if path:
        return load_image_encoder(Path(path), device=device)
    if backbone.image_encoder is not None:
        return backbone.image_encoder.load()
    raise _none_of_its_own(backbone)


def check_image_encoder(backbone: Backbone, path: str | None) -> None:
    """Raises as `image_encoder_for` does, without reading any weight: before work begins."""
    if path:
        _section(Path(path), _empty_tower(DEFAULT_MODEL)[0], DEFAULT_MODEL)
    elif backbone.image_encoder is None:
        raise _none_of_its_own(backbone)


def image_embed_width(backbone: Backbone, path: str | None) -> int:
    """Of the embeddings of that encoder, which is not read; raises SettingsError as
    `image_encoder_for` does.
    """
    if path:
        import open_clip  # heavy, and not needed for the names of methods

        config = open_clip.get_model_config(DEFAULT_MODEL)
        assert config is not None
        return int(config["embed_dim"])
    if backbone.image_encoder is not None:
        return backbone.image_encoder.width
    raise _none_of_its_own(backbone)


def _none_of_its_own(backbone: Backbone) -> SettingsError:
    return SettingsError(
        f"{backbone.version} has no image encoder of its own. Set image_encoder to the path of "
        f"an open_clip {DEFAULT_MODEL} file (open_clip_pytorch_model.bin or .safetensors; in "
        "ComfyUI, a file in models/clip_vision such as "
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors)."
    )


def load_image_encoder(
    path: Path, model: str = DEFAULT_MODEL, device: torch.device | str = "cpu"
) -> ImageEncoder:
    """The image tower of a CLIP file, float32; what the file has besides is left out.

    model: open_clip's name of its architecture. Raises FormatError for a file of another one.
    """
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD  # heavy

    tower, size = _empty_tower(model)
    section = _section(path, tower, model)
    filled = fill(tower, [section], torch.float32, device)
    return ImageEncoder(tower=filled, size=size, mean=OPENAI_DATASET_MEAN, std=OPENAI_DATASET_STD)


def _empty_tower(model: str) -> tuple[nn.Module, int]:
    """The tower of the whole model without memory, of which only it is filled; and its size."""
    import open_clip  # heavy

    config = open_clip.get_model_config(model)
    if config is None:
        raise SettingsError(f"open_clip has no model {model!r}. Use one of its list_models().")
    clip = build_empty(lambda: open_clip.CLIP(**_built_of(config)), f"open_clip's {model}")
    return clip.visual, int(config["vision_cfg"]["image_size"])


def _section(path: Path, tower: nn.Module, model: str) -> Section:
    """Where the tower's tensors are in the file. Raises FormatError for a file of another one."""
    file = in_open_clips_names(open_tensors(path))
    if not any(key.startswith(_TOWER) for key in file.shapes):
        raise FormatError(
            f"{file.name} has no image tower. Use a CLIP {model} file from open_clip, or "
            "transformers' image encoder."
        )
    keys = with_prefix(same_keys(tower.state_dict()), _TOWER)
    return Section(file=file, keys=keys, part=f"{model}'s image tower", prefix=_TOWER)


def _built_of(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `open_clip.CLIP` in a model's configuration."""
    known = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu")
    return {name: value for name, value in config.items() if name in known}
