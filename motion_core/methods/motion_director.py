"""MotionDirector: a spatial LoRA learns how each video looks, so that a temporal LoRA need only
learn how it moves.

In: encoded clips. Out: a LoRA "temporal" and one LoRA "spatial.i" for each video i, shared by its
windows, or for all images together. Paper: Zhao et al., "MotionDirector", ECCV 2024 (arXiv
2310.08465), Sec. 3.
Reference: showlab/MotionDirector 0146a50, MotionDirector_train.py and configs/.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..adapters.base import Adapter
from ..adapters.lora.training import TrainableLora, active_loras, trainable_lora
from ..backbones.base import Backbone
from ..backbones.frozen import frozen_parameters
from ..errors import ClipError
from ..settings import Settings, setting
from ..types import Batch, LatentClip
from .base import LossTerm, ParameterGroup
from .lora_settings import lora_alpha, lora_dropout, lora_rank
from .losses import Anchor, debiased_mse, draw_anchors, frames_at, mse
from .noised import noised

LEARNING_RATE = 5e-4  # all official configs
WEIGHT_DECAY_ONE = 1e-2  # config_single_video.yaml
WEIGHT_DECAY_SEVERAL = 1e-4  # config_multi_videos.yaml, and both image configs
TEMPORAL = "temporal"


@dataclass(frozen=True, kw_only=True)
class MotionDirectorSettings(Settings):
    """Eq. 7 with its ablations, and the LoRAs."""

    # 32 makes the 9 M and 12 M parameters of Sec. 4.4.
    rank: int = lora_rank("the LoRAs", "official configs, lora_rank", main=True)
    alpha: float | None = lora_alpha()
    dropout: float = lora_dropout("official configs, lora_unet_dropout")
    loss: Literal["debiased", "plain"] = setting(
        "debiased",
        source="Eq. 7",
        help="debiased (the paper's): compares how frames differ from one of them, which removes "
        "appearance from the motion. plain: the ablation.",
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


class MotionDirector:
    """The method, configured; see `Method`."""

    name = "motion_director"
    title = "MotionDirector"
    summary = (
        "two LoRAs, one for the motion and one for the clip's appearance, which is left out when "
        "the motion is applied"
    )
    Settings = MotionDirectorSettings

    def __init__(self, settings: MotionDirectorSettings | None = None) -> None:
        self.settings = settings or MotionDirectorSettings()

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[AttachedMotionDirector]:
        """Puts a temporal LoRA and the videos' spatial LoRAs into the network, all switched off
        outside of the passes.

        With images alone there is no temporal LoRA. Raises ClipError without clips.
        """
        spatial_names = spatial_lora_names(clips)
        sites = {name: backbone.sites("spatial") for name in dict.fromkeys(spatial_names)}
        if not all(clip.is_image for clip in clips):
            sites[TEMPORAL] = backbone.sites("temporal")
        settings = self.settings
        with ExitStack() as stack:
            loras = {
                name: stack.enter_context(
                    trainable_lora(
                        backbone.network,
                        name,
                        linears,
                        rank=settings.rank,
                        alpha=settings.alpha or settings.rank,
                        dropout=settings.dropout,
                        rng=rng,
                    )
                )
                for name, linears in sites.items()
            }
            stack.enter_context(active_loras(backbone.network, ()))
            several = len(set(spatial_names)) > 1 or clips[0].is_image
            decay = WEIGHT_DECAY_SEVERAL if several else WEIGHT_DECAY_ONE
            yield AttachedMotionDirector(backbone, loras, spatial_names, settings, decay)


class AttachedMotionDirector:
    """The LoRAs in the model and the passes that train them; see `Attached`."""

    def __init__(
        self,
        backbone: Backbone,
        loras: Mapping[str, TrainableLora],
        spatial_names: Sequence[str],
        settings: MotionDirectorSettings,
        weight_decay: float,
    ) -> None:
        self._backbone, self._settings = backbone, settings
        self._loras, self._spatial_names = loras, spatial_names
        self.groups: Mapping[str, ParameterGroup] = {
            name: ParameterGroup(
                parameters=lora.parameters,
                learning_rate=LEARNING_RATE,
                weight_decay=weight_decay,
            )
            for name, lora in loras.items()
        }

    def adapters(self) -> dict[str, Adapter]:
        """Copies of the LoRAs on the CPU, by group name."""
        family = self._backbone.family
        return {
            name: lora.export(TEMPORAL if name == TEMPORAL else "spatial", family)
            for name, lora in self._loras.items()
        }

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """The spatial pass on one frame, then the temporal pass on all, of the same noisy latents;
        see `Attached`.

        Deviation: the official code runs both forwards before either backward; here the spatial
        graph is freed first.
        """
        settings, is_image = self._settings, batch.latents.shape[2] == 1
        spatial = self._spatial_names[batch.clip_index]
        latents = self._mirrored(batch.latents, rng) if is_image else batch.latents
        noisy, timesteps, target = noised(
            self._backbone, latents, rng, min_timestep=batch.min_timestep
        )
        without_spatial = not is_image and _chance(settings.spatial_dropout_p, rng)
        if not without_spatial:
            with self._training(spatial, active=(spatial,)):
                frames = torch.randint(latents.shape[2], (len(latents),), generator=rng)
                frame = frames_at(noisy, frames)
                pred = self._backbone.predict(frame, timesteps, batch.prompt_embeds)
                yield LossTerm("spatial", mse(pred, frames_at(target, frames)), spatial)
        if not is_image:
            active = (TEMPORAL,) if without_spatial else (spatial, TEMPORAL)
            with self._training(TEMPORAL, active=active):
                pred = self._backbone.predict(noisy, timesteps, batch.prompt_embeds)
                yield LossTerm(TEMPORAL, self._temporal_loss(pred, target, rng), TEMPORAL)

    def _temporal_loss(self, pred: Tensor, target: Tensor, rng: torch.Generator) -> Tensor:
        """Eq. 7: MSE plus the debiased MSE, with one anchor frame a video."""
        settings = self._settings
        if settings.loss == "plain":
            return mse(pred, target)
        anchors = draw_anchors(pred.shape, settings.anchor, rng)
        return mse(pred, target) + debiased_mse(pred, target, anchors, settings.beta)

    def _mirrored(self, latents: Tensor, rng: torch.Generator) -> Tensor:
        """Each image flipped left to right or not.

        Deviation: the official code flips the pixels and encodes again in every step. Here the
        clips are encoded once and the VAE has left the accelerator by now, so the latents are
        flipped: what they decode to is the mirrored image but for the VAE's own small asymmetry,
        and the LoRA is there to learn looks, not the VAE's last detail.
        """
        flip = torch.rand(len(latents), generator=rng) < self._settings.image_hflip_p
        return torch.where(flip.to(latents.device).view(-1, 1, 1, 1, 1), latents.flip(-1), latents)

    @contextmanager
    def _training(self, group: str, active: Sequence[str]) -> Iterator[None]:
        """These LoRAs take part in the forward; only the group's gets gradients, the others are
        frozen.
        """
        others = [
            parameter
            for name, lora in self._loras.items()
            if name != group
            for parameter in lora.parameters
        ]
        with active_loras(self._backbone.network, active), frozen_parameters(others):
            yield


def spatial_lora_names(clips: Sequence[LatentClip]) -> list[str]:
    """Each clip's spatial LoRA: the windows of a video share one, and so do all images.

    Images of one run are pictures of one subject, and make one appearance
    (config_multi_images.yaml, single_spatial_lora).
    """
    if not clips:
        raise ClipError("No clips to train on. Add at least one clip or image.")
    looks = [
        "images" if clip.is_image else ("video", clip.video or index)
        for index, clip in enumerate(clips)
    ]
    numbers = {look: number for number, look in enumerate(dict.fromkeys(looks))}
    return [f"spatial.{numbers[look]}" for look in looks]


def _chance(probability: float, rng: torch.Generator) -> bool:
    return bool(torch.rand((), generator=rng) < probability)
