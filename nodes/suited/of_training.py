"""What suits a training node and its settings node, and what they meant in version 0.1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...motion_core.bases import BaseDefaults
from ...motion_core.errors import MotionError, SettingsError
from ...motion_core.methods import METHODS
from ...motion_core.methods.defaults import Material
from ...motion_core.settings import Field, fields_of, to_mapping
from ...motion_core.training.settings import TrainSettings
from ...motion_core.training.suited import Suited, suited
from ..runs.settings import Given, LeftOut, MethodSettings, configured
from ..version_0_1_0 import MARK, Then, given_then, is_of_then, values_then, without_left_alone
from ..widget_values import Widget, given, widget_value
from .answer import Answer, Here
from .connected import base_of, material_of
from .prompt_graph import PromptGraph

MENU = "objective"
SETTINGS_NODES = {method.Settings.__name__: name for name, method in METHODS.items()}
# Of the training node's own inputs, those that depend on base, method and clips.
OF_TRAINING = ("steps", "learning_rate", "sample_every")
# Inputs whose words are not the setting's own.
WORDS = ("precision",)
_TRAIN = {field.name: field for field in fields_of(TrainSettings)}


@dataclass(frozen=True, kw_only=True)
class Training:
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


def training_at(graph: PromptGraph, node: str, here: Here) -> Training | None:
    """None where its base cannot be told."""
    base = base_of(graph, node)
    method = str(graph.widget(node, MENU, next(iter(METHODS)))).replace("-", "_")
    if base is None or method not in METHODS:
        return None
    material = material_of(graph, node, here.folders)
    counts = {"videos": material.videos, "images": material.images}
    return Training(
        graph=graph,
        node=node,
        base=base,
        method=method,
        untouched=_suited(method, base, material, {}, {}),
        usual=_suited(method, base, material, *_chosen(graph, node, method)),
        to={"base": base.name, "method": method.replace("_", "-"), **counts},
    )


def _suited(
    method: str,
    base: BaseDefaults,
    material: Material,
    chosen: Mapping[str, object],
    train: Mapping[str, object],
) -> Suited:
    """Without the prompts where one of them says no motion: the run itself says so."""
    try:
        return suited(METHODS[method], base, material, chosen, train)
    except MotionError:
        without = replace(material, prompts=())
        return suited(METHODS[method], base, without, chosen, train)


def _chosen(
    graph: PromptGraph, node: str, method: str
) -> tuple[dict[str, object], dict[str, object]]:
    """The method's settings, and the training's, that a person has set, on the node or on its
    settings node; the run itself refuses what is not allowed.
    """
    fields = fields_of(METHODS[method].Settings)
    own = {name.removeprefix(f"{MENU}."): v for name, v in graph.chosen(node).items()}
    settings = graph.source(node, "advanced")
    more = {} if settings is None else graph.chosen(settings)
    both = without_left_alone({**more, **own})
    train = given((field for name, field in _TRAIN.items() if name not in WORDS), both)
    return given(fields, both), {n: v for n, v in train.items() if _allows(_TRAIN[n], v)}


def _allows(field: Field, value: object) -> bool:
    try:
        field.checked(value)
    except SettingsError:
        return False
    return True


def of_training(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    training = training_at(graph, node, here)
    if training is None:
        return None
    of_then = is_of_then(graph.inputs(node))
    usual = "balanced" if training.usual.train["checkpointing"] else "fast"
    values = _on_training(training, training.usual)
    before = _on_training(training, training.untouched)
    return Answer(
        values={**values, **{name: before[name] for name in graph.chosen(node) if name in before}},
        to=training.to,
        becomes={"precision": here.precision, "memory": usual},
        then=_on_training(training, _ran_then(training)) if of_then else None,
    )


def _on_training(training: Training, values: LeftOut) -> dict[str, Widget]:
    method = {name: widget_value(f, values.settings[f.name]) for name, f in training.main.items()}
    return {
        **method,
        **{name: widget_value(_TRAIN[name], values.train[name]) for name in OF_TRAINING},
        "inversion_steps": values.inversion_steps,
        "sample_steps": values.sample["steps"],
        "sample_guidance": values.sample["guidance_scale"],
    }


def of_settings(graph: PromptGraph, node: str, here: Here) -> Answer | None:
    """By the training node that it is for."""
    user = next((user for user, name in graph.users(node) if name == "advanced"), None)
    training = None if user is None else training_at(graph, user, here)
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


def _on_settings(training: Training, values: LeftOut) -> dict[str, Widget]:
    own = fields_of(METHODS[training.method].Settings)
    train = [field for field in _TRAIN.values() if not field.said.main]
    return {
        **{field.name: widget_value(field, values.settings[field.name]) for field in own},
        **{field.name: widget_value(field, values.train[field.name]) for field in train},
    }


def _ran_then(training: Training) -> Then:
    """What the two nodes meant in version 0.1.0, in numbers; a rate that was the method's own is
    the one that suits now, as those have not changed.
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
        settings=method.written_out(train.learning_rate),
        train={**training.usual.train, **ran},
        inversion_steps=widgets.get("inversion_steps", then.inversion_steps),
    )


_RATES = ("learning_rate", "weight_decay")


def _advanced(training: Training) -> MethodSettings | None:
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
