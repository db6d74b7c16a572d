"""Latent clips and small methods for the tests of training.

Run as a module it is a training run of its own, to be killed from outside: `python -m tests.runs
FOLDER`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.base import Backbone
from motion_core.events import Event, StepDone
from motion_core.methods.base import Attached, LossTerm, Method
from motion_core.methods.defaults import Material, Rates
from motion_core.methods.losses import mse
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.methods.parts import ParameterGroup, PlannedGroup
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.types import Batch, LatentClip

from .tiny import CONTEXT_LENGTH, PROMPT_DIM, tiny_animatediff


def latent_clip(frames: int = 3, seed: int = 0, video: str = "") -> LatentClip:
    """(1, 4, frames, 4, 4) latents and a prompt's embedding, both drawn from `seed`."""
    rng = torch.Generator().manual_seed(seed)
    return LatentClip(
        latents=torch.randn(1, 4, frames, 4, 4, generator=rng),
        prompt_embeds=torch.randn(1, CONTEXT_LENGTH, PROMPT_DIM, generator=rng),
        prompt=f"clip {seed}",
        fps=8.0,
        digest=f"digest-{seed}-{frames}",
        source=f"clip-{seed}.mp4",
        video=video,
    )


def batch_of(clip: LatentClip, index: int = 0, draws: int = 1, step: int = 0) -> Batch:
    """What the trainer would hand to a method: draws of one clip."""
    return Batch(
        latents=clip.latents.repeat(draws, 1, 1, 1, 1),
        prompt_embeds=clip.prompt_embeds.repeat(draws, 1, 1),
        clip_index=index,
        step=step,
    )


def constant_clip(value: float) -> LatentClip:
    """One pixel, one channel, one frame, of this value."""
    return LatentClip(
        latents=torch.full((1, 1, 1, 1, 1), value),
        prompt_embeds=torch.zeros(1, 1, 1),
        prompt="",
        fps=8.0,
        digest=f"constant-{value}",
        source=f"{value}",
    )


@dataclass(frozen=True, kw_only=True)
class LeastSquaresSettings:
    """groups: one parameter each. noise: standard deviation of what is added to the latents."""

    groups: tuple[str, ...] = ("a",)
    noise: float = 0.0


@dataclass(frozen=True)
class Free:
    """A part of no model."""

    parameters: list[nn.Parameter]

    def active(self) -> AbstractContextManager[None]:
        return nullcontext()

    def export(self) -> WeightsAdapter:
        deltas = {str(index): p.detach() for index, p in enumerate(self.parameters)}
        return WeightsAdapter(scope="temporal", family="animatediff", deltas=deltas)


def free_group(*parameters: nn.Parameter) -> ParameterGroup:
    return ParameterGroup(parts={"free": Free([*parameters])}, learning_rate=0.1, weight_decay=0.0)


class LeastSquares(Method[LeastSquaresSettings]):
    """A method with no network: each group's one parameter p, 0 at first, learns the latents:
    (p − x)².
    """

    name = title = summary = "least_squares"
    Settings = LeastSquaresSettings

    def __init__(self, settings: LeastSquaresSettings | None = None) -> None:
        super().__init__(settings)
        self.seen: list[int] = []
        self.values: list[tuple[float, ...]] = []

    def rates(self, material: Material) -> Rates:
        return Rates(0.1, 0.0)

    def groups(self, backbone: Backbone, clips: Sequence[LatentClip]) -> dict[str, PlannedGroup]:
        return {}

    @contextmanager
    def attach(
        self, backbone: Backbone, clips: Sequence[LatentClip], rng: torch.Generator
    ) -> Iterator[Attached]:
        self.made = {
            name: free_group(nn.Parameter(torch.zeros(1))) for name in self.settings.groups
        }
        yield Attached(groups=self.made, passes=self.passes)

    def passes(self, batch: Batch, rng: torch.Generator) -> Generator[LossTerm, None, None]:
        self.seen.append(batch.clip_index)
        noise = torch.randn(batch.latents.shape, generator=rng) * self.settings.noise
        for name in self.settings.groups:
            self.values.append(self.current())
            prediction = self.made[name].parameters[0].expand(batch.latents.shape)
            yield LossTerm(f"loss {name}", mse(prediction, batch.latents + noise), name)

    def current(self) -> tuple[float, ...]:
        """Every group's parameter as it is now."""
        return tuple(group.parameters[0].item() for group in self.made.values())


RESUME_SETTINGS = TrainSettings(steps=6, save_every=2, learning_rate=1e-3, checkpointing=False)


def resume_method() -> MotionDirector:
    """Dropout on, so that the global generator matters."""
    return MotionDirector(MotionDirectorSettings(rank=2, dropout=0.3))


def _kill_at(step: int, event: Event) -> None:
    if isinstance(event, StepDone) and event.step == step:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    clips = [latent_clip(seed=0), latent_clip(seed=1)]
    train(
        tiny_animatediff(),
        clips,
        resume_method(),
        RESUME_SETTINGS,
        Path(sys.argv[1]),
        lambda event: _kill_at(5, event),
    )
