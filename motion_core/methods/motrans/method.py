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
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ...adapters.base import Adapter
from ...adapters.injector import InjectorAdapter, injected, zero_weights
from ...adapters.lora.training import TrainableLora, active_loras, trainable_lora
from ...adapters.verb.adapter import VerbAdapter, fresh_enhancer, on_positions, residual
from ...backbones.base import Backbone
from ...backbones.frozen import frozen_parameters
from ...settings import BASES_OWN, Settings, require, setting
from ...types import Batch, LatentClip
from ..base import LossTerm, ParameterGroup
from ..lora_settings import lora_alpha, lora_dropout, lora_rank
from ..losses import frames_at, mse
from ..motion_director import spatial_lora_names
from ..noised import noised
from .known_clips import KnownClip, known_clips

LEARNING_RATE = 5e-4  # Sec. 4.1
WEIGHT_DECAY = 1e-2  # not in the paper: AdamW's default
TEMPORAL = "temporal"


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
        help="A detailed description of the clip's appearance, for the first stage; one line for "
        "all clips, or one each. Recaption Frames can write it. If empty, the clip's prompt is "
        "used.",
    )
    recaptioner: str | None = setting(
        None,
        widget_none="",
        label="caption model",
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
        help="Image encoder for the clip's appearance: a CLIP ViT-H/14 file in "
        "models/clip_vision, such as CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors. Only the "
        "sample bases have their own.",
    )
    injection: Literal["add", "multiply", "none"] = setting(
        "add",
        label="appearance injection",
        source='Sec. 3.2, "summed"',
        help="How the appearance is fed to the temporal layers so that they need not learn it: "
        "add (the paper's text), multiply (its formula) or none (its ablation).",
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


class MoTrans:
    """The method, configured; see `Method`."""

    name = "motrans"
    title = "MoTrans"
    summary = "appearance first, then motion, with the verb strengthened"
    Settings = MoTransSettings
    # Sec. 4.1: about 600 steps, which are taken to be the second stage's.
    train_defaults: Mapping[str, object] = {"steps": 900}

    def __init__(self, settings: MoTransSettings | None = None) -> None:
        self.settings = settings or MoTransSettings()

    @property
    def least_steps(self) -> int:
        """The first stage's, and one of the second."""
        return self.settings.appearance_steps + 1

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[AttachedMoTrans]:
        """Puts the LoRAs into the network and makes injector and enhancer; none of them acts
        outside of the passes.

        With images alone there is only a spatial LoRA. Raises ClipError without clips or where a
        video's prompt has no verb, SettingsError if there is no image encoder.
        """
        settings, looks = self.settings, spatial_lora_names(clips)
        known = known_clips(
            backbone,
            clips,
            looks,
            recaptions=settings.recaptions,
            recaptioner=settings.recaptioner,
            image_encoder=settings.image_encoder,
            needs_images=settings.injection != "none" or settings.enhancer != "none",
            needs_verb=settings.enhancer != "none",
            verb=settings.verb,
            rng=rng,
        )
        sites = {name: backbone.sites("spatial") for name in dict.fromkeys(looks)}
        if not all(clip.is_image for clip in clips):
            sites[TEMPORAL] = backbone.sites("temporal")
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
            yield AttachedMoTrans(backbone, loras, known, settings, rng)


class AttachedMoTrans:
    """What is trained and the passes that train it; see `Attached`."""

    def __init__(
        self,
        backbone: Backbone,
        loras: Mapping[str, TrainableLora],
        clips: Sequence[KnownClip],
        settings: MoTransSettings,
        rng: torch.Generator,
    ) -> None:
        self._backbone, self._settings = backbone, settings
        self._loras, self._clips = loras, clips
        self._videos = [clip for clip in clips if not clip.is_image]
        self._injector: dict[str, nn.Parameter] = {}
        self._enhancer: tuple[nn.Parameter, ...] = ()
        if self._videos and self._videos[0].video_embed is not None:
            self._make_modules(len(self._videos[0].video_embed), rng)
        more = {TEMPORAL: [*self._injector.values(), *self._enhancer]}
        self.groups: Mapping[str, ParameterGroup] = {
            name: ParameterGroup(
                parameters=[*lora.parameters, *more.get(name, [])],
                learning_rate=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
            )
            for name, lora in loras.items()
        }

    def _make_modules(self, width: int, rng: torch.Generator) -> None:
        """width: of the image embeddings."""
        network, prompt_width = self._backbone.network, self._clips[0].recaption_embeds.shape[-1]
        if self._settings.injection != "none":
            self._injector = zero_weights(network, width)
        if self._settings.enhancer != "none":
            device = next(network.parameters()).device
            self._enhancer = fresh_enhancer(width, prompt_width, rng, device)

    def adapters(self) -> dict[str, Adapter]:
        """Copies on the CPU: LoRAs by group name, "verb" and "injector"."""
        family, settings = self._backbone.family, self._settings
        adapters: dict[str, Adapter] = {
            name: lora.export(TEMPORAL if name == TEMPORAL else "spatial", family)
            for name, lora in self._loras.items()
        }
        if self._enhancer:
            adapters["verb"] = self._exported_enhancer()
        if settings.injection != "none" and self._injector:
            weights = {name: _copied(weight) for name, weight in self._injector.items()}
            adapters["injector"] = InjectorAdapter(
                scope=TEMPORAL, family=family, injection=settings.injection, weights=weights
            )
        return adapters

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        """One pass a step: looks in the first stage, and of images always; then motion; see
        `Attached`.
        """
        clip = self._clips[batch.clip_index]
        if clip.is_image or batch.step < self._settings.appearance_steps:
            yield from self._appearance_pass(batch, clip, rng)
        else:
            yield from self._motion_pass(batch, clip, rng)

    def _appearance_pass(
        self, batch: Batch, clip: KnownClip, rng: torch.Generator
    ) -> Generator[LossTerm, None, None]:
        """Eq. 1: one random frame under the recaptioned prompt."""
        latents = batch.latents
        frames = torch.randint(latents.shape[2], (len(latents),), generator=rng)
        noisy, timesteps, target = noised(
            self._backbone, frames_at(latents, frames), rng, min_timestep=batch.min_timestep
        )
        embeds = clip.recaption_embeds.to(latents.device).expand(len(latents), -1, -1)
        with self._training(clip.look, active=(clip.look,)):
            pred = self._backbone.predict(noisy, timesteps, embeds)
            yield LossTerm("spatial", mse(pred, target), clip.look)

    def _motion_pass(
        self, batch: Batch, clip: KnownClip, rng: torch.Generator
    ) -> Generator[LossTerm, None, None]:
        """Eq. 7: all frames under the base prompt, with the looks' LoRA on and frozen."""
        noisy, timesteps, target = noised(
            self._backbone, batch.latents, rng, min_timestep=batch.min_timestep
        )
        with (
            self._training(TEMPORAL, active=(clip.look, TEMPORAL)),
            self._injection(clip, len(noisy), rng),
        ):
            change = self._residual(clip)
            pred = self._backbone.predict(noisy, timesteps, self._enhanced(batch, clip, change))
            loss = mse(pred, target)
            if change is not None:
                loss = loss + self._penalty(change)
            yield LossTerm(TEMPORAL, loss, TEMPORAL)

    def _injection(
        self, clip: KnownClip, draws: int, rng: torch.Generator
    ) -> AbstractContextManager[None]:
        """Eq. 2 with one random frame for each draw."""
        injection = self._settings.injection
        if injection == "none":
            return nullcontext()
        assert clip.frame_embeds is not None
        frames = torch.randint(len(clip.frame_embeds), (draws,), generator=rng)
        return injected(
            self._backbone.network, self._injector, clip.frame_embeds[frames], injection
        )

    def _residual(self, clip: KnownClip) -> Tensor | None:
        """E_r (D,) of Eq. 3; None without the enhancer."""
        if not self._enhancer:
            return None
        assert clip.video_embed is not None and clip.verb_embed is not None
        w1, w2 = self._enhancer
        return residual(w1, w2, clip.video_embed.to(w1.device), clip.verb_embed.to(w1.device))

    def _enhanced(self, batch: Batch, clip: KnownClip, change: Tensor | None) -> Tensor:
        """Eq. 4: E_b + E_r on every token of the verb."""
        embeds = batch.prompt_embeds
        if change is None:
            return embeds
        assert clip.verb is not None
        return embeds + on_positions(change, clip.verb.positions, embeds.shape[1])

    def _penalty(self, change: Tensor) -> Tensor:
        """λ·‖E_r‖² of Eq. 5 and 7."""
        squares = change.float().square()
        norm = squares.sum() if self._settings.residual_norm == "sum" else squares.mean()
        return self._settings.residual_weight * norm

    def _exported_enhancer(self) -> VerbAdapter:
        """The MLP with the mean over all videos, and E_r of the first one's verb."""
        first = self._videos[0]
        assert first.verb is not None and first.verb_embed is not None
        w1, w2 = (_copied(weight) for weight in self._enhancer)
        video = torch.stack([c.video_embed for c in self._videos if c.video_embed is not None])
        video_embed = video.mean(0)
        return VerbAdapter(
            scope=TEMPORAL,
            family=self._backbone.family,
            verb=first.verb.text,
            frozen=self._settings.enhancer == "frozen",
            w1=w1,
            w2=w2,
            video_embed=video_embed,
            residual=residual(w1, w2, video_embed, first.verb_embed),
        )

    @contextmanager
    def _training(self, group: str, active: Sequence[str]) -> Iterator[None]:
        """These LoRAs take part in the forward; only the group gets gradients."""
        others = [p for name, g in self.groups.items() if name != group for p in g.parameters]
        with active_loras(self._backbone.network, active), frozen_parameters(others):
            yield


def _copied(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu", torch.float32, copy=True)
