"""What lists of models read: keys and values as ModelSpec 1.0.0 and sd-scripts write them."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from motion_core.adapter_files.model_managers import manager_metadata
from motion_core.adapter_files.own import load_adapter, preview_jpeg, read_previews, save_adapter
from motion_core.settings import to_mapping
from tests.adapter_files.test_own import adapters, an_info

TRAINING = {"learning_rate": 5e-4, "seed": 7, "precision": "bf16", "max_grad_norm": None}
# ModelSpec 1.0.0: what every model says.
REQUIRED = {f"modelspec.{name}" for name in ("sai_model_spec", "architecture", "title")}


def told(previews: list[bytes] | None = None, **changed: object) -> dict[str, str]:
    info = dataclasses.replace(an_info(), settings={"training": TRAINING}, **changed)  # type: ignore[arg-type]
    return manager_metadata(to_mapping(info), "my car", previews or [])


def test_what_modelspec_and_kohya_say_of_a_training() -> None:
    """Spelled out: rank 2, 384x256, 150 steps on one clip."""
    assert told() == {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "animatediff-sd15-v2/lora",
        "modelspec.implementation": "motion-adapters",
        "modelspec.title": "my car",
        "modelspec.description": "A motion for animatediff-sd15-v2, trained with the method "
        "motion_director.",
        "modelspec.license": "creativeml-openrail-m",
        "modelspec.resolution": "384x256",
        "modelspec.tags": "motion, video, motion_director",
        "modelspec.usage_hint": "Trained on: a person is riding a bicycle",
        "ss_output_name": "my car",
        "ss_base_model_version": "sd_v1",
        "ss_network_module": "motion-adapters",
        "ss_network_dim": "2",
        "ss_network_alpha": "2",
        "ss_steps": "150",
        "ss_resolution": "(384, 256)",
        "ss_tag_frequency": '{"clips": {"a person is riding a bicycle": 1}}',
        "ss_training_comment": "Motion Adapters 0.1.0",
        "ss_learning_rate": "0.0005",
        "ss_seed": "7",
        "ss_mixed_precision": "bf16",
    }


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("animatediff-sd15-v3", "sd_v1"),
        ("shape-world-animatediff", "shape-world-animatediff"),
        ("zeroscope", "zeroscope"),
        ("", None),
    ],
)
def test_the_base_model_is_called_what_lists_know(version: str, name: str | None) -> None:
    """A list that is told of Stable Diffusion 1 offers the file to its checkpoints."""
    assert told(version=version).get("ss_base_model_version") == name


def test_what_is_not_known_is_not_said() -> None:
    """Of another program's file, say: no rank of an embedding, no steps, no licence."""
    said = told(rank=None, steps=0, licence="", version="", prompts=(), package_version="")
    assert said.keys() >= REQUIRED
    gone = ("ss_network_dim", "ss_network_alpha", "ss_steps", "ss_tag_frequency")
    assert not said.keys() & {*gone, "modelspec.license", "modelspec.usage_hint"}
    assert said["modelspec.architecture"] == "animatediff/lora"
    assert said["ss_training_comment"] == "Motion Adapters"


def test_prompts_are_counted() -> None:
    said = told(prompts=("a car", "a bus", "a car"))
    assert json.loads(said["ss_tag_frequency"]) == {"clips": {"a car": 2, "a bus": 1}}
    assert said["modelspec.usage_hint"] == "Trained on: a car; a bus"


def test_files_hold_them_beside_what_is_read(tmp_path: Path) -> None:
    """In the header, with the first picture; the file loads as before."""
    picture = preview_jpeg(torch.zeros(3, 8, 8))
    path = tmp_path / "动作.safetensors"
    save_adapter(path, adapters(), an_info(), [picture, picture])
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["modelspec.title"] == metadata["ss_output_name"] == "动作"
    kind, _, data = metadata["modelspec.thumbnail"].partition(",")
    assert kind == "data:image/jpeg;base64" and base64.b64decode(data) == picture
    assert {key.partition(".")[0].partition("_")[0] for key in metadata} == {
        *("modelspec", "ss", "motion")
    }
    info, loaded = load_adapter(path)
    assert dataclasses.replace(info, adapters={}) == an_info()
    assert loaded.keys() == adapters().keys()
    assert read_previews(path) == [picture, picture]
