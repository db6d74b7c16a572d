"""What a run is made of, but for the settings of its parts: the base and its files, the clips."""

from __future__ import annotations

from dataclasses import dataclass

from ..bases import BASES
from ..errors import SettingsError
from ..settings import Settings, require, setting
from ..training.trackers import TrackerSettings
from .device import Device


@dataclass(frozen=True, kw_only=True)
class BaseSettings(Settings):
    """A base by its name, and the files that belong to it."""

    base: str = setting(
        metavar="NAME",
        help="The base. "
        + "; ".join(f"{name}: {base.summary}" for name, base in BASES.items())
        + ".",
    )
    checkpoint: str | None = setting(
        None,
        metavar="FILE",
        help="Image checkpoint, or ZeroScope's file or folder; for shape-world-animatediff also "
        "shape-world-personalised.",
    )
    motion_module: str | None = setting(
        None, metavar="FILE", help="AnimateDiff's motion module, v1, v2 or v3."
    )
    domain_adapter: str | None = setting(
        None, metavar="FILE", help="AnimateDiff v3's domain adapter."
    )
    vae: str | None = setting(
        None, metavar="FILE", help="A VAE for a checkpoint without one, or to replace its own."
    )
    text_encoder: str | None = setting(
        None, metavar="FILE", help="OpenCLIP's text tower, for a ZeroScope file without one."
    )
    device: Device = setting(
        "auto",
        help="auto uses a CUDA or ROCm GPU if there is one. mps (Apple) and xpu (Intel) are "
        "untested.",
    )


@dataclass(frozen=True, kw_only=True)
class RunSettings(BaseSettings, TrackerSettings):
    """Raises SettingsError also without clips and images, or if the prompts don't fit them."""

    clips: tuple[str, ...] = setting(
        (),
        flag="--clip",
        repeated=True,
        metavar="FILE",
        help="Video, folder of videos, or folder with the frames of one clip. Give several to "
        "train a motion they share; may be repeated.",
    )
    images: tuple[str, ...] = setting(
        (),
        flag="--image",
        repeated=True,
        metavar="FILE",
        help="Image or folder of images, to train appearance; without --clip, only appearance is "
        "trained; may be repeated.",
    )
    prompts: tuple[str, ...] = setting(
        (),
        flag="--prompt",
        repeated=True,
        help="Description of the clips: one for all, or one each, clips before images. Without "
        "it, captions are read (car.txt next to car.mp4); may be repeated.",
    )
    sample_prompt: str | None = setting(
        None, help="A second prompt to sample after training, in addition to the first clip's."
    )
    sample_steps: int = setting(low=1, help="DDIM steps of these samples.")
    sample_guidance: float = setting(low=1, help="Guidance scale of these samples, 1 and up.")
    sample_noise_prior: float = setting(
        0.0,
        low=0,
        high=1,
        help="Share of the clip's inverted noise in these samples, as for sample --noise-prior; "
        "those on the way have none, as the clip is inverted at the end.",
    )
    inversion_steps: int = setting(
        50,
        low=0,
        source="MotionDirector, utils/ddim_utils.py's callers",
        help="DDIM steps for inverting the clip's noise; 0 saves no noise file.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        sources, prompts = len(self.clips) + len(self.images), len(self.prompts)
        if not sources:
            raise SettingsError("There is nothing to train on. Add --clip FILE or --image FILE.")
        if prompts not in (0, 1, sources):
            raise SettingsError(
                f"There are {prompts} prompts for {sources} clips and images. Give one for all, "
                "one each in order, or none to read captions (car.txt next to car.mp4)."
            )
        steps = self.inversion_steps
        require(steps != 1, "inversion_steps", steps, "2 or more, or 0 for no file")
        has_noise = steps > 0 or self.sample_noise_prior == 0
        require(has_noise, "inversion_steps", steps, "2 or more, as sample_noise_prior needs them")
