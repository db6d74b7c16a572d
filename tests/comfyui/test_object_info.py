"""What ComfyUI knows of the pack after its start: nodes, tooltips, help pages, templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

from motion_core.methods import METHODS
from tests.comfyui.place import REPOSITORY
from tests.comfyui.server import PACK, Server

# A path from the root, a drive, an address, a host of one's own.
MACHINE = re.compile(r'["\s(]/[A-Za-z]+/|[A-Za-z]:\\\\|\d+(\.\d+){3}|localhost')
CHINESE = re.compile("[\u4e00-\u9fff]{2}")
# Ids never change: saved workflows name nodes by them.
NODES = (
    "MotionClip",
    "MotionClipsFromFolder",
    "CombineMotionClips",
    "LoadAnimateDiffBase",
    "AnimateDiffBaseFromModel",
    "LoadZeroScope",
    "SampleMotionBase",
    "SampleMotionClip",
    "TrainMotionAdapter",
    *(method.Settings.__name__ for method in METHODS.values()),
    "LoadMotionAdapter",
    "SaveMotionAdapter",
    "InspectMotionAdapter",
    "BlendMotions",
    "ConvertMotionAdapter",
    "ApplyMotionToAnimateDiff",
    "ApplyMotionToAnimateDiffEvolved",
    "ApplyMotionToZeroScope",
    "MotionNoise",
    "SampleMotionVideo",
    "EvaluateMotion",
    "RecaptionFrames",
)


@pytest.fixture(scope="module")
def definitions(server: Server) -> Mapping[str, Any]:
    return server.get("/object_info")


def inputs_of(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and options of all inputs, those of a dynamic combo's choices too."""
    for group in ("required", "optional"):
        for name, spec in inputs.get(group, {}).items():
            options = spec[1] if len(spec) > 1 else {}
            yield name, options
            for choice in options.get("options", []):
                if isinstance(choice, dict):
                    yield from inputs_of(choice["inputs"])


def test_the_pack_starts_without_an_error(server: Server) -> None:
    assert "IMPORT FAILED" not in server.log
    assert "cannot be loaded" not in server.log, server.tail
    assert f"custom_nodes/{PACK}" in server.log  # in the list of import times


def test_the_pack_has_these_nodes_and_no_others(definitions: Mapping[str, Any]) -> None:
    ours = {name for name, node in definitions.items() if PACK in node["python_module"]}
    assert ours == set(NODES)


@pytest.mark.parametrize("node", NODES)
def test_nodes_explain_themselves(node: str, definitions: Mapping[str, Any]) -> None:
    definition = definitions[node]
    assert definition["category"].split("/")[0] == "motion"
    assert len(definition["description"]) > 40
    bare = [name for name, options in inputs_of(definition["input"]) if not options.get("tooltip")]
    assert bare == []


# What a person may type who does not know the pack, and the node that must be among the answers.
SOUGHT = {
    "lora train": "TrainMotionAdapter",
    "motion lora": "LoadMotionAdapter",
    "train video": "TrainMotionAdapter",
    "animatediff": "ApplyMotionToAnimateDiff",
    "motion transfer": "TrainMotionAdapter",
}


def test_nodes_are_found_by_what_people_call_them(definitions: Mapping[str, Any]) -> None:
    """In pages that search for more than names, which ComfyUI 0.8.0's does not."""
    if "search_aliases" not in definitions["KSampler"]:
        assert not any("search_aliases" in definitions[node] for node in NODES)
        return
    aliases = {node: definitions[node]["search_aliases"] for node in NODES}
    assert all(words and len(set(words)) == len(words) for words in aliases.values())
    for words, node in SOUGHT.items():
        assert words in aliases[node]


def test_what_experts_set_is_marked(definitions: Mapping[str, Any]) -> None:
    """Versions of the page that know the mark show these inputs when they are asked to."""
    marked = {
        f"{node}.{name}"
        for node in NODES
        for name, options in inputs_of(definitions[node]["input"])
        if options.get("advanced")
    }
    assert marked >= {
        "TrainMotionAdapter.save_every",
        "SampleMotionVideo.guidance_rescale",
        "MotionClip.stride",
        "ApplyMotionToAnimateDiff.beta_schedule",
    }
    assert "TrainMotionAdapter.steps" not in marked


@pytest.mark.parametrize("node", NODES)
def test_help_pages_name_every_input(
    node: str, server: Server, definitions: Mapping[str, Any]
) -> None:
    page = server.read(f"/extensions/{PACK}/docs/{node}.md").decode()
    assert page.startswith(f"# {definitions[node]['display_name']}\n")
    names = {name for name, _ in inputs_of(definitions[node]["input"])}
    assert {name for name in names if f"`{name}`" not in page} == set()


def keys_of(inputs: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The page's keys of all inputs: "objective_rank" is `rank` of a choice of `objective`, which
    the page calls "objective.rank", with a "_" for each "." (normalizeI18nKey of its formatUtil.ts,
    dynamicComboWidget of its dynamicWidgets.ts).
    """
    for group in ("required", "optional"):
        for name, spec in inputs.get(group, {}).items():
            yield before + name
            for choice in spec[1].get("options", []) if len(spec) > 1 else ():
                if isinstance(choice, dict):
                    yield from keys_of(choice["inputs"], f"{before}{name}_")


@pytest.mark.parametrize("node", NODES)
def test_everything_is_said_in_chinese(
    node: str, server: Server, definitions: Mapping[str, Any]
) -> None:
    """Inputs by their keys, outputs by their numbers (litegraphService.ts); no less and no more.
    Names and descriptions are messages of vue-i18n, to which some characters are commands.
    """
    entry, definition = server.get("/i18n")["zh"]["nodeDefs"][node], definitions[node]
    assert entry["inputs"].keys() == set(keys_of(definition["input"]))
    assert list(entry["outputs"]) == [str(slot) for slot in range(len(definition["output"]))]
    parts = [*entry["inputs"].values(), *entry["outputs"].values()]
    assert all(CHINESE.search(part["tooltip"]) and part["name"] for part in parts)
    assert CHINESE.search(entry["display_name"]) and CHINESE.search(entry["description"])
    messages = [entry["display_name"], entry["description"], *(part["name"] for part in parts)]
    assert not set("{}@|") & set("".join(messages))


def test_workflows_are_offered_as_templates(server: Server) -> None:
    files = sorted((REPOSITORY / "workflows").glob("*.json"))
    assert len(files) >= 8
    offered = server.get("/workflow_templates")[PACK]
    assert sorted(offered) == [file.stem for file in files]
    for file in files:
        address = f"/api/workflow_templates/{PACK}/{quote(file.stem)}"
        assert server.get(f"{address}.json") == json.loads(file.read_text(encoding="utf-8"))
        assert is_jpeg(server, f"{address}.jpg"), f"{file.stem} has no thumbnail"


def is_jpeg(server: Server, address: str) -> bool:
    try:
        return server.read(address).startswith(b"\xff\xd8")
    except HTTPError:
        return False


def test_no_workflow_or_page_names_a_machine() -> None:
    """Paths and hosts of whoever made a file have no place in what others open."""
    files: list[Path] = [
        *(REPOSITORY / "workflows").glob("*.json"),
        *(REPOSITORY / "web").rglob("*.md"),
        *(REPOSITORY / "locales").rglob("*.json"),
    ]
    for file in files:
        text = file.read_text(encoding="utf-8")
        found = MACHINE.search(text)
        assert found is None, f"{file.name} has {found and found.group()}"
