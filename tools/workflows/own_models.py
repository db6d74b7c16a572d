"""Workflows with the user's own models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motion_core.bases import base_defaults

from .graph import Graph, Node, Output
from .sample_base import PLAY, TEACH, ksampler, save_video
from .suited import of_clip, of_sample, of_training

LOAD = "#594f3f"
HUGGING_FACE = "https://huggingface.co"
CHECKPOINT = {
    "name": "v1-5-pruned-emaonly-fp16.safetensors",
    "url": f"{HUGGING_FACE}/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/"
    "v1-5-pruned-emaonly-fp16.safetensors",
    "directory": "checkpoints",
}
COMMUNITY = {
    "name": "dreamshaper_8.safetensors",
    "url": f"{HUGGING_FACE}/Lykon/DreamShaper/resolve/main/DreamShaper_8_pruned.safetensors",
    "directory": "checkpoints",
}
MOTION_MODULE = {
    "name": "v3_sd15_mm.ckpt",
    "url": f"{HUGGING_FACE}/guoyww/animatediff/resolve/main/v3_sd15_mm.ckpt",
    "directory": "animatediff_models",
}
ANIMATELCM = {
    "name": "AnimateLCM_sd15_t2v.ckpt",
    "url": f"{HUGGING_FACE}/wangfuyun/AnimateLCM/resolve/main/AnimateLCM_sd15_t2v.ckpt",
    "directory": "animatediff_models",
}
ANIMATELCM_LORA = {
    "name": "AnimateLCM_sd15_t2v_lora.safetensors",
    "url": f"{HUGGING_FACE}/wangfuyun/AnimateLCM/resolve/main/AnimateLCM_sd15_t2v_lora.safetensors",
    "directory": "loras",
}
METHOD = "motion-director"
# A name is the widget's value, by which the page finds the entry.
ZEROSCOPE = {
    "name": "text2video/text2video_pytorch_model.pth",
    "url": f"{HUGGING_FACE}/cerspense/zeroscope_v2_576w/resolve/main/zs2_576w/"
    "text2video_pytorch_model.pth",
    "directory": "text2video",
}
ZEROSCOPE_TEXT = {
    "name": "open_clip_pytorch_model.bin",
    "url": f"{HUGGING_FACE}/cerspense/zeroscope_v2_576w/resolve/main/zs2_576w/"
    "open_clip_pytorch_model.bin",
    "directory": "text_encoders",
}
ZEROSCOPE_VAE = {
    "name": "vae-ft-mse-840000-ema-pruned.safetensors",
    "url": f"{HUGGING_FACE}/stabilityai/sd-vae-ft-mse-original/resolve/main/"
    "vae-ft-mse-840000-ema-pruned.safetensors",
    "directory": "vae",
}
VIDEO = "my-clip.mp4"
LEARNED = "my-motion.safetensors"
CLIP_PROMPT = "a red car turns left on a road"
NEW_PROMPT = "a panda riding a bicycle turns left on a beach, golden hour, detailed"
NEGATIVE = "blurry, low quality, watermark, text"

MODELS = f"""\
**Files**
- checkpoint (Stable Diffusion 1.5): `models/checkpoints/{CHECKPOINT["name"]}`, or any other
- motion module: `models/animatediff_models/{MOTION_MODULE["name"]}` \
([download]({MOTION_MODULE["url"]}))
"""
TRAIN_NOTE = f"""\
## Train a motion on AnimateDiff

1. *Load Video*: your clip, two to four seconds with **one** clear motion.
2. *Motion Clip*: describe the clip in `prompt`, including its motion. The picture below it is \
what the training sees: 16 frames. If the motion is longer, \
lower `fps`: at 4, they are four seconds.
3. *Train Motion Adapter*: press Run. If you run out of memory, set `memory` = low, then try \
384x384. The panel shows loss and samples; Cancel keeps the progress, and Run resumes.
4. The video on the right applies the motion to the prompt of *Sample Motion Video*.

The saved file is a motion LoRA: AnimateDiff-Evolved and diffusers can load it too. It works with \
**any** Stable Diffusion 1.5 checkpoint: see *Apply a motion to your checkpoint*.

{MODELS}
"""
APPLY_NOTE = f"""\
## Apply a trained motion to a community checkpoint

1. *Load Checkpoint*: any Stable Diffusion 1.5 checkpoint.
2. *Load Motion LoRA/Embedding*: an adapter that you trained, an AnimateDiff motion LoRA, or a \
file from the official MotionDirector or Motion Inversion. Chain it to combine several.
3. *Apply Motion to AnimateDiff*: choose the motion module that the adapter was trained on.
4. Prompt: the motion in words, with your subject. The batch size of the latent is the number of \
frames, 16 at best.

**If there is little motion**, raise `temporal_strength` to 1.3; **if the appearance suffers**, \
lower `end_percent` to 0.7. For more than 32 frames, add *Context Windows (Manual)* after the node \
(length 16, overlap 4).

{MODELS}
"""
FEW_STEPS_NOTE = f"""\
## A trained motion in six steps

AnimateLCM samples in 4 to 8 steps instead of 25, and without a strong guidance.

1. *Load Checkpoint* and *Load LoRA*: any Stable Diffusion 1.5 checkpoint, with AnimateLCM's LoRA.
2. *Load Motion LoRA/Embedding*: your adapter. Those of AnimateDiff v2 fit best, as AnimateLCM has \
its layers; if there is little motion, raise `temporal_strength`.
3. *Apply Motion to AnimateDiff*: AnimateLCM's motion module; its timesteps are set by themselves.
4. *KSampler*: 6 steps, `cfg` 2, sampler **lcm**, scheduler **sgm_uniform**.

**AnimateDiff-Lightning**: its motion module, no LoRA, sampler euler, scheduler sgm_uniform, `cfg` \
1, and as many steps as its file's name says. **An LCM LoRA** with your usual motion module: load \
the LoRA, add *ModelSamplingDiscrete* (lcm), and leave the KSampler as it is.

**Files**
- motion module: `models/animatediff_models/{ANIMATELCM["name"]}` ([download]({ANIMATELCM["url"]}))
- LoRA: `models/loras/{ANIMATELCM_LORA["name"]}` ([download]({ANIMATELCM_LORA["url"]}))
"""
ZEROSCOPE_NOTE = f"""\
## Train a motion on ZeroScope

1. *Load ZeroScope* needs three files: the model in `models/text2video` \
([download]({ZEROSCOPE["url"]})), its text encoder in `models/text_encoders` \
([download]({ZEROSCOPE_TEXT["url"]})) and a Stable Diffusion 1.5 VAE in `models/vae` \
([download]({ZEROSCOPE_VAE["url"]})). The folder in diffusers format \
(https://huggingface.co/cerspense/zeroscope_v2_576w) in `models/diffusers` has all three: choose \
it as the model, and "its own" for the others.
2. *Load Video*: your clip. 3. *Motion Clip*: describe the clip. 4. Press Run.

The upper video comes from *Sample Motion Video*, which samples the way the paper does; the lower \
one from the regular **KSampler**, on the same MODEL with the adapter applied: there, ComfyUI's \
ControlNet-like patches, samplers and context windows work.

If you run out of memory, set `memory` = low, then try 256x256 first.

**Licence:** ZeroScope is CC-BY-NC-4.0, and so are the adapters you train on it: no commercial use.
"""
EVOLVED_NOTE = f"""\
## Needs AnimateDiff-Evolved

Applies an adapter to a MODEL from **AnimateDiff-Evolved**. That pack's own *Load AnimateDiff \
LoRA* can load AnimateDiff LoRAs as well; this node also supports full weights (MotionCrafter) and \
embeddings (Motion Inversion).

Install `ComfyUI-AnimateDiff-Evolved` from the manager. For a graph without it, see \
*Apply a motion to your checkpoint*.

{MODELS}
"""
HELPER_NOTE = f"""\
## Needs VideoHelperSuite

Like *Learn a motion from your video*, with *Load Video* and *Video Combine* from \
**VideoHelperSuite**: it cuts, resizes and skips frames while loading, and saves GIF, WebP and more.

`force_rate` 8 gives the clip the frame rate that the base models were trained at; 16 frames are \
then 2 seconds. Set `image_fps` in *Motion Clip* to the same rate.

{MODELS}
"""


def train_on_your_checkpoint(definitions: Mapping[str, Any]) -> Graph:
    """A connected checkpoint with a motion module, trained and sampled."""
    graph = Graph(definitions)
    graph.note(0, TRAIN_NOTE, "What to do", height=760)
    base, loaded = base_from_checkpoint(graph)
    video = graph.node("LoadVideo", 2, shows=300, file=VIDEO)
    clip, train = learn(graph, video.out("VIDEO"), base.out("base"), "animatediff")
    sample = graph.node(
        "SampleMotionVideo",
        4,
        suited=sampled("animatediff"),
        base=base.out("base"),
        motions=train.out("adapter"),
        prompt=NEW_PROMPT,
        negative_prompt=NEGATIVE,
        seed=1,
    )
    save = save_video(graph, 5, sample, "video/my-motion")
    graph.group("1  Models", loaded, LOAD)
    graph.group("2  Train on the motion of your clip", [video, clip, train], TEACH)
    graph.group("3  Apply it", [sample, save], PLAY)
    return graph


def apply_in_a_community_checkpoint(definitions: Mapping[str, Any]) -> Graph:
    """A saved motion in the KSampler."""
    graph = Graph(definitions)
    graph.note(0, APPLY_NOTE, "What to do", height=700)
    checkpoint = graph.node(
        "CheckpointLoaderSimple", 1, models=[COMMUNITY], ckpt_name=COMMUNITY["name"]
    )
    motion = graph.node("LoadMotionAdapter", 1, adapter=LEARNED)
    apply = graph.node(
        "ApplyMotionToAnimateDiff",
        2,
        models=[MOTION_MODULE],
        model=checkpoint.out("MODEL"),
        adapters=motion.out("motions"),
        motion_module=MOTION_MODULE["name"],
    )
    _frames_of(graph, apply, checkpoint, "video/community", "normal", 25, 7.5)
    graph.group("1  Checkpoint and motion", [checkpoint, motion, apply], LOAD)
    graph.group("2  Sample", _from_column(graph, 3), PLAY)
    return graph


def few_steps(definitions: Mapping[str, Any]) -> Graph:
    """A saved motion in six steps of the KSampler, by AnimateLCM."""
    graph = Graph(definitions)
    graph.note(0, FEW_STEPS_NOTE, "What to do", height=760)
    checkpoint = graph.node(
        "CheckpointLoaderSimple", 1, models=[COMMUNITY], ckpt_name=COMMUNITY["name"]
    )
    lora = graph.node(
        "LoraLoaderModelOnly",
        1,
        models=[ANIMATELCM_LORA],
        model=checkpoint.out("MODEL"),
        lora_name=ANIMATELCM_LORA["name"],
        strength_model=1.0,
    )
    motion = graph.node("LoadMotionAdapter", 1, adapter=LEARNED)
    apply = graph.node(
        "ApplyMotionToAnimateDiff",
        2,
        models=[ANIMATELCM],
        model=lora.out("MODEL"),
        adapters=motion.out("motions"),
        motion_module=ANIMATELCM["name"],
    )
    base = base_defaults("animatediff", ANIMATELCM["name"])
    how = ("sgm_uniform", base.sample_steps, base.guidance_scale, "lcm")
    _frames_of(graph, apply, checkpoint, "video/few-steps", *how)
    graph.group("1  Checkpoint and motion", [checkpoint, lora, motion, apply], LOAD)
    graph.group("2  Sample in six steps", _from_column(graph, 3), PLAY)
    return graph


def _frames_of(graph: Graph, model: Node, checkpoint: Node, prefix: str, *how: Any) -> None:
    """Sampled at Stable Diffusion's size and saved, from column 3 on. how: as `ksampler` has it."""
    size = (512, 512, 16)
    frames = ksampler(graph, 3, model, checkpoint, NEW_PROMPT, NEGATIVE, size, *how)
    core_video(graph, 5, frames, prefix)


def _from_column(graph: Graph, column: int) -> list[Node]:
    return [node for node in graph.nodes if node.column >= column]


def zeroscope(definitions: Mapping[str, Any]) -> Graph:
    """Trained, then sampled both ways."""
    graph = Graph(definitions)
    graph.note(0, ZEROSCOPE_NOTE, "What to do", height=560)
    base = graph.node(
        "LoadZeroScope",
        1,
        models=[ZEROSCOPE, ZEROSCOPE_VAE, ZEROSCOPE_TEXT],
        model=ZEROSCOPE["name"],
        vae=ZEROSCOPE_VAE["name"],
        text_encoder=ZEROSCOPE_TEXT["name"],
    )
    video = graph.node("LoadVideo", 1, shows=300, file=VIDEO)
    clip, train = learn(graph, video.out("VIDEO"), base.out("base"), "zeroscope")
    sample = graph.node(
        "SampleMotionVideo",
        4,
        suited=sampled("zeroscope"),
        base=base.out("base"),
        motions=train.out("adapter"),
        prompt=NEW_PROMPT,
        seed=1,
    )
    apply = graph.node(
        "ApplyMotionToZeroScope",
        4,
        model=base.out("MODEL"),
        adapters=train.out("adapter"),
    )
    frames = ksampler(graph, 5, apply, base, NEW_PROMPT, "", (384, 384, 16), "normal", 30, 12.0)
    save = save_video(graph, 7, sample, "video/zeroscope")
    core_video(graph, 7, frames, "video/zeroscope-ksampler")
    graph.group("1  Model, clip, training", [base, video, clip, train], TEACH)
    played = [node for node in graph.nodes if node.column in (4, 5, 6, 7)]
    graph.group("2  Apply it, in two ways", [*played, save], PLAY)
    return graph


def animatediff_evolved(definitions: Mapping[str, Any]) -> Graph:
    """A saved motion in a MODEL of AnimateDiff-Evolved."""
    graph = Graph(definitions)
    graph.note(0, EVOLVED_NOTE, "Needs AnimateDiff-Evolved", height=520)
    checkpoint = graph.node(
        "CheckpointLoaderSimple", 1, models=[COMMUNITY], ckpt_name=COMMUNITY["name"]
    )
    module = graph.node(
        "ADE_LoadAnimateDiffModel", 1, models=[MOTION_MODULE], model_name=MOTION_MODULE["name"]
    )
    applied = graph.node(
        "ADE_ApplyAnimateDiffModelSimple", 1, motion_model=module.out("MOTION_MODEL")
    )
    motion = graph.node("LoadMotionAdapter", 2, adapter=LEARNED)
    evolved = graph.node(
        "ADE_UseEvolvedSampling",
        2,
        model=checkpoint.out("MODEL"),
        m_models=applied.out("M_MODELS"),
        beta_schedule="autoselect",
    )
    apply = graph.node(
        "ApplyMotionToAnimateDiffEvolved",
        2,
        model=evolved.out("MODEL"),
        adapters=motion.out("motions"),
    )
    frames = ksampler(
        graph, 3, apply, checkpoint, NEW_PROMPT, NEGATIVE, (512, 512, 16), "normal", 25, 7.5
    )
    core_video(graph, 5, frames, "video/evolved")
    loaded = [node for node in graph.nodes if node.column in (1, 2)]
    graph.group("1  Models and motion", loaded, LOAD)
    graph.group("2  Sample", [node for node in graph.nodes if node.column > 2], PLAY)
    return graph


def video_helper_suite(definitions: Mapping[str, Any]) -> Graph:
    """Training with VideoHelperSuite's nodes for video in and out."""
    graph = Graph(definitions)
    graph.note(0, HELPER_NOTE, "Needs VideoHelperSuite", height=560)
    base, loaded = base_from_checkpoint(graph)
    video = graph.node(
        "VHS_LoadVideo",
        2,
        shows=300,
        video=VIDEO,
        force_rate=8.0,
        frame_load_cap=32,
    )
    clip, train = learn(graph, video.out("IMAGE"), base.out("base"), "animatediff")
    sample = graph.node(
        "SampleMotionVideo",
        4,
        suited=sampled("animatediff"),
        base=base.out("base"),
        motions=train.out("adapter"),
        prompt=NEW_PROMPT,
        negative_prompt=NEGATIVE,
        seed=1,
    )
    combine = graph.node(
        "VHS_VideoCombine",
        5,
        shows=300,
        images=sample.out("frames"),
        frame_rate=8.0,
        filename_prefix="my-motion",
        format="image/gif",
    )
    graph.group("1  Models", loaded, LOAD)
    graph.group("2  Train on the motion of your clip", [video, clip, train], TEACH)
    graph.group("3  Apply it", [sample, combine], PLAY)
    return graph


def base_from_checkpoint(graph: Graph) -> tuple[Node, list[Node]]:
    """A connected checkpoint as a base; the base, and all nodes of it."""
    checkpoint = graph.node(
        "CheckpointLoaderSimple", 1, models=[CHECKPOINT], ckpt_name=CHECKPOINT["name"]
    )
    base = graph.node(
        "AnimateDiffBaseFromModel",
        1,
        models=[MOTION_MODULE],
        model=checkpoint.out("MODEL"),
        clip=checkpoint.out("CLIP"),
        vae=checkpoint.out("VAE"),
        motion_module=MOTION_MODULE["name"],
    )
    return base, [checkpoint, base]


def sampled(name: str) -> dict[str, Any]:
    """What suits the sample of an adapter whose clip suits its base."""
    size = of_clip(name, METHOD)
    return of_sample(name, METHOD, **{n: size[n] for n in ("frames", "width", "height")})


def learn(graph: Graph, video: Output, base: Output, name: str) -> tuple[Node, Node]:
    """Motion Clip and Train Motion Adapter in columns 2 and 3. name: of the base."""
    clip = graph.node(
        "MotionClip",
        2,
        shows=340,
        suited=of_clip(name, METHOD),
        video=video,
        prompt=CLIP_PROMPT,
    )
    train = graph.node(
        "TrainMotionAdapter",
        3,
        shows=510,
        suited=of_training(name, METHOD),
        base=base,
        clips=clip.out("clips"),
        sample_prompt=NEW_PROMPT,
        sample_every=100,
        name="my-motion",
    )
    return clip, train


def core_video(graph: Graph, column: int, frames: Node, prefix: str) -> Node:
    """Create Video and Save Video, both of ComfyUI itself."""
    video = graph.node("CreateVideo", column, images=frames.out("IMAGE"), fps=8.0)
    return graph.node(
        "SaveVideo", column, shows=330, video=video.out("VIDEO"), filename_prefix=prefix
    )
