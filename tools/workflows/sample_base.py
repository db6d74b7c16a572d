"""Workflows on the base that ships: nothing to download, minutes on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motion_core.bases import BASES

from .graph import Graph, Node
from .suited import of_clip, of_sample, of_training

CLIP_PROMPT = "a red circle zigzagging on a checkered background"
NEW_PROMPT = "a blue square zigzagging on a white background"
TEACH, PLAY = "#3f5159", "#3f5940"  # colours of groups
# Fewer than the base's own, so that a slow CPU takes less than three minutes: a zigzag's fidelity
# is 0.87 (MotionDirector) and 0.88 (MotionCrafter) there.
SHORT = 200

INTRODUCTION = """\
## Train a motion and apply it to a new subject

Nothing to download: the base bundled with the pack is a small video model of coloured shapes. \
It has never seen a zigzag.

**Press Run.** Training takes two to three minutes on a CPU. Then the video on the \
right shows the clip's motion with another subject.

**Then try**
- another prompt in *Sample Motion Video*: `a green triangle zigzagging on a black background`. \
The training is not repeated: its result is reused.
- `strength` in *Load Motion LoRA/Embedding*, which lists the file you just saved (press R to \
refresh the list).
- another `objective` (method) in *Train Motion Adapter*.

The file is stored in `models/motion_adapters`.
"""
METHODS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "motion-director": (
        "**MotionDirector** trains two LoRAs: one learns the clip's *appearance*, so that the "
        "other only needs to learn its *motion*. Only the second is applied. The usual first "
        "choice.",
        {"steps": SHORT},
    ),
    "motion-crafter": (
        "**MotionCrafter** trains the temporal layers themselves, and keeps them close to the "
        "original ones under prompts with varied appearance, so that the clip's does not leak. "
        "`parametrisation` = lora makes a small file instead of full weights.",
        {"objective__motion": "zigzagging", "steps": SHORT},
    ),
    "motion-inversion": (
        "**Motion Inversion** leaves all weights unchanged and trains *embeddings* that are added "
        "in temporal attention. At full size, only their change from frame to frame is applied; "
        "on this small base, where that loses the motion, they are applied as trained.",
        {},
    ),
    "motrans": (
        "**MoTrans** trains appearance first (`appearance_steps`), then the motion, and ties it to "
        "the verb in the prompt. `steps` counts both stages. At full size, describe the clip's "
        "appearance in detail in `recaptions`: *Recaption Frames* can write it.",
        {"steps": 330},
    ),
}


def train_and_sample(definitions: Mapping[str, Any], method: str) -> Graph:
    """Train with a method, sample with the core's sampler, save the video."""
    about, settings = METHODS[method]
    graph = Graph(definitions)
    graph.note(0, INTRODUCTION, "What this does", height=560)
    graph.note(0, about, "The method", height=220)
    base, clip, train = learn(graph, 1, "animatediff", method, f"zigzag-{method}", **settings)
    sample = graph.node(
        "SampleMotionVideo",
        4,
        suited=of_sample(name_of("animatediff"), method, width=64, height=64, frames=16),
        base=base.out("base"),
        motions=train.out("adapter"),
        prompt=NEW_PROMPT,
        seed=1,
    )
    save = save_video(graph, 5, sample, f"video/zigzag-{method}")
    graph.group("1  Train on the motion of a clip", [base, clip, train], TEACH)
    graph.group("2  Apply it to another subject", [sample, save], PLAY)
    return graph


def community_checkpoint(definitions: Mapping[str, Any]) -> Graph:
    """The same motion in another checkpoint, in the ordinary KSampler."""
    usual = BASES["shape-world-animatediff"]
    steps = usual.sample_steps
    graph = Graph(definitions)
    graph.note(0, COMMUNITY, "What this does", height=520)
    base, clip, train = learn(graph, 1, "animatediff", "motion-director", "zigzag", steps=SHORT)
    other = graph.node(
        "SampleMotionBase",
        4,
        "The community checkpoint",
        base="animatediff",
        checkpoint="personalised",
    )
    apply = graph.node(
        "ApplyMotionToAnimateDiff",
        4,
        model=other.out("MODEL"),
        adapters=train.out("adapter"),
        motion_module="shape world (ships with the pack)",
        end_percent=usual.adapter_end,
    )
    frames = ksampler(
        graph, 5, apply, other, NEW_PROMPT, "", (64, 64, 16), "simple", steps, usual.guidance_scale
    )
    video = graph.node("CreateVideo", 6, images=frames.out("IMAGE"), fps=8.0)
    save = graph.node(
        "SaveVideo",
        6,
        shows=330,
        video=video.out("VIDEO"),
        filename_prefix="video/zigzag-personalised",
    )
    graph.group("1  Train on the motion of a clip", [base, clip, train], TEACH)
    played = [node for node in graph.nodes if node.column in (4, 5, 6)]
    graph.group("2  Apply it in another checkpoint", [*played, save], PLAY)
    return graph


COMMUNITY = """\
## A motion in a community checkpoint

The adapter is trained on one checkpoint and applied to **another one**, with the regular \
**KSampler**. Here both are bundled with the pack; `personalised` stands in for a community \
checkpoint with its own style. It works the same with your models: see \
*Apply a motion to your checkpoint*.

- *Apply Motion to AnimateDiff* adds the motion module and the adapter to the checkpoint's MODEL. \
The input MODEL is not changed.
- The **batch size** of *Empty Latent Image* is the number of frames.
- Put LoRAs, ControlNet and IPAdapter between the checkpoint and this node, or after it.

**Try** `temporal_strength` 0 (the base alone), 0.5 and 1.
"""


def name_of(kind: str) -> str:
    """Of the sample base, by its menu."""
    return f"shape-world-{kind}"


def learn(
    graph: Graph, column: int, kind: str, method: str, name: str, **settings: Any
) -> tuple[Node, Node, Node]:
    """Sample Motion Base, Motion Clip and Train Motion Adapter, in columns of their own."""
    base = graph.node("SampleMotionBase", column, base=kind)
    clip = graph.node(
        "MotionClip",
        column + 1,
        shows=340,
        suited=of_clip(name_of(kind), method),
        video=base.out("clip"),
        prompt=CLIP_PROMPT,
    )
    train = graph.node(
        "TrainMotionAdapter",
        column + 2,
        shows=510,
        suited=of_training(name_of(kind), method, steps=settings.get("steps")),
        base=base.out("base"),
        clips=clip.out("clips"),
        objective=method,
        sample_prompt=NEW_PROMPT,
        name=name,
        **settings,
    )
    return base, clip, train


def ksampler(
    graph: Graph,
    column: int,
    model: Node,
    checkpoint: Node,
    prompt: str,
    negative: str,
    size: tuple[int, int, int],
    scheduler: str,
    steps: int,
    guidance: float,
    sampler: str = "euler",
) -> Node:
    """Prompts, an empty latent, KSampler and VAE Decode. size: width, height, frames."""
    clip = checkpoint.out("CLIP")
    positive = graph.node("CLIPTextEncode", column, "Prompt", clip=clip, text=prompt)
    other = graph.node("CLIPTextEncode", column, "Negative prompt", clip=clip, text=negative)
    width, height, frames = size
    latent = graph.node(
        "EmptyLatentImage",
        column,
        "Empty Latent Image (batch size = frames)",
        width=width,
        height=height,
        batch_size=frames,
    )
    sampler = graph.node(
        "KSampler",
        column + 1,
        model=model.out("MODEL"),
        positive=positive.out("CONDITIONING"),
        negative=other.out("CONDITIONING"),
        latent_image=latent.out("LATENT"),
        seed=1,
        steps=steps,
        cfg=guidance,
        sampler_name=sampler,
        scheduler=scheduler,
    )
    vae = checkpoint.out("VAE")
    return graph.node("VAEDecode", column + 1, samples=sampler.out("LATENT"), vae=vae)


def save_video(graph: Graph, column: int, source: Node, prefix: str) -> Node:
    return graph.node(
        "SaveVideo", column, shows=330, video=source.out("video"), filename_prefix=prefix
    )
