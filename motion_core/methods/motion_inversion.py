"""Motion Inversion: the base stays as it is, and embeddings in its temporal attention learn how a
video moves.

In: the clips of one size and length. Out: a motion embedding "temporal", and with the hybrid loss a
LoRA "spatial.i" for each video i. Paper: Wang et al., "Motion Inversion for Video Customization",
SIGGRAPH 2025 (arXiv 2403.20193), Sec. 3.2.
Reference: EnVision-Research/MotionInversion 31ed7fb, train.py, loss/ and configs/config.yaml.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ..adapters.base import Adapter
from ..adapters.embedding.adapter import Debias
from ..adapters.embedding.sites import EmbeddingSite, Position, embedding_sites
from ..adapters.embedding.training import Design, TrainableEmbedding, zero_embedding
from ..adapters.lora.training import TrainableLora, active_loras, trainable_lora
from ..backbones.base import Backbone
from ..backbones.frozen import frozen_parameters
from ..errors import ClipError, SettingsError
from ..settings import Settings, require, setting
from ..types import Batch, LatentClip
from .base import LossTerm, ParameterGroup
from .lora_settings import lora_dropout, lora_rank
from .losses import debiased_mse, draw_anchors, frames_at, mse
from .motion_director import spatial_lora_names
from .noised import Noised, noised

LEARNING_RATE = 0.02  # configs/config.yaml, learning_rate
SPATIAL_LEARNING_RATE = 5e-4  # configs/config.yaml, learning_rate_spatial
WEIGHT_DECAY = 1e-2  # AdamW's own, which the official code leaves as it is
BETA = 1.0  # loss/debiased_temporal_loss.py
TEMPORAL = "temporal"

Loss = Literal["base", "debiased_temporal", "debiased_hybrid"]


@dataclass(frozen=True, kw_only=True)
class MotionInversionSettings(Settings):
    """Which temporal layers get an embedding, its form, and its losses.

    All layers of a network with 64 and 96 channels: channels (64, 96), positions ("down", "up",
    "mid", "in").
    """

    channels: tuple[int, ...] = setting(
        (),
        low=1,
        source="configs/config.yaml, combinations: 1280 on ZeroScope and AnimateDiff",
        help="Widths of the temporal layers that get an embedding, separated by commas, such as "
        "1280, 640; if empty, the widest. More layers capture finer motion.",
    )
    positions: tuple[Position, ...] = setting(
        ("down", "up"),
        source="configs/config.yaml, combinations",
        help="Positions in the network, separated by commas: down, up, mid, in (ZeroScope's "
        "first temporal layer). The paper uses down, up.",
    )
    qk: Design = setting(
        "1d",
        label="query and key embedding",
        source="Eq. 2",
        help="Whether queries and keys use one embedding for all positions in the picture (1d, "
        "the paper's) or one per position (2d, which leaks shapes).",
    )
    v: Design = setting(
        "2d",
        label="value embedding",
        source="Eq. 2",
        help="The same for values: one per position (2d, the paper's) or one for all (1d).",
    )
    loss: Loss = setting(
        "base",
        main=True,
        source="Eq. 4; configs/config.yaml, loss",
        help="base: the paper's. debiased_temporal: for large deformations. debiased_hybrid: for "
        "camera motion, with an additional appearance LoRA, at twice the cost.",
    )
    debias: Debias = setting(
        "difference",
        main=True,
        label="debiasing",
        source="Eq. 5",
        help="Which part of the embedding is applied: difference (between frames, for object "
        "motion), drop_value (for camera motion), normalise or none (ablations that leak "
        "appearance).",
    )
    rank: int = lora_rank("the hybrid loss's appearance LoRA", "utils/func_utils.py, lora_rank")
    dropout: float = lora_dropout("utils/func_utils.py, lora_unet_dropout")
    spatial_dropout_p: float = setting(
        0.2,
        low=0,
        high=1,
        step=0.05,
        label="chance of dropping the spatial LoRA",
        source="loss/debiased_hybrid_loss.py, mask_spatial_lora",
        help="For the hybrid loss: probability, 0 to 1, that a step does not use the appearance "
        "LoRA.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = ", ".join(get_args(Position))
        require(bool(self.positions), "positions", self.positions, f"one or more of {known}")


class MotionInversion:
    """The method, configured; see `Method`."""

    name = "motion_inversion"
    title = "Motion Inversion"
    summary = "trains an embedding of the motion and leaves all weights unchanged"
    Settings = MotionInversionSettings

    def __init__(self, settings: MotionInversionSettings | None = None) -> None:
        self.settings = settings or MotionInversionSettings()

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[AttachedMotionInversion]:
        """Makes the embedding and, for the hybrid loss, the videos' spatial LoRAs; neither acts
        outside of the passes.

        Raises ClipError without clips, with an image, or with clips of several sizes or lengths;
        SettingsError if there is no temporal transformer at the chosen sites.
        """
        settings, network = self.settings, backbone.network
        spatial_names = spatial_lora_names(clips)
        _check_clips(clips)
        embedding = zero_embedding(
            chosen_sites(network, settings.channels, settings.positions),
            clips[0].latents.shape,
            settings.qk,
            settings.v,
            next(network.parameters()).device,
        )
        if settings.loss != "debiased_hybrid":
            yield AttachedMotionInversion(backbone, embedding, {}, [], settings)
            return
        with ExitStack() as stack:
            loras = {
                name: stack.enter_context(
                    trainable_lora(
                        network,
                        name,
                        backbone.sites("spatial"),
                        rank=settings.rank,
                        alpha=settings.rank,
                        dropout=settings.dropout,
                        rng=rng,
                    )
                )
                for name in dict.fromkeys(spatial_names)
            }
            stack.enter_context(active_loras(network, ()))
            yield AttachedMotionInversion(backbone, embedding, loras, spatial_names, settings)


class AttachedMotionInversion:
    """The embedding, the LoRAs in the model, and the passes that train them; see `Attached`."""

    def __init__(
        self,
        backbone: Backbone,
        embedding: TrainableEmbedding,
        loras: Mapping[str, TrainableLora],
        spatial_names: Sequence[str],
        settings: MotionInversionSettings,
    ) -> None:
        self._backbone, self._settings = backbone, settings
        self._embedding, self._loras, self._spatial_names = embedding, loras, spatial_names
        groups = {TEMPORAL: (embedding.parameters, LEARNING_RATE)}
        groups |= {name: (lora.parameters, SPATIAL_LEARNING_RATE) for name, lora in loras.items()}
        self.groups: Mapping[str, ParameterGroup] = {
            name: ParameterGroup(
                parameters=parameters, learning_rate=rate, weight_decay=WEIGHT_DECAY
            )
            for name, (parameters, rate) in groups.items()
        }

    def adapters(self) -> dict[str, Adapter]:
        """Copies of the embedding and the LoRAs on the CPU, by group name."""
        family = self._backbone.family
        loras = {name: lora.export("spatial", family) for name, lora in self._loras.items()}
        return {TEMPORAL: self._embedding.export(family, self._settings.debias), **loras}

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """With the hybrid loss, the spatial pass on one frame; then the pass on all frames, with
        the embedding. Both are of the same noisy latents; see `Attached`.

        Deviation: the official hybrid loss never trains its LoRA (config.yaml calls it
        DebiasedHybridLoss, and utils/func_utils.py asks for DebiasedHybrid), and steps the spatial
        optimiser before the temporal backward. Here it is MotionDirector's two passes, with the
        embedding in the temporal LoRA's place.
        """
        drawn = noised(self._backbone, batch.latents, rng, min_timestep=batch.min_timestep)
        spatial = self._spatial_names[batch.clip_index] if self._loras else None
        if spatial and torch.rand((), generator=rng) < self._settings.spatial_dropout_p:
            spatial = None
        if spatial:
            yield from self._spatial_pass(spatial, drawn, batch.prompt_embeds, rng)
        network, active = self._backbone.network, [spatial] if spatial else []
        with (
            self._embedding.active(network),
            active_loras(network, active),
            frozen_parameters(self._others(TEMPORAL)),
        ):
            pred = self._backbone.predict(drawn.latents, drawn.timesteps, batch.prompt_embeds)
            yield LossTerm(TEMPORAL, self._temporal_loss(pred, drawn.target, rng), TEMPORAL)

    def _spatial_pass(
        self, name: str, drawn: Noised, prompt_embeds: Tensor, rng: torch.Generator
    ) -> Generator[LossTerm, None, None]:
        """One frame of each draw, without temporal modules: MotionDirector Eq. 4."""
        frames = torch.randint(drawn.latents.shape[2], (len(drawn.latents),), generator=rng)
        with (
            active_loras(self._backbone.network, [name]),
            frozen_parameters(self._others(name)),
        ):
            frame = frames_at(drawn.latents, frames)
            pred = self._backbone.predict(frame, drawn.timesteps, prompt_embeds)
            yield LossTerm("spatial", mse(pred, frames_at(drawn.target, frames)), name)

    def _temporal_loss(self, pred: Tensor, target: Tensor, rng: torch.Generator) -> Tensor:
        """Eq. 4, or with debiasing MotionDirector's Eq. 7, one anchor frame a video."""
        if self._settings.loss == "base":
            return mse(pred, target)
        anchors = draw_anchors(pred.shape, "random", rng)
        return mse(pred, target) + debiased_mse(pred, target, anchors, BETA)

    def _others(self, group: str) -> list[nn.Parameter]:
        """The parameters that this group's pass leaves alone."""
        others = [g.parameters for name, g in self.groups.items() if name != group]
        return [parameter for parameters in others for parameter in parameters]


def chosen_sites(
    network: nn.Module, channels: Sequence[int], positions: Sequence[Position]
) -> list[EmbeddingSite]:
    """The blocks of these widths (or of the widest) at these positions; raises SettingsError if
    there is none, or a width that no block has.

    On ZeroScope, 1280 in down and up blocks are the paper's five blocks, in `down_blocks.2` and
    `up_blocks.1`. AnimateDiff, of which the official code has none, also has motion modules in the
    coarsest blocks, `down_blocks.3` and `up_blocks.0`: ten blocks, by the same rule.
    """
    placed = [site for site in embedding_sites(network) if site.position in positions]
    widths = {site.channels for site in placed}
    missing = set(channels) - widths
    if missing or not placed:
        raise SettingsError(
            f"No temporal transformer at the positions {', '.join(positions)} has "
            f"{', '.join(map(str, sorted(missing))) or 'any'} channels. This base has "
            f"{_listed(embedding_sites(network))}. Change channels or positions."
        )
    chosen = channels or (max(widths),)
    return [site for site in placed if site.channels in chosen]


def _listed(sites: Sequence[EmbeddingSite]) -> str:
    found = {f"{site.position} {site.channels}": None for site in sites}
    return ", ".join(found) or "none"


def _check_clips(clips: Sequence[LatentClip]) -> None:
    for clip in clips:
        if clip.is_image:
            raise ClipError(
                f"{clip.source} is an image; Motion Inversion only trains on videos. Leave it "
                "out, or train its appearance with MotionDirector."
            )
    shapes = {tuple(clip.latents.shape[2:]) for clip in clips}
    if len(shapes) > 1:
        listed = ", ".join(f"{8 * w}x{8 * h} with {frames} frames" for frames, h, w in shapes)
        raise ClipError(
            f"Motion Inversion's embedding has one size and length, but the clips are {listed}. "
            "Cut them all to the same width, height and number of frames."
        )
