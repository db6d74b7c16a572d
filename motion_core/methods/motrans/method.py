"""MoTrans: looks are learned first, under a prompt that describes them; then motion, with the looks
told beforehand and the verb's meaning enhanced.

In: encoded clips. Out: a LoRA "temporal", a LoRA "spatial.i" for each video, "verb" (the motion
enhancer) and "injector" (the appearance injector, of which samples make no use unless an image is
given to it). Paper: "MoTrans: Customized Motion Transfer with Text-Driven Video Diffusion Models",
ACM MM 2024, Sec. 3. There is no official code: what the paper leaves open is said where it is
decided.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ...adapters.verb.adapter import on_positions
from ...backbones.base import Backbone
from ...backbones.files.image_encoders import check_image_encoder, image_embed_width
from ...settings import BASES_OWN, Settings, require, setting
from ...types import Batch, LatentClip
from ..appearance import appearance_names, loras_of
from ..base import Attached, LossTerm, Method
from ..defaults import Material, Rates
from ..lora_settings import lora_alpha, lora_dropout, lora_rank
from ..losses import frames_at, mse
from ..noisy_latents import draw_noisy_latents
from ..parts import ParameterGroup, Plan, PlannedGroup, lora_plans, made, training
from ..preservation import frozen_branch, preserving
from .defaults import DEFAULTS
from .known_clips import KnownClip, known_clips
from .parts import EnhancerPlan, InjectorPlan, TrainableEnhancer, TrainableInjector

LEARNING_RATE = 5e-4  # Sec. 4.1
WEIGHT_DECAY = 1e-2  # not in the paper: AdamW's default
TEMPORAL, INJECTOR, VERB = "temporal", "injector", "verb"


@dataclass(frozen=True, kw_only=True)
class MoTransSettings(Settings):
    """Both stages. The recaptions are one for all videos, or one each."""

    rank: int = lora_rank("the LoRAs", "Sec. 4.1", main=True)
    alpha: float | None = lora_alpha()
    dropout: float = lora_dropout("MotionDirector's, the paper's baseline; not given in the paper")
    appearance_steps: int = setting(
        300,
        low=0,
        widget_high=100000,
        main=True,
        source="MotionDirector's steps for appearance; not given in the paper",
        help="Steps of the first stage, which trains appearance; all other steps train motion.",
    )
    recaptions: tuple[str, ...] = setting(
        (),
        lines=True,
        main=True,
        label="captions",
        source="Sec. 3.2",
        official="written by LLaVA 1.5",
        reason="Nothing is downloaded: write them, or give a caption model.",
        help="A detailed description of the clip's appearance, for the first stage; one line for "
        "all clips, or one each. Recaption Frames can write it. If empty, the clip's prompt is "
        "used.",
    )
    recaptioner: str | None = setting(
        None,
        widget_none="",
        label="caption model",
        source="Sec. 3.2",
        official="LLaVA 1.5",
        reason="Nothing is downloaded.",
        help="Folder of a transformers image-text-to-text model (such as LLaVA) that writes the "
        "recaptions if none are given; it must already be on disk.",
    )
    verb: str | None = setting(
        None,
        main=True,
        widget_none="",
        none="finds it automatically",
        help="The motion's verb as written in the prompt, such as 'skateboarding'.",
    )
    image_encoder: str | None = setting(
        None,
        main=True,
        folder="clip_vision",
        widget_none=BASES_OWN,
        source="Sec. 4.1",
        official="OpenCLIP ViT-H/14",
        reason="Nothing is downloaded: give its file. The small bases have their own.",
        help="Image encoder for the clip's appearance: a CLIP ViT-H/14 file in "
        "models/clip_vision, such as CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors. Only the "
        "sample bases have their own.",
    )
    injection: Literal["add", "multiply", "none"] = setting(
        "add",
        label="appearance injection",
        source='Sec. 3.2, "summed"',
        help="How the appearance is fed to the temporal layers so that they need not learn it: "
        "add (the paper's text), multiply (its formula, with 1 added, so that no image is no "
        "change) or none (its ablation).",
    )
    enhancer: Literal["recomputed", "frozen", "none"] = setting(
        "recomputed",
        label="verb enhancer",
        source="Eq. 3",
        help="How the verb is strengthened: recomputed for each prompt's verb (the paper's), "
        "frozen as trained, or none (its ablation).",
    )
    residual_weight: float = setting(
        1e-4,
        low=0,
        widget_high=1,
        step=1e-5,
        source="λ of Eq. 7, Sec. 4.1",
        help="Keeps the change to the verb small, 0 and up; the paper uses 0.0001.",
    )
    residual_norm: Literal["sum", "mean"] = setting(
        "sum",
        source="Eq. 5",
        help="Whether this weight applies to the sum (the paper's) or the mean of the squares.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(all(self.recaptions), "recaptions", self.recaptions, "a list of texts")


class MoTrans(Method[MoTransSettings]):
    """Two stages, each with one loss; ε is what the base predicts, τ the prompt's embedding:

    L_s = mean (ε̂_i - ε_i)² (Eq. 1), of one frame i under the recaptioned prompt, trains the video's
    spatial LoRA; then L = mean (ε̂ - ε)² + λ·‖E_r‖² (Eq. 7), of all frames under τ + E_r (Eq. 4),
    with h + W_p·ψ(f_i) injected (Eq. 2), trains the temporal LoRA, the injector W_p and the
    enhancer, E_r = W2·GELU(W1·[MeanPool(ψ(V)), τ(verb)]) (Eq. 3).
    """

    name = "motrans"
    title = "MoTrans"
    summary = "appearance first, then motion, with the verb strengthened"
    Settings = MoTransSettings
    defaults: ClassVar = DEFAULTS

    def rates(self, material: Material) -> Rates:
        """Those of every part."""
        decay = "AdamW's own; not in the paper"
        return Rates(LEARNING_RATE, WEIGHT_DECAY, "Sec. 4.1", decay)

    @property
    def least_steps(self) -> int:
        """The first stage's, and one of the second."""
        return self.settings.appearance_steps + 1

    @property
    def _needs_images(self) -> bool:
        return self.settings.injection != "none" or self.settings.enhancer != "none"

    def check(self, backbone: Backbone) -> None:
        """Raises SettingsError or FormatError where neither the base nor the settings have an image
        encoder that is needed.
        """
        if self._needs_images:
            check_image_encoder(backbone, self.settings.image_encoder)

    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        """A spatial LoRA for each appearance and, unless there are images alone, a temporal one
        with injector and enhancer.

        Raises ClipError without clips, SettingsError if there is no image encoder.
        """
        videos = [clip for clip in clips if not clip.is_image]
        seen = [clip.image_embeds for clip in videos if clip.image_embeds is not None]
        if not videos or not self._needs_images:
            width = 0
        elif seen:
            width = seen[0].shape[-1]
        else:
            width = image_embed_width(backbone, self.settings.image_encoder)
        return self._groups(backbone, clips, width, ())

    def _groups(
        self,
        backbone: Backbone,
        clips: Sequence[LatentClip],
        width: int,
        videos: Sequence[KnownClip],
    ) -> dict[str, PlannedGroup]:
        """width: of the image embeddings, 0 without them. videos: see `EnhancerPlan`."""
        settings = self.settings
        loras = lora_plans(
            backbone,
            loras_of(clips),
            rank=settings.rank,
            alpha=settings.alpha,
            dropout=settings.dropout,
        )
        parts: dict[str, dict[str, Plan]] = {name: {name: lora} for name, lora in loras.items()}
        if width and settings.injection != "none":
            injector = InjectorPlan(width=width, injection=settings.injection)
            parts[TEMPORAL][INJECTOR] = injector
        if width and settings.enhancer != "none":
            parts[TEMPORAL][VERB] = EnhancerPlan(
                video_width=width,
                prompt_width=clips[0].prompt_embeds.shape[-1],
                videos=videos,
                frozen=settings.enhancer == "frozen",
            )
        return {
            name: PlannedGroup(parts=plans, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
            for name, plans in parts.items()
        }

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[Attached]:
        """See `Method`. Raises ClipError also where a video's prompt has no verb."""
        settings = self.settings
        known = known_clips(
            backbone,
            clips,
            appearance_names(clips),
            recaptions=settings.recaptions,
            recaptioner=settings.recaptioner,
            image_encoder=settings.image_encoder,
            needs_images=self._needs_images,
            needs_verb=settings.enhancer != "none",
            verb=settings.verb,
            rng=rng,
        )
        videos = [clip for clip in known if not clip.is_image]
        seen = videos[0].video_embed if videos else None
        planned = self._groups(backbone, clips, 0 if seen is None else len(seen), videos)
        with made(planned, backbone, rng) as groups:
            yield Attached(groups=groups, passes=_Passes(settings, backbone, groups, known))


@dataclass(frozen=True)
class _Passes:
    """One pass a step, see `__call__`."""

    settings: MoTransSettings
    backbone: Backbone
    groups: Mapping[str, ParameterGroup]
    clips: Sequence[KnownClip]

    def __call__(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """Appearance in the first stage, and of images always; then motion; see `Attached`."""
        clip = self.clips[batch.clip_index]
        if clip.is_image or batch.step < self.settings.appearance_steps:
            yield from self._appearance_pass(batch, clip, rng)
        else:
            yield from self._motion_pass(batch, clip, rng)

    def _appearance_pass(
        self, batch: Batch, clip: KnownClip, rng: torch.Generator
    ) -> Generator[LossTerm, None, None]:
        """Eq. 1: one random frame under the recaptioned prompt."""
        latents = batch.latents
        frames = torch.randint(latents.shape[2], (len(latents),), generator=rng)
        noisy, timesteps, target = draw_noisy_latents(
            self.backbone, frames_at(latents, frames), rng, min_timestep=batch.min_timestep
        )
        embeds = clip.recaption_embeds.to(latents.device, non_blocking=True).expand(
            len(latents), -1, -1
        )
        with training(self.groups, clip.appearance):
            pred = self.backbone.predict(noisy, timesteps, embeds)
            yield LossTerm("spatial", mse(pred, target), clip.appearance)

    def _motion_pass(
        self, batch: Batch, clip: KnownClip, rng: torch.Generator
    ) -> Generator[LossTerm, None, None]:
        """Eq. 7: all frames under the base prompt, with the appearance's LoRA on and frozen."""
        drawn = draw_noisy_latents(
            self.backbone, batch.latents, rng, min_timestep=batch.min_timestep
        )
        beside, weight = (clip.appearance,), batch.base_preservation
        base_pred = frozen_branch(
            self.backbone, self.groups, drawn, batch.prompt_embeds, weight, beside
        )
        with (
            training(self.groups, TEMPORAL, beside),
            self._injection(clip, len(drawn.latents), rng),
        ):
            embeds, penalty = self._enhanced(batch, clip)
            pred = self.backbone.predict(drawn.latents, drawn.timesteps, embeds)
            loss = preserving(mse(pred, drawn.target), pred, base_pred, weight)
            yield LossTerm(TEMPORAL, loss if penalty is None else loss + penalty, TEMPORAL)

    def _injection(
        self, clip: KnownClip, draws: int, rng: torch.Generator
    ) -> AbstractContextManager[None]:
        """Eq. 2 with one random frame for each draw."""
        injector = self.groups[TEMPORAL].parts.get(INJECTOR)
        if injector is None:
            return nullcontext()
        assert isinstance(injector, TrainableInjector) and clip.frame_embeds is not None
        frames = torch.randint(len(clip.frame_embeds), (draws,), generator=rng)
        return injector.injecting(clip.frame_embeds[frames])

    def _enhanced(self, batch: Batch, clip: KnownClip) -> tuple[Tensor, Tensor | None]:
        """Eq. 4, E_b + E_r on every token of the verb; and λ·‖E_r‖² of Eq. 5 and 7, None without
        the enhancer.
        """
        embeds, enhancer = batch.prompt_embeds, self.groups[TEMPORAL].parts.get(VERB)
        if enhancer is None:
            return embeds, None
        assert isinstance(enhancer, TrainableEnhancer) and clip.verb is not None
        change = enhancer.residual_of(clip)
        squares = change.float().square()
        norm = squares.sum() if self.settings.residual_norm == "sum" else squares.mean()
        enhanced = embeds + on_positions(change, clip.verb.positions, embeds.shape[1])
        return enhanced, self.settings.residual_weight * norm
