"""The recipes of docs/recipes.md as workflows on the base that ships, which takes minutes on a CPU.

Each learns what its recipe learns, from clips that are drawn for it; with another base, clips and
prompts it is the recipe itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motion_core.methods.defaults import ONE_VIDEO, Material

from .graph import Graph, Node, Output
from .sample_base import CLIP_PROMPT, NEW_PROMPT, PLAY, SHORT, TEACH, save_video
from .suited import of_clip, of_sample, of_training

BASE = "shape-world-animatediff"
DIRECTOR, INVERSION = "motion-director", "motion-inversion"
ONE_IMAGE = Material(videos=0, images=1)
BLEND = "motion of the first, looks of the second"
# A look is learned fast, and the higher rate of a motion would learn the picture by heart.
LOOKS_TRAIN: Mapping[str, Any] = {"steps": 60, "learning_rate": 1e-3}
LOOKS = "#594f3f"  # colour of the group that learns an appearance

OWN = """\
**With your own model**: replace *Sample Motion Base* by *Load ZeroScope* or *AnimateDiff Base \
From Model*, and the clips by *Load Video*{more}. Values that you have not changed follow the new \
base. \
The same as commands: `docs/recipes.md`.
"""
APPEARANCE_AND_MOTION = f"""\
## The appearance of one clip, the motion of another

**Press Run**; it takes about three minutes on a CPU.

1. The upper training learns the zigzag of a red circle.
2. The lower one learns how another clip looks: in tones that the base does not know. \
MotionDirector learns appearance and motion apart; of this adapter only the appearance is used.
3. *Blend Motions* puts the motion of the first and the appearance of the second together. \
`second_weight` 2 makes the appearance stronger than it was learned. The clip's outline is lost: \
the small base has none.
4. In *Sample Motion Video*, `noise_prior` 0 keeps nothing of the first clip's layout. A higher \
`adapter_end` keeps more of the appearance, and its faults.

{OWN.format(more=", or the second one by *Motion Clips From Folder* with a folder of pictures")}"""
IMAGE_ANIMATION = f"""\
## Animate an image

**Press Run**; it takes about three minutes on a CPU.

1. The upper training learns the zigzag of a red circle.
2. The lower one learns an image, in tones and with an outline that the base does not know. One \
image has an appearance and no motion.
3. *Blend Motions* puts both together, and *Sample Motion Video* lets its subject zigzag. \
`noise_prior` keeps something of the clip's layout: choose a clip in which the subject has about \
the same place and size.

{OWN.format(more=" and *Load Image*")}"""
CAMERA_MOTION = f"""\
## The motion of the camera

**Press Run**; it takes about three minutes on a CPU.

The clip shows a triangle filmed by a camera that pans. **Motion Inversion** learns how the whole \
frame moves, and pans over another subject in the same way.

On a full-size base try `loss` = debiased_hybrid on *Motion Inversion Settings*, which puts the \
clip's appearance into a LoRA beside the embedding, and `debias` = drop_value, which applies only \
the part of the embedding that has no places in the picture.

{OWN.format(more="")}"""
SEVERAL_CLIPS = f"""\
## One motion from several clips

**Press Run**; it takes about three minutes on a CPU.

Three clips share a zigzag and nothing else: shapes, colours and backgrounds differ. What they \
share is learned. *Combine Motion Clips* keeps each clip with its own prompt; chain it for more \
than four. A folder of videos with caption files is shorter: *Motion Clips From Folder*.

{OWN.format(more="")}"""


def appearance_and_motion(definitions: Mapping[str, Any]) -> Graph:
    """Two clips, an adapter of each, and what both make."""
    graph = Graph(definitions)
    graph.note(0, APPEARANCE_AND_MOTION, "What this does", height=760)
    base = graph.node("SampleMotionBase", 1)
    other = _drawn(
        graph, 1, "The other clip", "bounce", "orange", "circle", "dotted", look="outlined"
    )
    moving = _learn_motion(graph, base, "mixed-motion")
    seen = "an orange circle on a dotted background"
    clip = _clip(graph, 2, other.out("clip"), seen, title="Motion Clip (appearance)")
    looking = _train(graph, 3, base, clip, "mixed-appearance", seen, **LOOKS_TRAIN)
    save = _blended(
        graph,
        base,
        moving[1],
        looking,
        "an orange circle zigzagging on a dotted background",
        "mixed",
        second_weight=2.0,
    )
    graph.group("1  The motion of one clip", [base, *moving], TEACH)
    graph.group("2  The appearance of another", [other, clip, looking], LOOKS)
    graph.group("3  Both together", save, PLAY)
    return graph


def image_animation(definitions: Mapping[str, Any]) -> Graph:
    """An image and a clip."""
    graph = Graph(definitions)
    graph.note(0, IMAGE_ANIMATION, "What this does", height=700)
    base = graph.node("SampleMotionBase", 1)
    other = _drawn(graph, 1, "The image", "zigzag", "purple", "circle", "striped", look="outlined")
    moving = _learn_motion(graph, base, "animating-motion")
    seen = "a purple circle on a striped background"
    clip = _clip(graph, 2, other.out("picture"), seen, title="Motion Clip (image)", frames=1)
    looking = _train(graph, 3, base, clip, "animated-image", seen, ONE_IMAGE, **LOOKS_TRAIN)
    save = _blended(
        graph,
        base,
        moving[1],
        looking,
        "a purple circle zigzagging on a striped background",
        "animated",
        0.5,
    )
    graph.group("1  The motion of a clip", [base, *moving], TEACH)
    graph.group("2  The appearance of an image", [other, clip, looking], LOOKS)
    graph.group("3  The image moves", save, PLAY)
    return graph


def camera_motion(definitions: Mapping[str, Any]) -> Graph:
    """A pan, and another subject that it films."""
    motion = "filmed by a panning camera"
    graph = Graph(definitions)
    graph.note(0, CAMERA_MOTION, "What this does", height=480)
    base = graph.node("SampleMotionBase", 1)
    drawn = _drawn(graph, 1, None, "camera-pan", "yellow", "triangle", "dotted")
    prompt = f"a yellow triangle {motion} on a dotted background"
    clip = _clip(graph, 2, drawn.out("clip"), prompt, INVERSION)
    new = f"a red square {motion} on a checkered background"
    train = _train(
        graph,
        3,
        base,
        clip,
        "pan",
        new,
        method=INVERSION,
    )
    played = _sample(graph, 4, base, train, new, "pan", INVERSION)
    graph.group("1  Train on the motion of a camera", [base, drawn, clip, train], TEACH)
    graph.group("2  It films another subject", played, PLAY)
    return graph


def several_clips(definitions: Mapping[str, Any]) -> Graph:
    """Three clips of a zigzag."""
    graph = Graph(definitions)
    graph.note(0, SEVERAL_CLIPS, "What this does", height=480)
    base = graph.node("SampleMotionBase", 1)
    drawn = [
        _drawn(graph, 1, None, "zigzag", *words)
        for words in (("yellow", "square", "black"), ("purple", "triangle", "striped"))
    ]
    sources = [base, *drawn]
    prompts = [
        CLIP_PROMPT,
        "a yellow square zigzagging on a black background",
        "a purple triangle zigzagging on a striped background",
    ]
    clips = [
        _clip(graph, 2, source.out("clip"), prompt)
        for source, prompt in zip(sources, prompts, strict=True)
    ]
    named: dict[str, Any] = {
        f"clips_{number}": clip.out("clips") for number, clip in enumerate(clips, 1)
    }
    both = graph.node("CombineMotionClips", 3, **named)
    several = Material(videos=len(clips), images=0)
    train = _train(graph, 3, base, both, "zigzag-of-three", NEW_PROMPT, several, steps=SHORT)
    played = _sample(graph, 4, base, train, NEW_PROMPT, "zigzag-of-three", DIRECTOR)
    graph.group("1  Train on what the clips share", [*sources, *clips, both, train], TEACH)
    graph.group("2  Apply it to another subject", played, PLAY)
    return graph


def _drawn(
    graph: Graph, column: int, title: str | None, motion: str, *words: str, look: str = "solid"
) -> Node:
    """Sample Motion Clip. words: colour, shape and background."""
    named: dict[str, Any] = dict(zip(("colour", "shape", "background"), words, strict=True))
    return graph.node("SampleMotionClip", column, title, motion=motion, look=look, **named)


def _clip(
    graph: Graph,
    column: int,
    source: Output,
    prompt: str,
    method: str = DIRECTOR,
    title: str | None = None,
    **given: Any,
) -> Node:
    suited = of_clip(BASE, method)
    return graph.node(
        "MotionClip", column, title, shows=340, suited=suited, video=source, prompt=prompt, **given
    )


def _train(
    graph: Graph,
    column: int,
    base: Node,
    clips: Node,
    name: str,
    prompt: str,
    material: Material = ONE_VIDEO,
    method: str = DIRECTOR,
    **settings: Any,
) -> Node:
    return graph.node(
        "TrainMotionAdapter",
        column,
        shows=510,
        suited=of_training(BASE, method, material),
        base=base.out("base"),
        clips=clips.out("clips"),
        objective=method,
        sample_prompt=prompt,
        name=name,
        **settings,
    )


def _learn_motion(graph: Graph, base: Node, name: str) -> tuple[Node, Node]:
    """Of the clip that the base brings."""
    clip = _clip(graph, 2, base.out("clip"), CLIP_PROMPT)
    return clip, _train(graph, 3, base, clip, name, NEW_PROMPT, steps=SHORT)


def _blended(
    graph: Graph,
    base: Node,
    motion: Node,
    appearance: Node,
    prompt: str,
    name: str,
    noise_prior: float = 0.0,
    second_weight: float = 1.0,
) -> list[Node]:
    """Blend Motions, Sample Motion Video, Save Video."""
    blend = graph.node(
        "BlendMotions",
        4,
        first=motion.out("adapter"),
        second=appearance.out("adapter"),
        blend=BLEND,
        second_weight=second_weight,
    )
    given = {"noise_prior": noise_prior, "adapter_end": 0.7}
    return [blend, *_sample(graph, 4, base, blend, prompt, name, DIRECTOR, **given)]


def _sample(
    graph: Graph,
    column: int,
    base: Node,
    motions: Node,
    prompt: str,
    name: str,
    method: str,
    **given: Any,
) -> list[Node]:
    """Sample Motion Video and Save Video."""
    output = "adapter" if motions.kind == "TrainMotionAdapter" else "motions"
    sample = graph.node(
        "SampleMotionVideo",
        column,
        suited=of_sample(BASE, method, width=64, height=64, frames=16),
        base=base.out("base"),
        motions=motions.out(output),
        prompt=prompt,
        seed=1,
        **given,
    )
    return [sample, save_video(graph, column + 1, sample, f"video/{name}")]
