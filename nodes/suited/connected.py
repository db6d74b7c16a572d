"""What a node of a prompt is connected to: its base, its clips, its motions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...motion_core.bases import BaseDefaults, base_defaults
from ...motion_core.methods.defaults import ONE_VIDEO, Material
from ...motion_core.video.kinds import kind_of, media_in
from ..host.base_names import base_name
from .prompt_graph import PromptGraph

ONE_IMAGE = Material(videos=0, images=1)
PICTURES = "pictures of one subject"
"""What Motion Clips From Folder calls images that are no frames."""
# Outputs that are a single image, by the node's class and their place.
_STILLS = (("LoadImage", 0), ("SampleMotionClip", 1))
# Inputs that hand motions on.
_MOTIONS = ("motions", "first", "second", "adapters")


@dataclass(frozen=True, kw_only=True)
class FolderOf:
    """Where files lie that a prompt names. media: of Motion Clips From Folder. adapter: of a
    loader's list; None where there is none of that name.
    """

    media: Callable[[str], Path]
    adapter: Callable[[str], Path | None]


def base_of(graph: PromptGraph, node: str) -> BaseDefaults | None:
    """Of the node's input `base`; None where it cannot be told."""
    source = graph.source(node, "base")
    if source is None:
        return None
    widgets = graph.widgets(source)
    name = base_name(graph.kind(source), widgets)
    return None if name is None else base_defaults(name, widgets.get("motion_module"))


def clips_of(graph: PromptGraph, node: str) -> list[str]:
    """The nodes that make the clips of the node's inputs, through those that combine them."""
    makers: list[str] = []
    for source in graph.sources(node, "clips"):
        further = clips_of(graph, source)
        makers += further or [source]
    return makers


def material_of(graph: PromptGraph, node: str, folders: FolderOf) -> Material:
    """Of the clips; a node that cannot be counted is one video, as most are."""
    each = [_made(graph, maker, folders) for maker in dict.fromkeys(clips_of(graph, node))]
    if not each:
        return ONE_VIDEO
    return Material(
        videos=sum(made.videos for made in each),
        images=sum(made.images for made in each),
        frames=next((made.frames for made in each if made.frames is not None), None),
        prompts=tuple(dict.fromkeys(prompt for made in each for prompt in made.prompts)),
    )


def trainings_of(graph: PromptGraph, node: str) -> Iterator[str]:
    """The training nodes that the node's output goes into, through those that combine clips."""
    for user, name in graph.users(node):
        if graph.kind(user) == "TrainMotionAdapter":
            yield user
        elif name.startswith("clips"):
            yield from trainings_of(graph, user)


def motions_of(graph: PromptGraph, node: str) -> Iterator[str]:
    """The nodes that load or train what is applied, in the order in which it is."""
    for name in _MOTIONS:
        source = graph.source(node, name)
        if source is not None:
            yield from motions_of(graph, source)
            if graph.kind(source) in ("LoadMotionAdapter", "TrainMotionAdapter"):
                yield source


def _made(graph: PromptGraph, maker: str, folders: FolderOf) -> Material:
    kind = graph.kind(maker)
    if kind == "MotionClip":
        frames = graph.widget(maker, "frames")
        still = frames == 1 or graph.output(maker, "video") in _STILLS
        prompt = str(graph.widget(maker, "prompt", "")).strip()
        prompts = (prompt,) if prompt else ()
        return ONE_IMAGE if still else replace(ONE_VIDEO, frames=frames, prompts=prompts)
    folder = str(graph.widget(maker, "folder", "")).strip()
    if kind == "MotionClipsFromFolder" and folder:
        return _found(folders.media(folder), graph.widget(maker, "images") == PICTURES)
    return ONE_VIDEO


def _found(path: Path, pictures: bool) -> Material:
    """What the node makes of it: images are the frames of one video, or pictures."""
    if not path.is_dir():
        return ONE_IMAGE if path.is_file() and kind_of(path) == "image" else ONE_VIDEO
    media = media_in(path)
    if pictures:
        return Material(videos=0, images=len(media.images))
    if media.videos:
        return Material(videos=len(media.videos), images=0)
    return ONE_IMAGE if len(media.images) == 1 else ONE_VIDEO
