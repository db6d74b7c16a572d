"""MotionCrafter: the temporal modules are tuned on one clip, and held to the frozen base under
prompts of many looks, so that they take the motion and leave the appearance.

In: encoded clips. Out: a "temporal" adapter of full weights or a LoRA and, with v1's spatial path,
a "spatial" one. Papers: Zhang et al., "MotionCrafter", arXiv 2312.05288: v1 (One-Shot Motion
Customization), v2 (Plug-and-play Motion Guidance; the defaults). There is no public code.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..adapters.base import Scope
from ..adapters.lora.training import LoraPlan
from ..adapters.weights.training import WeightsPlan
from ..backbones.base import Backbone
from ..backbones.depth import Blocks
from ..backbones.sites import blocks_of
from ..diffusion.encoding import encode_prompts
from ..errors import ClipError
from ..settings import Settings, require, setting
from ..types import Batch, LatentClip
from .appearance import material_of, single_frame_term
from .base import Attached, LossTerm, Method
from .defaults import (
    Material,
    MethodDefaults,
    Rates,
    Usual,
    at_animatediffs_size,
    sized,
    tuned,
)
from .kl import KL_READINGS, KlReading
from .lora_settings import lora_rank
from .losses import mse
from .motion_phrase import motion_lines, motions_of
from .noisy_latents import draw_noisy_latents
from .parts import ParameterGroup, Plan, PlannedGroup, made, training
from .preservation import preserving
from .shared_prefix import SharedPrefix
from .templates import filled_templates, load_templates

logger = logging.getLogger(__name__)

TimestepBias = Literal["early", "literal", "uniform"]
Parametrisation = Literal["full", "lora"]

LEARNING_RATE = 2e-5  # v2, Sec. 4.1
# The papers name no optimiser. Decay would pull whole weights to 0, away from the base.
WEIGHT_DECAY = 0.0
LORA_LEARNING_RATE = 5e-4  # MotionDirector's, for LoRAs on the same layers
LORA_WEIGHT_DECAY = 1e-2
LIKELY_HALF = 0.8  # v2, Sec. 3.2.3
TEMPORAL: Scope = "temporal"
SPATIAL: Scope = "spatial"
SCOPES: tuple[Scope, ...] = (TEMPORAL, SPATIAL)


@dataclass(frozen=True, kw_only=True)
class MotionCrafterSettings(Settings):
    """Both versions of the paper; the defaults are v2's."""

    beta: float = setting(
        5.0,
        low=0,
        widget_high=100,
        step=0.01,
        main=True,
        source="v2, Sec. 3.2.1",
        help="Weight of the appearance loss, 0 and up; the paper uses 5. Higher values keep the "
        "appearance closer to the base, but limit the motion too (20 blurs); lower values copy "
        "shapes (1 is rigid).",
    )
    kl: KlReading = setting(
        "gaussian_mse",
        label="divergence",
        source="not given in the papers",
        reason="Equal-variance Gaussians make it the mean squared difference, as of DDPM's loss.",
        help="How the divergence between the trained and the frozen network is measured; the "
        "paper does not specify it.",
    )
    # Deep on ZeroScope: down 2 and 3, mid, up 0 and 1.
    blocks: Blocks = setting(
        "deep",
        main=True,
        source="v2, Sec. 3.2.3; all in v1, Sec. 3.1",
        help="Which temporal modules are trained: those in the coarse half of the network (v2 of "
        "the paper, smaller and cheaper) or all (v1).",
    )
    # Deviation where it is "lora": the papers tune the modules themselves.
    parametrisation: Parametrisation = setting(
        "full",
        main=True,
        source="Sec. 3.1",
        help="full: full weights, as in the paper; a large file. lora: a small file that other "
        "programs can load; differs from the paper.",
    )
    rank: int = lora_rank("the LoRA, if parametrisation is lora", "MotionDirector's", main=True)
    timestep_bias: TimestepBias = setting(
        "early",
        source="v2, Sec. 3.2.3",
        help="Which half of the noise levels is trained in 8 of 10 steps: early (high noise, "
        "where motion is decided), literal (the paper's wording), or uniform.",
    )
    templates: str = setting(
        "everyday",
        label="appearance templates",
        source="v2, Sec. 3.2.2, shows one and ships none",
        help='Prompts that give the motion other appearances: "everyday", "shapes" (for the '
        "sample base), or the path of a text file with one prompt per line and {} in place of "
        "the motion.",
    )
    motion: str | None = setting(
        None,
        main=True,
        lines=True,
        widget_none="",
        none="puts the clip's whole prompt there, as version 0.1.0 did",
        help="The motion alone, for the templates, such as 'riding a bicycle': one line for all "
        "clips, or one for each prompt. It is found by the prompt's verb; check it.",
    )
    separate_reference_prompt: bool = setting(
        False,
        source="v2, Fig. 2: both losses under the template",
        help="Computes the motion loss with the clip's own prompt in a separate pass: each step "
        "takes half as long again.",
    )
    spatial_path: bool = setting(
        False,
        source="only in v1, Eq. 1",
        help="As in v1 of the paper: also trains the spatial attention on single frames, to "
        "learn the appearance.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.templates != "", "templates", "", "the name of a list or the path of a text file"
        )


class MotionCrafter(Method[MotionCrafterSettings]):
    """L = mean (ε̂ - ε)² + β·D_KL(q_θ ‖ p_base) (v2, Eq. 3), under a drawn template, tunes the
    temporal modules. v1's L_spatial = mean (ε̂_i - ε_i)² (Eq. 1), of one frame i, tunes spatial
    attention.
    """

    name = "motion_crafter"
    title = "MotionCrafter"
    summary = (
        "trains the temporal layers themselves, guided by the frozen base to preserve its "
        "appearance"
    )
    Settings = MotionCrafterSettings
    defaults: ClassVar = {
        "": MethodDefaults(
            settings={
                "motion": Usual(
                    value=lambda case: motion_lines(case.prompts) if case.prompts else None,
                    source='v2, Sec. 3.2.2: "a woman with a hat is {} in a park"',
                    reason="The paper writes it by hand; here it is found by the prompt's verb, "
                    "shown, and may be changed.",
                )
            },
            train={
                "steps": Usual(
                    value=300,
                    source="v2, Sec. 4.1: 150 to 300",
                    reason="The longest that a motion takes in the paper; samples on the way show "
                    "whether fewer do.",
                )
            },
        ),
        "animatediff": MethodDefaults(
            clip=at_animatediffs_size("v2, Sec. 4.1", width=256, height=256)
        ),
        # ZeroScope itself was trained at 576x320: 2.8 times as large, and as costly.
        "zeroscope": MethodDefaults(
            clip=sized("v2, Sec. 4.1", width=256, height=256, frames=16),
            sample={
                "steps": Usual(value=25, source="v2, Sec. 4.1"),
                "guidance_scale": Usual(value=7.5, source="v2, Sec. 4.1"),
            },
        ),
        "shape-world": MethodDefaults(
            settings={
                **tuned("The words that the small bases know.", templates="shapes"),
                **tuned(
                    "The deep ones see latents of 4x4, in which a zigzag is too small to be "
                    "learned.",
                    blocks="all",
                ),
                **tuned(
                    "The reference's looks are far from a template's here, so that its own prompt "
                    "goes with its loss.",
                    separate_reference_prompt=True,
                ),
                **tuned(
                    "Every bit of it costs motion: fidelity 0.88 with none, 0.76 with 0.1.",
                    kl="moment_gaussian",
                    beta=0.01,
                ),
            },
            train={
                **tuned("Whole weights bear a lower rate than LoRAs.", learning_rate=1e-3),
                **tuned("Tuned for the small bases.", steps=330, noise_draws=2),
            },
        ),
        "shape-world-zeroscope": MethodDefaults(
            train=tuned("Tuned for the small bases.", learning_rate=2e-3, steps=220)
        ),
    }

    def rates(self, material: Material) -> Rates:
        """By what is trained: whole weights or a LoRA."""
        if self.settings.parametrisation == "full":
            decay = "not in the papers; it would pull whole weights to 0, away from the base"
            return Rates(LEARNING_RATE, WEIGHT_DECAY, "v2, Sec. 4.1", decay)
        lora = "MotionDirector's, for LoRAs on the same layers"
        return Rates(LORA_LEARNING_RATE, LORA_WEIGHT_DECAY, lora, lora)

    @property
    def lighter(self) -> Sequence[str]:
        """A LoRA, where whole weights are tuned."""
        return ("parametrisation = lora",) if self.settings.parametrisation == "full" else ()

    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        """The temporal modules, unless there are images alone, and v1's spatial path if it is on.

        Raises ClipError without clips, or for an image without the spatial path.
        """
        settings = self.settings
        _check_clips(clips, settings.spatial_path)
        moves = not all(clip.is_image for clip in clips)
        wanted: dict[Scope, bool] = {TEMPORAL: moves, SPATIAL: settings.spatial_path}
        rate, decay, *_ = self.rates(material_of(clips))
        return {
            scope: PlannedGroup(
                parts={scope: _plan(backbone, scope, settings)},
                learning_rate=rate,
                weight_decay=decay,
            )
            for scope, is_wanted in wanted.items()
            if is_wanted
        }

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[Attached]:
        """See `Method`; encodes every template's prompt. Raises SettingsError for templates that
        cannot be used.
        """
        planned = self.groups(backbone, clips)
        videos = [clip for clip in clips if not clip.is_image]
        prompts = _template_embeds(backbone, videos, self.settings)
        for scope in SCOPES:
            if scope in planned:
                blocks = ", ".join(blocks_of(_names(backbone, scope, self.settings)))
                logger.info("MotionCrafter tunes %s layers in %s.", scope, blocks)
        with made(planned, backbone, rng) as groups:
            embeds = [prompts.get(clip.prompt) for clip in clips]
            passes = _Passes(self.settings, backbone, groups, embeds)
            yield Attached(groups=groups, passes=passes)


@dataclass(frozen=True)
class _Passes:
    """template_embeds: (templates, L, D) of each clip, None of an image."""

    settings: MotionCrafterSettings
    backbone: Backbone
    groups: Mapping[str, ParameterGroup]
    template_embeds: Sequence[Tensor | None]

    def __call__(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """v1's spatial pass, if it is on, then the motion's; see `Attached`.

        Each has the other's weights at the base's ("separately fine-tunes", v1, Sec. 3.1).
        """
        if SPATIAL in self.groups:
            drawn = draw_noisy_latents(
                self.backbone, batch.latents, rng, min_timestep=batch.min_timestep
            )
            with training(self.groups, SPATIAL):
                yield single_frame_term(self.backbone, drawn, batch.prompt_embeds, SPATIAL, rng)
        if batch.latents.shape[2] > 1:
            yield from self._motion_passes(batch, rng)

    def _motion_passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """v2, Eq. 3: L_motion = L_temporal + β·L_appearance, both branches on the same noisy
        latents under the same template.

        The frozen branch goes first and keeps no graph: it is the same network with the tuned
        weights swapped out; what lies before the first of them is computed once. Base preservation
        is of the same branch.
        """
        settings, predict = self.settings, self.backbone.predict
        total = self.backbone.schedule.total
        span = range(batch.min_timestep, total)
        timesteps = layered_timesteps(len(batch.latents), span, settings.timestep_bias, rng)
        noisy, timesteps, target = draw_noisy_latents(
            self.backbone, batch.latents, rng, timesteps=timesteps
        )
        prompts = self._drawn_templates(batch, rng)
        names = _names(self.backbone, TEMPORAL, settings)
        prefix = SharedPrefix(self.backbone.network, names)
        with torch.no_grad(), prefix.kept():
            base_pred = predict(noisy, timesteps, prompts)
        if settings.separate_reference_prompt:
            with training(self.groups, TEMPORAL):
                pred = predict(noisy, timesteps, batch.prompt_embeds)
                yield LossTerm(TEMPORAL, mse(pred, target), TEMPORAL)
        with training(self.groups, TEMPORAL):
            with prefix.taken():
                pred = predict(noisy, timesteps, prompts)
            appearance = settings.beta * KL_READINGS[settings.kl](pred, base_pred)
            appearance = preserving(appearance, pred, base_pred, batch.base_preservation)
            if settings.separate_reference_prompt:
                yield LossTerm("appearance", appearance, TEMPORAL)
            else:
                yield LossTerm("motion", mse(pred, target) + appearance, TEMPORAL)

    def _drawn_templates(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """(B, L, D): the prompt embeddings of one random template for each video."""
        embeds = self.template_embeds[batch.clip_index]
        assert embeds is not None  # a video's
        drawn = torch.randint(len(embeds), (len(batch.latents),), generator=rng)
        return embeds[drawn].to(batch.prompt_embeds)


def layered_timesteps(count: int, span: range, bias: TimestepBias, rng: torch.Generator) -> Tensor:
    """(count,) int64 in the span: one half of it with probability 0.8.

    early: the upper half, where the most noise is and generation begins, so that structure forms.
    literal: the lower half, the paper's own wording ("the denoising probability of steps 0-500 to
    0.8") read as training timesteps. uniform: all alike. v2, Sec. 3.2.3, of 0 to 999.
    """
    if bias == "uniform":
        return torch.randint(span.start, span.stop, (count,), generator=rng)
    half = (span.start + span.stop) // 2
    likely = torch.rand(count, generator=rng) < LIKELY_HALF
    low = torch.randint(span.start, half, (count,), generator=rng)
    high = torch.randint(half, span.stop, (count,), generator=rng)
    return torch.where(likely == (bias == "early"), high, low)


def _plan(backbone: Backbone, scope: Scope, settings: MotionCrafterSettings) -> Plan:
    """What is tuned of this scope."""
    names = _names(backbone, scope, settings)
    if settings.parametrisation == "full":
        return WeightsPlan(scope=scope, names=names)
    return LoraPlan(scope=scope, linears=names, rank=settings.rank, alpha=settings.rank)


def _names(backbone: Backbone, scope: Scope, settings: MotionCrafterSettings) -> list[str]:
    """Parameters, or the linear layers of a LoRA. v1's spatial path is tuned at all depths."""
    full = settings.parametrisation == "full"
    if scope == TEMPORAL:
        names = backbone.parameters(scope) if full else backbone.sites(scope)
        return backbone.in_blocks(names, settings.blocks)
    role = "spatial_attention"
    return backbone.parameters(role) if full else backbone.sites(role)


def _template_embeds(
    backbone: Backbone, videos: Sequence[LatentClip], settings: MotionCrafterSettings
) -> dict[str, Tensor]:
    """By a clip's prompt: the embeddings of all templates with its motion, (templates, L, D)."""
    if not videos:
        return {}
    templates = load_templates(settings.templates)
    motions = motions_of([clip.prompt for clip in videos], settings.motion)
    return {
        prompt: encode_prompts(backbone, filled_templates(templates, motion))
        for prompt, motion in motions.items()
    }


def _check_clips(clips: Sequence[LatentClip], spatial_path: bool) -> None:
    if not clips:
        raise ClipError("No clips to train on. Add at least one.")
    images = [clip.source for clip in clips if clip.is_image]
    if images and not spatial_path:
        raise ClipError(
            f"{images[0]} is an image, from which MotionCrafter cannot learn motion. Leave it "
            "out, or turn on spatial_path to train its appearance."
        )
