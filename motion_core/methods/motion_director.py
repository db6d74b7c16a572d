"""MotionDirector: a spatial LoRA learns how each video looks, so that a temporal LoRA need only
learn how it moves.

In: encoded clips. Out: a LoRA "temporal" and one LoRA "spatial.i" for each video i, shared by its
windows, or for all images together. Paper: Zhao et al., "MotionDirector", ECCV 2024 (arXiv
2310.08465), Sec. 3.
Reference: showlab/MotionDirector 0146a50, MotionDirector_train.py and configs/.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..backbones.base import Backbone
from ..settings import Settings, setting
from ..types import Batch, LatentClip
from .appearance import appearance_names, loras_of, material_of
from .base import Attached, LossTerm, Method
from .defaults import (
    ALPHA,
    FRESH_NOISE,
    Case,
    Material,
    MethodDefaults,
    Rates,
    Usual,
    tuned,
)
from .lora_settings import lora_alpha, lora_dropout, lora_rank
from .losses import Anchor, debiased_loss, mse, with_offset
from .parts import ParameterGroup, PlannedGroup, lora_plans, made
from .passes import appearance_then_motion
from .vmc import motion_vector_loss

ALL_CONFIGS = "all official configs"
LEARNING_RATE = 5e-4  # all official configs
WEIGHT_DECAY_ONE = 1e-2  # config_single_video.yaml
WEIGHT_DECAY_SEVERAL = 1e-4  # config_multi_videos.yaml, and both image configs
MOTION_LAYERS = {"all": "temporal", "queries_keys": "temporal_queries_keys"}


def official_steps(case: Case) -> int:
    """One video 150 steps, or 300 with more than 16 frames; several 100 each, from 300 to 1000; one
    image 300, several 1000. Videos and images together have the steps of both, as they take turns.
    """
    videos = steps_of_videos(case) if case.videos else 0
    images = 1000 if case.images > 1 else 300
    return videos + images * bool(case.images)


def steps_of_videos(case: Case) -> int:
    """See `official_steps`."""
    if case.videos > 1:
        return min(max(100 * case.videos, 300), 1000)
    return 150 if case.frames <= 16 else 300


STEPS = Usual(
    value=official_steps,
    source="README.md and all official configs",
    official="one video: 150, of 24 frames: 300; several: 300 to 500 (README.md), 3000 (config); "
    "one image: 300; several: 1000",
    reason="Of several videos, README and config differ by up to ten times: 100 each, from 300 to "
    "1000, are the README's for 3 to 5 of them. Videos and images together, which no config has, "
    "take turns, and have the steps of both.",
)


@dataclass(frozen=True, kw_only=True)
class MotionDirectorSettings(Settings):
    """Eq. 7 with its ablations, and the LoRAs."""

    # 32 makes the 9 M and 12 M parameters of Sec. 4.4.
    rank: int = lora_rank("the LoRAs", "official configs, lora_rank", main=True)
    alpha: float | None = lora_alpha()
    dropout: float = lora_dropout("official configs, lora_unet_dropout")
    loss: Literal["debiased", "plain", "cosine"] = setting(
        "debiased",
        source="Eq. 7",
        help="debiased (the paper's): compares how frames differ from one of them, which removes "
        "appearance from the motion. plain: the ablation. cosine (Follow-Your-Motion's): plain, "
        "and the direction in which neighbouring frames differ.",
    )
    beta: float = setting(
        1.0,
        low=0,
        widget_high=10,
        step=0.1,
        main=True,
        source="Sec. 3.3",
        help="Strength of the debiasing, 0 (off) and up; the paper uses 1. Higher values weight "
        "frame differences over content.",
    )
    anchor: Anchor = setting(
        "random",
        label="anchor frame",
        source="Sec. 3.3",
        help="The frame that debiasing subtracts: a random one in each step (the paper's), or "
        "the first.",
    )
    spatial_dropout_p: float = setting(
        0.2,
        low=0,
        high=1,
        step=0.05,
        main=True,
        label="chance of dropping the spatial LoRA",
        source="official code; not in the paper",
        help="Probability, 0 to 1, that a step on a video neither uses nor trains the LoRA for "
        "the clip's appearance. Higher values train the motion more often without known "
        "appearance; at 0 (the paper) difficult motions may not be learned.",
    )
    image_hflip_p: float = setting(
        0.5,
        low=0,
        high=1,
        step=0.05,
        label="chance of mirroring an image",
        source="official config_multi_images.yaml, random_hflip_img",
        help="Probability, 0 to 1, that an image (not a video) is mirrored in a step.",
    )
    motion_layers: Literal["all", "queries_keys"] = setting(
        "all",
        later=True,
        label="layers of the motion LoRA",
        source="Sec. 3.2",
        help="all (the paper's): temporal attention and its feed-forward. queries_keys (SMA's): "
        "the LoRA only changes which frames attend to which, so that it has less room for looks.",
    )
    offset_noise: float = setting(
        0.0,
        later=True,
        low=0,
        widget_high=10,
        step=0.1,
        source="not in the paper; 1 in JointTuner",
        help="Standard deviation of JointTuner's offset, 0 (none) and up, 1 in its paper: the "
        "same random number for all frames is added to each position of the prediction, which "
        "hides what frames have in common.",
    )


class MotionDirector(Method[MotionDirectorSettings]):
    """A step has two losses, of the same noisy latents, where ε is what the base predicts:

    L_spatial = mean (ε̂_i - ε_i)², of one frame i (Eq. 4), trains the video's spatial LoRA;
    L_temporal = mean (ε̂ - ε)² + mean (φ(ε̂) - φ(ε))² (Eq. 7), of all frames, the temporal one,
    with φ(ε_i) = √(β² + 1)·ε_i - β·ε_anchor (Eq. 5), which takes away what the frames share.

    Of later papers, as switches: the temporal LoRA on W_q and W_k alone (SMA's temporal attention
    purification: Liu et al., "Separate Motion from Appearance", arXiv 2501.16714); ε̂ + s·η in ε̂'s
    place, see `with_offset`; and L_temporal = mean (ε̂ - ε)² + mean (1 - cos(|δε̂|, |δε|)), with
    δε_n = ε_{n+1} - ε_n along the frames of each latent cell (Ma et al., "Follow-Your-Motion",
    arXiv 2506.05207; of it abstract and code were read: maohanw6-afk/Follow-Your-Motion- 15ad87c,
    examples/wanvideo/EffiVMT_train_wan_t2v_Head.py).
    """

    name = "motion_director"
    title = "MotionDirector"
    summary = (
        "two LoRAs, one for the motion and one for the clip's appearance, which is left out when "
        "the motion is applied"
    )
    Settings = MotionDirectorSettings
    defaults: ClassVar = {
        "": MethodDefaults(
            settings={"alpha": ALPHA},
            train={"steps": STEPS},
            sample={
                "noise_prior": Usual(
                    value=lambda case: 0.5 if (case.videos, case.images) == (1, 0) else 0.0,
                    source="config_single_video.yaml, config_multi_videos.yaml and both image "
                    "configs, validation_data",
                )
            },
        ),
        "shape-world": MethodDefaults(
            settings={
                **tuned(
                    "LoRAs are nearly as wide as a small base's layers: dropout only costs time.",
                    dropout=0.0,
                ),
                **tuned("Tuned for the small bases.", spatial_dropout_p=0.05),
            },
            sample=FRESH_NOISE,
        ),
    }

    def rates(self, material: Material) -> Rates:
        """The decay is that of the official config for one video, or for more and for images."""
        one = (material.videos, material.images) == (1, 0)
        decay = WEIGHT_DECAY_ONE if one else WEIGHT_DECAY_SEVERAL
        return Rates(LEARNING_RATE, decay, ALL_CONFIGS, ALL_CONFIGS)

    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        """A spatial LoRA for each appearance and, unless there are images alone, a temporal one.

        Raises ClipError without clips.
        """
        settings, scopes = self.settings, loras_of(clips)
        rate, decay, *_ = self.rates(material_of(clips))
        plans = lora_plans(
            backbone,
            scopes,
            rank=settings.rank,
            alpha=settings.alpha,
            dropout=settings.dropout,
            temporal=MOTION_LAYERS[settings.motion_layers],
        )
        return {
            name: PlannedGroup(parts={name: plan}, learning_rate=rate, weight_decay=decay)
            for name, plan in plans.items()
        }

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[Attached]:
        """See `Method`."""
        with made(self.groups(backbone, clips), backbone, rng) as groups:
            passes = _Passes(self.settings, backbone, groups, appearance_names(clips))
            yield Attached(groups=groups, passes=passes)


@dataclass(frozen=True)
class _Passes:
    """spatial_names: each clip's spatial LoRA."""

    settings: MotionDirectorSettings
    backbone: Backbone
    groups: Mapping[str, ParameterGroup]
    spatial_names: Sequence[str]

    def __call__(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """See `appearance_then_motion`; images are mirrored at random."""
        if batch.latents.shape[2] == 1:
            batch = replace(batch, latents=self._mirrored(batch.latents, rng))
        yield from appearance_then_motion(
            self.backbone,
            self.groups,
            batch,
            rng,
            spatial=self.spatial_names[batch.clip_index],
            dropout_p=self.settings.spatial_dropout_p,
            loss=lambda pred, target: self._temporal_loss(pred, target, rng),
        )

    def _temporal_loss(self, pred: Tensor, target: Tensor, rng: torch.Generator) -> Tensor:
        """Eq. 7, or Eq. 1 alone or with VMC's cosine distance, which Follow-Your-Motion adds."""
        settings = self.settings
        if settings.offset_noise:
            pred = with_offset(pred, settings.offset_noise, rng)
        if settings.loss == "plain":
            return mse(pred, target)
        if settings.loss == "cosine":
            return mse(pred, target) + motion_vector_loss(pred, target, "cosine_abs")
        return debiased_loss(pred, target, rng, anchor=settings.anchor, beta=settings.beta)

    def _mirrored(self, latents: Tensor, rng: torch.Generator) -> Tensor:
        """Each image flipped left to right or not.

        Deviation: the official code flips the pixels and encodes again in every step. Here the
        clips are encoded once and the VAE has left the accelerator by now, so the latents are
        flipped: what they decode to is the mirrored image but for the VAE's own small asymmetry,
        and the LoRA is there to learn looks, not the VAE's last detail.
        """
        flip = torch.rand(len(latents), generator=rng) < self.settings.image_hflip_p
        return torch.where(
            flip.to(latents.device, non_blocking=True).view(-1, 1, 1, 1, 1),
            latents.flip(-1),
            latents,
        )
