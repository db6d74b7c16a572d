"""The other tests of this folder stand on this: names are ComfyUI's, and the core is there once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import comfy.model_management
from comfy.cli_args import args

import motion_core.errors
import nodes
from tests.comfyui.place import place


def test_nodes_are_comfyuis_and_on_the_cpu(comfy_base: Path) -> None:
    assert Path(nodes.__file__).parent == place(os.environ).path
    assert "KSampler" in nodes.NODE_CLASS_MAPPINGS
    assert comfy.model_management.get_torch_device().type == "cpu"
    assert args.base_directory == str(comfy_base)


def test_the_pack_and_the_tests_share_one_core() -> None:
    from motion_adapters.motion_core import bases, errors

    assert errors.MotionError is motion_core.errors.MotionError
    assert sys.modules["motion_core.bases"] is bases
    assert bases.__spec__ is not None and bases.__spec__.name == "motion_core.bases"
