"""MotionCrafter: the temporal modules are tuned on one clip, and held to the frozen base under
prompts of many looks, so that they take the motion and leave the appearance.

In: encoded clips. Out: a "temporal" adapter of full weights or a LoRA and, with v1's spatial path,
a "spatial" one. Papers: Zhang et al., "MotionCrafter", arXiv 2312.05288: v1 (One-Shot Motion
Customization), v2 (Plug-and-play Motion Guidance; the defaults). There is no public code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..adapters.base import Adapter, Scope
from ..adapters.lora.training import active_loras, trainable_lora
from ..adapters.weights.training import trainable_weights
from ..backbones.base import Backbone
from ..backbones.depth import (
    Blocks,
)
from ..backbones.sites import blocks_of
from ..diffusion.encoding import encode_prompts
from ..errors import ClipError
from ..settings import Settings, require, setting
from ..types import Batch, LatentClip
from .base import LossTerm, ParameterGroup
from .kl import KL_READINGS, KlReading
from .lora_settings import lora_rank
from .losses import frames_at, mse
from .noised import noised
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


@dataclass(frozen=True, kw_only=True)
class MotionCrafterSettings(Settings):
    """Both versions of the paper; the defaults are v2's."""

    beta: float = setting(
        5.0,
        low=0,
        widget_high=100,
        step=0.5,
        main=True,
        source="v2, Sec. 3.2.1",
        help="Weight of the appearance loss, 0 and up; the paper uses 5. Higher values keep the "
        "appearance closer to the base, but limit the motion too (20 blurs); lower values copy "
        "shapes (1 is rigid).",
    )
    kl: KlReading = setting(
        "gaussian_mse",
        label="divergence",
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
        help='Prompts that give the motion other appearances: "everyday", "shapes" (for the '
        "sample base), or the path of a text file with one prompt per line and {} in place of "
        "the motion.",
    )
    motion: str | None = setting(
        None,
        main=True,
        widget_none="",
        none="uses the clip's full prompt",
        help="Only the motion, for the templates, such as 'riding a bicycle'.",
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


class MotionCrafter:
    """The method, configured; see `Method`."""

    name = "motion_crafter"
    title = "MotionCrafter"
    summary = "trains the temporal layers themselves, guided by the frozen base to preserve its "
    "appearance"
    Settings = MotionCrafterSettings

    def __init__(self, settings: MotionCrafterSettings | None = None) -> None:
        self.settings = settings or MotionCrafterSettings()

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[AttachedMotionCrafter]:
        """Copies the weights to be tuned (or puts LoRAs in), switched off outside of the passes,
        and encodes every template's prompt.

        With images alone there is nothing temporal. Raises ClipError without clips, or for an image
        without the spatial path; SettingsError for templates that cannot be used.
        """
        settings = self.settings
        _check_clips(clips, settings.spatial_path)
        videos = [clip for clip in clips if not clip.is_image]
        scopes: list[Scope] = []
        if videos:
            scopes.append(TEMPORAL)
        if settings.spatial_path:
            scopes.append(SPATIAL)
        prompts = _template_embeds(backbone, videos, settings)
        with ExitStack() as stack:
            tuned: dict[Scope, _Tuned] = {
                scope: stack.enter_context(_tuned(backbone, scope, settings, rng))
                for scope in scopes
            }
            stack.enter_context(active_loras(backbone.network, ()))
            yield AttachedMotionCrafter(
                backbone, tuned, [prompts.get(clip.prompt) for clip in clips], settings
            )


class AttachedMotionCrafter:
    """The tuned parameters and the passes that train them; see `Attached`."""

    def __init__(
        self,
        backbone: Backbone,
        tuned: Mapping[Scope, _Tuned],
        template_embeds: Sequence[Tensor | None],
        settings: MotionCrafterSettings,
    ) -> None:
        self._backbone, self._tuned, self._settings = backbone, tuned, settings
        self._template_embeds = template_embeds
        full = settings.parametrisation == "full"
        self.groups: Mapping[str, ParameterGroup] = {
            scope: ParameterGroup(
                parameters=part.parameters,
                learning_rate=LEARNING_RATE if full else LORA_LEARNING_RATE,
                weight_decay=WEIGHT_DECAY if full else LORA_WEIGHT_DECAY,
            )
            for scope, part in tuned.items()
        }

    def adapters(self) -> dict[str, Adapter]:
        """Copies of what is learned on the CPU, by group name."""
        return {scope: tuned.export() for scope, tuned in self._tuned.items()}

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """v1's spatial pass, if it is on, then the motion's; see `Attached`.

        Each has the other's weights at the base's ("separately fine-tunes", v1, Sec. 3.1).
        """
        if SPATIAL in self._tuned:
            yield from self._spatial_pass(batch, rng)
        if batch.latents.shape[2] > 1:
            yield from self._motion_passes(batch, rng)

    def _spatial_pass(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """v1, Eq. 1: one frame i ~ U(F), at any timestep, under the clip's prompt."""
        noisy, timesteps, target = noised(
            self._backbone, batch.latents, rng, min_timestep=batch.min_timestep
        )
        frames = torch.randint(noisy.shape[2], (len(noisy),), generator=rng)
        with self._tuned[SPATIAL].active():
            pred = self._backbone.predict(frames_at(noisy, frames), timesteps, batch.prompt_embeds)
            yield LossTerm(SPATIAL, mse(pred, frames_at(target, frames)), SPATIAL)

    def _motion_passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """v2, Eq. 3: L_motion = L_temporal + β·L_appearance, both branches on the same noisy
        latents under the same template.

        The frozen branch goes first and keeps no graph: it is the same network with the tuned
        weights swapped out.
        """
        settings, predict = self._settings, self._backbone.predict
        total = self._backbone.schedule.total
        span = range(batch.min_timestep, total)
        timesteps = layered_timesteps(len(batch.latents), span, settings.timestep_bias, rng)
        noisy, timesteps, target = noised(self._backbone, batch.latents, rng, timesteps=timesteps)
        prompts = self._drawn_templates(batch, rng)
        with torch.no_grad():
            base_pred = predict(noisy, timesteps, prompts)
        tuned = self._tuned[TEMPORAL]
        if settings.separate_reference_prompt:
            with tuned.active():
                pred = predict(noisy, timesteps, batch.prompt_embeds)
                yield LossTerm(TEMPORAL, mse(pred, target), TEMPORAL)
        with tuned.active():
            pred = predict(noisy, timesteps, prompts)
            appearance = settings.beta * KL_READINGS[settings.kl](pred, base_pred)
            if settings.separate_reference_prompt:
                yield LossTerm("appearance", appearance, TEMPORAL)
            else:
                yield LossTerm("motion", mse(pred, target) + appearance, TEMPORAL)

    def _drawn_templates(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """(B, L, D): the prompt embeddings of one random template for each video."""
        embeds = self._template_embeds[batch.clip_index]
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


class _Tuned(NamedTuple):
    """What whole weights and LoRAs have in common."""

    parameters: Sequence[nn.Parameter]
    active: Callable[[], AbstractContextManager[None]]
    export: Callable[[], Adapter]


@contextmanager
def _tuned(
    backbone: Backbone, scope: Scope, settings: MotionCrafterSettings, rng: torch.Generator
) -> Iterator[_Tuned]:
    """The parameters of this scope, switched off until they are made `active`."""
    network, family = backbone.network, backbone.family
    names = _names(backbone, scope, settings)
    logger.info("MotionCrafter trains %s layers in %s.", scope, ", ".join(blocks_of(names)))
    if settings.parametrisation == "full":
        weights = trainable_weights(network, names)
        yield _Tuned(weights.parameters, weights.active, lambda: weights.export(scope, family))
        return
    rank = settings.rank
    with trainable_lora(network, scope, names, rank=rank, alpha=rank, dropout=0.0, rng=rng) as lora:
        yield _Tuned(
            lora.parameters,
            lambda: active_loras(network, (scope,)),
            lambda: lora.export(scope, family),
        )


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
    encoded: dict[str, Tensor] = {}
    for prompt in dict.fromkeys(clip.prompt for clip in videos):
        filled = filled_templates(templates, settings.motion or prompt)
        encoded[prompt] = encode_prompts(backbone, filled)
    return encoded


def _check_clips(clips: Sequence[LatentClip], spatial_path: bool) -> None:
    if not clips:
        raise ClipError("No clips to train on. Add at least one.")
    images = [clip.source for clip in clips if clip.is_image]
    if images and not spatial_path:
        raise ClipError(
            f"{images[0]} is an image, from which MotionCrafter cannot learn motion. Leave it "
            "out, or turn on spatial_path to train its appearance."
        )
