"""Motion fidelity after MoTrans: the cosine of two videos' VideoMAE features.

Paper: MoTrans (2412.01343), section 4.1, Eq. 8: cos(f(reference), f(video)). It does not say which
feature f is. Here it is the mean over all tokens, through the final norm where the model has one:
what VideoMAE's own classifier sees.

Looks count as well as motion: a video that copies the reference scores highest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import VideoMAEForVideoClassification, VideoMAEModel

from ..backbones.files.folders import read_config
from .base import Metric, Subject
from .preprocessing import IMAGENET_MEAN, IMAGENET_STD, centre_square, normalised
from .transformers_folder import load_folder
from .videos import Video

METRICS = {
    "motion_fidelity_videomae": Metric(
        title="motion (VideoMAE)",
        meaning="VideoMAE sees the same action in the video and the reference",
        scale="-1..1",
        source="MoTrans, Eq. 8",
    ),
}


@dataclass(frozen=True, kw_only=True)
class VideoMAE:
    """encoder: frozen. norm: of the pooled feature, where the model was tuned with one. name: for
    the record."""

    encoder: VideoMAEModel
    norm: nn.Module | None
    name: str
    device: torch.device

    @torch.no_grad()
    def features(self, frames: Tensor) -> Tensor:
        """(D,) unit feature of a video (F, 3, H, W) in [-1, 1]; as many frames as the model takes,
        evenly spread, the same one twice in a video that has fewer."""
        config = self.encoder.config
        picked = torch.linspace(0, len(frames) - 1, config.num_frames).round().long()
        side = cast(int, config.image_size)
        pixels = normalised(centre_square(frames[picked], side), IMAGENET_MEAN, IMAGENET_STD)
        seen = self.encoder(pixel_values=pixels[None].to(self.device)).last_hidden_state
        pooled = seen.mean(dim=1)
        return F.normalize((self.norm(pooled) if self.norm else pooled)[0], dim=0).cpu()


@dataclass(frozen=True, kw_only=True)
class VideoMAEScorer:
    """reference: the reference's unit feature (D,)."""

    videomae: VideoMAE
    reference: Tensor

    @property
    def model(self) -> str:
        return f"VideoMAE {self.videomae.name}"

    def score(self, subject: Subject) -> dict[str, float]:
        feature = self.videomae.features(subject.video.frames)
        return {"motion_fidelity_videomae": float(feature @ self.reference)}


def videomae_scorer(videomae: VideoMAE, reference: Video) -> VideoMAEScorer:
    """A scorer against one reference."""
    return VideoMAEScorer(videomae=videomae, reference=videomae.features(reference.frames))


def load_videomae(folder: Path, device: torch.device | str = "cpu") -> VideoMAE:
    """From a transformers folder such as MCG-NJU/videomae-base's, tuned for classes or not. Raises
    FormatError for anything else."""
    architectures = read_config(folder).get("architectures") if folder.is_dir() else None
    norm = None
    if "VideoMAEForVideoClassification" in (architectures or []):
        classifier = load_folder(VideoMAEForVideoClassification, folder, "videomae", device)
        encoder, norm = classifier.videomae, classifier.fc_norm
    else:
        encoder = load_folder(VideoMAEModel, folder, "videomae", device)
    return VideoMAE(encoder=encoder, norm=norm, name=folder.name, device=torch.device(device))
