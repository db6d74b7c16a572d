"""Subgraph blueprints as the page publishes them: ends, links and widgets of the one node."""

from __future__ import annotations

import json
from uuid import UUID

from tests.tools.test_workflows import DEFINITIONS
from tools.workflows.__main__ import SUBGRAPHS
from tools.workflows.blueprint import GIVEN, RESULT, Blueprint
from tools.workflows.blueprints import BLUEPRINTS


def a_blueprint() -> Blueprint:
    """A video and a number go in, through one node; its model and a loader's come out."""
    made = Blueprint(DEFINITIONS, "Train it", "Trains.", ("lora train",))
    video = made.given_input("video", "IMAGE,VIDEO")
    amount = made.given_input("amount", "FLOAT")
    load = made.graph.node("Load", 0)
    train = made.graph.node("Train", 1, video=video, method="full", strength=amount)
    made.result("loaded", load.out("model"))
    made.result("trained", train.out("model"))
    return made


def test_links_lead_from_what_goes_in_to_what_comes_out() -> None:
    """Nodes 1 and 2; the links count on where those inside end."""
    saved = a_blueprint().saved()
    (subgraph,) = saved["definitions"]["subgraphs"]
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    assert [tuple(link[key] for key in keys) for link in subgraph["links"]] == [
        (1, GIVEN, 0, 2, 0, "IMAGE,VIDEO"),
        (2, GIVEN, 1, 2, 1, "FLOAT"),
        (3, 1, 1, RESULT, 0, "MODEL"),
        (4, 2, 0, RESULT, 1, "MODEL"),
    ]
    assert [(end["name"], end["linkIds"]) for end in subgraph["inputs"]] == [
        ("video", [1]),
        ("amount", [2]),
    ]
    assert [(end["name"], end["linkIds"]) for end in subgraph["outputs"]] == [
        ("loaded", [3]),
        ("trained", [4]),
    ]
    load, train = subgraph["nodes"]
    assert load["outputs"][1]["links"] == [3]
    assert [socket["link"] for socket in train["inputs"]] == [1, 2, None]
    assert subgraph["state"]["lastLinkId"] == 4 and subgraph["state"]["lastNodeId"] == 2


def test_the_one_node_has_a_widget_where_one_is_led_to() -> None:
    saved = a_blueprint().saved()
    (node,), (subgraph,) = saved["nodes"], saved["definitions"]["subgraphs"]
    assert node["type"] == subgraph["id"] == str(UUID(subgraph["id"]))
    assert node["inputs"] == [
        {"name": "video", "type": "IMAGE,VIDEO", "link": None},
        {"name": "amount", "type": "FLOAT", "link": None, "widget": {"name": "amount"}},
    ]
    assert [output["name"] for output in node["outputs"]] == ["loaded", "trained"]
    assert saved["extra"]["BlueprintSearchAliases"] == ["lora train"]


def test_a_blueprint_is_always_written_alike() -> None:
    """Ids too, so that a new file of it takes the older one's place."""
    assert a_blueprint().saved() == a_blueprint().saved()


def test_those_that_ship_are_as_many_and_in_the_same_words() -> None:
    """Their nodes are held against a real server by tests/comfyui/test_blueprints.py."""
    files = sorted(SUBGRAPHS.glob("*.json"))
    assert len(files) == len(BLUEPRINTS)
    for file in files:
        kept = json.loads(file.read_text(encoding="utf-8"))
        assert kept["nodes"][0]["title"] == file.stem
        assert kept["extra"]["BlueprintDescription"] and kept["extra"]["BlueprintSearchAliases"]
