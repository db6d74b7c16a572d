"""What suits each node of a prompt, by its input: the same that runs where the input is left out.

In: a prompt, where its files lie, and what words become here. Out: an answer for each node that
can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...motion_core.adapter_files.noise_file import noise_path
from ...motion_core.adapter_files.own import read_info
from ...motion_core.adapter_files.sample_defaults import SAMPLING, TrainedOn, sample_defaults
from ...motion_core.bases import BaseDefaults
from ...motion_core.errors import MotionError
from ...motion_core.methods import METHODS
from ...motion_core.methods.defaults import Material
from ...motion_core.settings import Field, fields_of, to_mapping
from ...motion_core.training.settings import TrainSettings
from ...motion_core.training.suited import Suited, suited
from ..runs.settings import Given, LeftOut, MethodSettings, configured
from ..version_0_1_0 import MARK, Then, given_then, is_of_then, values_then, without_left_alone
from ..widget_values import Widget, given, widget_value
from .connected import FolderOf, base_of, clips_of, material_of, motions_of, trainings_of
from .prompt_graph import PromptGraph

MENU = "objective"
SETTINGS_NODES = {method.Settings.__name__: name for name, method in METHODS.items()}
# Of the training node's own inputs, those that depend on base, method and clips.
OF_TRAINING = ("steps", "learning_rate")
_TRAIN = {field.name: field for field in fields_of(TrainSettings)}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """values: of the node's widgets, by input. to: whom they suit, by name. becomes: what its
    words mean here, by input. then: of a node of version 0.1.0, the values that ran.
    """

    values: Mapping[str, Widget]
    to: Mapping[str, str | int]
    becomes: Mapping[str, str] = field(default_factory=dict)
    then: Mapping[str, Widget] | None = None


@dataclass(frozen=True, kw_only=True)
class Here:
    """folders: see `FolderOf`. precision: what "auto" is on this machine."""

    folders: FolderOf
    precision: str


def answers(
    prompt: Mapping[str, Any], here: Here, touched: Mapping[str, Sequence[str]] | None = None
) -> dict[str, dict[str, Any]]:
    """By node; nodes whose base cannot be told have none. touched: see `PromptGraph`: what suits
    may depend on it, as a LoRA has another learning rate than whole weights.
    """
    graph = PromptGraph(prompt, touched or {})
    found = {node: _answer(graph, node, here) for node in prompt}
    return {node: asdict(answer) for node, answer in found.items() if answer is not None}


def _answer(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    kind = graph.kind(node)
    if kind in SETTINGS_NODES:
        training = next((user for user, name in graph.users(node) if name == "advanced"), None)
        return None if training is None else _of_settings(graph, node, training, here)
    told = _KINDS.get(kind)
    return None if told is None else told(graph, node, here)


@dataclass(frozen=True, kw_only=True)
class _Training:
    """A training node of the prompt. untouched: what would suit it if nothing had been set. usual:
    what suits it beside what was.
    """

    graph: PromptGraph
    node: str
    base: BaseDefaults
    method: str
    untouched: Suited
    usual: Suited
    to: Mapping[str, Any]

    @property
    def main(self) -> dict[str, Field]:
        """The method's settings that the training node has, by input."""
        fields = fields_of(METHODS[self.method].Settings)
        return {f"{MENU}.{field.name}": field for field in fields if field.said.main}


def _training(graph: PromptGraph, node: str, here: Here) -> _Training | None:
    base = base_of(graph, node)
    method = str(graph.widget(node, MENU, next(iter(METHODS)))).replace("-", "_")
    if base is None or method not in METHODS:
        return None
    material = material_of(graph, node, here.folders)
    counts = {"videos": material.videos, "images": material.images}
    return _Training(
        graph=graph,
        node=node,
        base=base,
        method=method,
        untouched=_suited(method, base, material, {}),
        usual=_suited(method, base, material, _chosen(graph, node, method)),
        to={"base": base.name, "method": method.replace("_", "-"), **counts},
    )


def _suited(
    method: str, base: BaseDefaults, material: Material, chosen: Mapping[str, object]
) -> Suited:
    """Without the prompts where one of them says no motion: the run itself says so."""
    try:
        return suited(METHODS[method], base, material, chosen)
    except MotionError:
        return suited(METHODS[method], base, replace(material, prompts=()), chosen)


def _chosen(graph: PromptGraph, node: str, method: str) -> dict[str, object]:
    """The method's settings that a person has set, on the node or on its settings node."""
    fields = fields_of(METHODS[method].Settings)
    own = {name.removeprefix(f"{MENU}."): v for name, v in graph.chosen(node).items()}
    settings = graph.source(node, "advanced")
    more = {} if settings is None else graph.chosen(settings)
    return given(fields, {**more, **own})


def _of_training(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    training = _training(graph, node, here)
    if training is None:
        return None
    of_then = is_of_then(graph.inputs(node))
    lighter = "low" if training.usual.train["checkpointing"] else "fast"
    values = _on_training(training, training.usual)
    before = _on_training(training, training.untouched)
    return Answer(
        values={**values, **{name: before[name] for name in graph.chosen(node) if name in before}},
        to=training.to,
        becomes={"precision": here.precision, "memory": lighter},
        then=_on_training(training, _ran_then(training)) if of_then else None,
    )


def _on_training(training: _Training, values: LeftOut) -> dict[str, Widget]:
    method = {name: widget_value(f, values.settings[f.name]) for name, f in training.main.items()}
    return {
        **method,
        **{name: widget_value(_TRAIN[name], values.train[name]) for name in OF_TRAINING},
        "inversion_steps": values.inversion_steps,
        "sample_steps": values.sample["steps"],
        "sample_guidance": values.sample["guidance_scale"],
    }


def _of_settings(graph: PromptGraph, node: str, training_node: str, here: Here) -> Answer | None:
    training = _training(graph, training_node, here)
    if training is None or training.method != SETTINGS_NODES[graph.kind(node)]:
        return None
    of_then = graph.widget(node, MARK, True) is False
    values = _on_settings(training, training.usual)
    before = _on_settings(training, training.untouched)
    return Answer(
        values={**values, **{name: before[name] for name in graph.chosen(node) if name in before}},
        to=training.to,
        then=_on_settings(training, _ran_then(training)) if of_then else None,
    )


def _on_settings(training: _Training, values: LeftOut) -> dict[str, Widget]:
    own = fields_of(METHODS[training.method].Settings)
    train = [field for field in _TRAIN.values() if not field.said.main]
    return {
        **{field.name: widget_value(field, values.settings[field.name]) for field in own},
        **{field.name: widget_value(field, values.train[field.name]) for field in train},
    }


def _ran_then(training: _Training) -> Then:
    """What the two nodes meant in version 0.1.0; a rate that was the method's own is the one that
    suits now, as those have not changed.
    """
    graph, node, name = training.graph, training.node, training.method
    widgets = graph.widgets(node)
    menu = {key.removeprefix(f"{MENU}."): value for key, value in widgets.items()}
    fields = [field for field in training.main.values() if field.name in menu]
    said = Given(
        method=name,
        settings=given_then("settings", name, fields, menu),
        train=given([_TRAIN[n] for n in OF_TRAINING], without_left_alone(widgets)),
        advanced=_advanced(training),
    )
    then = values_then(name, training.base)
    method, train = configured(said, then)
    ran = {n: v for n, v in to_mapping(train).items() if v is not None or n not in _RATES}
    return replace(
        then,
        settings=to_mapping(method.settings),
        train={**training.usual.train, **ran},
        inversion_steps=widgets.get("inversion_steps", then.inversion_steps),
    )


_RATES = ("learning_rate", "weight_decay")


def _advanced(training: _Training) -> MethodSettings | None:
    node = training.graph.source(training.node, "advanced")
    if node is None or SETTINGS_NODES.get(training.graph.kind(node)) != training.method:
        return None
    widgets, name = training.graph.widgets(node), training.method
    own = fields_of(METHODS[name].Settings)
    train = [field for field in _TRAIN.values() if not field.said.main]
    if widgets.get(MARK, True):
        said = given(train, without_left_alone(widgets))
        return MethodSettings(method=name, values=given(own, widgets), train=said)
    return MethodSettings(
        method=name,
        values=given_then("settings", name, own, widgets),
        train=given_then("train", name, train, widgets),
    )


def _of_clip(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    trainings = (_training(graph, training, here) for training in trainings_of(graph, node))
    training = next((training for training in trainings if training is not None), None)
    return None if training is None else Answer(values=dict(training.usual.clip), to=training.to)


def _of_sampling(graph: PromptGraph, node: str, here: Here) -> Answer | None:
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
    return Answer(values=values, to={"base": base.name, "motions": len(infos)})


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
    training = _training(graph, node, here)
    maker = next(iter(clips_of(graph, node)), None)
    if training is None or maker is None:
        return None
    clip = training.usual.clip
    size = {n: graph.widget(maker, n, clip[n]) for n in ("frames", "width", "height")}
    if not all(size.values()):
        return None
    rate = graph.widget(maker, "fps", clip["fps"]) or clip["fps"]
    return _WillBe(settings={SAMPLING: training.usual.sample}, fps=rate, **size)


_KINDS: Mapping[str, Callable[[PromptGraph, str, Here], Answer | None]] = {
    "TrainMotionAdapter": _of_training,
    "MotionClip": _of_clip,
    "MotionClipsFromFolder": _of_clip,
    "SampleMotionVideo": _of_sampling,
}
