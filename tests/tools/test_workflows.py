"""Graphs as the page saves them, and read back as the page would queue them.

The definitions are of the shapes that /object_info gives: a choice as a bare list and as COMBO, a
dynamic combo, a seed with and without the page's own widget behind it, a file with an upload.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.comfyui.ui_prompts import WorkflowFault, api_prompt
from tools.help_pages import filled
from tools.workflows.graph import Graph

METHOD = {
    "options": [
        {"key": "lora", "inputs": {"required": {"rank": ["INT", {"default": 8, "min": 1}]}}},
        {"key": "full", "inputs": {"required": {}, "optional": {"text": ["STRING", {}]}}},
    ]
}
DEFINITIONS: dict[str, Any] = {
    "Load": {
        "input": {
            "required": {"file": [["a.mp4", "b.mp4"], {"video_upload": True}]},
            "optional": {"vae": ["COMBO", {"options": ["own", "other"], "default": "own"}]},
        },
        "output": ["VIDEO", "MODEL"],
        "output_name": ["video", "model"],
    },
    "Train": {
        "display_name": "Train It",
        "input": {
            "required": {
                "video": ["IMAGE,VIDEO", {"tooltip": "What is | learned."}],
                "method": ["COMFY_DYNAMICCOMBO_V3", METHOD],
                "seed": ["INT", {"default": 0, "min": 0, "max": 9}],
                "seed_2": ["INT", {"default": 1, "control_after_generate": True}],
                "strength": ["FLOAT", {"default": 1.0, "min": -2.0, "max": 2.0}],
            },
            "optional": {"model": ["MODEL", {}]},
        },
        "output": ["MODEL"],
        "output_name": ["model"],
        "output_tooltips": ["Trained."],
    },
}


def graph_of_two(**given: Any) -> dict[str, Any]:
    graph = Graph(DEFINITIONS)
    graph.note(0, "Read me", "What to do")
    load = graph.node("Load", 1, file="b.mp4")
    train = graph.node("Train", 2, video=load.out("video"), **given)
    graph.group("All", [load, train], "#345")
    return graph.saved()


def test_a_graph_is_queued_as_it_was_described() -> None:
    """Upload button and seed control are values of the page's own and are not sent."""
    workflow = graph_of_two(method="full", method__text="slow", seed=3)
    saved = {node["type"]: node["widgets_values"] for node in workflow["nodes"]}
    assert saved["Load"] == ["b.mp4", "image", "own"]
    assert saved["Train"] == ["full", "slow", 3, "fixed", 1, "fixed", 1.0]
    expected = {
        "2": {"class_type": "Load", "inputs": {"file": "b.mp4", "vae": "own"}},
        "3": {
            "class_type": "Train",
            "inputs": {
                "video": ["2", 0],
                "method": "full",
                "method.text": "slow",
                "seed": 3,
                "seed_2": 1,
                "strength": 1.0,
            },
        },
    }
    assert api_prompt(workflow, DEFINITIONS) == expected


def test_links_are_known_at_both_ends() -> None:
    workflow = graph_of_two()
    assert workflow["links"] == [[1, 2, 0, 3, 0, "VIDEO"]]
    note, load, train = workflow["nodes"]
    assert load["outputs"][0]["links"] == [1] and load["outputs"][1]["links"] == []
    assert [entry["link"] for entry in train["inputs"]] == [1, None]
    assert note["type"] == "MarkdownNote"


def test_groups_go_around_their_nodes_and_nodes_do_not_overlap() -> None:
    workflow = graph_of_two()
    left, top, width, height = workflow["groups"][0]["bounding"]
    for node in workflow["nodes"][1:]:
        x, y = node["pos"]
        assert left < x and x + node["size"][0] < left + width
        assert top < y and y + node["size"][1] < top + height
    columns = [node["pos"][0] for node in workflow["nodes"]]
    assert columns == sorted(set(columns))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"seed": 10}, "seed is 10, not in 0 to 9"),
        ({"strength": "1"}, "strength is '1', not FLOAT"),
        ({"method__rank": 0}, r"method.rank is 0, not in 1"),
    ],
)
def test_values_that_the_node_refuses_are_found(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(WorkflowFault, match=fault):
        api_prompt(graph_of_two(**given), DEFINITIONS)


def test_a_node_that_has_changed_since_is_found() -> None:
    changed = {name: {**node} for name, node in DEFINITIONS.items()}
    required = dict(DEFINITIONS["Train"]["input"]["required"])
    del required["strength"]
    changed["Train"]["input"] = {"required": required}
    with pytest.raises(WorkflowFault, match=r"1 saved values have no widget: \[1.0\]"):
        api_prompt(graph_of_two(), changed)


def test_an_input_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match="Train has no input speed"):
        graph_of_two(speed=2)


def test_tables_of_help_pages_are_replaced_and_nothing_else() -> None:
    page = "# Train It\n\nWords.\n\n## Inputs\n\nold\n\n## Outputs\n\n## Example\n\nThis.\n"
    new = filled(page, DEFINITIONS["Train"])
    assert new.startswith("# Train It\n\nWords.\n\n## Inputs\n\n| input |")
    assert "old" not in new and new.endswith("## Example\n\nThis.\n")
    assert "| `video` | IMAGE or VIDEO | What is \\| learned. |" in new
    assert "| lora: `rank` | 1 to any, **8** |" in new
    assert "| `strength` | -2 to 2, **1** |" in new
    assert "| model | MODEL | Trained. |" in new
    assert filled(new, DEFINITIONS["Train"]) == new
