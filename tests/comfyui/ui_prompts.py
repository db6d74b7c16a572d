"""A saved workflow as the page would queue it.

The page saves a graph in LiteGraph's form: nodes with positions, links by number, and the values of
a node's widgets as a bare list, in the order in which the page makes the widgets. Which widgets it
makes follows from the node's definition in /object_info; here that is done once more, so that a
workflow whose node has changed since is found out without a browser. In: the workflow and
/object_info. Out: the prompt in API form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", DYNAMIC_COMBO)
ON_THE_PAGE_ONLY = ("Note", "MarkdownNote")
NEVER, BYPASSED = 2, 4  # node modes
SEEDS = ("seed", "noise_seed")
UPLOADS = ("image_upload", "video_upload", "audio_upload")


class WorkflowFault(Exception):
    """What is wrong with a workflow, one line a fault."""


@dataclass(frozen=True)
class Widget:
    """name: of the input, "combo.field" inside a dynamic combo. value: from the saved list."""

    name: str
    kind: str
    options: Mapping[str, Any]
    value: Any


def api_prompt(
    workflow: Mapping[str, Any], definitions: Mapping[str, Any], given: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """The prompt, by node id. given: inputs, as "3.video", that will be connected to something
    outside.

    Raises:
        WorkflowFault: a node, widget or link that does not fit the definitions.
    """
    faults: list[str] = []
    links = {link[0]: link for link in workflow["links"]}
    by_id = {node["id"]: node for node in workflow["nodes"]}
    prompt = {}
    for node in by_id.values():
        if node["type"] in ON_THE_PAGE_ONLY or node.get("mode") == NEVER:
            continue
        if node.get("mode") == BYPASSED:
            raise WorkflowFault(f"{_title(node)} is bypassed; shipped workflows have none such.")
        definition = definitions.get(node["type"])
        if definition is None:
            faults.append(f"{_title(node)}: there is no such node")
            continue
        inputs = dict(_values(node, definition, faults))
        inputs.update(_connections(node, definition, links, by_id, definitions, faults))
        outside = {
            name for name in _input_types(definition["input"]) if f"{node['id']}.{name}" in given
        }
        faults.extend(_missing(node, definition, {*inputs, *outside}))
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    if faults:
        raise WorkflowFault("\n".join(faults))
    return prompt


def _values(
    node: Mapping[str, Any], definition: Mapping[str, Any], faults: list[str]
) -> Iterator[tuple[str, Any]]:
    saved = node.get("widgets_values", [])
    if isinstance(saved, Mapping):  # nodes that save by name
        yield from saved.items()
        return
    left = list(saved)
    for widget in _widgets(definition["input"], left, ""):
        fault = _fault(widget)
        if fault:
            faults.append(f"{_title(node)}: {fault}")
        yield widget.name, widget.value
    if left:
        faults.append(f"{_title(node)}: {len(left)} saved values have no widget: {left}")


def _widgets(
    inputs: Mapping[str, Mapping[str, Any]], left: list[Any], prefix: str
) -> Iterator[Widget]:
    """The widgets of a node, or of a dynamic combo's choice, in the page's order; takes their
    values from the front of `left`. An optional one past the list's end keeps its default.
    """
    for group in ("required", "optional"):
        for name, spec in inputs.get(group, {}).items():
            kind, options = _kind(spec)
            if kind not in WIDGET_TYPES or options.get("forceInput"):
                continue
            if not left:
                if group == "optional":
                    continue
                raise WorkflowFault(f"no saved value for the widget {prefix}{name}")
            value = left.pop(0)
            yield Widget(f"{prefix}{name}", kind, options, value)
            if kind == DYNAMIC_COMBO:
                yield from _widgets(_choice(options, value), left, f"{prefix}{name}.")
            if _has_companion(f"{prefix}{name}", kind, options) and left:
                left.pop(0)  # control_after_generate, or an upload button's


def _has_companion(name: str, kind: str, options: Mapping[str, Any]) -> bool:
    if any(options.get(upload) for upload in UPLOADS):
        return True
    control = options.get("control_after_generate")
    return kind == "INT" and (name in SEEDS if control is None else bool(control))


def _choice(options: Mapping[str, Any], value: Any) -> Mapping[str, Mapping[str, Any]]:
    return next((o["inputs"] for o in options["options"] if o["key"] == value), {})


def _kind(spec: Sequence[Any]) -> tuple[str, Mapping[str, Any]]:
    """Type and options of an input; a bare list of choices is a COMBO of the older form."""
    options = dict(spec[1]) if len(spec) > 1 else {}
    if isinstance(spec[0], list):
        return "COMBO", {**options, "options": spec[0]}
    return spec[0], options


def _fault(widget: Widget) -> str | None:
    value, options = widget.value, widget.options
    shown = f"{widget.name} is {value!r}"
    if widget.kind == DYNAMIC_COMBO:
        keys = [option["key"] for option in options["options"]]
        return None if value in keys else f"{shown}, not one of {keys}"
    if widget.kind == "COMBO":
        choices = options.get("options", [])
        return None if value in choices else f"{shown}, not one of {choices[:20]}"
    types = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool}[widget.kind]
    if not isinstance(value, types) or (isinstance(value, bool) and widget.kind != "BOOLEAN"):
        return f"{shown}, not {widget.kind}"
    if widget.kind in ("INT", "FLOAT"):
        low, high = options.get("min", value), options.get("max", value)
        return None if low <= value <= high else f"{shown}, not in {low} to {high}"
    return None


def _connections(
    node: Mapping[str, Any],
    definition: Mapping[str, Any],
    links: Mapping[int, Sequence[Any]],
    by_id: Mapping[int, Mapping[str, Any]],
    definitions: Mapping[str, Any],
    faults: list[str],
) -> Iterator[tuple[str, list[Any]]]:
    known = _input_types(definition["input"])
    for slot, connected in enumerate(node.get("inputs", [])):
        if connected.get("link") is None:
            continue
        _, source, source_slot, target, target_slot, _ = links[connected["link"]]
        where = f"{_title(node)}.{connected['name']}"
        if (target, target_slot) != (node["id"], slot):
            faults.append(f"{where}: link {connected['link']} leads to another input")
        wanted = known.get(connected["name"])
        outputs = definitions.get(by_id[source]["type"], {}).get("output", [])
        given = outputs[source_slot] if source_slot < len(outputs) else None
        if wanted is None or given is None:
            faults.append(f"{where}: no such input, or no such output to connect to it")
        elif not _fits(given, wanted):
            faults.append(f"{where} takes {wanted}, and {given} is connected")
        yield connected["name"], [str(source), source_slot]


def _input_types(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    every = {**inputs.get("required", {}), **inputs.get("optional", {})}
    return {name: _kind(spec)[0] for name, spec in every.items()}


def _fits(given: Any, wanted: str) -> bool:
    if "*" in (given, wanted):
        return True
    return bool(set(str(given).split(",")) & set(wanted.split(",")))


def _missing(
    node: Mapping[str, Any], definition: Mapping[str, Any], inputs: Collection[str]
) -> list[str]:
    required = definition["input"].get("required", {})
    return [f"{_title(node)}: {name} is not connected" for name in required if name not in inputs]


def _title(node: Mapping[str, Any]) -> str:
    return f"node {node['id']} ({node['type']})"
