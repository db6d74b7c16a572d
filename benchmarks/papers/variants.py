"""The variants: the methods as the small bases bear them and as the papers have them, and what each
of their parts is for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .rows import Backbone, Variant

BASE = Variant(name="base")
PRIOR_ALONE = Variant(name="base-prior-0.5", sample={"noise_prior": 0.5})
"""What the reference's noise does without an adapter."""

TUNED = (
    Variant(name="motion-director", method="motion_director"),
    Variant(name="motion-crafter", method="motion_crafter", settings={"motion": "{phrase}"}),
    Variant(name="motion-inversion", method="motion_inversion"),
    Variant(name="motrans", method="motrans"),
)
"""The methods with the settings that were tuned for the small bases: see `_BASES` in bases.py, and
`defaults` of each method.
"""

THROUGHOUT: Mapping[str, object] = {"adapter_end": 1.0}
_PAPER_TRAIN: Mapping[str, object] = {
    "noise_draws": 1,
    "min_timestep": 0,
    "warmup_steps": 0,
    "lr_schedule": "constant",
    "max_grad_norm": None,
}

# Deviation: the number of sampling steps and the guidance scale stay the small base's own, as they
# belong to it as a resolution does; and templates are in the words that it knows.
PAPERS = (
    # MotionDirector 0146a50, configs/config_single_video.yaml: at 384x384 and 16 frames.
    Variant(
        name="motion-director-paper",
        method="motion_director",
        settings={
            "rank": 32,
            "dropout": 0.1,
            "loss": "debiased",
            "beta": 1.0,
            "anchor": "random",
            "spatial_dropout_p": 0.2,
        },
        train={**_PAPER_TRAIN, "steps": 150, "learning_rate": 5e-4},
        sample={**THROUGHOUT, "noise_prior": 0.5},
    ),
    # MotionCrafter v2, Sec. 3.2 and 4.1: β 5, deep layers, 2e-5, at most 300 iterations.
    Variant(
        name="motion-crafter-paper",
        method="motion_crafter",
        settings={
            "motion": "{phrase}",
            "templates": "shapes",
            "beta": 5.0,
            "kl": "gaussian_mse",
            "blocks": "deep",
            "parametrisation": "full",
            "timestep_bias": "early",
            "separate_reference_prompt": False,
            "spatial_path": False,
        },
        train={**_PAPER_TRAIN, "steps": 300, "learning_rate": 2e-5},
        sample=THROUGHOUT,
    ),
    # MotionInversion 31ed7fb, configs/config.yaml and inference.py: the widest layers of down and
    # up blocks, 400 steps, noise prior 0.5.
    Variant(
        name="motion-inversion-paper",
        method="motion_inversion",
        settings={
            "channels": (),
            "positions": ("down", "up"),
            "qk": "1d",
            "v": "2d",
            "loss": "base",
            "debias": "difference",
            "spatial_learning_rate": 5e-4,
        },
        train={**_PAPER_TRAIN, "steps": 400, "learning_rate": 0.02},
        sample={**THROUGHOUT, "noise_prior": 0.5},
    ),
    # MoTrans, Sec. 4.1: 600 steps for motion, after MotionDirector's 300 for appearance.
    Variant(
        name="motrans-paper",
        method="motrans",
        settings={
            "rank": 32,
            "dropout": 0.1,
            "appearance_steps": 300,
            "recaptions": ("{caption}",),
            "injection": "add",
            "enhancer": "recomputed",
            "residual_weight": 1e-4,
            "residual_norm": "sum",
        },
        train={**_PAPER_TRAIN, "steps": 900, "learning_rate": 5e-4},
        sample=THROUGHOUT,
    ),
)
"""The methods with their papers' settings."""

METHODS = (*TUNED, *PAPERS)

# What methods are for shows where a method has to keep looks out by itself: the prompt leaves them
# out, as the papers' do (shape world's captions say everything, so that nothing is left to be
# learned of looks), and adapters play in every step (the last ones would mend looks without them).
TERSE = "a {shape} {phrase}"
RECAPTION = "{caption}"


def _terse(name: str, method: str, **settings: object) -> Variant:
    return Variant(name=name, method=method, settings=settings, sample=THROUGHOUT, prompt=TERSE)


def _director(name: str, **settings: object) -> Variant:
    """A step without the LoRA for looks would leave them to the one for motion."""
    return _terse(name, "motion_director", **{"spatial_dropout_p": 0.0, **settings})


def _crafter(name: str, **settings: object) -> Variant:
    return _terse(name, "motion_crafter", motion="{phrase}", **settings)


def _inversion(name: str, **settings: object) -> Variant:
    return _terse(name, "motion_inversion", **settings)


def _debiased(name: str, debias: str) -> Variant:
    """Motion Inversion's one training, played with another debias."""
    return dataclasses.replace(_inversion(name), options={"debias": debias})


def _motrans(name: str, **settings: object) -> Variant:
    return _terse(name, "motrans", **{"recaptions": (RECAPTION,), **settings})


TERSE_METHODS = (
    _director("motion-director-terse"),
    _crafter("motion-crafter-terse"),
    _inversion("motion-inversion-terse"),
    _motrans("motrans-terse"),
)
COUPLED = _terse("coupled", "coupled")
COUPLED_CAPTIONED = Variant(name="coupled-captioned", method="coupled")
VMC = _terse("vmc", "vmc")
# A step that neither uses nor trains the LoRA for looks, every time, on the plain loss.
TEMPORAL_ONLY = _director("temporal-only", spatial_dropout_p=1.0, loss="plain")
BASELINES = (COUPLED_CAPTIONED, COUPLED, VMC, TEMPORAL_ONLY)

# JointTuner's offset stands on the plain loss, in the place of debiasing.
LATER_PAPERS = (
    _director("motion-director-queries-keys", motion_layers="queries_keys"),
    _director("motion-director-offset-noise", loss="plain", offset_noise=1.0),
    _director("motion-director-cosine", loss="cosine"),
)
"""MotionDirector with what later papers change of it."""
PRESERVED = tuple(
    dataclasses.replace(
        _director(f"motion-director-preserved-{weight}"), train={"base_preservation": weight}
    )
    for weight in (0.02, 0.05)
)
"""Held to the base, at the ends of what other trainers use."""

ABLATIONS: Mapping[Backbone, tuple[Variant, ...]] = {
    "animatediff": (
        _crafter("motion-crafter-beta-0", beta=0.0),
        _crafter("motion-crafter-beta-1", beta=1.0),
        _crafter("motion-crafter-beta-5", beta=5.0),
        _crafter("motion-crafter-beta-20", beta=20.0),
        _crafter("motion-crafter-uniform", timestep_bias="uniform"),
        _crafter("motion-crafter-deep-blocks", blocks="deep"),
        _crafter("motion-crafter-spatial-path", spatial_path=True),
        _crafter("motion-crafter-template-prompt", separate_reference_prompt=False),
    ),
    "zeroscope": (
        _director("motion-director-plain", loss="plain"),
        *LATER_PAPERS,
        *PRESERVED,
        _debiased("motion-inversion-difference", "difference"),
        _debiased("motion-inversion-drop-value", "drop_value"),
        _debiased("motion-inversion-normalise", "normalise"),
        _inversion("motion-inversion-1d-1d", qk="1d", v="1d"),
        _inversion("motion-inversion-2d-1d", qk="2d", v="1d"),
        _inversion("motion-inversion-2d-2d", qk="2d", v="2d"),
        _inversion("motion-inversion-debiased-loss", loss="debiased_temporal"),
        _inversion("motion-inversion-hybrid-loss", loss="debiased_hybrid"),
        _inversion("motion-inversion-vmc-loss", loss="motion_distillation"),
        _inversion("motion-inversion-query-key-alone", v="none"),
        _motrans("motrans-no-injector", injection="none"),
        _motrans("motrans-no-enhancer", enhancer="none"),
        _motrans("motrans-no-recaption", recaptions=()),
    ),
}
"""Each on the backbone of its paper's own ablation, beside the terse methods."""


def _played(name: str, **changes: object) -> Variant:
    """MotionDirector's terse training, played otherwise."""
    return dataclasses.replace(_director(f"motion-director-{name}"), **changes)  # type: ignore[arg-type]


USES = (
    _played("strength-0.5", strength=0.5),
    _played("strength-1.5", strength=1.5),
    _played("end-0.7", sample={"adapter_end": 0.7}),
    _played("prior-0.3", sample={**THROUGHOUT, "noise_prior": 0.3}),
    _played("prior-0.5", sample={**THROUGHOUT, "noise_prior": 0.5}),
    _played("half-the-steps", train={"steps": 175}),
    _played("full-caption", prompt=None),
)
"""What README advises: strength, share of the steps, noise prior, length, and prompt."""

FEW_STEP_KINDS = ("lcm", "lightning")
FEW_STEP_COUNTS = (4, 6, 8)
FEW_STEPS = tuple(
    dataclasses.replace(
        TUNED[0],
        name=f"motion-director-{kind}-{steps}",
        sample={"few_steps": kind, "steps": steps},
        prompts=24,
    )
    for kind in FEW_STEP_KINDS
    for steps in FEW_STEP_COUNTS
)
"""A motion in 4, 6 and 8 steps of the samplers of distilled models, with the base's own guidance.
The small base itself is not distilled.
"""

FEW_SHOT = tuple(
    dataclasses.replace(make(f"{method}-{clips}-clips"), clips=clips)
    for make, method in ((_director, "motion-director"), (_motrans, "motrans"))
    for clips in (4, 10)
)
"""Several clips of one motion, each with other looks."""

CAMERA = (
    Variant(
        name="motion-inversion-camera", method="motion_inversion", options={"debias": "drop_value"}
    ),
    Variant(
        name="motion-inversion-hybrid",
        method="motion_inversion",
        settings={"loss": "debiased_hybrid"},
    ),
)
"""What is made for the motion of a camera."""

# What the LoRA for appearance is for: a prompt that leaves looks out, with and without one.
IMAGE_PROMPTS = 24
_IMAGE = _played("image", looks="image", asked=TERSE, prompts=IMAGE_PROMPTS)
_MIXED = _played("mixed", looks="clip", asked=TERSE, who="wearers")
LOOKS = (
    _IMAGE,
    dataclasses.replace(_IMAGE, name="motion-director-without-image", looks="prompt"),
    _MIXED,
    dataclasses.replace(_MIXED, name="motion-director-without-mixing", looks="prompt"),
)
"""An image animated, and one clip's motion with another's appearance."""

PERSONALISED = tuple(
    dataclasses.replace(variant, name=f"{variant.name}-personalised", checkpoint="personalised")
    for variant in (BASE, *TUNED)
)
"""Adapters of one checkpoint, played on another."""
