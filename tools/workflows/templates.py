"""What ComfyUI's template browser calls the workflows, in the order in which it lists them.

ComfyUI reads an index of titles for its own templates only; those of a pack it lists by the names
of their files. So the index goes to `web/templates/`, in the form of ComfyUI's own, and
web/templates.js hands it to the page. (An `index.json` in `workflows/` would be listed as one more
workflow.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOVING, STILL = "webp", "jpg"
ENGLISH, CHINESE = "en", "zh"


@dataclass(frozen=True)
class Told:
    """title, description: what a person reads, by language."""

    title: Mapping[str, str]
    description: Mapping[str, str]


def _told(title: str, chinese: str, description: str, described: str) -> Told:
    return Told({ENGLISH: title, CHINESE: chinese}, {ENGLISH: description, CHINESE: described})


TEMPLATES: Mapping[str, Told] = {
    "sample-base-motion-director": _told(
        "Learn a motion",
        "学习一种运动",
        "Start here: train a motion and apply it to another subject. Nothing to download, minutes "
        "on a CPU. MotionDirector.",
        "从这里开始：训练一种运动，再应用到另一个主体。无需下载，CPU 上几分钟即可。"
        "方法：MotionDirector。",
    ),
    "train-on-your-checkpoint": _told(
        "Learn a motion from your video",
        "从自己的视频学习运动",
        "Train on AnimateDiff with your Stable Diffusion 1.5 checkpoint, and apply the motion.",
        "使用您的 Stable Diffusion 1.5 模型在 AnimateDiff 上训练，并应用学到的运动。",
    ),
    "apply-in-a-community-checkpoint": _told(
        "Apply a motion to your checkpoint",
        "将运动应用到自己的模型",
        "Use a trained adapter or a motion LoRA with any Stable Diffusion 1.5 checkpoint in the "
        "KSampler.",
        "在 KSampler 中将训练好的适配器或运动 LoRA 用于任意 Stable Diffusion 1.5 模型。",
    ),
    "apply-in-six-steps": _told(
        "Apply a motion in six steps",
        "用六步应用运动",
        "Use a trained adapter with AnimateLCM, AnimateDiff-Lightning or an LCM LoRA.",
        "将训练好的适配器与 AnimateLCM、AnimateDiff-Lightning 或 LCM LoRA 一起使用。",
    ),
    "sample-base-community-checkpoint": _told(
        "Apply a motion to another checkpoint",
        "将运动应用到另一个模型",
        "Train on one bundled checkpoint, apply to another one with the KSampler. Nothing to "
        "download.",
        "在一个内置模型上训练，用 KSampler 应用到另一个模型。无需下载。",
    ),
    "sample-base-several-clips": _told(
        "Learn one motion from several clips",
        "从多个片段学习一种运动",
        "Clips that share a motion make it independent of what they show. Nothing to download.",
        "多个具有相同运动的片段，让运动不依赖于画面内容。无需下载。",
    ),
    "sample-base-camera-motion": _told(
        "Learn a camera motion",
        "学习镜头运动",
        "Train the movement of the camera instead of a subject's. Nothing to download.",
        "训练镜头的运动，而不是主体的运动。无需下载。",
    ),
    "sample-base-image-animation": _told(
        "Animate an image with a motion",
        "让图像按某种运动动起来",
        "Train the appearance of an image and the motion of a clip, and apply both. Nothing to "
        "download.",
        "训练图像的外观和片段的运动，并同时应用。无需下载。",
    ),
    "sample-base-appearance-and-motion": _told(
        "Combine an appearance and a motion",
        "组合外观与运动",
        "The appearance comes from one clip, the motion from another. Nothing to download.",
        "外观来自一个片段，运动来自另一个片段。无需下载。",
    ),
    "sample-base-motion-inversion": _told(
        "Learn a motion: Motion Inversion",
        "学习一种运动：Motion Inversion",
        "Trains embeddings and leaves all weights unchanged. Nothing to download.",
        "训练嵌入，不改变任何权重。无需下载。",
    ),
    "sample-base-motion-crafter": _told(
        "Learn a motion: MotionCrafter",
        "学习一种运动：MotionCrafter",
        "Trains the temporal layers and keeps the clip's appearance out. Nothing to download.",
        "训练时间层，同时避免带入片段的外观。无需下载。",
    ),
    "sample-base-motrans": _told(
        "Learn a motion: MoTrans",
        "学习一种运动：MoTrans",
        "Trains appearance first, then the motion, tied to the verb. Nothing to download.",
        "先训练外观，再训练运动，并与动词绑定。无需下载。",
    ),
    "zeroscope-train-and-sample": _told(
        "Learn a motion on ZeroScope",
        "在 ZeroScope 上学习运动",
        "Train on ZeroScope, and apply the motion in two ways. Non-commercial licence.",
        "在 ZeroScope 上训练，并用两种方式应用。非商业许可。",
    ),
    "train-with-videohelpersuite": _told(
        "Learn a motion with VideoHelperSuite",
        "使用 VideoHelperSuite 学习运动",
        "Needs VideoHelperSuite, whose nodes cut, resize and skip frames while loading.",
        "需要 VideoHelperSuite，可在加载时裁剪、缩放和跳帧。",
    ),
    "apply-with-animatediff-evolved": _told(
        "Apply a motion with AnimateDiff-Evolved",
        "使用 AnimateDiff-Evolved 应用运动",
        "Needs AnimateDiff-Evolved: applies an adapter to its MODEL.",
        "需要 AnimateDiff-Evolved：将适配器应用到它的 MODEL。",
    ),
}


def in_order(names: Iterable[str]) -> list[str]:
    """As they are declared; KeyError for one that is not."""
    places = {name: place for place, name in enumerate(TEMPLATES)}
    return sorted(names, key=places.__getitem__)


def index(names: Iterable[str], folder: Path, language: str) -> list[dict[str, Any]]:
    """The index of some workflows, as ComfyUI's own index.json has a category.

    folder: of the thumbnails; NAME.webp, which moves, goes before NAME.jpg.
    """
    templates = [_entry(name, TEMPLATES[name], folder, language) for name in in_order(names)]
    return [{"title": "Motion Adapters", "type": "video", "templates": templates}]


def _entry(name: str, told: Told, folder: Path, language: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": told.title[language],
        "description": told.description[language],
        "mediaType": "image",
        "mediaSubtype": MOVING if (folder / f"{name}.{MOVING}").is_file() else STILL,
    }
