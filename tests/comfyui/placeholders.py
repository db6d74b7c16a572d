"""Stand-ins for the files that workflows name, so that a server can check the workflows' values.

ComfyUI refuses a prompt that names a file which is not there. The stand-ins are empty, and only
names are looked at; the video is a real one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from motion_core.shape_world.references import DEMO_CLIP

# By node type: the widget's place, or its name where a node keeps them by name, and the folder that
# its files lie in.
FILES: dict[str, tuple[int | str, str]] = {
    "LoadVideo": (0, "input"),
    "VHS_LoadVideo": ("video", "input"),
    "LoadMotionAdapter": (0, "models/motion_adapters"),
    "LoadZeroScope": (0, "models"),
}


def add_placeholders(base: Path, workflows: list[Path]) -> None:
    """Makes them in a server's folder, before it starts or while it runs."""
    make_placeholders(base, named_files(workflows))


def make_placeholders(base: Path, names: Iterable[str]) -> None:
    """names: paths from the server's folder."""
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".mp4":
            shutil.copy(DEMO_CLIP, path)
        elif path.suffix:
            path.touch()
        else:  # a model in diffusers' form
            path.mkdir(exist_ok=True)
            (path / "model_index.json").write_text("{}", encoding="utf-8")


def named_files(workflows: list[Path]) -> Iterator[str]:
    """Paths of all files that the workflows name, from the server's folder."""
    for file in workflows:
        for node in json.loads(file.read_text(encoding="utf-8"))["nodes"]:
            for model in node.get("properties", {}).get("models", []):
                name = model["name"].removeprefix(f"{model['directory']}/")
                yield f"models/{model['directory']}/{name}"
            if node["type"] in FILES:
                place, folder = FILES[node["type"]]
                yield f"{folder}/{node['widgets_values'][place]}"
