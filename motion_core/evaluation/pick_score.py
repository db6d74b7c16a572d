"""PickScore: how much people would like a frame for its prompt, by a CLIP tuned on their choices.

Paper: Kirstain et al., Pick-a-Pic (2305.01569), Eq. 1: s(x, y) = E_text(x)·E_image(y)·τ, with unit
features and the learned temperature τ, about 100. Mean over frames, as MotionDirector (2310.08465),
section 4, reports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from transformers import CLIPModel

from .base import Metric, Subject
from .preprocessing import CLIP_MEAN, CLIP_STD, centre_square, normalised
from .transformers_folder import load_folder

METRICS = {
    "pick_score": Metric(
        title="PickScore",
        meaning="people would choose these frames for the prompt",
        scale="-100..100, good videos about 20",
        source="Pick-a-Pic, Eq. 1; MotionDirector, section 4",
    ),
}

_TOGETHER = 16  # frames in one forward


@dataclass(frozen=True, kw_only=True)
class PickScorer:
    """clip: PickScore's transformers CLIPModel. model: its name, for the record."""

    clip: CLIPModel
    model: str
    device: torch.device

    def score(self, subject: Subject) -> dict[str, float]:
        """Nothing for a subject without a prompt."""
        if subject.prompt is None:
            return {}
        cosines = self._images(subject.video.frames) @ self._text(subject.prompt)
        return {"pick_score": float(cosines.mean() * self.clip.logit_scale.exp())}

    @torch.no_grad()
    def _images(self, frames: Tensor) -> Tensor:
        side = cast(int, self.clip.vision_model.config.image_size)
        features = []
        for some in frames.split(_TOGETHER):
            pixels = normalised(centre_square(some, side), CLIP_MEAN, CLIP_STD)
            seen = self.clip.vision_model(pixel_values=pixels.to(self.device)).pooler_output
            features.append(self.clip.visual_projection(seen))
        return F.normalize(torch.cat(features), dim=-1)

    @torch.no_grad()
    def _text(self, prompt: str) -> Tensor:
        """(D,) unit features. CLIP's tokens come from open_clip, which carries its vocabulary; what
        fills up after the end token is never looked at."""
        length = int(self.clip.text_model.config.max_position_embeddings)
        tokens = SimpleTokenizer(context_length=length)([prompt]).to(self.device)
        read = self.clip.text_model(input_ids=tokens).pooler_output
        return F.normalize(self.clip.text_projection(read), dim=-1)[0]


def load_pick_score(folder: Path, device: torch.device | str = "cpu") -> PickScorer:
    """From the folder of a transformers CLIP model, such as yuvalkirstain/PickScore_v1's. Raises
    FormatError for anything else."""
    clip = load_folder(CLIPModel, folder, "clip", device)
    return PickScorer(clip=clip, model=f"CLIP {folder.name}", device=torch.device(device))
