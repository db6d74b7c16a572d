"""Motion Inversion: the base stays as it is, and embeddings in its temporal attention learn how a
video moves.

In: the clips of one size and length. Out: a motion embedding "temporal", and with the hybrid loss a
LoRA "spatial.i" for each video i. Paper: Wang et al., "Motion Inversion for Video Customization",
SIGGRAPH 2025 (arXiv 2403.20193), Sec. 3.2.
Reference: EnVision-Research/MotionInversion 31ed7fb, train.py, loss/ and configs/config.yaml.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from ..adapters.base import Scope
from ..adapters.embedding.debias import Debias
from ..adapters.embedding.sites import EmbeddingSite, Position, embedding_sites
from ..adapters.embedding.training import Design, EmbeddingPlan, ValueDesign
from ..backbones.base import Backbone
from ..errors import ClipError, SettingsError
from ..settings import Settings, require, setting
from ..types import Batch, LatentClip
from .appearance import appearance_names
from .base import Attached, LossTerm, Method, check_videos
from .defaults import (
    FRESH_NOISE,
    Material,
    MethodDefaults,
    Rates,
    Usual,
    at_animatediffs_size,
    sized,
    tuned,
)
from .lora_settings import lora_dropout, lora_rank
from .losses import debiased_loss, mse
from .parts import ParameterGroup, PlannedGroup, lora_plans, made
from .passes import appearance_then_motion
from .vmc import motion_vector_loss

CONFIG = "configs/config.yaml"
LEARNING_RATE = 0.02  # configs/config.yaml, learning_rate
SPATIAL_LEARNING_RATE = 5e-4  # configs/config.yaml, learning_rate_spatial
WEIGHT_DECAY = 1e-2  # AdamW's own, which the official code leaves as it is
BETA = 1.0  # loss/debiased_temporal_loss.py
TEMPORAL = "temporal"

Loss = Literal["base", "debiased_temporal", "debiased_hybrid", "motion_distillation"]


@dataclass(frozen=True, kw_only=True)
class MotionInversionSettings(Settings):
    """Which temporal layers get an embedding, its form, and its losses.

    All layers of a network with 64 and 96 channels: channels (64, 96), positions ("down", "up",
    "mid", "in").
    """

    channels: tuple[int, ...] = setting(
        (),
        low=1,
        widget_none="widest",
        source="configs/config.yaml, combinations: 1280 on ZeroScope and AnimateDiff",
        help="Widths of the temporal layers that get an embedding, such as 1280, 640. If none are "
        "given (on the node: widest), the widest get one. More layers capture finer motion.",
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
    v: ValueDesign = setting(
        "2d",
        label="value embedding",
        source="Eq. 2",
        help="The same for values: one per position (2d, the paper's), one for all (1d) or none: "
        "queries and keys are trained alone.",
    )
    loss: Loss = setting(
        "base",
        main=True,
        source="Eq. 4; configs/config.yaml, loss",
        help="base: the paper's. debiased_temporal: for large deformations. debiased_hybrid: for "
        "camera motion, with an additional appearance LoRA, at twice the cost. "
        "motion_distillation: VMC's, which compares how frames change.",
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
    spatial_learning_rate: float | None = setting(
        None,
        later=True,
        above=0,
        widget_high=1,
        step=1e-6,
        none="trains it at the training's learning rate, as version 0.1.0 did",
        label="appearance learning rate",
        source="configs/config.yaml, learning_rate_spatial",
        help="Learning rate of the hybrid loss's appearance LoRA.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = ", ".join(get_args(Position))
        require(bool(self.positions), "positions", self.positions, f"one or more of {known}")


class MotionInversion(Method[MotionInversionSettings]):
    """L = mean (ε̂ - ε)² (Eq. 4) trains the embedding, which adds m_QK to what queries and keys, and
    m_V to what values, are made of in temporal attention (Eq. 3); without m_V only the first, for
    the motion of all of the picture, as of a camera (Sec. 3.3). With debiasing L is
    MotionDirector's Eq. 7, and with the hybrid its Eq. 4 trains a spatial LoRA beside. With motion
    distillation (Sec. 3.2, "also supports") it is VMC's: mean (1 - cos(|δε̂|, |δε|)), with
    δε_n = ε_{n+1} - ε_n, along the frames of each latent cell.
    """

    name = "motion_inversion"
    title = "Motion Inversion"
    summary = "trains an embedding of the motion and leaves all weights unchanged"
    Settings = MotionInversionSettings
    defaults: ClassVar = {
        "": MethodDefaults(
            settings={
                "spatial_learning_rate": Usual(
                    value=SPATIAL_LEARNING_RATE, source=f"{CONFIG}, learning_rate_spatial"
                )
            },
            train={"steps": Usual(value=400, source=f"{CONFIG}, max_train_steps")},
            sample={"noise_prior": Usual(value=0.5, source="inference.py, always")},
        ),
        "zeroscope": MethodDefaults(
            clip=sized(f"{CONFIG}, dataset", width=576, height=320, frames=24)
        ),
        "animatediff": MethodDefaults(
            clip=at_animatediffs_size(f"{CONFIG}, dataset", width=576, height=320, frames=24)
        ),
        "shape-world": MethodDefaults(
            settings={
                **tuned("Every level, as a small base's embeddings are small.", channels=(64, 96)),
                **tuned(
                    "Differences of neighbouring frames lose where an object is, which 16 frames "
                    "of 8x8 latents cannot tell otherwise: docs/results.md has both.",
                    debias="none",
                ),
                **tuned("The small base's rate for LoRAs.", spatial_learning_rate=5e-3),
            },
            train={
                **tuned("Small embeddings bear the paper's rate.", learning_rate=0.02),
                **tuned("Tuned for the small bases.", steps=350),
            },
            sample=FRESH_NOISE,
        ),
        "shape-world-zeroscope": MethodDefaults(
            settings=tuned(
                "Every level, as a small base's embeddings are small.",
                positions=("down", "up", "mid", "in"),
            )
        ),
    }

    def rates(self, material: Material) -> Rates:
        """The embedding's; the hybrid loss's LoRA has a setting of its own."""
        decay = "AdamW's own, which the official code leaves as it is"
        return Rates(LEARNING_RATE, WEIGHT_DECAY, f"{CONFIG}, learning_rate", decay)

    def written_out(self, learning_rate: float | None) -> dict[str, object]:
        """See `Method`."""
        values = super().written_out(learning_rate)
        if values["spatial_learning_rate"] is None:
            own = SPATIAL_LEARNING_RATE if learning_rate is None else learning_rate
            values["spatial_learning_rate"] = own
        return values

    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        """The embedding and, for the hybrid loss, a spatial LoRA for each video.

        Raises ClipError without clips, with an image, or with clips of several sizes or lengths;
        SettingsError if there is no temporal transformer at the chosen sites.
        """
        settings = self.settings
        _check_clips(clips)
        embedding = EmbeddingPlan(
            sites=chosen_sites(backbone.network, settings.channels, settings.positions),
            latents_shape=clips[0].latents.shape,
            qk=settings.qk,
            v=settings.v,
            debias=settings.debias,
        )
        groups = {
            TEMPORAL: PlannedGroup(
                parts={TEMPORAL: embedding}, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY
            )
        }
        return groups | self._appearance_groups(backbone, clips)

    def _appearance_groups(
        self, backbone: Backbone, clips: Sequence[LatentClip]
    ) -> dict[str, PlannedGroup]:
        """The hybrid loss's spatial LoRAs, at their own learning rate if they have one."""
        settings = self.settings
        if settings.loss != "debiased_hybrid":
            return {}
        spatial: dict[str, Scope] = dict.fromkeys(appearance_names(clips), "spatial")
        loras = lora_plans(backbone, spatial, rank=settings.rank, dropout=settings.dropout)
        rate = settings.spatial_learning_rate
        return {
            name: PlannedGroup(
                parts={name: plan},
                learning_rate=SPATIAL_LEARNING_RATE if rate is None else rate,
                weight_decay=WEIGHT_DECAY,
                keeps_rate=rate is not None,
            )
            for name, plan in loras.items()
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
    """spatial_names: each clip's spatial LoRA, if there are any."""

    settings: MotionInversionSettings
    backbone: Backbone
    groups: Mapping[str, ParameterGroup]
    spatial_names: Sequence[str]

    def __call__(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """See `appearance_then_motion`, with the embedding in the temporal LoRA's place; without
        the hybrid loss there is no spatial pass.

        Deviation: the official hybrid loss never trains its LoRA (config.yaml calls it
        DebiasedHybridLoss, and utils/func_utils.py asks for DebiasedHybrid), and steps the spatial
        optimiser before the temporal backward. Here it is MotionDirector's two passes.
        """
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
        """Eq. 4, or with debiasing MotionDirector's Eq. 7, or VMC's.

        Deviation: loss/motion_distillation_loss.py names the mean of the cosines without calling
        it, and so cannot run; here it is called.
        """
        if self.settings.loss == "base":
            return mse(pred, target)
        if self.settings.loss == "motion_distillation":
            return motion_vector_loss(pred, target, "cosine_abs")
        return debiased_loss(pred, target, rng, anchor="random", beta=BETA)


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
    check_videos(
        clips,
        "Motion Inversion only trains on videos. Leave it out, or train its appearance with "
        "MotionDirector.",
    )
    shapes = {tuple(clip.latents.shape[2:]) for clip in clips}
    if len(shapes) > 1:
        listed = ", ".join(f"{8 * w}x{8 * h} with {frames} frames" for frames, h, w in shapes)
        raise ClipError(
            f"Motion Inversion's embedding has one size and length, but the clips are {listed}. "
            "Cut them all to the same width, height and number of frames."
        )
