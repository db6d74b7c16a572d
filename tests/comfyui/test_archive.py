"""The archive that would be published, unpacked as ComfyUI Manager does, in a bare ComfyUI.

As on a Windows computer: the folders' names have spaces, and files and the console are not UTF-8
where nobody asks for it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.comfyui.place import REPOSITORY, ComfyPlace
from tests.comfyui.placeholders import add_placeholders
from tests.comfyui.server import PACK, Server, serve
from tests.comfyui.ui_prompts import api_prompt
from tools.registry.archive import write_archive

FILES = sorted((REPOSITORY / "workflows").glob("*.json"))
WORKFLOWS = [file for file in FILES if file.stem != "index"]
OTHER_PACKS = ("apply-with-animatediff-evolved", "train-with-videohelpersuite")
# A locale without UTF-8, in which files can only have ASCII names (Windows takes any), and a
# console that has the letters of western Europe alone.
ENVIRONMENT = {
    **{"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    "PYTHONIOENCODING": "cp1252:backslashreplace",
}


@pytest.fixture(scope="module")
def bare(comfyui: ComfyPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("bare") / "Comfy UI (portable)"
    place = base / "custom_nodes" / PACK
    place.mkdir(parents=True)
    archive = base / "node.zip"
    write_archive(archive)
    with zipfile.ZipFile(archive) as file:
        file.extractall(place)
    add_placeholders(base, WORKFLOWS)
    with serve(comfyui, base, environ=ENVIRONMENT, installed=True) as running:
        yield running


def test_it_answers_with_the_same_nodes_as_the_repository(bare: Server, server: Server) -> None:
    def ours(info: dict[str, Any]) -> dict[str, Any]:
        named = {k: v for k, v in info.items() if "motion" in str(v["category"]).split("/")}
        return json.loads(json.dumps(named))

    found, wanted = ours(bare.get("/object_info")), ours(server.get("/object_info"))
    assert len(found) > 20
    assert found.keys() == wanted.keys()
    assert "IMPORT FAILED" not in bare.log
    for name, node in found.items():
        assert node["python_module"] == wanted[name]["python_module"]
        assert node["output"] == wanted[name]["output"]


def test_its_templates_and_their_pictures_are_served(bare: Server, server: Server) -> None:
    told = bare.get("/workflow_templates")[PACK]
    assert sorted(told) == sorted(server.get("/workflow_templates")[PACK])
    assert {file.stem for file in WORKFLOWS} <= set(told)
    for file in WORKFLOWS:
        address = f"/api/workflow_templates/{quote(PACK)}/{quote(file.stem)}"
        assert json.loads(bare.read(f"{address}.json")) == json.loads(file.read_text("utf-8"))
        assert bare.read(f"{address}.jpg")[:2] == b"\xff\xd8"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_its_templates_fit_its_nodes(file: Path, bare: Server) -> None:
    if file.stem in OTHER_PACKS:
        pytest.skip("needs another pack")
    assert api_prompt(json.loads(file.read_text("utf-8")), bare.get("/object_info"))


def test_its_page_and_help_are_served(bare: Server) -> None:
    for name in ("extension.js", "lib/panel/panel.js", "docs/TrainMotionAdapter.md"):
        wanted = (REPOSITORY / "web" / name).read_bytes()
        assert bare.read(f"/extensions/{PACK}/{name}") == wanted


@pytest.mark.timeout(400)
def test_a_template_trains_and_samples_there(bare: Server) -> None:
    """The base that ships with it is read from the unpacked folder."""
    graph = json.loads(
        (REPOSITORY / "workflows/sample-base-motion-director.json").read_text("utf-8")
    )
    prompt = api_prompt(graph, bare.get("/object_info"))
    for node in prompt.values():
        if node["class_type"] == "TrainMotionAdapter":
            node["inputs"] |= {
                "steps": 2,
                "inversion_steps": 0,
                "sample_steps": 2,
                "name": "my turn",
            }
        if node["class_type"] == "SampleMotionVideo":
            node["inputs"] |= {"steps": 2}
    finished = bare.run(prompt, timeout=300)
    assert finished.error is None, f"{finished.error}\n{bare.tail}"
    assert list(bare.base.rglob("models/**/my turn*.safetensors"))
    assert list(bare.output.rglob("*.mp4"))
