"""The methods' settings as widgets: one literal table a method.

The settings classes import torch's and diffusers' heavy parts, which a node's schema must not need:
ComfyUI asks for schemas at its start, and also where those libraries are broken. So the tables
repeat the fields' names, kinds, choices and defaults; a test holds them to the classes. In: what
the widgets give. Out: plain values for `settings.from_mapping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

OWN_ENCODER = "the base's own"
Kind = Literal["bool", "int", "float", "text", "lines", "words", "numbers"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting as a widget.

    default: of the settings class, as the widget has it. kind "lines": texts, one a line; "words",
    "numbers": a list with commas. choices: a menu. low, high, step: of a number. none: the widget's
    value that stands for the class's None. folder: the menu is the files of this folder of
    ComfyUI's, below `none`. main: on the training node itself, not only among the advanced
    settings.
    """

    name: str
    kind: Kind
    default: bool | int | float | str
    tooltip: str
    choices: Sequence[str] = ()
    low: float = 0
    high: float = 1
    step: float = 1
    none: int | float | str | None = None
    folder: str = ""
    main: bool = False

    def value(self, widget: bool | int | float | str) -> object:
        """What the settings class takes, from what the widget holds."""
        if self.none is not None and widget == self.none:
            return None
        if self.folder:
            from .host.model_choices import model_file  # ComfyUI's files, which tables do without

            return str(model_file(self.folder, str(widget)))
        if self.kind == "lines":
            return tuple(line.strip() for line in str(widget).splitlines() if line.strip())
        if self.kind in ("words", "numbers"):
            words = [word.strip() for word in str(widget).split(",") if word.strip()]
            return tuple(map(int, words)) if self.kind == "numbers" else tuple(words)
        return widget.strip() if isinstance(widget, str) else widget


def rank(what: str, *, main: bool = False) -> Field:
    return Field(
        name="rank",
        kind="int",
        default=32,
        low=1,
        high=256,
        main=main,
        tooltip=f"Width of {what}. Higher holds finer motion, and more of the clip's looks; the "
        "file grows with it. 32 is the papers'.",
    )


ALPHA = Field(
    name="alpha",
    kind="float",
    default=0.0,
    high=512,
    step=0.5,
    none=0.0,
    tooltip="The LoRA's scale is alpha / rank; 0 takes the rank itself, a scale of 1. More learns "
    "faster and less steadily.",
)
DROPOUT = Field(
    name="dropout",
    kind="float",
    default=0.1,
    high=0.9,
    step=0.05,
    tooltip="Share of the LoRA's inputs left out while training, 0 to 0.9; more resists learning "
    "the clip by heart.",
)
SPATIAL_DROPOUT = Field(
    name="spatial_dropout_p",
    kind="float",
    default=0.2,
    high=1.0,
    step=0.05,
    main=True,
    tooltip="Probability, 0 to 1, that a step goes without the LoRA that holds the clip's looks. "
    "More lets the motion be learned where looks are unknown; at 0 (the paper) hard motions may "
    "not be learned.",
)

_MOTION_DIRECTOR = (
    rank("the LoRAs", main=True),
    ALPHA,
    DROPOUT,
    Field(
        name="loss",
        kind="text",
        default="debiased",
        choices=("debiased", "plain"),
        tooltip="debiased: compares how frames differ from one of them, which takes looks out of "
        "the motion (the paper's). plain: its ablation.",
    ),
    Field(
        name="beta",
        kind="float",
        default=1.0,
        high=10,
        step=0.1,
        main=True,
        tooltip="Strength of the debiasing, 0 (off) and up; 1 is the paper's. More looks at how "
        "frames differ and less at what they show.",
    ),
    Field(
        name="anchor",
        kind="text",
        default="random",
        choices=("random", "first"),
        tooltip="The frame that debiasing subtracts: another one each step (the paper's), or the "
        "first.",
    ),
    SPATIAL_DROPOUT,
    Field(
        name="image_hflip_p",
        kind="float",
        default=0.5,
        high=1.0,
        step=0.05,
        tooltip="Probability, 0 to 1, that an image (not a video) is mirrored in a step.",
    ),
)

_MOTION_CRAFTER = (
    Field(
        name="beta",
        kind="float",
        default=5.0,
        high=100,
        step=0.5,
        main=True,
        tooltip="Weight of the appearance loss, 0 and up; 5 is the paper's. More holds looks "
        "closer to the base, and motion too (20 blurs); less copies shapes (1 is rigid).",
    ),
    Field(
        name="kl",
        kind="text",
        default="gaussian_mse",
        choices=("gaussian_mse", "moment_gaussian", "softmax"),
        tooltip="How the divergence between tuned and frozen network is measured; the paper leaves "
        "it open.",
    ),
    Field(
        name="blocks",
        kind="text",
        default="deep",
        choices=("deep", "all"),
        main=True,
        tooltip="Whose temporal modules are tuned: the coarse half of the network (v2 of the "
        "paper, smaller and cheaper) or all (v1).",
    ),
    Field(
        name="parametrisation",
        kind="text",
        default="full",
        choices=("full", "lora"),
        main=True,
        tooltip="full: whole weights, as in the paper, a large file. lora: a small file that other "
        "programs can load; a deviation from the paper.",
    ),
    rank("the LoRA; used where parametrisation is lora", main=True),
    Field(
        name="timestep_bias",
        kind="text",
        default="early",
        choices=("early", "literal", "uniform"),
        tooltip="Which half of the noise levels is trained in 8 of 10 steps: early in generation "
        "(much noise, where motion is decided), literal (the paper's wording), or uniform.",
    ),
    Field(
        name="templates",
        kind="text",
        default="everyday",
        tooltip='Prompts that lend the motion other looks: "everyday", "shapes" (for the sample '
        "base), or the path of a text file with one a line, {} standing for the motion.",
    ),
    Field(
        name="motion",
        kind="text",
        default="",
        none="",
        main=True,
        tooltip="The motion alone, for the templates, such as 'riding a bicycle'; empty takes the "
        "clip's whole prompt.",
    ),
    Field(
        name="separate_reference_prompt",
        kind="bool",
        default=False,
        tooltip="Takes the motion's loss under the clip's own prompt, in a pass of its own: half "
        "more time a step.",
    ),
    Field(
        name="spatial_path",
        kind="bool",
        default=False,
        tooltip="v1 of the paper: tunes the spatial attention on single frames too, which learns "
        "looks.",
    ),
)

_MOTION_INVERSION = (
    Field(
        name="channels",
        kind="numbers",
        default="",
        tooltip="Widths of the temporal layers that get an embedding, with commas, such as "
        "1280, 640; empty takes the widest. More layers hold finer motion.",
    ),
    Field(
        name="positions",
        kind="words",
        default="down, up",
        tooltip="Where in the network, with commas: down, up, mid, in (ZeroScope's first temporal "
        "layer). down, up is the paper's.",
    ),
    Field(
        name="qk",
        kind="text",
        default="1d",
        choices=("1d", "2d"),
        tooltip="Whether queries and keys share one embedding for all places in the picture (1d, "
        "the paper's) or have one each (2d, which leaks shapes).",
    ),
    Field(
        name="v",
        kind="text",
        default="2d",
        choices=("1d", "2d"),
        tooltip="The same for values: one for each place (2d, the paper's) or one for all (1d).",
    ),
    Field(
        name="loss",
        kind="text",
        default="base",
        choices=("base", "debiased_temporal", "debiased_hybrid"),
        main=True,
        tooltip="base: the paper's. debiased_temporal: for large deformations. debiased_hybrid: "
        "for camera motion, with a LoRA for looks beside it, at twice the cost.",
    ),
    Field(
        name="debias",
        kind="text",
        default="difference",
        choices=("difference", "drop_value", "normalise", "none"),
        main=True,
        tooltip="What is played of the embedding: differences between frames (an object's motion), "
        "drop_value (a camera's), normalise and none (ablations that leak looks).",
    ),
    rank("the hybrid loss's LoRA for looks"),
    DROPOUT,
    Field(
        name="spatial_dropout_p",
        kind="float",
        default=0.2,
        high=1.0,
        step=0.05,
        tooltip="Of the hybrid loss: probability, 0 to 1, that a step goes without the LoRA for "
        "looks.",
    ),
)

_MOTRANS = (
    rank("the LoRAs", main=True),
    ALPHA,
    DROPOUT,
    Field(
        name="appearance_steps",
        kind="int",
        default=300,
        high=100000,
        main=True,
        tooltip="Steps of the first stage, which learns looks; all other steps learn motion.",
    ),
    Field(
        name="recaptions",
        kind="lines",
        default="",
        main=True,
        tooltip="How everything in the clip looks, in detail, for the first stage; one line for "
        "all clips, or one each. Recaption Frames writes it. Empty takes the clip's prompt.",
    ),
    Field(
        name="recaptioner",
        kind="text",
        default="",
        none="",
        tooltip="Folder of a transformers image-text-to-text model (such as LLaVA) that writes the "
        "recaptions if none are given; it must be on the disk already.",
    ),
    Field(
        name="verb",
        kind="text",
        default="",
        none="",
        main=True,
        tooltip="The motion's verb as the prompt has it, such as 'skateboarding'; empty finds it.",
    ),
    Field(
        name="image_encoder",
        kind="text",
        default=OWN_ENCODER,
        none=OWN_ENCODER,
        folder="clip_vision",
        main=True,
        tooltip="What sees the clip's looks: a CLIP ViT-H/14 file in models/clip_vision, such as "
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors. Only the sample bases have one of their own.",
    ),
    Field(
        name="injection",
        kind="text",
        default="add",
        choices=("add", "multiply", "none"),
        tooltip="How looks are told to the temporal layers, so that these need not learn them: add "
        "(the paper's text), multiply (its formula), none (its ablation).",
    ),
    Field(
        name="enhancer",
        kind="text",
        default="recomputed",
        choices=("recomputed", "frozen", "none"),
        tooltip="What strengthens the verb: computed anew for each prompt's verb (the paper's), "
        "frozen as trained, or none (its ablation).",
    ),
    Field(
        name="residual_weight",
        kind="float",
        default=1e-4,
        high=1.0,
        step=1e-5,
        tooltip="Holds the verb's change small, 0 and up; 0.0001 is the paper's.",
    ),
    Field(
        name="residual_norm",
        kind="text",
        default="sum",
        choices=("sum", "mean"),
        tooltip="Whether that weight is on the sum (the paper's) or the mean of the squares.",
    ),
)

_VMC = (
    Field(
        name="loss",
        kind="text",
        default="cosine",
        choices=("cosine", "cosine_abs", "mse"),
        main=True,
        tooltip="How motion vectors are compared: cosine (the paper's), cosine_abs (its code's), "
        "mse (its ablation).",
    ),
    Field(
        name="parametrisation",
        kind="text",
        default="full",
        choices=("full", "lora"),
        main=True,
        tooltip="full: whole weights, as in the paper, a large file. lora: a small one; a "
        "deviation from the paper.",
    ),
    rank("the LoRA; used where parametrisation is lora", main=True),
)

_COUPLED = tuple(
    Field(**{**vars(field), "main": True}) for field in (rank("the LoRA"), ALPHA, DROPOUT)
)

METHOD_FIELDS: Mapping[str, Sequence[Field]] = {
    "motion_director": _MOTION_DIRECTOR,
    "motion_crafter": _MOTION_CRAFTER,
    "motion_inversion": _MOTION_INVERSION,
    "motrans": _MOTRANS,
    "vmc": _VMC,
    "coupled": _COUPLED,
}

# Of `TrainSettings`, what the training node itself does not ask for.
TRAIN_FIELDS = (
    Field(
        name="weight_decay",
        kind="float",
        default=-1.0,
        low=-1.0,
        high=1.0,
        step=1e-4,
        none=-1.0,
        tooltip="Pulls trained weights towards 0 in each step; -1 takes the method's own.",
    ),
    Field(
        name="warmup_steps",
        kind="int",
        default=0,
        high=10000,
        tooltip="Steps in which the learning rate rises from 0; steadies high rates.",
    ),
    Field(
        name="lr_schedule",
        kind="text",
        default="constant",
        choices=("constant", "cosine"),
        tooltip="The learning rate after that: constant (the run can be made longer later), or "
        "down to 0 along half a cosine.",
    ),
    Field(
        name="max_grad_norm",
        kind="float",
        default=0.0,
        high=100.0,
        step=0.1,
        none=0.0,
        tooltip="Cuts larger gradients down to this norm, against outliers; 0 does not. 1 is "
        "common.",
    ),
    Field(
        name="accumulation",
        kind="int",
        default=1,
        low=1,
        high=64,
        tooltip="Batches a step, each of the next clip: steadier steps that take so many times as "
        "long, at no more memory.",
    ),
    Field(
        name="noise_draws",
        kind="int",
        default=1,
        low=1,
        high=16,
        tooltip="Draws of noise of one clip in a batch: steadier steps, for so many times the "
        "memory and time.",
    ),
    Field(
        name="min_timestep",
        kind="int",
        default=0,
        high=999,
        tooltip="The lowest noise level that is trained, 0 (all) to 999: motion is decided where "
        "there is much noise.",
    ),
)
