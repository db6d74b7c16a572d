"""The bases by name: what each one needs, what it is used at by default, and how it is loaded.

In: a name and paths. Out: a Backbone. Nothing heavy is imported before a base is loaded, so that a
command can show its help, and refuse what does not fit, at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .backbones.families import ANIMATEDIFF, ZEROSCOPE
from .diffusion.settings import FewSteps, SampleSettings
from .errors import SettingsError

if TYPE_CHECKING:
    import torch

    from .backbones.base import Backbone

PERSONALISED = "shape-world-personalised"

Part = Literal["checkpoint", "motion_module", "domain_adapter", "vae", "text_encoder"]


Load = Callable[["Mapping[str, Path]", "torch.dtype"], "Backbone"]
"""From a base's files, and the dtype of a network that is large enough for it to matter while it is
read. Modules are imported in it: diffusers and transformers take seconds."""


def _load_animatediff(parts: Mapping[str, Path], dtype: torch.dtype) -> Backbone:
    from .backbones.animatediff import load_animatediff

    return load_animatediff(**parts)  # type: ignore[arg-type]


def _load_zeroscope(parts: Mapping[str, Path], dtype: torch.dtype) -> Backbone:
    from .backbones.zeroscope import load_zeroscope

    others = {part: path for part, path in parts.items() if part != "checkpoint"}
    return load_zeroscope(parts["checkpoint"], dtype, **others)  # type: ignore[arg-type]


def _load_shape_world(name: str, parts: Mapping[str, Path], dtype: torch.dtype) -> Backbone:
    from .shape_world.base import load_shape_world

    return load_shape_world(name, parts.get("checkpoint"))


@dataclass(frozen=True, kw_only=True)
class BaseDefaults:
    """What a base is trained and sampled at where nothing else is asked for.

    name: in `BASES`. family: which adapters fit; see `backbones.families`. load: from its files.
    required, optional: the files to give. width, height: pixels.
    frames, fps: of a clip. sample_steps: of the sampler. few_steps: see `SampleSettings`.
    adapter_end: share of the steps with adapters.
    train: settings of every training that differ from the trainer's own here; a method's are its
    own, and `training.suited` puts both together.
    source: where size and sampling are from. reasons: of what has no source, by name.
    """

    name: str
    family: str
    load: Load
    summary: str
    required: tuple[Part, ...] = ()
    optional: tuple[Part, ...] = ()
    width: int
    height: int
    frames: int = 16
    fps: float = 8.0
    sample_steps: int = 30
    guidance_scale: float
    few_steps: FewSteps = "off"
    adapter_end: float = 1.0
    train: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)

    def usual_settings(self, steps: int | None = None) -> SampleSettings:
        """How it is sampled where nothing else is asked for. steps: None is its own."""
        return SampleSettings(
            steps=steps or self.sample_steps,
            few_steps=self.few_steps,
            guidance_scale=self.guidance_scale,
            adapter_end=self.adapter_end,
            frames=self.frames,
            height=self.height,
            width=self.width,
        )

    def sampled(self, its_way: Mapping[str, Any]) -> dict[str, Any]:
        """Steps, few_steps, guidance_scale, adapter_end and noise_prior of `SampleSettings`.

        its_way: those that are a method's own. Steps and guidance of what is distilled stay.
        """
        usual = {
            "steps": self.sample_steps,
            "few_steps": self.few_steps,
            "guidance_scale": self.guidance_scale,
            "adapter_end": self.adapter_end,
            "noise_prior": 0.0,
        }
        kept = () if self.few_steps == "off" else ("steps", "guidance_scale")
        return usual | {name: value for name, value in its_way.items() if name not in kept}


# Deviation from the papers, at shape world's size.
_SMALL_TRAIN: Mapping[str, object] = {
    "steps": 400,
    "learning_rate": 5e-3,
    "noise_draws": 3,
    "min_timestep": 200,
    "warmup_steps": 20,
    "lr_schedule": "cosine",
    "max_grad_norm": 1.0,
    "checkpointing": False,
}
_SMALL_REASONS: Mapping[str, str] = {
    "steps": "Tuned for the small bases.",
    "learning_rate": "A network of a hundredth of the parameters bears ten times the rate.",
    "noise_draws": "Several steady the loss.",
    "min_timestep": "With little noise, an object of a few cells is seen to be where it is, which "
    "teaches no motion.",
    "warmup_steps": "For the high learning rate.",
    "lr_schedule": "For the high learning rate.",
    "max_grad_norm": "For the high learning rate.",
    "checkpointing": "There is little memory to save.",
    "width": "The small bases were trained at it.",
    "height": "The small bases were trained at it.",
    "sample_steps": "Tuned for the small bases.",
    "guidance_scale": "Tuned for the small bases.",
    "adapter_end": "Tuned: motion is decided in the first steps; the last keep the base's looks.",
}

_BASES = (
    BaseDefaults(
        name="shape-world-animatediff",
        family=ANIMATEDIFF,
        load=partial(_load_shape_world, "shape-world-animatediff"),
        summary="small bundled base of moving shapes, with AnimateDiff's architecture",
        optional=("checkpoint",),
        width=64,
        height=64,
        sample_steps=12,
        guidance_scale=5.5,
        adapter_end=0.6,
        train={**_SMALL_TRAIN, "steps": 300},
        reasons=_SMALL_REASONS,
    ),
    BaseDefaults(
        name="shape-world-zeroscope",
        family=ZEROSCOPE,
        load=partial(_load_shape_world, "shape-world-zeroscope"),
        summary="small bundled base of moving shapes, with ZeroScope's architecture",
        width=64,
        height=64,
        sample_steps=12,
        guidance_scale=4.5,
        adapter_end=0.6,
        train={**_SMALL_TRAIN, "steps": 350, "min_timestep": 300},
        reasons=_SMALL_REASONS,
    ),
    BaseDefaults(
        name="animatediff",
        family=ANIMATEDIFF,
        load=_load_animatediff,
        summary="your Stable Diffusion 1.5 checkpoint and AnimateDiff motion module",
        required=("checkpoint", "motion_module"),
        optional=("domain_adapter", "vae"),
        width=512,
        height=512,
        sample_steps=25,
        guidance_scale=7.5,
        source="guoyww/AnimateDiff, configs/prompts",
        reasons={
            "width": "Stable Diffusion 1.5 makes pictures of 512x512.",
            "height": "Stable Diffusion 1.5 makes pictures of 512x512.",
            "sample_steps": "AnimateDiff's own configs/prompts have 25.",
            "guidance_scale": "AnimateDiff's own configs/prompts have 7.5 to 8.",
        },
    ),
    BaseDefaults(
        name="zeroscope",
        family=ZEROSCOPE,
        load=_load_zeroscope,
        summary="your ZeroScope or ModelScope folder or file",
        required=("checkpoint",),
        optional=("vae", "text_encoder"),
        width=384,
        height=384,
        guidance_scale=12.0,
        source="MotionDirector, config_single_video.yaml and MotionDirector_inference.py",
    ),
)
BASES: dict[str, BaseDefaults] = {base.name: base for base in _BASES}


def base_defaults(name: str, motion_module: str | Path | None = None) -> BaseDefaults:
    """The defaults of a base, with this motion module; raises SettingsError, listing all, if there
    is none of that name.
    """
    if name not in BASES:
        raise SettingsError(f"There is no base {name!r}. Choose one of {', '.join(BASES)}.")
    return (
        BASES[name] if motion_module is None else _distilled(BASES[name], Path(str(motion_module)))
    )


def _distilled(base: BaseDefaults, motion_module: Path) -> BaseDefaults:
    """How a motion module that was distilled to a few steps is sampled, by its file's name, as its
    layers are those of any other. Source: the model cards of wangfuyun/AnimateLCM and
    ByteDance/AnimateDiff-Lightning.
    """
    name = motion_module.name.lower()
    if "animatelcm" in name:
        return replace(base, few_steps="lcm", sample_steps=6, guidance_scale=2.0)
    if "lightning" in name:
        named = re.search(r"(\d+)[-_ ]?step", name)
        steps = int(named[1]) if named else 4
        return replace(base, few_steps="lightning", sample_steps=steps, guidance_scale=1.0)
    return base


def check_parts(name: str, **parts: str | Path | None) -> None:
    """Raises SettingsError if a file that the base needs is not given, or one that it cannot
    use is.
    """
    defaults = base_defaults(name)
    for part in defaults.required:
        if parts.get(part) is None:
            raise SettingsError(f"The base {name!r} needs a {_words(part)}. Give its path.")
    for part, given in parts.items():
        if given is not None and part not in (*defaults.required, *defaults.optional):
            raise SettingsError(
                f"The base {name!r} does not use a {_words(part)}; {given} was given. Leave it out."
            )


def load_base(
    name: str,
    *,
    checkpoint: str | Path | None = None,
    motion_module: str | Path | None = None,
    domain_adapter: str | Path | None = None,
    vae: str | Path | None = None,
    text_encoder: str | Path | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> Backbone:
    """The base, frozen and in evaluation mode; nothing is fetched.

    checkpoint and the others: paths of files or folders; the checkpoint "shape-world-personalised"
    is the shipped one.
    dtype: of the UNet, float32 if None; the VAE and the text encoder are float32 in main memory,
    and come to the accelerator when they are needed. device: where the UNet goes.
    Raises SettingsError for an unknown base or parts that do not belong to it, FormatError for
    files of another kind.
    """
    parts = {
        "checkpoint": checkpoint,
        "motion_module": motion_module,
        "domain_adapter": domain_adapter,
        "vae": vae,
        "text_encoder": text_encoder,
    }
    import torch  # heavy, see the module's docstring

    check_parts(name, **parts)
    given = {part: _path(part_path) for part, part_path in parts.items() if part_path is not None}
    backbone = base_defaults(name).load(given, dtype or torch.float32)
    # diffusers' own `to` warns of layers to be kept in float32, of which these UNets have none.
    torch.nn.Module.to(backbone.network, device=device, dtype=dtype)
    return backbone


def _path(given: str | Path) -> Path:
    if str(given) != PERSONALISED:
        return Path(given)
    from .shape_world.base import PERSONALISED as SHIPPED

    return SHIPPED


def _words(part: str) -> str:
    return part.replace("_", " ")
