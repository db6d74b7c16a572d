"""CLIP for the scores: an open_clip model with weights from a local file, or shape world's own.

In: a name and a file. Out: a `ClipModel`, which gives unit features of frames and of texts. Nothing
is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import open_clip
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from ..errors import FormatError
from ..shape_world.clip_model import load_clip
from ..shape_world.vocabulary import load_tokenizer
from ..video.writing import to_bytes
from .preprocessing import centre_square

SHAPE_WORLD = "shape-world"
_TOGETHER = 32  # frames in one forward
_SHAPE_WORLD_SIDE = 64


@dataclass(frozen=True, kw_only=True)
class ClipModel:
    """name: for the record. model: an open_clip model, frozen. prepare: frames (F, 3, H, W) in
    [-1, 1] as the image tower wants them. tokenize: texts to token ids."""

    name: str
    model: open_clip.CLIP
    prepare: Callable[[Tensor], Tensor]
    tokenize: Callable[[list[str]], Tensor]
    device: torch.device

    @torch.no_grad()
    def images(self, frames: Tensor) -> Tensor:
        """(F, D) unit features in float32 of frames (F, 3, H, W) in [-1, 1]."""
        features = [
            self.model.encode_image(self.prepare(some).to(self.device))
            for some in frames.split(_TOGETHER)
        ]
        return F.normalize(torch.cat(features).float(), dim=-1).cpu()

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """(N, D) unit features in float32."""
        tokens = self.tokenize(list(texts)).to(self.device)
        return F.normalize(self.model.encode_text(tokens).float(), dim=-1).cpu()


def shape_world_clip(device: torch.device | str = "cpu") -> ClipModel:
    """The CLIP that ships with the pack: it knows shapes, colours and backgrounds only."""
    tokenizer = load_tokenizer()
    return ClipModel(
        name=SHAPE_WORLD,
        model=load_clip(tokenizer).requires_grad_(False).to(device),
        prepare=lambda frames: centre_square(frames, _SHAPE_WORLD_SIDE),
        tokenize=tokenizer,
        device=torch.device(device),
    )


def open_clip_model(name: str, weights: Path, device: torch.device | str = "cpu") -> ClipModel:
    """An open_clip architecture with its weights from a file (.safetensors, .bin, .pt).

    name: as in `open_clip.list_models()`, such as ViT-H-14; OpenAI's weights want the -quickgelu
    ones. Raises FormatError for a name that open_clip does not have, one whose tokenizer would have
    to be fetched, and weights that are missing, damaged or of another model.
    """
    _require_local(name)
    if not weights.is_file():
        raise FormatError(f"There is no file {weights}. Give CLIP's weights as one file.")
    try:
        made = open_clip.create_model_and_transforms(
            name, pretrained=str(weights.absolute()), device=device
        )
    except (
        RuntimeError,
        KeyError,
        ValueError,
        UnpicklingError,
        EOFError,
        SafetensorError,
    ) as error:
        reason = str(error).strip().splitlines()[0]
        raise FormatError(
            f"{weights.name} does not contain the weights of open_clip's {name} ({reason}). Give "
            "that model's file, or the name of the model in the file."
        ) from error

    model = cast(open_clip.CLIP, made[0])
    preprocess = cast("Callable[[Image.Image], Tensor]", made[2])

    def prepare(frames: Tensor) -> Tensor:
        images = [preprocess(Image.fromarray(image)) for image in to_bytes(frames)]
        return torch.stack(images)

    return ClipModel(
        name=f"{name} ({weights.name})",
        model=model.eval().requires_grad_(False),
        prepare=prepare,
        tokenize=open_clip.get_tokenizer(name),
        device=torch.device(device),
    )


def _require_local(name: str) -> None:
    if name not in open_clip.list_models():
        raise FormatError(
            f"open_clip has no model {name!r}. Use one such as ViT-L-14 or ViT-H-14, or "
            f"{SHAPE_WORLD} for the bundled one."
        )
    config = open_clip.get_model_config(name) or {}
    if {"hf_model_name", "hf_tokenizer_name"} & set(config["text_cfg"]):
        raise FormatError(
            f"The tokenizer of open_clip's {name} is not part of open_clip and would have to be "
            "downloaded. Use a model with CLIP's own tokenizer, such as ViT-H-14."
        )
