"""`python -m tools.workflows --object-info FILE`: writes every file of `workflows/` and
`subgraphs/` anew, and the indexes of `web/templates/`.

FILE is what GET /object_info answers in the oldest ComfyUI that is supported, with this pack,
AnimateDiff-Evolved and VideoHelperSuite, and with the files that the workflows name in its model
folders (empty ones will do). A newer ComfyUI opens what an older one saved; the other way a widget
too many is in the way.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from .blueprints import BLUEPRINTS
from .graph import Graph
from .own_models import (
    animatediff_evolved,
    apply_in_a_community_checkpoint,
    few_steps,
    train_on_your_checkpoint,
    video_helper_suite,
    zeroscope,
)
from .recipes import appearance_and_motion, camera_motion, image_animation, several_clips
from .sample_base import METHODS, community_checkpoint, train_and_sample
from .templates import CHINESE, ENGLISH, index

FOLDER = Path(__file__).parents[2] / "workflows"
SUBGRAPHS = FOLDER.with_name("subgraphs")
INDEXES = Path(__file__).parents[2] / "web" / "templates"

WORKFLOWS: dict[str, Callable[[Mapping[str, Any]], Graph]] = {
    **{f"sample-base-{method}": partial(train_and_sample, method=method) for method in METHODS},
    "sample-base-community-checkpoint": community_checkpoint,
    "sample-base-appearance-and-motion": appearance_and_motion,
    "sample-base-image-animation": image_animation,
    "sample-base-camera-motion": camera_motion,
    "sample-base-several-clips": several_clips,
    "train-on-your-checkpoint": train_on_your_checkpoint,
    "apply-in-a-community-checkpoint": apply_in_a_community_checkpoint,
    "apply-in-six-steps": few_steps,
    "zeroscope-train-and-sample": zeroscope,
    "apply-with-animatediff-evolved": animatediff_evolved,
    "train-with-videohelpersuite": video_helper_suite,
}


def main() -> None:
    """Command line; see above."""
    parser = argparse.ArgumentParser(prog="python -m tools.workflows", description=__doc__)
    parser.add_argument("--object-info", type=Path, required=True, help="the JSON file")
    definitions = json.loads(parser.parse_args().object_info.read_text(encoding="utf-8"))
    FOLDER.mkdir(exist_ok=True)
    write_blueprints(definitions)
    for name, build in WORKFLOWS.items():
        # An id of its own keeps the training runs of two workflows apart.
        graph = {
            "id": str(uuid5(NAMESPACE_URL, f"motion-adapters/{name}")),
            **build(definitions).saved(),
        }
        text = json.dumps(graph, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    write_indexes()


def write_indexes() -> None:
    """index.json, which is English, and index.LANGUAGE.json."""
    INDEXES.mkdir(exist_ok=True)
    for language, name in ((ENGLISH, "index.json"), (CHINESE, f"index.{CHINESE}.json")):
        text = json.dumps(index(WORKFLOWS, FOLDER, language), indent=1, ensure_ascii=False)
        (INDEXES / name).write_text(text + "\n", encoding="utf-8")


def write_blueprints(definitions: Mapping[str, Any]) -> None:
    """ASCII alone: ComfyUI 0.8.0 reads them in the encoding of the system's language."""
    SUBGRAPHS.mkdir(exist_ok=True)
    for build in BLUEPRINTS:
        made = build(definitions)
        text = json.dumps(made.saved(), indent=1, ensure_ascii=True)
        (SUBGRAPHS / f"{made.name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
