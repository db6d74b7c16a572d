"""What a training is asked for, and what goes through its parts: its folder, who watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...motion_core.diffusion.settings import SampleSettings
from ...motion_core.events import Event, Request
from ...motion_core.methods.base import Method
from ...motion_core.settings import to_mapping
from ...motion_core.training.settings import TrainSettings
from ...motion_core.types import Clip
from ..sockets import MotionBase
from .choice import Resume
from .registry.live_run import Doing
from .run_bar import RunBar
from .scale import Scale


class WatchedRun(Protocol):
    """A run as the registry sees it: an event sink that is told of what takes long and of the saved
    adapter.
    """

    def __call__(self, event: Event) -> Request | None: ...

    def begins(self, doing: Doing) -> None: ...

    def adapter_saved(self, name: str) -> None: ...


Watch = Callable[[Path], AbstractContextManager[WatchedRun]]


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """name: of the adapter. resume_run: id of the one run to go on with, whatever `resume` says,
    "" for none. sample_prompts: a sample has a video of each; none for the first clip's own.
    sampling: their steps, guidance_scale and adapter_end. sampled_its_way: see `suited.Suited`.
    inversion_steps: of the noise file, 0 for none. log_to: see `TrackerSettings`.
    """

    base: MotionBase
    clips: Sequence[Clip]
    method: Method
    settings: TrainSettings
    name: str
    resume: Resume
    resume_run: str
    sample_prompts: Sequence[str]
    sampling: Mapping[str, Any]
    sampled_its_way: Mapping[str, object]
    inversion_steps: int
    log_to: str = "none"

    @property
    def shown_prompts(self) -> Sequence[str]:
        return self.sample_prompts or (self.clips[0].prompt,)

    def sample_settings(self) -> SampleSettings:
        """The first clip's size; a run on images shows its looks in a video of the base's usual
        length.
        """
        first, sampling = self.clips[0], self.sampling
        return SampleSettings(
            **{name: sampling[name] for name in ("steps", "guidance_scale", "adapter_end")},
            few_steps=self.base.defaults.few_steps,
            frames=self.base.defaults.frames if first.is_image else len(first.frames),
            height=first.frames.shape[2],
            width=first.frames.shape[3],
            seed=self.settings.seed,
        )

    def scale(self) -> Scale:
        """How its progress is counted."""
        moves = any(not clip.is_image for clip in self.clips)
        return Scale(
            clips=len(self.clips),
            steps=self.settings.steps,
            passes=self.settings.noise_draws * self.settings.accumulation,
            sample_every=self.settings.sample_every,
            prompts=len(self.shown_prompts),
            sampling=self.sampling["steps"],
            inversion=self.inversion_steps if moves else 0,
        )

    def document(self) -> dict[str, object]:
        """The run's settings as plain values, as they lie beside the adapter."""
        return {
            "base": self.base.name,
            "name": self.name,
            "clips": [
                {"source": clip.source, "prompt": clip.prompt, "frames": len(clip.frames)}
                for clip in self.clips
            ],
            "sample_prompt": "\n".join(self.sample_prompts) or None,
            "sample": {name: self.sampling[name] for name in ("steps", "guidance_scale")},
            "inversion_steps": self.inversion_steps,
            "train": to_mapping(self.settings),
            "objective": {"name": self.method.name, **to_mapping(self.method.settings)},
        }


@dataclass(frozen=True, kw_only=True)
class Work:
    """One run at work."""

    request: TrainingRequest
    folder: Path
    watched: WatchedRun
    bar: RunBar
