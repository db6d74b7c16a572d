"""What suits a clip node, by the training that it is for, and a sampling node, by what it plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...motion_core.adapter_files.noise_file import noise_path
from ...motion_core.adapter_files.own import read_info
from ...motion_core.adapter_files.sample_defaults import SAMPLING, TrainedOn, sample_defaults
from ...motion_core.errors import MotionError
from ..clip_choices import own_rate
from ..version_0_1_0 import sampled_then
from .answer import Answer, Here
from .connected import base_of, clips_of, motions_of, trainings_of
from .of_training import training_at
from .prompt_graph import PromptGraph


def of_clip(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    """By the first training that it goes into."""
    trainings = (training_at(graph, training, here) for training in trainings_of(graph, node))
    training = next((training for training in trainings if training is not None), None)
    if training is None:
        return None
    values = {**training.usual.clip, **own_rate(graph.chosen(node))}
    return Answer(values=values, to=training.to)


def of_sampling(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    """By its base, and the motions that it plays."""
    base = base_of(graph, node)
    if base is None:
        return None
    motions = list(motions_of(graph, node))
    infos = [info for motion in motions if (info := _info(graph, motion, here))]
    values: dict[str, Any] = sample_defaults(
        base,
        infos,
        has_noise=any(_has_noise(graph, motion, here) for motion in motions),
        asked=graph.chosen(node),
    )
    to = {"base": base.name, "motions": len(infos)}
    return Answer(values=values, to=to, then=_then(graph, node, sampled_then(base), values))


_OF_BASE = ("steps", "guidance_scale", "adapter_end")


def _then(
    graph: PromptGraph, node: str, ran: Mapping[str, Any], suits: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Of the zeros of version 0.1.0 those that would not be what suits now. Sizes are: they were
    the motion's then too.
    """
    widgets = graph.widgets(node)
    zeros = [name for name in _OF_BASE if widgets.get(name, 1) == 0]
    return {name: ran[name] for name in zeros if ran[name] != suits[name]} or None


def _has_noise(graph: PromptGraph, motion: str, here: Here) -> bool:
    if graph.kind(motion) == "TrainMotionAdapter":
        return graph.widget(motion, "inversion_steps", 1) != 0
    path = _path(graph, motion, here)
    return path is not None and noise_path(path).is_file()


def _path(graph: PromptGraph, motion: str, here: Here) -> Path | None:
    return here.folders.adapter(str(graph.widget(motion, "adapter", "")))


@dataclass(frozen=True, kw_only=True)
class _WillBe:
    """Of a motion that is yet to be trained: what its file will say."""

    settings: Mapping[str, object]
    frames: int
    width: int
    height: int
    fps: float
    is_foreign: bool = False


def _info(graph: PromptGraph, motion: str, here: Here) -> TrainedOn | None:
    """What is known of a motion; None of another program's, and of one at strength 0."""
    if graph.kind(motion) == "TrainMotionAdapter":
        return _will_be(graph, motion, here)
    path = _path(graph, motion, here)
    if path is None or graph.widget(motion, "strength", 1.0) == 0:
        return None
    try:
        return read_info(path)
    except MotionError:
        return None


def _will_be(graph: PromptGraph, node: str, here: Here) -> TrainedOn | None:
    """As the first clip says; None where its size is the source's own."""
    training = training_at(graph, node, here)
    maker = next(iter(clips_of(graph, node)), None)
    if training is None or maker is None:
        return None
    clip = training.usual.clip
    size = {n: graph.widget(maker, n, clip[n]) for n in ("frames", "width", "height")}
    if not all(size.values()):
        return None
    rate = graph.widget(maker, "fps", clip["fps"]) or clip["fps"]
    return _WillBe(settings={SAMPLING: training.usual.sample}, fps=rate, **size)
